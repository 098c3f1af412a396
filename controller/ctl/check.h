// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ctl/answer.h"

namespace ankus::ctl {

/// Parses and validates a policy without a daemon: what is in it, or all that is wrong with it.
Answer check_policy(const std::string& text, const std::string& file, bool as_json);

}  // namespace ankus::ctl
