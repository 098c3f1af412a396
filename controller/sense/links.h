// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <vector>

#include "base/clock.h"
#include "kernel/netlink.h"
#include "kernel/rtnetlink.h"
#include "model/snapshot.h"

namespace ankus {

/// The devices whose queues the default routes of the main table lead to, ascending: down through
/// VLANs, bonds and bridges. A bridge leads to its ports that are no veth and no tap; one that has
/// only those is itself the answer.
std::vector<std::uint32_t> uplinks_of(std::span<const RtLink> links,
                                      std::span<const RtRoute> routes);

/// Joins what rtnetlink tells in separate lists; without speed and packets_per_second.
std::vector<Link> join_links(std::span<const RtLink> links, std::span<const RtQdisc> qdiscs,
                             std::span<const RtRoute> routes, std::uint64_t netns_cookie);

/// Reads Snapshot::links of this process's network namespace. Costs four netlink dumps, of which
/// that of the links is the dearest (about 1.5 KB and 5 µs for each device), and one ioctl for
/// each device that is not virtual.
class LinkReader {
 public:
  static Result<LinkReader> open();

  /// packets_per_second is over the time since the call before; 0 at the first.
  Result<std::vector<Link>> read(MonotonicTime now);

 private:
  struct Counted {
    std::uint64_t packets = 0;
    MonotonicTime at;
  };
  LinkReader(NetlinkSocket socket, std::uint64_t netns_cookie)
      : socket_(std::move(socket)), netns_cookie_(netns_cookie) {}

  NetlinkSocket socket_;
  std::uint64_t netns_cookie_;
  std::map<std::uint32_t, Counted> before_;  ///< by ifindex
};

}  // namespace ankus
