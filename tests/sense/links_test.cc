// SPDX-License-Identifier: Apache-2.0
#include "sense/links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RtLink link(std::uint32_t ifindex, std::string kind = "", std::uint32_t master = 0,
            std::uint32_t lower = 0) {
  return {.ifindex = ifindex,
          .name = "d" + std::to_string(ifindex),
          .kind = std::move(kind),
          .up = true,
          .master_ifindex = master,
          .lower_ifindex = lower};
}

RtRoute default_over(std::vector<std::uint32_t> ifindexes) {
  return {.family = AF_INET,
          .type = RTN_UNICAST,
          .table = RT_TABLE_MAIN,
          .ifindexes = std::move(ifindexes)};
}

TEST(Uplinks, AreTheDevicesOfAllDefaultRoutes) {
  const std::vector links{link(1), link(2), link(3), link(4)};
  RtRoute six = default_over({3});
  six.family = AF_INET6;
  EXPECT_THAT(uplinks_of(links, std::vector{default_over({4, 2}), six}), ElementsAre(2, 3, 4));
}

TEST(Uplinks, AreWhereTheQueueIsBelowVlanBondAndBridge) {
  const std::vector links{
      link(1, "bridge"), link(2, "vlan", 1, 3), link(3, "bond"),   link(4, "", 3),
      link(5, "", 3),    link(6, "veth", 1),    link(7, "tun", 1), link(8)};
  EXPECT_THAT(uplinks_of(links, std::vector{default_over({1})}), ElementsAre(4, 5));
}

TEST(Uplinks, ABridgeOfWorkloadsOnlyIsItsOwnAnswer) {
  const std::vector links{link(1, "bridge"), link(2, "veth", 1), link(3, "tun", 1)};
  EXPECT_THAT(uplinks_of(links, std::vector{default_over({1})}), ElementsAre(1));
}

TEST(Uplinks, ACircleOfDevicesEnds) {
  const std::vector links{link(1, "vlan", 0, 2), link(2, "bond"), link(1, "vlan", 2, 2)};
  EXPECT_THAT(uplinks_of(links, std::vector{default_over({1})}), IsEmpty());
}

TEST(Uplinks, OtherTablesUnreachableRoutesAndVanishedDevicesAreNone) {
  const std::vector links{link(1)};
  RtRoute policy_routing = default_over({1});
  policy_routing.table = 100;
  RtRoute unreachable = default_over({1});
  unreachable.type = RTN_UNREACHABLE;
  RtRoute network = default_over({1});
  network.destination_bits = 8;
  EXPECT_THAT(
      uplinks_of(links, std::vector{policy_routing, unreachable, network, default_over({9})}),
      IsEmpty());
}

TEST(Links, JoinDevicesWithTheirQdiscs) {
  RtLink veth = link(2, "veth", 0, 7);
  veth.lower_nsid = 3;
  veth.mtu = 1400;
  veth.transmit_queues = 4;
  const std::vector<RtQdisc> qdiscs{
      {.ifindex = 2, .parent = TC_H_ROOT, .handle = 0x70000, .kind = "htb"},
      {.ifindex = 2, .parent = 0x70010, .handle = 0x80000, .kind = "fq"},
      {.ifindex = 2, .parent = TC_H_INGRESS, .handle = 0xffff0000, .kind = "clsact"},
      {.ifindex = 9, .parent = TC_H_ROOT, .handle = 0, .kind = "fq"}};
  const auto links =
      join_links(std::vector{veth, link(1)}, qdiscs, std::vector{default_over({1})}, 77);
  EXPECT_THAT(links, ElementsAre(Link{.device = {.name = "d1", .ifindex = 1, .netns_cookie = 77},
                                      .up = true,
                                      .has_default_route = true,
                                      .root_kind = "noqueue"},
                                 Link{.device = {.name = "d2", .ifindex = 2, .netns_cookie = 77},
                                      .kind = "veth",
                                      .up = true,
                                      .mtu = 1400,
                                      .transmit_queues = 4,
                                      .root_kind = "htb",
                                      .root_handle = {0x70000},
                                      .foreign_clsact = true,
                                      .peer_ifindex = 7,
                                      .link_netnsid = 3}));
}

TEST(LinkReader, ReadsThisNamespace) {
  auto reader = LinkReader::open();
  ASSERT_TRUE(reader) << reader.error().text;
  const auto links = reader->read(MonotonicTime{seconds(1)});
  ASSERT_TRUE(links) << links.error().text;
  const auto lo = std::ranges::find(*links, "lo", [](const Link& l) { return l.device.name; });
  ASSERT_NE(lo, links->end());
  EXPECT_NE(lo->device.netns_cookie, 0u);
  EXPECT_FALSE(lo->speed);
  EXPECT_FALSE(lo->has_default_route);
}

}  // namespace
}  // namespace ankus
