// SPDX-License-Identifier: Apache-2.0
#include "act/transaction.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "act/dry_run.h"
#include "act/recover.h"
#include "act/steps.h"
#include "act/take_back.h"

namespace ankus {
namespace {

std::string names(const std::vector<std::string>& objects) {
  std::string text;
  for (const std::string& object : objects) text += (text.empty() ? "" : ", ") + object;
  return text;
}

bool only_membership(const Plan& plan) {
  return std::ranges::all_of(plan.actions, [](const Action& a) {
    return std::holds_alternative<knob::Membership>(a.knob);
  });
}

/// The steps of the plan; those that are in force already are marked as skipped. An Error if a knob
/// is not as the plan saw it.
Result<std::vector<RunStep>> check_before(const Plan& plan, Actuator& actuator) {
  std::vector<RunStep> steps;
  for (const Action& action : plan.actions)
    steps.push_back({.id = id_of(action), .action = action});
  Readings now = read_knobs(actuator, knobs_of(steps));
  std::set<std::string> made;  // devices that the plan makes before it uses them
  for (RunStep& step : steps) {
    const Action& action = step.action;
    if (const auto* ifb = std::get_if<knob::Ifb>(&action.knob)) made.insert(ifb->name);
    Result<Setting>& found = now.at(action.knob);
    const Device* device = device_of(action.knob);
    if (is_gone(found) && device != nullptr && made.contains(device->name)) found = Absent{};
    if (is_gone(found) && std::holds_alternative<Absent>(action.after)) {
      step.outcome = Outcome::gone;
    } else if (!found) {
      return with_context(to_text(action.knob), found.error());
    } else if (same_setting(*found, action.before)) {
      found = action.after;  // for the next step on the same knob
    } else if (same_setting(*found, action.after)) {
      step.outcome = Outcome::skipped;
      step.text = "in force already";
    } else {
      return fail(ErrorKind::busy, to_text(action.knob) + ": the plan saw \"" +
                                       to_text(action.before) + "\", now it is \"" +
                                       to_text(*found) + "\": nothing was written, plan again");
    }
  }
  return steps;
}

/// How far the writing came.
struct Writing {
  std::set<std::size_t> acknowledged;
  std::optional<std::size_t> failed_step;
  std::optional<Error> failure;
};

Writing write_and_read_back(std::vector<RunStep>& steps, Actuator& actuator,
                            std::span<const HeldKnob> held) {
  std::vector<std::size_t> numbers;
  std::vector<Action> actions;
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (steps[i].outcome == Outcome::pending) {
      numbers.push_back(i);
      Action action = steps[i].action;
      if (gives_back(held, action)) action.after = actuator.as_kept(action.knob, action.after);
      actions.push_back(std::move(action));
    }
  Writing writing;
  const auto fail_at = [&](std::size_t step, Error error) {
    error.text = "step " + std::to_string(step + 1) + " of " + std::to_string(steps.size()) + ", " +
                 to_text(steps[step].action.knob) + ": " + error.text;
    writing.failed_step = step;
    writing.failure = std::move(error);
  };
  const std::vector<Result<void>> written = actuator.write(actions);
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (i < written.size() && written[i]) {
      writing.acknowledged.insert(numbers[i]);  // also behind a failure, in one batch with it
    } else if (!writing.failure) {
      fail_at(numbers[i], i < written.size() ? written[i].error() : Error{.text = "was not tried"});
    }
  }

