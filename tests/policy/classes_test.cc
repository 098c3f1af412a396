// SPDX-License-Identifier: Apache-2.0
#include "policy/classes.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

const Match kLight{.footprint = Weight::light};

TEST(DefaultQueue, OfLightTrafficIsShort) {
  EXPECT_EQ(default_queue(kLight, {200'000'000}), kShortestQueue);
  EXPECT_EQ(default_queue(kLight, {1'000'000'000}).count, 312'500u);
  EXPECT_EQ(default_queue({.footprint = Weight::heavy}, {1'000'000}).count, 256'000u);
  EXPECT_EQ(default_queue({}, {1'000'000'000}).count, 7'500'000u);
}

// A packet larger than the queue is dropped for ever; so one that the queue cannot hold must be
// enough to make its flow fast, which sends it to another class.
TEST(DefaultQueue, OfLightTrafficHoldsAnyPacketOfASlowFlow) {
  struct Segment {
    std::uint32_t payload, ip, tcp;
  };
  constexpr std::uint32_t kEthernet = 14;
  for (const BitRate rate : {BitRate{100'000}, {100'000'000}, {210'000'000}, {2'000'000'000}})
    for (const auto& [payload, ip, tcp] :
         {Segment{1'448, 20, 32}, Segment{1'428, 40, 32}, Segment{1'460, 20, 20}}) {
      const std::uint32_t largest = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(65'535, fast_threshold({}, rate).count - 1));
      for (std::uint32_t segments = 1; ip + tcp + segments * payload <= largest; ++segments) {
        // As qdisc_pkt_len_init() counts it: headers once more for each segment but the first.
        const std::uint32_t counted =
            kEthernet + ip + tcp + segments * payload + (segments - 1) * (kEthernet + ip + tcp);
        EXPECT_LE(counted, default_queue(kLight, rate).count)
            << segments << " segments of " << payload << " at " << to_text(rate);
      }
    }
}

TEST(DefaultQueue, FitsTheKernelsCounter) {
  EXPECT_LE(default_queue({}, {1'000'000'000'000}).count, 0xffffffffu);
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
