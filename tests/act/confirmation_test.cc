// SPDX-License-Identifier: Apache-2.0
#include "act/confirmation.h"

#include <gmock/gmock.h>

#include "act/scene.h"

namespace ankus {
namespace {

using testing::HasSubstr;

TEST(Confirmation, KeepsThePlanWhenItComesInTime) {
  Scene s;
  const auto applied = s.apply(s.plan(s.tree()), {.confirm_within = seconds(60)});
  ASSERT_TRUE(applied && applied->deadline);
  s.clock.advance(seconds(59));
  EXPECT_FALSE(expired(s.journal, s.clock)->has_value());
  EXPECT_EQ(confirm(s.journal, s.clock, "root"), applied->plan);
  s.clock.advance(seconds(3600));
  EXPECT_FALSE(undo_expired(s.kernel, s.journal, s.clock)->has_value());
  EXPECT_FALSE(s.kernel.settings.empty());
}

TEST(Confirmation, UndoesThatPlanOnlyWhenItsTimeIsOverAndHolds) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  const auto before = s.kernel.settings;
  ASSERT_TRUE(s.apply(s.plan(s.tree(50)), {.confirm_within = seconds(60)}));
  s.clock.advance(seconds(60));
  const auto late = confirm(s.journal, s.clock, "root");
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().text, HasSubstr("too late"));
  const auto undone = undo_expired(s.kernel, s.journal, s.clock);
  ASSERT_TRUE(undone && *undone);
  EXPECT_EQ(s.kernel.settings, before);
  EXPECT_FALSE(s.journal.control.confirmation);
  EXPECT_TRUE(s.journal.control.hold) << "else the next tick would apply it again";
}

TEST(Confirmation, OnlyMembershipMayChangeWhileOneWaits) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree()), {.by = "alice", .confirm_within = seconds(60)}));
  const auto second = s.apply(s.plan(s.tree(50)));
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().text, HasSubstr("alice"));
  Desired desired;
  wish_tree(desired, {.device = s.eth0});
  wish_members(desired, 9);
  const auto members = s.apply(s.plan(desired));
  ASSERT_TRUE(members) << members.error().text;
  EXPECT_FALSE(members->failure);
  EXPECT_TRUE(s.journal.control.confirmation);
  s.clock.advance(seconds(61));
  ASSERT_TRUE(undo_expired(s.kernel, s.journal, s.clock));
  EXPECT_TRUE(s.kernel.settings.empty());
  EXPECT_FALSE(s.journal.control.confirmation);
}

TEST(Confirmation, EndsAlsoWhenTheDeviceIsGone) {
  Scene s;
  Desired desired;
  wish_tree(desired, {.device = s.eth0});
  ASSERT_TRUE(s.apply(s.plan(desired), {.confirm_within = seconds(60)}));
  s.kernel.remove_device(s.eth0);
  ASSERT_TRUE(check_drift(s.kernel, s.journal, s.clock));
  s.clock.advance(seconds(61));
  ASSERT_TRUE(undo_expired(s.kernel, s.journal, s.clock));
  EXPECT_FALSE(s.journal.control.confirmation);
}

}  // namespace
}  // namespace ankus
