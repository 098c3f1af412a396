// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "policy/parse.h"

namespace ankus {

struct PolicySource {
  std::string file;
  std::size_t rules = 0;
  bool operator==(const PolicySource&) const = default;
};

/// The policies in force, as one.
struct LoadedPolicies {
  Policy policy;
  std::vector<PolicySource> sources;
};

/// Reads the files, or the *.toml of `directory` by name if there are none, and merges them
/// (policy/merge.h). One bad file spoils all: a set of policies is taken as a whole or not at all.
/// No policy at all is an empty one.
Result<LoadedPolicies> load_policies(const std::vector<std::string>& files,
                                     const std::string& directory);

/// One policy that came by the socket, under the name that its sender gave.
Result<LoadedPolicies> policy_from_text(const std::string& text, const std::string& name);

}  // namespace ankus
