// SPDX-License-Identifier: Apache-2.0
// What the model's values read like: plans, logs and ids are made of these.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/flow.h"
#include "model/plan.h"

namespace ankus {
namespace {

using testing::HasSubstr;

const Device kEth0{.name = "eth0", .ifindex = 2, .netns_cookie = 1};

Action rate_change() {
  const HtbClass before{.parent = make_handle(kOurMajor, 1),
                        .rate = {120'000'000},
                        .ceil = {200'000'000},
                        .burst = {15'000},
                        .cburst = {15'000},
                        .quantum = {15'000}};
  HtbClass after = before;
  after.rate = {100'000'000};
  return {.knob = knob::TcClass{.device = kEth0, .handle = make_handle(kOurMajor, 0x10)},
          .before = before,
          .after = after,
          .reason = "rule \"mice first\""};
}

TEST(TcHandle, IsWrittenAsTcDoes) {
  EXPECT_EQ(to_text(make_handle(0x7a8c, 0)), "7a8c:");
  EXPECT_EQ(to_text(make_handle(0x7a8c, 0x10)), "7a8c:10");
  EXPECT_EQ(make_handle(0x7a8c, 0x10).major(), 0x7a8c);
  EXPECT_EQ(make_handle(0x7a8c, 0x10).minor(), 0x10);
}

TEST(Endpoint, IsWrittenWithItsPort) {
  EXPECT_EQ(to_text(Endpoint{.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1},
                             .port = 443}),
            "10.0.0.1:443");
  EXPECT_EQ(
      to_text(Endpoint{.address = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                       .port = 443}),
      "[2001:db8::1]:443");
}

TEST(Words, SurviveTheRoundTrip) {
  for (const auto kind : {WorkloadKind::container, WorkloadKind::vm, WorkloadKind::service})
    EXPECT_EQ(workload_kind_from_text(to_text(kind)), kind);
  for (const auto weight : {Weight::unknown, Weight::light, Weight::heavy, Weight::mixed})
    EXPECT_EQ(weight_from_text(to_text(weight)), weight);
  EXPECT_EQ(workload_kind_from_text("pod"), std::nullopt);
  EXPECT_EQ(weight_from_text("Light"), std::nullopt);
}

TEST(Action, InverseOfInverseIsItself) {
  const Action action = rate_change();
  EXPECT_EQ(inverse(action).after, action.before);
  EXPECT_EQ(inverse(action).before, action.after);
  EXPECT_EQ(inverse(inverse(action)), action);
}

TEST(Action, IdIsThatOfKnobAndGoal) {
  const Action action = rate_change();
  Action from_elsewhere = action;
  from_elsewhere.before = Absent{};
  from_elsewhere.reason = "another rule";
  EXPECT_EQ(id_of(from_elsewhere), id_of(action));

  Action other_goal = action;
  std::get<HtbClass>(other_goal.after).rate = {90'000'000};
  EXPECT_NE(id_of(other_goal), id_of(action));

  Action other_device = action;
  std::get<knob::TcClass>(other_device.knob).device.ifindex = 3;  // same name, its successor
  EXPECT_NE(id_of(other_device), id_of(action));
  EXPECT_THAT(id_of(action), testing::MatchesRegex("a-[0-9a-f]+"));
}

TEST(Plan, IdDependsOnTheOrder) {
  Action second = rate_change();
  second.knob = knob::Membership{};
  const Plan plan{.actions = {rate_change(), second}};
  const Plan swapped{.actions = {second, rate_change()}};
  EXPECT_EQ(id_of(plan), id_of(Plan{plan}));
  EXPECT_NE(id_of(plan), id_of(swapped));
  const Plan refused{.actions = plan.actions, .refusals = {{.what = "shape eth1", .why = "down"}}};
  EXPECT_EQ(id_of(refused), id_of(plan));
}

TEST(Knob, ReadsAsASentence) {
  EXPECT_EQ(to_text(Knob(rate_change().knob)), "class 7a8c:10 on eth0");
  EXPECT_EQ(to_text(Knob(knob::RootQdisc{.device = kEth0})), "root qdisc of eth0");
  EXPECT_THAT(to_text(rate_change().after), HasSubstr("rate 100 Mbit ceil 200 Mbit"));
  EXPECT_THAT(to_text(rate_change().after), HasSubstr("below 7a8c:1"));
}

TEST(Knob, KnowsItsDevice) {
  const Knob on_device = knob::Clsact{.device = kEth0};
  ASSERT_NE(device_of(on_device), nullptr);
  EXPECT_EQ(*device_of(on_device), kEth0);
  EXPECT_EQ(device_of(Knob(knob::Membership{})), nullptr);
  EXPECT_EQ(device_of(Knob(knob::Ifb{.name = "ankus-ifb2"})), nullptr);
}

TEST(Members, DigestFollowsEachField) {
  const Member row{.workload = 1, .slow_class = 16, .fast_class = 17, .weight = Weight::light};
  const std::string text = to_text(Setting(Members{.rows = {row}}));
  Member other = row;
  other.fast_class = 15;
  EXPECT_NE(to_text(Setting(Members{.rows = {other}})), text);
  other = row;
  other.weight = Weight::heavy;
  EXPECT_NE(to_text(Setting(Members{.rows = {other}})), text);
  EXPECT_THAT(text, HasSubstr("1 workload,"));
}

TEST(Text, TellsTablesOfEqualCountsApart) {
  const auto action = [](std::vector<std::uint32_t> queues) {
    return Action{.knob = knob::RssTable{kEth0}, .after = Indirection{.queues = std::move(queues)}};
  };
  const Action one = action({0, 1, 0, 1}), swapped = action({1, 0, 0, 1});
  EXPECT_NE(to_text(one.after), to_text(swapped.after));
  EXPECT_NE(id_of(one), id_of(swapped));
  EXPECT_EQ(id_of(one), id_of(action({0, 1, 0, 1})));
}

}  // namespace
}  // namespace ankus
