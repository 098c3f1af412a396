// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "base/handle.h"
#include "kernel/ethtool.h"
#include "kernel/netdev_queues.h"
#include "model/device.h"

namespace ankus {

/// nic0 and the peer at the other end of its wire, as `tests/vm/run --nic` makes them.
class Wire {
 public:
  static constexpr int kFlows = 64;

  /// Until both ends have a carrier.
  Wire();

  /// Of the device that is nic0 now; its number changes when its driver is bound anew.
  Device device() const;
  /// "virtio_net", "igb" or "vmxnet3".
  const std::string& driver() const { return driver_; }
  /// Sends `packets` of each of kFlows UDP flows to nic0, from scattered ports; how many each
  /// receive queue brought, by the driver's own counters.
  std::vector<std::uint64_t> send(int packets);

  /// Packets of the same flows for as long as it lives.
  class Background {
   public:
    explicit Background(Wire& wire);
    ~Background();
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

   private:
    std::atomic<bool> stop_ = false;
    std::thread thread_;
  };

 private:
  std::vector<std::uint64_t> received();
  void open_flows();

  std::string driver_;
  std::optional<Ethtool> ethtool_;
  std::optional<NetdevQueues> netdev_;
  UniqueFd drain_;
  std::vector<UniqueFd> flows_;
};

/// nic0 and wire0 up with carriers.
void wait_for_carrier();

}  // namespace ankus
