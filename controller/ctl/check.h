// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "ctl/answer.h"

namespace ankus::ctl {

struct PolicyText {
  std::string file;
  Result<std::string> text;  ///< or why it cannot be read
};

/// Parses and validates policies without a daemon, each by itself and all as one: what is in them,
/// or all that is wrong with them.
Answer check_policies(std::span<const PolicyText> files, bool as_json);

}  // namespace ankus::ctl
