// SPDX-License-Identifier: Apache-2.0
#include "act/confirmation.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "act/scene.h"
#include "journal/sqlite_journal.h"

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

/// A scene whose journal is the real one, or the fake.
class RemovalToBeConfirmed : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) return;
    char pattern[] = "/dev/shm/ankus-confirmation-XXXXXX";
    directory_ = ::mkdtemp(pattern);
    auto opened = SqliteJournal::open(
        {.runtime_dir = directory_ + "/run", .state_dir = directory_ + "/lib", .boot_id = "boot-1"},
        s.clock);
    ASSERT_TRUE(opened) << opened.error().text;
    real_ = *std::move(opened);
  }
  void TearDown() override {
    real_.reset();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  Journal& journal() { return real_ ? static_cast<Journal&>(*real_) : s.journal; }
  std::string apply(const Desired& desired, std::optional<nanoseconds> confirm_within = {}) {
    const auto applied = ankus::apply(s.plan(desired, journal()), s.kernel, journal(), s.clock,
                                      {.confirm_within = confirm_within});
    EXPECT_TRUE(applied && !applied->failure);
    return applied ? applied->plan : "";
  }
  /// Of all that is held: what it was, what it is, by which plan.
  std::map<Knob, std::vector<std::string>> held() {
    std::map<Knob, std::vector<std::string>> entries;
    const auto all = journal().held();
    EXPECT_TRUE(all);
    for (const HeldKnob& h : *all)
      entries[h.knob] = {to_text(h.original), to_text(h.written), h.plan, std::to_string(h.run)};
    return entries;
  }
  Desired tree(std::vector<std::uint16_t> minors, std::uint64_t megabits = 100) {
    Desired desired;
    wish_tree(desired, {.device = s.eth0, .minors = std::move(minors), .megabits = megabits});
    return desired;
  }
  void expect_undone_action_by_action(const Desired& first, const Desired& second) {
    apply(first);
    const auto settings = s.kernel.settings;
    const auto entries = held();
    const auto applied = ankus::apply(s.plan(second, journal()), s.kernel, journal(), s.clock,
                                      {.confirm_within = seconds(60)});
    ASSERT_TRUE(applied);
    for (auto step = applied->steps.rbegin(); step != applied->steps.rend(); ++step) {
      EXPECT_TRUE(journal().controls()->confirmation) << "the rest still waits";
      ASSERT_TRUE(ankus::undo(s.kernel, journal(), s.clock, {.id = step->id, .hold = Hold::no}));
    }
    EXPECT_FALSE(journal().controls()->confirmation);
    EXPECT_EQ(s.kernel.settings, settings);
    EXPECT_EQ(held(), entries);
  }
  void expect_undone_at_the_deadline(const Desired& first, const Desired& second) {
    apply(first);
    const auto settings = s.kernel.settings;
    const auto entries = held();
    apply(second, seconds(60));
    EXPECT_NE(s.kernel.settings, settings);
    s.clock.advance(seconds(61));
    const auto undone = undo_expired(s.kernel, journal(), s.clock);
    ASSERT_TRUE(undone && *undone);
    EXPECT_FALSE((*undone)->steps.empty());
    EXPECT_EQ(s.kernel.settings, settings);
    EXPECT_EQ(held(), entries) << "also by which plan it is held";
    EXPECT_TRUE(journal().controls()->hold);
    EXPECT_FALSE(journal().controls()->confirmation);
    ASSERT_TRUE(ankus::undo(s.kernel, journal(), s.clock, {}));
    EXPECT_TRUE(s.kernel.settings.empty());
    EXPECT_TRUE(journal().runs()->empty());
  }

  Scene s;

 private:
  std::string directory_;
  std::unique_ptr<SqliteJournal> real_;
};
INSTANTIATE_TEST_SUITE_P(Confirmation, RemovalToBeConfirmed, testing::Bool(),
                         [](const auto& info) { return info.param ? "sqlite" : "fake"; });

TEST_P(RemovalToBeConfirmed, OfOneClassIsUndoneAtTheDeadline) {
  expect_undone_at_the_deadline(tree({0x10, 0x20}), tree({0x10}));
}

TEST_P(RemovalToBeConfirmed, OfAllIsUndoneAtTheDeadline) {
  expect_undone_at_the_deadline(tree({0x10, 0x20}), {});
}

TEST_P(RemovalToBeConfirmed, TogetherWithChangesIsUndoneAtTheDeadline) {
  expect_undone_at_the_deadline(tree({0x10, 0x20}), tree({0x10, 0x30}, 50));
}

