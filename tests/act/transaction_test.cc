// SPDX-License-Identifier: Apache-2.0
#include "act/transaction.h"

#include <gmock/gmock.h>

#include "act/dry_run.h"
#include "act/scene.h"

namespace ankus {
namespace {

using testing::HasSubstr;

TEST(Transaction, AppliesAPlanAndHoldsWhatItWrote) {
  Scene s;
  const Plan plan = s.plan(s.tree_and_ingress());
  ASSERT_EQ(plan.refusals.size(), 0u);
  const auto applied = s.apply(plan);
  ASSERT_TRUE(applied) << applied.error().text;
  EXPECT_FALSE(applied->failure);
  EXPECT_EQ(s.journal.held_list.size(), plan.actions.size());
  EXPECT_EQ(s.kernel.settings.size(), plan.actions.size());
  for (const RunStep& step : applied->steps) EXPECT_EQ(step.outcome, Outcome::done);
  EXPECT_TRUE(s.plan(s.tree_and_ingress()).actions.empty()) << "nothing is left to do";
}

TEST(Transaction, RefusesAPlanThatTheHostDoesNotFitAnyMore) {
  Scene s;
  const Plan plan = s.plan(s.tree());
  s.kernel.change(knob::RootQdisc{s.eth0}, Foreign{"tbf 1:"});
  const auto before = s.kernel.settings;
  const auto applied = s.apply(plan);
  ASSERT_FALSE(applied);
  EXPECT_THAT(applied.error().text, HasSubstr("root qdisc of eth0"));
  EXPECT_THAT(applied.error().text, HasSubstr("absent"));
  EXPECT_THAT(applied.error().text, HasSubstr("tbf 1:"));
  EXPECT_EQ(s.kernel.settings, before);
  EXPECT_TRUE(s.journal.run_list.empty());
}

TEST(Transaction, SkipsWhatIsInForceAlready) {
  Scene s;
  const Plan plan = s.plan(s.tree());
  s.kernel.change(knob::Classifier{s.eth0}, ClassifierProgram{});
  const auto applied = s.apply(plan);
  ASSERT_TRUE(applied);
  EXPECT_FALSE(applied->failure);
  const auto skipped = std::ranges::count(applied->steps, Outcome::skipped, &RunStep::outcome);
  EXPECT_EQ(skipped, 1);
  ASSERT_TRUE(s.undo());
  EXPECT_TRUE(s.kernel.settings.contains(knob::Classifier{s.eth0})) << "we did not make it";
}

class FailsAtEveryStep : public testing::TestWithParam<int> {};

TEST_P(FailsAtEveryStep, AndTheHostIsAsBefore) {
  const std::size_t steps = Scene().plan(Scene().tree_and_ingress()).actions.size();
  ASSERT_GT(steps, 15u);
  for (std::size_t k = 0; k < steps; ++k) {
    Scene s;
    const Plan plan = s.plan(s.tree_and_ingress());
    s.kernel.fail_at = static_cast<int>(k);
    s.kernel.fail_with = GetParam();
    const auto applied = s.apply(plan);
    ASSERT_TRUE(applied);
    ASSERT_TRUE(applied->failure) << "step " << k;
    EXPECT_THAT(applied->failure->text, HasSubstr("step " + std::to_string(k + 1) + " of"));
    EXPECT_THAT(applied->failure->text, HasSubstr(to_text(plan.actions[k].knob)));
    EXPECT_EQ(applied->failure->err, GetParam());
    EXPECT_TRUE(s.kernel.settings.empty()) << "step " << k;
    EXPECT_TRUE(applied->degraded.empty());
    EXPECT_TRUE(s.journal.held_list.empty());
    EXPECT_TRUE(s.journal.run_list.empty());
    EXPECT_EQ(applied->steps[k].outcome, Outcome::failed);
    // Exactly the acknowledged ones were taken back, last first.
    ASSERT_EQ(s.kernel.writes.size(), 2 * k);
    for (std::size_t i = 0; i < k; ++i)
      EXPECT_EQ(s.kernel.writes[k + i].knob, plan.actions[k - 1 - i].knob);
    // And the same plan goes through at the next try.
    const auto again = s.apply(s.plan(s.tree_and_ingress()));
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->failure);
  }
}
INSTANTIATE_TEST_SUITE_P(Transaction, FailsAtEveryStep,
                         testing::Values(EPERM, EBUSY, EINVAL, ENOSPC, ENODEV, EOPNOTSUPP,
                                         ENOBUFS));

TEST(Transaction, AChangeThatFailsLeavesTheOldTreeInForce) {
  for (int k = 0; k < 2; ++k) {
    Scene s;
    ASSERT_TRUE(s.apply(s.plan(s.tree())));
    const auto before = s.kernel.settings;
    const auto held = s.journal.held_list;
    const Plan plan = s.plan(s.tree(50));
    ASSERT_EQ(plan.actions.size(), 2u) << "only the classes change";
    s.kernel.fail_at = k;
    ASSERT_TRUE(s.apply(plan)->failure);
    EXPECT_EQ(s.kernel.settings, before);
    EXPECT_EQ(s.journal.held_list, held);
  }
}

TEST(Transaction, AWriteThatReadsBackAsSomethingElseIsAFailure) {
  Scene s;
  const Plan plan = s.plan(s.tree());
  for (const Action& action : plan.actions) {
    Scene one;
    one.kernel.deaf.insert(action.knob);
    const auto applied = one.apply(one.plan(one.tree()));
    ASSERT_TRUE(applied);
    ASSERT_TRUE(applied->failure) << to_text(action.knob);
    EXPECT_TRUE(one.kernel.settings.empty());
  }
}

TEST(Transaction, NamesWhatItCouldNotTakeBackAndRefusesToGoOn) {
  Scene s;
  const Plan plan = s.plan(s.tree());
  s.kernel.fail_at = 4;
  s.kernel.for_good = true;
  const auto applied = s.apply(plan);
  ASSERT_TRUE(applied && applied->failure);
  EXPECT_EQ(applied->degraded.size(), 4u);
  EXPECT_THAT(applied->failure->text, HasSubstr("NOT taken back"));
  EXPECT_THAT(applied->failure->text, HasSubstr("root qdisc of eth0"));
  s.kernel.fail_at.reset();
  const auto refused = s.apply(s.plan(s.tree(50)));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, HasSubstr("degraded"));
  // What is degraded is held: the undo can still take it back, and ends the state.
  const auto undone = s.undo({.hold = Hold::no});
  ASSERT_TRUE(undone);
  EXPECT_TRUE(s.kernel.settings.empty());
  EXPECT_TRUE(s.journal.control.degraded.empty());
  EXPECT_TRUE(s.apply(s.plan(s.tree())));
}

