// SPDX-License-Identifier: Apache-2.0
#include "policy/classes.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

const Match kLight{.footprint = Weight::light};

TEST(DefaultQueue, OfLightTrafficIsShort) {
  EXPECT_EQ(default_queue({}, kLight, {200'000'000}).count, 64'000u);
  EXPECT_EQ(default_queue({}, kLight, {1'000'000'000}).count, 312'500u);
  EXPECT_EQ(default_queue({}, {.footprint = Weight::heavy}, {1'000'000}).count, 256'000u);
  EXPECT_EQ(default_queue({}, {}, {1'000'000'000}).count, 7'500'000u);
}

// A packet larger than the queue is dropped for ever; so one that the queue cannot hold must be
// enough to make its flow fast, which sends it to another class.
TEST(DefaultQueue, OfLightTrafficHoldsAnyPacketOfASlowFlow) {
  for (const std::uint64_t floor : {1'500u, 64'000u, 1'000'000u})
    for (const std::uint64_t rate : {100'000u, 100'000'000u, 2'000'000'000u}) {
      const Policy policy{.fast = {.floor = {floor}}};
      const Bytes largest_slow = std::min(Bytes{72'000}, fast_threshold(policy.fast, {rate}));
      EXPECT_GE(default_queue(policy, kLight, {rate}), largest_slow);
    }
}

TEST(DefaultQueue, FitsTheKernelsCounter) {
  EXPECT_LE(default_queue({}, {}, {1'000'000'000'000}).count, 0xffffffffu);
  EXPECT_LE(probation_queue({1'000'000'000'000}).count, 0xffffffffu);
}

TEST(ShareClass, WithoutAGuaranteeStillHasARate) {
  const HtbClass none = share_class({200'000'000}, {0}, {1}, 3, 1'500);
  EXPECT_EQ(none.rate, kLeastClassRate);
  EXPECT_EQ(none.ceil, BitRate{200'000'000});
}

TEST(ShareClass, RatesAreWholeBytesPerSecond) {
  const HtbClass odd = share_class({1'000'003}, {0.333}, {0.777}, 3, 1'500);
  EXPECT_EQ(odd.rate.bits_per_second % 8, 0u);
  EXPECT_EQ(odd.ceil.bits_per_second % 8, 0u);
  EXPECT_EQ(BitRate{odd.rate.bytes_per_second() * 8}, odd.rate);
}

}  // namespace
}  // namespace ankus