TEST_P(RemovalToBeConfirmed, IsHeldAgainWithItsTable) {
  Desired first = tree({0x10});
  wish_members(first, 3);
  apply(first);
  apply({}, seconds(60));
  EXPECT_TRUE(held().empty());
  s.clock.advance(seconds(61));
  ASSERT_TRUE(undo_expired(s.kernel, journal(), s.clock));
  EXPECT_TRUE(held().contains(knob::Membership{})) << "so that the daemon fills it again";
  EXPECT_EQ(held().at(knob::Membership{})[0], "absent");
}

TEST_P(RemovalToBeConfirmed, CanBeRolledBackActionByAction) {
  expect_undone_action_by_action(tree({0x10, 0x20, 0x30}), tree({0x10}));
}

TEST_P(RemovalToBeConfirmed, LikeAnyPlanHasNothingToConfirmOnceEachActionIsRolledBack) {
  expect_undone_action_by_action(tree({0x10}), tree({0x10, 0x20, 0x30}));
}

TEST_P(RemovalToBeConfirmed, WaitsUntilItCanBeRecordedThatItIsTakenBack) {
  apply(tree({0x10, 0x20}));
  const auto settings = s.kernel.settings;
  const auto entries = held();
  apply(tree({0x10, 0x30}, 50), seconds(60));
  s.clock.advance(seconds(61));
  FaultyJournal full(journal());
  full.fail_at = 0;  // the intent, and nothing after it
  const auto undone = undo_expired(s.kernel, full, s.clock);
  ASSERT_TRUE(undone && *undone);
  EXPECT_FALSE((*undone)->notes.empty());
  EXPECT_NE(s.kernel.settings, settings) << "the class that is gone cannot be taken again";
  EXPECT_TRUE(journal().controls()->confirmation) << "else it would stay removed, unconfirmed";
  EXPECT_TRUE(journal().controls()->hold);
  ASSERT_TRUE(undo_expired(s.kernel, full, s.clock));
  EXPECT_EQ(s.kernel.settings, settings);
  EXPECT_EQ(held(), entries);
  EXPECT_FALSE(journal().controls()->confirmation);
}

TEST_P(RemovalToBeConfirmed, LeavesToSomebodyElseWhatHeHasMadeMeanwhile) {
  apply(tree({0x10, 0x20}));
  apply(tree({0x10}), seconds(60));
  const knob::TcClass theirs{s.eth0, make_handle(kOurMajor, 0x20)};
  s.kernel.change(theirs, class_setting(1, 7));
  s.clock.advance(seconds(61));
  ASSERT_TRUE(undo_expired(s.kernel, journal(), s.clock));
  EXPECT_EQ(s.kernel.settings.at(theirs), Setting(class_setting(1, 7)));
  EXPECT_FALSE(held().contains(theirs));
  EXPECT_FALSE(journal().controls()->confirmation);
}

TEST_P(RemovalToBeConfirmed, StaysRemovedOnceItIsConfirmed) {
  apply(tree({0x10, 0x20}));
  apply(tree({0x10}), seconds(60));
  const auto settings = s.kernel.settings;
  ASSERT_TRUE(confirm(journal(), s.clock, "root"));
  s.clock.advance(seconds(61));
  EXPECT_FALSE(undo_expired(s.kernel, journal(), s.clock)->has_value());
  EXPECT_EQ(s.kernel.settings, settings);
}

