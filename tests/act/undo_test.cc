// SPDX-License-Identifier: Apache-2.0
#include "act/undo.h"

#include <gmock/gmock.h>

#include "act/scene.h"

namespace ankus {
namespace {

using testing::HasSubstr;

Outcome outcome_of(const Undone& undone, const Knob& knob) {
  for (const RunStep& step : undone.steps)
    if (step.action.knob == knob) return step.outcome;
  return Outcome::pending;
}

TEST(Undo, OfAllGivesBackTheHostAsItWasAndHolds) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree_and_ingress())));
  ASSERT_TRUE(s.apply(s.plan(s.tree(50))));
  const auto undone = s.undo({.by = "root"});
  ASSERT_TRUE(undone);
  EXPECT_TRUE(undone->notes.empty());
  EXPECT_TRUE(s.kernel.settings.empty());
  EXPECT_TRUE(s.journal.held_list.empty());
  EXPECT_EQ(s.journal.control.hold, "undo of all by root");
  EXPECT_FALSE(s.apply(s.plan(s.tree())));
}

TEST(Undo, OfOnePlanLeavesTheOthersInForce) {
  Scene s;
  const auto first = s.apply(s.plan(s.tree()));
  const auto tree_before = s.kernel.settings;
  const auto second = s.apply(s.plan(s.tree(50)));
  ASSERT_TRUE(first && second);
  const auto too_early = s.undo({.id = first->plan, .hold = Hold::no});
  ASSERT_FALSE(too_early);
  EXPECT_THAT(too_early.error().text, HasSubstr(second->plan));
  ASSERT_TRUE(s.undo({.id = second->plan, .hold = Hold::no}));
  EXPECT_EQ(s.kernel.settings, tree_before);
  ASSERT_TRUE(s.undo({.id = first->plan, .hold = Hold::no}))
      << "the first plan's values are its own again";
  EXPECT_TRUE(s.kernel.settings.empty());
  EXPECT_TRUE(s.journal.held_list.empty());
}

TEST(Undo, OfOneActionWantsNothingElseToHangOnIt) {
  Scene s;
  const auto applied = s.apply(s.plan(s.tree()));
  ASSERT_TRUE(applied);
  const auto& steps = applied->steps;
  const auto root = s.undo({.id = steps.front().id, .hold = Hold::no});
  ASSERT_FALSE(root);
  EXPECT_THAT(root.error().text, HasSubstr("needs root qdisc of eth0"));
  const knob::LeafQdisc leaf{s.eth0, make_handle(kOurMajor, 0x10)};
  const auto step =
      std::ranges::find(steps, Knob(leaf), [](const RunStep& r) { return r.action.knob; });
  ASSERT_TRUE(s.undo({.id = step->id, .hold = Hold::no}));
  EXPECT_FALSE(s.kernel.settings.contains(leaf));
  EXPECT_EQ(s.kernel.settings.size(), steps.size() - 1);
}

TEST(Undo, OfAnUnknownIdSaysSo) {
  Scene s;
  const auto undone = s.undo({.id = "p-12345678"});
  ASSERT_FALSE(undone);
  EXPECT_THAT(undone.error().text, HasSubstr("p-12345678"));
  EXPECT_FALSE(s.journal.control.hold) << "nothing was rolled back, nothing holds";
}

TEST(Undo, CedesATreeOfWhichSomebodyHasChangedAPart) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  const knob::TcClass light{s.eth0, make_handle(kOurMajor, 0x10)};
  const Setting theirs = class_setting(1, 7);
  s.kernel.change(light, theirs);
  const auto undone = s.undo({.hold = Hold::no});
  ASSERT_TRUE(undone);
  EXPECT_EQ(outcome_of(*undone, light), Outcome::ceded);
  EXPECT_EQ(outcome_of(*undone, knob::RootQdisc{s.eth0}), Outcome::ceded);
  EXPECT_EQ(s.kernel.settings.at(light), theirs);
  EXPECT_FALSE(s.kernel.settings.contains(knob::Classifier{s.eth0})) << "not a part of the tree";
  // Also the next undo knows that the tree has a part that is not ours any more.
  ASSERT_TRUE(s.undo({.hold = Hold::no}));
  EXPECT_EQ(s.kernel.settings.at(light), theirs);
  EXPECT_TRUE(s.kernel.settings.contains(knob::RootQdisc{s.eth0}));
  // Unless it is told to take it.
  ASSERT_TRUE(s.undo({.hold = Hold::no, .if_changed = IfChanged::take}));
  EXPECT_TRUE(s.kernel.settings.empty());
}

