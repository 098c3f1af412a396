// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "journal/history_store.h"
#include "model/footprint.h"

namespace ankus {

/// Weights by label. Labels are in the tenants' hands (a program's name is part of some), so only
/// as many are kept as history keeps: those that were seen last.
class FootprintMemory {
 public:
  /// `learnt`: of earlier runs, all of them older than whatever is seen from now on.
  explicit FootprintMemory(const std::map<std::string, Weight>& learnt = {},
                           std::size_t most = HistoryLimits{}.footprints);
  FootprintMemory(const FootprintMemory&) = delete;  // by_label_ points into rows_
  FootprintMemory& operator=(const FootprintMemory&) = delete;

  /// The label is seen now.
  void keep(const std::string& label, Weight weight);
  std::optional<Weight> find(std::string_view label) const;
  std::size_t size() const { return by_label_.size(); }

 private:
  using Rows = std::list<std::pair<std::string, Weight>>;
  Rows rows_;  ///< the one seen last in front
  std::map<std::string_view, Rows::iterator> by_label_;
  std::size_t most_;
};

}  // namespace ankus
