// SPDX-License-Identifier: Apache-2.0
#include "act/recover.h"

#include <stdlib.h>

#include <filesystem>

#include "act/scene.h"
#include "journal/sqlite_journal.h"

namespace ankus {
namespace {

enum class Store { memory, sqlite };

using Host = std::map<Knob, Setting>;

/// A host and a journal that outlive the process, and a process that may die.
struct Mortal {
  explicit Mortal(Store store) {
    if (store == Store::sqlite) {
      char pattern[] = "/dev/shm/ankus-recover-XXXXXX";
      directory = ::mkdtemp(pattern);
    }
    start();
  }
  ~Mortal() {
    opened.reset();
    if (!directory.empty()) std::filesystem::remove_all(directory);
  }

  void start() {
    fate.revive();
    opened.reset();
    if (!directory.empty()) {
      auto journal = SqliteJournal::open(
          {.runtime_dir = directory + "/run", .state_dir = directory + "/lib", .boot_id = "boot"},
          scene.clock);
      ASSERT_TRUE(journal) << journal.error().text;
      opened = *std::move(journal);
    }
    faulty = std::make_unique<FaultyJournal>(journal());
    faulty->fate = &fate;
    scene.kernel.fate = &fate;
  }
  Journal& journal() { return opened ? static_cast<Journal&>(*opened) : scene.journal; }
  void die_at(int write, Fate::Moment moment) {
    fate = Fate{.writes_left = write, .moment = moment};
  }
  Result<Applied> apply(const Desired& desired, ApplyOptions options = {}) {
    return ankus::apply(scene.plan(desired, journal()), scene.kernel, *faulty, scene.clock,
                        options);
  }
  /// Applies a tree, and on top of it changed classes and an ingress tree, to be confirmed. Dies at
  /// one of the latter's writes, if it has so many, and is started anew.
  void die_in_second_plan(int write, Fate::Moment moment) {
    ASSERT_TRUE(apply(scene.tree()));
    before = scene.kernel.settings;
    second = scene.tree_and_ingress(50);
    die_at(write, moment);
    (void)apply(second, {.confirm_within = seconds(60)});
    died = fate.dead;
    start();
  }
  Result<Undone> undo() { return ankus::undo(scene.kernel, *faulty, scene.clock, {}); }
  Result<std::optional<Undone>> undo_expired() {
    return ankus::undo_expired(scene.kernel, *faulty, scene.clock);
  }
  Result<std::vector<Recovered>> recover() {
    return ankus::recover(scene.kernel, *faulty, scene.clock);
  }

