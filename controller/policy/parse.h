// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace ankus {

/// Something wrong in a policy file, for the person who wrote it.
struct PolicyError {
  std::string file;
  int line = 0, column = 0;  ///< from 1
  std::string key;  ///< "link.eth0.rate" or `rule "mice first": bandwidth.limit`; may be ""
  std::string text;

  bool operator==(const PolicyError&) const = default;
};
/// "policies/x.toml:12:3: link.eth0.rate: 200 has no unit; ..."
std::string to_text(const PolicyError& error);

/// All errors, in the order of their lines; the policy is to be used only if there are none.
struct ParsedPolicy {
  Policy policy;
  std::vector<PolicyError> errors;
};
/// Pure: text in, value out. `file` is only for the errors. Any bytes may be handed in.
ParsedPolicy parse_policy(std::string_view text, std::string_view file);

}  // namespace ankus
