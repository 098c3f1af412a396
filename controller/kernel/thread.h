// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/cpu_set.h"
#include "base/result.h"
#include "kernel/procfs.h"

namespace ankus {

/// "Cpus_allowed_list:" in /proc/TID/status.
std::optional<CpuSet> parse_thread_affinity(std::string_view status);
/// The CPUs that a thread may run on: what was asked for, cut to its cpuset. From /proc, which does
/// not leave out the CPUs that are offline now, as sched_getaffinity(2) does.
Result<CpuSet> thread_affinity(const Procfs& procfs, std::int32_t tid);
/// Asks for it. The kernel cuts the set to the thread's cpuset without a word, and refuses it
/// (EINVAL) if nothing is left: read it back.
Result<void> set_thread_affinity(std::int32_t tid, const CpuSet& cpus);
/// Asks for all CPUs that there may ever be: what is in effect then is the cpuset's choice. Since
/// 6.2 the kernel remembers what was asked for (user_cpus_ptr), and nothing can make it forget.
Result<void> free_thread_affinity(std::int32_t tid);

}  // namespace ankus
