// SPDX-License-Identifier: Apache-2.0
#include "verify/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "verify/slices.h"

namespace ankus {
namespace {

using std::chrono::microseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A quiet host of which everything is known.
Samples quiet() {
  Samples window = window_of({light_of(1, microseconds(10))});
  window.host = {.softnet_drops = std::vector<std::uint64_t>{0, 0},
                 .softnet_squeezes = std::vector<std::uint64_t>{2, 1},
                 .qdisc_drops = 0,
                 .qdisc_backlog = microseconds(20),
                 .queue_drops = 0,
                 .cpu_busy = Share{0.2},
                 .cpu_softirq = Share{0.1},
                 .most_softirq = Share{0.15},
                 .memory_stall = Share{0}};
  return window;
}

TEST(Gate, StaysClosedOnAQuietHostAndSaysWhatWasMissing) {
  for (const Lever lever : {Lever::bandwidth, Lever::receive, Lever::cpus}) {
    const GateAnswer answer = gate(quiet(), lever, {});
    EXPECT_FALSE(answer.open) << to_text(lever);
    EXPECT_THAT(answer.found, IsEmpty());
    EXPECT_THAT(answer.text, HasSubstr("no sign that the network path of this host"));
  }
  EXPECT_THAT(gate(quiet(), Lever::bandwidth, {}).missing,
              Contains("qdisc backlog 20us (a sign from 1ms on)"));
}

TEST(Gate, EachSignOpensItForItsOwnLeverOnly) {
  Samples window = quiet();
  window.host.qdisc_backlog = milliseconds(30);
  EXPECT_THAT(gate(window, Lever::bandwidth, {}).found, ElementsAre("qdisc backlog 30ms"));
  EXPECT_TRUE(gate(window, Lever::bandwidth, {}).open);
  EXPECT_FALSE(gate(window, Lever::receive, {}).open);
  window = quiet();
  window.host.softnet_squeezes = {2000, 3000};
  EXPECT_FALSE(gate(window, Lever::bandwidth, {}).open);
  EXPECT_TRUE(gate(window, Lever::receive, {}).open);
  EXPECT_TRUE(gate(window, Lever::cpus, {}).open);
}

TEST(Gate, ASlowPathIsASignByItself) {
  Samples window = quiet();
  window.watched = {light_of(1, milliseconds(5))};
  const GateAnswer answer = gate(window, Lever::bandwidth, {});
  EXPECT_TRUE(answer.open);
  EXPECT_THAT(answer.text, HasSubstr("signs: path of light workloads on this host"));
}

TEST(Gate, HowFarTheOtherSideIsOpensItForNobody) {
  Samples window = quiet();
  window.watched = {light_with_trips(1, microseconds(10), milliseconds(20))};
  for (const Lever lever : {Lever::bandwidth, Lever::receive, Lever::cpus})
    EXPECT_FALSE(gate(window, lever, {}).open) << to_text(lever);
}

TEST(Gate, AFewPacketsAreNoSign) {
  Samples window = quiet();
  window.watched.front().segments.push_back(
      segment_of("host-in", slices_of(milliseconds(5), milliseconds(5), 3), SegmentKind::in));
  EXPECT_FALSE(gate(window, Lever::receive, {}).open);
  EXPECT_THAT(gate(window_of({light_of(1, milliseconds(5), 3)}), Lever::receive, {}).missing,
              Contains("path of light workloads on this host not known"));
}

TEST(Gate, EachWayIsAPathOfItsOwn) {
  // 150 us in and 150 us out are two packets' waits, not one's.
  Samples window = quiet();
  window.watched = {light_of(1, microseconds(30))};
  window.watched.front().segments.push_back(
      segment_of("host-in", slices_of(microseconds(5), microseconds(30), 3000), SegmentKind::in));
  EXPECT_FALSE(gate(window, Lever::receive, {}).open);
  window.watched.front().segments.push_back(
      segment_of("stack-in", slices_of(microseconds(5), microseconds(30), 3000), SegmentKind::in));
  EXPECT_TRUE(gate(window, Lever::receive, {}).open) << "but this is the same packet's";
}

TEST(Gate, WaitingForTheApplicationIsNoSign) {
  Samples window = quiet();
  window.watched = {light_of(1, microseconds(10), 3000, milliseconds(50))};
  const GateAnswer answer = gate(window, Lever::bandwidth, {});
  EXPECT_FALSE(answer.open);
  EXPECT_THAT(answer.text, HasSubstr("the packets wait for their application"));
}

TEST(Gate, ACpuBusyWithSomethingElseIsNotTheNetworksTrouble) {
  Samples window = quiet();
  window.host.softnet_squeezes = {2000, 3000};
  window.host.cpu_busy = Share{0.99};
  window.host.cpu_softirq = Share{0.1};
  const GateAnswer answer = gate(window, Lever::receive, {});
  EXPECT_FALSE(answer.open);
  EXPECT_THAT(answer.text, HasSubstr("busy with something else: 99% busy, but only 10%"));
  window.host.cpu_softirq = Share{0.7};
  EXPECT_TRUE(gate(window, Lever::receive, {}).open);
}

TEST(Gate, ACpuFullOfPacketsBesideABusierOneIsASignForReceiveQueues) {
  Samples window = quiet();
  window.host.cpu_busy = Share{1};
  window.host.cpu_softirq = Share{0.01};
  window.host.most_softirq = Share{0.9};
  EXPECT_THAT(gate(window, Lever::receive, {}).found, ElementsAre("softirq of one CPU 90%"));
  EXPECT_TRUE(gate(window, Lever::receive, {}).open);
  EXPECT_FALSE(gate(window, Lever::cpus, {}).open);
}

TEST(Gate, PacketsForWhichTheNicHadNoRoomAreASign) {
  Samples window = quiet();
  window.host.queue_drops = 500;
  EXPECT_THAT(gate(window, Lever::receive, {}).found, ElementsAre("receive queue drops 50/s"));
}

TEST(Gate, MemoryTroubleIsNotBlamedOnTheNetwork) {
  Samples window = quiet();
  window.watched = {light_of(1, milliseconds(5))};
  window.host.memory_stall = Share{0.4};
  EXPECT_FALSE(gate(window, Lever::bandwidth, {}).open);
  EXPECT_THAT(gate(window, Lever::bandwidth, {}).against, HasSubstr("memory 40%"));
  // But a queue that overflows is the network's own.
  window.host.qdisc_drops = 500;
  EXPECT_TRUE(gate(window, Lever::bandwidth, {}).open);
}

TEST(Gate, WhatNobodyCouldReadIsNotZero) {
  const GateAnswer answer = gate(window_of({}), Lever::receive, {});
  EXPECT_FALSE(answer.open);
  EXPECT_THAT(answer.missing, Contains("softnet drops not known"));
}

}  // namespace
}  // namespace ankus