TEST(Undo, NeverTouchesWhatIsForeign) {
  for (const IfChanged if_changed : {IfChanged::leave, IfChanged::take}) {
    Scene s;
    ASSERT_TRUE(s.apply(s.plan(s.tree())));
    s.kernel.change(knob::RootQdisc{s.eth0}, Absent{});
    s.kernel.change(knob::RootQdisc{s.eth0}, Foreign{"fq 8001:"});
    const auto undone = s.undo({.if_changed = if_changed});
    ASSERT_TRUE(undone);
    EXPECT_EQ(s.kernel.settings.at(knob::RootQdisc{s.eth0}), Setting(Foreign{"fq 8001:"}));
    EXPECT_EQ(s.kernel.settings.size(), 1u);
    EXPECT_TRUE(s.journal.held_list.empty());
    ASSERT_EQ(s.journal.ceded_list.size(), 1u);
    EXPECT_THAT(s.journal.ceded_list[0].found, HasSubstr("fq 8001:"));
  }
}

TEST(Undo, DropsWhatVanishedWithItsDevice) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree_and_ingress())));
  s.kernel.remove_device(s.eth0);
  const auto undone = s.undo();
  ASSERT_TRUE(undone);
  EXPECT_TRUE(undone->degraded.empty());
  EXPECT_EQ(outcome_of(*undone, knob::RootQdisc{s.eth0}), Outcome::gone);
  EXPECT_TRUE(s.kernel.settings.empty());
  EXPECT_TRUE(s.journal.held_list.empty());
}

TEST(Undo, RestoresAnOriginalThatWasNotAbsent) {
  Scene s;
  s.kernel.rounds_bursts = false;
  // Somebody's class under a root of our own number: a value that we change and have to give back.
  s.kernel.settings[knob::RootQdisc{s.eth0}] = HtbRoot{make_handle(kOurMajor, 0), 0x10, 100};
  const knob::TcClass parent{s.eth0, make_handle(kOurMajor, 1)};
  s.kernel.settings[parent] = class_setting(0, 77);
  const auto before = s.kernel.settings;
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  EXPECT_NE(s.kernel.settings, before);
  ASSERT_TRUE(s.undo());
  EXPECT_EQ(s.kernel.settings, before);
}

TEST(Undo, FailsAtEveryWriteAndKeepsWhatItCouldNotUndo) {
  Scene built;
  ASSERT_TRUE(built.apply(built.plan(built.tree_and_ingress())));
  const int count = static_cast<int>(built.kernel.settings.size());
  for (int k = 0; k < count; ++k) {
    Scene s = built;
    s.kernel.fail_at = k;
    s.kernel.for_good = true;
    const auto undone = s.undo();
    ASSERT_TRUE(undone);
    s.kernel.fail_at.reset();
    EXPECT_FALSE(undone->degraded.empty()) << k;
    EXPECT_EQ(s.journal.control.degraded, undone->degraded);
    // Each knob that is still set is still held: no undo is lost.
    for (const auto& [knob, setting] : s.kernel.settings)
      EXPECT_NE(std::ranges::find(s.journal.held_list, knob, &HeldKnob::knob),
                s.journal.held_list.end())
          << to_text(knob);
    ASSERT_TRUE(s.undo());
    EXPECT_TRUE(s.kernel.settings.empty());
    EXPECT_TRUE(s.journal.control.degraded.empty());
  }
}

