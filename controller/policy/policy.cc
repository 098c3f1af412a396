// SPDX-License-Identifier: Apache-2.0
#include "policy/policy.h"

#include <iterator>

#include "base/text.h"

namespace ankus {
namespace {

constexpr std::string_view kModes[] = {"observe", "advise", "enforce"};

}  // namespace

std::string_view to_text(Mode mode) { return kModes[static_cast<std::size_t>(mode)]; }

std::optional<Mode> mode_from_text(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kModes); ++i)
    if (kModes[i] == text) return static_cast<Mode>(i);
  return std::nullopt;
}

bool matches(const Match& match, const Workload& workload, Weight flow) {
  return (!match.footprint || *match.footprint == flow) &&
         (!match.kind || *match.kind == workload.kind) &&
         (match.name.empty() || glob_match(match.name, workload.name)) &&
         (match.label.empty() || glob_match(match.label, workload.label));
}

bool matches_nobody(const Match& match, Weight flow) {
  return (!match.footprint || *match.footprint == flow) && !match.kind && match.name.empty() &&
         match.label.empty();
}

}  // namespace ankus
