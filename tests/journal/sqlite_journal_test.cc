// SPDX-License-Identifier: Apache-2.0
#include "journal/sqlite_journal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "fake/fake_clock.h"
#include "fake/fake_tree.h"

namespace ankus {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// Another process that reads a database when it is told to. It is made before this one opens any:
/// SQLite must not be carried over a fork.
class OtherReader {
 public:
  explicit OtherReader(const std::string& path) {
    EXPECT_EQ(::pipe(pipe_), 0);
    child_ = ::fork();
    if (child_ != 0) return;
    ::close(pipe_[1]);  // else it would wait for ever for a test that has failed
    char go = 0;
    if (::read(pipe_[0], &go, 1) != 1) ::_exit(255);
    auto database = Database::open(path);
    const auto count = database ? database->number("SELECT count(*) FROM events") : 255;
    if (database) database->close();
    ::_exit(count ? static_cast<int>(*count) : 255);
  }
  ~OtherReader() {
    for (const int fd : pipe_) ::close(fd);
  }
  OtherReader(const OtherReader&) = delete;
  OtherReader& operator=(const OtherReader&) = delete;
  /// How many events it sees.
  int events() {
    int status = 0;
    EXPECT_EQ(::write(pipe_[1], "g", 1), 1);
    EXPECT_EQ(::waitpid(child_, &status, 0), child_);
    return WEXITSTATUS(status);
  }

 private:
  int pipe_[2] = {-1, -1};
  pid_t child_ = 0;
};

class Journals : public testing::Test {
 protected:
  Journals() {
    char pattern[] = "/dev/shm/ankus-journal-XXXXXX";
    root_ = ::mkdtemp(pattern);
    place_ = {.runtime_dir = root_ + "/run", .state_dir = root_ + "/lib", .boot_id = "boot-1"};
  }
  ~Journals() override {
    if (mounted_) (void)::umount(place_.state_dir.c_str());
    fs::remove_all(root_);
  }

