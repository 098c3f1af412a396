// SPDX-License-Identifier: Apache-2.0
#include "verify/steering_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace ankus {
namespace {

using testing::HasSubstr;

class SteeringGuardTest : public testing::Test {
 protected:
  /// One look a second; the seconds (from 1) in which the steering had to go.
  std::vector<int> alarms(bool steered, const std::vector<double>& dropped) {
    std::vector<int> seconds_of_alarm;
    for (std::size_t i = 0; i < dropped.size(); ++i) {
      now_ = now_ + seconds(1);
      if (auto why = guard_.look(steered, dropped[i], now_)) {
        seconds_of_alarm.push_back(static_cast<int>(i) + 1);
        said_ = *why;
      }
    }
    return seconds_of_alarm;
  }
  void without_steering(double dropped, int length) {
    (void)alarms(false, std::vector<double>(static_cast<std::size_t>(length), dropped));
  }

  SteeringGuard guard_;
  MonotonicTime now_{seconds(1000)};
  std::string said_;
};

TEST_F(SteeringGuardTest, LossesThatLastEndTheSteeringWithinSeconds) {
  without_steering(0, 60);
  EXPECT_EQ(alarms(true, {0, 0, 800, 800, 800}), std::vector{5});
  EXPECT_THAT(said_, HasSubstr("800 packets per second dropped"));
  EXPECT_THAT(said_, HasSubstr("3 of the last 5 seconds"));
}

TEST_F(SteeringGuardTest, LossesNowAndThenCountWhileTheyAreClose) {
  without_steering(0, 60);
  EXPECT_EQ(alarms(true, {50, 0, 50, 0, 50}), std::vector{5});
}

TEST_F(SteeringGuardTest, OneBurstIsNoReason) {
  without_steering(0, 60);
  EXPECT_TRUE(alarms(true, {0, 90000, 0, 0, 0, 0, 90000, 90000, 0, 0, 0}).empty());
}

TEST_F(SteeringGuardTest, AFewPacketsAreNoReason) {
  without_steering(0, 60);
  EXPECT_TRUE(alarms(true, std::vector<double>(30, 9)).empty());
}

TEST_F(SteeringGuardTest, WhatTheHostLosesAnyhowIsNotTheSteeringsFault) {
  without_steering(400, 120);
  EXPECT_TRUE(alarms(true, std::vector<double>(30, 1000)).empty());
  EXPECT_FALSE(alarms(true, std::vector<double>(10, 1300)).empty());
}

TEST_F(SteeringGuardTest, WhatTheHostLostLongAgoIsForgotten) {
  without_steering(400, 120);
  without_steering(0, 600);
  EXPECT_FALSE(alarms(true, std::vector<double>(5, 100)).empty());
}

TEST_F(SteeringGuardTest, WithoutSteeringNothingHasToGo) {
  EXPECT_TRUE(alarms(false, std::vector<double>(60, 5000)).empty());
  EXPECT_TRUE(alarms(true, {0, 5000, 5000}).empty()) << "what was before it does not count";
}

TEST_F(SteeringGuardTest, IsSaidOnceAndAgainIfItStays) {
  without_steering(0, 60);
  EXPECT_EQ(alarms(true, std::vector<double>(6, 500)), (std::vector{3, 6}));
}

TEST_F(SteeringGuardTest, ARestartDoesNotMakeOrdinaryLossesHarm) {
  without_steering(60, 120);
  ASSERT_TRUE(alarms(true, std::vector<double>(10, 30)).empty());
  SteeringGuard next;
  next.remember(guard_.ordinary().value());
  guard_ = next;
  EXPECT_TRUE(alarms(true, std::vector<double>(10, 150)).empty());
  EXPECT_FALSE(alarms(true, std::vector<double>(10, 250)).empty()) << "and harm is still harm";
}

TEST_F(SteeringGuardTest, WithoutAMemoryTheFirstSecondsSayWhatIsOrdinary) {
  EXPECT_TRUE(alarms(true, std::vector<double>(30, 30)).empty()) << "as it was before the restart";
  EXPECT_EQ(guard_.ordinary(), std::nullopt) << "nobody has seen the host without steering";
  EXPECT_FALSE(alarms(true, std::vector<double>(5, 100)).empty());
  EXPECT_THAT(said_, HasSubstr("30 per second when Ankus started"));
}

TEST_F(SteeringGuardTest, OneBurstAtTheStartIsNotOrdinary) {
  (void)alarms(true, {0, 0, 90000, 0, 0, 0, 0});
  EXPECT_EQ(alarms(true, {50, 50, 50}), std::vector{3});
}

TEST_F(SteeringGuardTest, WhatIsFoundWithSteeringGivesWayToWhatIsSeenWithoutIt) {
  (void)alarms(true, std::vector<double>(10, 400));
  without_steering(0, 2);
  EXPECT_EQ(alarms(true, {50, 50, 50}), std::vector{3});
}

TEST_F(SteeringGuardTest, AFewSecondsWithoutSteeringAreEnoughToKnowTheHost) {
  EXPECT_TRUE(alarms(false, {0, 60, 60, 60}).empty()) << "the first rate is none";
  EXPECT_EQ(guard_.ordinary(), 60);
  EXPECT_TRUE(alarms(true, std::vector<double>(10, 100)).empty());
}

TEST_F(SteeringGuardTest, TurnsThatFollowOneAnotherAtOnceAreOneSecond) {
  without_steering(0, 60);
  for (int i = 0; i < 20; ++i)
    EXPECT_FALSE(guard_.look(true, 500, now_ + milliseconds(50) * i)) << i;
}

}  // namespace
}  // namespace ankus
