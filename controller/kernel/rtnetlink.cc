// SPDX-License-Identifier: Apache-2.0
#include "kernel/rtnetlink.h"

#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>

namespace ankus {
namespace {

template <class Value>
void take(Value& target, std::span<const std::byte> payload) {
  target = value_in<Value>(payload).value_or(target);
}

/// The struct grows with the kernel: what is wanted of it was always there.
void take_statistics(RtLink& link, std::span<const std::byte> payload) {
  constexpr std::size_t kSent = offsetof(rtnl_link_stats64, tx_packets) / 8,
                        kFifo = offsetof(rtnl_link_stats64, rx_fifo_errors) / 8,
                        kMissed = offsetof(rtnl_link_stats64, rx_missed_errors) / 8;
  const auto counts = value_in<std::array<std::uint64_t, kMissed + 1>>(payload);
  if (!counts) return;
  link.transmitted_packets = (*counts)[kSent];
  link.missed_packets = (*counts)[kFifo] + (*counts)[kMissed];
}

void take_kind(RtLink& link, std::span<const std::byte> link_info) {
  for (const NetlinkAttribute& info : attributes_in(link_info)) {
    if (info.type == IFLA_INFO_KIND) link.kind = text_in(info.payload);
    if (info.type != IFLA_INFO_DATA || link.kind != "tun") continue;
    for (const NetlinkAttribute& data : attributes_in(info.payload))
      if (data.type == IFLA_TUN_TYPE)
        link.tap = value_in<std::uint8_t>(data.payload) == std::uint8_t{IFF_TAP};
  }
}

/// IFLA_XDP_PROG_ID is left out of it: it repeats the only one of the three that there is.
void take_xdp(RtLink& link, std::span<const std::byte> xdp) {
  for (const NetlinkAttribute& attribute : attributes_in(xdp)) {
    const char* where = attribute.type == IFLA_XDP_DRV_PROG_ID   ? "in the driver"
                        : attribute.type == IFLA_XDP_SKB_PROG_ID ? "in the stack"
                        : attribute.type == IFLA_XDP_HW_PROG_ID  ? "in the NIC"
                                                                 : nullptr;
    const auto id = value_in<std::uint32_t>(attribute.payload);
    if (where != nullptr && id) link.xdp.push_back({.where = where, .program_id = *id});
  }
}

/// RTA_MULTIPATH: rtnexthop headers, each with its own attributes.
std::vector<std::uint32_t> ifindexes_of_hops(std::span<const std::byte> hops) {
  std::vector<std::uint32_t> ifindexes;
  while (const auto hop = value_in<rtnexthop>(hops)) {
    if (hop->rtnh_len < sizeof *hop || hop->rtnh_len > hops.size()) break;
    ifindexes.push_back(static_cast<std::uint32_t>(hop->rtnh_ifindex));
    hops = hops.subspan(std::min<std::size_t>(RTNH_ALIGN(hop->rtnh_len), hops.size()));
  }
  return ifindexes;
}

template <class Value>
Result<std::vector<Value>> read_all(NetlinkSocket& socket, const NetlinkMessage& request,
                                    std::optional<Value> (*parse)(std::span<const std::byte>),
                                    std::string_view what) {
  const auto replies = socket.dump(request);
  if (!replies) return with_context(what, replies.error());
  std::vector<Value> values;
  values.reserve(replies->size());
  for (const NetlinkMessage& reply : *replies)
    if (auto value = parse(reply)) values.push_back(std::move(*value));
  return values;
}

}  // namespace

NetlinkMessage link_dump_request() {
  NetlinkMessage message = netlink_message(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
  // Spares the IPv6 counters, a large part of each reply.
  put_value(message, IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_SKIP_STATS});
  return message;
}

NetlinkMessage qdisc_dump_request() {
  NetlinkMessage message = netlink_message(RTM_GETQDISC, NLM_F_DUMP, tcmsg{});
  put_attribute(message, TCA_DUMP_INVISIBLE, {});
  return message;
}

NetlinkMessage route_dump_request(std::uint8_t family) {
  return netlink_message(RTM_GETROUTE, NLM_F_DUMP, rtmsg{.rtm_family = family});
}

NetlinkMessage address_dump_request() {
  return netlink_message(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
}

NetlinkMessage namespace_number_request(int netns_fd) {
  NetlinkMessage message = netlink_message(RTM_GETNSID, 0, rtgenmsg{.rtgen_family = AF_UNSPEC});
  put_value(message, NETNSA_FD, static_cast<std::uint32_t>(netns_fd));
  return message;
}

std::optional<RtLink> parse_link(std::span<const std::byte> message) {
  const auto body = body_of<ifinfomsg>(message);
  if (!body || type_of(message) != RTM_NEWLINK) return std::nullopt;
  RtLink link{.ifindex = static_cast<std::uint32_t>(body->ifi_index),
              .up = (body->ifi_flags & IFF_UP) != 0,
              .loopback = (body->ifi_flags & IFF_LOOPBACK) != 0};
  if (body->ifi_type != ARPHRD_ETHER && body->ifi_type != ARPHRD_LOOPBACK) link.header_bytes = 0;
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof *body)) {
    switch (attribute.type) {
      case IFLA_IFNAME: link.name = text_in(attribute.payload); break;
      case IFLA_MTU: take(link.mtu, attribute.payload); break;
      case IFLA_NUM_TX_QUEUES: take(link.transmit_queues, attribute.payload); break;
      case IFLA_MASTER: take(link.master_ifindex, attribute.payload); break;
      case IFLA_LINK: take(link.lower_ifindex, attribute.payload); break;
      case IFLA_LINK_NETNSID: take(link.lower_nsid, attribute.payload); break;
      case IFLA_LINKINFO: take_kind(link, attribute.payload); break;
      case IFLA_XDP: take_xdp(link, attribute.payload); break;
      case IFLA_STATS64: take_statistics(link, attribute.payload); break;
      default: break;
    }
  }
  // A tun device's own IFLA_LINK, like some tunnels', points at itself.
  if (link.lower_ifindex == link.ifindex && link.lower_nsid < 0) link.lower_ifindex = 0;
  return link;
}

