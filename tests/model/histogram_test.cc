// SPDX-License-Identifier: Apache-2.0
#include "model/histogram.h"

#include <gtest/gtest.h>

#include <chrono>

namespace ankus {
namespace {

using std::chrono::microseconds;

TEST(Histogram, EachValueLiesWithinItsBucket) {
  std::size_t last = 0;
  for (std::uint64_t value = 0; value < 1'000'000; value += 1 + value / 100) {
    const std::size_t bucket = bucket_of(value);
    EXPECT_LE(lower_bound(bucket), value);
    EXPECT_LT(value, lower_bound(bucket + 1));
    EXPECT_GE(bucket, last) << value;
    last = bucket;
  }
  EXPECT_EQ(bucket_of(~std::uint64_t{0}), kHistogramBuckets - 1);
  EXPECT_EQ(lower_bound(kHistogramBuckets), ~std::uint64_t{0});
}

TEST(Histogram, HasTheBucketsThatBpfCountsIn) {
  // bucket = floor(log2 ns) * 4 + the next two bits; below 4 ns the value itself
  EXPECT_EQ(bucket_of(0), 0u);
  EXPECT_EQ(bucket_of(3), 3u);
  EXPECT_EQ(bucket_of(4), 8u);
  EXPECT_EQ(bucket_of(7), 11u);
  EXPECT_EQ(bucket_of(1024), 40u);
  EXPECT_EQ(bucket_of(1279), 40u);
  EXPECT_EQ(bucket_of(1280), 41u);
  EXPECT_EQ(bucket_of(2047), 43u);
  EXPECT_EQ(lower_bound(41), 1280u);
  for (std::size_t bucket = 8; bucket < kHistogramBuckets; ++bucket)
    EXPECT_EQ(bucket_of(lower_bound(bucket)), bucket);
}

TEST(Histogram, QuantilesAreInterpolatedWithinTheirBucket) {
  Histogram histogram;
  EXPECT_EQ(quantile(histogram, 0.5), std::nullopt);
  for (int i = 0; i < 256; ++i) histogram.add(nanoseconds(1024 + i));  // one whole bucket
  EXPECT_EQ(quantile(histogram, 0.5), nanoseconds(1024 + 128));
  EXPECT_EQ(quantile(histogram, 0), nanoseconds(1024));
  EXPECT_EQ(quantile(histogram, 1), nanoseconds(1280));
}

TEST(Histogram, QuantilesAreOffByLessThanABucket) {
  Histogram histogram;
  for (int i = 1; i <= 10'000; ++i) histogram.add(microseconds(i));
  for (const double share : {0.01, 0.1, 0.5, 0.9, 0.99, 0.999}) {
    const double value = static_cast<double>(quantile(histogram, share)->count());
    EXPECT_NEAR(value / (share * 1e7), 1, 0.05) << share;  // the last bucket is half empty
  }
}

TEST(Histogram, ACounterThatWentBackSaysNothing) {
  Histogram earlier, later;
  earlier.add(microseconds(5), 3);
  later.add(microseconds(5), 10);
  later.add(microseconds(90));
  const auto grown = difference(later, earlier);
  ASSERT_TRUE(grown);
  EXPECT_EQ(total(*grown), 8u);
  EXPECT_EQ(grown->counts[bucket_of(5'000)], 7u);
  EXPECT_EQ(difference(earlier, later), std::nullopt);
}

TEST(Histogram, MergesAndSums) {
  Histogram a, b;
  a.add(microseconds(100), 10);
  b.add(microseconds(300), 10);
  a += b;
  EXPECT_EQ(total(a), 20u);
  EXPECT_NEAR(static_cast<double>(mean(a)->count()), 200e3, 25e3);
  EXPECT_NEAR(static_cast<double>(sum(a).count()), 4e6, 5e5);
  EXPECT_EQ(mean(Histogram{}), std::nullopt);
}

TEST(Histogram, TheLongestDurationsDoNotOverflow) {
  Histogram histogram;
  histogram.add(nanoseconds::max(), 1'000'000);
  EXPECT_EQ(sum(histogram), nanoseconds::max());
  EXPECT_GT(*quantile(histogram, 1), seconds(1'000'000'000));
  histogram.add(nanoseconds(-5));
  EXPECT_EQ(histogram.counts[0], 1u);
}

TEST(Coverage, IsTheShareThatWasMeasured) {
  EXPECT_EQ(share_of({.measured = 0, .packets = 0}), Share{1.0});
  EXPECT_EQ(share_of({.measured = 25, .packets = 100}), Share{0.25});
  EXPECT_EQ(share_of({.measured = 101, .packets = 100}), Share{1.0});
}

}  // namespace
}  // namespace ankus
