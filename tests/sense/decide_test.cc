// SPDX-License-Identifier: Apache-2.0
// The kernel side's decisions: the same header that runs there.
#include "bpf/decide.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>

namespace ankus {
namespace {

constexpr std::uint32_t kHz = 250, kWindow = kHz / 10, kHold = kHz;
constexpr std::uint32_t kWrap = 0xffffff00U;  // jiffies start five minutes before their wrap

ankus_flow flow_at(std::uint32_t now) {
  ankus_flow flow{};
  flow.created = flow.seen = flow.rate_start = flow.busy_at = now;
  flow.fast_start[0] = flow.fast_start[1] = now;
  return flow;
}

int fast(ankus_flow& flow, std::uint32_t now, std::uint32_t length, int direction = 0) {
  return ankus_fast_after(&flow, direction, now, length, kWindow, 64'000, kHold);
}

TEST(Fast, AtThePacketThatCrossesTheLine) {
  ankus_flow flow = flow_at(1000);
  EXPECT_FALSE(fast(flow, 1000, 60'000));
  EXPECT_FALSE(fast(flow, 1001, 4'000)) << "exactly the threshold is not above it";
  EXPECT_TRUE(fast(flow, 1002, 1));
}

TEST(Fast, HoldsAndThenLetsGo) {
  ankus_flow flow = flow_at(1000);
  EXPECT_TRUE(fast(flow, 1000, 65'000));
  EXPECT_TRUE(fast(flow, 1000 + kHold - 1, 100));
  EXPECT_FALSE(fast(flow, 1000 + 2 * kHold, 100));
}

TEST(Fast, AKeepAliveMouseNeverIsWhateverItMovesInItsLife) {
  ankus_flow flow = flow_at(kWrap);
  for (std::uint32_t i = 0; i < 100'000; ++i)  // 300 KB/s for over an hour
    ASSERT_FALSE(fast(flow, kWrap + i, 1'200)) << i;
}

TEST(Fast, EachDirectionByItself) {
  ankus_flow flow = flow_at(1000);
  EXPECT_TRUE(fast(flow, 1000, 65'000, 1));
  EXPECT_FALSE(fast(flow, 1000, 1'000, 0)) << "a download's acknowledgements are mice";
}

TEST(Fast, AcrossTheWrapOfJiffies) {
  ankus_flow flow = flow_at(0xfffffffe);
  EXPECT_TRUE(fast(flow, 0xfffffffe, 65'000));
  EXPECT_TRUE(fast(flow, 3, 100)) << "held over the wrap";
}

constexpr std::uint32_t kLong = 0x8000'0001;  // jiffies; 25 days with HZ=1000

TEST(Fast, DoesNotComeBackAfterWeeks) {
  ankus_flow flow = flow_at(1000);
  EXPECT_TRUE(fast(flow, 1000, 65'000));
  EXPECT_FALSE(fast(flow, 1000 + kLong, 100));
}

TEST(Lease, IsOverForGood) {
  EXPECT_FALSE(ankus_lease_is_over(31'000, 1000));
  EXPECT_TRUE(ankus_lease_is_over(31'000, 31'000));
  EXPECT_TRUE(ankus_lease_is_over(31'000, 31'000 + kLong));
  EXPECT_TRUE(ankus_lease_is_over(0, 1000)) << "never set";
  EXPECT_FALSE(ankus_lease_is_over(5, 0xffff'fff0)) << "over the wrap";
}

TEST(Proven, OnceOldEnoughForWeeks) {
  EXPECT_FALSE(ankus_is_proven(1000, 1199, 200));
  EXPECT_TRUE(ankus_is_proven(1000, 1200, 200));
  EXPECT_TRUE(ankus_is_proven(1000, 1000 + kLong, 200));
  EXPECT_FALSE(ankus_is_proven(1000, 999, 200)) << "made by a CPU that is a tick further";
}

ankus_config rule() {
  ankus_config rule{};
  rule.elephant_bytes = 10'000'000;
  rule.elephant_rate_bytes = 2'500'000;
  rule.elephant_window = kHz;
  rule.elephant_calm = 5 * kHz;
  return rule;
}

TEST(Elephant, ByWhatItMoved) {
  const ankus_config r = rule();
  ankus_flow flow = flow_at(kWrap);
  std::uint64_t total = 0;
  std::uint32_t now = kWrap;
  int begun = 0;
  for (int i = 0; i < 200; ++i) {
    total += 100'000;
    now += kHz;  // far too slow for the rate rule
    if (ankus_elephant_after(&flow, total, now, 100'000, &r) == ANKUS_BEGINS) {
      ++begun;
      EXPECT_EQ(total, 10'000'000U);
      break;
    }
  }
  EXPECT_EQ(begun, 1);
}

TEST(Elephant, ByItsRate) {
  const ankus_config r = rule();
  ankus_flow flow = flow_at(1000);
  EXPECT_EQ(ankus_elephant_after(&flow, 2'000'000, 1010, 2'000'000, &r), ANKUS_NO_CHANGE);
  EXPECT_EQ(ankus_elephant_after(&flow, 2'600'000, 1020, 600'000, &r), ANKUS_BEGINS);
}

TEST(Elephant, AMouseAgainWhenCalmLongEnough) {
  const ankus_config r = rule();
  ankus_flow flow = flow_at(1000);
  (void)ankus_elephant_after(&flow, 20'000'000, 1000, 3'000'000, &r);
  flow.flags |= ANKUS_FLOW_ELEPHANT;
  std::uint32_t now = 1000;
  enum ankus_change change = ANKUS_NO_CHANGE;
  while (change == ANKUS_NO_CHANGE && now < 1000 + 20 * kHz) {
    now += kHz / 2;
    change = ankus_elephant_after(&flow, 20'000'000, now, 1'000, &r);
  }
  EXPECT_EQ(change, ANKUS_ENDS);
  EXPECT_GE(now, 1000 + 5 * kHz);
  EXPECT_LE(now, 1000 + 6 * kHz);
}

TEST(Elephant, NotCalmWhileEveryWindowIsHalfFull) {
  const ankus_config r = rule();
  ankus_flow flow = flow_at(1000);
  flow.flags |= ANKUS_FLOW_ELEPHANT;
  for (std::uint32_t now = 1000; now < 1000 + 60 * kHz; now += kHz / 10)
    ASSERT_EQ(ankus_elephant_after(&flow, 20'000'000, now, 140'000, &r), ANKUS_NO_CHANGE);
}

int over(ankus_bucket& bucket, std::uint32_t now, std::uint32_t length) {
  return ankus_over_admission(&bucket, 0, now, length, 10'000, 125'000, kHold);
}

TEST(Admission, OneTransferOverManySlowFlowsGainsNothing) {
  // 200 Mbit/s are 100 KB a jiffy; a tenth of it may be slow.
  ankus_bucket bucket{};
  std::uint64_t admitted = 0;
  for (std::uint32_t now = 1; now <= 10 * kHz; ++now)
    for (int packet = 0; packet < 66; ++packet)
      if (!over(bucket, now, 1'514)) admitted += 1'514;
  EXPECT_LE(admitted, 125'000U) << "one burst, and none after each hold";
}

TEST(Admission, AfterAHoldTheBucketFillsAtItsShare) {
  ankus_bucket bucket{};
  ASSERT_TRUE(over(bucket, 1000, 126'000));
  EXPECT_TRUE(over(bucket, 1000 + kHold - 1, 100));
  EXPECT_FALSE(over(bucket, 1000 + kHold + 5, 49'000)) << "10 KB a jiffy";
  EXPECT_TRUE(over(bucket, 1000 + kHold + 5, 2'000)) << "and no more";
}

TEST(Admission, ACpuWhoseClockIsATickBehindFillsNothing) {
  ankus_bucket bucket{};
  ASSERT_FALSE(over(bucket, 1000, 120'000));
  EXPECT_TRUE(over(bucket, 999, 10'000)) << "another had filled it at 1000";

  ASSERT_TRUE(over(bucket, 5000, 130'000));
  bucket.over_until[0] = 0;  // as one sees it that looked just before the hold began
  EXPECT_TRUE(over(bucket, 5000, 10'000)) << "its filling begins when the hold ends";
}

TEST(Admission, AHoldOfWeeksAgoIsOver) {
  ankus_bucket bucket{};
  ASSERT_TRUE(over(bucket, 1000, 126'000));
  EXPECT_FALSE(over(bucket, 1000 + kLong, 1'000));
}

TEST(Admission, LeavesModestWorkloadsAlone) {
  ankus_bucket bucket{};
  for (std::uint32_t now = 1; now <= 60 * kHz; ++now) ASSERT_FALSE(over(bucket, now, 9'000)) << now;
}

TEST(Admission, NoBurstIsLargerThanTheBucketHoweverLongTheRest) {
  ankus_bucket bucket{};
  (void)over(bucket, 1, 100);
  int passed = 0;
  while (!over(bucket, 0x7000'0000U / 2, 1'000)) ++passed;
  EXPECT_EQ(passed, 125);
}

TEST(Verdict, Table) {
  EXPECT_EQ(ankus_verdict_of(1, ANKUS_LIGHT, 1), ANKUS_FAST)
      << "speed decides, whoever owns the flow";
  EXPECT_EQ(ankus_verdict_of(0, ANKUS_LIGHT, 0), ANKUS_SLOW) << "light workloads' flows at once";
  for (const std::uint32_t weight : {ANKUS_UNKNOWN, ANKUS_HEAVY, ANKUS_MIXED}) {
    EXPECT_EQ(ankus_verdict_of(0, weight, 0), ANKUS_PROBATION);
    EXPECT_EQ(ankus_verdict_of(0, weight, 1), ANKUS_SLOW) << "proven mice of anybody";
  }
}

TEST(Verdict, WhatAHeavyWorkloadSendsBeyondItsAdmissionIsItsElephants) {
  EXPECT_EQ(ankus_verdict_over_admission(ANKUS_HEAVY), ANKUS_FAST) << "its rule's limit holds them";
  for (const std::uint32_t weight : {ANKUS_UNKNOWN, ANKUS_LIGHT, ANKUS_MIXED})
    EXPECT_EQ(ankus_verdict_over_admission(weight), ANKUS_PROBATION)
        << "there may be mice among it";
}

TEST(Canonical, BothDirectionsHaveOneKey) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const std::array<__u64, 2> a{random() % 3, random() % 3}, b{random() % 3, random() % 3};
    const auto port_a = static_cast<__be16>(random() % 3),
               port_b = static_cast<__be16>(random() % 3);
    ankus_flow_key there{}, back{};
    const int out = ankus_canonical(&there, a.data(), port_a, b.data(), port_b);
    const int in = ankus_canonical(&back, b.data(), port_b, a.data(), port_a);
    EXPECT_EQ(std::memcmp(&there, &back, sizeof there), 0);
    if (a != b || port_a != port_b) {
      EXPECT_NE(out, in) << "and each its own direction";
    }
  }
}

}  // namespace
}  // namespace ankus
