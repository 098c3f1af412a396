// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "lab/traffic_replay.h"
#include "lab/traffic_sizes.h"

namespace ankus::traffic {

TEST(Sizes, MeansAreThePublishedOnes) {
  EXPECT_NEAR(mean_size(*find_size_table("websearch")), 1.711e6, 0.001e6);
  EXPECT_NEAR(mean_size(*find_size_table("hadoop")), 120e3, 5e3);
}

TEST(Sizes, AreLinearBetweenThePoints) {
  const SizeTable websearch = *find_size_table("websearch");
  EXPECT_EQ(size_at(websearch, 0), 0u);
  EXPECT_EQ(size_at(websearch, .15), 10'000u);
  EXPECT_EQ(size_at(websearch, .175), 15'000u);
  EXPECT_EQ(size_at(websearch, .985), 20'000'000u);
  EXPECT_EQ(size_at(websearch, 1), 30'000'000u);
}

TEST(Sizes, DrawsFollowTheTable) {
  const SizeTable websearch = *find_size_table("websearch");
  const auto sizes = draw_sizes(websearch, 20'000, 7);
  const double mean =
      static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), 0ull)) / 20'000;
  EXPECT_NEAR(mean, mean_size(websearch), 0.05 * mean_size(websearch));
  const auto above_10_mb =
      std::ranges::count_if(sizes, [](auto size) { return size > 10'000'000; });
  EXPECT_NEAR(static_cast<double>(above_10_mb), 600, 75);
}

TEST(Sizes, TheSameSeedDrawsTheSameFlows) {
  const SizeTable hadoop = *find_size_table("hadoop");
  EXPECT_EQ(draw_sizes(hadoop, 100, 3), draw_sizes(hadoop, 100, 3));
  EXPECT_NE(draw_sizes(hadoop, 100, 3), draw_sizes(hadoop, 100, 4));
}

TEST(Sizes, AnUnknownTableSaysWhichThereAre) {
  EXPECT_EQ(find_size_table("web").error().text,
            "--table \"web\" is unknown: there are websearch and hadoop");
}

}  // namespace ankus::traffic