/// A knob that plans have set to one value after the other, beside a tree.
struct SetInTurn : Scene {
  explicit SetInTurn(const std::vector<CpuSet>& values) {
    kernel.add_queues(eth0, 1, 0);
    EXPECT_TRUE(apply(plan(tree())));
    for (const CpuSet& value : values) {
      Desired desired = tree();
      desired.wishes.push_back({.knob = mask, .setting = value, .reason = "test"});
      const auto applied = apply(plan(desired));
      EXPECT_TRUE(applied && !applied->failure);
    }
  }
  knob::RpsMask mask{eth0, 0};
};

const UndoOptions kMasks{.by = "the guard",
                         .hold = Hold::no,
                         .part = Part{"masks", [](const Knob& knob) {
                                        return std::holds_alternative<knob::RpsMask>(knob);
                                      }}};

TEST(Undo, OfAPartGoesBackToTheOriginalsWhateverPlansCameBetween) {
  const CpuSet b{{1}}, c{{2}};
  for (const std::vector<CpuSet>& values : {std::vector{b, c}, std::vector{b, c, b}}) {
    SetInTurn s(values);
    const std::size_t held = s.journal.held_list.size();
    const auto undone = s.undo(kMasks);
    ASSERT_TRUE(undone);
    EXPECT_EQ(undone->what, "undo of masks");
    EXPECT_TRUE(undone->degraded.empty());
    EXPECT_EQ(s.kernel.settings.at(s.mask), Setting(CpuSet{}));
    EXPECT_EQ(s.journal.held_list.size(), held - 1) << "the tree is not of that part";
    EXPECT_TRUE(s.kernel.settings.contains(knob::RootQdisc{s.eth0}));
    ASSERT_TRUE(s.undo());
    EXPECT_EQ(s.kernel.settings.at(s.mask), Setting(CpuSet{}));
  }
}

TEST(Undo, OfAThreadOfWhichTheCpusetHasNarrowedSucceeds) {
  Scene s;
  const Knob thread = s.kernel.add_thread(100);
  s.kernel.cpuset = s.kernel.cpus;
  s.kernel.change(thread, ThreadCpus{{{0, 1, 2}}, s.kernel.cpuset});
  Desired desired;
  desired.wishes.push_back({.knob = thread, .setting = CpuSet{{1}}, .reason = "test"});
  ASSERT_TRUE(s.apply(s.plan(desired)));
  s.kernel.cpuset = {{0, 1}};
  s.kernel.change(thread, ThreadCpus{{{1}}, s.kernel.cpuset});
  const auto undone = s.undo();
  ASSERT_TRUE(undone);
  EXPECT_TRUE(undone->degraded.empty());
  EXPECT_EQ(s.kernel.settings.at(thread), Setting(ThreadCpus{s.kernel.cpuset, s.kernel.cpuset}));
  EXPECT_TRUE(s.journal.held_list.empty());
}

TEST(Undo, OfAPartLeavesTheRestOfAPlanThatWaitsToBeUndone) {
  SetInTurn s({});
  Desired desired = s.tree(50);
  desired.wishes.push_back({.knob = s.mask, .setting = CpuSet{{1}}, .reason = "test"});
  const auto before = s.kernel.settings;
  ASSERT_TRUE(s.apply(s.plan(desired), {.confirm_within = seconds(60)}));
  ASSERT_TRUE(s.undo(kMasks));
  EXPECT_TRUE(s.journal.control.confirmation);
  s.clock.advance(seconds(61));
  ASSERT_TRUE(undo_expired(s.kernel, s.journal, s.clock));
  EXPECT_EQ(s.kernel.settings, before);
  EXPECT_FALSE(s.journal.control.confirmation);
}

TEST(Undo, HoldsAlsoIfItsIntentCouldNotBeRecorded) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  FaultyJournal faulty(s.journal);
  faulty.fail_at = 0;  // the intent, and nothing after it
  const auto undone = ankus::undo(s.kernel, faulty, s.clock, {.by = "root"});
  ASSERT_TRUE(undone);
  EXPECT_EQ(undone->notes.size(), 1u);
  EXPECT_TRUE(s.kernel.settings.empty());
  EXPECT_TRUE(s.journal.held_list.empty());
  EXPECT_EQ(s.journal.control.hold, "undo of all by root");
}

