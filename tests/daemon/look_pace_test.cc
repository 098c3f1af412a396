// SPDX-License-Identifier: Apache-2.0
#include "daemon/look_pace.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

constexpr MonotonicTime at(milliseconds after) { return {seconds(1000) + after}; }

TEST(LookPace, LooksNowAndThenWithoutNews) {
  LookPace pace;
  pace.looked(at({}), milliseconds(2));
  EXPECT_FALSE(pace.is_due(false, at(milliseconds(4999))));
  EXPECT_TRUE(pace.is_due(false, at(milliseconds(5000))));
}

TEST(LookPace, LooksAtOnceAfterNewsWhereLooksAreCheap) {
  LookPace pace;
  pace.looked(at({}), milliseconds(2));
  EXPECT_TRUE(pace.is_due(true, at(milliseconds(50))));
}

TEST(LookPace, NewsWithoutEndCostATenthOfACpu) {
  LookPace pace;
  nanoseconds busy{};
  for (milliseconds now{}; now < seconds(60); now += milliseconds(50))
    if (pace.is_due(true, at(now)))
      pace.looked(at(now), milliseconds(200)), busy += milliseconds(200);
  EXPECT_LE(busy, milliseconds(6200));
  EXPECT_GE(busy, milliseconds(5800));
}

TEST(LookPace, ALookThatTakesVeryLongIsStillRepeated) {
  LookPace pace;
  pace.looked(at({}), seconds(2));
  EXPECT_TRUE(pace.is_due(true, at(seconds(5))));
}

}  // namespace
}  // namespace ankus
