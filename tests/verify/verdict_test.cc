// SPDX-License-Identifier: Apache-2.0
#include "verify/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "verify/slices.h"

namespace ankus {
namespace {

using std::chrono::microseconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kFull = 23'000'000;  // bytes per second

TEST(Verdict, MiceThatGotBetterAreHelped) {
  const Verdict verdict = judge(window_of({light_of(1, milliseconds(10))}, {heavy_of(kFull)}),
                                window_of({light_of(1, microseconds(100))}, {heavy_of(kFull)}), {});
  EXPECT_EQ(verdict.effect, Effect::helped);
  EXPECT_THAT(verdict.vetoes, IsEmpty());
  EXPECT_THAT(verdict.reason, HasSubstr("web-1: p99 of its path"));
  ASSERT_THAT(verdict.comparisons, SizeIs(1));
  const Comparison& one = verdict.comparisons.front();
  EXPECT_LE(one.before.low, one.before.value);
  EXPECT_GT(one.before.low, one.after.high);
  EXPECT_GT(one.moved_quicker, 0.8);
  EXPECT_EQ(one.packets_before, 3000u);
}

TEST(Verdict, MiceThatGotWorseAreHarmed) {
  EXPECT_EQ(judge(window_of({light_of(1, microseconds(100))}, {heavy_of(kFull)}),
                  window_of({light_of(1, milliseconds(10))}, {heavy_of(kFull)}), {})
                .effect,
            Effect::harmed);
}

TEST(Verdict, OneHarmedOutweighsAllThatWereHelped) {
  EXPECT_EQ(judge(window_of({light_of(1, milliseconds(10)), light_of(2, milliseconds(1))}),
                  window_of({light_of(1, microseconds(100)), light_of(2, milliseconds(20))}), {})
                .effect,
            Effect::harmed);
}

TEST(Verdict, TheSameIsNoEffect) {
  const Samples same = window_of({light_of(1, milliseconds(2))}, {heavy_of(kFull)});
  EXPECT_EQ(judge(same, same, {}).effect, Effect::no_effect);
}

TEST(Verdict, LessThanTheMarginIsNoEffect) {
  const Verdict verdict = judge(window_of({light_of(1, milliseconds(2), 20'000)}),
                                window_of({light_of(1, microseconds(1900), 20'000)}), {});
  EXPECT_EQ(verdict.effect, Effect::no_effect);
}

TEST(Verdict, WhatTheSensorCannotTellApartIsNoEffect) {
  // Three times as long, but by 6 us.
  EXPECT_EQ(judge(window_of({light_of(1, nanoseconds(700), 20'000)}),
                  window_of({light_of(1, nanoseconds(2100), 20'000)}), {})
                .effect,
            Effect::no_effect);
}

TEST(Verdict, ElephantsThrottledToDeathVetoWhateverTheMiceGained) {
  const Verdict verdict =
      judge(window_of({light_of(1, milliseconds(10))}, {heavy_of(kFull)}),
            window_of({light_of(1, microseconds(100))}, {heavy_of(kFull / 10)}), {});
  EXPECT_EQ(verdict.effect, Effect::harmed);
  ASSERT_THAT(verdict.vetoes, SizeIs(1));
  EXPECT_EQ(verdict.vetoes.front().rule, "heavy throughput -20%");
  EXPECT_EQ(verdict.vetoes.front().numbers,
            "181 Mbit/s before, 18.1 Mbit/s after, in the seconds in which it wanted to send");
}

TEST(Verdict, ElephantsThatStoppedByThemselvesAreNoVetoAndNoCredit) {
  HeavySamples gone = heavy_of(0);
  for (HeavySlice& slice : gone.slices) slice.wanting = false;
  const Verdict verdict = judge(window_of({light_of(1, milliseconds(10))}, {heavy_of(kFull)}),
                                window_of({light_of(1, microseconds(100))}, {gone}), {});
  EXPECT_THAT(verdict.vetoes, IsEmpty());
  EXPECT_EQ(verdict.effect, Effect::inconclusive);
  EXPECT_THAT(verdict.reason, HasSubstr("there was less traffic"));
}

TEST(Verdict, OneOfTwoElephantsThatStopsByItselfIsNoVeto) {
  HeavySamples goes_on = heavy_of(kFull / 2), stops = heavy_of(kFull / 2);
  goes_on.workload = 101;
  const Samples before = window_of({light_of(1, milliseconds(10))}, {goes_on, stops});
  for (std::size_t i = 0; i < 10; ++i) {  // after none to all of its seconds
    HeavySamples stopped = stops;
    for (std::size_t later = i; later < 10; ++later)
      stopped.slices[later] = {.moved = {0}, .wanting = false};
    const Verdict verdict =
        judge(before, window_of({light_of(1, microseconds(100))}, {goes_on, stopped}), {});
    EXPECT_THAT(verdict.vetoes, IsEmpty()) << i;
  }
  // What the other one loses is seen all the same.
  for (HeavySlice& slice : goes_on.slices) slice.moved.count /= 10;
  for (HeavySlice& slice : stops.slices) slice = {.moved = {0}, .wanting = false};
  EXPECT_EQ(judge(before, window_of({light_of(1, microseconds(100))}, {goes_on, stops}), {}).effect,
            Effect::harmed);
}

TEST(Verdict, MoreTrafficIsNotChargedToTheAction) {
  const Verdict verdict = judge(window_of({light_of(1, microseconds(100))}, {heavy_of(kFull / 4)}),
                                window_of({light_of(1, milliseconds(10))}, {heavy_of(kFull)}), {});
  EXPECT_EQ(verdict.effect, Effect::inconclusive);
  EXPECT_THAT(verdict.reason, HasSubstr("there was more traffic"));
}

TEST(Verdict, WaitingForTheApplicationIsNotJudged) {
  const Verdict slower =
      judge(window_of({light_of(1, milliseconds(2), 3000, microseconds(300))}),
            window_of({light_of(1, milliseconds(2), 3000, milliseconds(30))}), {});
  EXPECT_EQ(slower.effect, Effect::no_effect);
  const Comparison& one = slower.comparisons.front();
  EXPECT_GT(*one.application_after, *one.application_before * 50);
  EXPECT_EQ(judge(window_of({light_of(1, milliseconds(2), 3000, milliseconds(30))}),
                  window_of({light_of(1, milliseconds(2), 3000, microseconds(300))}), {})
                .effect,
            Effect::no_effect);
}

// --- round trips ------------------------------------------------------------------------------

const auto kHere = milliseconds(40);       // elephants in a queue of this host
const auto kElsewhere = microseconds(15);  // elephants that pass it

TEST(Verdict, ASlowerOtherSideIsNoHarmAndAQuickerOneNoHelp) {
  for (const auto elephants : {nanoseconds(kHere), nanoseconds(kElsewhere)}) {
    const Samples quick = window_of({light_with_trips(1, microseconds(50), milliseconds(2))},
                                    {heavy_of(kFull, elephants)});
    const Samples slow = window_of({light_with_trips(1, microseconds(50), milliseconds(30))},
                                   {heavy_of(kFull, elephants)});
    const Verdict slower = judge(quick, slow, {}), quicker = judge(slow, quick, {});
    EXPECT_EQ(slower.effect, Effect::inconclusive);
    EXPECT_THAT(slower.reason, HasSubstr("nothing tells the network from a slower other side"));
    EXPECT_EQ(quicker.effect, Effect::inconclusive);
    EXPECT_THAT(quicker.reason, HasSubstr("from a quicker other side"));
  }
}

TEST(Verdict, RoundTripsAreBelievedWhereTheQueueHasMoved) {
  // From behind the host into it: the mice wait a little here, and far less in all.
  const Samples behind = window_of({light_with_trips(1, microseconds(50), milliseconds(20))},
                                   {heavy_of(kFull, kElsewhere)});
  const Samples here = window_of({light_with_trips(1, microseconds(300), milliseconds(1))},
                                 {heavy_of(kFull, kHere)});
  const Verdict helped = judge(behind, here, {}), harmed = judge(here, behind, {});
  EXPECT_EQ(helped.effect, Effect::helped) << helped.reason;
  EXPECT_THAT(helped.reason, HasSubstr("the queue is on this host now: backup waits"));
  EXPECT_EQ(harmed.effect, Effect::harmed) << harmed.reason;
  EXPECT_THAT(harmed.reason, HasSubstr("the queue is not on this host any more"));
}

TEST(Verdict, AQueueThatMovedIsNoHarmIfTheWholeBecameNoLonger) {
  const Samples behind = window_of({light_with_trips(1, microseconds(50), milliseconds(20))},
                                   {heavy_of(kFull, kElsewhere)});
  const Samples here = window_of({light_with_trips(1, milliseconds(19), milliseconds(20))},
                                 {heavy_of(kFull, kHere)});
  EXPECT_EQ(judge(behind, here, {}).effect, Effect::inconclusive);
  EXPECT_EQ(judge(here, behind, {}).effect, Effect::inconclusive);
}

TEST(Verdict, AQueueThatCameIsNotChargedWhereTheOtherSideBecameSlower) {
  const Samples behind = window_of({light_with_trips(1, microseconds(50), milliseconds(5))},
                                   {heavy_of(kFull, kElsewhere)});
  const Samples here =
      window_of({light_with_trips(1, milliseconds(1), milliseconds(20))}, {heavy_of(kFull, kHere)});
  EXPECT_EQ(judge(behind, here, {}).effect, Effect::inconclusive);
}

TEST(Verdict, LongerRoundTripsAndPacketsSentAgainAreTheNetworks) {
  const Samples before = window_of({light_with_trips(1, microseconds(50), milliseconds(2))});
  Samples after = window_of({light_with_trips(1, microseconds(50), milliseconds(30))});
  after.watched.front().repeated = {20, 22, 19, 21, 20, 18, 24, 19, 20, 21};
  after.watched.front().tcp.retransmits = 204;
  EXPECT_EQ(judge(before, after, {}).effect, Effect::harmed);
  EXPECT_THAT(judge(before, after, {}).reason, HasSubstr("sends 7% of its packets again, 0%"));
  EXPECT_EQ(judge(after, before, {}).effect, Effect::inconclusive) << "no credit, no charge";
  after.watched.front().repeated = {0, 0, 0, 204, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(judge(before, after, {}).effect, Effect::inconclusive) << "a single swarm";
}

TEST(Verdict, WhatTheHostDoesCountsWhateverTheOtherSideDoes) {
  const Samples quick = window_of({light_with_trips(1, microseconds(50), milliseconds(20))},
                                  {heavy_of(kFull, kHere)});
  const Samples slow = window_of({light_with_trips(1, milliseconds(10), milliseconds(20))},
                                 {heavy_of(kFull, kHere)});
  EXPECT_EQ(judge(quick, slow, {}).effect, Effect::harmed);
  EXPECT_EQ(judge(slow, quick, {}).effect, Effect::helped);
}

TEST(Verdict, OfReceiveQueuesAndCpusRoundTripsSayNothing) {
  const Samples behind = window_of({light_with_trips(1, microseconds(50), milliseconds(20))},
                                   {heavy_of(kFull, kElsewhere)});
  const Samples here =
      window_of({light_with_trips(1, microseconds(50), milliseconds(1))}, {heavy_of(kFull, kHere)});
  for (const Lever lever : {Lever::receive, Lever::cpus}) {
    EXPECT_EQ(judge(behind, here, {}, lever).effect, Effect::no_effect);
    EXPECT_EQ(judge(here, behind, {}, lever).effect, Effect::no_effect);
  }
}

TEST(Verdict, AFewRoundTripsDecideNothing) {
  // UDP, and a stray connection.
  LightSamples before = light_of(1, milliseconds(10)), after = light_of(1, microseconds(100));
  for (LightSamples* light : {&before, &after})
    light->segments.push_back(
        segment_of("round trip", slices_of({}, milliseconds(20), 3), SegmentKind::round_trip));
  EXPECT_EQ(judge(window_of({before}), window_of({after}), {}).effect, Effect::helped);
  EXPECT_EQ(judge(window_of({after}), window_of({before}), {}).effect, Effect::harmed);
  EXPECT_EQ(unfit(window_of({before}), {}, Lever::receive), std::nullopt);
}

TEST(Verdict, WithRoundTripsAloneNoEffectCanBeSeenButNotMore) {
  const auto only_trips = [](nanoseconds mean) {
    LightSamples light = light_with_trips(1, microseconds(50), mean);
    std::erase_if(light.segments, [](const SegmentSamples& s) { return is_on_host(s.kind); });
    return window_of({light});
  };
  const Samples quick = only_trips(milliseconds(2)), slow = only_trips(milliseconds(30));
  EXPECT_EQ(judge(quick, quick, {}).effect, Effect::no_effect);
  EXPECT_EQ(judge(quick, slow, {}).effect, Effect::inconclusive);
  EXPECT_EQ(judge(slow, quick, {}).effect, Effect::inconclusive);
  EXPECT_THAT(*unfit(quick, {}, Lever::cpus), HasSubstr("no segment of its path was measured"));
}

/// Recorded: of the packets that left, 58 ms in the qdisc each, fewer than 300 were measured.
TEST(Verdict, APathIsNotJudgedWithoutTheSegmentInWhichItWaits) {
  const auto window = [](nanoseconds queue, int of_the_queue) {
    LightSamples light = light_of(1, microseconds(10), 500);
    light.segments.push_back(segment_of("qdisc", slices_of({}, queue, of_the_queue)));
    return window_of({light});
  };
  const Samples slow = window(milliseconds(50), 400);
  EXPECT_EQ(judge(slow, window(microseconds(50), 181), {}).effect, Effect::helped);
  EXPECT_EQ(judge(window(microseconds(50), 181), slow, {}).effect, Effect::harmed);
  EXPECT_NE(judge(slow, window(microseconds(50), 90), {}).effect, Effect::harmed)
      << "a handful says nothing";
}

TEST(Verdict, WhereThePathSaysTooLittleUnchangedRoundTripsSayNoEffect) {
  const VerifyRule rule{.samples = 100};
  const Samples few = window_of({light_of(1, milliseconds(1), 120)});
  ASSERT_EQ(judge(few, few, rule).effect, Effect::inconclusive);
  LightSamples light = few.watched[0];
  light.segments.push_back(
      segment_of("round trip", slices_of({}, milliseconds(20), 3000), SegmentKind::round_trip));
  EXPECT_EQ(judge(window_of({light}), window_of({light}), rule).effect, Effect::no_effect);
}

TEST(Verdict, WhatUntouchedWorkloadsDidTooIsTakenOff) {
  Samples before = window_of({light_of(1, milliseconds(10))}, {heavy_of(kFull)});
  Samples after = window_of({light_of(1, milliseconds(2))}, {heavy_of(kFull)});
  EXPECT_EQ(judge(before, after, {}).effect, Effect::helped);
  before.control = {light_of(7, milliseconds(5))};
  after.control = {light_of(7, milliseconds(1))};
  const Verdict verdict = judge(before, after, {});
  EXPECT_EQ(verdict.effect, Effect::no_effect);
  EXPECT_TRUE(verdict.comparisons.front().control);
  // And what goes beyond it still counts.
  after.watched = {light_of(1, microseconds(100))};
  EXPECT_EQ(judge(before, after, {}).effect, Effect::helped);
}

TEST(Verdict, WhatUntouchedWorkloadsSufferedTooIsNotCharged) {
  Samples before = window_of({light_of(1, milliseconds(2))});
  Samples after = window_of({light_of(1, milliseconds(10))});
  EXPECT_EQ(judge(before, after, {}).effect, Effect::harmed);
  before.control = {light_of(7, milliseconds(1))};
  after.control = {light_of(7, milliseconds(5))};
  EXPECT_EQ(judge(before, after, {}).effect, Effect::no_effect);
}

TEST(Verdict, TooFewPacketsSayNothing) {
  const Verdict verdict = judge(window_of({light_of(1, milliseconds(10), 299)}),
                                window_of({light_of(1, microseconds(100), 3000)}), {});
  EXPECT_EQ(verdict.effect, Effect::inconclusive);
  EXPECT_THAT(verdict.reason, HasSubstr("299 packets measured, 300 needed"));
}

TEST(Verdict, TooLittleCoverageSaysNothing) {
  Samples after = window_of({light_of(1, microseconds(100))});
  after.watched.front().segments.front().coverage = {.measured = 3000, .packets = 4000};
  const Verdict verdict = judge(window_of({light_of(1, milliseconds(10))}), after, {});
  EXPECT_EQ(verdict.effect, Effect::inconclusive);
  EXPECT_THAT(verdict.reason, HasSubstr("75% of the packets measured, 80% needed"));
}

TEST(Verdict, AWindowThatIsNotSlicedSaysNothing) {
  Samples before = window_of({light_of(1, milliseconds(10))});
  before.watched.front().segments.front().slices =
      slices_of(nanoseconds(0), milliseconds(10), 3000, 3);
  EXPECT_EQ(judge(before, window_of({light_of(1, microseconds(100))}), {}).effect,
            Effect::inconclusive);
}

TEST(Verdict, AWorkloadThatFellSilentLeavesNothingToCredit) {
  const Verdict verdict =
      judge(window_of({light_of(1, milliseconds(10)), light_of(2, milliseconds(10)),
                       light_of(3, milliseconds(10))},
                      {heavy_of(kFull)}),
            window_of({light_of(1, microseconds(100)), light_of(2, microseconds(100), 10)},
                      {heavy_of(kFull)}),
            {});
  EXPECT_EQ(verdict.effect, Effect::inconclusive);
  EXPECT_THAT(verdict.reason, HasSubstr("others fell silent"));
}

TEST(Verdict, AStarvedWorkloadIsHarmedEvenIfNothingArrivesToBeMeasured) {
  Samples after = window_of({light_of(1, milliseconds(10), 0)});
  after.watched.front().tcp = {.packets_sent = 40, .retransmits = 38, .timeouts = 38};
  after.watched.front().repeated = {4, 4, 4, 4, 4, 4, 4, 4, 3, 3};
  const Verdict verdict = judge(window_of({light_of(1, milliseconds(10))}), after, {});
  EXPECT_EQ(verdict.effect, Effect::harmed);
  EXPECT_THAT(verdict.reason, HasSubstr("packets sent again"));
}

TEST(Verdict, PacketsLostOnThePathAreHarmThoughTheOthersAreQuick) {
  Samples after = window_of({light_of(1, microseconds(100))});
  std::vector<std::uint64_t>& lost = after.watched.front().segments.front().lost;
  lost.assign(10, 60);
  EXPECT_EQ(judge(window_of({light_of(1, milliseconds(10))}), after, {}).effect, Effect::harmed);
  lost = {0, 0, 0, 600, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(judge(window_of({light_of(1, milliseconds(10))}), after, {}).effect, Effect::helped)
      << "one hiccup";
}

TEST(Verdict, AWorkloadNoneOfWhosePacketsPassesIsStarvedHoweverSeldomItTries) {
  Samples after = window_of({light_of(1, milliseconds(10), 0)});
  LightSamples& light = after.watched.front();
  light.tcp = {.packets_sent = 90, .retransmits = 90, .timeouts = 90};
  light.repeated = {30, 0, 30, 0, 0, 0, 0, 30, 0, 0};
  light.segments.push_back(segment_of("qdisc to uplink", slices_of({}, milliseconds(1), 40)));
  EXPECT_NE(judge(window_of({light_of(1, milliseconds(10))}), after, {}).effect, Effect::harmed)
      << "they leave this host: nobody answers";
  light.segments.front().slices.assign(10, {});
  light.segments.front().coverage = {.measured = 0, .packets = 90};
  EXPECT_EQ(judge(window_of({light_of(1, milliseconds(10))}), after, {}).effect, Effect::harmed);
}

TEST(Verdict, StarvationIsSeenInFourSecondsToo) {
  Samples before = window_of({light_of(1, milliseconds(10), 400)});
  Samples after = window_of({light_of(1, milliseconds(10), 400)});
  before.watched.front().repeated = {0, 1, 0, 0};
  after.watched.front().repeated = {9, 60, 2, 25};
  after.watched.front().tcp.retransmits = 96;
  EXPECT_EQ(judge(before, after, {}).effect, Effect::harmed);
  after.watched.front().repeated = {0, 96, 0, 0};
  EXPECT_NE(judge(before, after, {}).effect, Effect::harmed);
}

TEST(Verdict, WhatOneWorkloadSentAgainInOneSecondIsNoVeto) {
  Samples before = window_of({light_of(1, milliseconds(10)), light_of(2, milliseconds(1), 60)});
  Samples after = window_of({light_of(1, microseconds(100)), light_of(2, milliseconds(1), 60)});
  before.watched[1].repeated.resize(10);
  after.watched[1].repeated = {0, 0, 0, 0, 40, 0, 0, 0, 0, 0};  // its peer started anew
  after.watched[1].tcp.retransmits = 40;
  EXPECT_EQ(judge(before, after, {}).effect, Effect::helped);
  after.watched[1].repeated = {4, 5, 4, 3, 4, 4, 4, 5, 3, 4};
  EXPECT_EQ(judge(before, after, {}).effect, Effect::harmed);
}

TEST(Verdict, TheCpuGuardVetoes) {
  Samples before = window_of({light_of(1, milliseconds(10))});
  Samples after = window_of({light_of(1, microseconds(100))});
  using Slices = std::vector<std::uint64_t>;
  before.host = {.softnet_drops = Slices{0, 1, 0, 0, 1, 0, 0, 0, 0, 0},
                 .softnet_squeezes = Slices(10, 1)};
  after.host = {.softnet_drops = Slices{90, 80, 100, 90, 90, 95, 85, 90, 90, 90},
                .softnet_squeezes = Slices(10, 1)};
  EXPECT_EQ(judge(before, after, {}).effect, Effect::harmed);
  after.host.softnet_drops = Slices{0, 0, 0, 0, 0, 900, 0, 0, 0, 0};
  EXPECT_EQ(judge(before, after, {}).effect, Effect::helped) << "one burst";
  after.host.softnet_squeezes = Slices{50, 40, 60, 50, 50, 50, 55, 45, 50, 50};
  EXPECT_EQ(judge(before, after, {}).effect, Effect::harmed);
}

TEST(Verdict, ASwarmOfTimeoutsInOneSecondIsNoVeto) {
  const Samples before = window_of({light_of(1, milliseconds(10))}, {heavy_of(kFull)});
  Samples after = window_of({light_of(1, microseconds(100))}, {heavy_of(kFull * 85 / 100)});
  after.heavy.front().slices[3].timeouts = 40;
  EXPECT_EQ(judge(before, after, {}).effect, Effect::helped);
  for (std::size_t i = 0; i < 10; ++i) after.heavy.front().slices[i].timeouts = 3 + i % 3;
  EXPECT_EQ(judge(before, after, {}).effect, Effect::harmed);
}

TEST(Verdict, TheBodyOfTheDistributionMayNotPayForItsTail) {
  // The p99 stays where it was, but half of the packets now wait as long.
  auto mostly_quick = slices_of(microseconds(5), microseconds(50), 2700);
  auto half_slow = slices_of(microseconds(5), microseconds(50), 1500);
  for (Histogram& slice : mostly_quick) slice.add(milliseconds(50), 30);
  for (Histogram& slice : half_slow) slice.add(milliseconds(50), 150);
  Samples before = window_of({light_of(1, milliseconds(1))}), after = before;
  before.watched.front().segments.front().slices = mostly_quick;
  after.watched.front().segments.front().slices = half_slow;
  EXPECT_EQ(judge(before, after, {}).effect, Effect::harmed);
}

TEST(Verdict, IsTheSameEachTimeAndWhateverTheOrder) {
  const Samples before =
      window_of({light_of(1, milliseconds(10)), light_of(2, milliseconds(3))}, {heavy_of(kFull)});
  Samples after =
      window_of({light_of(1, milliseconds(9)), light_of(2, milliseconds(4))}, {heavy_of(kFull)});
  const Verdict first = judge(before, after, {});
  EXPECT_EQ(judge(before, after, {}), first);
  std::swap(after.watched[0], after.watched[1]);
  EXPECT_EQ(judge(before, after, {}).effect, first.effect);
}

TEST(Verdict, SaysWhyAWindowIsNoBaseline) {
  EXPECT_EQ(unfit(window_of({light_of(1, milliseconds(1))}), {}), std::nullopt);
  EXPECT_THAT(*unfit(window_of({}), {}), HasSubstr("no light workload"));
  EXPECT_THAT(*unfit(window_of({light_of(1, milliseconds(1), 12)}), {}),
              HasSubstr("web-1: qdisc to uplink: 12 packets measured"));
}

TEST(Verdict, SurvivesEmptyWindows) {
  EXPECT_EQ(judge({}, {}, {}).effect, Effect::inconclusive);
  EXPECT_EQ(judge(window_of({light_of(1, milliseconds(1))}), {}, {}).effect, Effect::inconclusive);
}

}  // namespace
}  // namespace ankus