/// A deadline at which something of the plan cannot be undone.
class MissedDeadline : public RemovalToBeConfirmed {
 protected:
  void SetUp() override {
    RemovalToBeConfirmed::SetUp();
    s.kernel.add_queues(s.eth0, 1, 0);
    before_ = s.kernel.settings;
    Desired desired;
    desired.wishes = {{.knob = irq_, .setting = CpuSet{{1}}, .reason = "test"}};
    apply(desired, seconds(60));
    s.clock.advance(seconds(61));
  }
  Result<std::optional<Undone>> undo_expired() {
    return ankus::undo_expired(s.kernel, journal(), s.clock);
  }
  std::size_t events() { return journal().events(100'000, "")->size(); }

  const Knob irq_ = knob::IrqAffinity{s.eth0, "eth0-rx-0"};
  std::map<Knob, Setting> before_;
};

TEST_P(MissedDeadline, IsKeptInMindWithoutFillingTheJournal) {
  for (const bool refused : {false, true}) {
    (refused ? s.kernel.deaf : s.kernel.unreadable) = {irq_};
    const auto first = undo_expired();
    ASSERT_TRUE(first && *first);
    EXPECT_FALSE((*first)->steps.empty());
    const std::size_t said = events();
    for (int i = 0; i < 100; ++i) {
      const auto undone = undo_expired();
      ASSERT_TRUE(undone && *undone);
      EXPECT_EQ((*undone)->degraded, std::vector{to_text(irq_)});
      EXPECT_EQ((*undone)->steps.empty(), !refused) << "what cannot be read is not tried";
    }
    EXPECT_EQ(events(), said);
    EXPECT_LE(journal().runs()->size(), 3u);
    EXPECT_TRUE(journal().controls()->confirmation);
    s.kernel.unreadable.clear();
  }
  s.kernel.deaf.clear();
  ASSERT_TRUE(undo_expired());
  EXPECT_EQ(s.kernel.settings, before_);
  const auto controls = journal().controls();
  EXPECT_FALSE(controls->confirmation);
  EXPECT_TRUE(controls->hold);
  EXPECT_EQ(controls->degraded, std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(Confirmation, MissedDeadline, testing::Bool());

TEST(Confirmation, OfATrialIsItsVerdicts) {
  Scene s;
  const auto applied = s.apply(s.plan(s.tree()), {.confirm_within = seconds(60), .on_trial = true});
  ASSERT_TRUE(applied);
  const auto person = confirm(s.journal, s.clock, "root");
  ASSERT_FALSE(person);
  EXPECT_THAT(person.error().text, HasSubstr("on trial"));
  const auto other = s.apply(s.plan(s.tree(50)));
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().text, HasSubstr("on trial"));
  EXPECT_EQ(confirm(s.journal, s.clock, "the verdict", ConfirmedBy::verdict), applied->plan);
}

TEST(Confirmation, OfATrialThatExpiresDoesNotHold) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree()), {.confirm_within = seconds(60), .on_trial = true}));
  s.clock.advance(seconds(61));
  const auto undone = undo_expired(s.kernel, s.journal, s.clock);
  ASSERT_TRUE(undone && *undone);
  EXPECT_TRUE(s.kernel.settings.empty());
  EXPECT_FALSE(s.journal.control.hold) << "a restart during a trial must not stop everything";
  EXPECT_FALSE(s.journal.control.confirmation);
}

TEST(Confirmation, OfATrialThatWasCutOffIsUndoneAtTheNextStart) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree()),
                      {.confirm_within = seconds(60), .on_trial = true, .to_be_judged = true}));
  ASSERT_TRUE(s.journal.control.unjudged);
  const auto undone = undo_cut_off_trial(s.kernel, s.journal, s.clock);
  ASSERT_TRUE(undone && *undone);
  EXPECT_TRUE(s.kernel.settings.empty());
  EXPECT_EQ(s.journal.control, Controls{});
  EXPECT_FALSE(undo_cut_off_trial(s.kernel, s.journal, s.clock)->has_value());
}

TEST(Confirmation, OfAPersonSurvivesARestart) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree()), {.confirm_within = seconds(60), .to_be_judged = true}));
  EXPECT_FALSE(undo_cut_off_trial(s.kernel, s.journal, s.clock)->has_value());
  EXPECT_TRUE(s.journal.control.confirmation);
}

TEST(Confirmation, ARemovalThatIsToBeJudgedCanBeTakenBack) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  const auto first = s.journal.held_list;
  const auto removal = s.apply(s.plan({}), {.to_be_judged = true});
  ASSERT_TRUE(removal && s.kernel.settings.empty());
  s.journal.control.paused = true;  // keeps no verdict from undoing
  ASSERT_TRUE(s.undo({.id = removal->plan, .hold = Hold::no}));
  EXPECT_FALSE(s.kernel.settings.empty());
  EXPECT_EQ(s.journal.control, Controls{.paused = true});
  // And the plan before it is in force again as such.
  ASSERT_TRUE(s.undo({.id = first.front().plan, .hold = Hold::no}));
  EXPECT_TRUE(s.kernel.settings.empty());
}

TEST(Confirmation, TakesNothingAgainThatItCannotRecord) {
  Scene s;
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  ASSERT_TRUE(s.apply(s.plan({}), {.confirm_within = seconds(60)}));
  s.clock.advance(seconds(61));
  FaultyJournal full(s.journal);
  full.fail_at = 0;
  full.for_good = true;
  const auto undone = undo_expired(s.kernel, full, s.clock);
  ASSERT_TRUE(undone && *undone);
  EXPECT_FALSE((*undone)->notes.empty());
  EXPECT_TRUE(s.kernel.settings.empty()) << "it would be nobody's";
  ASSERT_TRUE(undo_expired(s.kernel, s.journal, s.clock)) << "once there is room again";
  EXPECT_FALSE(s.kernel.settings.empty());
}

}  // namespace
}  // namespace ankus
