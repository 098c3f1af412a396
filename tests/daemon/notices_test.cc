// SPDX-License-Identifier: Apache-2.0
#include "daemon/notices.h"

#include <gtest/gtest.h>

#include <vector>

namespace ankus {
namespace {

using std::chrono::minutes;

class NoticesTest : public testing::Test {
 protected:
  bool says(Notice notice, const std::string& text,
            const std::vector<std::string>& objects = {"RSS table of eth0 (ifindex 2)"}) {
    return notices_.is_news(notice, objects, text, now_);
  }
  Notices notices_;
  MonotonicTime now_{seconds(1000)};
};

TEST_F(NoticesTest, WhatGoesOnIsSaidOnce) {
  EXPECT_TRUE(says(Notice::not_tried, "not tried now: left alone for another 100001 s"));
  for (int i = 0; i < 20'000; ++i) {
    now_ = now_ + seconds(5);
    ASSERT_FALSE(says(Notice::not_tried, "not tried now: left alone for another " +
                                             std::to_string(100000 - i) + " s"));
  }
}

TEST_F(NoticesTest, TwoThatWaitTogetherDoNotMakeOneAnotherNews) {
  int news = 0;
  for (int i = 0; i < 100; ++i) {
    news += says(Notice::not_applied, "not applied now: in back-off");
    news += says(Notice::not_tried, "not tried now: in back-off");
    now_ = now_ + seconds(5);
  }
  EXPECT_EQ(news, 2);
}

TEST_F(NoticesTest, AnIdIsNoNews) {
  EXPECT_TRUE(says(Notice::waiting, "plan p-81d0c4aa has 90 actions"));
  EXPECT_FALSE(says(Notice::waiting, "plan p-fedcbaab has 91 actions"));
  EXPECT_EQ(without_numbers("plan p-fedcbaab: up-1, a-00c0ffee, p-x"), "plan : up-, , p-x");
}

TEST_F(NoticesTest, AnotherThingIsNewsAndAnotherReason) {
  EXPECT_TRUE(says(Notice::waiting, "would take 1 actions"));
  EXPECT_TRUE(says(Notice::waiting, "would take 1 actions", {"RSS table of eth1 (ifindex 3)"}));
  EXPECT_TRUE(says(Notice::waiting, "would take 1 actions; too large"));
}

TEST_F(NoticesTest, WhatComesAndGoesIsRepeatedAfterTenMinutes) {
  const auto turn = [&] {
    const bool one = says(Notice::dropped, "no sign"), other = says(Notice::dropped, "no packets");
    return one || other;
  };
  EXPECT_TRUE(turn());
  now_ = now_ + minutes(9);
  EXPECT_FALSE(turn());
  now_ = now_ + minutes(1);
  EXPECT_TRUE(turn());
}

TEST_F(NoticesTest, WhatIsDoneMakesItNewsAgain) {
  EXPECT_TRUE(says(Notice::dropped, "no sign"));
  now_ = now_ + minutes(11);
  EXPECT_FALSE(says(Notice::dropped, "no sign"));
  notices_.forget_the_last();
  EXPECT_TRUE(says(Notice::dropped, "no sign"));
  notices_.forget_the_last();
  EXPECT_FALSE(says(Notice::dropped, "no sign")) << "not at the loop's pace all the same";
}

TEST_F(NoticesTest, NewThingsAllTheTimeFillNoHistory) {
  int news = 0;
  for (int i = 0; i < 720; ++i) {  // an hour
    news += says(Notice::waiting, "would take 1 actions", {"RPS of veth" + std::to_string(i)});
    now_ = now_ + seconds(5);
  }
  EXPECT_LE(news, 36);
}

}  // namespace
}  // namespace ankus
