// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu_set.h"
#include "base/result.h"

namespace ankus {

/// An interrupt of a device.
struct DeviceIrq {
  std::uint32_t number = 0;
  std::string name;  ///< of its action: "virtio0-input.1", "eth0-rx-1"
  auto operator<=>(const DeviceIrq&) const = default;
};

/// The message-signalled interrupts that a device was given.
struct DeviceVectors {
  std::vector<DeviceIrq> irqs;    ///< that have an action, ascending
  std::size_t not_requested = 0;  ///< have none: most drivers give it back while the link is down
};

/// A /sys tree (sysfs(5)); a test gives another root. /sys/class/net lists the devices of the
/// namespace that mounted it.
struct Sysfs {
  std::string root = "/sys";

  std::string net(const std::string& device) const { return root + "/class/net/" + device; }
  std::string rps_file(const std::string& device, std::uint32_t queue) const;
  std::string xps_file(const std::string& device, std::uint32_t queue) const;
  /// Of a network device; empty for those without hardware.
  Result<DeviceVectors> device_vectors(const std::string& device) const;
  /// Those that have an action.
  Result<std::vector<DeviceIrq>> device_irqs(const std::string& device) const;
  /// If the device has that interrupt, of that name, now: one look instead of one at all of them.
  bool has_irq(const std::string& device, const DeviceIrq& irq) const;
  /// If somebody has set the link down; false if that is not known.
  bool is_down(const std::string& device) const;
  /// Empty if that cannot be read.
  CpuSet online_cpus() const;

 private:
  /// Of its action; empty: it has none.
  std::string irq_name(std::uint32_t number) const;
};

/// Writes a whole setting with one write(2), as sysfs and procfs want it.
Result<void> write_setting_file(const std::string& path, std::string_view text);

}  // namespace ankus
