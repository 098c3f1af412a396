// SPDX-License-Identifier: Apache-2.0
#include "verify/window.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

constexpr WorkloadId kMouse = 1, kElephant = 2;

MonotonicTime at(int second) { return MonotonicTime{seconds(100 + second)}; }

/// `packets` through the uplink's qdisc so far, each `each` long.
Look look(int second, std::uint64_t packets, nanoseconds each) {
  Look one{.at = at(second)};
  SegmentLatency qdisc{.workload = kMouse,
                       .segment = LatencySegment::qdisc,
                       .coverage = {.measured = packets, .packets = packets}};
  qdisc.histogram.add(each, packets);
  one.latency.segments = {qdisc};
  one.workloads = {{.workload = kMouse, .name = "web", .weight = Weight::light},
                   {.workload = kElephant,
                    .name = "backup",
                    .weight = Weight::heavy,
                    .moved = {static_cast<std::uint64_t>(second) * 1000},
                    .elephants = 1,
                    .by_elephants = {static_cast<std::uint64_t>(second) * 900}}};
  return one;
}

TEST(SampleWindow, CutsTheWindowIntoSlices) {
  SampleWindow window;
  for (int second = 0; second <= 4; ++second)
    window.add(
        look(second, 100 + static_cast<std::uint64_t>(second) * 10, std::chrono::microseconds(50)));
  const Samples samples = window.samples();
  EXPECT_EQ(window.slices(), 4U);
  EXPECT_EQ(samples.length, seconds(4));
  ASSERT_EQ(samples.watched.size(), 1U);
  const SegmentSamples& qdisc = samples.watched[0].segments.at(0);
  EXPECT_EQ(qdisc.name, "qdisc");
  EXPECT_EQ(qdisc.kind, SegmentKind::out);
  ASSERT_EQ(qdisc.slices.size(), 4U);
  for (const Histogram& slice : qdisc.slices) EXPECT_EQ(total(slice), 10U);  // not the first 100
  EXPECT_EQ(qdisc.coverage, (Coverage{.measured = 40, .packets = 40}));
  ASSERT_EQ(samples.heavy.size(), 1U);
  ASSERT_EQ(samples.heavy[0].slices.size(), 4U);
  EXPECT_EQ(samples.heavy[0].slices[3],
            (HeavySlice{.length = seconds(1), .moved = {1000}, .wanting = true}));
}

TEST(SampleWindow, KeepsWaitingForTheApplicationApart) {
  SampleWindow window;
  for (int second = 0; second <= 1; ++second) {
    Look one = look(second, 10, std::chrono::microseconds(5));
    one.latency.segments.push_back({.workload = kMouse, .segment = LatencySegment::read});
    one.latency.segments.push_back({.workload = kMouse, .segment = LatencySegment::out});
    window.add(std::move(one));
  }
  const Samples samples = window.samples();
  ASSERT_EQ(samples.watched.at(0).segments.size(), 2U);  // `out` spans `qdisc`: not twice
  EXPECT_EQ(samples.watched[0].segments[1].kind, SegmentKind::application);
}

TEST(SampleWindow, TheWayInOfAServiceIsJudgedAsAWhole) {
  for (const bool container : {false, true}) {
    SampleWindow window;
    for (int second = 0; second <= 1; ++second) {
      Look one = look(second, 10, std::chrono::microseconds(5));
      one.latency.segments.push_back({.workload = kMouse, .segment = LatencySegment::in});
      if (container)
        one.latency.segments.push_back({.workload = kMouse, .segment = LatencySegment::stack_in});
      window.add(std::move(one));
    }
    const std::vector<SegmentSamples> segments = window.samples().watched.at(0).segments;
    ASSERT_EQ(segments.size(), 2U);
    EXPECT_EQ(segments[1].name, container ? "stack-in" : "in") << "never both: one has the other";
    EXPECT_EQ(segments[1].kind, SegmentKind::in);
  }
}

TEST(SampleWindow, WhatWaitsAtATapWaitsForThisHost) {
  for (const bool guest : {false, true}) {
    SampleWindow window;
    for (int second = 0; second <= 1; ++second) {
      Look one = look(second, 10, std::chrono::microseconds(5));
      one.latency.segments.push_back(
          {.workload = kMouse, .segment = LatencySegment::stack_and_read});
      one.workloads[0].guest = guest;
      window.add(std::move(one));
    }
    EXPECT_EQ(window.samples().watched.at(0).segments.at(1).kind,
              guest ? SegmentKind::in : SegmentKind::application);
  }
}

