// SPDX-License-Identifier: Apache-2.0
#include "policy/balance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

namespace ankus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Table = std::vector<std::uint32_t>;

double draw(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1.0p-53; }

std::vector<double> sums_of(const Table& table, const std::vector<double>& loads,
                            std::uint32_t queues) {
  std::vector<double> sums(queues);
  for (std::size_t i = 0; i < table.size(); ++i) sums[table[i]] += loads[i];
  return sums;
}
double busiest(const Table& table, const std::vector<double>& loads, std::uint32_t queues) {
  return std::ranges::max(sums_of(table, loads, queues));
}
std::size_t distance(const Table& a, const Table& b) {
  std::size_t moved = 0;
  for (std::size_t i = 0; i < a.size(); ++i) moved += a[i] != b[i] ? 1 : 0;
  return moved;
}

std::vector<double> packets_of(const BalanceInput& input) {
  std::vector<double> loads;
  for (const BucketLoad& load : input.loads) loads.push_back(load.packets_per_second);
  return loads;
}

/// All queues' CPUs are busy enough, and any gain will do.
BalanceInput input_of(Table table, const std::vector<double>& loads, std::uint32_t queues) {
  BalanceInput input{.table = std::move(table),
                     .queues = queues,
                     .busy = std::vector<std::optional<Share>>(queues, Share{0.95}),
                     .min_gain = Share{1e-12}};
  for (const double load : loads) input.loads.push_back({.packets_per_second = load});
  return input;
}

/// Loads as hashed traffic has them: most entries little, some much, a few all, some nothing.
std::vector<double> random_loads(std::mt19937_64& random, std::size_t entries) {
  const int kind = static_cast<int>(random() % 4);
  std::vector<double> loads;
  for (std::size_t i = 0; i < entries; ++i) {
    const double even = draw(random);
    switch (kind) {
      case 0: loads.push_back(std::floor(even * 1000)); break;
      case 1: loads.push_back(even < 0.3 ? 0 : 10 / (even + 0.001)); break;  // heavy tail
      case 2: loads.push_back(even < 0.1 ? 5000 : 100 * even); break;        // elephants
      default: loads.push_back(100); break;                                  // all the same
    }
  }
  return loads;
}

Table random_table(std::mt19937_64& random, std::size_t entries, std::uint32_t queues) {
  Table table(entries);
  const bool in_turn = random() % 2 == 0;
  for (std::size_t i = 0; i < entries; ++i)
    table[i] = static_cast<std::uint32_t>(in_turn ? i % queues : random() % queues);
  return table;
}

/// The least that the busiest queue can have, by trying everything.
double exhaustive(const std::vector<double>& loads, std::uint32_t queues) {
  std::vector<double> sums(queues);
  double best = std::numeric_limits<double>::infinity();
  const std::function<void(std::size_t, std::uint32_t)> place = [&](std::size_t at,
                                                                    std::uint32_t used) {
    if (at == loads.size()) {
      best = std::min(best, std::ranges::max(sums));
      return;
    }
    // An empty queue is as good as another: one of them is enough.
    for (std::uint32_t queue = 0; queue < std::min(queues, used + 1); ++queue) {
      sums[queue] += loads[at];
      place(at + 1, std::max(used, queue + 1));
      sums[queue] -= loads[at];
    }
  };
  place(0, 0);
  return best;
}

/// The fewest moves that bring no queue more than `limit`, by trying everything.
std::size_t fewest_moves(const Table& table, const std::vector<double>& loads, std::uint32_t queues,
                         double limit) {
  std::vector<double> sums(queues);
  std::size_t best = table.size() + 1;
  const std::function<void(std::size_t, std::size_t)> place = [&](std::size_t at,
                                                                  std::size_t moved) {
    if (moved >= best) return;
    if (at == table.size()) {
      best = moved;
      return;
    }
    for (std::uint32_t queue = 0; queue < queues; ++queue) {
      if (sums[queue] + loads[at] > limit * (1 + 1e-9)) continue;
      sums[queue] += loads[at];
      place(at + 1, moved + (queue != table[at] ? 1 : 0));
      sums[queue] -= loads[at];
    }
  };
  place(0, 0);
  return best;
}

