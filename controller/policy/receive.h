// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/plan.h"
#include "model/snapshot.h"
#include "policy/policy.h"

namespace ankus {

/// Adds what the `receive` rules want of RSS tables. A table that is held and fits is wished for
/// again until the balancer has a better one, so that it is not put back meanwhile.
void add_receive(const Snapshot& snapshot, const Policy& policy, Desired& desired);

}  // namespace ankus
