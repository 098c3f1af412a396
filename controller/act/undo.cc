// SPDX-License-Identifier: Apache-2.0
#include "act/undo.h"

#include <algorithm>
#include <map>
#include <set>

#include "act/recover.h"
#include "act/steps.h"
#include "act/take_back.h"
#include "model/dependency.h"

namespace ankus {
namespace {

const HeldKnob* find_held(std::span<const HeldKnob> held, const Knob& knob) {
  const auto found = std::ranges::find(held, knob, &HeldKnob::knob);
  return found == held.end() ? nullptr : &*found;
}

RunStep step_of(const HeldKnob& held, Setting goal) {
  return {.id = held.action,
          .action = {.knob = held.knob,
                     .before = held.written,
                     .after = std::move(goal),
                     .reason = "undo; was set for: " + held.reason}};
}

/// What hangs on something that will be absent will be absent as well.
void let_fall(std::vector<RunStep>& steps) {
  for (bool again = true; again;) {
    again = false;
    for (RunStep& a : steps) {
      if (std::holds_alternative<Absent>(a.action.after)) continue;
      const bool falls = std::ranges::any_of(steps, [&](const RunStep& b) {
        return std::holds_alternative<Absent>(b.action.after) &&
               depends_on({a.action.knob, a.action.before}, {b.action.knob, b.action.before});
      });
      if (!falls) continue;
      a.action.after = Absent{};
      again = true;
    }
  }
}

std::vector<RunStep> steps_of_all(std::span<const HeldKnob> held) {
  std::vector<RunStep> steps;
  for (std::size_t i = held.size(); i-- > 0;)
    steps.push_back(step_of(held[i], restorable(held[i].original)));
  let_fall(steps);
  return steps;
}

/// The run that `id` names: of the plans with that id, or with an action of that id, the last one
/// of which something is in force.
const Run* run_named(std::span<const Run> runs, const std::string& id) {
  const Run* named = nullptr;
  for (const Run& run : runs) {
    if (run.purpose != Purpose::apply || run.state != RunState::done) continue;
    const bool has = std::ranges::any_of(
        run.steps, [&](const RunStep& s) { return s.id == id && s.outcome == Outcome::done; });
    if (run.plan == id || has) named = &run;
  }
  return named;
}

Result<std::vector<RunStep>> steps_of_id(const std::string& id, std::span<const Run> runs,
                                         std::span<const HeldKnob> held) {
  const Run* run = run_named(runs, id);
  if (run == nullptr)
    return fail(ErrorKind::invalid,
                "no plan or action " + id + " is in force: ankusctl status lists those that are");
  std::vector<RunStep> steps;
  std::set<Knob> seen;
  for (std::size_t i = run->steps.size(); i-- > 0;) {
    const RunStep& last = run->steps[i];
    if (last.outcome != Outcome::done || (run->plan != id && last.id != id) ||
        !seen.insert(last.action.knob).second)
      continue;
    const HeldKnob* now = find_held(held, last.action.knob);
    if (now == nullptr) continue;  // back to its original already
    const bool table = std::holds_alternative<knob::Membership>(last.action.knob);
    if (now->run != run->id && !table)
      return fail(ErrorKind::refused, to_text(now->knob) + " was changed since by plan " +
                                          now->plan + ": roll that one back first, or all");
    const auto first = std::ranges::find(run->steps, last.action.knob,
                                         [](const RunStep& s) { return s.action.knob; });
    const auto* rows = std::get_if<Members>(&first->action.before);
    if (rows != nullptr && digest_of(*rows) != 0) continue;  // the daemon keeps the table up
    RunStep step = step_of(*now, restorable(first->action.before));
    step.id = last.id;
    steps.push_back(std::move(step));
  }
  for (const RunStep& step : steps) {
    if (!std::holds_alternative<Absent>(step.action.after)) continue;
    for (const HeldKnob& h : held) {
      if (std::ranges::any_of(steps, [&](const RunStep& s) { return s.action.knob == h.knob; }))
        continue;
      // What an earlier plan set stood without this one before, and can again.
      if (h.run >= run->id &&
          depends_on({h.knob, h.written}, {step.action.knob, step.action.before}))
        return fail(ErrorKind::refused, to_text(h.knob) + " of plan " + h.plan + " needs " +
                                            to_text(step.action.knob) +
                                            ": roll that one back first, or all");
    }
  }
  let_fall(steps);
  return steps;
}

/// What to do with one knob of an undo, by what it reads as.
Outcome judge(const RunStep& step, const Result<Setting>& found, IfChanged if_changed) {
  if (is_gone(found)) return Outcome::gone;
  if (!found) return Outcome::failed;
  if (std::holds_alternative<Foreign>(*found)) return Outcome::ceded;
  if (same_setting(*found, step.action.after)) return Outcome::undone;
  // The table of workloads is a map of our own: whatever is in it, we wrote it.
  const bool table = std::holds_alternative<Members>(*found);
  if (table || same_setting(*found, step.action.before) || if_changed == IfChanged::take)
    return Outcome::pending;
  return Outcome::ceded;
}

/// Knobs that were ceded before and are still there: removing what they hang on would remove them.
std::map<Knob, Setting> standing_ceded(Actuator& actuator, std::span<const CededKnob> ceded,
                                       const std::vector<RunStep>& steps) {
  std::set<Knob> ours;
  for (const RunStep& step : steps) ours.insert(step.action.knob);
  std::vector<Knob> knobs;
  for (const CededKnob& c : ceded)
    if (!ours.contains(c.knob)) knobs.push_back(c.knob);
  std::map<Knob, Setting> standing;
  for (const auto& [knob, found] : read_knobs(actuator, knobs))
    if (found && !std::holds_alternative<Absent>(*found)) standing.emplace(knob, *found);
  return standing;
}

void judge_all(Run& run, const Readings& readings, Actuator& actuator,
               std::span<const CededKnob> ceded, IfChanged if_changed, std::set<Knob>& lost) {
  std::map<Knob, Setting> in_place;
  for (RunStep& step : run.steps) {
    const Result<Setting>& found = readings.at(step.action.knob);
    step.outcome = judge(step, found, if_changed);
    if (step.outcome == Outcome::failed) step.text = "cannot be read: " + to_text(found);
    if (step.outcome == Outcome::gone) continue;
    in_place.emplace(step.action.knob, step.action.before);
    if (step.outcome != Outcome::ceded) continue;
    lost.insert(step.action.knob);
    step.text = "left alone, somebody else has set it to: " + to_text(found);
  }
  std::set<Knob> staying = lost;
  if (if_changed == IfChanged::leave)
    for (auto& [knob, setting] : standing_ceded(actuator, ceded, run.steps)) {
      staying.insert(knob);
      in_place.emplace(knob, setting);
    }
  staying = with_foundations(std::move(staying), in_place);
  for (RunStep& step : run.steps)
    if (step.outcome == Outcome::pending && staying.contains(step.action.knob)) {
      step.outcome = Outcome::ceded;
      step.text = "left alone, because a part of the same tree is somebody else's by now";
    }
}

/// The entry of a knob that was not set back to its original but to what an earlier plan had set.
HeldKnob still_held(const HeldKnob& now, const Setting& goal, RunId undo_run,
                    std::span<const Run> runs, const Clock& clock) {
  HeldKnob held = now;
  held.written = goal;
  held.since = clock.boot();
  held.since_wall = clock.wall();
  held.run = undo_run;
  for (const Run& run : runs)
    for (const RunStep& step : run.steps)
      if (run.id < now.run && run.purpose == Purpose::apply && step.outcome == Outcome::done &&
          step.action.knob == now.knob && same_setting(step.action.after, goal)) {
        held.run = run.id;
        held.plan = run.plan;
        held.action = step.id;
        held.reason = step.action.reason;
      }
  return held;
}

Controls controls_after(Controls controls, const Undone& undone, std::span<const HeldKnob> held,
                        std::span<const Run> runs) {
  for (const RunStep& step : undone.steps)
    if (step.outcome != Outcome::failed) std::erase(controls.degraded, to_text(step.action.knob));
  for (const std::string& object : undone.degraded)
    if (std::ranges::find(controls.degraded, object) == controls.degraded.end())
      controls.degraded.push_back(object);
  if (!controls.confirmation) return controls;
  // Nothing is left to confirm once nothing of that plan is left to take back.
  const RunId waiting = controls.confirmation->run;
  const bool left = std::ranges::any_of(held, [&](const HeldKnob& h) {
    const bool settled = std::ranges::any_of(undone.steps, [&](const RunStep& s) {
      return s.action.knob == h.knob && s.outcome != Outcome::failed;
    });
    return h.run == waiting && !settled;
  });
  const bool open = std::ranges::any_of(
      runs, [&](const Run& r) { return r.id == waiting && r.state == RunState::open; });
  if (!left && !open) controls.confirmation.reset();
  return controls;
}

}  // namespace

Result<Undone> finish_undo(const Run& intended, Actuator& actuator, Journal& journal,
                           const Clock& clock, IfChanged if_changed) {
  auto held = journal.held();
  if (!held) return std::unexpected(held.error());
  auto runs = journal.runs();
  if (!runs) return std::unexpected(runs.error());
  auto ceded = journal.ceded();
  if (!ceded) return std::unexpected(ceded.error());
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());

