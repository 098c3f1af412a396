// SPDX-License-Identifier: Apache-2.0
// Recorded in the VM lab on kernel 7.3: igb has queues, NAPIs and interrupts, virtio a key and
// packets.
#include "kernel/ethtool.h"

#include <gmock/gmock.h>
#include <linux/ethtool.h>

#include "fake/recorded.h"
#include "kernel/netdev_queues.h"

namespace ankus {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::SizeIs;

std::vector<NetlinkMessage> recorded(const std::string& kind) {
  return recorded_messages("ethtool/queues.txt", kind);
}
template <class Value>
std::vector<Value> parsed(const std::string& kind,
                          std::optional<Value> (*parse)(std::span<const std::byte>)) {
  std::vector<Value> values;
  for (const NetlinkMessage& message : recorded(kind))
    if (auto value = parse(message)) values.push_back(std::move(*value));
  return values;
}
std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    char digits[3];
    (void)std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
    text += digits;
  }
  return text;
}

TEST(EthtoolMessages, NameTheFamily) {
  EXPECT_EQ(parse_family(recorded("family-ethtool")[0]), 0x17);
  EXPECT_EQ(parse_family(recorded("rss-igb")[0]), std::nullopt);
}

TEST(EthtoolMessages, TellTableAndKey) {
  const auto igb = parsed("rss-igb", parse_rss);
  ASSERT_THAT(igb, SizeIs(1));
  EXPECT_THAT(igb[0].table, SizeIs(128));
  EXPECT_EQ(igb[0].table[31], 0U);
  EXPECT_EQ(igb[0].table[127], 3U);
  EXPECT_THAT(igb[0].key, SizeIs(40));

  const auto virtio = parsed("rss-virtio", parse_rss);
  ASSERT_THAT(virtio, SizeIs(1));
  EXPECT_EQ(virtio[0].table, default_table(128, 4));
  EXPECT_THAT(virtio[0].key, SizeIs(40));
  EXPECT_EQ(virtio[0].function, 1U) << "Toeplitz";
}

TEST(EthtoolMessages, AskAndSet) {
  EXPECT_EQ(hex(rss_request(0x17, "nic0")),
            "240000001700010000000000000000002601000010000180"
            "09000200"
            "6e69633000000000");
  const std::vector<std::uint32_t> table{1, 2};
  EXPECT_EQ(hex(rss_set_request(0x17, "eth0", table)).substr(32),
            "30010000"
            "10000180"
            "09000200"
            "6574683000000000"
            "0c000400"
            "0100000002000000");
  EXPECT_EQ(hex(rss_set_request(0x17, "eth0", {})).substr(32),
            "30010000"
            "10000180"
            "09000200"
            "6574683000000000"
            "04000400")
      << "an empty table is a reset";
}

TEST(NetdevQueues, AreToldWithTheirInterrupts) {
  const auto queues = parsed("queue-igb", parse_queue);
  ASSERT_THAT(queues, SizeIs(8));
  EXPECT_EQ(queues[1], (NetdevQueue{.queue = 1, .receives = true, .napi = 0x2002}));
  EXPECT_EQ(queues[4], (NetdevQueue{.queue = 0, .receives = false, .napi = 0x2005}));
  const auto napis = parsed("napi-igb", parse_napi);
  ASSERT_THAT(napis, SizeIs(8));
  EXPECT_THAT(napis, Contains(NetdevNapi{.napi = 0x2002, .irq = 0x22}));
}

TEST(NetdevQueues, TellPackets) {
  const auto packets = parsed("packets-virtio", parse_queue_packets);
  EXPECT_THAT(packets, SizeIs(8));
  EXPECT_EQ(std::ranges::count(packets, true, &QueuePackets::receives), 4);
  EXPECT_TRUE(std::ranges::any_of(packets, [](const auto& q) { return q.packets > 0; }));
}

TEST(Rxfh, ReadsAndWritesTheSameTable) {
  const std::vector<std::uint32_t> table{3, 1, 2, 0};
  auto words = rxfh_set(table, 2);
  ethtool_rxfh head;
  std::memcpy(&head, words.data(), sizeof head);
  EXPECT_EQ(head.cmd, static_cast<std::uint32_t>(ETHTOOL_SRSSH));
  EXPECT_EQ(head.indir_size, 4U);
  EXPECT_EQ(head.key_size, 0U) << "the key stays";
  EXPECT_EQ(head.hfunc, 0U) << "so does the function";
  const auto read = parse_rxfh(words);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->table, table);
  EXPECT_EQ(read->transformation, 2);
  words.pop_back();
  EXPECT_EQ(parse_rxfh(words), std::nullopt) << "cut short";
  EXPECT_EQ(parse_rxfh(rxfh_get(128, 41))->key.size(), 41U);
}

TEST(DefaultTable, IsInTurnOrInRuns) {
  EXPECT_THAT(default_table(5, 2), ElementsAre(0, 1, 0, 1, 0));
  EXPECT_TRUE(is_default_table(default_table(128, 3), 3));
  EXPECT_TRUE(is_default_table(std::vector<std::uint32_t>{0, 0, 1, 1}, 2));
  EXPECT_FALSE(is_default_table(default_table(128, 3), 4)) << "fewer queues than there are";
  EXPECT_FALSE(is_default_table(std::vector<std::uint32_t>{0, 1, 1, 0}, 2));
  EXPECT_FALSE(is_default_table(std::vector<std::uint32_t>{0, 0}, 0));
}

TEST(ReceiveQueueOf, KnowsDriversNames) {
  EXPECT_EQ(receive_queue_of("rx_queue_3_packets"), 3U);
  EXPECT_EQ(receive_queue_of("rx12_packets"), 12U);
  EXPECT_EQ(receive_queue_of("rx-7.packets"), 7U);
  EXPECT_EQ(receive_queue_of("queue_0_rx_cnt"), 0U);
  for (const char* other : {"rx_packets", "rx_queue_3_bytes", "tx_queue_3_packets",
                            "rx3_xdp_packets", "rx_queue__packets", "rx3_packets_phy"})
    EXPECT_EQ(receive_queue_of(other), std::nullopt) << other;
}

}  // namespace
}  // namespace ankus
