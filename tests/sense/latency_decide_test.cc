// SPDX-License-Identifier: Apache-2.0
// The latency sensor's decisions: the same header that runs in the kernel.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "bpf/latency.h"
#include "model/histogram.h"

namespace ankus {
namespace {

TEST(LatencyBucket, IsTheModelsForEveryPowerAndItsNeighbours) {
  for (int bit = 0; bit < 64; ++bit)
    for (const std::uint64_t step :
         {0ULL, 1ULL, 1ULL << bit >> 2, 1ULL << bit >> 1, (1ULL << bit) - 1}) {
      const std::uint64_t value = (1ULL << bit) + step;
      ASSERT_EQ(ankus_latency_bucket(value), bucket_of(value)) << value;
      ASSERT_EQ(ankus_latency_bucket(value - 1), bucket_of(value - 1)) << value - 1;
    }
  EXPECT_EQ(ankus_latency_bucket(0), 0U);
  EXPECT_EQ(ankus_latency_bucket(4), 8U);
  EXPECT_EQ(ankus_latency_bucket(1000), 39U) << "2^9 and its last quarter";
  EXPECT_EQ(ankus_latency_bucket(std::numeric_limits<std::uint64_t>::max()), 255U);
}

TEST(LatencySampling, TakesOneOfEachPowerOfTwo) {
  for (std::uint32_t shift : {0U, 1U, 6U, 16U}) {
    std::uint32_t taken = 0;
    for (std::uint32_t random = 0; random < 1U << 18; ++random)
      taken += ankus_sampled(random, shift) != 0;
    EXPECT_EQ(taken, (1U << 18) >> shift) << shift;
  }
  EXPECT_FALSE(ankus_sampled(0, 32)) << "a nonsense shift samples nothing";
}

TEST(LatencyPrint, TellsPacketsApartThatShareAnAddress) {
  EXPECT_NE(ankus_print(1, 6, 100, 7), ankus_print(1, 6, 101, 7)) << "another sequence number";
  EXPECT_NE(ankus_print(1, 6, 100, 7), ankus_print(1, 6, 100, 8)) << "another acknowledgement";
  EXPECT_NE(ankus_print(1, 17, 0, 0), ankus_print(2, 17, 0, 0)) << "another IP id";
  EXPECT_NE(ankus_print(1, 6, 0, 0), ankus_print(1, 17, 0, 0)) << "another protocol";
  EXPECT_NE(ankus_print(0, 0, 0, 0), 0U) << "0 is no packet's";
}

TEST(LatencyTrip, EndsWithTheAcknowledgementOfItsLastByteAlsoAcrossTheWrap) {
  EXPECT_EQ(ankus_trip_leaving(nullptr, 100, 0), ANKUS_TRIP_NOTHING) << "nobody acknowledges that";
  EXPECT_EQ(ankus_trip_leaving(nullptr, 100, 10), ANKUS_TRIP_BEGINS);
  for (const std::uint32_t expected : {110U, 3U}) {
    const ankus_trip running{.at = 1, .expected = expected, .window = 1};
    EXPECT_EQ(ankus_trip_arriving(&running, expected - 5), ANKUS_TRIP_NOTHING);
    EXPECT_EQ(ankus_trip_arriving(&running, expected), ANKUS_TRIP_ENDS);
    EXPECT_EQ(ankus_trip_arriving(&running, expected + 1000), ANKUS_TRIP_ENDS);
    EXPECT_EQ(ankus_trip_leaving(&running, expected, 10), ANKUS_TRIP_NOTHING) << "the next bytes";
    EXPECT_EQ(ankus_trip_leaving(&running, expected - 10, 10), ANKUS_TRIP_VOID) << "sent again";
  }
  EXPECT_EQ(ankus_trip_arriving(nullptr, 5), ANKUS_TRIP_NOTHING);
}

TEST(LatencyPending, OnlyWhatHasAnOwnerHasBegun) {
  EXPECT_EQ(ankus_pending(ANKUS_AT_UPLINK_IN), static_cast<std::uint32_t>(ANKUS_SEGMENTS));
  EXPECT_EQ(ankus_pending(ANKUS_AT_CONTAINER_OUT), static_cast<std::uint32_t>(ANKUS_SEGMENTS));
  EXPECT_EQ(ankus_pending(ANKUS_AT_DEVICE_IN), static_cast<std::uint32_t>(ANKUS_SEGMENT_STACK_IN));
  EXPECT_EQ(ankus_pending(ANKUS_AT_SOCKET), static_cast<std::uint32_t>(ANKUS_SEGMENT_READ));
  EXPECT_EQ(ankus_pending(ANKUS_AT_DEVICE_OUT), static_cast<std::uint32_t>(ANKUS_SEGMENT_HOST_OUT));
  EXPECT_EQ(ankus_pending(ANKUS_AT_UPLINK_OUT), static_cast<std::uint32_t>(ANKUS_SEGMENT_QDISC));
}

}  // namespace
}  // namespace ankus