TEST(SampleWindow, RoundTripsHideNothingOfTheHost) {
  SampleWindow window;
  for (int second = 0; second <= 2; ++second) {
    Look one = look(second, 10, std::chrono::microseconds(5));
    one.latency.segments.push_back({.workload = kMouse, .segment = LatencySegment::stack_in});
    one.workloads[0].rtt.add(milliseconds(50), 5);
    one.workloads[0].rtt.add(milliseconds(1), static_cast<std::uint64_t>(second) * 7);
    window.add(std::move(one));
  }
  const std::vector<SegmentSamples> segments = window.samples().watched.at(0).segments;
  ASSERT_EQ(segments.size(), 3U) << "one stray round trip of a workload by UDP, too";
  EXPECT_EQ(segments[0].name, "qdisc");
  EXPECT_EQ(segments[0].kind, SegmentKind::out);
  EXPECT_EQ(segments[1].name, "stack-in");
  EXPECT_EQ(segments[1].kind, SegmentKind::in);
  EXPECT_EQ(segments[2].name, "round trip");
  EXPECT_EQ(segments[2].kind, SegmentKind::round_trip);
  EXPECT_EQ(segments[2].coverage, (Coverage{.measured = 14, .packets = 14}));
  EXPECT_EQ(total(segments[2].slices.at(1)), 7U);
}

TEST(SampleWindow, AVmsRoundTripsAreThoseSeenAtItsTap) {
  SampleWindow window;
  for (const std::uint64_t second : {0, 1, 2}) {
    Look one = look(static_cast<int>(second), 10, std::chrono::microseconds(5));
    SegmentLatency trip{.workload = kMouse,
                        .segment = LatencySegment::round_trip,
                        .coverage = {.measured = second * 7, .packets = second * 8}};
    trip.histogram.add(milliseconds(1), second * 7);
    one.latency.segments.push_back(std::move(trip));
    window.add(std::move(one));
  }
  const std::vector<SegmentSamples> segments = window.samples().watched.at(0).segments;
  ASSERT_EQ(segments.size(), 2U);
  EXPECT_EQ(segments[1].name, "round trip");
  EXPECT_EQ(segments[1].kind, SegmentKind::round_trip);
  EXPECT_EQ(segments[1].coverage, (Coverage{.measured = 14, .packets = 16}));
  EXPECT_EQ(total(segments[1].slices.at(1)), 7U);
}

TEST(SampleWindow, RoundTripsOfWhichFewWereAskedForAreNotCovered) {
  SampleWindow window;
  for (int second = 0; second <= 2; ++second) {
    Look one = look(second, 10, std::chrono::microseconds(5));
    one.workloads[0].rtt.add(milliseconds(1), static_cast<std::uint64_t>(second) * 10);
    one.workloads[0].rtt_one_in = second < 2 ? 1 : 16;
    window.add(std::move(one));
  }
  EXPECT_EQ(window.samples().watched.at(0).segments.at(1).coverage,
            (Coverage{.measured = 20, .packets = 10 + 160}));
}

TEST(SampleWindow, WhoPassesNothingOfThisHostIsNoWitness) {
  for (const std::uint64_t moved : {0, 1000}) {
    SampleWindow window;
    for (const std::uint64_t second : {0, 1, 2}) {
      Look one{.at = at(static_cast<int>(second))};
      one.workloads = {{.workload = kMouse, .weight = Weight::light, .moved = {second * moved}}};
      one.workloads[0].rtt.add(milliseconds(1), second * 10);
      window.add(std::move(one));
    }
    EXPECT_EQ(window.samples().watched.size(), moved > 0 ? 1U : 0U)
        << "round trips over loopback, or in a network namespace of its own";
  }
}

TEST(SampleWindow, ALookAfterTheSensorsWindowTakesNothingAway) {
  SampleWindow window;
  for (int second = 0; second <= 4; ++second)
    window.add(
        look(second, 10 + static_cast<std::uint64_t>(second) * 10, std::chrono::microseconds(50)));
  Look late = look(9, 0, {});
  late.latency = {};
  window.add(std::move(late));
  const SegmentSamples qdisc = window.samples().watched.at(0).segments.at(0);
  EXPECT_EQ(qdisc.coverage, (Coverage{.measured = 40, .packets = 40}));
  ASSERT_EQ(qdisc.slices.size(), 5U);
  EXPECT_EQ(total(qdisc.slices.back()), 0U);
}

TEST(SampleWindow, TellsWhereElephantsWaitAndWhatIsSentAgain) {
  SampleWindow window;
  for (int second = 0; second <= 2; ++second) {
    Look one = look(second, 10, std::chrono::microseconds(5));
    SegmentLatency waits{.workload = kElephant, .segment = LatencySegment::qdisc};
    waits.histogram.add(milliseconds(20), static_cast<std::uint64_t>(second));
    one.latency.segments.push_back(waits);
    one.workloads[0].tcp.retransmits = static_cast<std::uint64_t>(second * second);
    window.add(std::move(one));
  }
  const Samples samples = window.samples();
  ASSERT_EQ(samples.heavy.at(0).segments.size(), 1U);
  EXPECT_EQ(total(samples.heavy[0].segments[0].slices.at(1)), 1U);
  EXPECT_EQ(samples.watched.at(0).repeated, (std::vector<std::uint64_t>{1, 3}));
}

