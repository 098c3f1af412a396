// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "base/result.h"
#include "ctl/command.h"
#include "ctl/exit_code.h"
#include "ctl/http.h"
#include "ctl/table.h"

namespace ankus::ctl {

/// What ankusctl prints, and how it ends.
struct Answer {
  ExitCode code = ExitCode::ok;
  std::string out;  ///< for standard output
  std::string err;  ///< for standard error
};

/// The answer to `command` if the daemon sent `reply`.
Answer answer_of(const Command& command, const HttpReply& reply, Style style);

/// Says what is in a policy, or what is wrong with it: (text, file name) -> a line for people.
using CheckPolicy = std::function<Result<std::string>(const std::string&, const std::string&)>;

/// Carries a command out: reads its policy file, calls the daemon, prints. `watch` prints until it
/// is interrupted.
ExitCode run(const Command& command, const CheckPolicy& check_policy, Style style, bool on_terminal,
             std::ostream& out, std::ostream& err);

}  // namespace ankus::ctl
