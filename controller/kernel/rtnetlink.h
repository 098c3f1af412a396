// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/netlink.h"

namespace ankus {

struct RtXdp {
  std::string where;  ///< "in the driver", "in the stack", "in the NIC"
  std::uint32_t program_id = 0;
  bool operator==(const RtXdp&) const = default;
};

/// A device as RTM_GETLINK tells it (rtnetlink(7)).
struct RtLink {
  std::uint32_t ifindex = 0;
  std::string name;
  std::string kind;  ///< IFLA_INFO_KIND, "" for hardware
  bool up = false;
  bool loopback = false;
  bool tap = false;                 ///< kind "tun" that carries Ethernet frames
  std::uint32_t header_bytes = 14;  ///< in front of layer 3: 0 where there are no Ethernet frames
  std::uint32_t mtu = 0;
  std::uint32_t transmit_queues = 1;
  std::uint32_t master_ifindex = 0;
  std::uint32_t lower_ifindex = 0;  ///< IFLA_LINK: a VLAN's device, a veth's peer
  std::int32_t lower_nsid = -1;     ///< of the namespace that lower_ifindex is in, -1 for this one
  std::uint64_t transmitted_packets = 0;
  /// By the NIC, for want of room: rx_missed_errors and rx_fifo_errors (if_link.h). Drivers that
  /// count a packet in both count it twice here.
  std::uint64_t missed_packets = 0;
  std::vector<RtXdp> xdp;
  bool operator==(const RtLink&) const = default;
};

/// A queueing discipline as RTM_GETQDISC tells it.
struct RtQdisc {
  std::uint32_t ifindex = 0;
  std::uint32_t parent = 0;  ///< TC_H_ROOT, TC_H_INGRESS (also of clsact) or a class
  std::uint32_t handle = 0;  ///< 0 for one that the kernel made by itself
  std::string kind;
  bool operator==(const RtQdisc&) const = default;
};

struct RtRoute {
  std::uint8_t family = 0;
  std::uint8_t type = 0;  ///< RTN_UNICAST ...
  std::uint8_t destination_bits = 0;
  std::uint32_t table = 0;
  std::uint32_t metric = 0;
  std::vector<std::uint32_t> ifindexes;  ///< one, or one per next hop
  bool operator==(const RtRoute&) const = default;
};

struct RtAddress {
  std::uint32_t ifindex = 0;
  std::array<std::uint8_t, 16> address{};  ///< IPv4 as ::ffff:a.b.c.d
  std::uint8_t prefix_bits = 0;            ///< as the family counts them
  bool operator==(const RtAddress&) const = default;
};

// Requests, for NetlinkSocket::dump and get.
NetlinkMessage link_dump_request();
NetlinkMessage qdisc_dump_request();
NetlinkMessage route_dump_request(std::uint8_t family);
NetlinkMessage address_dump_request();
/// Asks how our namespace numbers the one that `netns_fd` (an open /proc/PID/ns/net) names.
NetlinkMessage namespace_number_request(int netns_fd);

// Replies. nullopt is: not this kind of message, or too short to be one.
std::optional<RtLink> parse_link(std::span<const std::byte> message);
std::optional<RtQdisc> parse_qdisc(std::span<const std::byte> message);
std::optional<RtRoute> parse_route(std::span<const std::byte> message);
std::optional<RtAddress> parse_address(std::span<const std::byte> message);
/// -1 where our namespace has no number for it, thus no device whose other end is in it.
std::optional<std::int32_t> parse_namespace_number(std::span<const std::byte> message);

// Dumps of the socket's network namespace.
Result<std::vector<RtLink>> read_links(NetlinkSocket& socket);
/// Includes the `noqueue` and default qdiscs that tc hides.
Result<std::vector<RtQdisc>> read_qdiscs(NetlinkSocket& socket);
Result<std::vector<RtRoute>> read_routes(NetlinkSocket& socket);
Result<std::vector<RtAddress>> read_addresses(NetlinkSocket& socket);
Result<std::int32_t> read_namespace_number(NetlinkSocket& socket, int netns_fd);

/// What a device of the caller's network namespace is called now; empty: there is none.
std::string link_name(std::uint32_t ifindex);

}  // namespace ankus
