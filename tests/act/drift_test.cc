// SPDX-License-Identifier: Apache-2.0
#include "act/drift.h"

#include "act/scene.h"
#include "act/take_back.h"
#include "model/dependency.h"

namespace ankus {
namespace {

TEST(Drift, IsNoneWhileAllIsAsWeLeftIt) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree_and_ingress())));
  EXPECT_EQ(check_drift(s.kernel, s.journal, s.clock), Drift{});
}

TEST(Drift, CedesWhatSomebodyElseHasChangedAndThePlanLeavesItAlone) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  const knob::TcClass light{s.eth0, make_handle(kOurMajor, 0x10)};
  s.kernel.change(light, class_setting(1, 7));
  const auto drift = check_drift(s.kernel, s.journal, s.clock);
  ASSERT_TRUE(drift);
  ASSERT_EQ(drift->ceded.size(), 1u);
  EXPECT_EQ(drift->ceded[0].knob, Knob(light));
  const Plan plan = s.plan(s.tree(50));
  for (const Action& action : plan.actions) EXPECT_TRUE(tree_of(action.knob).empty());
  EXPECT_FALSE(plan.refusals.empty());
  s.clock.advance(kCedeFor);
  EXPECT_FALSE(s.plan(s.tree(50)).actions.empty()) << "its time is over";
}

TEST(Drift, ThreeFightsOverOneKnobYieldForAnHour) {
  Scene s;
  const knob::TcClass light{s.eth0, make_handle(kOurMajor, 0x10)};
  for (std::uint32_t fight = 1; fight <= 3; ++fight) {
    ASSERT_TRUE(s.apply(s.plan(s.tree(100 + fight))));
    s.kernel.change(light, class_setting(1, fight));
    const auto drift = check_drift(s.kernel, s.journal, s.clock);
    ASSERT_TRUE(drift);
    ASSERT_EQ(drift->ceded.size(), 1u);
    EXPECT_EQ(drift->ceded[0].fights, fight);
    EXPECT_EQ(drift->ceded[0].until - drift->ceded[0].since, fight < 3 ? kCedeFor : kYieldFor);
    s.clock.advance(kCedeFor);
  }
  ASSERT_EQ(ceded_now(s.journal, s.clock)->size(), 1u);
  s.clock.advance(kYieldFor);
  EXPECT_TRUE(ceded_now(s.journal, s.clock)->empty());
}

TEST(Drift, DropsWhatVanishedAndWhatWasSetBack) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree_and_ingress())));
  s.kernel.change(knob::Classifier{s.eth0}, Absent{});
  s.kernel.remove_device(s.ifb);
  const auto drift = check_drift(s.kernel, s.journal, s.clock);
  ASSERT_TRUE(drift);
  EXPECT_EQ(drift->back.size(), 1u);
  EXPECT_EQ(drift->gone.size(), 7u);
  EXPECT_TRUE(drift->ceded.empty());
}

TEST(Drift, ATableThatItsDriverMadeAnewIsSetOnceMoreAndThenYielded) {
  Scene s;
  s.kernel.add_queues(s.eth0, 4, 8);
  const auto table = [&](std::vector<std::uint32_t> queues) {
    return Desired{.wishes = {{.knob = knob::RssTable{s.eth0},
                               .setting = Indirection{.queues = std::move(queues)},
                               .reason = "test"}}};
  };
  ASSERT_TRUE(s.apply(s.plan(table({3, 3, 3, 3, 0, 0, 0, 0}))));
  s.kernel.change_queues(s.eth0, 2, true);
  auto drift = check_drift(s.kernel, s.journal, s.clock);
  ASSERT_TRUE(drift);
  EXPECT_EQ(drift->back.size(), 1u);
  EXPECT_TRUE(s.journal.held_list.empty());
  EXPECT_TRUE(ceded_now(s.journal, s.clock)->empty());
  const Desired again = table({1, 1, 1, 1, 1, 1, 1, 0});
  ASSERT_EQ(s.plan(again).actions.size(), 1u) << "for as many queues as there are now";
  ASSERT_TRUE(s.apply(s.plan(again)));

  s.clock.advance(kCedeFor);
  s.kernel.change_queues(s.eth0, 3, true);
  drift = check_drift(s.kernel, s.journal, s.clock);
  ASSERT_TRUE(drift);
  EXPECT_EQ(ceded_now(s.journal, s.clock)->size(), 1u);
  EXPECT_TRUE(s.plan(again).actions.empty());
  EXPECT_FALSE(s.plan(again).refusals.empty());
}

