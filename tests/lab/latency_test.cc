// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lab/traffic_latency.h"

namespace ankus::traffic {

using std::chrono::microseconds;

TEST(Latency, PercentilesAreMeasuredValuesByNearestRank) {
  std::vector<nanoseconds> samples;
  for (int i = 1000; i >= 1; --i) samples.push_back(microseconds(i));
  EXPECT_EQ(summarise(samples), (LatencySummary{.count = 1000,
                                                .p50 = microseconds(500),
                                                .p90 = microseconds(900),
                                                .p95 = microseconds(950),
                                                .p99 = microseconds(990),
                                                .p999 = microseconds(999),
                                                .max = microseconds(1000)}));
}

TEST(Latency, OneSampleIsEachPercentile) {
  const LatencySummary summary = summarise({microseconds(7)});
  EXPECT_EQ(summary.p50, microseconds(7));
  EXPECT_EQ(summary.p999, microseconds(7));
}

TEST(Latency, NoSamplesCountZero) { EXPECT_EQ(summarise({}), LatencySummary{}); }

TEST(Latency, JsonKeepsTenthsOfAMicrosecond) {
  EXPECT_EQ(to_json(summarise({nanoseconds(12'340)}))["p99_us"], 12.3);
}

TEST(Latency, AnUnwritableFileIsNamedInTheError) {
  const auto written = write_json("/nonexistent/x.json", {});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().text, "open /nonexistent/x.json: No such file or directory");
}

}  // namespace ankus::traffic
