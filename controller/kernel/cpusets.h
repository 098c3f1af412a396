// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/cpu_set.h"

namespace ankus {

/// The CPUs on which the processes of a cgroup may run (cpuset.cpus.effective): its own, or those
/// of the nearest cgroup above that the cpuset controller reaches. None if it reaches none, or if
/// `path`, which is as /proc/PID/cgroup tells it, lies outside of `root`.
std::optional<CpuSet> cpuset_of(const std::string& root, std::string_view path);

}  // namespace ankus
