// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "plan/plan.h"

namespace ankus {

/// irqbalance keeps one list of what it leaves alone, which a command replaces. A rule wishes for
/// its own interrupts; this adds what others have told irqbalance, now or before us. Where no
/// irqbalance runs there is nobody to ask, and nothing is wished for.
Desired with_bans_of_others(const PlanInput& input);

/// Why irqbalance cannot be told what is wished for, if that is so.
std::optional<std::string> why_not_told(const Wish& wish, const Setting& current);

}  // namespace ankus
