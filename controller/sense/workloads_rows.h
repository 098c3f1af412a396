// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "sense/flow_table.h"
#include "sense/programs.h"
#include "sense/workloads.h"

namespace ankus {

/// So many has ankus_cgroups (bpf/maps.h).
inline constexpr std::size_t kCgroupRows = 4 * ANKUS_MAX_WORKLOADS;

// What the BPF maps say of workloads, where an earlier workload or an earlier run left it.

/// The kernel's id of the flow map: which set of maps this is, never the same again in one boot.
Result<std::uint32_t> maps_id(const Programs& programs);

/// Makes the numbers as if nobody had ever had them: their flows, classes and buckets go. Usage
/// only grows and is left; who measures it takes a baseline at first sight.
Result<void> clear_workloads(const Programs& programs, const std::set<WorkloadId>& numbers);

/// Of a map from cgroup ids, or inodes of network namespaces.
using WorkloadRows = std::map<std::uint64_t, WorkloadId>;

/// Brings `told`, which is what the kernel side has, to `wanted`; first what goes, so that there is
/// room for what comes. A row that fails stays in `told` as it is in the map, so that the next call
/// tries it again; all are tried, and the first failure is returned.
Result<void> tell_rows(WorkloadRows& told, const WorkloadRows& wanted,
                       const std::function<Result<void>(std::uint64_t, WorkloadId)>& set,
                       const std::function<Result<void>(std::uint64_t)>& forget);

/// Has the map no room for all cgroups, nobody's many cgroups are at the cost of others: each
/// workload has as many as all others may have too. Its own it has in this order: those with
/// processes, then the oldest. Returns how many were left out.
std::uint64_t share_room(std::vector<CgroupOwner>& owners, std::span<const Cgroup> cgroups,
                         std::size_t room = kCgroupRows);

/// cgroup id -> number, as the kernel side has it.
Result<WorkloadRows> cgroup_rows(const Programs& programs);
/// ifindex -> number, of the devices that the kernel side takes for workloads'.
Result<std::map<std::uint32_t, WorkloadId>> workload_device_rows(const Programs& programs);

}  // namespace ankus
