// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>

#include "ctl/answer.h"
#include "ctl/command.h"
#include "ctl/exit_code.h"
#include "ctl/http.h"
#include "ctl/table.h"

namespace ankus::ctl {

/// The answer to `command` if the daemon sent `reply`.
Answer answer_of(const Command& command, const HttpReply& reply, Style style);

/// Carries a command out: reads its policy file, calls the daemon, prints. `watch` prints until it
/// is interrupted.
ExitCode run(const Command& command, Style style, bool on_terminal, std::ostream& out,
             std::ostream& err);

}  // namespace ankus::ctl
