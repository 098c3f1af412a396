// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "model/knob.h"

namespace ankus {

/// One change: from what to what, and why. Its inverse swaps before and after.
struct Action {
  Knob knob;
  Setting before, after;
  std::string reason;  ///< one line; names the policy rule

  bool operator==(const Action&) const = default;
};
Action inverse(const Action& action);

/// Short and stable: the same knob set to the same value has the same id on each run
/// ("a-3f9c2e1b").
std::string id_of(const Action& action);

/// Something the policy asks for that Ankus will not do here, and why.
struct Refusal {
  std::string what;  ///< "shape eth0"
  std::string why;   ///< "its root qdisc is tbf 1:, which is not ours"
  bool operator==(const Refusal&) const = default;
};

/// Actions in the order in which they are taken; undone in reverse.
struct Plan {
  std::vector<Action> actions;
  std::vector<Refusal> refusals;
  bool operator==(const Plan&) const = default;
};
/// Stable over equal plans ("p-81d0c4aa"); of the actions only.
std::string id_of(const Plan& plan);

/// What the policy wants, before it is compared with what is.
struct Wish {
  Knob knob;
  Setting setting;
  std::string reason;
  bool operator==(const Wish&) const = default;
};
struct Desired {
  std::vector<Wish> wishes;  ///< in the order in which they must be made
  std::vector<Refusal> refusals;
  bool operator==(const Desired&) const = default;
};

}  // namespace ankus
