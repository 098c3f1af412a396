// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "journal/journal.h"
#include "journal/sqlite.h"

namespace ankus {

/// The file held.db: what is in force and how to take it back. Each row carries a checksum, so
/// that damage is an error and never a missing or a wrong undo.
class HeldStore {
 public:
  enum class Age { fresh, same_boot, other_boot };

  /// Opens or makes the file. One that was written under another boot id describes a kernel that
  /// is gone: what it holds is dropped, the operator's orders stay.
  static Result<HeldStore> open(const std::string& path, const std::string& boot_id);

  Age age() const { return age_; }
  std::size_t dropped() const { return dropped_; }  ///< how many knobs the other boot held

  Result<RunId> begin(const Intent& intent, BootTime now);
  Result<void> close(const Closing& closing);
  Result<std::vector<Run>> runs();
  Result<std::vector<HeldKnob>> held();
  Result<std::vector<CededKnob>> ceded();
  Result<void> change(const HeldChange& change);
  Result<Controls> controls();
  Result<void> set_controls(const Controls& controls);
  Result<std::vector<std::string>> opted_out();
  Result<void> set_opted_out(const std::string& key, bool opted_out);
  Result<WorkloadNumbers> workload_numbers();
  Result<void> keep_workload_numbers(const WorkloadNumbers& changed);
  Result<std::vector<TriedObject>> tried();
  Result<void> keep_tried(std::span<const TriedObject> tried);

 private:
  Result<void> check(const std::string& path);
  Result<void> migrate(std::int64_t version);
  Result<void> adopt_boot(const std::string& boot_id);
  Result<void> write_change(const HeldChange& change);
  Result<std::string> meta(std::string_view key);
  Result<void> set_meta(std::string_view key, std::string_view value);

  Database database_;
  Age age_ = Age::fresh;
  std::size_t dropped_ = 0;
};

}  // namespace ankus
