// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/cpu_set.h"
#include "model/knob.h"

namespace ankus {

/// An interrupt of a device, and whose packets it brings.
struct QueueIrq {
  std::uint32_t number = 0;  ///< now; another after a hot-plug
  std::string name;          ///< by which knob::IrqAffinity knows it
  std::optional<std::uint32_t> receive_queue, transmit_queue;  ///< none: neither
  CpuSet affinity;                                             ///< that was asked for
  CpuSet effective;      ///< where the last one went; follows with the next interrupt
  bool managed = false;  ///< by the kernel: cannot be set
  double per_second = 0;

  bool operator==(const QueueIrq&) const = default;
};

struct ReceiveQueue {
  double packets_per_second = 0;
  CpuSet rps;  ///< empty: off

  bool operator==(const ReceiveQueue&) const = default;
};

struct TransmitQueue {
  CpuSet xps;  ///< empty: off

  bool operator==(const TransmitQueue&) const = default;
};

/// What one entry of an indirection table brought over the last observation.
struct BucketLoad {
  double packets_per_second = 0;
  double elephant_packets_per_second = 0;  ///< of them, of flows that are elephants

  bool operator==(const BucketLoad&) const = default;
};

/// A device's queues, as far as they can be steered.
struct DeviceQueues {
  Device device;
  std::string driver;      ///< "virtio_net", "igb", "veth", "tun", ...
  std::int32_t node = -1;  ///< NUMA node of the hardware, -1: none
  std::vector<ReceiveQueue> receive;
  std::vector<TransmitQueue> transmit;
  std::optional<Indirection> table;  ///< none: the driver has no RSS table
  /// Queues that the table may name, where the driver says so: some have more.
  std::optional<std::uint32_t> table_queues;
  bool table_is_default = true;     ///< all queues in turn, as ethtool -X default makes it
  std::vector<BucketLoad> buckets;  ///< as many as the table has entries; empty: not measured
  std::vector<QueueIrq> irqs;

  /// How many queues received packets can be spread over.
  std::size_t spread_queues() const {
    return table_queues ? std::min<std::size_t>(*table_queues, receive.size()) : receive.size();
  }
  /// The CPUs to which a receive queue's interrupts go, else may go; empty: not known.
  CpuSet serving(std::uint32_t receive_queue) const;

  bool operator==(const DeviceQueues&) const = default;
};

}  // namespace ankus
