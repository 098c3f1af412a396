// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/plan.h"
#include "model/snapshot.h"
#include "policy/policy.h"

namespace ankus {

/// What the policy wants on this host: pure, and the same for equal arguments. Wishes come in the
/// order in which they must be made; a device that cannot be shaped has a refusal and no wishes.
Desired evaluate(const Snapshot& snapshot, const Policy& policy);

}  // namespace ankus