  std::map<Knob, std::size_t> last;  // of `actions`
  std::vector<Knob> knobs;
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (writing.acknowledged.contains(numbers[i]) &&
        last.insert_or_assign(actions[i].knob, i).second)
      knobs.push_back(actions[i].knob);
  const Readings readings = read_knobs(actuator, knobs);
  for (const auto& [knob, i] : last) {
    const Result<Setting>& found = readings.at(knob);
    if (!writing.failure && !reads_as(found, actions[i].after))
      fail_at(numbers[i], {.kind = found ? ErrorKind::refused : found.error().kind,
                           .err = found ? 0 : found.error().err,
                           .text = "was set to \"" + to_text(actions[i].after) +
                                   "\" but reads back as \"" + to_text(found) + "\""});
  }
  if (!writing.failure)
    for (const std::size_t i : writing.acknowledged) steps[i].outcome = Outcome::done;
  return writing;
}

/// After a failure: back to before, recorded, said.
void give_up(Applied& applied, const Writing& writing, Actuator& actuator, Journal& journal,
             const Clock& clock, std::span<const HeldKnob> held, Controls controls) {
  const auto ceded = journal.ceded();  // only counts fights: none known is no reason to stop here
  // What was not reached needs no taking back.
  if (writing.failed_step)
    for (std::size_t i = 0; i < applied.steps.size(); ++i)
      if (applied.steps[i].outcome == Outcome::pending && !writing.acknowledged.contains(i) &&
          i != *writing.failed_step) {
        applied.steps[i].outcome = Outcome::skipped;
        applied.steps[i].text = "not reached";
      }
  TakenBack taken =
      take_back(actuator, applied.steps, writing.acknowledged, held,
                ceded ? std::span<const CededKnob>(*ceded) : std::span<const CededKnob>{}, clock);
  for (HeldKnob& h : taken.change.hold) {
    h.run = applied.run;
    h.plan = applied.plan;
  }
  applied.degraded = taken.degraded;
  applied.failure = writing.failure;
  if (writing.failed_step) {
    RunStep& failed = applied.steps[*writing.failed_step];
    if (failed.outcome == Outcome::undone) failed.outcome = Outcome::failed;
    if (failed.text.empty()) failed.text = writing.failure->text;
  }
  applied.failure->text += taken.degraded.empty() ? "; what had been written was taken back"
                                                  : "; NOT taken back: " + names(taken.degraded);
  controls.degraded = taken.degraded;
  auto closed = journal.close({.run = applied.run,
                               .state = RunState::undone,
                               .steps = applied.steps,
                               .change = std::move(taken.change),
                               .controls = std::move(controls)});
  if (!closed) applied.failure->text += "; the journal could not record it: " + closed.error().text;
}

}  // namespace

HeldChange held_after(const std::vector<RunStep>& steps, std::span<const HeldKnob> held, RunId run,
                      const std::string& plan, const Clock& clock) {
  std::map<Knob, Setting> originals;
  for (const HeldKnob& h : held) originals.emplace(h.knob, h.original);
  std::map<Knob, const RunStep*> last;
  std::vector<Knob> order;
  for (const RunStep& step : steps) {
    if (step.outcome == Outcome::gone) last[step.action.knob] = nullptr;
    if (step.outcome != Outcome::done) continue;
    originals.emplace(step.action.knob, step.action.before);  // keeps what is there already
    if (last.insert_or_assign(step.action.knob, &step).second) order.push_back(step.action.knob);
  }
  HeldChange change;
  for (const auto& [knob, step] : last)
    if (step == nullptr) change.drop.push_back(knob);
  for (const Knob& knob : order) {
    const RunStep* step = last.at(knob);
    if (step == nullptr) continue;
    if (same_setting(originals.at(knob), step->action.after))
      change.drop.push_back(knob);
    else
      change.hold.push_back({.knob = knob,
                             .original = originals.at(knob),
                             .written = step->action.after,
                             .run = run,
                             .plan = plan,
                             .action = step->id,
                             .reason = step->action.reason,
                             .since = clock.boot(),
                             .since_wall = clock.wall()});
  }
  return change;
}

