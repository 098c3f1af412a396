// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace ankus {

/// In one file, and in all together.
inline constexpr std::size_t kMaxRules = 256;
/// At most so many bandwidth rules may name one device: each is a class of its tree.
inline constexpr std::size_t kMaxBlocksPerDevice = 16;

/// Something wrong between rules: `rule` is the index of the one to point at.
struct Contradiction {
  std::size_t rule = 0;
  std::string_view block;  ///< of it: "bandwidth"
  std::string text;

  bool operator==(const Contradiction&) const = default;
};

/// What no single value shows: guarantees that add up to more than there is, too many blocks for
/// one device, rules that can never apply.
std::vector<Contradiction> cross_check(const Policy& policy);

}  // namespace ankus