  Run run = intended;
  const std::vector<Knob> knobs = knobs_of(run.steps);
  const Readings before = read_knobs(actuator, knobs);
  std::set<Knob> lost;
  judge_all(run, before, actuator, *ceded, if_changed, lost);
  std::vector<Action> actions;
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < run.steps.size(); ++i)
    if (run.steps[i].outcome == Outcome::pending) {
      Action action = run.steps[i].action;
      action.before = before.at(action.knob).value_or(action.before);
      actions.push_back(std::move(action));
      numbers.push_back(i);
    }
  const std::vector<Result<void>> written = write_each(actuator, actions);
  const Readings after = read_knobs(actuator, knobs);

  Undone undone{.what = run.plan};
  HeldChange change;
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    RunStep& step = run.steps[numbers[k]];
    const Result<Setting>& found = after.at(step.action.knob);
    if (reads_as(found, step.action.after)) {
      step.outcome = Outcome::undone;
    } else if (is_gone(found)) {
      step.outcome = Outcome::gone;
    } else {
      step.outcome = Outcome::failed;
      step.text = "could not be undone: it is " + to_text(found) +
                  (written[k] ? "" : "; " + written[k].error().text);
    }
  }
  for (const RunStep& step : run.steps) {
    const Knob& knob = step.action.knob;
    const HeldKnob* now = find_held(*held, knob);
    if (step.outcome == Outcome::failed) undone.degraded.push_back(to_text(knob));
    if (lost.contains(knob)) {
      change.drop.push_back(knob);
      change.cede.push_back(cede(knob, after.at(knob),
                                 "somebody else has changed it: " + to_text(after.at(knob)), *ceded,
                                 clock));
    } else if (step.outcome == Outcome::gone) {
      change.drop.push_back(knob);
    } else if (step.outcome == Outcome::undone && now != nullptr) {
      if (same_setting(step.action.after, restorable(now->original)) ||
          std::holds_alternative<Absent>(step.action.after))
        change.drop.push_back(knob);
      else
        change.hold.push_back(still_held(*now, step.action.after, run.id, *runs, clock));
    }
  }
  undone.steps = run.steps;

  const Controls settled = controls_after(*controls, undone, *held, *runs);
  Result<void> closed;
  if (run.id != 0) {
    closed = journal.close({.run = run.id,
                            .state = RunState::done,
                            .steps = run.steps,
                            .change = change,
                            .controls = settled});
  } else {
    closed = journal.change_held(change);
    if (closed) closed = journal.set_controls(settled);
  }
  // The host is as it should be; what is held too much reads as its original and is dropped later.
  if (!closed) undone.notes.push_back("the outcome cannot be recorded: " + closed.error().text);
  if (auto recorded = journal.record(events_of(run.plan, run.steps)); !recorded)
    undone.notes.push_back("history cannot be written: " + recorded.error().text);
  return undone;
}

