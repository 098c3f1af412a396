// SPDX-License-Identifier: Apache-2.0
#include "model/footprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace ankus {
namespace {

using ::testing::HasSubstr;

constexpr FootprintRules kRules{
    .heavy = BitRate{20'000'000}, .window = seconds(10), .calm = seconds(5)};
// What `heavy` moves in a second.
constexpr std::uint64_t kHeavySecond = 2'500'000;

FootprintSample moving(std::uint64_t bytes, nanoseconds interval = seconds(1)) {
  return {.interval = interval,
          .transmitted = {bytes / 4},
          .received = {bytes - bytes / 4},
          .packets = bytes == 0 ? 0 : 1 + bytes / 1500};
}

/// A tracker with its own time.
struct Watched {
  FootprintTracker tracker;
  MonotonicTime now{seconds(1000)};
  int changes = 0;

  explicit Watched(std::optional<Weight> remembered = std::nullopt) : tracker(remembered) {}
  Weight feed(const FootprintSample& sample, const FootprintRules& rules = kRules) {
    now = now + sample.interval;
    const Weight before = tracker.footprint.weight;
    const Weight after = tracker.update(sample, rules, now).weight;
    if (before != after) ++changes;
    return after;
  }
  Weight feed(const FootprintSample& sample, int times) {
    for (int i = 0; i < times; ++i) feed(sample);
    return tracker.footprint.weight;
  }
};

TEST(Footprint, IsUnknownUntilSeenForFiveSecondsFromTheFirstPacketOn) {
  Watched watched;
  EXPECT_EQ(watched.feed(moving(0), 60), Weight::unknown);
  EXPECT_EQ(watched.tracker.footprint.reason, "nothing moved yet");
  EXPECT_EQ(watched.feed(moving(1000), 4), Weight::unknown);
  EXPECT_EQ(watched.feed(moving(1000)), Weight::light);
}

TEST(Footprint, AnElephantIsHeavyAtOnce) {
  Watched watched;
  FootprintSample sample = moving(10'000'000);
  sample.elephants = 1;
  sample.elephant_bytes = {9'800'000};
  EXPECT_EQ(watched.feed(sample), Weight::heavy);
  EXPECT_EQ(watched.tracker.footprint.reason, "moved 80 Mbit/s in 1s, 98% by 1 elephant");
  EXPECT_EQ(watched.tracker.footprint.since, watched.now);
}

TEST(Footprint, ManySlowFlowsAreHeavyByTheirSum) {
  Watched watched;
  FootprintSample sample = moving(2 * kHeavySecond);
  sample.new_flows = 256;
  sample.slow_flows = 256;
  EXPECT_EQ(watched.feed(sample, 4), Weight::unknown);
  EXPECT_EQ(watched.feed(sample), Weight::heavy) << "the window's worth was moved in 5 s";
  EXPECT_EQ(watched.feed(sample, 30), Weight::heavy) << "never mixed: nothing else makes it heavy";
  EXPECT_DOUBLE_EQ(watched.tracker.footprint.new_flows_per_second, 256);
  EXPECT_EQ(watched.tracker.footprint.transmit, BitRate{10'000'000});
  EXPECT_EQ(watched.tracker.footprint.receive, BitRate{30'000'000});
}

TEST(Footprint, OneShortBurstIsNotHeavy) {
  Watched watched;
  watched.feed(moving(1000), 20);
  EXPECT_EQ(watched.feed(moving(9 * kHeavySecond)), Weight::light);
  EXPECT_EQ(watched.feed(moving(1000), 20), Weight::light);
}

TEST(Footprint, IsLightAgainOnlyAfterCalmBelowHalf) {
  Watched watched;
  FootprintSample elephant = moving(10 * kHeavySecond);
  elephant.elephants = 1;
  elephant.elephant_bytes = {10 * kHeavySecond};
  watched.feed(elephant, 3);
  // Between half and all of the line: heavy stays.
  EXPECT_EQ(watched.feed(moving(kHeavySecond * 7 / 10), 60), Weight::heavy);
  // Just below half: the window takes a few seconds to get there, then calm runs.
  int seconds_taken = 0;
  while (watched.feed(moving(kHeavySecond * 4 / 10)) != Weight::light) ++seconds_taken;
  EXPECT_GE(seconds_taken, 5);
  EXPECT_LE(seconds_taken, 15);
  EXPECT_EQ(watched.feed(moving(kHeavySecond * 9 / 10), 60), Weight::light);
}

TEST(Footprint, CalmMustBeWithoutABreak) {
  Watched watched;
  FootprintSample elephant = moving(1000);
  elephant.elephants = 1;
  watched.feed(elephant);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(watched.feed(moving(1000), 4), Weight::heavy);
    EXPECT_EQ(watched.feed(elephant), Weight::heavy);
  }
  EXPECT_EQ(watched.feed(moving(1000), 5), Weight::light);
}

