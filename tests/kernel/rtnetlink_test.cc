// SPDX-License-Identifier: Apache-2.0
#include "kernel/rtnetlink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "fake/recorded.h"

namespace ankus {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::SizeIs;

std::vector<NetlinkMessage> recorded(const std::string& kind) {
  return recorded_messages("rtnetlink/namespace.txt", kind);
}

template <class Value>
std::vector<Value> parsed(const std::string& kind,
                          std::optional<Value> (*parse)(std::span<const std::byte>)) {
  std::vector<Value> values;
  for (const NetlinkMessage& message : recorded(kind))
    if (auto value = parse(message)) values.push_back(std::move(*value));
  return values;
}

TEST(RtnetlinkLink, ReadsEachXdpProgramOnce) {
  NetlinkMessage message = netlink_message(RTM_NEWLINK, 0, ifinfomsg{.ifi_index = 2});
  const std::size_t nest = begin_nest(message, IFLA_XDP);
  put_value(message, IFLA_XDP_ATTACHED, std::uint8_t{XDP_ATTACHED_MULTI});
  put_value(message, IFLA_XDP_PROG_ID, std::uint32_t{41});  // as the next says
  put_value(message, IFLA_XDP_SKB_PROG_ID, std::uint32_t{41});
  put_value(message, IFLA_XDP_HW_PROG_ID, std::uint32_t{42});
  end_nest(message, nest);
  const auto link = parse_link(message);
  ASSERT_TRUE(link);
  EXPECT_THAT(link->xdp, ElementsAre(RtXdp{.where = "in the stack", .program_id = 41},
                                     RtXdp{.where = "in the NIC", .program_id = 42}));
}

TEST(RtnetlinkLink, ReadsVethTapTunAndLoopback) {
  const auto links = parsed("link", parse_link);
  ASSERT_THAT(links, SizeIs(4));
  EXPECT_EQ(links[0].name, "lo");
  EXPECT_TRUE(links[0].loopback);
  EXPECT_FALSE(links[0].up);

  RtLink veth = links[1];
  EXPECT_GT(veth.transmitted_packets, 0u);
  veth.transmitted_packets = 0;
  EXPECT_EQ(veth, (RtLink{.ifindex = 2,
                          .name = "veth7",
                          .kind = "veth",
                          .up = true,
                          .mtu = 1400,
                          .transmit_queues = 2,
                          .lower_ifindex = 2,
                          .lower_nsid = 0}))
      << "its peer has the same number in the other namespace";

  EXPECT_EQ(links[2].kind, "tun");
  EXPECT_TRUE(links[2].tap);
  EXPECT_EQ(links[2].lower_nsid, -1);
  EXPECT_EQ(links[3].kind, "tun");
  EXPECT_FALSE(links[3].tap);
  EXPECT_EQ(links[2].header_bytes, 14U);
  EXPECT_EQ(links[3].header_bytes, 0U) << "no Ethernet frames";
}

TEST(RtnetlinkQdisc, TellsRootFromClsact) {
  EXPECT_THAT(
      parsed("qdisc", parse_qdisc),
      ElementsAre(
          RtQdisc{.ifindex = 2, .parent = TC_H_ROOT, .handle = 0x70000, .kind = "htb"},
          RtQdisc{.ifindex = 2, .parent = TC_H_INGRESS, .handle = 0xffff0000, .kind = "clsact"},
          RtQdisc{.ifindex = 3, .parent = TC_H_ROOT, .handle = 0, .kind = "pfifo_fast"}));
}

TEST(RtnetlinkRoute, ReadsADefaultRouteOverTwoHops) {
  EXPECT_THAT(parsed("route4", parse_route), Contains(RtRoute{.family = AF_INET,
                                                              .type = RTN_UNICAST,
                                                              .destination_bits = 0,
                                                              .table = RT_TABLE_MAIN,
                                                              .metric = 50,
                                                              .ifindexes = {2, 3}}));
  const auto routes6 = parsed("route6", parse_route);
  ASSERT_THAT(routes6, SizeIs(2));
  EXPECT_EQ(routes6[0].family, AF_INET6);
  EXPECT_EQ(routes6[0].destination_bits, 64);
  EXPECT_THAT(routes6[0].ifindexes, ElementsAre(2u));
}

TEST(RtnetlinkAddress, HoldsBothFamiliesInSixteenBytes) {
  const auto addresses = parsed("addr", parse_address);
  ASSERT_THAT(addresses, SizeIs(3));
  EXPECT_EQ(addresses[0],
            (RtAddress{.ifindex = 2,
                       .address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 0, 1},
                       .prefix_bits = 24}));
  EXPECT_EQ(addresses[2].address[0], 0xfe);
  EXPECT_EQ(addresses[2].address[1], 0x80);
  EXPECT_EQ(addresses[2].prefix_bits, 64);
}

TEST(RtnetlinkNamespaceNumber, IsReadFromTheReply) {
  EXPECT_THAT(parsed("nsid", parse_namespace_number), ElementsAre(0));
}

TEST(Rtnetlink, NoParserTakesAnothersMessage) {
  for (const char* kind : {"link", "qdisc", "route4", "addr", "nsid"})
    for (const NetlinkMessage& message : recorded(kind)) {
      const int takers = parse_link(message).has_value() + parse_qdisc(message).has_value() +
                         parse_route(message).has_value() + parse_address(message).has_value() +
                         parse_namespace_number(message).has_value();
      EXPECT_EQ(takers, 1) << kind;
    }
}

TEST(Rtnetlink, CutAnywhereNoParserReadsBeyond) {
  // Each cut is its own allocation, so that the address sanitizer sees a byte too many.
  for (const char* kind : {"link", "qdisc", "route4", "addr", "nsid"})
    for (const NetlinkMessage& message : recorded(kind))
      for (std::size_t size = 0; size < message.size(); ++size) {
        NetlinkMessage cut(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
        cut.shrink_to_fit();
        const bool header = size >= kNetlinkHeaderSize + 16;
        EXPECT_LE(parse_link(cut).has_value(), header);
        (void)parse_qdisc(cut);
        (void)parse_route(cut);
        (void)parse_address(cut);
        (void)parse_namespace_number(cut);
      }
}

TEST(Rtnetlink, DumpsThisNamespace) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  ASSERT_TRUE(socket) << socket.error().text;
  const auto links = read_links(*socket);
  ASSERT_TRUE(links) << links.error().text;
  EXPECT_TRUE(std::ranges::any_of(*links, &RtLink::loopback));
  EXPECT_TRUE(read_qdiscs(*socket));
  EXPECT_TRUE(read_routes(*socket));
  EXPECT_TRUE(read_addresses(*socket));
  const auto number = read_namespace_number(*socket, -1);
  ASSERT_FALSE(number);
}

}  // namespace
}  // namespace ankus
