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
  window.host = {.softnet_drops = 0,
                 .softnet_squeezes = 3,
                 .qdisc_drops = 0,
                 .qdisc_backlog = microseconds(20),
                 .queue_drops = 0,
                 .bql_stops = 5,
                 .cpu_busy = Share{0.2},
                 .cpu_softirq = Share{0.1},
                 .memory_stall = Share{0}};
  return window;
}

TEST(Gate, StaysClosedOnAQuietHostAndSaysWhatWasMissing) {
  for (const Lever lever : {Lever::bandwidth, Lever::receive, Lever::cpus}) {
    const GateAnswer answer = gate(quiet(), lever, 0.99);
    EXPECT_FALSE(answer.open) << to_text(lever);
    EXPECT_THAT(answer.found, IsEmpty());
    EXPECT_THAT(answer.text, HasSubstr("no sign that the network path of this host"));
  }
  EXPECT_THAT(gate(quiet(), Lever::bandwidth, 0.99).missing,
              Contains("qdisc backlog 20us (a sign from 1ms on)"));
}

TEST(Gate, EachSignOpensItForItsOwnLeverOnly) {
  Samples window = quiet();
  window.host.qdisc_backlog = milliseconds(30);
  EXPECT_THAT(gate(window, Lever::bandwidth, 0.99).found, ElementsAre("qdisc backlog 30ms"));
  EXPECT_TRUE(gate(window, Lever::bandwidth, 0.99).open);
  EXPECT_FALSE(gate(window, Lever::receive, 0.99).open);
  window = quiet();
  window.host.softnet_squeezes = 5000;
  EXPECT_FALSE(gate(window, Lever::bandwidth, 0.99).open);
  EXPECT_TRUE(gate(window, Lever::receive, 0.99).open);
  EXPECT_TRUE(gate(window, Lever::cpus, 0.99).open);
}

TEST(Gate, ASlowPathIsASignByItself) {
  Samples window = quiet();
  window.watched = {light_of(1, milliseconds(5))};
  const GateAnswer answer = gate(window, Lever::bandwidth, 0.99);
  EXPECT_TRUE(answer.open);
  EXPECT_THAT(answer.text, HasSubstr("signs: path of light workloads"));
}

TEST(Gate, WaitingForTheApplicationIsNoSign) {
  Samples window = quiet();
  window.watched = {light_of(1, microseconds(10), 3000, milliseconds(50))};
  const GateAnswer answer = gate(window, Lever::bandwidth, 0.99);
  EXPECT_FALSE(answer.open);
  EXPECT_THAT(answer.text, HasSubstr("the packets wait for their application"));
}

TEST(Gate, ACpuBusyWithSomethingElseIsNotTheNetworksTrouble) {
  Samples window = quiet();
  window.host.softnet_squeezes = 5000;
  window.host.cpu_busy = Share{0.99};
  window.host.cpu_softirq = Share{0.1};
  const GateAnswer answer = gate(window, Lever::receive, 0.99);
  EXPECT_FALSE(answer.open);
  EXPECT_THAT(answer.text, HasSubstr("busy with something else: 99% busy, but only 10%"));
  window.host.cpu_softirq = Share{0.7};
  EXPECT_TRUE(gate(window, Lever::receive, 0.99).open);
}

TEST(Gate, MemoryTroubleIsNotBlamedOnTheNetwork) {
  Samples window = quiet();
  window.watched = {light_of(1, milliseconds(5))};
  window.host.memory_stall = Share{0.4};
  EXPECT_FALSE(gate(window, Lever::bandwidth, 0.99).open);
  EXPECT_THAT(gate(window, Lever::bandwidth, 0.99).against, HasSubstr("memory 40%"));
  // But a queue that overflows is the network's own.
  window.host.qdisc_drops = 500;
  EXPECT_TRUE(gate(window, Lever::bandwidth, 0.99).open);
}

TEST(Gate, WhatNobodyCouldReadIsNotZero) {
  const GateAnswer answer = gate(window_of({}), Lever::receive, 0.99);
  EXPECT_FALSE(answer.open);
  EXPECT_THAT(answer.missing, Contains("softnet drops not known"));
}

}  // namespace
}  // namespace ankus
