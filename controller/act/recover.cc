// SPDX-License-Identifier: Apache-2.0
#include "act/recover.h"

#include <algorithm>
#include <array>
#include <map>

#include "act/steps.h"
#include "act/take_back.h"
#include "act/transaction.h"
#include "act/undo.h"

namespace ankus {
namespace {

/// If each knob is as the run's last step on it was to leave it.
bool all_in_force(const Run& run, const Readings& readings) {
  std::map<Knob, const RunStep*> last;
  for (const RunStep& step : run.steps)
    if (step.outcome == Outcome::pending) last[step.action.knob] = &step;
  return std::ranges::all_of(last, [&](const auto& entry) {
    return reads_as(readings.at(entry.first), entry.second->action.after);
  });
}

bool none_in_force(const Run& run, const Readings& readings) {
  std::map<Knob, const RunStep*> first;
  for (const RunStep& step : run.steps)
    if (step.outcome == Outcome::pending) first.emplace(step.action.knob, &step);
  return std::ranges::all_of(first, [&](const auto& entry) {
    return reads_as(readings.at(entry.first), entry.second->action.before);
  });
}

Result<Recovered> recover_plan(Run run, Actuator& actuator, Journal& journal, const Clock& clock) {
  auto held = journal.held();
  if (!held) return std::unexpected(held.error());
  auto ceded = journal.ceded();
  if (!ceded) return std::unexpected(ceded.error());
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());
  // One that cannot be read must not stand in the way of the others: it is degraded, and held.
  const Readings readings = read_knobs(actuator, knobs_of(run.steps));

  Recovered recovered{.plan = run.plan};
  HeldChange change;
  RunState state = RunState::undone;
  if (none_in_force(run, readings)) {
    for (RunStep& step : run.steps)
      if (step.outcome == Outcome::pending) step.outcome = Outcome::skipped;
  } else if (all_in_force(run, readings)) {
    recovered.how = Recovered::How::adopted;
    state = RunState::done;
    for (RunStep& step : run.steps)
      if (step.outcome == Outcome::pending) step.outcome = Outcome::done;
    change = held_after(run.steps, *held, run.id, run.plan, clock);
  } else {
    recovered.how = Recovered::How::taken_back;
    TakenBack taken = take_back(actuator, run.steps, {}, *held, *ceded, clock);
    for (HeldKnob& h : taken.change.hold) {
      h.run = run.id;
      h.plan = run.plan;
    }
    change = std::move(taken.change);
    recovered.degraded = std::move(taken.degraded);
  }
  if (state == RunState::undone && controls->confirmation && controls->confirmation->run == run.id)
    controls->confirmation.reset();
  if (state == RunState::undone && controls->unjudged && controls->unjudged->run == run.id)
    controls->unjudged.reset();
  for (const std::string& object : recovered.degraded) controls->degraded.push_back(object);
  recovered.steps = run.steps;
  auto closed = journal.close({.run = run.id,
                               .state = state,
                               .steps = run.steps,
                               .change = std::move(change),
                               .controls = *controls});
  if (!closed) return std::unexpected(closed.error());
  return recovered;
}

}  // namespace

std::string_view to_text(Recovered::How how) {
  static constexpr std::array<std::string_view, 4> kTexts{
      "nothing of it had been done", "all of it was in force: adopted",
      "a part of it was in force: taken back", "the undo was carried to its end"};
  return kTexts[static_cast<std::size_t>(how)];
}

Result<std::vector<Recovered>> recover(Actuator& actuator, Journal& journal, const Clock& clock) {
  auto runs = journal.runs();
  if (!runs) return std::unexpected(runs.error());
  std::vector<Recovered> all;
  for (const Run& run : *runs) {
    if (run.state != RunState::open) continue;
    if (run.purpose == Purpose::undo) {
      auto undone = finish_undo(run, actuator, journal, clock, IfChanged::leave);
      if (!undone) return std::unexpected(undone.error());
      all.push_back({.plan = run.plan,
                     .how = Recovered::How::finished,
                     .steps = undone->steps,
                     .degraded = undone->degraded});
    } else {
      auto recovered = recover_plan(run, actuator, journal, clock);
      if (!recovered) return std::unexpected(recovered.error());
      all.push_back(*std::move(recovered));
    }
    std::vector<Event> events = events_of(run.plan, all.back().steps);
    events.insert(
        events.begin(),
        Event{.kind = "recovered", .plan = run.plan, .text = std::string(to_text(all.back().how))});
    (void)journal.record(events);  // history may fail; history_problem() says so
  }
  return all;
}

}  // namespace ankus
