// SPDX-License-Identifier: Apache-2.0
#include "act/steps.h"

#include <algorithm>
#include <cassert>

#include "model/dependency.h"

namespace ankus {

Readings read_knobs(Actuator& actuator, std::span<const Knob> knobs) {
  std::vector<Result<Setting>> found = actuator.read(knobs);
  Readings readings;
  for (std::size_t i = 0; i < knobs.size(); ++i)
    readings.emplace(knobs[i], i < found.size()
                                   ? std::move(found[i])
                                   : Result<Setting>(fail(ErrorKind::refused, "was not read")));
  return readings;
}

std::vector<Knob> knobs_of(std::span<const RunStep> steps) {
  std::set<Knob> seen;
  std::vector<Knob> knobs;
  for (const RunStep& step : steps)
    if (seen.insert(step.action.knob).second) knobs.push_back(step.action.knob);
  return knobs;
}

const HeldKnob* find_held(std::span<const HeldKnob> held, const Knob& knob) {
  const auto found = std::ranges::find(held, knob, &HeldKnob::knob);
  return found == held.end() ? nullptr : &*found;
}

bool is_gone(const Result<Setting>& found) {
  return !found && found.error().kind == ErrorKind::gone;
}

bool reads_as(const Result<Setting>& found, const Setting& expected) {
  if (found) return same_setting(*found, expected);
  return is_gone(found) && std::holds_alternative<Absent>(expected);
}

bool gives_back(std::span<const HeldKnob> held, const Action& action) {
  const HeldKnob* h = find_held(held, action.knob);
  return h != nullptr && same_setting(h->original, action.after);
}

std::string to_text(const Result<Setting>& found) {
  return found ? to_text(*found) : found.error().text;
}

Setting restorable(const Setting& setting) {
  const auto* members = std::get_if<Members>(&setting);
  return members != nullptr && members->digest != 0 ? Setting(Members{}) : setting;
}

std::vector<Result<void>> write_each(Actuator& actuator, std::span<const Action> actions) {
  std::vector<Result<void>> outcomes;
  while (outcomes.size() < actions.size()) {
    auto tried = actuator.write(actions.subspan(outcomes.size()));
    if (tried.empty()) tried.push_back(fail(ErrorKind::refused, "was not tried"));
    for (Result<void>& outcome : tried) {
      // Nothing is left to take back where the object is gone.
      if (!outcome && outcome.error().kind == ErrorKind::gone) outcome = {};
      outcomes.push_back(std::move(outcome));
    }
  }
  return outcomes;
}

std::set<Knob> with_foundations(std::set<Knob> left, const std::map<Knob, Setting>& knobs) {
  for (bool again = !left.empty(); again;) {
    again = false;
    for (const auto& [knob, setting] : knobs) {
      if (left.contains(knob)) continue;
      const bool stays =
          std::ranges::any_of(left, [&, &knob = knob, &setting = setting](const Knob& l) {
            const auto in_place = knobs.find(l);
            const bool same_tree = !tree_of(l).empty() && tree_of(l) == tree_of(knob) &&
                                   *device_of(l) == *device_of(knob);
            return same_tree ||
                   (in_place != knobs.end() && depends_on({l, in_place->second}, {knob, setting}));
          });
      if (stays) again = left.insert(knob).second || again;
    }
  }
  return left;
}

std::vector<Event> events_of(const std::string& plan, std::span<const RunStep> steps) {
  std::vector<Event> events;
  for (const RunStep& step : steps)
    events.push_back(
        {.kind = step.outcome == Outcome::pending ? "intent" : std::string(to_text(step.outcome)),
         .plan = plan,
         .action = step.id,
         .text = to_text(step.action.knob) + ": " + to_text(step.action.before) + " -> " +
                 to_text(step.action.after) + (step.text.empty() ? "" : " (" + step.text + ")")});
  return events;
}

}  // namespace ankus
