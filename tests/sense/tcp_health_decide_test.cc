// SPDX-License-Identifier: Apache-2.0
// The TCP sensor's decisions, and what a record of the kernel side means.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "bpf/tcp_health.h"
#include "sense/tcp_health.h"

namespace ankus {
namespace {

TEST(TcpGrown, ACounterThatIsLowerBeginsAnew) {
  EXPECT_EQ(ankus_grown(10, 4), 6U);
  EXPECT_EQ(ankus_grown(10, 10), 0U);
  EXPECT_EQ(ankus_grown(3, 10), 3U);
}

TEST(TcpMoved, ASegmentSentOrBytesThatCame) {
  const ankus_tcp_counts told{
      .bytes_sent = 10, .bytes_acked = 5, .bytes_received = 7, .segments_sent = 2};
  EXPECT_FALSE(ankus_moved(&told, &told));
  for (auto change : {+[](ankus_tcp_counts& c) { ++c.segments_sent; },
                      +[](ankus_tcp_counts& c) { ++c.bytes_received; },
                      +[](ankus_tcp_counts& c) { ++c.bytes_acked; }}) {
    ankus_tcp_counts now = told;
    change(now);
    EXPECT_TRUE(ankus_moved(&now, &told));
  }
}

using Address = std::array<std::uint8_t, 16>;
constexpr Address v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
}
bool loopback(const Address& local, const Address& remote) {
  alignas(8) const Address a = local, b = remote;
  return ankus_is_loopback(a.data(), b.data()) != 0;
}

TEST(TcpLoopback, IsWhatNeverLeavesTheHost) {
  EXPECT_TRUE(loopback(v4(127, 0, 0, 1), v4(127, 0, 0, 53)));
  EXPECT_TRUE(loopback(v4(10, 0, 0, 1), v4(10, 0, 0, 1))) << "to its own address";
  EXPECT_FALSE(loopback(v4(10, 0, 0, 1), v4(10, 0, 0, 2)));
  Address own{};
  own[0] = 0xfd, own[15] = 1;
  Address other = own;
  EXPECT_TRUE(loopback(own, other));
  other[12] = 127;
  EXPECT_FALSE(loopback(own, other)) << "127 means nothing in IPv6";
}

TEST(TcpRecord, ReadAndWrittenFollowFromWhatTheSocketCounts) {
  ankus_tcp_record record{};
  record.state = 1;
  record.counts = {.bytes_sent = 1500, .bytes_retransmitted = 500, .bytes_received = 800};
  record.unsent = 200;
  record.unread = 300;
  record.now = 5'000;
  const TcpFlow flow = tcp_flow_of(record);
  EXPECT_EQ(flow.written.count, 1200U) << "sent once, and still to send";
  EXPECT_EQ(flow.read.count, 500U);
  EXPECT_TRUE(flow.established);
  EXPECT_FALSE(flow.duration) << "nobody saw it begin";
  record.established = 2'000;
  EXPECT_EQ(tcp_flow_of(record).duration, nanoseconds(3'000));
  record.unread = 900;
  EXPECT_EQ(tcp_flow_of(record).read.count, 0U) << "never below nothing";
}

}  // namespace
}  // namespace ankus
