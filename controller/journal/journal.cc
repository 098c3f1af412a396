// SPDX-License-Identifier: Apache-2.0
#include "journal/journal.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace ankus {
namespace {

constexpr std::array<std::string_view, 2> kPurposes{"apply", "undo"};
constexpr std::array<std::string_view, 7> kOutcomes{"pending", "done", "skipped", "failed",
                                                    "undone",  "gone", "ceded"};
constexpr std::array<std::string_view, 3> kRunStates{"open", "done", "undone"};

template <class Enum, std::size_t n>
std::optional<Enum> from_text(const std::array<std::string_view, n>& names, std::string_view text) {
  const auto found = std::ranges::find(names, text);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(std::distance(names.begin(), found));
}

}  // namespace

std::string_view to_text(Purpose purpose) { return kPurposes[static_cast<std::size_t>(purpose)]; }
std::optional<Purpose> purpose_from_text(std::string_view text) {
  return from_text<Purpose>(kPurposes, text);
}

std::string_view to_text(Outcome outcome) { return kOutcomes[static_cast<std::size_t>(outcome)]; }
std::optional<Outcome> outcome_from_text(std::string_view text) {
  return from_text<Outcome>(kOutcomes, text);
}

std::string_view to_text(RunState state) { return kRunStates[static_cast<std::size_t>(state)]; }
std::optional<RunState> run_state_from_text(std::string_view text) {
  return from_text<RunState>(kRunStates, text);
}

bool keeps_all_runs(const Controls& controls) { return controls.confirmation || controls.unjudged; }

Controls with_run(Controls controls, RunId run) {
  if (controls.confirmation && controls.confirmation->run == 0) controls.confirmation->run = run;
  if (controls.unjudged && controls.unjudged->run == 0) controls.unjudged->run = run;
  return controls;
}

}  // namespace ankus