TEST(Balance, MovesOneEntryWhereOneIsEnough) {
  const Balance result = balance(input_of({0, 0, 1, 1}, {60, 40, 10, 10}, 2));
  ASSERT_TRUE(result.table);
  EXPECT_THAT(*result.table, ElementsAre(0, 1, 1, 1));
  EXPECT_EQ(result.moves, 1u);
  EXPECT_NEAR(result.gain.of_one, 0.4, 1e-9);
  EXPECT_EQ(result.reason,
            "its busiest queue 0 had 100 packets/s on a CPU 95% busy; 1 entry moved take 40% off "
            "the busiest queue's load");
}

TEST(Balance, AnElephantStaysAndTheMiceMoveAway) {
  // Nothing is gained by moving the entry that is more than any queue should have.
  const Balance result = balance(input_of({0, 0, 0, 1, 1}, {100, 20, 20, 5, 5}, 2));
  ASSERT_TRUE(result.table);
  EXPECT_THAT(*result.table, ElementsAre(0, 1, 1, 1, 1));
}

TEST(Balance, LeavesACpuThatIsNotBusy) {
  BalanceInput input = input_of({0, 0, 1, 1}, {60, 40, 10, 10}, 2);
  input.busy = {Share{0.5}, Share{0.99}};
  const Balance result = balance(input);
  EXPECT_FALSE(result.table);
  EXPECT_EQ(result.reason, "the CPU of its busiest queue 0 is 50% busy, below 85%");
  input.busy.clear();
  EXPECT_EQ(balance(input).reason, "which CPU serves its busiest queue 0 is not known");
}

TEST(Balance, LeavesWhatWouldGainLittle) {
  BalanceInput input = input_of({0, 0, 0, 1}, {50, 10, 10, 50}, 2);
  input.min_gain = Share{0.25};
  const Balance result = balance(input);
  EXPECT_FALSE(result.table);
  EXPECT_THAT(result.reason, HasSubstr("less than 25%"));
  EXPECT_GT(result.gain.of_one, 0);
  EXPECT_LT(result.gain.of_one, 0.25);
}

TEST(Balance, SaysThatNothingWasReceived) {
  EXPECT_EQ(balance(input_of({0, 1}, {0, 0}, 2)).reason, "nothing was received");
}

TEST(Balance, RefusesWhatDoesNotFit) {
  const std::string_view misfit = "table, loads and queues do not fit one another";
  EXPECT_EQ(balance(input_of({0, 2}, {1, 1}, 2)).reason, misfit);
  EXPECT_EQ(balance(input_of({0, 1}, {1}, 2)).reason, misfit);
  EXPECT_EQ(balance(input_of({}, {}, 0)).reason, misfit);
  BalanceInput input = input_of({0, 1}, {1, 1}, 2);
  input.elephant_queues = {0, 1};
  EXPECT_EQ(balance(input).reason, misfit);
}

TEST(Balance, TakesLoadsThatAreNoNumbersForNothing) {
  const double nan = std::nan("");
  const Balance result = balance(input_of({0, 0, 0, 1}, {nan, 50, 50, -7}, 2));
  ASSERT_TRUE(result.table);
  EXPECT_EQ(result.moves, 1u);
}

// Properties, over random tables and loads of four kinds.

