// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "daemon/options.h"

namespace ankus {

/// The dead man's switch: undoes an unconfirmed plan even if the daemon is killed and never comes
/// back. A transient systemd timer; or, where systemd does not run, or would run it in another
/// network namespace than ours, a detached process that sleeps. Both run `ankusd --rollback
/// --pending`, which does nothing when all is confirmed. Returns what was armed, for people.
Result<std::string> arm_deadman(const Options& options, nanoseconds within);
/// Takes the timer away; a detached process is left to find nothing to do.
void disarm_deadman(const Options& options);

/// What systemd knows the switch by: each instance of Ankus has its own.
std::string deadman_unit(const std::string& runtime_dir);
/// The exit code of a command found in PATH; -1 if it cannot be run, ended by a signal, or was
/// killed as it took longer than `limit`.
int run_and_wait(const std::vector<std::string>& command, std::chrono::milliseconds limit);
/// If two files of proc(5)'s /proc/PID/ns are the same namespace; not if one cannot be read.
bool is_same_namespace(const std::string& a, const std::string& b);

}  // namespace ankus
