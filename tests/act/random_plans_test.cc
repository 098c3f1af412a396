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

}  // namespace
}  // namespace ankus
