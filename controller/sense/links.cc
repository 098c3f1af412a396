// SPDX-License-Identifier: Apache-2.0
#include "sense/links.h"

#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "kernel/rtnetlink_speed.h"

namespace ankus {
namespace {

bool has_members(const RtLink& link) {
  return link.kind == "bond" || link.kind == "bridge" || link.kind == "team";
}

/// The devices right below `link` in which its packets queue; empty if it has its own queue.
std::vector<const RtLink*> below(const RtLink& link, std::span<const RtLink> links) {
  std::vector<const RtLink*> found;
  for (const RtLink& other : links) {
    if (link.kind == "vlan" && link.lower_nsid < 0 && other.ifindex == link.lower_ifindex)
      found.push_back(&other);
    if (!has_members(link) || other.master_ifindex != link.ifindex) continue;
    const bool leads_to_workloads =
        other.kind == "veth" || other.kind == "netkit" || other.kind == "tun";
    if (link.kind != "bridge" || !leads_to_workloads) found.push_back(&other);
  }
  return found;
}

void descend(const RtLink& link, std::span<const RtLink> links, std::set<std::uint32_t>& visited,
             std::set<std::uint32_t>& leaves) {
  if (!visited.insert(link.ifindex).second) return;
  const std::vector<const RtLink*> lower = below(link, links);
  if (lower.empty()) leaves.insert(link.ifindex);
  for (const RtLink* next : lower) descend(*next, links, visited, leaves);
}

bool is_default(const RtRoute& route) {
  return route.destination_bits == 0 && route.table == RT_TABLE_MAIN && route.type == RTN_UNICAST;
}

/// veth says 10 Gbit, tun says 10 Mbit, bridges what their fastest port says: none is a fact.
bool driver_knows_its_speed(const Link& link) {
  return link.kind.empty() || link.kind == "bond" || link.kind == "team";
}

}  // namespace

std::vector<std::uint32_t> uplinks_of(std::span<const RtLink> links,
                                      std::span<const RtRoute> routes) {
  std::set<std::uint32_t> visited, leaves;
  for (const RtRoute& route : routes) {
    if (!is_default(route)) continue;
    for (const std::uint32_t ifindex : route.ifindexes) {
      const auto link = std::ranges::find(links, ifindex, &RtLink::ifindex);
      if (link != links.end() && !link->loopback) descend(*link, links, visited, leaves);
    }
  }
  return {leaves.begin(), leaves.end()};
}

std::vector<Link> join_links(std::span<const RtLink> links, std::span<const RtQdisc> qdiscs,
                             std::span<const RtRoute> routes, std::uint64_t netns_cookie) {
  const std::vector<std::uint32_t> uplinks = uplinks_of(links, routes);
  std::map<std::uint32_t, Link> joined;
  for (const RtLink& link : links)
    joined[link.ifindex] = {
        .device = {.name = link.name, .ifindex = link.ifindex, .netns_cookie = netns_cookie},
        .kind = link.kind,
        .up = link.up,
        .has_default_route = std::ranges::binary_search(uplinks, link.ifindex),
        .tap = link.tap,
        .header_bytes = link.header_bytes,
        .mtu = link.mtu,
        .transmit_queues = link.transmit_queues,
        .root_kind = "noqueue",
        .master_ifindex = link.master_ifindex,
        .peer_ifindex = link.lower_ifindex,
        .link_netnsid = link.lower_nsid};
  for (const RtQdisc& qdisc : qdiscs) {
    const auto link = joined.find(qdisc.ifindex);
    if (link == joined.end()) continue;
    if (qdisc.parent == TC_H_ROOT) {
      link->second.root_kind = qdisc.kind;
      link->second.root_handle = {qdisc.handle};
    } else if (qdisc.parent == TC_H_INGRESS) {  // the same number as TC_H_CLSACT
      link->second.foreign_clsact = true;
    }
  }
  std::vector<Link> sorted;
  for (auto& [ifindex, link] : joined) sorted.push_back(std::move(link));
  return sorted;
}

Result<LinkReader> LinkReader::open() {
  const auto cookie = own_netns_cookie();
  if (!cookie) return std::unexpected(cookie.error());
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return std::unexpected(socket.error());
  return LinkReader(std::move(*socket), *cookie);
}

Result<std::vector<Link>> LinkReader::read(MonotonicTime now) {
  const auto raw = read_links(socket_);
  if (!raw) return std::unexpected(raw.error());
  const auto qdiscs = read_qdiscs(socket_);
  if (!qdiscs) return std::unexpected(qdiscs.error());
  const auto routes = read_routes(socket_);
  if (!routes) return std::unexpected(routes.error());

  std::vector<Link> links = join_links(*raw, *qdiscs, *routes, netns_cookie_);
  std::map<std::uint32_t, Counted> counted;
  for (const RtLink& link : *raw)
    counted[link.ifindex] = {.packets = link.transmitted_packets, .at = now};
  for (Link& link : links) {
    if (driver_knows_its_speed(link))
      if (const auto speed = read_link_speed(link.device.name)) link.speed = *speed;
    const Counted& after = counted[link.device.ifindex];
    const auto before = before_.find(link.device.ifindex);
    if (before == before_.end() || after.packets < before->second.packets) continue;
    const double elapsed = std::chrono::duration<double>(now - before->second.at).count();
    if (elapsed > 0)
      link.packets_per_second =
          static_cast<double>(after.packets - before->second.packets) / elapsed;
  }
  before_ = std::move(counted);
  return links;
}

}  // namespace ankus
