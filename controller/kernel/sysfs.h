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

/// A /sys tree (sysfs(5)); a test gives another root. /sys/class/net lists the devices of the
/// namespace that mounted it.
struct Sysfs {
  std::string root = "/sys";

  std::string net(const std::string& device) const { return root + "/class/net/" + device; }
  std::string rps_file(const std::string& device, std::uint32_t queue) const;
  std::string xps_file(const std::string& device, std::uint32_t queue) const;
  /// The message-signalled interrupts of a network device that have an action, ascending; empty for
  /// devices without hardware.
  Result<std::vector<DeviceIrq>> device_irqs(const std::string& device) const;
  /// Empty if that cannot be read.
  CpuSet online_cpus() const;
};

/// Writes a whole setting with one write(2), as sysfs and procfs want it.
Result<void> write_setting_file(const std::string& path, std::string_view text);

}  // namespace ankus
