// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/snapshot.h"
#include "policy/policy.h"

namespace ankus {

/// Where a piece of work belongs.
struct Place {
  std::optional<CpuSet> local;  ///< the CPUs of its NUMA nodes; none: it is on no node
  CpuSet allowed;               ///< by its cpuset; empty: everywhere
  /// Whose own CPUs need not be avoided for it.
  std::vector<WorkloadId> owners;
};

/// The CPUs that a rule's choice comes to, and why these; or none, and why.
struct CpuChoice {
  CpuSet cpus;
  std::string reason;
};
CpuChoice choose_cpus(const Snapshot& snapshot, const Policy& policy, const Steering& wanted,
                      const Place& place);

/// What of a rule's list cannot be used on this host whatever it is for: "8-9 are not online"; ""
/// if all of it can.
std::string unusable_text(const Snapshot& snapshot, const Policy& policy, const Steering& wanted);

/// The CPUs on the nodes of `these`.
CpuSet cpus_near(const Topology& topology, const CpuSet& these);

}  // namespace ankus