TEST(Transaction, WritesNothingIfTheIntentCannotBeRecorded) {
  Scene s;
  FaultyJournal faulty(s.journal);
  faulty.fail_at = 0;
  const auto applied = ankus::apply(s.plan(s.tree()), s.kernel, faulty, s.clock, {});
  ASSERT_FALSE(applied);
  EXPECT_THAT(applied.error().text, HasSubstr("intent"));
  EXPECT_TRUE(s.kernel.writes.empty());
}

TEST(Transaction, TakesBackWhatItCannotRecordAsDone) {
  Scene s;
  FaultyJournal faulty(s.journal);
  faulty.fail_at = 1;
  faulty.for_good = true;
  const auto applied = ankus::apply(s.plan(s.tree()), s.kernel, faulty, s.clock, {});
  ASSERT_TRUE(applied && applied->failure);
  EXPECT_TRUE(s.kernel.settings.empty());
  ASSERT_EQ(s.journal.run_list.at(0).state, RunState::open);
  // The process may live on: the next to apply closes it.
  const auto next = s.apply(s.plan(s.tree(50)));
  ASSERT_TRUE(next) << next.error().text;
  EXPECT_FALSE(next->failure);
  ASSERT_EQ(s.journal.run_list.size(), 1u);
  EXPECT_EQ(s.journal.run_list[0].plan, next->plan);
}

TEST(Transaction, AnUnauditedActionIsWorseThanNoneUnlessThePolicySaysOtherwise) {
  Scene s;
  s.journal.history_broken = "disk full";
  const auto refused = s.apply(s.plan(s.tree()));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, HasSubstr("disk full"));
  EXPECT_TRUE(s.kernel.writes.empty());
  ASSERT_TRUE(s.apply(s.plan(s.tree()), {.audit_required = false}));
  EXPECT_FALSE(s.kernel.settings.empty());
  ASSERT_TRUE(s.undo()) << "undo needs no history";
  EXPECT_TRUE(s.kernel.settings.empty());
}

TEST(Transaction, PauseAndHoldStopAllApplying) {
  Scene s;
  s.journal.control.paused = true;
  EXPECT_FALSE(s.apply(s.plan(s.tree())));
  s.journal.control.paused = false;
  s.journal.control.hold = "undo of all by root";
  EXPECT_FALSE(s.apply(s.plan(s.tree())));
  EXPECT_TRUE(s.kernel.writes.empty());
}

TEST(Transaction, RebuildsATreeWhoseRootMustChange) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  Desired desired;
  wish_tree(desired, {.device = s.eth0, .default_minor = 0x20});
  wish_members(desired, 3);
  const auto before = s.kernel.settings;
  const Plan plan = s.plan(desired);
  for (std::size_t k = 0; k < plan.actions.size(); ++k) {
    Scene copy = s;
    copy.kernel.fail_at = static_cast<int>(k);
    ASSERT_TRUE(copy.apply(plan)->failure);
    EXPECT_EQ(copy.kernel.settings, before) << "step " << k;
  }
  const auto applied = s.apply(plan);
  ASSERT_TRUE(applied);
  ASSERT_FALSE(applied->failure) << applied->failure->text;
  EXPECT_EQ(std::get<HtbRoot>(s.kernel.settings.at(knob::RootQdisc{s.eth0})).default_minor, 0x20);
  ASSERT_TRUE(s.undo());
  EXPECT_TRUE(s.kernel.settings.empty());
}

TEST(DryRun, WritesWhatApplyWouldWriteAndLeavesTheHostAlone) {
  Scene s;
  const Plan plan = s.plan(s.tree_and_ingress());
  DryRun dry_run(s.kernel);
  FakeJournal journal;
  const auto tried = ankus::apply(plan, dry_run, journal, s.clock, {});
  ASSERT_TRUE(tried);
  EXPECT_FALSE(tried->failure);
  EXPECT_TRUE(s.kernel.settings.empty());
  EXPECT_EQ(dry_run.would_write(), plan.actions);
  ASSERT_TRUE(s.apply(plan));
  EXPECT_EQ(s.kernel.writes, plan.actions);
}

TEST(DryRun, RehearsesWithoutAJournal) {
  Scene s;
  const auto rehearsed = rehearse(s.plan(s.tree()), s.kernel);
  ASSERT_TRUE(rehearsed);
  EXPECT_FALSE(rehearsed->failure);
  EXPECT_TRUE(s.kernel.settings.empty());
}

}  // namespace
}  // namespace ankus
