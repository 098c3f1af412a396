// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "daemon/options.h"

namespace ankus {

/// The dead man's switch: undoes an unconfirmed plan even if the daemon is killed and never comes
/// back. A transient systemd timer, or, where systemd does not run, a detached process that sleeps.
/// Both run `ankusd --rollback --pending`, which does nothing when all is confirmed.
/// Returns what was armed, for people.
Result<std::string> arm_deadman(const Options& options, nanoseconds within);
/// Takes the timer away; a detached process is left to find nothing to do.
void disarm_deadman();

}  // namespace ankus
