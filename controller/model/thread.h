// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu_set.h"
#include "base/units.h"
#include "model/device.h"
#include "model/workload.h"

namespace ankus {

/// A thread that moves packets for a workload or a device.
struct NetThread {
  enum class Kind { vhost, napi };
  Kind kind = Kind::vhost;
  std::int32_t tid = 0;
  std::uint64_t started = 0;  ///< field 22 of proc(5)'s stat
  std::string name;           ///< "vhost-1234", "napi/eth0-65"
  WorkloadId workload = 0;    ///< vhost: the VM; 0 if nobody known
  Device device;              ///< vhost: the VM's first tap; napi: the device that is polled
  /// vhost: of the VM's further taps. Which of them a thread serves the kernel does not tell, so
  /// that it may be any.
  std::vector<WorkloadId> other_workloads;
  CpuSet affinity;
  CpuSet allowed;  ///< by its cpuset
  CpuSet vcpus;    ///< vhost: where the VM's own threads may run
  Share busy;      ///< of one CPU

  /// May carry packets of `workload`.
  bool may_serve(WorkloadId id) const {
    return id != 0 &&
           (id == workload || std::ranges::find(other_workloads, id) != other_workloads.end());
  }
  bool operator==(const NetThread&) const = default;
};
std::string_view to_text(NetThread::Kind kind);

}  // namespace ankus