std::optional<RtQdisc> parse_qdisc(std::span<const std::byte> message) {
  const auto body = body_of<tcmsg>(message);
  if (!body || type_of(message) != RTM_NEWQDISC) return std::nullopt;
  RtQdisc qdisc{.ifindex = static_cast<std::uint32_t>(body->tcm_ifindex),
                .parent = body->tcm_parent,
                .handle = body->tcm_handle};
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof *body))
    if (attribute.type == TCA_KIND) qdisc.kind = text_in(attribute.payload);
  return qdisc;
}

std::optional<RtRoute> parse_route(std::span<const std::byte> message) {
  const auto body = body_of<rtmsg>(message);
  if (!body || type_of(message) != RTM_NEWROUTE) return std::nullopt;
  RtRoute route{.family = body->rtm_family,
                .type = body->rtm_type,
                .destination_bits = body->rtm_dst_len,
                .table = body->rtm_table};
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof *body)) {
    switch (attribute.type) {
      case RTA_TABLE: take(route.table, attribute.payload); break;
      case RTA_PRIORITY: take(route.metric, attribute.payload); break;
      case RTA_OIF:
        if (const auto ifindex = value_in<std::uint32_t>(attribute.payload))
          route.ifindexes.push_back(*ifindex);
        break;
      case RTA_MULTIPATH:
        for (const std::uint32_t ifindex : ifindexes_of_hops(attribute.payload))
          route.ifindexes.push_back(ifindex);
        break;
      default: break;
    }
  }
  return route;
}

std::optional<RtAddress> parse_address(std::span<const std::byte> message) {
  const auto body = body_of<ifaddrmsg>(message);
  if (!body || type_of(message) != RTM_NEWADDR) return std::nullopt;
  RtAddress address{.ifindex = body->ifa_index, .prefix_bits = body->ifa_prefixlen};
  std::span<const std::byte> bytes;
  // On point-to-point links IFA_ADDRESS is the other end's and IFA_LOCAL ours.
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof *body))
    if (attribute.type == IFA_LOCAL || (attribute.type == IFA_ADDRESS && bytes.empty()))
      bytes = attribute.payload;
  if (body->ifa_family == AF_INET && bytes.size() == 4) {
    address.address[10] = address.address[11] = 0xff;
    std::memcpy(&address.address[12], bytes.data(), 4);
  } else if (body->ifa_family == AF_INET6 && bytes.size() == 16) {
    std::memcpy(address.address.data(), bytes.data(), 16);
  } else {
    return std::nullopt;
  }
  return address;
}

std::optional<std::int32_t> parse_namespace_number(std::span<const std::byte> message) {
  const auto body = body_of<rtgenmsg>(message);
  if (!body || type_of(message) != RTM_NEWNSID) return std::nullopt;
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof *body))
    if (attribute.type == NETNSA_NSID) return value_in<std::int32_t>(attribute.payload);
  return std::nullopt;
}

Result<std::vector<RtLink>> read_links(NetlinkSocket& socket) {
  return read_all(socket, link_dump_request(), parse_link, "links");
}
Result<std::vector<RtQdisc>> read_qdiscs(NetlinkSocket& socket) {
  return read_all(socket, qdisc_dump_request(), parse_qdisc, "qdiscs");
}
Result<std::vector<RtAddress>> read_addresses(NetlinkSocket& socket) {
  return read_all(socket, address_dump_request(), parse_address, "addresses");
}

Result<std::vector<RtRoute>> read_routes(NetlinkSocket& socket) {
  auto routes = read_all(socket, route_dump_request(AF_INET), parse_route, "IPv4 routes");
  if (!routes) return routes;
  auto more = read_all(socket, route_dump_request(AF_INET6), parse_route, "IPv6 routes");
  // A kernel booted with ipv6.disable=1 does not know the family; then there are none.
  if (!more && more.error().kind != ErrorKind::unsupported) return more;
  if (more) routes->insert(routes->end(), more->begin(), more->end());
  return routes;
}

Result<std::int32_t> read_namespace_number(NetlinkSocket& socket, int netns_fd) {
  const auto replies = socket.get(namespace_number_request(netns_fd));
  if (!replies) return with_context("number of a network namespace", replies.error());
  for (const NetlinkMessage& reply : *replies)
    if (const auto number = parse_namespace_number(reply)) return *number;
  return fail(ErrorKind::refused, "number of a network namespace: an empty reply");
}

std::string link_name(std::uint32_t ifindex) {
  std::array<char, IF_NAMESIZE> name{};
  return ::if_indextoname(ifindex, name.data()) == nullptr ? "" : name.data();
}

}  // namespace ankus
