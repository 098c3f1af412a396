// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ctl/exit_code.h"

namespace ankus::ctl {

/// What ankusctl prints, and how it ends.
struct Answer {
  ExitCode code = ExitCode::ok;
  std::string out;  ///< for standard output
  std::string err;  ///< for standard error

  bool operator==(const Answer&) const = default;
};

}  // namespace ankus::ctl