  Scene scene;
  Fate fate;
  std::string directory;
  std::unique_ptr<SqliteJournal> opened;
  std::unique_ptr<FaultyJournal> faulty;
  Host before;     ///< the second plan
  Desired second;  ///< what it is made of
  bool died = false;
};

class DiesAtEveryWrite : public testing::TestWithParam<std::tuple<Store, Fate::Moment>> {};

TEST_P(DiesAtEveryWrite, OfAnApplyAndRecoversToBeforeOrAfter) {
  const auto [store, moment] = GetParam();
  bool died = true, adopted = false, taken_back = false;
  for (int k = 0; died; ++k) {
    Mortal m(store);
    ASSERT_NO_FATAL_FAILURE(m.die_in_second_plan(k, moment));
    died = m.died;
    // The recovery may die as well.
    m.die_at(k % 5, moment);
    (void)m.recover();
    m.start();
    const auto recovered = m.recover();
    ASSERT_TRUE(recovered) << recovered.error().text;
    const bool is_before = m.scene.kernel.settings == m.before;
    const bool is_after = m.scene.plan(m.second, m.journal()).actions.empty();
    EXPECT_TRUE(is_before || is_after) << "died at write " << k;
    adopted = adopted || is_after;
    taken_back = taken_back || is_before;
    const auto controls = m.journal().controls();
    EXPECT_EQ(controls->confirmation.has_value(), is_after)
        << "what is in force unconfirmed, and only that, waits";
    EXPECT_TRUE(controls->degraded.empty());
    const auto runs = m.journal().runs();
    for (const ankus::Run& run : *runs) EXPECT_NE(run.state, RunState::open);
    // No undo is lost, whichever of the two it is.
    ASSERT_TRUE(m.undo());
    EXPECT_TRUE(m.scene.kernel.settings.empty()) << "died at write " << k;
    EXPECT_TRUE(m.journal().held()->empty());
  }
  EXPECT_TRUE(adopted && taken_back);
}

// Nobody has started a daemon again: the switch is the first to come.
TEST_P(DiesAtEveryWrite, OfAnApplyAndTheDeadMansSwitchUndoesIt) {
  const auto [store, moment] = GetParam();
  bool died = true, in_force = false, in_part = false;
  for (int k = 0; died; ++k) {
    Mortal m(store);
    ASSERT_NO_FATAL_FAILURE(m.die_in_second_plan(k, moment));
    died = m.died;
    const bool all = m.scene.plan(m.second, m.journal()).actions.empty();
    in_force = in_force || all;
    in_part = in_part || (!all && m.scene.kernel.settings != m.before);
    const bool waits = m.journal().controls()->confirmation.has_value();
    m.scene.clock.advance(seconds(61));
    const auto undone = m.undo_expired();
    ASSERT_TRUE(undone) << undone.error().text;
    EXPECT_EQ(undone->has_value(), waits) << "died at write " << k;
    EXPECT_EQ(m.scene.kernel.settings, m.before) << "died at write " << k;
    EXPECT_EQ(m.journal().held()->size(), m.before.size());
    const auto controls = m.journal().controls();
    EXPECT_FALSE(controls->confirmation);
    EXPECT_EQ(controls->hold.has_value(), waits) << "else a daemon would apply it unconfirmed";
    const auto runs = m.journal().runs();
    for (const ankus::Run& run : *runs) EXPECT_NE(run.state, RunState::open);
  }
  EXPECT_TRUE(in_force && in_part);
}

TEST_P(DiesAtEveryWrite, OfAnUndoAndCarriesItToItsEnd) {
  const auto [store, moment] = GetParam();
  bool died = true;
  for (int k = 0; died; ++k) {
    Mortal m(store);
    ASSERT_TRUE(m.apply(m.scene.tree_and_ingress()));
    const Host before = m.scene.kernel.settings;
    m.die_at(k, moment);
    (void)m.undo();
    died = m.fate.dead;
    m.start();
    ASSERT_TRUE(m.recover());
    const bool asked = m.journal().controls()->hold.has_value();
    EXPECT_EQ(m.scene.kernel.settings, asked ? Host{} : before) << "died at write " << k;
    EXPECT_EQ(m.journal().held()->size(), m.scene.kernel.settings.size());
  }
}

TEST_P(DiesAtEveryWrite, OfAFailedApplyThatIsBeingTakenBack) {
  const auto [store, moment] = GetParam();
  bool died = true;
  for (int k = 0; died; ++k) {
    Mortal m(store);
    m.scene.kernel.fail_at = 9;
    m.die_at(k, moment);
    (void)m.apply(m.scene.tree_and_ingress());
    died = m.fate.dead;
    m.scene.kernel.fail_at.reset();
    m.start();
    ASSERT_TRUE(m.recover());
    EXPECT_TRUE(m.scene.kernel.settings.empty()) << "died at write " << k;
    EXPECT_TRUE(m.journal().held()->empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Recover, DiesAtEveryWrite,
                         testing::Combine(testing::Values(Store::memory, Store::sqlite),
                                          testing::Values(Fate::Moment::before_effect,
                                                          Fate::Moment::after_effect)));

TEST(Recover, LeavesAloneWhatSomebodyElseTookMeanwhile) {
  Mortal m(Store::memory);
  m.die_at(8, Fate::Moment::after_effect);
  (void)m.apply(m.scene.tree());
  ASSERT_TRUE(m.fate.dead);
  m.start();
  m.scene.kernel.change(knob::RootQdisc{m.scene.eth0}, Absent{});
  m.scene.kernel.change(knob::RootQdisc{m.scene.eth0}, Foreign{"fq 8001:"});
  const auto recovered = m.recover();
  ASSERT_TRUE(recovered);
  EXPECT_EQ(m.scene.kernel.settings.size(), 1u);
  EXPECT_TRUE(m.scene.journal.held_list.empty());
}

TEST(Recover, WhatCannotBeReadDoesNotBlockTheRest) {
  Mortal m(Store::memory);
  m.scene.kernel.add_queues(m.scene.eth0, 2, 0);
  const Host before = m.scene.kernel.settings;
  Desired desired;
  const Knob irq = knob::IrqAffinity{m.scene.eth0, "eth0-rx-0"};
  const Knob rps = knob::RpsMask{m.scene.eth0, 0};
  for (const Knob& knob : {irq, rps, Knob(knob::RpsMask{m.scene.eth0, 1})})
    desired.wishes.push_back({.knob = knob, .setting = CpuSet{{1}}, .reason = "test"});
  m.die_at(4, Fate::Moment::after_effect);  // history, intents, the two writes
  (void)m.apply(desired);
  ASSERT_TRUE(m.fate.dead);
  m.start();
  ASSERT_NE(m.scene.kernel.settings.at(irq), before.at(irq));
  ASSERT_NE(m.scene.kernel.settings.at(rps), before.at(rps));
  m.scene.kernel.unreadable.insert(irq);  // as one of a link that is down
  const auto recovered = m.recover();
  ASSERT_TRUE(recovered && recovered->size() == 1) << recovered.error().text;
  EXPECT_EQ(recovered->front().degraded, std::vector{to_text(irq)});
  EXPECT_EQ(m.scene.kernel.settings.at(rps), before.at(rps));
  EXPECT_EQ(m.scene.journal.control.degraded, std::vector{to_text(irq)});
  for (const ankus::Run& run : m.scene.journal.run_list) EXPECT_NE(run.state, RunState::open);
  EXPECT_FALSE(m.apply(m.scene.tree())) << "degraded";
  m.scene.kernel.unreadable.clear();
  ASSERT_TRUE(m.undo());
  EXPECT_EQ(m.scene.kernel.settings, before);
  EXPECT_EQ(m.scene.journal.control.degraded, std::vector<std::string>{});
}

}  // namespace
}  // namespace ankus
