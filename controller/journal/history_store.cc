// SPDX-License-Identifier: Apache-2.0
#include "journal/history_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "base/file.h"

namespace ankus {
namespace {

constexpr std::int64_t kSchemaVersion = 1;
constexpr std::int64_t kApplicationId = 0x416e6b53;  // "AnkS"
constexpr std::size_t kForgetEvery = 1'000;          ///< events

constexpr const char* kSchema = R"(
CREATE TABLE events(number INTEGER PRIMARY KEY AUTOINCREMENT, wall_ns INTEGER NOT NULL,
  boot_ns INTEGER NOT NULL, boot_id TEXT NOT NULL, kind TEXT NOT NULL, plan TEXT NOT NULL,
  action TEXT NOT NULL, text TEXT NOT NULL, json TEXT NOT NULL);
CREATE INDEX events_by_plan ON events(plan);
CREATE INDEX events_by_action ON events(action);
CREATE TABLE footprints(label TEXT PRIMARY KEY, weight TEXT NOT NULL, transmit INTEGER NOT NULL,
  receive INTEGER NOT NULL, packets_per_second REAL NOT NULL, new_flows_per_second REAL NOT NULL,
  elephants INTEGER NOT NULL, elephant_share REAL NOT NULL, reason TEXT NOT NULL,
  seen_wall_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
)";

// The last column, which may be long, and which rows.
constexpr const char* kAll = "'' FROM events WHERE ?1='' ";
/// Of a plan also what became of it when all, or one of its actions, was undone.
constexpr const char* kOfOne =
    "CASE number WHEN (SELECT max(number) FROM events WHERE plan=?1 AND json<>'') THEN json "
    "ELSE '' END FROM events WHERE plan=?1 OR action=?1 OR plan='undo of '||?1 "
    "OR (plan GLOB 'undo of a*' AND action<>'' "
    "AND action IN (SELECT action FROM events WHERE plan=?1) "
    "AND number > (SELECT min(number) FROM events WHERE plan=?1)) ";

/// Here and not in SQLite, for the mode; that of its -wal and -shm files follows. The descriptor
/// ends before SQLite opens the file: closing it would drop SQLite's own locks (fcntl(2)), and the
/// next reader who goes would take the -wal file with him, with all that is written from then on.
Result<void> make_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("open " + path);
  return {};
}

}  // namespace

template <class T>
Result<T> HistoryStore::noted(Result<T> result) {
  if (result)
    problem_.reset();
  else
    problem_ = result.error().text;
  return result;
}

Result<void> HistoryStore::ready() {
  // The directory may have been removed or replaced under the open file; what is written to a file
  // without a name is lost.
  if (database_ && ::access((directory_ + "/history.db").c_str(), F_OK) != 0) database_.close();
  if (database_) return {};
  auto opened = open();
  if (!opened) database_.close();
  return opened;
}

