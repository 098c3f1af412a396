// SPDX-License-Identifier: Apache-2.0
#include "daemon/retry.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

TEST(Retry, WaitsTwiceAsLongEachTimeUpToFiveMinutes) {
  Retry retry;
  MonotonicTime now{seconds(100)};
  EXPECT_TRUE(retry.is_due(now));
  for (const int wait : {5, 10, 20, 40, 80, 160, 300, 300}) {
    retry.failed(now);
    EXPECT_FALSE(retry.is_due(now + (seconds(wait) - nanoseconds(1))));
    now = now + seconds(wait);
    EXPECT_TRUE(retry.is_due(now)) << wait;
  }
}

}  // namespace
}  // namespace ankus
