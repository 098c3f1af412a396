// SPDX-License-Identifier: Apache-2.0
#include "journal/sqlite_journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/file.h"
#include "base/text.h"

namespace ankus {

Result<std::string> read_boot_id() {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  const UniqueFd fd(::open(kPath, O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t got = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
  if (got <= 0) return fail_errno(kPath);
  return std::string(trim(std::string_view(text.data(), static_cast<std::size_t>(got))));
}

Result<std::unique_ptr<SqliteJournal>> SqliteJournal::open(const JournalPlace& place,
                                                           const Clock& clock) {
  if (place.boot_id.empty()) return fail(ErrorKind::invalid, "the journal needs a boot id");
  if (::mkdir(place.runtime_dir.c_str(), 0750) != 0 && errno != EEXIST)
    return fail_errno("make " + place.runtime_dir);
  const std::string runtime_dir = real_path(place.runtime_dir);
  auto lock = WriterLock::take(runtime_dir);
  if (!lock) return std::unexpected(lock.error());
  auto held = HeldStore::open(runtime_dir + "/held.db", place.boot_id);
  if (!held) return std::unexpected(held.error());
  const bool other_boot = held->age() == HeldStore::Age::other_boot;
  const std::size_t dropped = held->dropped();
  std::unique_ptr<SqliteJournal> journal(new SqliteJournal(
      *std::move(lock), *std::move(held), HistoryStore(place.state_dir, place.boot_id), clock));
  if (other_boot) {
    const Event event{.kind = "start",
                      .text = "the host was restarted: the kernel has forgotten " +
                              std::to_string(dropped) + " settings that were held"};
    (void)journal->record({&event, 1});  // history may fail; history_problem() says so
  }
  return journal;
}

Result<RunId> SqliteJournal::begin(const Intent& intent) {
  return held_.begin(intent, clock_.boot());
}

Result<void> SqliteJournal::close(const Closing& closing) { return held_.close(closing); }

Result<void> SqliteJournal::record(std::span<const Event> events) {
  return history_.record(events, clock_.wall(), clock_.boot());
}

Result<void> SqliteJournal::remember(
    std::span<const std::pair<std::string, Footprint>> footprints) {
  return history_.remember(footprints, clock_.wall());
}

}  // namespace ankus
