// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/plan.h"

namespace ankus {

/// The parts of a plan that are done or left as a whole: a device's tree with that of its ifb, the
/// interrupts together with irqbalance's list, any other knob by itself. Each in the plan's order.
/// The table of workloads is part of none.
std::vector<Plan> wholes_of(const Plan& plan);

/// A plan without what may not be done now.
struct Sifted {
  Plan free;
  std::optional<std::string> why;  ///< the first part that was left out
};
/// Leaves out each whole for which `refuses` says why; the table of workloads goes with the rest.
Sifted sift(const Plan& plan,
            const std::function<std::optional<std::string>(const Plan&)>& refuses);

/// The wholes of which each action `is_removal`; the table of workloads, if that is one.
struct Unwanted {
  Plan removals, rest;
};
Unwanted unwanted_of(const Plan& plan, const std::function<bool(const Action&)>& is_removal);

}  // namespace ankus
