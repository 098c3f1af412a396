// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "journal/held_store.h"
#include "journal/history_store.h"
#include "journal/journal.h"
#include "journal/writer_lock.h"

namespace ankus {

/// Where a journal lives. The runtime directory must live exactly as long as the kernel's state.
struct JournalPlace {
  std::string runtime_dir = "/run/ankus";
  std::string state_dir = "/var/lib/ankus";
  std::string boot_id;  ///< of /proc/sys/kernel/random/boot_id
};

/// The journal in two SQLite files (docs/journal.md).
class SqliteJournal final : public Journal {
 public:
  /// Takes the writer's lock. Fails if held.db cannot be used; a history that cannot is only noted.
  static Result<std::unique_ptr<SqliteJournal>> open(const JournalPlace& place, const Clock& clock);

  Result<RunId> begin(const Intent& intent) override;
  Result<void> close(const Closing& closing) override;
  Result<std::vector<Run>> runs() override { return held_.runs(); }
  Result<std::vector<HeldKnob>> held() override { return held_.held(); }
  Result<std::vector<CededKnob>> ceded() override { return held_.ceded(); }
  Result<void> change_held(const HeldChange& change) override { return held_.change(change); }
  Result<Controls> controls() override { return held_.controls(); }
  Result<void> set_controls(const Controls& controls) override {
    return held_.set_controls(controls);
  }
  Result<std::vector<std::string>> opted_out() override { return held_.opted_out(); }
  Result<void> set_opted_out(const std::string& key, bool opted_out) override {
    return held_.set_opted_out(key, opted_out);
  }
  Result<WorkloadNumbers> workload_numbers() override { return held_.workload_numbers(); }
  Result<void> keep_workload_numbers(const WorkloadNumbers& changed) override {
    return held_.keep_workload_numbers(changed);
  }
  Result<std::vector<TriedObject>> tried() override { return held_.tried(); }
  Result<void> keep_tried(std::span<const TriedObject> tried) override {
    return held_.keep_tried(tried);
  }

  Result<void> record(std::span<const Event> events) override;
  std::optional<std::string> history_problem() override { return history_.problem(); }
  Result<std::vector<PastEvent>> events(std::size_t limit, const std::string& id) override {
    return history_.events(limit, id);
  }
  Result<void> remember(std::span<const std::pair<std::string, Footprint>> footprints) override;
  Result<std::vector<std::pair<std::string, Footprint>>> footprints() override {
    return history_.footprints();
  }

 private:
  SqliteJournal(WriterLock lock, HeldStore held, HistoryStore history, const Clock& clock)
      : lock_(std::move(lock)),
        held_(std::move(held)),
        history_(std::move(history)),
        clock_(clock) {}

  WriterLock lock_;
  HeldStore held_;
  HistoryStore history_;
  const Clock& clock_;
};

/// /proc/sys/kernel/random/boot_id without its newline.
Result<std::string> read_boot_id();

}  // namespace ankus
