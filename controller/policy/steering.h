// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/plan.h"
#include "model/snapshot.h"
#include "policy/policy.h"

namespace ankus {

/// Adds what the irq, rps, xps, vhost and napi rules want: never CPUs that are offline, isolated,
/// nohz_full or protected, nor outside a thread's cpuset; where that leaves none, a refusal.
void add_steering(const Snapshot& snapshot, const Policy& policy, Desired& desired);

}  // namespace ankus
