// SPDX-License-Identifier: Apache-2.0
#include "bench/bucket_loads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "policy/balance.h"

namespace ankus::bench {
namespace {

using Table = std::vector<std::uint32_t>;

std::string recorded_text() {
  std::ifstream file(std::string(ANKUS_SOURCE_DIR) + "/tests/data/bucket_loads/recorded.txt");
  return {std::istreambuf_iterator<char>(file), {}};
}
std::vector<BucketRecord> recorded() { return bucket_records_from_text(recorded_text()).value(); }

Table default_table(std::size_t entries, std::uint32_t queues) {
  Table table(entries);
  for (std::size_t i = 0; i < entries; ++i) table[i] = static_cast<std::uint32_t>(i % queues);
  return table;
}
std::vector<double> sums_of(const Table& table, const std::vector<double>& loads,
                            std::uint32_t queues) {
  std::vector<double> sums(queues);
  for (std::size_t i = 0; i < table.size(); ++i) sums[table[i]] += loads[i];
  return sums;
}
std::size_t moves(const Table& a, const Table& b) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) count += a[i] != b[i] ? 1 : 0;
  return count;
}

// "Verifying the RSS Hash Calculation" in Microsoft's NDIS documentation.
TEST(Toeplitz, HashesAsNicsDo) {
  const std::uint8_t first[] = {66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6};
  EXPECT_EQ(toeplitz(toeplitz_key(), first), 0x51ccc178u);
  EXPECT_EQ(toeplitz(toeplitz_key(), std::span(first).first(8)), 0x323e8fc2u);
  const std::uint8_t second[] = {199, 92, 111, 2, 65, 69, 140, 83, 0x37, 0x96, 0x12, 0x83};
  EXPECT_EQ(toeplitz(toeplitz_key(), second), 0xc626b0eau);
}

TEST(BucketLoads, AreWhatIsRecorded) {
  std::string drawn;
  for (const char* table : {"websearch", "hadoop"})
    for (const unsigned flows : {200U, 2'000U, 20'000U})
      for (std::uint64_t seed = 1; seed <= 4; ++seed)
        drawn += to_text(draw_bucket_loads(table, flows, seed, 128).value());
  const std::string text = recorded_text();
  ASSERT_NE(text.find("websearch"), std::string::npos);
  EXPECT_EQ(text.substr(text.find("websearch")), drawn);
}

TEST(BucketLoads, RejectWhatIsNoRecord) {
  EXPECT_FALSE(bucket_records_from_text("1 2 3"));
  EXPECT_FALSE(bucket_records_from_text("a: 1 x"));
  EXPECT_EQ(bucket_records_from_text("# why\na b: 1 2\n").value().at(0).packets.size(), 2u);
}

TEST(Rsspp, LowersTheSquaredImbalance) {
  std::size_t lowered = 0, cases = 0;
  for (const BucketRecord& record : recorded())
    for (const std::uint32_t queues : {4U, 16U}) {
      const Table table = default_table(record.packets.size(), queues);
      const auto before = sums_of(table, record.packets, queues);
      const auto after =
          sums_of(rsspp_table(table, record.packets, queues), record.packets, queues);
      const auto squares = [](const std::vector<double>& sums) {
        double sum = 0;  // of squares: the mean is the same
        for (const double load : sums) sum += load * load;
        return sum;
      };
      EXPECT_LE(squares(after), squares(before)) << record.name;
      lowered += squares(after) < squares(before) ? 1 : 0;
      ++cases;
    }
  EXPECT_GE(lowered * 10, cases * 9);  // of one table all queues are within its threshold
}

// Side by side: as good a table as RSS++'s rule makes, by fewer moves.
TEST(Balance, NeedsFewerMovesThanRsspp) {
  std::size_t ours = 0, theirs = 0;
  for (const BucketRecord& record : recorded())
    for (const std::uint32_t queues : {4U, 8U, 16U, 64U}) {
      const Table table = default_table(record.packets.size(), queues);
      const Table rsspp = rsspp_table(table, record.packets, queues);
      const double limit = std::ranges::max(sums_of(rsspp, record.packets, queues));
      const auto few = few_moves_to(table, record.packets, queues, limit);
      ASSERT_TRUE(few) << record.name << " " << queues;
      EXPECT_LE(std::ranges::max(sums_of(*few, record.packets, queues)), limit * (1 + 1e-9));
      EXPECT_LE(moves(table, *few), moves(table, rsspp)) << record.name << " " << queues;
      ours += moves(table, *few);
      theirs += moves(table, rsspp);
    }
  RecordProperty("moves", static_cast<int>(ours));
  RecordProperty("rsspp_moves", static_cast<int>(theirs));
  EXPECT_LT(ours, theirs);
}

}  // namespace
}  // namespace ankus::bench