TEST(Undo, GoesOnWhenTheJournalCannotBeWritten) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  FaultyJournal faulty(s.journal);
  faulty.fail_at = 0;
  faulty.for_good = true;
  const auto undone = ankus::undo(s.kernel, faulty, s.clock, {});
  ASSERT_TRUE(undone);
  EXPECT_EQ(undone->notes.size(), 2u);
  EXPECT_TRUE(s.kernel.settings.empty());
  // What is held too much is found to be back at its original.
  ASSERT_TRUE(s.undo());
  EXPECT_TRUE(s.journal.held_list.empty());
}

/// An interrupt, a queue's mask and a thread that somebody had set to CPU 3, and are set to 1.
struct PinnedToOneCpu : Scene {
  PinnedToOneCpu() {
    kernel.add_queues(eth0, 2, 8);
    kernel.cpuset = {{0, 1, 3}};
    const Knob thread = kernel.add_thread(100);
    kernel.change(knob::IrqAffinity{eth0, "eth0-rx-1"}, CpuSet{{3}});
    kernel.change(knob::RpsMask{eth0, 0}, CpuSet{{0, 3}});
    kernel.change(thread, ThreadCpus{{{3}}, kernel.cpuset});
    for (const Knob& knob :
         {Knob(knob::IrqAffinity{eth0, "eth0-rx-1"}), Knob(knob::RpsMask{eth0, 0}), thread})
      wanted.wishes.push_back({.knob = knob, .setting = CpuSet{{1}}, .reason = "test"});
    const auto applied = apply(plan(wanted));
    EXPECT_TRUE(applied && !applied->failure);
    kernel.cpus = {{0, 1, 2}};
    kernel.cpuset = {{0, 1}};
    kernel.change(thread, ThreadCpus{{{1}}, kernel.cpuset});
  }
  void expect_given_back() const {
    EXPECT_TRUE(journal.held_list.empty());
    EXPECT_EQ(kernel.settings.at(wanted.wishes[0].knob), Setting(DefaultCpus{kernel.cpus}));
    EXPECT_EQ(kernel.settings.at(wanted.wishes[1].knob), Setting(CpuSet{{0}}));
    EXPECT_EQ(kernel.settings.at(wanted.wishes[2].knob),
              Setting(ThreadCpus{kernel.cpuset, kernel.cpuset}));
  }
  Desired wanted;
};

TEST(Undo, OfCpusThatWentOfflineGivesBackWhatIsLeft) {
  PinnedToOneCpu s;
  const auto undone = s.undo();
  ASSERT_TRUE(undone);
  EXPECT_TRUE(undone->degraded.empty());
  s.expect_given_back();
}

TEST(Undo, OfCpusThatWentOfflineAlsoIfNobodyWantsThemAnyMore) {
  PinnedToOneCpu s;
  const auto applied = s.apply(s.plan({}));
  ASSERT_TRUE(applied);
  EXPECT_FALSE(applied->failure) << applied->failure->text;
  s.expect_given_back();
}

TEST(Undo, HistoryKnowsWhoAskedForIt) {
  Scene s;
  ASSERT_TRUE(s.undo({.by = "root", .hold = Hold::no})) << "nothing is in force";
  ASSERT_EQ(s.journal.past.size(), 1u);
  EXPECT_EQ(s.journal.past[0].event.kind, "command");
  EXPECT_EQ(s.journal.past[0].event.text, "undo of all, asked for by root");
  const auto applied = s.apply(s.plan(s.tree()));
  s.journal.past.clear();
  ASSERT_TRUE(s.undo({.by = "uid 1000", .id = applied->plan}));
  const auto past = s.journal.events(1000, applied->plan);
  ASSERT_TRUE(past);
  EXPECT_EQ(past->size(), applied->steps.size() + 1);
  for (const PastEvent& p : *past)
    EXPECT_TRUE(p.event.text.ends_with(", asked for by uid 1000") ||
                p.event.text.ends_with("; asked for by uid 1000"))
        << p.event.text;
}

}  // namespace
}  // namespace ankus
