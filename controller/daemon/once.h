// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "act/undo.h"
#include "daemon/controller.h"

namespace ankus {

/// `ankusd --once`: watches for a while with a progress line, plans, and applies if the mode is
/// enforce and it is no dry run. Prints what a person asked for; returns the exit code.
int run_once(const Options& options, Controller& controller, Observer& observer, Actuator& actuator,
             const Clock& clock);

/// What `ankusd --rollback` says; nullopt: nothing waited for a confirmation.
std::string rollback_text(const std::optional<Undone>& undone, bool json);

/// The audit of a plan for people: workloads with their footprints, actions, refusals.
std::string audit_text(const Snapshot& snapshot, const std::vector<Flow>& flows, const Plan& plan,
                       const std::string& policy);

}  // namespace ankus
