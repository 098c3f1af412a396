// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/cpu_set.h"
#include "base/result.h"

namespace ankus {

/// The CPUs that a thread may run on: what was asked for, cut to its cpuset (sched_getaffinity(2)).
Result<CpuSet> thread_affinity(std::int32_t tid);
/// Asks for it. The kernel cuts the set to the thread's cpuset without a word, and refuses it
/// (EINVAL) if nothing is left: read it back.
Result<void> set_thread_affinity(std::int32_t tid, const CpuSet& cpus);

}  // namespace ankus
