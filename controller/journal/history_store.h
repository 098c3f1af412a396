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

/// What is kept, the newest of each.
struct HistoryLimits {
  /// At some 300 bytes each this is about 60 MB, and months of a busy host.
  std::int64_t events = 200'000;
  /// Events with details, which are verdicts: some 25 KB for each light workload that was judged.
  std::int64_t details = 200;
  std::int64_t footprints = 10'000;
};

/// The file history.db: what people may want to know later, and footprints by label. It may be
/// missing, full, read-only or damaged: then it says so, and is tried anew at each use.
class HistoryStore {
 public:
  HistoryStore(std::string directory, std::string boot_id, HistoryLimits most = {})
      : directory_(std::move(directory)), boot_id_(std::move(boot_id)), most_(most) {}

  Result<void> record(std::span<const Event> events, WallTime wall, BootTime boot);
  Result<std::vector<PastEvent>> events(std::size_t limit, const std::string& id);
  Result<void> remember(std::span<const std::pair<std::string, Footprint>> footprints,
                        WallTime wall);
  Result<std::vector<std::pair<std::string, Footprint>>> footprints();
  std::optional<std::string> problem();

 private:
  Result<void> ready();
  Result<void> open();
  Result<void> forget_old_events();
  Result<void> forget_old_details();
  Result<void> forget_oldest_details();
  Result<void> forget_old_footprints();
  template <class T>
  Result<T> noted(Result<T> result);

  std::string directory_, boot_id_;
  HistoryLimits most_;
  std::size_t recorded_ = 0;  ///< events since old ones were forgotten
  Database database_;
  std::optional<std::string> problem_;
};

}  // namespace ankus
