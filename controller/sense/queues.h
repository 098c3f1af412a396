// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "kernel/ethtool.h"
#include "kernel/netdev_queues.h"
#include "kernel/procfs.h"
#include "kernel/sysfs.h"
#include "model/queues.h"

namespace ankus {

/// The queues that an interrupt of this name serves.
struct IrqQueues {
  std::optional<std::uint32_t> receive, transmit;
  bool operator==(const IrqQueues&) const = default;
};
/// By the names that drivers give: "virtio3-input.1", "eth0-rx-1", "eth0-TxRx-1", "eth0-rxtx-1",
/// "i40e-eth0-TxRx-1", "mlx5_comp1@pci:...", "eth0-Tx-Rx-1" (ena). Empty for what is no queue's.
IrqQueues queues_of_irq(std::string_view name);

/// Looks at the queues of devices. In the network namespace that it was opened in, of which `sysfs`
/// must be.
class QueueSensor {
 public:
  /// Rates are means over at least this time; they are 0 until it has passed once.
  static constexpr milliseconds kShortestMean{500};

  static Result<QueueSensor> open(Sysfs sysfs = {}, Procfs procfs = {});

  /// Those of `devices` that are there, in their order. What cannot be read is left empty: a device
  /// may vanish while it is read, and most drivers lack something. `buckets` are not its business
  /// (sense/bucket_counts.h).
  std::vector<DeviceQueues> look(std::span<const Device> devices, MonotonicTime now);

 private:
  /// What does not change while the device lives.
  struct Known {
    std::string driver;
    std::int32_t node = -1;
    bool has_table = true, has_counters = true;
    std::map<DeviceIrq, bool> managed;  ///< by the kernel
  };
  QueueSensor(Sysfs sysfs, Procfs procfs, Ethtool ethtool, NetdevQueues netdev)
      : sysfs_(std::move(sysfs)),
        procfs_(std::move(procfs)),
        ethtool_(std::move(ethtool)),
        netdev_(std::move(netdev)) {}

  Known& known(const Device& device);
  std::optional<DeviceQueues> look(const Device& device);
  void read_table(const Device& device, DeviceQueues& found);
  void read_irqs(const Device& device, DeviceQueues& found);
  void read_packets(const Device& device, DeviceQueues& found);
  std::map<std::uint32_t, std::uint64_t> received_packets(const Device& device);
  /// Of a counter that only grows.
  double rate(const Device& device, const std::string& counter, std::uint64_t value);

  Sysfs sysfs_;
  Procfs procfs_;
  Ethtool ethtool_;
  NetdevQueues netdev_;
  std::map<Device, Known> known_;
  using Key = std::pair<Device, std::string>;
  std::map<Key, std::uint64_t> before_, now_;
  std::map<Key, double> rates_, new_rates_;
  std::optional<MonotonicTime> counted_;  ///< when `before_` was read
  double seconds_ = 0;                    ///< since then; 0: too soon, or there is no before
};

}  // namespace ankus
