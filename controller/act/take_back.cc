// SPDX-License-Identifier: Apache-2.0
#include "act/take_back.h"

#include <algorithm>
#include <map>

#include "act/steps.h"

namespace ankus {
namespace {

bool is_live(const RunStep& step) {
  return step.outcome == Outcome::pending || step.outcome == Outcome::done;
}

/// One knob of the plan: all that the plan does with it, and what it is now.
struct Chain {
  std::vector<std::size_t> steps;
  Result<Setting> found;
  bool acknowledged = false;
  Setting now;  ///< as far as we know it
};

bool is_one_of_ours(const Chain& chain, const std::vector<RunStep>& steps) {
  return std::ranges::any_of(chain.steps, [&](std::size_t i) {
    return reads_as(chain.found, steps[i].action.before) ||
           reads_as(chain.found, steps[i].action.after);
  });
}

std::map<Knob, Chain> chains_of(Actuator& actuator, const std::vector<RunStep>& steps,
                                const std::set<std::size_t>& acknowledged) {
  std::map<Knob, Chain> chains;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!is_live(steps[i])) continue;
    Chain& chain = chains[steps[i].action.knob];
    chain.steps.push_back(i);
    if (!acknowledged.contains(i)) continue;
    chain.acknowledged = true;
    chain.now = steps[i].action.after;
  }
  std::vector<Knob> knobs;
  for (const auto& [knob, chain] : chains) knobs.push_back(knob);
  for (auto& [knob, found] : read_knobs(actuator, knobs)) chains[knob].found = found;
  return chains;
}

}  // namespace

CededKnob cede(const Knob& knob, const Result<Setting>& found, std::string why,
               std::span<const CededKnob> before, const Clock& clock) {
  CededKnob ceded{.knob = knob,
                  .found = to_text(found),
                  .why = std::move(why),
                  .since = clock.boot(),
                  .since_wall = clock.wall()};
  const auto last = std::ranges::find(before, knob, &CededKnob::knob);
  if (last != before.end() && ceded.since - last->since < kYieldFor)
    ceded.fights = last->fights + 1;
  ceded.until = ceded.since + (ceded.fights >= 3 ? kYieldFor : kCedeFor);
  return ceded;
}

TakenBack take_back(Actuator& actuator, std::vector<RunStep>& steps,
                    const std::set<std::size_t>& acknowledged, std::span<const HeldKnob> held,
                    std::span<const CededKnob> ceded, const Clock& clock) {
  std::map<Knob, Chain> chains = chains_of(actuator, steps, acknowledged);
  std::set<Knob> lost;  // to somebody else
  std::map<Knob, Setting> in_place;
  for (auto& [knob, chain] : chains) {
    const bool foreign = chain.found && std::holds_alternative<Foreign>(*chain.found);
    const bool ours = is_one_of_ours(chain, steps);
    if (ours) chain.now = chain.found.value_or(Absent{});
    if (foreign || (chain.found && !ours && !chain.acknowledged))
      lost.insert(knob);
    else
      in_place.emplace(knob, chain.now);
  }
  std::map<Knob, Setting> with_lost = in_place;
  for (const Knob& knob : lost)
    with_lost.emplace(knob, steps[chains[knob].steps.back()].action.after);
  const std::set<Knob> left = with_foundations(lost, with_lost);

  std::vector<Action> actions;
  for (std::size_t i = steps.size(); i-- > 0;) {
    if (!is_live(steps[i])) continue;
    const Action& action = steps[i].action;
    Chain& chain = chains[action.knob];
    const bool unreadable = !chain.found && !is_gone(chain.found) && !chain.acknowledged;
    if (left.contains(action.knob) || is_gone(chain.found) || unreadable) continue;
    if (same_setting(chain.now, action.before)) continue;
    const bool accepted_as_other = chain.acknowledged && acknowledged.contains(i);
    if (!same_setting(chain.now, action.after) && !accepted_as_other) continue;
    Action inverted = inverse(action);
    inverted.after = actuator.as_kept(action.knob, restorable(inverted.after));
    chain.now = action.before;
    actions.push_back(std::move(inverted));
  }
  const std::vector<Result<void>> written = write_each(actuator, actions);

  TakenBack result;
  std::vector<Knob> knobs;
  for (const auto& [knob, chain] : chains) knobs.push_back(knob);
  const Readings after = read_knobs(actuator, knobs);
  for (const auto& [knob, chain] : chains) {
    const Result<Setting>& found = after.at(knob);
    const Action& first = steps[chain.steps.front()].action;
    Outcome outcome = Outcome::undone;
    std::string text;
    if (lost.contains(knob)) {
      outcome = Outcome::ceded;
      text = "somebody else has set it to: " + to_text(found);
      result.change.drop.push_back(knob);
      result.change.cede.push_back(
          cede(knob, found, "changed while a plan was taken back", ceded, clock));
    } else if (is_gone(found)) {
      outcome = reads_as(found, first.before) ? Outcome::undone : Outcome::gone;
      if (find_held(held, knob) != nullptr) result.change.drop.push_back(knob);
    } else if (!reads_as(found, restorable(first.before)) &&
               !reads_as(found, actuator.as_kept(knob, first.before))) {
      outcome = left.contains(knob) ? Outcome::ceded : Outcome::failed;
      text = left.contains(knob) ? "stays, because what needs it is somebody else's by now"
                                 : "could not be taken back: it is " + to_text(found);
      for (std::size_t i = 0; i < actions.size(); ++i)
        if (actions[i].knob == knob && !written[i]) text += "; " + written[i].error().text;
      if (outcome == Outcome::failed) result.degraded.push_back(to_text(knob));
      // Held from now on, so that an undo later can still take it back.
      const RunStep& last = steps[chain.steps.back()];
      HeldKnob hold{.knob = knob,
                    .original = first.before,
                    .written = found.value_or(last.action.after),
                    .action = last.id,
                    .reason = last.action.reason,
                    .since = clock.boot(),
                    .since_wall = clock.wall()};
      if (const HeldKnob* known = find_held(held, knob)) hold.original = known->original;
      result.change.hold.push_back(std::move(hold));
    }
    for (const std::size_t i : chain.steps) {
      steps[i].outcome = outcome;
      if (!text.empty()) steps[i].text = text;
    }
  }
  return result;
}

}  // namespace ankus
