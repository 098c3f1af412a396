// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/cpu_set.h"
#include "base/units.h"
#include "model/device.h"

namespace ankus {

/// The small dense number by which the BPF maps know a workload; another's only long after the
/// workload has vanished. 0 is "nobody": traffic whose owner is not known.
using WorkloadId = std::uint32_t;

enum class WorkloadKind { container, vm, service };
std::string_view to_text(WorkloadKind kind);
std::optional<WorkloadKind> workload_kind_from_text(std::string_view text);

/// What makes two sightings the same workload. Kernel facts only: the cgroup id, together with the
/// directory's birth time where the kernel tells it; a container made by `ip netns` alone has no
/// cgroup of its own and is known by its namespace's inode and the host side of its veth.
struct WorkloadIdentity {
  std::uint64_t cgroup_id = 0;  ///< inode of the cgroup v2 directory, 0 if none of its own
  nanoseconds cgroup_born{};  ///< statx(2) stx_btime, else 0: kernfs has none (ids are not reused),
                              ///< its ctime moves
  std::uint64_t netns_inode = 0;  ///< of /proc/PID/ns/net; 0 for host services
  std::uint32_t ifindex = 0;      ///< host side of the veth, or the tap; 0 for host services

  auto operator<=>(const WorkloadIdentity&) const = default;
};

/// A number and the workload that has it, or had it last.
struct NumberedWorkload {
  WorkloadId number = 0;
  WorkloadIdentity identity;
  std::optional<MonotonicTime> vanished;  ///< none: it is there

  bool operator==(const NumberedWorkload&) const = default;
};

/// What the numbers in one set of BPF maps stand for.
struct WorkloadNumbers {
  std::uint32_t maps = 0;              ///< which set: the kernel's id of its flow map; 0: of none
  std::vector<NumberedWorkload> rows;  ///< ascending by number

  bool operator==(const WorkloadNumbers&) const = default;
};

/// A container, a VM or a host service.
struct Workload {
  WorkloadId id = 0;
  WorkloadKind kind = WorkloadKind::container;
  WorkloadIdentity identity;
  std::optional<Device> device;  ///< host-side veth or tap; none for host services
  std::string name;              ///< for display only: never decides anything
  std::string label;             ///< under which its footprint is remembered
  std::int32_t main_pid = 0;     ///< the first process seen in it, 0 if none was
  CpuSet cpus;                   ///< of its cpuset, where that is not all CPUs; else empty
  bool opted_out = false;        ///< by `ankusctl opt-out`: watched, never acted upon

  bool operator==(const Workload&) const = default;
};

/// How much the network feels of a workload.
enum class Weight { unknown, light, heavy, mixed };
std::string_view to_text(Weight weight);
std::optional<Weight> weight_from_text(std::string_view text);

/// A workload's network footprint: the weight, the numbers it was decided on, and why.
struct Footprint {
  Weight weight = Weight::unknown;
  BitRate transmit;  ///< smoothed over the decision window
  BitRate receive;
  double packets_per_second = 0;
  double new_flows_per_second = 0;
  std::uint32_t elephants = 0;  ///< flows that are elephants now
  Share elephant_share;         ///< of its bytes in the window that elephants moved
  bool learnt = false;          ///< taken from the memory of its label, not yet confirmed here
  std::string reason;           ///< one line with numbers: "moved 182 Mbit/s, 98% by 4 elephants"
  MonotonicTime since;          ///< of this weight

  bool operator==(const Footprint&) const = default;
};

}  // namespace ankus
