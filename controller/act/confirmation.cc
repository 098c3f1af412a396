// SPDX-License-Identifier: Apache-2.0
#include "act/confirmation.h"

#include <algorithm>

#include "act/recover.h"

namespace ankus {
namespace {

/// Ends the waiting for a plan of which nothing is in force any more.
Result<void> stop_waiting(const Confirmation& confirmation, const std::string& by,
                          Journal& journal) {
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());
  controls->confirmation.reset();
  controls->unjudged.reset();
  if (!confirmation.on_trial) controls->hold = kUndoOf + confirmation.plan + " by " + by;
  return journal.set_controls(*controls);
}

Result<std::optional<Undone>> undo_unconfirmed(const Confirmation& confirmation,
                                               const std::string& by, Actuator& actuator,
                                               Journal& journal, const Clock& clock) {
  // The process that applied it may have died at it: until then nobody knows what is in force.
  auto recovered = recover(actuator, journal, clock);
  if (!recovered) return std::unexpected(recovered.error());
  auto runs = journal.runs();
  if (!runs) return std::unexpected(runs.error());
  const bool in_force = std::ranges::any_of(
      *runs, [&](const Run& r) { return r.id == confirmation.run && r.state == RunState::done; });
  if (!in_force) {  // drift has dropped it all, or it was taken back just now
    if (auto ended = stop_waiting(confirmation, by, journal); !ended)
      return std::unexpected(ended.error());
    Undone undone{.what = kUndoOf + confirmation.plan};
    const auto it = std::ranges::find(*recovered, confirmation.plan, &Recovered::plan);
    if (it != recovered->end()) {
      undone.steps = std::move(it->steps);
      undone.degraded = std::move(it->degraded);
    }
    return std::optional<Undone>(std::move(undone));
  }
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());
  auto undone = undo(actuator, journal, clock,
                     {.by = by,
                      .id = confirmation.plan,
                      .hold = confirmation.on_trial ? Hold::no : Hold::until_resume,
                      .again = !controls->degraded.empty()});
  if (!undone) return std::unexpected(undone.error());
  return std::optional<Undone>(*std::move(undone));
}

}  // namespace

Result<std::string> confirm(Journal& journal, const Clock& clock, const std::string& by,
                            ConfirmedBy who) {
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());
  if (!controls->confirmation) return fail(ErrorKind::invalid, "no plan waits for a confirmation");
  const std::string plan = controls->confirmation->plan;
  if (controls->confirmation->on_trial && who != ConfirmedBy::verdict)
    return fail(ErrorKind::refused, "plan " + plan +
                                        " is on trial: its verdict keeps or undoes it; `ankusctl "
                                        "rollback " +
                                        plan + "` undoes it now");
  if (controls->confirmation->deadline <= clock.boot())
    return fail(ErrorKind::refused,
                "too late: the time to confirm plan " + plan + " is over, it is being undone");
  controls->confirmation.reset();
  if (auto set = journal.set_controls(*controls); !set) return std::unexpected(set.error());
  const Event event{.kind = "confirmed", .plan = plan, .text = "confirmed by " + by};
  (void)journal.record({&event, 1});  // history may fail; history_problem() says so
  return plan;
}

Result<std::optional<Confirmation>> expired(Journal& journal, const Clock& clock) {
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());
  if (controls->confirmation && controls->confirmation->deadline <= clock.boot())
    return controls->confirmation;
  return std::optional<Confirmation>{};
}

Result<std::optional<Undone>> undo_expired(Actuator& actuator, Journal& journal,
                                           const Clock& clock) {
  auto over = expired(journal, clock);
  if (!over) return std::unexpected(over.error());
  if (!*over) return std::optional<Undone>{};
  return undo_unconfirmed(**over, "the deadline to confirm " + (*over)->plan, actuator, journal,
                          clock);
}

Result<std::optional<Undone>> undo_cut_off_trial(Actuator& actuator, Journal& journal,
                                                 const Clock& clock) {
  auto controls = journal.controls();
  if (!controls) return std::unexpected(controls.error());
  if (!controls->confirmation || !controls->confirmation->on_trial) return std::optional<Undone>{};
  return undo_unconfirmed(*controls->confirmation, "a start that found a trial without its verdict",
                          actuator, journal, clock);
}

}  // namespace ankus
