// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "act/actuator.h"
#include "journal/journal.h"

namespace ankus {

struct ApplyOptions {
  std::string by = "ankusd";                  ///< who asks, for people
  bool audit_required = true;                 ///< nothing is applied that history cannot record
  std::optional<nanoseconds> confirm_within;  ///< undone after that unless confirmed
  bool on_trial = false;                      ///< a verdict confirms it, and not a person
  bool to_be_judged = false;                  ///< by a verdict that may take it back
};

/// What became of a plan of which something was written, or nothing had to be.
struct Applied {
  std::string plan;
  RunId run = 0;  ///< 0: nothing had to be written
  std::vector<RunStep> steps;
  std::optional<BootTime> deadline;   ///< of the confirmation
  std::optional<Error> failure;       ///< names the step; everything was taken back but `degraded`
  std::vector<std::string> degraded;  ///< what could neither be set nor taken back
};

/// Keeping up the table of workloads is the daemon's daily work, not a change for people to
/// confirm.
enum class Applies { a_change, daily_work };
/// Whether anything may be applied now; the Error says what a person has to do first.
Result<void> may_apply(const Controls& controls, Applies what);

/// Carries out a plan as one transaction: all of it, or nothing. Every knob must read as the plan
/// saw it; intents are recorded before the first write, each write is read back, outcomes are
/// recorded. After a failure exactly what was written is taken back. An Error means that nothing
/// was written, and says why.
Result<Applied> apply(const Plan& plan, Actuator& actuator, Journal& journal, const Clock& clock,
                      const ApplyOptions& options);

/// What apply would do: the same checks and the same writes, into a DryRun, and no journal.
Result<Applied> rehearse(const Plan& plan, Actuator& actuator);

/// How what is held changes once the steps are in force (those whose outcome is done).
HeldChange held_after(const std::vector<RunStep>& steps, std::span<const HeldKnob> held, RunId run,
                      const std::string& plan, const Clock& clock);

}  // namespace ankus
