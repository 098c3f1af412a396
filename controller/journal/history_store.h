// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "journal/journal.h"
#include "journal/sqlite.h"

namespace ankus {

/// The file history.db: what people may want to know later, and footprints by label. It may be
/// missing, full, read-only or damaged: then it says so, and is tried anew at each use.
class HistoryStore {
 public:
  HistoryStore(std::string directory, std::string boot_id)
      : directory_(std::move(directory)), boot_id_(std::move(boot_id)) {}

  Result<void> record(std::span<const Event> events, WallTime wall, BootTime boot);
  Result<std::vector<PastEvent>> events(std::size_t limit, const std::string& id);
  Result<void> remember(std::span<const std::pair<std::string, Footprint>> footprints,
                        WallTime wall);
  Result<std::vector<std::pair<std::string, Footprint>>> footprints();
  std::optional<std::string> problem();

 private:
  Result<void> ready();
  Result<void> open();
  template <class T>
  Result<T> noted(Result<T> result);

  std::string directory_, boot_id_;
  Database database_;
  std::optional<std::string> problem_;
};

}  // namespace ankus