  Result<std::unique_ptr<SqliteJournal>> open() { return SqliteJournal::open(place_, clock_); }
  std::string held_db() const { return place_.runtime_dir + "/held.db"; }
  std::string history_db() const { return place_.state_dir + "/history.db"; }
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void write(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
  void sql(const std::string& path, const std::string& text) {
    auto database = Database::open(path);
    ASSERT_TRUE(database) << database.error().text;
    const auto run = database->run(text);
    ASSERT_TRUE(run) << run.error().text;
  }

  std::vector<RunStep> some_steps(std::size_t count = 0) {
    Desired desired;
    wish_tree(desired, {.device = {.name = "eth0", .ifindex = 2, .netns_cookie = 7}});
    wish_members(desired, 3);
    std::vector<RunStep> steps;
    for (const Wish& wish : desired.wishes) {
      const Action action{.knob = wish.knob, .after = wish.setting, .reason = wish.reason};
      steps.push_back({.id = id_of(action), .action = action});
    }
    for (std::uint32_t i = 0; steps.size() < count; ++i) {
      const Action action{.knob = knob::Ifb{"ifb" + std::to_string(i)}, .after = IfbDevice{i}};
      steps.push_back({.id = id_of(action), .action = action});
    }
    return steps;
  }
  /// As apply() does it: intents, then outcomes and what is held.
  RunId hold(Journal& journal, std::vector<RunStep> steps) {
    const auto run = journal.begin({.plan = "p-1", .by = "test", .steps = steps});
    EXPECT_TRUE(run) << run.error().text;
    HeldChange change;
    for (RunStep& step : steps) {
      step.outcome = Outcome::done;
      change.hold.push_back({.knob = step.action.knob,
                             .original = step.action.before,
                             .written = step.action.after,
                             .run = *run,
                             .plan = "p-1",
                             .action = step.id,
                             .since = clock_.boot(),
                             .since_wall = clock_.wall()});
    }
    const auto closed = journal.close({.run = *run, .steps = steps, .change = change});
    EXPECT_TRUE(closed) << closed.error().text;
    return *run;
  }

  std::string root_;
  JournalPlace place_;
  FakeClock clock_;
  bool mounted_ = false;
};

// As docs/journal.md tells people to.
TEST_F(Journals, WaitsForSomebodyWhoIsReadingIt) {
  auto journal = open();
  ASSERT_TRUE(journal) << journal.error().text;
  auto reader = Database::open(held_db());
  ASSERT_TRUE(reader);
  auto statement = reader->prepare("SELECT key FROM meta");
  ASSERT_TRUE(statement && statement->step()) << "and is not at its end yet";
  std::thread done_reading([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    *statement = Statement();
  });
  const auto set = (*journal)->set_controls({.paused = true});
  done_reading.join();
  ASSERT_TRUE(set) << set.error().text;
  EXPECT_TRUE((*journal)->controls()->paused);
}

// As `sqlite3` does without -readonly: the last one that leaves takes the -wal file along.
TEST_F(Journals, SomebodyWhoReadsHistoryTakesNothingAway) {
  OtherReader first(history_db()), second(history_db());
  auto journal = open();
  ASSERT_TRUE(journal) << journal.error().text;
  const Event event{.kind = "plan", .text = "x"};
  ASSERT_TRUE((*journal)->record({&event, 1}));
  EXPECT_EQ(first.events(), 1);
  EXPECT_TRUE(fs::exists(history_db() + "-wal"));
  ASSERT_TRUE((*journal)->record({&event, 1}));
  EXPECT_EQ(second.events(), 2);
}

// /var/run is one on Debian, and a state directory may have been moved to a larger disk.
TEST_F(Journals, TheDirectoriesMayBeReachedThroughLinks) {
  fs::create_directories(root_ + "/real/run");
  fs::create_directories(root_ + "/real/lib");
  fs::create_directory_symlink(root_ + "/real", root_ + "/link");
  place_ = {.runtime_dir = root_ + "/link/run",
            .state_dir = root_ + "/link/lib",
            .boot_id = place_.boot_id};
  auto journal = open();
  ASSERT_TRUE(journal) << journal.error().text;
  EXPECT_EQ((*journal)->history_problem(), std::nullopt);
}

TEST_F(Journals, AFileThatIsLockedIsNotDamaged) {
  {
    ASSERT_TRUE(open());
  }
  auto other = Database::open(held_db());
  ASSERT_TRUE(other && other->run("BEGIN EXCLUSIVE"));
  const auto locked = open();
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().kind, ErrorKind::busy) << "will do later";
  EXPECT_THAT(locked.error().text, HasSubstr("keep it"));
  EXPECT_THAT(locked.error().text, Not(HasSubstr("remove")));
  ASSERT_TRUE(other->run("ROLLBACK"));
  EXPECT_TRUE(open());
}

TEST_F(Journals, ATableThatIsMissingIsDamage) {
  {
    ASSERT_TRUE(open());
  }
  sql(held_db(), "DROP TABLE ceded");
  const auto journal = open();
  ASSERT_FALSE(journal);
  EXPECT_THAT(journal.error().text, HasSubstr("damaged"));
}

TEST_F(Journals, KeepsRunsHeldCededAndControlsAcrossARestart) {
  Controls controls{
      .paused = true,
      .paused_by = "root",
      .hold = "undo of all by root",
      .confirmation =
          Confirmation{
              .run = 0, .plan = "p-2", .deadline = {seconds(77)}, .by = "al", .on_trial = true},
      .unjudged = Unjudged{.run = 0, .plan = "p-2"},
      .degraded = {"root qdisc of eth0"}};
  const CededKnob ceded{.knob = knob::Clsact{{"eth0", 2, 7}},
                        .found = "x",
                        .why = "y",
                        .since = {seconds(1)},
                        .until = {seconds(2)},
                        .since_wall = {seconds(3)},
                        .fights = 2};
  const std::vector<TriedObject> tried{
      {.object = "bandwidth of eth0", .failures = 3, .free_from = {seconds(9)}, .last = "harmed"},
      {.object = "indirection table of eth0", .kept_since = BootTime{seconds(4)}}};
  std::vector<ankus::Run> runs;
  std::vector<HeldKnob> held;
  {
    auto journal = open();
    ASSERT_TRUE(journal) << journal.error().text;
    hold(**journal, some_steps());
    const auto open_run = (*journal)->begin({.plan = "p-2",
                                             .purpose = Purpose::undo,
                                             .by = "x",
                                             .steps = some_steps(),
                                             .controls = controls});
    ASSERT_TRUE(open_run);
    controls.confirmation->run = *open_run;
    controls.unjudged->run = *open_run;
    ASSERT_TRUE((*journal)->keep_tried(tried));
    ASSERT_TRUE((*journal)->change_held({.cede = {ceded}}));
    ASSERT_TRUE((*journal)->set_opted_out("web", true));
    runs = *(*journal)->runs();
    held = *(*journal)->held();
    ASSERT_EQ(runs.size(), 2u);
    EXPECT_EQ(runs[1].state, RunState::open);
    EXPECT_EQ(runs[1].purpose, Purpose::undo);
    ASSERT_EQ(held.size(), some_steps().size());
    for (std::size_t i = 0; i < held.size(); ++i) {
      EXPECT_EQ(held[i].knob, some_steps()[i].action.knob)
          << "in the order in which they were taken";
      EXPECT_TRUE(same_setting(held[i].written, some_steps()[i].action.after));
    }
  }
  auto journal = open();
  ASSERT_TRUE(journal) << journal.error().text;
  EXPECT_EQ((*journal)->runs(), runs);
  EXPECT_EQ((*journal)->held(), held);
  EXPECT_EQ((*journal)->controls(), controls);
  EXPECT_EQ((*journal)->ceded(), std::vector<CededKnob>{ceded});
  EXPECT_EQ((*journal)->tried(), tried);
  EXPECT_EQ((*journal)->opted_out(), std::vector<std::string>{"web"});
}

TEST_F(Journals, ForgetsARunOfWhichNothingIsInForce) {
  auto journal = open();
  ASSERT_TRUE(journal);
  const auto steps = some_steps();
  hold(**journal, steps);
  HeldChange drop;
  for (const RunStep& step : steps) drop.drop.push_back(step.action.knob);
  const auto run =
      (*journal)->begin({.plan = "undo of all", .purpose = Purpose::undo, .steps = steps});
  ASSERT_TRUE((*journal)->close({.run = *run, .steps = steps, .change = drop}));
  EXPECT_TRUE((*journal)->runs()->empty());
  EXPECT_TRUE((*journal)->held()->empty());
}

TEST_F(Journals, TakesTenThousandIntentsInOneTransaction) {
  auto journal = open();
  ASSERT_TRUE(journal);
  const auto steps = some_steps(10'000);
  hold(**journal, steps);
  EXPECT_EQ((*journal)->held()->size(), steps.size());
}

TEST_F(Journals, OnlyItsOwnerMayReadTheFiles) {
  auto journal = open();
  ASSERT_TRUE(journal);
  hold(**journal, some_steps());
  const Event event{.kind = "plan"};
  ASSERT_TRUE((*journal)->record({&event, 1}));
  std::size_t files = 0;
  for (const std::string& dir : {place_.runtime_dir, place_.state_dir}) {
    EXPECT_EQ(static_cast<unsigned>(fs::status(dir).permissions()) & 07, 0u) << dir;
    for (const auto& entry : fs::directory_iterator(dir)) {
      ++files;
      EXPECT_EQ(static_cast<unsigned>(fs::status(entry).permissions()) & 0777, 0600u) << entry;
    }
  }
  EXPECT_GE(files, 3u);
}

TEST_F(Journals, ASecondWriterIsRefusedWithTheFirstOnesPid) {
  auto first = open();
  ASSERT_TRUE(first);
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::busy);
  EXPECT_THAT(second.error().text, HasSubstr("pid " + std::to_string(::getpid())));
  first->reset();
  EXPECT_TRUE(open());
}

TEST_F(Journals, RefusesANewerSchema) {
  {
    ASSERT_TRUE(open());
  }
  sql(held_db(), "PRAGMA user_version=4");
  const auto newer = open();
  ASSERT_FALSE(newer);
  EXPECT_THAT(newer.error().text, HasSubstr("newer Ankus"));
}

TEST_F(Journals, TakesOverWhatAnOlderSchemaHolds) {
  std::vector<HeldKnob> held;
  {
    auto journal = open();
    ASSERT_TRUE(journal);
    hold(**journal, some_steps());
    held = *(*journal)->held();
  }
  sql(held_db(), "DROP TABLE tried; PRAGMA user_version=2");
  auto journal = open();
  ASSERT_TRUE(journal) << journal.error().text;
  EXPECT_EQ((*journal)->held(), held);
  EXPECT_TRUE((*journal)->tried()->empty());
  const TriedObject tried{.object = "x", .failures = 1};
  ASSERT_TRUE((*journal)->keep_tried({&tried, 1}));
}

TEST_F(Journals, AChangedMemoryOfTrialsIsAnError) {
  {
    auto journal = open();
    const TriedObject tried{.object = "x", .failures = 3};
    ASSERT_TRUE((*journal)->keep_tried({&tried, 1}));
  }
  sql(held_db(), "UPDATE tried SET failures=0");
  const auto journal = open();
  ASSERT_FALSE(journal);
  EXPECT_THAT(journal.error().text, HasSubstr("tried object x"));
}

TEST_F(Journals, KeepsTheRunOfWhatIsToBeJudged) {
  auto journal = open();
  ASSERT_TRUE(journal);
  const auto steps = some_steps();
  const auto run = (*journal)->begin(
      {.plan = "p-1", .steps = steps, .controls = Controls{.unjudged = Unjudged{.plan = "p-1"}}});
  ASSERT_TRUE((*journal)->close({.run = *run, .steps = steps}));
  EXPECT_EQ((*journal)->runs()->size(), 1u) << "although nothing is held";
  ASSERT_TRUE((*journal)->set_controls({}));
  const auto next = (*journal)->begin({.plan = "p-2", .steps = steps});
  ASSERT_TRUE((*journal)->close({.run = *next, .steps = steps}));
  EXPECT_TRUE((*journal)->runs()->empty());
}

TEST_F(Journals, ANewerHistoryIsNotWrittenAndUndoStillWorks) {
  {
    auto journal = open();
    ASSERT_TRUE(journal);
    const Event event{.kind = "start"};
    ASSERT_TRUE((*journal)->record({&event, 1}));
  }
  sql(history_db(), "PRAGMA user_version=2");
  auto journal = open();
  ASSERT_TRUE(journal);
  EXPECT_THAT((*journal)->history_problem().value_or(""), HasSubstr("newer Ankus"));
  hold(**journal, some_steps());
}

TEST_F(Journals, AnotherBootDropsWhatIsHeldAndSaysSo) {
  {
    auto journal = open();
    ASSERT_TRUE(journal);
    hold(**journal, some_steps());
    ASSERT_TRUE((*journal)->begin({.plan = "p-2", .steps = some_steps()}));
    ASSERT_TRUE((*journal)->set_controls({.paused = true,
                                          .confirmation = Confirmation{.run = 1, .plan = "p"},
                                          .unjudged = Unjudged{.run = 1, .plan = "p"},
                                          .degraded = {"x"}}));
    const TriedObject tried{.object = "x", .failures = 1};
    ASSERT_TRUE((*journal)->keep_tried({&tried, 1}));
    ASSERT_TRUE((*journal)->set_opted_out("cgroup 5", true));
  }
  place_.boot_id = "boot-2";
  auto journal = open();
  ASSERT_TRUE(journal) << journal.error().text;
  EXPECT_TRUE((*journal)->held()->empty());
  EXPECT_TRUE((*journal)->runs()->empty());
  EXPECT_TRUE((*journal)->tried()->empty());
  EXPECT_TRUE((*journal)->opted_out()->empty()) << "the number may be another cgroup's by now";
  EXPECT_EQ((*journal)->controls(), Controls{.paused = true}) << "the operator's order stays";
  const auto events = (*journal)->events(10, "");
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 1u);
  EXPECT_THAT(events->front().event.text, HasSubstr("restarted"));
  EXPECT_EQ(events->front().boot_id, "boot-2");
}

