// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "act/kernel_knobs.h"
#include "fake/temp_tree.h"
#include "kernel/sysfs.h"

namespace ankus {

/// What the sensors and the knob see if the device at `path` were the network device `name`.
class AsNetworkDevice {
 public:
  AsNetworkDevice(const std::string& path, const std::string& name) {
    tree_.link("class/net/" + name + "/device", path);
    tree_.link("kernel", "/sys/kernel");
    tree_.directory("class/net/" + name + "/queues");
  }
  Sysfs sysfs() const { return {.root = tree_.root}; }

 private:
  TempTree tree_;
};

/// The knob of an interrupt of something that is no network device, so that no netlink is asked.
inline Result<void> write_irq(const Sysfs& sysfs, const std::string& device, const std::string& irq,
                              const CpuSet& before, const CpuSet& after) {
  const KernelHandles handles{.sysfs = sysfs, .irqs = std::make_shared<IrqMemory>()};
  const auto step = step_of(knob::IrqAffinity{{.name = device}, irq}, before, after, handles);
  if (!step) return std::unexpected(step.error());
  return std::get<std::function<Result<void>()>>(*step)();
}

}  // namespace ankus
