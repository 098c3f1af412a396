// SPDX-License-Identifier: Apache-2.0
#include "journal/held_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "model/json.h"

namespace ankus {
namespace {

using nlohmann::json;

constexpr std::int64_t kSchemaVersion = 3;
/// As vanished_ns: the workload is there. As kept_since_ns: it was not kept.
constexpr std::int64_t kStillThere = -1, kNotKept = -1;
constexpr std::int64_t kPageSize = 4096;
constexpr std::int64_t kApplicationId = 0x416e6b48;  // "AnkH"

constexpr const char* kSchema = R"(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE runs(id INTEGER PRIMARY KEY AUTOINCREMENT, plan TEXT NOT NULL, purpose TEXT NOT NULL,
  state TEXT NOT NULL, by TEXT NOT NULL, begun_ns INTEGER NOT NULL, steps INTEGER NOT NULL,
  sum INTEGER NOT NULL);
CREATE TABLE steps(run INTEGER NOT NULL, step INTEGER NOT NULL, id TEXT NOT NULL,
  what TEXT NOT NULL, knob TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
  reason TEXT NOT NULL, outcome TEXT NOT NULL, text TEXT NOT NULL, sum INTEGER NOT NULL,
  PRIMARY KEY(run, step)) WITHOUT ROWID;
CREATE TABLE held(place INTEGER PRIMARY KEY AUTOINCREMENT, knob TEXT NOT NULL UNIQUE,
  what TEXT NOT NULL, original TEXT NOT NULL, written TEXT NOT NULL, run INTEGER NOT NULL,
  plan TEXT NOT NULL, action TEXT NOT NULL, reason TEXT NOT NULL, since_ns INTEGER NOT NULL,
  since_wall_ns INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE ceded(knob TEXT PRIMARY KEY, what TEXT NOT NULL, found TEXT NOT NULL,
  why TEXT NOT NULL, since_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL,
  since_wall_ns INTEGER NOT NULL, fights INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE opted_out(key TEXT PRIMARY KEY) WITHOUT ROWID;
)";
/// Since schema 2.
constexpr const char* kNumbersSchema = R"(
CREATE TABLE workload_numbers(number INTEGER PRIMARY KEY, cgroup_id INTEGER NOT NULL,
  cgroup_born_ns INTEGER NOT NULL, netns INTEGER NOT NULL, ifindex INTEGER NOT NULL,
  vanished_ns INTEGER NOT NULL, sum INTEGER NOT NULL);
)";
/// Since schema 3.
constexpr const char* kTriedSchema = R"(
CREATE TABLE tried(object TEXT PRIMARY KEY, failures INTEGER NOT NULL, free_from_ns INTEGER NOT NULL,
  kept_since_ns INTEGER NOT NULL, last TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
)";

/// What a pragma says. Its statement ends here: one that is open keeps transactions from ending.
Result<std::string> one_text(Database& database, std::string_view sql) {
  auto statement = database.prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  auto row = statement->step();
  if (!row) return std::unexpected(row.error());
  return *row ? statement->text(0) : std::string();
}

/// Over the columns that must not change by themselves.
std::int64_t sum_of(std::initializer_list<std::string_view> columns) {
  std::string joined;
  for (const std::string_view column : columns) {
    joined += std::to_string(column.size());
    joined += ':';
    joined += column;
  }
  return static_cast<std::int64_t>(stable_hash(joined));
}

std::unexpected<Error> damaged(std::string_view what) {
  return fail(
      ErrorKind::refused,
      "held.db is damaged (" + std::string(what) +
          "): what is in force on this host is not known, so nothing is applied or undone. "
          "Look at the host (tc qdisc show; tc filter show dev DEVICE ingress), take back by "
          "hand what is Ankus's, in this order: tc filter del dev DEVICE ingress pref 31372; "
          "ip link del ankus-ifbN; before kernel 6.6 tc filter del dev DEVICE egress pref "
          "31372; tc qdisc del dev DEVICE root, where it is 7a8c:; rm -r /sys/fs/bpf/ankus. "
          "Then remove held.db");
}

/// What SQLite could not do with it: mostly somebody else keeps it locked, or something is full.
std::unexpected<Error> unusable(const Error& error) {
  if (error.err == EBADMSG) return damaged(error.text);
  Error now = error;
  now.text = "held.db cannot be used now (" + error.text +
             "), so nothing is applied or undone. It need not be damaged: keep it";
  return std::unexpected(std::move(now));
}

json confirmation_json(const Confirmation& c) {
  return {{"run", c.run},
          {"plan", text_to_json(c.plan)},
          {"deadline_ns", c.deadline.since_boot.count()},
          {"by", text_to_json(c.by)},
          {"on_trial", c.on_trial}};
}

std::string controls_text(const Controls& controls) {
  json object{{"paused", controls.paused}, {"paused_by", text_to_json(controls.paused_by)}};
  object["degraded"] = json::array();
  for (const std::string& what : controls.degraded)
    object["degraded"].push_back(text_to_json(what));
  if (controls.hold) object["hold"] = text_to_json(*controls.hold);
  if (controls.confirmation) object["confirmation"] = confirmation_json(*controls.confirmation);
  if (controls.unjudged)
    object["unjudged"] = {{"run", controls.unjudged->run},
                          {"plan", text_to_json(controls.unjudged->plan)}};
  return line_of(object);
}

/// Only what controls_text() wrote comes here: its checksum has been compared.
Result<Controls> controls_from(const std::string& text) {
  auto object = parse_json(text);
  if (!object || !object->is_object()) return damaged("controls are not JSON");
  Controls controls;
  bool good = true;
  const auto read_text = [&](const json& from) {
    auto read = text_from_json(from, "controls");
    good = good && read.has_value();
    return read.value_or("");
  };
  controls.paused = object->value("paused", false);
  controls.paused_by = read_text((*object)["paused_by"]);
  for (const json& what : (*object)["degraded"]) controls.degraded.push_back(read_text(what));
  if (object->contains("hold")) controls.hold = read_text((*object)["hold"]);
  if (object->contains("confirmation")) {
    json& c = (*object)["confirmation"];
    controls.confirmation =
        Confirmation{.run = c.value("run", RunId{0}),
                     .plan = read_text(c["plan"]),
                     .deadline = {nanoseconds(c.value("deadline_ns", std::int64_t{0}))},
                     .by = read_text(c["by"]),
                     .on_trial = c.value("on_trial", false)};
  }
  if (object->contains("unjudged")) {
    json& u = (*object)["unjudged"];
    controls.unjudged = Unjudged{.run = u.value("run", RunId{0}), .plan = read_text(u["plan"])};
  }
  if (!good) return damaged("controls");
  return controls;
}

std::int64_t step_sum(std::string_view id, std::string_view knob, std::string_view before,
                      std::string_view after, std::string_view reason) {
  return sum_of({id, knob, before, after, reason});
}

std::int64_t vanished_column(const NumberedWorkload& row) {
  return row.vanished ? std::int64_t{row.vanished->since_boot.count()} : kStillThere;
}

std::int64_t number_sum(const NumberedWorkload& row) {
  return sum_of({std::to_string(row.number), std::to_string(row.identity.cgroup_id),
                 std::to_string(row.identity.cgroup_born.count()),
                 std::to_string(row.identity.netns_inode), std::to_string(row.identity.ifindex),
                 std::to_string(vanished_column(row))});
}

std::int64_t kept_since_column(const TriedObject& row) {
  return row.kept_since ? std::int64_t{row.kept_since->since_boot.count()} : kNotKept;
}

std::int64_t tried_sum(const TriedObject& row) {
  return sum_of({row.object, std::to_string(row.failures),
                 std::to_string(row.free_from.since_boot.count()),
                 std::to_string(kept_since_column(row)), row.last});
}

Result<void> sync_directory_of(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/'));
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno("sync " + directory);
  return {};
}

/// Makes the whole file under another name first, so that a held.db that exists is complete: an
/// empty one would be a valid, empty SQLite file, and mean "nothing to undo".
Result<void> create(const std::string& path, const std::string& boot_id) {
  const std::string draft = path + ".new";
  (void)::unlink(draft.c_str());  // left over from a crash in here; mostly there is none
  const UniqueFd fd(
      ::open(draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("make " + draft);
  auto database = Database::open(draft);
  if (!database) return std::unexpected(database.error());
  if (auto r = database->run("PRAGMA page_size=" + std::to_string(kPageSize)); !r) return r;
  const std::string controls = controls_text({});
  Result<void> made = database->atomically([&]() -> Result<void> {
    if (auto r = database->run(kSchema); !r) return r;
    if (auto r = database->run(kNumbersSchema); !r) return r;
    if (auto r = database->run(kTriedSchema); !r) return r;
    if (auto r = database->run("PRAGMA user_version=" + std::to_string(kSchemaVersion)); !r)
      return r;
    if (auto r = database->run("PRAGMA application_id=" + std::to_string(kApplicationId)); !r)
      return r;
    for (const auto& [key, value] :
         {std::pair<std::string_view, std::string_view>{"boot_id", boot_id},
          {"controls", controls},
          {"workload_maps", "0"}})
      if (auto r = database->run_with("INSERT INTO meta VALUES(?,?,?)", key, value,
                                      sum_of({key, value}));
          !r)
        return r;
    return {};
  });
  if (!made) return with_context("make " + draft, made.error());
  database->close();
  if (::fsync(fd.get()) != 0) return fail_errno("sync " + draft);
  if (::rename(draft.c_str(), path.c_str()) != 0) return fail_errno("rename " + draft);
  return sync_directory_of(path);
}

}  // namespace

Result<HeldStore> HeldStore::open(const std::string& path, const std::string& boot_id) {
  HeldStore store;
  struct stat status{};
  const bool exists = ::lstat(path.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) return fail_errno(path);
  if (exists && !S_ISREG(status.st_mode)) return damaged("it is not a regular file");
  if (exists && status.st_size == 0) return damaged("it is empty");
  // SQLite takes a last page that is cut off for one that ends in zeros.
  if (exists && status.st_size % kPageSize != 0) return damaged("it is cut off");
  if (!exists)
    if (auto made = create(path, boot_id); !made) return std::unexpected(made.error());
  auto database = Database::open(path);
  if (!database) return unusable(database.error());
  store.database_ = *std::move(database);
  if (auto good = store.check(path); !good) return std::unexpected(good.error());
  store.age_ = exists ? Age::same_boot : Age::fresh;
  if (auto adopted = store.adopt_boot(boot_id); !adopted) return std::unexpected(adopted.error());
  return store;
}

Result<void> HeldStore::check(const std::string& path) {
  // The file lives in memory (tmpfs); DELETE keeps all of it in one file between transactions.
  if (auto mode = one_text(database_, "PRAGMA journal_mode=DELETE"); !mode)
    return unusable(mode.error());
  if (auto set = database_.run("PRAGMA synchronous=NORMAL"); !set) return unusable(set.error());
  auto application = database_.number("PRAGMA application_id");
  if (!application) return unusable(application.error());
  if (*application != kApplicationId) return damaged("it was not written by Ankus");
  auto version = database_.number("PRAGMA user_version");
  if (!version) return unusable(version.error());
  if (*version > kSchemaVersion)
    return fail(ErrorKind::unsupported,
                path + " has schema " + std::to_string(*version) + ", this version knows up to " +
                    std::to_string(kSchemaVersion) +
                    ": a newer Ankus wrote it; use that one, at least to roll back");
  if (*version < 1) return damaged("schema " + std::to_string(*version));
  auto checked = one_text(database_, "PRAGMA integrity_check(1)");
  if (!checked) return unusable(checked.error());
  if (*checked != "ok") return damaged(*checked);
  if (*version < kSchemaVersion)
    if (auto done = migrate(*version); !done)
      return with_context("bring " + path + " up to date", done.error());
  // Read all once: a bad row is an error now, not in the middle of an undo.
  if (auto r = runs(); !r) return std::unexpected(r.error());
  if (auto r = held(); !r) return std::unexpected(r.error());
  if (auto r = ceded(); !r) return std::unexpected(r.error());
  if (auto r = controls(); !r) return std::unexpected(r.error());
  if (auto r = workload_numbers(); !r) return std::unexpected(r.error());
  if (auto r = tried(); !r) return std::unexpected(r.error());
  return {};
}

/// From schema 1, which knew only which number comes next, or 2, which had no memory of trials.
/// What it holds stays as it is: a host must be able to undo after an upgrade.
Result<void> HeldStore::migrate(std::int64_t version) {
  return database_.atomically([&]() -> Result<void> {
    if (version == 1) {
      if (auto r = database_.run(kNumbersSchema); !r) return r;
      if (auto r = database_.run("DELETE FROM meta WHERE key='next_workload'"); !r) return r;
      const std::string_view key = "workload_maps", none = "0";
      if (auto r =
              database_.run_with("INSERT INTO meta VALUES(?,?,?)", key, none, sum_of({key, none}));
          !r)
        return r;
    }
    if (auto r = database_.run(kTriedSchema); !r) return r;
    return database_.run("PRAGMA user_version=" + std::to_string(kSchemaVersion));
  });
}

Result<void> HeldStore::adopt_boot(const std::string& boot_id) {
  auto written = meta("boot_id");
  if (!written) return std::unexpected(written.error());
  if (*written == boot_id) return {};
  auto held = this->held();
  if (!held) return std::unexpected(held.error());
  auto controls = this->controls();
  if (!controls) return std::unexpected(controls.error());
  age_ = Age::other_boot;
  dropped_ = held->size();
  // Pause and hold are the operator's orders, not the kernel's state: they stay. An opt-out is of a
  // workload that was: its cgroup's number may be another's by now.
  controls->confirmation.reset();
  controls->unjudged.reset();
  controls->degraded.clear();
  return database_.atomically([&]() -> Result<void> {
    if (auto r = database_.run(
            "DELETE FROM steps; DELETE FROM runs; DELETE FROM held; DELETE FROM ceded; "
            "DELETE FROM workload_numbers; DELETE FROM tried; DELETE FROM opted_out");
        !r)
      return r;
    if (auto r = set_meta("workload_maps", "0"); !r) return r;
    if (auto r = set_meta("controls", controls_text(*controls)); !r) return r;
    return set_meta("boot_id", boot_id);
  });
}

Result<std::string> HeldStore::meta(std::string_view key) {
  auto statement = database_.prepare("SELECT value, sum FROM meta WHERE key=?");
  if (!statement) return unusable(statement.error());
  statement->bind(key);
  auto row = statement->step();
  if (!row) return unusable(row.error());
  if (!*row) return damaged("meta has no " + std::string(key));
  std::string value = statement->text(0);
  if (statement->number(1) != sum_of({key, value}))
    return damaged("checksum of " + std::string(key));
  return value;
}

Result<void> HeldStore::set_meta(std::string_view key, std::string_view value) {
  return database_.run_with("UPDATE meta SET value=?, sum=? WHERE key=?", value,
                            sum_of({key, value}), key);
}

Result<RunId> HeldStore::begin(const Intent& intent, BootTime now) {
  RunId run = 0;
  auto begun = database_.atomically([&]() -> Result<void> {
    auto insert = database_.prepare(
        "INSERT INTO runs(plan, purpose, state, by, begun_ns, steps, sum) "
        "VALUES(?,?,'open',?,?,?,?) "
        "RETURNING id");
    if (!insert) return std::unexpected(insert.error());
    const std::string count = std::to_string(intent.steps.size());
    insert->bind(std::string_view(intent.plan), to_text(intent.purpose),
                 std::string_view(intent.by), std::int64_t{now.since_boot.count()},
                 static_cast<std::int64_t>(intent.steps.size()),
                 sum_of({intent.plan, to_text(intent.purpose), intent.by, count}));
    auto row = insert->step();
    if (!row) return std::unexpected(row.error());
    run = insert->number(0);
    if (auto r = insert->run(); !r) return r;

    auto step = database_.prepare("INSERT INTO steps VALUES(?,?,?,?,?,?,?,?,?,?,?)");
    if (!step) return std::unexpected(step.error());
    std::int64_t number = 0;
    for (const RunStep& s : intent.steps) {
      const std::string knob = json_text(s.action.knob), before = json_text(s.action.before),
                        after = json_text(s.action.after);
      step->bind(run, number++, std::string_view(s.id), std::string_view(to_text(s.action.knob)),
                 std::string_view(knob), std::string_view(before), std::string_view(after),
                 std::string_view(s.action.reason), to_text(s.outcome), std::string_view(s.text),
                 step_sum(s.id, knob, before, after, s.action.reason));
      if (auto r = step->run(); !r) return r;
    }
    if (intent.controls)
      return set_meta("controls", controls_text(with_run(*intent.controls, run)));
    return {};
  });
  if (!begun) return std::unexpected(begun.error());
  return run;
}

Result<void> HeldStore::close(const Closing& closing) {
  return database_.atomically([&]() -> Result<void> {
    auto step = database_.prepare("UPDATE steps SET outcome=?, text=? WHERE run=? AND step=?");
    if (!step) return std::unexpected(step.error());
    std::int64_t number = 0;
    for (const RunStep& s : closing.steps) {
      step->bind(to_text(s.outcome), std::string_view(s.text), closing.run, number++);
      if (auto r = step->run(); !r) return r;
    }
    if (auto r = database_.run_with("UPDATE runs SET state=? WHERE id=?", to_text(closing.state),
                                    closing.run);
        !r)
      return r;
    if (auto r = write_change(closing.change); !r) return r;
    if (closing.controls)
      if (auto r = set_meta("controls", controls_text(with_run(*closing.controls, closing.run)));
          !r)
        return r;
    auto controls = this->controls();
    if (!controls) return std::unexpected(controls.error());
    // An undo that fails is tried again and again.
    if (keeps_all_runs(*controls))
      return database_.run(
          "DELETE FROM runs WHERE state<>'open' AND purpose='undo' "
          "AND id NOT IN (SELECT run FROM held) "
          "AND NOT EXISTS (SELECT 1 FROM steps WHERE run=runs.id AND outcome<>'failed');"
          "DELETE FROM steps WHERE run NOT IN (SELECT id FROM runs)");
    // Of a run nothing of which is in force, history keeps what people want to know.
    return database_.run(
        "DELETE FROM runs WHERE state<>'open' AND id NOT IN (SELECT run FROM held);"
        "DELETE FROM steps WHERE run NOT IN (SELECT id FROM runs)");
  });
}

Result<std::vector<Run>> HeldStore::runs() {
  auto statement = database_.prepare(
      "SELECT id, plan, purpose, state, by, begun_ns, steps, sum FROM runs ORDER BY id");
  auto steps = database_.prepare(
      "SELECT step, id, knob, before, after, reason, outcome, text, sum FROM steps WHERE run=? "
      "ORDER BY step");
  if (!statement) return unusable(statement.error());
  if (!steps) return unusable(steps.error());
  std::vector<Run> runs;
  for (;;) {
    auto row = statement->step();
    if (!row) return unusable(row.error());
    if (!*row) return runs;
    Run run{.id = statement->number(0),
            .plan = statement->text(1),
            .by = statement->text(4),
            .begun = {nanoseconds(statement->number(5))}};
    const auto purpose = purpose_from_text(statement->text(2));
    const auto state = run_state_from_text(statement->text(3));
    const std::int64_t count = statement->number(6);
    if (!purpose || !state ||
        statement->number(7) !=
            sum_of({run.plan, to_text(*purpose), run.by, std::to_string(count)}))
      return damaged("run " + std::to_string(run.id));
    run.purpose = *purpose;
    run.state = *state;
    steps->bind(run.id);
    for (;;) {
      auto more = steps->step();
      if (!more) return unusable(more.error());
      if (!*more) break;
      const std::string where =
          "step " + std::to_string(steps->number(0)) + " of run " + std::to_string(run.id);
      const std::string knob = steps->text(2), before = steps->text(3), after = steps->text(4);
      RunStep step{
          .id = steps->text(1), .action = {.reason = steps->text(5)}, .text = steps->text(7)};
      auto read_knob = knob_from_json_text(knob);
      auto read_before = setting_from_json_text(before);
      auto read_after = setting_from_json_text(after);
      const auto outcome = outcome_from_text(steps->text(6));
      if (!read_knob || !read_before || !read_after || !outcome ||
          steps->number(0) != static_cast<std::int64_t>(run.steps.size()) ||
          steps->number(8) != step_sum(step.id, knob, before, after, step.action.reason))
        return damaged(where);
      step.action.knob = *std::move(read_knob);
      step.action.before = *std::move(read_before);
      step.action.after = *std::move(read_after);
      step.outcome = *outcome;
      run.steps.push_back(std::move(step));
    }
    if (count != static_cast<std::int64_t>(run.steps.size()))
      return damaged("run " + std::to_string(run.id) + " lacks steps");
    runs.push_back(std::move(run));
  }
}

Result<std::vector<HeldKnob>> HeldStore::held() {
  auto statement = database_.prepare(
      "SELECT knob, original, written, run, plan, action, reason, since_ns, since_wall_ns, sum "
      "FROM held ORDER BY place");
  if (!statement) return unusable(statement.error());
  std::vector<HeldKnob> held;
  for (;;) {
    auto row = statement->step();
    if (!row) return unusable(row.error());
    if (!*row) return held;
    const std::string knob = statement->text(0), original = statement->text(1),
                      written = statement->text(2);
    HeldKnob h{.run = statement->number(3),
               .plan = statement->text(4),
               .action = statement->text(5),
               .reason = statement->text(6),
               .since = {nanoseconds(statement->number(7))},
               .since_wall = {nanoseconds(statement->number(8))}};
    auto read_knob = knob_from_json_text(knob);
    auto read_original = setting_from_json_text(original);
    auto read_written = setting_from_json_text(written);
    if (!read_knob || !read_original || !read_written ||
        statement->number(9) !=
            sum_of({knob, original, written, std::to_string(h.run), h.plan, h.action, h.reason}))
      return damaged("held knob " + std::to_string(held.size()));
    h.knob = *std::move(read_knob);
    h.original = *std::move(read_original);
    h.written = *std::move(read_written);
    held.push_back(std::move(h));
  }
}

Result<std::vector<CededKnob>> HeldStore::ceded() {
  auto statement = database_.prepare(
      "SELECT knob, found, why, since_ns, until_ns, since_wall_ns, fights FROM ceded "
      "ORDER BY since_ns, knob");
  if (!statement) return unusable(statement.error());
  std::vector<CededKnob> ceded;
  for (;;) {
    auto row = statement->step();
    if (!row) return unusable(row.error());
    if (!*row) return ceded;
    auto knob = knob_from_json_text(statement->text(0));
    if (!knob) return damaged("ceded knob: " + knob.error().text);
    ceded.push_back({.knob = *std::move(knob),
                     .found = statement->text(1),
                     .why = statement->text(2),
                     .since = {nanoseconds(statement->number(3))},
                     .until = {nanoseconds(statement->number(4))},
                     .since_wall = {nanoseconds(statement->number(5))},
                     .fights = static_cast<std::uint32_t>(statement->number(6))});
  }
}

Result<void> HeldStore::change(const HeldChange& change) {
  return database_.atomically([&] { return write_change(change); });
}

Result<void> HeldStore::write_change(const HeldChange& change) {
  auto drop = database_.prepare("DELETE FROM held WHERE knob=?");
  if (!drop) return std::unexpected(drop.error());
  for (const Knob& knob : change.drop) {
    drop->bind(std::string_view(json_text(knob)));
    if (auto r = drop->run(); !r) return r;
  }
  auto hold = database_.prepare(
      "INSERT INTO held(knob, what, original, written, run, plan, action, reason, since_ns, "
      "since_wall_ns, sum) VALUES(?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(knob) DO UPDATE SET "
      "original=excluded.original, written=excluded.written, run=excluded.run, plan=excluded.plan, "
      "action=excluded.action, reason=excluded.reason, since_ns=excluded.since_ns, "
      "since_wall_ns=excluded.since_wall_ns, sum=excluded.sum");
  if (!hold) return std::unexpected(hold.error());
  for (const HeldKnob& h : change.hold) {
    const std::string knob = json_text(h.knob), original = json_text(h.original),
                      written = json_text(h.written);
    hold->bind(
        std::string_view(knob), std::string_view(to_text(h.knob)), std::string_view(original),
        std::string_view(written), h.run, std::string_view(h.plan), std::string_view(h.action),
        std::string_view(h.reason), std::int64_t{h.since.since_boot.count()},
        std::int64_t{h.since_wall.since_epoch.count()},
        sum_of({knob, original, written, std::to_string(h.run), h.plan, h.action, h.reason}));
    if (auto r = hold->run(); !r) return r;
  }
  auto cede = database_.prepare("INSERT OR REPLACE INTO ceded VALUES(?,?,?,?,?,?,?,?)");
  if (!cede) return std::unexpected(cede.error());
  for (const CededKnob& c : change.cede) {
    cede->bind(std::string_view(json_text(c.knob)), std::string_view(to_text(c.knob)),
               std::string_view(c.found), std::string_view(c.why),
               std::int64_t{c.since.since_boot.count()}, std::int64_t{c.until.since_boot.count()},
               std::int64_t{c.since_wall.since_epoch.count()}, std::int64_t{c.fights});
    if (auto r = cede->run(); !r) return r;
  }
  return {};
}

Result<Controls> HeldStore::controls() {
  auto text = meta("controls");
  if (!text) return std::unexpected(text.error());
  return controls_from(*text);
}

Result<void> HeldStore::set_controls(const Controls& controls) {
  return database_.atomically([&] { return set_meta("controls", controls_text(controls)); });
}

Result<std::vector<std::string>> HeldStore::opted_out() {
  auto statement = database_.prepare("SELECT key FROM opted_out ORDER BY key");
  if (!statement) return unusable(statement.error());
  std::vector<std::string> keys;
  for (;;) {
    auto row = statement->step();
    if (!row) return unusable(row.error());
    if (!*row) return keys;
    keys.push_back(statement->text(0));
  }
}

Result<void> HeldStore::set_opted_out(const std::string& key, bool opted_out) {
  return database_.run_with(
      opted_out ? "INSERT OR IGNORE INTO opted_out VALUES(?)" : "DELETE FROM opted_out WHERE key=?",
      std::string_view(key));
}

Result<WorkloadNumbers> HeldStore::workload_numbers() {
  auto maps = meta("workload_maps");
  if (!maps) return std::unexpected(maps.error());
  WorkloadNumbers numbers;
  const auto [end, error] =
      std::from_chars(maps->data(), maps->data() + maps->size(), numbers.maps);
  if (error != std::errc{} || end != maps->data() + maps->size())
    return damaged("the maps of the workload numbers");
  auto statement = database_.prepare(
      "SELECT number, cgroup_id, cgroup_born_ns, netns, ifindex, vanished_ns, sum "
      "FROM workload_numbers ORDER BY number");
  if (!statement) return unusable(statement.error());
  for (;;) {
    auto row = statement->step();
    if (!row) return unusable(row.error());
    if (!*row) return numbers;
    NumberedWorkload numbered{
        .number = static_cast<WorkloadId>(statement->number(0)),
        .identity = {.cgroup_id = static_cast<std::uint64_t>(statement->number(1)),
                     .cgroup_born = nanoseconds(statement->number(2)),
                     .netns_inode = static_cast<std::uint64_t>(statement->number(3)),
                     .ifindex = static_cast<std::uint32_t>(statement->number(4))}};
    if (const std::int64_t vanished = statement->number(5); vanished != kStillThere)
      numbered.vanished = MonotonicTime{nanoseconds(vanished)};
    if (statement->number(6) != number_sum(numbered))
      return damaged("workload number " + std::to_string(numbered.number));
    numbers.rows.push_back(numbered);
  }
}

Result<void> HeldStore::keep_workload_numbers(const WorkloadNumbers& changed) {
  auto kept_for = meta("workload_maps");
  if (!kept_for) return std::unexpected(kept_for.error());
  const std::string maps = std::to_string(changed.maps);
  return database_.atomically([&]() -> Result<void> {
    if (maps != *kept_for) {
      if (auto r = database_.run("DELETE FROM workload_numbers"); !r) return r;
      if (auto r = set_meta("workload_maps", maps); !r) return r;
    }
    auto keep = database_.prepare("INSERT OR REPLACE INTO workload_numbers VALUES(?,?,?,?,?,?,?)");
    if (!keep) return std::unexpected(keep.error());
    for (const NumberedWorkload& row : changed.rows) {
      keep->bind(std::int64_t{row.number}, static_cast<std::int64_t>(row.identity.cgroup_id),
                 std::int64_t{row.identity.cgroup_born.count()},
                 static_cast<std::int64_t>(row.identity.netns_inode),
                 std::int64_t{row.identity.ifindex}, vanished_column(row), number_sum(row));
      if (auto r = keep->run(); !r) return r;
    }
    return {};
  });
}

Result<std::vector<TriedObject>> HeldStore::tried() {
  auto statement = database_.prepare(
      "SELECT object, failures, free_from_ns, kept_since_ns, last, sum FROM tried ORDER BY object");
  if (!statement) return unusable(statement.error());
  std::vector<TriedObject> tried;
  for (;;) {
    auto row = statement->step();
    if (!row) return unusable(row.error());
    if (!*row) return tried;
    TriedObject one{.object = statement->text(0),
                    .failures = static_cast<unsigned>(statement->number(1)),
                    .free_from = {nanoseconds(statement->number(2))},
                    .last = statement->text(4)};
    if (const std::int64_t since = statement->number(3); since != kNotKept)
      one.kept_since = BootTime{nanoseconds(since)};
    if (statement->number(5) != tried_sum(one)) return damaged("tried object " + one.object);
    tried.push_back(std::move(one));
  }
}

Result<void> HeldStore::keep_tried(std::span<const TriedObject> tried) {
  return database_.atomically([&]() -> Result<void> {
    if (auto r = database_.run("DELETE FROM tried"); !r) return r;
    auto keep = database_.prepare("INSERT INTO tried VALUES(?,?,?,?,?,?)");
    if (!keep) return std::unexpected(keep.error());
    for (const TriedObject& one : tried) {
      keep->bind(std::string_view(one.object), std::int64_t{one.failures},
                 std::int64_t{one.free_from.since_boot.count()}, kept_since_column(one),
                 std::string_view(one.last), tried_sum(one));
      if (auto r = keep->run(); !r) return r;
    }
    return {};
  });
}

}  // namespace ankus