TEST_F(Journals, ATruncatedHeldFileIsNeverNothingToUndo) {
  {
    auto journal = open();
    ASSERT_TRUE(journal);
    hold(**journal, some_steps());
  }
  const std::string whole = read(held_db());
  ASSERT_GT(whole.size(), 8192u);
  for (std::size_t length = 0; length < whole.size(); length += length < 200 ? 1 : 509) {
    write(held_db(), whole.substr(0, length));
    const auto journal = open();
    ASSERT_FALSE(journal) << "cut at " << length;
    EXPECT_THAT(journal.error().text, HasSubstr("damaged")) << "cut at " << length;
  }
  for (std::size_t length = 4096; length < whole.size(); length += 4096) {
    write(held_db(), whole.substr(0, length));
    EXPECT_FALSE(open()) << "cut at page " << length / 4096;
  }
  write(held_db(), whole);
  EXPECT_TRUE(open());
}

TEST_F(Journals, AFlippedByteIsAnErrorOrChangesNothing) {
  std::vector<HeldKnob> held;
  std::vector<ankus::Run> runs;
  {
    auto journal = open();
    ASSERT_TRUE(journal);
    hold(**journal, some_steps());
    held = *(*journal)->held();
    runs = *(*journal)->runs();
  }
  const std::string whole = read(held_db());
  std::size_t errors = 0;
  for (std::size_t at = 0; at < whole.size(); at += at < 100 ? 1 : 41) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x15);
    write(held_db(), bytes);
    const auto journal = open();
    if (!journal) {
      ++errors;
      continue;
    }
    auto read_held = (*journal)->held();
    ASSERT_TRUE(read_held);
    // The times are for people and have no checksum.
    for (std::size_t i = 0; i < read_held->size() && i < held.size(); ++i) {
      (*read_held)[i].since = held[i].since;
      (*read_held)[i].since_wall = held[i].since_wall;
    }
    ASSERT_EQ(*read_held, held) << "byte " << at;
    ASSERT_EQ((*journal)->runs()->size(), runs.size()) << "byte " << at;
  }
  EXPECT_GT(errors, 50u);
}