TEST(BalanceProperty, ValidNeverWorseMinimalDeterministicIdempotent) {
  std::mt19937_64 random(1);
  std::size_t changed = 0;
  for (int round = 0; round < 4000; ++round) {
    const auto queues = static_cast<std::uint32_t>(1 + random() % (round % 10 == 0 ? 64 : 8));
    const std::size_t entries = round % 7 == 0 ? 128 : 1 + random() % 40;
    const std::vector<double> loads = random_loads(random, entries);
    const BalanceInput input = input_of(random_table(random, entries, queues), loads, queues);
    const Balance result = balance(input);
    EXPECT_EQ(balance(input), result);
    if (!result.table) continue;
    ++changed;
    const Table& table = *result.table;
    ASSERT_EQ(table.size(), entries);
    for (const std::uint32_t queue : table) ASSERT_LT(queue, queues);
    EXPECT_EQ(result.moves, distance(input.table, table));
    const double before = busiest(input.table, loads, queues),
                 after = busiest(table, loads, queues);
    ASSERT_LT(after, before);
    EXPECT_NEAR(result.gain.of_one, 1 - after / before, 1e-9);

    // No entry that moved could have stayed.
    for (std::size_t i = 0; i < entries; ++i) {
      if (table[i] == input.table[i]) continue;
      Table back = table;
      back[i] = input.table[i];
      ASSERT_GT(busiest(back, loads, queues), after) << "entry " << i << " moved for nothing";
    }

    BalanceInput again = input;
    again.table = table;
    EXPECT_FALSE(balance(again).table) << "balancing the result moves " << balance(again).moves;
  }
  EXPECT_GT(changed, 2000u);  // else the claims above are about little
}

TEST(BalanceProperty, WithinFivePercentOfTheBestThereIs) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 600; ++round) {
    const auto queues = static_cast<std::uint32_t>(2 + random() % 3);
    const std::size_t entries = 3 + random() % 7;
    const std::vector<double> loads = random_loads(random, entries);
    const BalanceInput input = input_of(random_table(random, entries, queues), loads, queues);
    const Balance result = balance(input);
    const double best = exhaustive(loads, queues);
    ASSERT_LE(busiest(result.table.value_or(input.table), loads, queues), best * 1.05 * (1 + 1e-9))
        << "round " << round;
    EXPECT_LE(balance_bounds(loads, queues).least, best * (1 + 1e-9));
  }
}

TEST(BalanceProperty, MovesAreNearlyTheFewest) {
  std::mt19937_64 random(3);
  std::size_t ours = 0, fewest = 0, rounds = 0;
  for (int round = 0; round < 400; ++round) {
    const auto queues = static_cast<std::uint32_t>(2 + random() % 3);
    const std::size_t entries = 4 + random() % 6;
    const std::vector<double> loads = random_loads(random, entries);
    const Table table = random_table(random, entries, queues);
    const BalanceBounds bounds = balance_bounds(loads, queues);
    const double limit = std::max(bounds.reached, bounds.least * kBalanceTolerance);
    const auto moved = few_moves_to(table, loads, queues, limit);
    ASSERT_TRUE(moved);
    const std::size_t best = fewest_moves(table, loads, queues, limit);
    ASSERT_LE(busiest(*moved, loads, queues), limit * (1 + 1e-9));
    ASSERT_GE(distance(table, *moved), best);
    ours += distance(table, *moved);
    fewest += best;
    ++rounds;
  }
  EXPECT_LE(ours * 100, fewest * 115) << ours << " moves, " << fewest << " needed";
}

TEST(FewMoves, HasNoneWhereTheLimitIsTooLow) {
  EXPECT_FALSE(few_moves_to(Table{0, 1}, std::vector<double>{10, 10}, 2, 9));
  EXPECT_EQ(few_moves_to(Table{0, 1}, std::vector<double>{10, 10}, 2, 10), (Table{0, 1}));
}

TEST(FewMoves, ExchangesWhereNothingFits) {
  // No single entry of queue 0 fits queue 1 below 52.
  const auto table = few_moves_to(Table{0, 0, 1, 1}, std::vector<double>{30, 30, 25, 18}, 2, 55);
  ASSERT_TRUE(table);
  EXPECT_EQ(distance(Table{0, 0, 1, 1}, *table), 2u);
}

// Elephants apart from mice.

BalanceInput apart_input(std::mt19937_64& random, std::size_t entries, std::uint32_t queues) {
  BalanceInput input =
      input_of(random_table(random, entries, queues), random_loads(random, entries), queues);
  for (BucketLoad& load : input.loads)
    if (random() % 5 == 0) load.elephant_packets_per_second = load.packets_per_second * 0.9;
  const std::uint32_t theirs = 1 + static_cast<std::uint32_t>(random() % (queues - 1));
  for (std::uint32_t queue = queues - theirs; queue < queues; ++queue)
    input.elephant_queues.push_back(queue);
  return input;
}