/// Recorded: 12 elephants throttled to 3 % of the link were mice within 5 s, and the veto saw
/// nothing.
TEST(SampleWindow, ElephantsHeldToATrickleWantToSendAndThoseThatStoppedDoNot) {
  for (const std::uint64_t sent_again : {30, 1, 0}) {
    SampleWindow window;
    for (int second = 0; second <= 6; ++second) {
      Look one = look(second, 10, std::chrono::microseconds(5));
      one.workloads[1].elephants = second <= 2 ? 1 : 0;
      const auto so_far = static_cast<std::uint64_t>(second);
      one.workloads[1].tcp = {.packets_sent = 100 * so_far, .retransmits = sent_again * so_far};
      window.add(std::move(one));
    }
    const Samples samples = window.samples();
    std::vector<bool> wanting;
    for (const HeavySlice& slice : samples.heavy.at(0).slices) wanting.push_back(slice.wanting);
    const bool still = sent_again == 30;
    EXPECT_EQ(wanting, (std::vector<bool>{true, true, still, still, still, still})) << sent_again;
  }
}

/// The kernel calls it an elephant until its next packet or until it is swept, up to a minute.
TEST(SampleWindow, AnElephantThatMovesNothingMoreWantsNothing) {
  SampleWindow window;
  for (int second = 0; second <= 4; ++second) {
    Look one = look(second, 10, std::chrono::microseconds(5));
    one.workloads[1].by_elephants = {static_cast<std::uint64_t>(std::min(second, 2)) * 900};
    window.add(std::move(one));
  }
  std::vector<bool> wanting;
  const Samples samples = window.samples();
  for (const HeavySlice& slice : samples.heavy.at(0).slices) wanting.push_back(slice.wanting);
  EXPECT_EQ(wanting, (std::vector<bool>{true, true, false, false}));
}

TEST(SampleWindow, WhatTheQueuesDropIsCountedSecondBySecond) {
  SampleWindow window;
  for (const std::uint64_t dropped : {5, 5, 9}) {
    Look one = look(static_cast<int>(window.slices()), 10, std::chrono::microseconds(5));
    one.at = at(static_cast<int>(dropped));
    one.latency.segments[0].dropped = dropped;
    window.add(std::move(one));
  }
  EXPECT_EQ(window.samples().watched.at(0).segments.at(0).lost, (std::vector<std::uint64_t>{0, 4}));
}

TEST(SampleWindow, SaysNothingOfWhoCameMeanwhile) {
  SampleWindow window;
  Look first = look(0, 0, std::chrono::microseconds(1));
  first.workloads.pop_back();
  window.add(std::move(first));
  window.add(look(1, 10, std::chrono::microseconds(1)));
  EXPECT_TRUE(window.samples().heavy.empty());
  EXPECT_EQ(window.samples().watched.size(), 1U);
}

TEST(SampleWindow, CountsTheHostsTroublesAndTellsUnknownFromNone) {
  SampleWindow window;
  for (int second = 0; second <= 2; ++second) {
    Look one = look(second, 10, std::chrono::microseconds(5));
    one.host.softnet_drops = static_cast<std::uint64_t>(7 + second);
    one.host.memory_stalled = milliseconds(100) * second;
    one.host.qdisc_backlog = milliseconds(second);
    one.host.cpu_busy = Share{0.1 * second};
    one.host.most_softirq = Share{0.05 * second};
    window.add(std::move(one));
  }
  const HostCounters host = window.samples().host;
  EXPECT_EQ(host.softnet_drops, (std::vector<std::uint64_t>{1, 1}));
  EXPECT_EQ(host.softnet_squeezes, std::nullopt);
  EXPECT_EQ(host.queue_drops, std::nullopt);
  EXPECT_EQ(host.qdisc_backlog, milliseconds(1));
  EXPECT_EQ(host.most_softirq, Share{0.1});
  EXPECT_EQ(host.cpu_busy, Share{0.2});  // what the first look says was before the window
  ASSERT_TRUE(host.memory_stall);
  EXPECT_DOUBLE_EQ(host.memory_stall->of_one, 0.1);
}

TEST(SampleWindow, OfOneLookHasNothing) {
  SampleWindow window;
  window.add(look(0, 10, std::chrono::microseconds(1)));
  EXPECT_EQ(window.samples(), Samples{});
}

}  // namespace
}  // namespace ankus