Result<Undone> undo(Actuator& actuator, Journal& journal, const Clock& clock,
                    const UndoOptions& options) {
  // What was interrupted comes first: until then nobody knows what is held.
  if (auto recovered = recover(actuator, journal, clock); !recovered)
    return std::unexpected(recovered.error());
  auto held = journal.held();
  if (!held) return std::unexpected(held.error());
  auto runs = journal.runs();
  if (!runs) return std::unexpected(runs.error());
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());

  Run run{.plan = "undo of " + (options.id.empty() ? "all" : options.id),
          .purpose = Purpose::undo,
          .by = options.by,
          .begun = clock.boot()};
  if (options.id.empty()) {
    run.steps = steps_of_all(*held);
    // The knobs decide anew what is degraded.
    controls->degraded.clear();
  } else {
    auto steps = steps_of_id(options.id, *runs, *held);
    if (!steps) return std::unexpected(steps.error());
    run.steps = *std::move(steps);
  }
  if (options.hold == Hold::until_resume) controls->hold = run.plan + " by " + options.by;
  std::vector<std::string> notes;
  auto begun = journal.begin({.plan = run.plan,
                              .purpose = run.purpose,
                              .by = run.by,
                              .steps = run.steps,
                              .controls = *controls});
  // An undo can be repeated from what is held: unlike a plan it may go on without its intent.
  if (begun)
    run.id = *begun;
  else
    notes.push_back("the intent cannot be recorded: " + begun.error().text);
  auto undone = finish_undo(run, actuator, journal, clock, options.if_changed);
  if (undone) undone->notes.insert(undone->notes.begin(), notes.begin(), notes.end());
  return undone;
}

}  // namespace ankus