Desired cpus_of(const Knob& knob, CpuSet cpus) {
  return {.wishes = {{.knob = knob, .setting = std::move(cpus), .reason = "test"}}};
}

TEST(Drift, AnAffinityThatTheKernelSetBackIsSetOnceMoreAndThenYielded) {
  Scene s;
  s.kernel.add_queues(s.eth0, 2, 8);
  const CpuSet left{{0, 1}};
  const std::map<Knob, Setting> set_back{
      {knob::IrqAffinity{s.eth0, "eth0-rx-1"}, DefaultCpus{left}},
      {s.kernel.add_thread(100), ThreadCpus{left, left}}};
  for (const auto& [knob, reset] : set_back) {
    const Desired wanted = cpus_of(knob, {{1}});
    ASSERT_TRUE(s.apply(s.plan(wanted)));
    // As `ethtool -L`, a CPU that goes offline or a cpuset does: not always what it was before.
    s.kernel.change(knob, reset);
    auto drift = check_drift(s.kernel, s.journal, s.clock);
    ASSERT_TRUE(drift);
    EXPECT_EQ(drift->back.size(), 1u) << to_text(knob);
    EXPECT_TRUE(drift->ceded.empty());
    ASSERT_EQ(s.plan(wanted).actions.size(), 1u);
    ASSERT_TRUE(s.apply(s.plan(wanted)));

    s.clock.advance(kCedeFor);
    s.kernel.change(knob, reset);
    drift = check_drift(s.kernel, s.journal, s.clock);
    ASSERT_TRUE(drift);
    EXPECT_TRUE(s.plan(wanted).actions.empty()) << "somebody insists";
    EXPECT_FALSE(s.plan(wanted).refusals.empty());
  }
}

TEST(Drift, WhatIsAtItsOriginalAgainByNobodysWillIsSetOnceMoreAndThenYielded) {
  Scene s;
  s.kernel.add_queues(s.eth0, 2, 8);
  s.kernel.settings[knob::IrqbalanceBans{}] = BannedIrqs{};
  const std::map<Knob, Setting> ours{{knob::XpsMask{s.eth0, 1}, CpuSet{{1}}},
                                     {knob::IrqbalanceBans{}, BannedIrqs{{41}}}};
  for (const auto& [knob, setting] : ours) {
    const Desired wanted{.wishes = {{.knob = knob, .setting = setting, .reason = "test"}}};
    const Setting original = s.kernel.settings.at(knob);
    for (const bool again : {false, true}) {
      ASSERT_TRUE(s.apply(s.plan(wanted)));
      ASSERT_EQ(s.kernel.settings.at(knob), setting);
      s.kernel.change(knob, original);  // virtio with `ethtool -L`, a restart of irqbalance
      const auto drift = check_drift(s.kernel, s.journal, s.clock);
      ASSERT_TRUE(drift);
      EXPECT_EQ(drift->back.size(), 1u) << to_text(knob);
      EXPECT_EQ(ceded_now(s.journal, s.clock)->empty(), !again) << to_text(knob);
      EXPECT_EQ(s.plan(wanted).actions.empty(), again) << to_text(knob);
    }
    s.clock.advance(kYieldFor);
  }
}

TEST(Drift, AnAffinityThatIsNobodysChoiceButOursIsSomebodyElses) {
  Scene s;
  const Knob thread = s.kernel.add_thread(100);
  ASSERT_TRUE(s.apply(s.plan(cpus_of(thread, {{1}}))));
  s.kernel.change(thread, ThreadCpus{{{0}}, s.kernel.cpuset});
  const auto drift = check_drift(s.kernel, s.journal, s.clock);
  ASSERT_TRUE(drift);
  EXPECT_EQ(drift->ceded.size(), 1u);
  EXPECT_TRUE(s.plan(cpus_of(thread, {{1}})).actions.empty());
}

TEST(Drift, APinThatACpusetCutsIsStillOursAndIsUndone) {
  Scene s;
  const Knob thread = s.kernel.add_thread(100);
  ASSERT_TRUE(s.apply(s.plan(cpus_of(thread, {{1, 2}}))));
  s.kernel.cpuset = {{0, 1}};
  s.kernel.change(thread, ThreadCpus{{{1}}, s.kernel.cpuset});
  EXPECT_EQ(check_drift(s.kernel, s.journal, s.clock), Drift{});
  ASSERT_TRUE(s.undo());
  EXPECT_EQ(s.kernel.settings.at(thread), Setting(ThreadCpus{s.kernel.cpuset, s.kernel.cpuset}));
  EXPECT_TRUE(s.journal.held_list.empty());
}

}  // namespace
}  // namespace ankus
