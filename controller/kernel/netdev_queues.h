// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernel/netlink.h"

namespace ankus {

/// A receive or transmit queue as the generic netlink family "netdev" tells it
/// (Documentation/netlink/specs/netdev.yaml).
struct NetdevQueue {
  std::uint32_t queue = 0;
  bool receives = true;
  std::uint32_t napi = 0;  ///< 0: the driver does not say
  bool operator==(const NetdevQueue&) const = default;
};

/// What polls queues.
struct NetdevNapi {
  std::uint32_t napi = 0;
  std::uint32_t irq = 0;    ///< 0: the driver does not say (all but few, before 6.14)
  std::int32_t thread = 0;  ///< of threaded NAPI, 0: polled by softirqs
  bool operator==(const NetdevNapi&) const = default;
};

/// Packets since the device came up.
struct QueuePackets {
  std::uint32_t queue = 0;
  bool receives = true;
  std::uint64_t packets = 0;
  bool operator==(const QueuePackets&) const = default;
};

// Messages are values.
NetlinkMessage queue_dump_request(std::uint16_t family, std::uint32_t ifindex);
NetlinkMessage napi_dump_request(std::uint16_t family, std::uint32_t ifindex);
NetlinkMessage queue_packets_dump_request(std::uint16_t family, std::uint32_t ifindex);
std::optional<NetdevQueue> parse_queue(std::span<const std::byte> message);
std::optional<NetdevNapi> parse_napi(std::span<const std::byte> message);
/// Only of messages that tell packets of one queue.
std::optional<QueuePackets> parse_queue_packets(std::span<const std::byte> message);

/// The family "netdev" of the namespace that it was opened in. Queues and NAPIs since 6.8, packets
/// since 6.10; all are Error{unsupported} before, and where a driver lacks them.
class NetdevQueues {
 public:
  static Result<NetdevQueues> open();

  Result<std::vector<NetdevQueue>> queues(std::uint32_t ifindex);
  Result<std::vector<NetdevNapi>> napis(std::uint32_t ifindex);
  Result<std::vector<QueuePackets>> packets(std::uint32_t ifindex);

 private:
  NetdevQueues(NetlinkSocket netlink, std::uint16_t family)
      : netlink_(std::move(netlink)), family_(family) {}

  NetlinkSocket netlink_;
  std::uint16_t family_ = 0;  ///< 0: the kernel has no such family
};

}  // namespace ankus
