// SPDX-License-Identifier: Apache-2.0
// R33: whatever was planned and applied, in whatever order, undoing all of it is the identity.
#include <random>

#include "act/scene.h"

namespace ankus {
namespace {

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  std::uint32_t below(std::uint32_t n) {
    return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(engine_);
  }
  bool once_in(std::uint32_t n) { return below(n) == 0; }

 private:
  std::mt19937 engine_;
};

TreeWish random_tree(Dice& dice, const Device& device) {
  TreeWish tree{.device = device, .minors = {}, .megabits = 1 + dice.below(5) * 37};
  for (std::uint16_t minor = 0x10; minor < 0x14; ++minor)
    if (!dice.once_in(3)) tree.minors.push_back(minor);
  if (dice.once_in(6)) tree.default_minor = 0x11;
  return tree;
}

CpuSet random_cpus(Dice& dice, bool may_be_none) {
  CpuSet set;
  while (set.empty()) {
    for (std::uint32_t cpu = 0; cpu < 3; ++cpu)  // 3 is no CPU for threads
      if (dice.once_in(2)) set.cpus.push_back(cpu);
    if (may_be_none) break;
  }
  return set;
}

/// Queues, interrupts and threads, some of them.
void wish_steering(Desired& desired, Dice& dice, const Device& device,
                   const std::vector<knob::ThreadAffinity>& threads) {
  const auto wish = [&](const Knob& knob, const Setting& setting) {
    desired.wishes.push_back({.knob = knob, .setting = setting, .reason = "test"});
  };
  if (dice.once_in(2)) {
    Indirection table;
    for (int i = 0; i < 16; ++i) table.queues.push_back(dice.below(4));
    wish(knob::RssTable{device}, table);
  }
  for (std::uint32_t queue = 0; queue < 4; ++queue) {
    if (dice.once_in(3)) wish(knob::RpsMask{device, queue}, random_cpus(dice, true));
    if (dice.once_in(3)) wish(knob::XpsMask{device, queue}, random_cpus(dice, true));
    if (dice.once_in(3))
      wish(knob::IrqAffinity{device, device.name + "-rx-" + std::to_string(queue)},
           random_cpus(dice, false));
  }
  for (const knob::ThreadAffinity& thread : threads)
    if (dice.once_in(2)) wish(thread, random_cpus(dice, false));
  if (dice.once_in(3)) wish(knob::IrqbalanceBans{}, BannedIrqs{{30 + dice.below(3), 40}});
}

Desired random_desired(Dice& dice, const Scene& s, const Device& eth1,
                       const std::vector<knob::ThreadAffinity>& threads) {
  Desired desired;
  if (!dice.once_in(4)) wish_tree(desired, random_tree(dice, s.eth0));
  if (dice.once_in(2)) wish_tree(desired, random_tree(dice, eth1));
  if (dice.once_in(3)) wish_ingress(desired, s.eth0, s.ifb);
  if (!dice.once_in(3)) wish_members(desired, dice.below(4));
  if (dice.once_in(2)) wish_steering(desired, dice, s.eth0, threads);
  return desired;
}

TEST(RandomPlans, ApplyAndUndoIsIdentity) {
  std::size_t plans = 0, failures = 0, restarts = 0;
  for (unsigned seed = 0; plans < 10'000; ++seed) {
    Dice dice(seed);
    Scene s;
    const Device eth1 = s.kernel.add_device("eth1", 3);
    if (dice.once_in(4)) s.kernel.change(knob::RootQdisc{eth1}, Foreign{"tbf 1:"});
    if (dice.once_in(4)) s.kernel.change(knob::Clsact{s.eth0}, Foreign{"clsact with a filter"});
    s.kernel.add_queues(s.eth0, 4, 16);
    s.kernel.settings[knob::IrqbalanceBans{}] = BannedIrqs{};
    const std::vector threads{s.kernel.add_thread(100), s.kernel.add_thread(101)};
    if (dice.once_in(4)) s.kernel.managed.insert(knob::IrqAffinity{s.eth0, "eth0-rx-1"});
    const auto before = s.kernel.settings;
    for (int round = 0; round < 5; ++round) {
      const Desired desired = random_desired(dice, s, eth1, threads);
      const Plan plan = s.plan(desired);
      if (dice.once_in(5) && !plan.actions.empty())
        s.kernel.fail_at =
            static_cast<int>(dice.below(static_cast<std::uint32_t>(plan.actions.size())));
      Fate fate;
      if (dice.once_in(5)) fate.writes_left = static_cast<int>(dice.below(40));
      FaultyJournal journal(s.journal);
      journal.fate = s.kernel.fate = &fate;
      const auto applied = ankus::apply(plan, s.kernel, journal, s.clock, {});
      ++plans;
      const bool failed = !applied || applied->failure.has_value();
      failures += failed;
      restarts += fate.dead;
      fate.revive();
      s.kernel.fate = nullptr;
      s.kernel.fail_at.reset();
      ASSERT_TRUE(recover(s.kernel, s.journal, s.clock)) << "seed " << seed;
      if (!failed) {
        const Plan rest = s.plan(desired);
        ASSERT_TRUE(rest.actions.empty())
            << "seed " << seed << ": " << to_text(rest.actions[0].knob);
      }
      // Whatever is not as it was is held.
      for (const auto& [knob, setting] : s.kernel.settings) {
        const bool held = std::ranges::find(s.journal.held_list, knob, &HeldKnob::knob) !=
                          s.journal.held_list.end();
        const bool changed = !before.contains(knob) || !same_setting(before.at(knob), setting);
        ASSERT_EQ(held, changed) << "seed " << seed << ": " << to_text(knob);
      }
    }
    const auto undone = s.undo();
    ASSERT_TRUE(undone);
    std::string story;
    for (const RunStep& step : undone->steps)
      story += to_text(step.action.knob) + ": " + std::string(to_text(step.outcome)) + " " +
               step.text + "\n";
    ASSERT_EQ(s.kernel.settings, before) << "seed " << seed << "\n" << story;
    ASSERT_TRUE(s.journal.held_list.empty());
    ASSERT_TRUE(s.journal.run_list.empty());
  }
  EXPECT_GT(failures, 500u);
  EXPECT_GT(restarts, 200u);
}

std::string texts_of(const std::map<Knob, Setting>& settings) {
  std::string text;
  for (const auto& [knob, setting] : settings)
    text += to_text(knob) + ": " + to_text(setting) + "\n";
  return text;
}
std::string story_of(const FakeJournal& journal) {
  std::string story;
  for (const PastEvent& past : journal.past)
    story += past.event.kind + " " + past.event.plan + " " + past.event.text + "\n";
  return story;
}

/// What an undo of one plan brings back. The table's rows are the daemon's to fill again.
std::map<Knob, Setting> without_table(std::map<Knob, Setting> settings) {
  settings.erase(knob::Membership{});
  return settings;
}
std::map<Knob, Setting> originals_of(const FakeJournal& journal) {
  std::map<Knob, Setting> originals;
  for (const HeldKnob& h : journal.held_list) originals.emplace(h.knob, h.original);
  return originals;
}

// What was given back is taken again, what was rebuilt is rebuilt, wherever the undo is cut off.
TEST(RandomPlans, UndoOfTheLastPlanBringsBackTheOneBefore) {
  std::size_t undone = 0, taken_again = 0, rebuilt = 0, cut_off = 0;
  for (unsigned seed = 0; undone < 5'000; ++seed) {
    Dice dice(seed);
    Scene s;
    const Device eth1 = s.kernel.add_device("eth1", 3);
    s.kernel.add_queues(s.eth0, 4, 16);
    s.kernel.settings[knob::IrqbalanceBans{}] = BannedIrqs{};
    const std::vector threads{s.kernel.add_thread(100), s.kernel.add_thread(101)};
    const auto untouched = s.kernel.settings;
    for (int round = 0; round < 5; ++round) {
      const auto before = s.kernel.settings;
      const auto originals = originals_of(s.journal);
      const Plan plan = s.plan(random_desired(dice, s, eth1, threads));
      const auto applied = s.apply(plan, {.confirm_within = seconds(60)});
      ASSERT_TRUE(applied && !applied->failure) << "seed " << seed;
      if (applied->run == 0) continue;
      if (dice.once_in(3)) {
        ASSERT_TRUE(confirm(s.journal, s.clock, "x"));
        continue;
      }
      for (const auto& [knob, original] : originals) {
        const bool dropped = std::ranges::find(s.journal.held_list, knob, &HeldKnob::knob) ==
                             s.journal.held_list.end();
        const auto writes = std::ranges::count(plan.actions, knob, &Action::knob);
        taken_again += dropped;
        rebuilt += !dropped && writes > 1;
      }
      Fate fate;
      if (dice.once_in(2)) fate.writes_left = static_cast<int>(dice.below(30));
      FaultyJournal journal(s.journal);
      journal.fate = s.kernel.fate = &fate;
      s.clock.advance(seconds(61));
      (void)undo_expired(s.kernel, journal, s.clock);
      cut_off += fate.dead;
      fate.revive();
      s.kernel.fate = nullptr;
      ASSERT_TRUE(recover(s.kernel, s.journal, s.clock)) << "seed " << seed;
      const auto again = undo_expired(s.kernel, s.journal, s.clock);
      ASSERT_TRUE(again) << "seed " << seed << ": " << again.error().text;
      ++undone;
      ASSERT_EQ(texts_of(without_table(s.kernel.settings)), texts_of(without_table(before)))
          << "seed " << seed << "\n"
          << story_of(s.journal);
      ASSERT_EQ(texts_of(without_table(originals_of(s.journal))),
                texts_of(without_table(originals)))
          << "seed " << seed << "\n"
          << story_of(s.journal);
      for (const HeldKnob& h : s.journal.held_list)
        ASSERT_TRUE(h.knob == Knob(knob::Membership{}) ||
                    same_setting(h.written, s.kernel.settings.at(h.knob)))
            << "seed " << seed;
      ASSERT_TRUE(s.journal.control.degraded.empty()) << s.journal.control.degraded[0];
      ASSERT_TRUE(s.journal.control.hold) << "seed " << seed << " round " << round;
      ASSERT_FALSE(s.journal.control.confirmation) << "seed " << seed << " round " << round;
      s.journal.control.hold.reset();
    }
    ASSERT_TRUE(s.undo());
    ASSERT_EQ(texts_of(s.kernel.settings), texts_of(untouched)) << "seed " << seed;
    ASSERT_TRUE(s.journal.held_list.empty());
  }
  EXPECT_GT(taken_again, 5'000u);
  EXPECT_GT(rebuilt, 500u);
  EXPECT_GT(cut_off, 500u);
}

}  // namespace
}  // namespace ankus