TEST(BalanceApart, KeepsElephantsOnTheirQueuesAndOthersOff) {
  std::mt19937_64 random(4);
  std::size_t changed = 0;
  for (int round = 0; round < 2000; ++round) {
    const auto queues = static_cast<std::uint32_t>(2 + random() % 15);
    const BalanceInput input = apart_input(random, 1 + random() % 128, queues);
    const Balance result = balance(input);
    EXPECT_EQ(balance(input), result);
    if (!result.table) continue;
    ++changed;
    const Table& table = *result.table;
    ASSERT_EQ(table.size(), input.table.size());
    std::vector<double> mice, elephants;
    for (std::size_t i = 0; i < table.size(); ++i) {
      ASSERT_LT(table[i], queues);
      const bool elephant = input.loads[i].elephant_packets_per_second > 0;
      EXPECT_EQ(std::ranges::binary_search(input.elephant_queues, table[i]), elephant);
      (elephant ? elephants : mice).push_back(input.loads[i].packets_per_second);
    }
    // Each kind is balanced over its own queues.
    const auto theirs = static_cast<std::uint32_t>(input.elephant_queues.size());
    const auto sums = sums_of(table, packets_of(input), queues);
    const auto worst = [&](bool of_elephants) {
      double most = 0;
      for (std::uint32_t q = 0; q < queues; ++q)
        if (std::ranges::binary_search(input.elephant_queues, q) == of_elephants)
          most = std::max(most, sums[q]);
      return most;
    };
    const auto limit = [&](const std::vector<double>& loads, std::uint32_t count) {
      const BalanceBounds bounds = balance_bounds(loads, count);
      return std::max(bounds.reached, bounds.least * kBalanceTolerance) * (1 + 1e-9);
    };
    if (!elephants.empty()) {
      EXPECT_LE(worst(true), limit(elephants, theirs));
    }
    if (!mice.empty()) {
      EXPECT_LE(worst(false), limit(mice, queues - theirs));
    }

    BalanceInput again = input;
    again.table = table;
    EXPECT_EQ(balance(again).moves, 0u);
  }
  EXPECT_GT(changed, 1000u);
}

TEST(BalanceApart, ANewElephantIsOneMove) {
  BalanceInput input = input_of({0, 0, 0, 1, 1, 2, 3}, {10, 10, 10, 10, 10, 500, 500}, 4);
  input.elephant_queues = {2, 3};
  input.loads[5].elephant_packets_per_second = 480;
  input.loads[6].elephant_packets_per_second = 480;
  EXPECT_FALSE(balance(input).table);
  input.loads[0] = {.packets_per_second = 400, .elephant_packets_per_second = 390};
  const Balance result = balance(input);
  ASSERT_TRUE(result.table);
  EXPECT_EQ(result.moves, 1u);
  EXPECT_GE(result.table->at(0), 2u);
  EXPECT_THAT(result.reason, HasSubstr("off the mice's packets that meet elephants'"));
}

TEST(BalanceApart, EntriesWithoutTrafficLeaveTheElephantsQueuesEvenly) {
  // Which entry the next mouse falls into is not known: none may be among elephants.
  BalanceInput input = input_of({0, 1, 2, 3, 0, 1, 2, 3}, {50, 500, 0, 0, 0, 0, 0, 0}, 4);
  input.elephant_queues = {3};
  input.loads[1].elephant_packets_per_second = 450;
  input.loads[0].packets_per_second = 50;
  const Balance result = balance(input);
  ASSERT_FALSE(result.table) << "nobody meets an elephant, so nothing is gained";
  input.loads[5].packets_per_second = 50;  // beside the elephant, on queue 1
  const Balance moved = balance(input);
  ASSERT_TRUE(moved.table);
  EXPECT_EQ(moved.table->at(1), 3u);
  for (const std::size_t entry : {3u, 7u}) EXPECT_NE(moved.table->at(entry), 3u);
  EXPECT_NE(moved.table->at(3), moved.table->at(7));
}

}  // namespace
}  // namespace ankus
