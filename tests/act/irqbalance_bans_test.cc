// SPDX-License-Identifier: Apache-2.0
// The list of an irqbalance by its socket, from the real planner and actuator to undo.
#include <gmock/gmock.h>

#include "act/drift.h"
#include "act/kernel_actuator.h"
#include "act/transaction.h"
#include "act/undo.h"
#include "fake/fake_clock.h"
#include "fake/fake_irqbalance.h"
#include "fake/fake_journal.h"
#include "fake/temp_tree.h"
#include "plan/plan.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;

class IrqbalanceBansTest : public ::testing::Test {
 protected:
  Plan plan_for(const std::vector<std::uint32_t>& irqs) {
    const Knob knob = knob::IrqbalanceBans{};
    Desired desired;
    if (!irqs.empty())
      desired.wishes.push_back({.knob = knob, .setting = BannedIrqs{irqs}, .reason = "test"});
    std::map<Knob, Result<Setting>> current;
    current.emplace(knob, std::move(actuator.read({&knob, 1})[0]));
    return make_plan(
        {.current = current, .desired = desired, .held = journal.held().value(), .ceded = {}});
  }
  void apply(const std::vector<std::uint32_t>& irqs) {
    const auto applied = ankus::apply(plan_for(irqs), actuator, journal, clock, {.by = "test"});
    ASSERT_TRUE(applied) << applied.error().text;
    EXPECT_FALSE(applied->failure) << applied->failure->text;
  }
  void undo() {
    const auto undone = ankus::undo(actuator, journal, clock, {.by = "test"});
    ASSERT_TRUE(undone) << undone.error().text;
    EXPECT_TRUE(undone->degraded.empty());
  }

  TempTree tree;
  FakeClock clock;
  FakeJournal journal;
  KernelActuator actuator =
      std::move(*KernelActuator::open({.irqbalance = {.directory = tree.root}}));
};

TEST_F(IrqbalanceBansTest, TheOperatorsOwnStayAndAreAllThatIsLeft) {
  const RunningIrqbalance irqbalance(tree.root + "/irqbalance42.sock", {0, 7, 41});
  apply({40, 41});
  EXPECT_THAT(irqbalance.banned(), ElementsAre(0, 7, 40, 41));
  apply({60});
  EXPECT_THAT(irqbalance.banned(), ElementsAre(0, 7, 41, 60));
  EXPECT_TRUE(plan_for({60}).actions.empty());
  undo();
  EXPECT_THAT(irqbalance.banned(), ElementsAre(0, 7, 41));
}

TEST_F(IrqbalanceBansTest, WhatNobodyWantsAnyMoreGoesFromTheList) {
  const RunningIrqbalance irqbalance(tree.root + "/irqbalance42.sock", {7});
  apply({40});
  apply({});
  EXPECT_THAT(irqbalance.banned(), ElementsAre(7));
  EXPECT_TRUE(journal.held()->empty());
}

TEST_F(IrqbalanceBansTest, AnIrqbalanceThatEndsIsGoneAndTookNothingFromAnybody) {
  {
    const RunningIrqbalance irqbalance(tree.root + "/irqbalance42.sock", {7});
    apply({40});
  }
  EXPECT_TRUE(plan_for({40}).actions.empty());
  const auto drift = check_drift(actuator, journal, clock);
  ASSERT_TRUE(drift);
  EXPECT_EQ(drift->gone.size(), 1u);
  EXPECT_TRUE(drift->ceded.empty());
  const RunningIrqbalance next(tree.root + "/irqbalance43.sock", {7});
  apply({40});
  EXPECT_THAT(next.banned(), ElementsAre(7, 40));
}

TEST_F(IrqbalanceBansTest, OneThatNeverAnswersIsARefusalAndCostsOneWait) {
  const FakeIrqbalance hung(tree.root + "/irqbalance42.sock");
  const auto patience = milliseconds(100);
  actuator = std::move(
      *KernelActuator::open({.irqbalance = {.directory = tree.root, .patience = patience}}));
  const MonotonicTime begin = SystemClock().monotonic();
  for (int turn = 0; turn < 50; ++turn) {
    const Plan plan = plan_for({40});
    EXPECT_TRUE(plan.actions.empty());
    ASSERT_EQ(plan.refusals.size(), 1u);
    EXPECT_THAT(plan.refusals[0].why, ::testing::StartsWith("irqbalance does not answer"));
  }
  EXPECT_LT(SystemClock().monotonic() - begin, 3 * patience);
}

TEST(BansThatFit, AreThoseThatTheCommandHasRoomFor) {
  std::vector<std::uint32_t> irqs;
  for (std::uint32_t irq = 1; irq < 200; ++irq) {
    irqs.push_back(irq * 37 % 2000);
    EXPECT_EQ(can_be_told({irqs}), irqbalance_ban_command(irqs).has_value()) << irqs.size();
  }
}

}  // namespace
}  // namespace ankus
