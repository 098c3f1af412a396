// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace ankus {

/// A policy and the file that it comes from.
struct PolicyFile {
  std::string name;
  Policy policy;
};

struct MergedPolicies {
  Policy policy;
  std::vector<std::string> errors;  ///< one line each; with any, the policy is not to be used
};

/// Files as one policy, in their order: rules and links add up, of everything else the last file
/// counts in which it is not the default.
MergedPolicies merge_policies(std::span<const PolicyFile> files);

}  // namespace ankus
