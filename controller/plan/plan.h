// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>

#include "model/held.h"
#include "model/plan.h"

namespace ankus {

/// What the host is, as far as a plan needs it.
struct PlanInput {
  /// One reading of each knob that is desired or held. Error{gone} where its device is not there.
  const std::map<Knob, Result<Setting>>& current;
  const Desired& desired;
  std::span<const HeldKnob> held;    ///< in the order in which they were taken
  std::span<const CededKnob> ceded;  ///< those whose time is not over
};

/// The difference between what is and what is desired. First, what we hold and nobody wants any
/// more goes back to its original, last taken first; then the wishes, in their order, as far as
/// they are not in force. What is not ours to change becomes a refusal, together with all that
/// cannot work without it.
Plan make_plan(const PlanInput& input);

}  // namespace ankus
