// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.h"

#include <gmock/gmock.h>

#include <chrono>

#include "fake/fake_tree.h"

namespace ankus {
namespace {

using testing::HasSubstr;

const Device kEth0{.name = "eth0", .ifindex = 2, .netns_cookie = 7};
const Device kIfb{.name = "ankus2", .ifindex = 77, .netns_cookie = 7};

/// What is; each knob that is not named reads as absent.
struct Before {
  Desired desired;
  std::map<Knob, Result<Setting>> is;
  std::vector<HeldKnob> held;
  std::vector<CededKnob> ceded;

  Plan plan() {
    for (const Wish& wish : desired.wishes) is.emplace(wish.knob, Absent{});
    for (const HeldKnob& h : held) is.emplace(h.knob, h.written);
    return make_plan({.current = is, .desired = desired, .held = held, .ceded = ceded});
  }
  void all_in_force() {
    for (const Wish& wish : desired.wishes) {
      is.insert_or_assign(wish.knob, wish.setting);
      held.push_back({.knob = wish.knob,
                      .original = Absent{},
                      .written = wish.setting,
                      .reason = wish.reason});
    }
  }
};

Before tree() {
  Before before;
  wish_tree(before.desired, {.device = kEth0});
  wish_members(before.desired, 2);
  return before;
}

const knob::RootQdisc kRoot{kEth0};
const knob::TcClass kLight{kEth0, make_handle(kOurMajor, 0x10)};

TEST(Plan, MakesWishesInTheirOrderWithWhatIsAsBefore) {
  Before before = tree();
  const Plan plan = before.plan();
  ASSERT_EQ(plan.actions.size(), before.desired.wishes.size());
  for (std::size_t i = 0; i < plan.actions.size(); ++i) {
    EXPECT_EQ(plan.actions[i].knob, before.desired.wishes[i].knob);
    EXPECT_EQ(plan.actions[i].before, Setting(Absent{}));
    EXPECT_EQ(plan.actions[i].after, before.desired.wishes[i].setting);
    EXPECT_EQ(plan.actions[i].reason, before.desired.wishes[i].reason);
  }
  EXPECT_TRUE(plan.refusals.empty());
}

TEST(Plan, IsEmptyWhenTheHostIsAsDesiredButForTheKernelsRounding) {
  Before before = tree();
  before.all_in_force();
  HtbClass rounded = class_setting(1, 100);
  rounded.burst.count -= 1;
  before.is.insert_or_assign(kLight, Setting(rounded));
  EXPECT_TRUE(before.plan().actions.empty());
  rounded.burst.count -= 10;  // a tick of 64 ns carries 0.8 bytes at 100 Mbit/s
  before.is.insert_or_assign(kLight, Setting(rounded));
  EXPECT_EQ(before.plan().actions.size(), 1u);
}

TEST(Plan, ChangesClassesWithoutTouchingTheRoot) {
  Before before = tree();
  before.all_in_force();
  before.desired = {};
  wish_tree(before.desired, {.device = kEth0, .megabits = 50});
  wish_members(before.desired, 2);
  const Plan plan = before.plan();
  ASSERT_EQ(plan.actions.size(), 2u);
  for (const Action& action : plan.actions)
    EXPECT_TRUE(std::holds_alternative<knob::TcClass>(action.knob));
}

TEST(Plan, RestoresWhatIsNoLongerWantedLastTakenFirst) {
  Before before = tree();
  before.all_in_force();
  before.desired = {};
  const Plan plan = before.plan();
  ASSERT_EQ(plan.actions.size(), before.held.size());
  for (std::size_t i = 0; i < plan.actions.size(); ++i) {
    EXPECT_EQ(plan.actions[i].knob, before.held[before.held.size() - 1 - i].knob);
    EXPECT_EQ(plan.actions[i].after, Setting(Absent{}));
    EXPECT_THAT(plan.actions[i].reason, HasSubstr("no longer wanted"));
  }
}

TEST(Plan, RestoresFirstAndWishesThen) {
  Before before = tree();
  before.all_in_force();
  before.desired = {};
  const Device eth1{.name = "eth1", .ifindex = 3, .netns_cookie = 7};
  wish_tree(before.desired, {.device = eth1});
  const Plan plan = before.plan();
  const auto is_new = [&](const Action& a) {
    return device_of(a.knob) && *device_of(a.knob) == eth1;
  };
  EXPECT_TRUE(std::ranges::is_partitioned(plan.actions, std::not_fn(is_new)));
}

TEST(Plan, RefusesTheWholeTreeWhereTheRootIsForeign) {
  Before before = tree();
  before.is.insert_or_assign(kRoot, Setting(Foreign{"tbf 1:"}));
  const Plan plan = before.plan();
  ASSERT_EQ(plan.actions.size(), 1u) << "membership is not the device's";
  ASSERT_EQ(plan.refusals.size(), 2u);
  EXPECT_THAT(plan.refusals[0].why, HasSubstr("tbf 1:"));
  EXPECT_THAT(plan.refusals[1].what, HasSubstr("6 more settings of eth0"));
}

TEST(Plan, RefusesTheWholeTreeWhereOneClassIsForeign) {
  Before before = tree();
  before.is.insert_or_assign(kLight, Setting(Foreign{"hfsc class"}));
  EXPECT_EQ(before.plan().actions.size(), 1u) << "half a tree is worse than none";
}

TEST(Plan, MakesNoIfbForNothing) {
  Before before;
  wish_ingress(before.desired, kEth0, kIfb);
  before.is.insert_or_assign(knob::Clsact{kEth0},
                             Setting(Foreign{"clsact with 2 filters of others"}));
  const Plan plan = before.plan();
  for (const Action& action : plan.actions) {
    EXPECT_FALSE(std::holds_alternative<knob::IngressRedirect>(action.knob));
    EXPECT_FALSE(std::holds_alternative<knob::Clsact>(action.knob));
  }
}

TEST(Plan, NeverRedirectsToAnIfbWhoseTreeIsRefused) {
  Before before;
  wish_ingress(before.desired, kEth0, kIfb);
  before.is.insert_or_assign(knob::RootQdisc{kIfb}, Setting(Foreign{"tbf 1:"}));
  EXPECT_TRUE(before.plan().actions.empty());
}

TEST(Plan, PlansForAnIfbThatItWillMake) {
  Before before;
  wish_ingress(before.desired, kEth0, kIfb);
  for (const Wish& wish : before.desired.wishes)
    if (const Device* device = device_of(wish.knob); device && *device == kIfb)
      before.is.insert_or_assign(wish.knob,
                                 Result<Setting>(fail(ErrorKind::gone, "no such device")));
  const Plan plan = before.plan();
  EXPECT_TRUE(plan.refusals.empty());
  EXPECT_EQ(plan.actions.size(), before.desired.wishes.size());
}

TEST(Plan, RefusesADeviceThatIsGone) {
  Before before = tree();
  for (const Wish& wish : before.desired.wishes)
    if (device_of(wish.knob))
      before.is.insert_or_assign(wish.knob, Result<Setting>(fail(ErrorKind::gone, "eth0 is gone")));
  const Plan plan = before.plan();
  EXPECT_EQ(plan.actions.size(), 1u);
  EXPECT_THAT(plan.refusals[0].why, HasSubstr("gone"));
}

TEST(Plan, LeavesAloneWhatSomebodyElseHasChangedAndTheTreeItIsIn) {
  Before before = tree();
  before.all_in_force();
  before.is.insert_or_assign(kLight, Setting(class_setting(1, 7)));
  before.desired = {};
  const Plan plan = before.plan();
  for (const Action& action : plan.actions)
    EXPECT_TRUE(std::holds_alternative<knob::Classifier>(action.knob) ||
                std::holds_alternative<knob::Membership>(action.knob))
        << to_text(action.knob);
  EXPECT_FALSE(plan.refusals.empty());
}

TEST(Plan, LeavesCededKnobsAlone) {
  Before before = tree();
  before.ceded.push_back({.knob = kRoot, .why = "somebody else has set it"});
  EXPECT_EQ(before.plan().actions.size(), 1u);
}

TEST(Plan, RebuildsWhatHangsOnARootThatMustChange) {
  Before before = tree();
  before.all_in_force();
  before.desired = {};
  wish_tree(before.desired, {.device = kEth0, .default_minor = 0x20});
  wish_members(before.desired, 2);
  const Plan plan = before.plan();
  const auto root =
      std::ranges::find(plan.actions, Knob(kRoot), [](const Action& a) { return a.knob; });
  ASSERT_NE(root, plan.actions.end());
  EXPECT_EQ(root->after, Setting(Absent{}));
  EXPECT_EQ((root + 1)->knob, Knob(kRoot));
  EXPECT_EQ((root + 1)->before, Setting(Absent{}));
}

TEST(Plan, PassesOnWhatThePolicyRefuses) {
  Before before;
  before.desired.refusals.push_back({.what = "shape eth0", .why = "single lock"});
  EXPECT_EQ(before.plan().refusals, before.desired.refusals);
}

const knob::IrqbalanceBans kBans;

knob::IrqAffinity interrupt(const Device& device, int queue) {
  return {.device = device, .irq = device.name + "-rx-" + std::to_string(queue)};
}

/// A rule that places interrupts 40 and 41.
Before steered() {
  Before before;
  before.desired.wishes = {
      {.knob = kBans, .setting = BannedIrqs{{40, 41}}, .reason = "bans"},
      {.knob = interrupt(kEth0, 0), .setting = CpuSet{{2}}, .reason = "place"},
      {.knob = interrupt(kEth0, 1), .setting = CpuSet{{3}}, .reason = "place"}};
  for (int queue = 0; queue < 2; ++queue)
    before.is.emplace(interrupt(kEth0, queue), CpuSet{{0, 1, 2, 3}});
  return before;
}

TEST(PlanBans, WhatOthersBannedStaysBannedWhateverBecomesOfOurs) {
  Before before = steered();
  before.is.emplace(kBans, BannedIrqs{{7, 41}});
  const Plan plan = before.plan();
  ASSERT_EQ(plan.actions.size(), 3u);
  EXPECT_EQ(plan.actions[0].after, Setting(BannedIrqs{{7, 40, 41}}));

  // The device comes back with other numbers. 40 was ours; 41 was banned before us.
  before.held = {
      {.knob = kBans, .original = BannedIrqs{{7, 41}}, .written = BannedIrqs{{7, 40, 41}}}};
  before.is.insert_or_assign(kBans, BannedIrqs{{7, 40, 41}});
  EXPECT_EQ(before.plan().actions.size(), 2u) << "the list is as it is to be";
  before.desired.wishes[0].setting = BannedIrqs{{60, 61}};
  EXPECT_EQ(before.plan().actions[0].after, Setting(BannedIrqs{{7, 41, 60, 61}}));

  before.desired = {};
  EXPECT_EQ(before.plan().actions[0].after, Setting(BannedIrqs{{7, 41}}));
}

TEST(PlanBans, WithoutIrqbalanceNobodyIsAsked) {
  Before before = steered();
  before.is.emplace(kBans, fail(ErrorKind::gone, "irqbalance does not run"));
  const Plan plan = before.plan();
  EXPECT_EQ(plan.actions.size(), 2u);
  EXPECT_TRUE(plan.refusals.empty());
}

TEST(PlanBans, AnIrqbalanceThatDoesNotAnswerCostsTheInterruptsOnly) {
  Before before = steered();
  wish_tree(before.desired, {.device = kEth0});
  const std::size_t tree = before.desired.wishes.size() - 3;
  before.is.emplace(kBans, fail(ErrorKind::busy, "irqbalance does not answer"));
  Plan plan = before.plan();
  EXPECT_EQ(plan.actions.size(), tree) << "it would move what is placed";
  EXPECT_EQ(plan.refusals,
            (std::vector<Refusal>{
                {.what = to_text(Knob(kBans)), .why = "irqbalance does not answer"},
                {.what = "2 more settings of eth0", .why = "useless without what is refused"}}));

  // What is in force stays in force, and is not given back.
  before.held = {{.knob = kBans, .original = BannedIrqs{}, .written = BannedIrqs{{40, 41}}}};
  for (const std::uint32_t queue : {0u, 1u}) {
    const Setting placed = CpuSet{{queue + 2}};
    before.is.insert_or_assign(interrupt(kEth0, static_cast<int>(queue)), placed);
    before.held.push_back({.knob = interrupt(kEth0, static_cast<int>(queue)),
                           .original = CpuSet{{0, 1, 2, 3}},
                           .written = placed});
  }
  EXPECT_EQ(before.plan().actions.size(), tree);
  // And goes back where nobody wants it, but for the list, which follows when irqbalance answers.
  before.desired = {};
  plan = before.plan();
  EXPECT_EQ(plan.actions.size(), 2u);
  EXPECT_EQ(plan.refusals.size(), 1u);
}

TEST(PlanBans, MoreThanFitInOneCommandAreRefusedWithTheirReason) {
  Before before = steered();
  BannedIrqs many;
  for (std::uint32_t irq = 200; irq < 320; ++irq) many.irqs.push_back(irq);
  before.desired.wishes[0].setting = many;
  before.is.emplace(kBans, BannedIrqs{});
  EXPECT_EQ(before.plan().actions.size(), 3u) << "120 fit";
  before.is.insert_or_assign(kBans, BannedIrqs{{77}});
  const Plan plan = before.plan();
  EXPECT_TRUE(plan.actions.empty());
  ASSERT_EQ(plan.refusals.size(), 2u);
  EXPECT_THAT(plan.refusals[0].why, HasSubstr("cannot be told to leave 121 interrupts alone"));
}

TEST(Plan, OfAThousandWorkloadsTakesAtMostFiftyMilliseconds) {
  Before before;
  for (std::uint32_t i = 0; i < 8; ++i) {
    TreeWish wish{
        .device = {.name = "eth" + std::to_string(i), .ifindex = i + 2, .netns_cookie = 7},
        .minors = {}};
    for (std::uint16_t minor = 0x10; minor < 0x20; ++minor) wish.minors.push_back(minor);
    wish_tree(before.desired, wish);
  }
  wish_members(before.desired, 1000);
  (void)before.plan();
  const auto start = std::chrono::steady_clock::now();
  const Plan plan = before.plan();
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(plan.actions.size(), before.desired.wishes.size());
  EXPECT_LE(took, std::chrono::milliseconds(50));
}

}  // namespace
}  // namespace ankus
