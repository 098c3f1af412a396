// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "model/snapshot.h"

namespace ankus::example {

inline constexpr std::uint64_t kCookie = 4097;

/// A 1 Gbit server as `ip -d link` shows one: hardware uplink with four queues, a second port
/// without cable, a docker bridge with two containers, a VM's tap.
inline Snapshot host() {
  Snapshot snapshot{
      .host = {.kernel_release = "6.8.0", .tcx = true, .htb = true, .ifb = true, .cpus = 8}};
  snapshot.links = {
      {.device = {.name = "lo", .ifindex = 1, .netns_cookie = kCookie},
       .up = true,
       .mtu = 65'536,
       .root_kind = "noqueue"},
      {.device = {.name = "eth0", .ifindex = 2, .netns_cookie = kCookie},
       .up = true,
       .has_default_route = true,
       .speed = BitRate{1'000'000'000},
       .mtu = 1'500,
       .transmit_queues = 4,
       .root_kind = "mq",
       .packets_per_second = 40'000},
      {.device = {.name = "eth1", .ifindex = 3, .netns_cookie = kCookie},
       .mtu = 1'500,
       .transmit_queues = 4,
       .root_kind = "mq"},
      {.device = {.name = "docker0", .ifindex = 4, .netns_cookie = kCookie},
       .kind = "bridge",
       .up = true,
       .mtu = 1'500,
       .root_kind = "noqueue"},
      {.device = {.name = "veth1a2b3c", .ifindex = 6, .netns_cookie = kCookie},
       .kind = "veth",
       .up = true,
       .speed = BitRate{10'000'000'000},
       .mtu = 1'500,
       .root_kind = "noqueue",
       .master_ifindex = 4,
       .peer_ifindex = 5,
       .link_netnsid = 0},
      {.device = {.name = "veth4d5e6f", .ifindex = 8, .netns_cookie = kCookie},
       .kind = "veth",
       .up = true,
       .speed = BitRate{10'000'000'000},
       .mtu = 1'500,
       .root_kind = "noqueue",
       .master_ifindex = 4,
       .peer_ifindex = 7,
       .link_netnsid = 1},
      {.device = {.name = "tap0", .ifindex = 9, .netns_cookie = kCookie},
       .kind = "tun",
       .up = true,
       .speed = BitRate{10'000'000},
       .mtu = 1'500,
       .root_kind = "fq_codel"},
  };
  const auto on = [&](std::size_t link) { return snapshot.links[link].device; };
  snapshot.workloads = {
      {.workload = {.id = 7,
                    .kind = WorkloadKind::container,
                    .device = on(4),
                    .name = "silver-web",
                    .label = "compose:shop/web"},
       .footprint = {.weight = Weight::light}},
      {.workload = {.id = 3,
                    .kind = WorkloadKind::container,
                    .device = on(5),
                    .name = "gold/backup-x7/dump",
                    .label = "k8s:gold/dump"},
       .footprint = {.weight = Weight::heavy}},
      {.workload = {.id = 5,
                    .kind = WorkloadKind::vm,
                    .device = on(6),
                    .name = "build",
                    .label = "vm:build"},
       .footprint = {.weight = Weight::mixed}},
      {.workload = {.id = 9,
                    .kind = WorkloadKind::service,
                    .name = "sshd.service",
                    .label = "unit:sshd.service",
                    .opted_out = true},
       .footprint = {.weight = Weight::light}},
      {.workload = {.id = 11, .kind = WorkloadKind::service, .name = "new.service"}},
  };
  return snapshot;
}

inline Link& link(Snapshot& snapshot, std::string_view name) {
  for (Link& link : snapshot.links)
    if (link.device.name == name) return link;
  return snapshot.links.front();
}

inline std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline std::string shipped(const std::string& name) {
  return file_text(std::string(ANKUS_SOURCE_DIR) + "/policies/" + name);
}

}  // namespace ankus::example