TEST_F(Journals, GarbageEmptyAndForeignFilesAreErrors) {
  {
    ASSERT_TRUE(open());
  }
  for (const std::string& bytes : {std::string(), std::string("hello"), std::string(65536, '\0')}) {
    write(held_db(), bytes);
    ASSERT_FALSE(open());
  }
  fs::remove(held_db());
  write(held_db(), "");
  fs::remove(held_db());
  fs::create_directory(held_db());
  EXPECT_FALSE(open());
  fs::remove(held_db());
  fs::create_symlink("/etc/passwd", held_db());
  EXPECT_FALSE(open());
}

TEST_F(Journals, WithoutAStateDirectoryHeldWorksAndHistorySaysWhyNot) {
  const auto works_without_history = [&](const char* text) {
    auto journal = open();
    ASSERT_TRUE(journal) << journal.error().text;
    const Event event{.kind = "plan"};
    EXPECT_FALSE((*journal)->record({&event, 1}));
    EXPECT_THAT((*journal)->history_problem().value_or("none"), HasSubstr(text));
    EXPECT_FALSE((*journal)->events(10, ""));
    EXPECT_FALSE((*journal)->footprints());
    hold(**journal, some_steps());
    EXPECT_EQ((*journal)->held()->size(), some_steps().size());
  };
  write(place_.state_dir, "a file");
  works_without_history("Not a directory");
  fs::remove(place_.state_dir);
  place_.state_dir = root_ + "/no/such";
  works_without_history("No such file");
  place_.state_dir = root_ + "/damaged";
  fs::create_directory(place_.state_dir);
  write(history_db(), std::string(10'000, 'x'));
  works_without_history("not a database");
}

TEST_F(Journals, HistoryComesBackWhenItsDirectoryDoes) {
  write(place_.state_dir, "a file");
  auto journal = open();
  ASSERT_TRUE(journal);
  const Event event{.kind = "plan"};
  EXPECT_FALSE((*journal)->record({&event, 1}));
  fs::remove(place_.state_dir);
  EXPECT_TRUE((*journal)->record({&event, 1}));
  EXPECT_FALSE((*journal)->history_problem());
}

TEST_F(Journals, AFullStateDirectoryStopsHistoryOnly) {
  fs::create_directory(place_.state_dir);
  if (::mount("ankus-test", place_.state_dir.c_str(), "tmpfs", 0, "size=256k,mode=0700") != 0)
    GTEST_SKIP() << "needs the right to mount a tmpfs: " << std::strerror(errno);
  mounted_ = true;
  auto journal = open();
  ASSERT_TRUE(journal);
  const Event event{.kind = "plan", .text = std::string(4000, 'x')};
  int recorded = 0;
  while (recorded < 1000 && (*journal)->record({&event, 1})) ++recorded;
  ASSERT_GT(recorded, 0);
  ASSERT_LT(recorded, 1000);
  EXPECT_TRUE((*journal)->history_problem());
  hold(**journal, some_steps());
  EXPECT_TRUE((*journal)->history_problem()) << "still full";
  EXPECT_TRUE((*journal)->remember({}));
  EXPECT_TRUE((*journal)->record({}));
  EXPECT_TRUE((*journal)->history_problem()) << "nothing to write proves nothing";
  journal->reset();
}

TEST_F(Journals, AReadOnlyStateDirectoryStopsHistoryOnly) {
  fs::create_directory(place_.state_dir);
  if (::mount("ankus-test", place_.state_dir.c_str(), "tmpfs", MS_RDONLY, "size=256k") != 0)
    GTEST_SKIP() << "needs the right to mount a tmpfs: " << std::strerror(errno);
  mounted_ = true;
  auto journal = open();
  ASSERT_TRUE(journal);
  EXPECT_THAT((*journal)->history_problem().value_or("none"), HasSubstr("Read-only"));
  hold(**journal, some_steps());
  journal->reset();
}

TEST_F(Journals, HistoryForgetsTheOldestWhileItIsOpen) {
  HistoryStore history(place_.state_dir, "boot-1", {.events = 50, .footprints = 3});
  const std::vector<Event> events(110, Event{.kind = "plan", .text = "x"});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(history.record(events, clock_.wall(), clock_.boot()));
  const auto left = history.events(10'000, "");
  ASSERT_TRUE(left) << left.error().text;
  EXPECT_LE(left->size(), 1'050u);
  EXPECT_EQ(left->back().number, 2'200);
  for (int i = 0; i < 5; ++i) {
    const std::pair<std::string, Footprint> one("label " + std::to_string(i), Footprint{});
    clock_.advance(seconds(1));
    ASSERT_TRUE(history.remember({&one, 1}, clock_.wall()));
  }
  EXPECT_EQ(history.footprints()->size(), 3u);
  EXPECT_EQ(history.footprints()->front().first, "label 2");
}

TEST_F(Journals, HistoryGivesTheNewestEventsOldestFirst) {
  auto journal = open();
  ASSERT_TRUE(journal);
  std::vector<Event> events;
  for (int i = 0; i < 10; ++i)
    events.push_back({.kind = "done",
                      .plan = i % 2 ? "p-odd" : "p-even",
                      .action = "a-" + std::to_string(i),
                      .text = "naïve\n"});
  ASSERT_TRUE((*journal)->record(events));
  const auto newest = (*journal)->events(3, "");
  ASSERT_TRUE(newest);
  ASSERT_EQ(newest->size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ((*newest)[i].event, events[7 + i]);
  EXPECT_EQ((*newest)[0].time, clock_.wall());
  EXPECT_EQ((*journal)->events(100, "p-odd")->size(), 5u);
  EXPECT_EQ((*journal)->events(100, "a-4")->size(), 1u);
}

TEST_F(Journals, TheListOfHistoryHasNoDetails) {
  auto journal = open();
  ASSERT_TRUE(journal);
  const std::vector<Event> events{
      {.kind = "verdict", .plan = "p-1", .text = "first", .json = "{\"first\":1}"},
      {.kind = "verdict", .plan = "p-1", .text = "second", .json = "{\"second\":1}"},
      {.kind = "verdict", .plan = "p-2", .text = "other", .json = "{\"other\":1}"}};
  ASSERT_TRUE((*journal)->record(events));
  const auto all = (*journal)->events(100, "");
  ASSERT_TRUE(all && all->size() == 3);
  for (const PastEvent& past : *all) EXPECT_EQ(past.event.json, "");
  const auto one = (*journal)->events(100, "p-1");
  ASSERT_TRUE(one && one->size() == 2);
  EXPECT_EQ((*one)[0].event.json, "") << "the last verdict counts";
  EXPECT_EQ((*one)[1].event.json, "{\"second\":1}");
}

TEST_F(Journals, OnlyTheNewestVerdictsKeepTheirDetails) {
  const HistoryLimits limits{.details = 5};
  const Event verdict{.kind = "verdict", .plan = "p-1", .json = std::string(100'000, 'x')};
  const Event line{.kind = "plan", .plan = "p-1"};
  const auto with_details = [&] {
    auto database = Database::open(history_db());
    return database->number("SELECT count(*) FROM events WHERE json<>''").value_or(-1);
  };
  {
    HistoryStore history(place_.state_dir, "boot-1", limits);
    for (int i = 0; i < 100; ++i)
      for (const Event& event : {verdict, line})
        ASSERT_TRUE(history.record({&event, 1}, clock_.wall(), clock_.boot()));
    EXPECT_EQ(with_details(), 5);
    EXPECT_EQ(history.events(1000, "")->size(), 200u) << "their lines stay";
  }
  EXPECT_LT(fs::file_size(history_db()), 3'000'000u);
  sql(history_db(), "UPDATE events SET json='x'");  // as a version before has left it
  HistoryStore history(place_.state_dir, "boot-1", limits);
  ASSERT_EQ(history.problem(), std::nullopt);
  EXPECT_EQ(with_details(), 5);
}

TEST_F(Journals, APlansHistoryHasWhatUndidIt) {
  auto journal = open();
  ASSERT_TRUE(journal);
  const std::vector<Event> events{{.kind = "undone", .plan = "undo of all", .action = "a-1"},
                                  {.kind = "done", .plan = "p-1", .action = "a-1"},
                                  {.kind = "done", .plan = "p-2", .action = "a-2"},
                                  {.kind = "undone", .plan = "undo of p-2", .action = "a-2"},
                                  {.kind = "undone", .plan = "undo of p-1", .action = "a-1"},
                                  {.kind = "undone", .plan = "undo of all", .action = "a-1"},
                                  {.kind = "undone", .plan = "undo of all", .action = "a-2"}};
  ASSERT_TRUE((*journal)->record(events));
  const auto past = (*journal)->events(100, "p-1");
  ASSERT_TRUE(past) << past.error().text;
  std::vector<std::int64_t> numbers;
  for (const PastEvent& p : *past) numbers.push_back(p.number);
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{2, 5, 6})) << "and no undo that came before it";
}

TEST_F(Journals, RemembersFootprintsByLabelAsLearnt) {
  const Footprint footprint{.weight = Weight::heavy,
                            .transmit = {182'000'000},
                            .receive = {1},
                            .packets_per_second = 15300.5,
                            .new_flows_per_second = 2,
                            .elephants = 4,
                            .elephant_share = {0.98},
                            .reason = "moved 182 Mbit/s"};
  const std::vector<std::pair<std::string, Footprint>> known{{"db", footprint}};
  {
    auto journal = open();
    ASSERT_TRUE((*journal)->remember(known));
  }
  place_.boot_id = "boot-2";
  auto journal = open();
  const auto read = (*journal)->footprints();
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 1u);
  Footprint learnt = footprint;
  learnt.learnt = true;
  EXPECT_EQ((*read)[0].first, "db");
  EXPECT_EQ((*read)[0].second, learnt);
}

}  // namespace
}  // namespace ankus
