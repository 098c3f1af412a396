// SPDX-License-Identifier: Apache-2.0
#include "act/undo.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <set>

#include "act/recover.h"
#include "act/steps.h"
#include "act/take_back.h"
#include "model/dependency.h"

namespace ankus {
namespace {

const std::string kAll = "all";

bool is_table(const Knob& knob) { return std::holds_alternative<knob::Membership>(knob); }

RunStep step_of(const HeldKnob& held, Setting goal) {
  return {.id = held.action,
          .action = {.knob = held.knob,
                     .before = held.written,
                     .after = std::move(goal),
                     .reason = "undo; was set for: " + held.reason}};
}

/// The last step on a knob: one that is rebuilt has two.
const RunStep& last_on(const std::vector<RunStep>& steps, const Knob& knob) {
  return *std::ranges::find(steps.rbegin(), steps.rend(), knob,
                            [](const RunStep& s) { return s.action.knob; });
}

/// What the knob of `step` will be in the end.
const Setting& goal_of(const std::vector<RunStep>& steps, const RunStep& step) {
  return last_on(steps, step.action.knob).action.after;
}

/// What hangs on something that will be absent will be absent as well.
void let_fall(std::vector<RunStep>& steps) {
  for (bool again = true; again;) {
    again = false;
    for (RunStep& a : steps) {
      if (std::holds_alternative<Absent>(a.action.after)) continue;
      const bool falls = std::ranges::any_of(steps, [&](const RunStep& b) {
        if (!std::holds_alternative<Absent>(b.action.after)) return false;
        const Placed below{b.action.knob, b.action.before};
        return (depends_on({a.action.knob, a.action.before}, below) ||
                depends_on({a.action.knob, a.action.after}, below)) &&
               std::holds_alternative<Absent>(goal_of(steps, b));
      });
      if (!falls) continue;
      a.action.after = Absent{};
      again = true;
    }
  }
}

/// Straight to the originals, whatever plans came between.
std::vector<RunStep> steps_to_originals(std::span<const HeldKnob> held,
                                        const std::optional<Part>& part) {
  std::vector<RunStep> steps;
  for (std::size_t i = held.size(); i-- > 0;)
    if (!part || part->has(held[i].knob))
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

/// What a run did with each knob: the numbers of its steps, first to last.
using Chains = std::map<Knob, std::vector<std::size_t>>;

Chains chains_of(const Run& run, const std::string& id) {
  Chains chains;
  for (std::size_t i = 0; i < run.steps.size(); ++i)
    if (run.steps[i].outcome == Outcome::done) chains[run.steps[i].action.knob].push_back(i);
  if (run.plan != id)
    std::erase_if(chains, [&](const auto& chain) {
      return std::ranges::none_of(chain.second,
                                  [&](std::size_t i) { return run.steps[i].id == id; });
    });
  return chains;
}

/// If an undo since the run has given the knob back already.
bool was_given_back(const HeldKnob& now, const Run& run, std::span<const Run> runs) {
  return now.run < run.id ||
         std::ranges::any_of(
             runs, [&](const Run& r) { return r.id == now.run && r.purpose == Purpose::undo; });
}

/// The ifb devices that the steps make.
template <class Steps>
std::set<std::string> devices_made(const Steps& actions) {
  std::set<std::string> made;
  for (const Action& action : actions)
    if (const auto* ifb = std::get_if<knob::Ifb>(&action.knob))
      if (std::holds_alternative<IfbDevice>(action.after)) made.insert(ifb->name);
  return made;
}

/// On a device that will be made again first, nothing is there yet.
void expect_devices(Readings& readings, const std::set<std::string>& made) {
  for (auto& [knob, found] : readings)
    if (const Device* device = device_of(knob);
        device != nullptr && is_gone(found) && made.contains(device->name))
      found = Absent{};
}

/// If the run gave a knob back (so that it is not held) that is not as it was before the run:
/// undoing the run takes it again. One that was held and dropped since is ceded or at its original.
bool was_let_go(const Action& first, const Action& last, const Run& run,
                const Result<Setting>& found, std::span<const CededKnob> ceded) {
  if (same_setting(first.before, last.after) || is_gone(found)) return false;
  if (std::ranges::any_of(
          ceded, [&](const CededKnob& c) { return c.knob == last.knob && c.since >= run.begun; }))
    return false;
  return !found || !same_setting(*found, first.before);
}

/// The inverse of what the run did with one knob. What the run had to remove in order to make it
/// anew has to be removed and made anew again.
void add_inverse(const Run& run, const std::vector<std::size_t>& chain, const Setting& now,
                 std::map<std::size_t, RunStep>& steps) {
  const RunStep &first = run.steps[chain.front()], &last = run.steps[chain.back()];
  const Setting goal = restorable(first.action.before);
  RunStep step{.id = last.id,
               .action = {.knob = last.action.knob,
                          .before = now,
                          .after = goal,
                          .reason = "undo; was set for: " + last.action.reason}};
  const bool was_rebuilt = chain.size() > 1 && !std::holds_alternative<Absent>(goal) &&
                           !std::holds_alternative<Absent>(now) &&
                           std::ranges::any_of(chain, [&](std::size_t i) {
                             return std::holds_alternative<Absent>(run.steps[i].action.after);
                           });
  if (was_rebuilt) {
    RunStep remake = step;
    remake.id = first.id;
    remake.action.before = step.action.after = Absent{};
    steps.emplace(chain.front(), std::move(remake));
  }
  steps.emplace(chain.back(), std::move(step));
}

Result<std::vector<RunStep>> steps_of_id(const std::string& id, std::span<const Run> runs,
                                         std::span<const HeldKnob> held,
                                         std::span<const CededKnob> ceded, Actuator& actuator) {
  const Run* run = run_named(runs, id);
  if (run == nullptr)
    return fail(ErrorKind::invalid,
                "no plan or action " + id + " is in force: ankusctl status lists those that are");
  const Chains chains = chains_of(*run, id);
  std::vector<Knob> not_held;
  for (const auto& [knob, chain] : chains)
    if (find_held(held, knob) == nullptr) not_held.push_back(knob);
  Readings readings = read_knobs(actuator, not_held);
  std::vector<Action> let_go;
  for (const Knob& knob : not_held)
    let_go.push_back(inverse(run->steps[chains.at(knob).front()].action));
  expect_devices(readings, devices_made(let_go));
  std::map<std::size_t, RunStep> inverse_of;  // by the step of the run
  for (const auto& [knob, chain] : chains) {
    const Action &first = run->steps[chain.front()].action, &last = run->steps[chain.back()].action;
    const HeldKnob* now = find_held(held, knob);
    if (now == nullptr) {
      const Result<Setting>& found = readings.at(knob);
      if (!was_let_go(first, last, *run, found, ceded)) continue;
      // What was read says more than what was asked for, and is the original from now on.
      add_inverse(*run, chain,
                  reads_as(found, last.after) ? found.value_or(last.after) : last.after,
                  inverse_of);
      // Its rows are not known; the daemon fills it once it is held again.
      if (is_table(knob)) inverse_of.at(chain.back()).action.after = last.after;
      continue;
    }
    if (now->run != run->id && !is_table(knob)) {
      if (was_given_back(*now, *run, runs)) continue;
      return fail(ErrorKind::refused, to_text(now->knob) + " was changed since by plan " +
                                          now->plan + ": roll that one back first, or all");
    }
    const auto* rows = std::get_if<Members>(&first.before);
    if (rows != nullptr && digest_of(*rows) != 0) continue;  // the daemon keeps the table up
    add_inverse(*run, chain, now->written, inverse_of);
  }
  std::vector<RunStep> steps;
  for (auto step = inverse_of.rbegin(); step != inverse_of.rend(); ++step)
    steps.push_back(std::move(step->second));
  for (const RunStep& step : steps) {
    if (!std::holds_alternative<Absent>(step.action.after)) continue;
    for (const HeldKnob& h : held) {
      if (chains.contains(h.knob)) continue;
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

/// What to do with step `i` of an undo, by what its knob reads as.
Outcome judge(const std::vector<RunStep>& steps, std::size_t i, const Result<Setting>& found,
              IfChanged if_changed) {
  const Knob& knob = steps[i].action.knob;
  if (is_gone(found)) return Outcome::gone;
  if (!found) return Outcome::failed;
  if (std::holds_alternative<Foreign>(*found)) return Outcome::ceded;
  if (same_setting(*found, goal_of(steps, steps[i]))) return Outcome::undone;
  // The table of workloads is a map of our own: whatever is in it, we wrote it.
  if (std::holds_alternative<Members>(*found) || if_changed == IfChanged::take)
    return Outcome::pending;
  const auto is_before = [&](const RunStep& step) {
    return step.action.knob == knob && same_setting(*found, step.action.before);
  };
  const std::span all(steps);
  if (std::ranges::any_of(all.first(i + 1), is_before)) return Outcome::pending;
  // Interrupted between removing it and making it anew.
  return std::ranges::any_of(all.subspan(i + 1), is_before) ? Outcome::undone : Outcome::ceded;
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

/// What is as it will be in the end, but hangs on something that is yet to be rebuilt, is rebuilt
/// along with that.
void rebuild_along(std::vector<RunStep>& steps) {
  for (bool again = true; again;) {
    again = false;
    for (RunStep& a : steps) {
      if (a.outcome != Outcome::undone || &a == &last_on(steps, a.action.knob)) continue;
      const bool falls = std::ranges::any_of(steps, [&](const RunStep& b) {
        return b.outcome == Outcome::pending && std::holds_alternative<Absent>(b.action.after) &&
               depends_on({a.action.knob, a.action.before}, {b.action.knob, b.action.before});
      });
      if (!falls) continue;
      for (RunStep& step : steps)
        if (step.action.knob == a.action.knob) step.outcome = Outcome::pending;
      again = true;
    }
  }
}

void judge_all(Run& run, const Readings& readings, Actuator& actuator,
               std::span<const CededKnob> ceded, IfChanged if_changed, std::set<Knob>& lost) {
  std::map<Knob, Setting> in_place;
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    RunStep& step = run.steps[i];
    const Result<Setting>& found = readings.at(step.action.knob);
    step.outcome = judge(run.steps, i, found, if_changed);
    if (step.outcome == Outcome::failed) step.text = "cannot be read: " + to_text(found);
    if (step.outcome == Outcome::gone) continue;
    in_place.emplace(step.action.knob, step.action.before);
    if (step.outcome != Outcome::ceded) continue;
    lost.insert(step.action.knob);
    step.text = "left alone, somebody else has set it to: " + to_text(found);
  }
  rebuild_along(run.steps);
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

/// The entry of a knob that was not set back to its original but to what an earlier plan had set;
/// `held` says what is known of it otherwise.
HeldKnob still_held(HeldKnob held, const Setting& goal, const Run& undo, std::span<const Run> runs,
                    const Clock& clock) {
  const RunId undone = held.run;
  held.written = goal;
  held.since = clock.boot();
  held.since_wall = clock.wall();
  held.run = undo.id;
  for (const Run& run : runs)
    for (const RunStep& step : run.steps)
      if (run.id < undone && run.purpose == Purpose::apply && step.outcome == Outcome::done &&
          step.action.knob == held.knob && same_setting(step.action.after, goal)) {
        held.run = run.id;
        held.plan = run.plan;
        held.action = step.id;
        held.reason = step.action.reason;
      }
  return held;
}

/// The entry of a knob that was taken again: the plan that is undone had given it back, so what
/// that left is the original.
HeldKnob held_again(const RunStep& first, const Setting& goal, const Run& undo,
                    std::span<const Run> runs, const Clock& clock) {
  HeldKnob held{.knob = first.action.knob,
                .original = first.action.before,
                .written = goal,
                .run = undo.id,
                .plan = undo.plan,
                .action = first.id,
                .reason = first.action.reason,
                .since = clock.boot(),
                .since_wall = clock.wall()};
  return is_table(held.knob) ? held : still_held(std::move(held), goal, undo, runs, clock);
}

/// What follows for the held knobs; `lost` are those that are somebody else's by now.
HeldChange held_after_undo(const Run& undo, const std::set<Knob>& lost, const Readings& after,
                           std::span<const HeldKnob> held, std::span<const Run> runs,
                           std::span<const CededKnob> ceded, const Clock& clock) {
  HeldChange change;
  std::set<Knob> seen;
  for (const RunStep& step : undo.steps) {
    const Knob& knob = step.action.knob;
    if (!seen.insert(knob).second) continue;
    const HeldKnob* now = find_held(held, knob);
    const Outcome outcome = last_on(undo.steps, knob).outcome;
    const Setting& goal = goal_of(undo.steps, step);
    if (lost.contains(knob)) {
      change.drop.push_back(knob);
      change.cede.push_back(cede(knob, after.at(knob),
                                 "somebody else has changed it: " + to_text(after.at(knob)), ceded,
                                 clock));
    } else if (outcome == Outcome::gone) {
      change.drop.push_back(knob);
    } else if (outcome == Outcome::undone && now == nullptr) {
      if (is_table(knob) || !std::holds_alternative<Absent>(goal))
        change.hold.push_back(held_again(step, goal, undo, runs, clock));
    } else if (outcome == Outcome::undone) {
      if (same_setting(goal, restorable(now->original)) || std::holds_alternative<Absent>(goal))
        change.drop.push_back(knob);
      else
        change.hold.push_back(still_held(*now, goal, undo, runs, clock));
    }
  }
  return change;
}

/// An undo that is about to be carried out.
struct IntendedUndo {
  std::vector<Event> events;      ///< to go before its outcomes
  std::vector<std::string> said;  ///< the objects of which a try before has said that they failed
  Run run;                        ///< its id is 0 if the intents could not be recorded
  Controls controls;              ///< with its hold
  std::set<Knob> postponed;       ///< would be taken again if the intents could be recorded
};

/// If an undo since the run has brought the knob back already.
bool was_brought_back(const Knob& knob, const Run& run, std::span<const Run> runs) {
  return std::ranges::any_of(runs, [&](const Run& later) {
    return later.id > run.id && later.purpose == Purpose::undo &&
           std::ranges::any_of(later.steps, [&](const RunStep& step) {
             return step.action.knob == knob && step.outcome == Outcome::undone;
           });
  });
}

/// If something of the run is left that an undo of it would take back or take again.
bool is_left(const Run& run, const Undone& undone, const IntendedUndo& intended,
             std::span<const HeldKnob> held, std::span<const Run> runs) {
  const bool whole = undone.what == kUndoOf + run.plan || undone.what == kUndoOf + kAll;
  return run.state == RunState::open || std::ranges::any_of(run.steps, [&](const RunStep& step) {
           if (step.outcome != Outcome::done) return false;
           if (intended.postponed.contains(step.action.knob)) return true;
           const auto settled = std::ranges::find(undone.steps, step.action.knob,
                                                  [](const RunStep& s) { return s.action.knob; });
           const HeldKnob* now = find_held(held, step.action.knob);
           // What an undo of the whole left out, it left out for good: the table of workloads.
           if (settled == undone.steps.end())
             return !whole && (now == nullptr ? !was_brought_back(step.action.knob, run, runs)
                                              : now->run == run.id);
           // What could not be taken again is no longer ours: nothing is left to try.
           return settled->outcome == Outcome::failed && now != nullptr;
         });
}

Controls controls_after(const IntendedUndo& intended, const Undone& undone,
                        std::span<const HeldKnob> held, std::span<const Run> runs) {
  Controls controls = intended.controls;
  for (const RunStep& step : undone.steps)
    if (step.outcome != Outcome::failed) std::erase(controls.degraded, to_text(step.action.knob));
  for (const std::string& object : undone.degraded)
    if (std::ranges::find(controls.degraded, object) == controls.degraded.end())
      controls.degraded.push_back(object);
  // Nothing is left to confirm or to judge once nothing of that plan is left to undo.
  const auto is_settled = [&](RunId waiting) {
    return std::ranges::none_of(runs, [&](const Run& run) {
      return run.id == waiting && is_left(run, undone, intended, held, runs);
    });
  };
  if (controls.confirmation && is_settled(controls.confirmation->run))
    controls.confirmation.reset();
  if (controls.unjudged && is_settled(controls.unjudged->run)) controls.unjudged.reset();
  return controls;
}

/// What history is told. What an undo did belongs to other plans as well: so by whom.
std::vector<Event> history_of(const IntendedUndo& intended, const Run& run) {
  std::vector<Event> events = intended.events;
  for (const RunStep& step : run.steps) {
    const bool again =
        std::ranges::find(intended.said, to_text(step.action.knob)) != intended.said.end();
    if (step.outcome == Outcome::failed && again) continue;
    events.push_back(events_of(run.plan, {&step, 1}).front());
    events.back().text += "; asked for by " + run.by;
  }
  return events;
}

Result<Undone> carry_out(const IntendedUndo& intended, Actuator& actuator, Journal& journal,
                         const Clock& clock, IfChanged if_changed) {
  auto held = journal.held();
  if (!held) return std::unexpected(held.error());
  auto runs = journal.runs();
  if (!runs) return std::unexpected(runs.error());
  auto ceded = journal.ceded();
  if (!ceded) return std::unexpected(ceded.error());

  Run run = intended.run;
  const std::vector<Knob> knobs = knobs_of(run.steps);
  Readings before = read_knobs(actuator, knobs);
  expect_devices(before, devices_made(run.steps | std::views::transform(&RunStep::action)));
  std::set<Knob> lost;
  judge_all(run, before, actuator, *ceded, if_changed, lost);
  std::vector<Action> actions;
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < run.steps.size(); ++i)
    if (run.steps[i].outcome == Outcome::pending) {
      Action action = run.steps[i].action;
      if (std::ranges::find(actions, action.knob, &Action::knob) == actions.end())
        action.before = before.at(action.knob).value_or(action.before);
      action.after = actuator.as_kept(action.knob, action.after);
      actions.push_back(std::move(action));
      numbers.push_back(i);
    }
  const std::vector<Result<void>> written = write_each(actuator, actions);
  const Readings after = read_knobs(actuator, knobs);

  Undone undone{.what = run.plan};
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    RunStep& step = run.steps[numbers[k]];
    const Result<Setting>& found = after.at(step.action.knob);
    const Setting& goal = goal_of(run.steps, step);
    if (reads_as(found, goal) || reads_as(found, actuator.as_kept(step.action.knob, goal))) {
      step.outcome = Outcome::undone;
    } else if (is_gone(found)) {
      step.outcome = Outcome::gone;
    } else {
      step.outcome = Outcome::failed;
      step.text = "could not be undone: it is " + to_text(found) +
                  (written[k] ? "" : "; " + written[k].error().text);
    }
  }
  for (const RunStep& step : run.steps)
    if (const std::string what = to_text(step.action.knob);
        step.outcome == Outcome::failed &&
        std::ranges::find(undone.degraded, what) == undone.degraded.end())
      undone.degraded.push_back(what);
  const HeldChange change = held_after_undo(run, lost, after, *held, *runs, *ceded, clock);
  undone.steps = run.steps;

  const Controls settled = controls_after(intended, undone, *held, *runs);
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
  if (auto recorded = journal.record(history_of(intended, run)); !recorded)
    undone.notes.push_back("history cannot be written: " + recorded.error().text);
  return undone;
}

bool none_can_be_read(const std::vector<RunStep>& steps, Actuator& actuator) {
  const Readings readings = read_knobs(actuator, knobs_of(steps));
  return !readings.empty() && std::ranges::all_of(readings, [](const auto& reading) {
    return !reading.second && !is_gone(reading.second);
  });
}

}  // namespace

Result<Undone> finish_undo(const Run& run, Actuator& actuator, Journal& journal, const Clock& clock,
                           IfChanged if_changed) {
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());
  return carry_out({.run = run, .controls = *controls}, actuator, journal, clock, if_changed);
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

  const std::string what = options.part ? options.part->name : kAll;
  Run run{.plan = kUndoOf + (options.id.empty() ? what : options.id),
          .purpose = Purpose::undo,
          .by = options.by,
          .begun = clock.boot()};
  if (options.id.empty()) {
    run.steps = steps_to_originals(*held, options.part);
    // The knobs decide anew what is degraded.
    if (!options.part) controls->degraded.clear();
  } else {
    auto ceded = journal.ceded();
    if (!ceded) return std::unexpected(ceded.error());
    auto steps = steps_of_id(options.id, *runs, *held, *ceded, actuator);
    if (!steps) return std::unexpected(steps.error());
    run.steps = *std::move(steps);
  }
  if (options.again && none_can_be_read(run.steps, actuator))
    return Undone{.what = run.plan, .degraded = controls->degraded};
  if (options.hold == Hold::until_resume) controls->hold = run.plan + " by " + options.by;
  auto begun = journal.begin({.plan = run.plan,
                              .purpose = run.purpose,
                              .by = run.by,
                              .steps = run.steps,
                              .controls = *controls});
  IntendedUndo intended{.run = std::move(run), .controls = *controls};
  if (options.again)
    intended.said = controls->degraded;
  else
    intended.events.push_back({.kind = "command",
                               .plan = intended.run.plan,
                               .text = intended.run.plan + ", asked for by " + options.by});
  std::vector<std::string> notes;
  // Giving back can be repeated from what is held: unlike a plan it may go on without its intent.
  // What would be taken again would be nobody's.
  if (begun) {
    intended.run.id = *begun;
  } else {
    notes.push_back("the intent cannot be recorded: " + begun.error().text);
    for (const RunStep& step : intended.run.steps)
      if (find_held(*held, step.action.knob) == nullptr)
        intended.postponed.insert(step.action.knob);
    std::erase_if(intended.run.steps, [&](const RunStep& step) {
      return intended.postponed.contains(step.action.knob);
    });
  }
  auto undone = carry_out(intended, actuator, journal, clock, options.if_changed);
  if (undone) undone->notes.insert(undone->notes.begin(), notes.begin(), notes.end());
  return undone;
}

}  // namespace ankus
