// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/wire.h"
#include "kernel/bpf.h"
#include "model/flow.h"
#include "sense/programs.h"

namespace ankus {

/// When a flow is fast, and when an elephant; in absolute numbers (of one link's rate).
struct FlowTiming {
  nanoseconds fast_window{milliseconds(100)}, fast_hold{seconds(1)};
  nanoseconds prove{milliseconds(200)}, admission_hold{seconds(1)};
  Bytes elephant_bytes{10'000'000};
  std::optional<Bytes> elephant_window_bytes;  ///< none: no rate rule
  nanoseconds elephant_window{seconds(1)}, elephant_calm{seconds(5)};
  nanoseconds last_packets{milliseconds(20)};  ///< so long an ended flow keeps its place
  std::uint32_t flows_per_owner = 16384;
  std::uint64_t netns_cookie = 0;
};

/// Where the kernel side counts what came for each entry of an indirection table.
struct TableRows {
  std::uint32_t first = 0, size = 0;  ///< size 0: not counted
  bool operator==(const TableRows&) const = default;
};

/// A device as the kernel side needs to know it.
struct SensedDevice {
  std::uint32_t ifindex = 0;
  bool uplink = false;  ///< else a workload's
  WorkloadId owner = 0;
  bool ifb = false;             ///< stands for what an uplink receives
  bool ingress_on_ifb = false;  ///< of an uplink: its ifb sees what it receives
  bool guest = false;           ///< a VM's tap: its TCP is not this kernel's
  std::uint32_t header_bytes = 14;
  Bytes fast_bytes;  ///< per fast_window
  BitRate admission;
  Bytes admission_burst, admission_burst_others;  ///< of light and new workloads, of others
  std::uint16_t major = 0;                        ///< of the tree on it; 0: only watched
  std::uint16_t probation_class = 0;
  TableRows table_rows;  ///< of an uplink, from BucketCounts
  bool operator==(const SensedDevice&) const = default;
};

/// What a workload's traffic amounts to since the maps were made.
struct Usage {
  Bytes transmitted, received, by_elephants;
  std::uint64_t packets_out = 0, packets_in = 0, new_flows = 0;
  bool operator==(const Usage&) const = default;
};

struct FlowEvent {
  enum class Kind { elephant_begins, elephant_ends, table_full };
  Kind kind = Kind::elephant_begins;
  WorkloadId owner = 0;
  MonotonicTime at;  ///< in the kernel, at the packet that crossed the line
  Flow flow;         ///< as far as the event says
};

/// The kernel side's counters (ankus_counter in bpf/wire.h), summed over CPUs.
using Counters = std::array<std::uint64_t, ANKUS_COUNTERS>;

/// A flow's entry as a value for people.
Flow flow_of(const ankus_flow_key& key, const ankus_flow& flow, std::uint32_t now_jiffies,
             nanoseconds tick);

/// The maps behind the sensors, typed. Does not own them.
class FlowTable {
 public:
  /// Fails if the maps cannot be mapped or the ring buffer cannot be read.
  static Result<FlowTable> open(const Programs& programs);

  Result<void> set_timing(const FlowTiming& timing) const;
  Result<void> set_device(const SensedDevice& device) const;
  Result<void> forget_device(std::uint32_t ifindex) const;
  Result<void> set_cgroup(std::uint64_t cgroup_id, WorkloadId owner) const;
  Result<void> forget_cgroup(std::uint64_t cgroup_id) const;

  /// All flows but aliases, in no order.
  Result<std::vector<Flow>> flows() const;
  /// Removes flows that were idle for longer than `idle`, or for longer than `idle_ended` and
  /// ended, and gives their places back. An elephant that is swept is reported as ended to
  /// `on_end`.
  Result<std::size_t> sweep(nanoseconds idle, nanoseconds idle_ended,
                            const std::function<void(const FlowEvent&)>& on_end) const;
  Result<Usage> usage(WorkloadId workload) const;
  Result<Counters> counters() const;

  /// For epoll; readable when events wait.
  int events_fd() const;
  /// Hands over all waiting events.
  void read_events(const std::function<void(const FlowEvent&)>& each);

  std::uint32_t capacity() const { return capacity_; }
  /// The kernel memory that `flows` entries cost: key, value and the hash's own 48 bytes and
  /// bucket.
  static Bytes memory_for(std::uint32_t flows);

 private:
  struct Events {
    std::function<void(const FlowEvent&)> each;
  };
  static int take_event(void* context, void* data, std::size_t size);

  bpf::Map<ankus_flow_key, ankus_flow> flows_;
  bpf::Map<std::uint32_t, ankus_device> devices_;
  bpf::Map<std::uint64_t, std::uint32_t> cgroups_;
  bpf::Map<std::uint32_t, ankus_usage> usage_;
  bpf::Map<std::uint32_t, ankus_config> config_;
  bpf::Map<std::uint32_t, std::uint64_t> counters_;
  bpf::MappedArray<ankus_bucket> buckets_;
  std::unique_ptr<Events> events_;
  Handle<ring_buffer, ring_buffer__free> ring_;
  const Programs* programs_ = nullptr;
  std::uint32_t capacity_ = 0;
};

}  // namespace ankus