Result<void> HistoryStore::open() {
  if (::mkdir(directory_.c_str(), 0750) != 0 && errno != EEXIST)
    return fail_errno("make " + directory_);
  const std::string path = real_path(directory_) + "/history.db";
  if (auto made = make_file(path); !made) return made;
  auto database = Database::open(path);
  if (!database) return std::unexpected(database.error());
  database_ = *std::move(database);
  auto version = database_.number("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  auto application = database_.number("PRAGMA application_id");
  if (!application) return std::unexpected(application.error());
  if (*version > kSchemaVersion && *application == kApplicationId)
    return fail(ErrorKind::unsupported,
                path + " has schema " + std::to_string(*version) + ", this version knows up to " +
                    std::to_string(kSchemaVersion) +
                    ": a newer Ankus wrote it; use that one, or move the file away");
  auto tables = database_.number("SELECT count(*) FROM sqlite_master");
  if (!tables) return std::unexpected(tables.error());
  if (*tables > 0 && (*application != kApplicationId || *version != kSchemaVersion))
    return fail(ErrorKind::refused, path + " was not written by Ankus: move it away");
  if (auto set = database_.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"); !set)
    return set;
  return database_.atomically([&]() -> Result<void> {
    if (*tables == 0) {
      if (auto r = database_.run(kSchema); !r) return r;
      if (auto r = database_.run("PRAGMA user_version=" + std::to_string(kSchemaVersion) +
                                 "; PRAGMA application_id=" + std::to_string(kApplicationId));
          !r)
        return r;
    }
    if (auto r = database_.run_with("INSERT OR REPLACE INTO meta VALUES('boot_id',?)",
                                    std::string_view(boot_id_));
        !r)
      return r;
    if (auto r = forget_old_events(); !r) return r;
    if (auto r = forget_old_details(); !r) return r;
    return forget_old_footprints();
  });
}

Result<void> HistoryStore::forget_old_events() {
  recorded_ = 0;
  return database_.run_with(
      "DELETE FROM events WHERE number <= (SELECT max(number) FROM events) - ?", most_.events);
}

/// Of all that came before: once, since it reads the whole table.
Result<void> HistoryStore::forget_old_details() {
  return database_.run_with(
      "UPDATE events SET json='' WHERE json<>'' AND number <= "
      "(SELECT number FROM events WHERE json<>'' ORDER BY number DESC LIMIT 1 OFFSET ?)",
      most_.details);
}

/// Of the one that is too many now.
Result<void> HistoryStore::forget_oldest_details() {
  return database_.run_with(
      "UPDATE events SET json='' WHERE number = "
      "(SELECT number FROM events WHERE json<>'' ORDER BY number DESC LIMIT 1 OFFSET ?)",
      most_.details);
}

Result<void> HistoryStore::forget_old_footprints() {
  return database_.run_with(
      "DELETE FROM footprints WHERE label NOT IN "
      "(SELECT label FROM footprints ORDER BY seen_wall_ns DESC LIMIT ?)",
      most_.footprints);
}

std::optional<std::string> HistoryStore::problem() {
  const bool was_open = static_cast<bool>(database_);
  if (auto r = ready(); !r)
    problem_ = r.error().text;
  else if (!was_open)
    problem_.reset();  // else the last use decides: the disk may still be full
  return problem_;
}

Result<void> HistoryStore::record(std::span<const Event> events, WallTime wall, BootTime boot) {
  if (events.empty()) return {};  // and nothing is learnt of whether it can be written
  if (auto r = ready(); !r) return noted(std::move(r));
  return noted(database_.atomically([&]() -> Result<void> {
    auto insert = database_.prepare(
        "INSERT INTO events(wall_ns, boot_ns, boot_id, kind, plan, action, text, json) "
        "VALUES(?,?,?,?,?,?,?,?)");
    if (!insert) return std::unexpected(insert.error());
    for (const Event& e : events) {
      insert->bind(std::int64_t{wall.since_epoch.count()}, std::int64_t{boot.since_boot.count()},
                   std::string_view(boot_id_), std::string_view(e.kind), std::string_view(e.plan),
                   std::string_view(e.action), std::string_view(e.text), std::string_view(e.json));
      if (auto r = insert->run(); !r) return r;
      if (e.json.empty()) continue;
      if (auto r = forget_oldest_details(); !r) return r;
    }
    recorded_ += events.size();
    return recorded_ < kForgetEvery ? Result<void>() : forget_old_events();
  }));
}

Result<std::vector<PastEvent>> HistoryStore::events(std::size_t limit, const std::string& id) {
  using Events = Result<std::vector<PastEvent>>;
  if (auto r = ready(); !r) return noted(Events(std::unexpected(r.error())));
  auto select = database_.prepare(
      std::string("SELECT number, wall_ns, boot_ns, boot_id, kind, plan, action, text, ") +
      (id.empty() ? kAll : kOfOne) + "ORDER BY number DESC LIMIT ?2");
  if (!select) return noted(Events(std::unexpected(select.error())));
  constexpr std::size_t kMost = std::numeric_limits<std::int64_t>::max();
  select->bind(std::string_view(id), static_cast<std::int64_t>(std::min(limit, kMost)));
  std::vector<PastEvent> events;
  for (;;) {
    auto row = select->step();
    if (!row) return noted(Events(std::unexpected(row.error())));
    if (!*row) break;
    events.push_back({.number = select->number(0),
                      .time = {nanoseconds(select->number(1))},
                      .boot_time = {nanoseconds(select->number(2))},
                      .boot_id = select->text(3),
                      .event = {.kind = select->text(4),
                                .plan = select->text(5),
                                .action = select->text(6),
                                .text = select->text(7),
                                .json = select->text(8)}});
  }
  std::ranges::reverse(events);
  return events;
}

Result<void> HistoryStore::remember(std::span<const std::pair<std::string, Footprint>> footprints,
                                    WallTime wall) {
  if (footprints.empty()) return {};
  if (auto r = ready(); !r) return noted(std::move(r));
  return noted(database_.atomically([&]() -> Result<void> {
    auto insert =
        database_.prepare("INSERT OR REPLACE INTO footprints VALUES(?,?,?,?,?,?,?,?,?,?)");
    if (!insert) return std::unexpected(insert.error());
    for (const auto& [label, f] : footprints) {
      insert->bind(std::string_view(label), to_text(f.weight),
                   static_cast<std::int64_t>(f.transmit.bits_per_second),
                   static_cast<std::int64_t>(f.receive.bits_per_second), f.packets_per_second,
                   f.new_flows_per_second, std::int64_t{f.elephants}, f.elephant_share.of_one,
                   std::string_view(f.reason), std::int64_t{wall.since_epoch.count()});
      if (auto r = insert->run(); !r) return r;
    }
    return forget_old_footprints();
  }));
}

Result<std::vector<std::pair<std::string, Footprint>>> HistoryStore::footprints() {
  using Footprints = Result<std::vector<std::pair<std::string, Footprint>>>;
  if (auto r = ready(); !r) return noted(Footprints(std::unexpected(r.error())));
  auto select = database_.prepare(
      "SELECT label, weight, transmit, receive, packets_per_second, new_flows_per_second, "
      "elephants, elephant_share, reason FROM footprints ORDER BY label");
  if (!select) return noted(Footprints(std::unexpected(select.error())));
  std::vector<std::pair<std::string, Footprint>> footprints;
  for (;;) {
    auto row = select->step();
    if (!row) return noted(Footprints(std::unexpected(row.error())));
    if (!*row) return footprints;
    const auto weight = weight_from_text(select->text(1));
    if (!weight) continue;  // a word of another version: that label is learnt anew
    footprints.emplace_back(select->text(0),
                            Footprint{.weight = *weight,
                                      .transmit = {static_cast<std::uint64_t>(select->number(2))},
                                      .receive = {static_cast<std::uint64_t>(select->number(3))},
                                      .packets_per_second = select->real(4),
                                      .new_flows_per_second = select->real(5),
                                      .elephants = static_cast<std::uint32_t>(select->number(6)),
                                      .elephant_share = {select->real(7)},
                                      .learnt = true,
                                      .reason = select->text(8)});
  }
}

}  // namespace ankus
