// SPDX-License-Identifier: Apache-2.0
#include "verify/distribution.h"

#include <gtest/gtest.h>

#include <random>

#include "verify/slices.h"

namespace ankus {
namespace {

using std::chrono::microseconds;

TEST(Distribution, QuantilesAreThoseOfTheTables) {
  EXPECT_NEAR(normal_quantile(0.975), 1.95996, 1e-4);
  EXPECT_NEAR(student_quantile(0.975, 1), 12.706, 1e-2);
  EXPECT_NEAR(student_quantile(0.975, 2), 4.3027, 1e-3);
  EXPECT_NEAR(student_quantile(0.975, 9), 2.2622, 1e-3);
  EXPECT_NEAR(student_quantile(0.995, 10), 3.1693, 1e-3);
  EXPECT_EQ(binomial_quantile(10, 0.5, 0.5), 5u);
  EXPECT_EQ(binomial_quantile(100, 0.99, 0.005), 96u);
  EXPECT_EQ(binomial_quantile(100, 0.99, 0.995), 100u);
  EXPECT_EQ(binomial_quantile(1'000'000, 0.5, 0.975), 500'980u);  // by the normal distribution
  EXPECT_EQ(binomial_quantile(50, 0, 0.5), 0u);
  EXPECT_EQ(binomial_quantile(50, 1, 0.5), 50u);
}

TEST(Distribution, IndependentPacketsAreWorthAboutThemselves) {
  std::mt19937_64 random(1);
  std::vector<Histogram> slices(10);
  for (int i = 0; i < 5000; ++i)
    slices[static_cast<std::size_t>(i % 10)].add(nanoseconds(1000 + random() % 100'000));
  const double worth = worth_of(slices, bucket_of(50'000), 0.1);
  EXPECT_LE(worth, 5000);
  EXPECT_GT(worth, 1500);
}

TEST(Distribution, PacketsThatSayTheSameAreWorthLittle) {
  // Each second was either good or bad as a whole: ten witnesses, not a thousand.
  std::vector<Histogram> slices(10);
  for (std::size_t i = 0; i < slices.size(); ++i)
    slices[i].add(i % 2 == 0 ? microseconds(10) : milliseconds(10), 100);
  EXPECT_LT(worth_of(slices, bucket_of(100'000), 0.1), 10);
  EXPECT_EQ(worth_of(std::span(slices).first(1), bucket_of(100'000), 0.1), 0);
}

TEST(Distribution, BoundsHoldThePercentileAsOftenAsTheySay) {
  // 1,000 windows of 1,000 independent packets; the true p95 of 0..100 us is 95 us.
  std::mt19937_64 random(7);
  int missed = 0;
  for (int window = 0; window < 1000; ++window) {
    std::vector<Histogram> slices(10);
    for (int i = 0; i < 1000; ++i)
      slices[static_cast<std::size_t>(i % 10)].add(nanoseconds(random() % 100'000));
    const QuantileBounds bounds = bounds_of(slices, 0.95, 0.05);
    missed += bounds.low > microseconds(95) || bounds.high < microseconds(95);
  }
  EXPECT_LE(missed, 50);
}

TEST(Distribution, FewPacketsCannotBoundAHighPercentileFromAbove) {
  const auto few = slices_of(microseconds(5), microseconds(100), 100);
  EXPECT_EQ(bounds_of(few, 0.99, 0.01).high, nanoseconds::max());
  const auto many = slices_of(microseconds(5), microseconds(100), 20'000);
  EXPECT_LT(bounds_of(many, 0.99, 0.01).high, milliseconds(1));
  EXPECT_EQ(bounds_of({}, 0.99, 0.01).high, nanoseconds::max());
}

TEST(Distribution, ALeadIsProvenOnlyBeyondChance) {
  const auto slow = slices_of(microseconds(5), milliseconds(1), 2000);
  const auto quick = slices_of(microseconds(5), microseconds(200), 2000);
  EXPECT_GT(lead_of_quicker(slow, quick, 1.1, 0.001).excess, 0);
  EXPECT_GT(lead_of_slower(quick, slow, 1 / 1.1, 0.001).excess, 0);
  EXPECT_LE(lead_of_slower(slow, quick, 1 / 1.1, 0.001).excess, 0);
  EXPECT_LE(lead_of_quicker(slow, slow, 1.0, 0.001).excess, 0);
  // Five times quicker is not proven to be six times quicker and more.
  EXPECT_LE(lead_of_quicker(slow, quick, 8, 0.001).excess, 0);
}

TEST(Distribution, ByChanceAloneALeadIsRare) {
  std::mt19937_64 random(3);
  const auto window = [&] {
    std::vector<Histogram> slices(10);
    for (int i = 0; i < 1000; ++i) {
      const double uniform = (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53;
      slices[static_cast<std::size_t>(i % 10)].add(
          nanoseconds(std::llround(-std::log(uniform) * 1e6)));
    }
    return slices;
  };
  int leads = 0;
  for (int i = 0; i < 500; ++i) leads += lead_of_quicker(window(), window(), 1, 0.05).excess > 0;
  EXPECT_LE(leads, 25);
}

TEST(Distribution, AFallOfTheMeanNeedsMoreThanNoise) {
  const std::vector<double> high{100, 102, 98, 101, 99}, low{50, 52, 48, 51, 49},
      wild{10, 190, 100, 60, 140};
  EXPECT_TRUE(mean_fell(high, low, 0.001));
  EXPECT_FALSE(mean_fell(low, high, 0.001));
  EXPECT_FALSE(mean_fell(high, wild, 0.001));
  EXPECT_FALSE(mean_fell(high, {}, 0.001));
}

}  // namespace
}  // namespace ankus
