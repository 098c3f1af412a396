// SPDX-License-Identifier: Apache-2.0
#include "daemon/footprint_memory.h"

namespace ankus {

FootprintMemory::FootprintMemory(const std::map<std::string, Weight>& learnt, std::size_t most)
    : most_(most) {
  for (const auto& [label, weight] : learnt) keep(label, weight);
}

void FootprintMemory::keep(const std::string& label, Weight weight) {
  if (const auto known = by_label_.find(label); known != by_label_.end()) {
    known->second->second = weight;
    rows_.splice(rows_.begin(), rows_, known->second);
    return;
  }
  rows_.emplace_front(label, weight);
  by_label_.emplace(rows_.front().first, rows_.begin());
  if (rows_.size() <= most_) return;
  by_label_.erase(rows_.back().first);
  rows_.pop_back();
}

std::optional<Weight> FootprintMemory::find(std::string_view label) const {
  const auto known = by_label_.find(label);
  return known == by_label_.end() ? std::nullopt : std::optional(known->second->second);
}

}  // namespace ankus