Result<void> may_apply(const Controls& controls, Applies what) {
  if (controls.paused)
    return fail(ErrorKind::refused,
                "paused by " + controls.paused_by + ": `ankusctl resume` first");
  if (controls.hold)
    return fail(ErrorKind::refused,
                "on hold after " + *controls.hold + ": `ankusctl resume` first");
  if (!controls.degraded.empty())
    return fail(ErrorKind::refused,
                "degraded: " + names(controls.degraded) +
                    " could neither be set nor undone: `ankusctl rollback --all` first");
  if (!controls.confirmation || what == Applies::daily_work) return {};
  const std::string& plan = controls.confirmation->plan;
  if (controls.confirmation->on_trial)
    return fail(ErrorKind::refused, "plan " + plan +
                                        " is on trial until its verdict: wait for it, or "
                                        "`ankusctl rollback " +
                                        plan + "` first");
  return fail(ErrorKind::refused,
              "plan " + plan + " of " + controls.confirmation->by +
                  " waits for its confirmation: `ankusctl confirm` or `ankusctl rollback " + plan +
                  "` first");
}

Result<Applied> apply(const Plan& plan, Actuator& actuator, Journal& journal, const Clock& clock,
                      const ApplyOptions& options) {
  // What could not be closed when it ended: until it is, nobody knows what is held.
  if (auto recovered = recover(actuator, journal, clock); !recovered)
    return std::unexpected(recovered.error());
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());
  const bool daily = only_membership(plan) && !options.confirm_within;
  if (auto may = may_apply(*controls, daily ? Applies::daily_work : Applies::a_change); !may)
    return std::unexpected(may.error());
  auto held = journal.held();
  if (!held) return std::unexpected(held.error());
  auto steps = check_before(plan, actuator);
  if (!steps) return std::unexpected(steps.error());
  Applied applied{.plan = id_of(plan), .steps = *std::move(steps)};
  if (std::ranges::none_of(applied.steps,
                           [](const RunStep& s) { return s.outcome == Outcome::pending; }))
    return applied;

  std::vector<Event> events = events_of(applied.plan, applied.steps);
  events.insert(events.begin(), Event{.kind = "plan",
                                      .plan = applied.plan,
                                      .text = std::to_string(plan.actions.size()) +
                                              " actions, asked for by " + options.by});
  if (auto audited = journal.record(events); !audited && options.audit_required)
    return with_context(
        "nothing was applied, because history cannot be written and the policy asks for it",
        audited.error());

  Controls during = *controls;
  if (options.confirm_within) {
    applied.deadline = clock.boot() + *options.confirm_within;
    during.confirmation = Confirmation{.run = 0,
                                       .plan = applied.plan,
                                       .deadline = *applied.deadline,
                                       .by = options.by,
                                       .on_trial = options.on_trial};
  }
  if (!only_membership(plan)) {
    during.unjudged.reset();  // whatever was to be judged, it is another host now
    if (options.to_be_judged) during.unjudged = Unjudged{.run = 0, .plan = applied.plan};
  }
  auto run = journal.begin(
      {.plan = applied.plan, .by = options.by, .steps = applied.steps, .controls = during});
  if (!run)
    return with_context("nothing was applied, because the intent cannot be recorded", run.error());
  applied.run = *run;

  Writing writing = write_and_read_back(applied.steps, actuator, *held);
  if (!writing.failure) {
    auto closed = journal.close(
        {.run = applied.run,
         .state = RunState::done,
         .steps = applied.steps,
         .change = held_after(applied.steps, *held, applied.run, applied.plan, clock)});
    if (!closed)
      writing.failure = Error{.kind = closed.error().kind,
                              .err = closed.error().err,
                              .text = "the outcome cannot be recorded: " + closed.error().text};
  }
  if (writing.failure) {
    applied.deadline.reset();
    give_up(applied, writing, actuator, journal, clock, *held, *controls);
  }
  // The intents were audited; if this line is lost, history_problem() says so.
  (void)journal.record(events_of(applied.plan, applied.steps));
  return applied;
}

Result<Applied> rehearse(const Plan& plan, Actuator& actuator) {
  DryRun dry_run(actuator);
  auto steps = check_before(plan, dry_run);
  if (!steps) return std::unexpected(steps.error());
  Applied applied{.plan = id_of(plan), .steps = *std::move(steps)};
  applied.failure = write_and_read_back(applied.steps, dry_run, {}).failure;
  return applied;
}

}  // namespace ankus
