// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fake/fake_clock.h"
#include "fake/fake_journal.h"
#include "fake/temp_tree.h"
#include "journal/sqlite_journal.h"

namespace ankus {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kHighest = ~0ULL;

/// Each kind of identity, with the numbers that a signed column could spoil.
std::vector<NumberedWorkload> some_rows() {
  return {{.number = 1,
           .identity = {.cgroup_id = kHighest,
                        .cgroup_born = nanoseconds(1'790'000'000'123'456'789),
                        .netns_inode = 4026532001,
                        .ifindex = 0xffffffff}},
          {.number = 2, .identity = {.netns_inode = kHighest, .ifindex = 9}, .vanished = {{}}},
          {.number = 4095,
           .identity = {.ifindex = 7},
           .vanished = MonotonicTime{nanoseconds(5'000'000'000'001)}}};
}

class WorkloadNumbersInTheJournal : public ::testing::Test {
 protected:
  void open() {
    journal_.reset();
    auto opened = SqliteJournal::open(
        {.runtime_dir = tree_.root + "/run", .state_dir = tree_.root + "/lib", .boot_id = boot_},
        clock_);
    ASSERT_TRUE(opened) << opened.error().text;
    journal_ = std::move(*opened);
  }
  void keep(const WorkloadNumbers& changed) {
    ASSERT_TRUE(journal_);
    const auto kept = journal_->keep_workload_numbers(changed);
    ASSERT_TRUE(kept) << kept.error().text;
    ASSERT_TRUE(fake_.keep_workload_numbers(changed));
  }
  /// What is kept after a restart; the fake must agree.
  WorkloadNumbers kept() {
    open();
    const auto numbers =
        journal_ ? journal_->workload_numbers() : fail(ErrorKind::gone, "no journal");
    EXPECT_TRUE(numbers) << numbers.error().text;
    EXPECT_EQ(numbers.value_or(WorkloadNumbers{}), fake_.numbers);
    return numbers.value_or(WorkloadNumbers{});
  }
  void sql(const std::string& text) {
    journal_.reset();
    auto database = Database::open(held_db());
    ASSERT_TRUE(database) << database.error().text;
    const auto done = database->run(text);
    ASSERT_TRUE(done) << done.error().text;
  }
  std::string held_db() const { return tree_.root + "/run/held.db"; }

  TempTree tree_;
  FakeClock clock_;
  std::string boot_ = "boot-1";
  FakeJournal fake_;
  std::unique_ptr<SqliteJournal> journal_;
};

TEST_F(WorkloadNumbersInTheJournal, AreNoneAtFirst) {
  open();
  EXPECT_EQ(kept(), WorkloadNumbers{});
}

TEST_F(WorkloadNumbersInTheJournal, ComeBackAsTheyWereKept) {
  open();
  keep({.maps = 0xfffffffe, .rows = some_rows()});
  EXPECT_EQ(kept(), (WorkloadNumbers{.maps = 0xfffffffe, .rows = some_rows()}));
}

TEST_F(WorkloadNumbersInTheJournal, ARowReplacesTheOneOfItsNumberOnly) {
  open();
  keep({.maps = 7, .rows = some_rows()});
  const NumberedWorkload another{.number = 2, .identity = {.cgroup_id = 5}};
  const NumberedWorkload fresh{.number = 3, .identity = {.cgroup_id = 6}};
  keep({.maps = 7, .rows = {another, fresh}});
  EXPECT_EQ(kept().rows,
            (std::vector<NumberedWorkload>{some_rows()[0], another, fresh, some_rows()[2]}));
}

TEST_F(WorkloadNumbersInTheJournal, OfOtherMapsReplaceAll) {
  open();
  keep({.maps = 7, .rows = some_rows()});
  const NumberedWorkload fresh{.number = 3, .identity = {.cgroup_id = 6}};
  keep({.maps = 8, .rows = {fresh}});
  EXPECT_EQ(kept(), (WorkloadNumbers{.maps = 8, .rows = {fresh}}));
}

TEST_F(WorkloadNumbersInTheJournal, AreGoneAfterAnotherBoot) {
  open();
  keep({.maps = 7, .rows = some_rows()});
  boot_ = "boot-2";
  open();
  ASSERT_TRUE(journal_);
  EXPECT_EQ(journal_->workload_numbers(), WorkloadNumbers{});
}

TEST_F(WorkloadNumbersInTheJournal, AreKeptAsAWholeOrNotAtAll) {
  open();
  keep({.maps = 7, .rows = some_rows()});
  sql("CREATE TRIGGER stop BEFORE INSERT ON workload_numbers WHEN NEW.number=11 BEGIN "
      "SELECT RAISE(ABORT, 'no room for 11'); END");
  open();
  ASSERT_TRUE(journal_);
  const auto failed =
      journal_->keep_workload_numbers({.maps = 8, .rows = {{.number = 10}, {.number = 11}}});
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("no room for 11"));
  EXPECT_EQ(kept(), (WorkloadNumbers{.maps = 7, .rows = some_rows()}));
}

TEST_F(WorkloadNumbersInTheJournal, AChangedRowIsDamage) {
  for (const char* column : {"cgroup_id", "cgroup_born_ns", "netns", "ifindex", "vanished_ns"}) {
    std::filesystem::remove_all(tree_.root + "/run");
    fake_ = {};
    open();
    keep({.maps = 7, .rows = some_rows()});
    sql(std::string("UPDATE workload_numbers SET ") + column + "=3 WHERE number=2");
    const auto opened = SqliteJournal::open(
        {.runtime_dir = tree_.root + "/run", .state_dir = tree_.root + "/lib", .boot_id = boot_},
        clock_);
    ASSERT_FALSE(opened) << column;
    EXPECT_THAT(opened.error().text, HasSubstr("workload number 2"));
  }
}

TEST_F(WorkloadNumbersInTheJournal, AFileOfSchema1IsBroughtUpToDateWithWhatItHolds) {
  open();
  const Action action{.knob = knob::Ifb{"ifb7"}, .after = IfbDevice{7}};
  const std::vector<RunStep> steps{{.id = id_of(action), .action = action}};
  const auto run = journal_->begin({.plan = "p-1", .steps = steps});
  ASSERT_TRUE(run);
  const HeldKnob hold{
      .knob = action.knob, .original = Absent{}, .written = action.after, .run = *run};
  ASSERT_TRUE(journal_->close({.run = *run, .steps = steps, .change = {.hold = {hold}}}));
  // What schema 1 had instead; 'next_workload' with its checksum is read by nobody any more.
  sql("DROP TABLE workload_numbers; DROP TABLE tried; DELETE FROM meta WHERE key='workload_maps';"
      "INSERT INTO meta VALUES('next_workload', '6', 0); PRAGMA user_version=1");
  EXPECT_EQ(kept(), WorkloadNumbers{});
  EXPECT_EQ(journal_->held(), std::vector<HeldKnob>{hold});
  keep({.maps = 7, .rows = some_rows()});
  EXPECT_EQ(kept(), (WorkloadNumbers{.maps = 7, .rows = some_rows()}));
}

}  // namespace
}  // namespace ankus
