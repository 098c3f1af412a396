// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/plan.h"
#include "model/snapshot.h"
#include "policy/policy.h"

namespace ankus {

/// A rule's block as far as it says which devices it is for.
struct DeviceBlock {
  const Rule* rule = nullptr;
  std::string_view device;  ///< a name, kUplink or a glob
};

/// A device and the rule that decides about it.
struct Target {
  const Rule* rule = nullptr;
  const DeviceQueues* device = nullptr;
  bool named = false;  ///< not merely covered by a glob: why nothing is done must be said
};

/// Each device at most once, in the snapshot's order: a rule that names it decides before those for
/// kUplink, these before globs; of equal ones the first that matches. What is named and cannot be
/// touched is refused as "`what` NAME"; `what` is for people ("receive queues of").
std::vector<Target> targets(const Snapshot& snapshot, const Policy& policy,
                            const std::vector<DeviceBlock>& blocks, std::string_view what,
                            std::vector<Refusal>& refusals);

/// The workload whose veth or tap it is.
const WorkloadState* workload_of(const Snapshot& snapshot, const Device& device);

/// Why it must not be touched, "" if it may.
std::string protection_of(const Policy& policy, const Device& device);

/// What we wrote last, nullptr if we do not hold it.
const Setting* held_setting(const Snapshot& snapshot, const Knob& knob);

}  // namespace ankus
