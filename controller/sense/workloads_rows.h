// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>

#include "sense/flow_table.h"
#include "sense/programs.h"

namespace ankus {

// What the BPF maps say of workloads, where an earlier workload or an earlier run left it.

/// The kernel's id of the flow map: which set of maps this is, never the same again in one boot.
Result<std::uint32_t> maps_id(const Programs& programs);

/// Makes the numbers as if nobody had ever had them: their flows, classes and buckets go. Usage
/// only grows and is left; who measures it takes a baseline at first sight.
Result<void> clear_workloads(const Programs& programs, const std::set<WorkloadId>& numbers);

/// cgroup id -> number, as the kernel side has it.
Result<std::map<std::uint64_t, WorkloadId>> cgroup_rows(const Programs& programs);
/// ifindex -> number, of the devices that the kernel side takes for workloads'.
Result<std::map<std::uint32_t, WorkloadId>> workload_device_rows(const Programs& programs);

}  // namespace ankus