TEST(Footprint, IsMixedWhenSlowFlowsWorkBesideElephants) {
  Watched watched;
  FootprintSample sample = moving(10 * kHeavySecond);
  sample.elephants = 2;
  sample.elephant_bytes = {10 * kHeavySecond - 100'000};
  sample.slow_flows = 12;
  EXPECT_EQ(watched.feed(sample, 4), Weight::heavy) << "not before half a window of work";
  EXPECT_EQ(watched.feed(sample), Weight::mixed);
  sample.slow_flows = 0;
  EXPECT_EQ(watched.feed(sample, 5), Weight::mixed) << "they may pause";
  EXPECT_EQ(watched.feed(sample, 5), Weight::heavy);
}

TEST(Footprint, WithoutARateOnlyElephantsDecide) {
  Watched watched;
  const FootprintRules rules{.heavy = std::nullopt};
  for (int i = 0; i < 20; ++i) watched.feed(moving(1'000'000'000), rules);
  EXPECT_EQ(watched.tracker.footprint.weight, Weight::light);
  FootprintSample sample = moving(1000);
  sample.elephants = 1;
  EXPECT_EQ(watched.feed(sample, rules), Weight::heavy);
}

TEST(Footprint, ARememberedWeightHoldsFromTheStartAndIsConfirmed) {
  Watched watched(Weight::light);
  EXPECT_EQ(watched.tracker.footprint.weight, Weight::light);
  EXPECT_TRUE(watched.tracker.footprint.learnt);
  watched.feed(moving(1000), 4);
  EXPECT_TRUE(watched.tracker.footprint.learnt);
  EXPECT_THAT(watched.tracker.footprint.reason, HasSubstr("remembered"));
  EXPECT_EQ(watched.feed(moving(1000)), Weight::light);
  EXPECT_FALSE(watched.tracker.footprint.learnt);
  EXPECT_EQ(watched.changes, 0);
}

TEST(Footprint, ARememberedWeightThatIsWrongIsReplaced) {
  Watched heavy(Weight::heavy);
  EXPECT_EQ(heavy.feed(moving(1000), 4), Weight::heavy);
  EXPECT_TRUE(heavy.tracker.footprint.learnt);
  EXPECT_EQ(heavy.feed(moving(1000)), Weight::light);
  EXPECT_FALSE(heavy.tracker.footprint.learnt);

  Watched light(Weight::light);
  FootprintSample elephant = moving(1000);
  elephant.elephants = 1;
  EXPECT_EQ(light.feed(elephant), Weight::heavy);
  EXPECT_FALSE(light.tracker.footprint.learnt);
}

TEST(Footprint, RememberingUnknownIsRememberingNothing) {
  EXPECT_EQ(FootprintTracker(Weight::unknown).footprint, FootprintTracker().footprint);
}

TEST(Footprint, DoesNotFlapOnASquareWaveOfTheWindowsPeriod) {
  for (const std::int64_t step_ms : {100, 333, 500, 700, 1000, 2000})
    for (const double duty : {0.2, 0.5, 0.8})
      for (const double height : {0.5, 1.0, 2.0, 2.1, 5.0, 10.0}) {
        Watched watched;
        const milliseconds step(step_ms);
        for (milliseconds t{}; t < seconds(300); t += step) {
          const bool on = (t % kRules.window) < kRules.window * duty;
          const double bytes =
              on ? height * kHeavySecond * static_cast<double>(step_ms) / 1000 : 100;
          watched.feed(moving(static_cast<std::uint64_t>(bytes), step));
        }
        // unknown -> light -> heavy at most, and never back.
        EXPECT_LE(watched.changes, 2) << step_ms << " ms, duty " << duty << ", height " << height;
      }
}

int rank(Weight weight) { return weight == Weight::heavy ? 2 : weight == Weight::light ? 1 : 0; }

TEST(Footprint, MoreBytesNeverMakeItLighter) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    Watched less, more;
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t bytes = random() % (3 * kHeavySecond);
      FootprintSample sample = moving(bytes);
      sample.packets = 1;
      less.feed(sample);
      sample.transmitted.count += random() % kHeavySecond;
      if (random() % 50 == 0) sample.elephants = 1;
      more.feed(sample);
      ASSERT_LE(rank(less.tracker.footprint.weight), rank(more.tracker.footprint.weight));
    }
  }
}

TEST(Footprint, IsTheSameForTheSameSamples) {
  std::mt19937 random(11);
  Watched one, other;
  for (int i = 0; i < 500; ++i) {
    FootprintSample sample = moving(random() % (4 * kHeavySecond), milliseconds(random() % 3000));
    sample.elephants = random() % 20 == 0;
    sample.slow_flows = random() % 2;
    one.feed(sample);
    other.feed(sample);
    ASSERT_EQ(one.tracker.footprint, other.tracker.footprint);
  }
}

TEST(Footprint, ASampleOfNoTimeDividesNothing) {
  Watched watched;
  watched.feed(moving(1000, nanoseconds::zero()));
  EXPECT_EQ(watched.tracker.footprint.transmit, BitRate{});
}

TEST(Flows, CountBySpeedAgeAndWhetherTheyAreAtWork) {
  const nanoseconds prove = milliseconds(200);
  const std::vector<Flow> flows = {
      {.owner = 1, .age = seconds(9), .idle = milliseconds(1900)},
      {.owner = 1, .age = seconds(9), .idle = seconds(3)},  // at rest
      {.owner = 1, .age = milliseconds(100)},               // not proven yet
      {.owner = 1, .fast = true, .age = seconds(9)},
      {.owner = 2, .fast = true, .elephant = true, .age = seconds(9)},
      {.owner = 2, .elephant = true, .age = seconds(9), .idle = seconds(3)},
      {.owner = 2, .elephant = true, .age = seconds(99), .idle = seconds(5)},  // is over
  };
  const std::map<WorkloadId, FlowCounts> expected = {{1, {.slow = 1}}, {2, {.elephants = 2}}};
  EXPECT_EQ(count_flows(flows, prove, seconds(5)), expected);
}

}  // namespace
}  // namespace ankus
