// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/latency.h"
#include "verify/samples.h"

namespace ankus {

/// What is known of a workload at one moment; totals only grow.
struct WorkloadTotals {
  WorkloadId workload = 0;
  std::string name;
  Weight weight = Weight::unknown;
  bool guest = false;  ///< a VM: what its packets wait for at the tap is this host's doing
  Bytes moved;
  std::uint32_t elephants = 0;  ///< open now
  Bytes by_elephants;           ///< of what was moved
  TcpHealth tcp;
  Histogram rtt;                 ///< TCP's round trips, as far as they were sampled
  std::uint32_t rtt_one_in = 1;  ///< of so many packets one tells of its round trip now

  bool operator==(const WorkloadTotals&) const = default;
};

/// The host's own counters at one moment; totals but where it says "now". None: cannot be read.
struct HostTotals {
  std::optional<std::uint64_t> softnet_drops, softnet_squeezes, qdisc_drops, queue_drops;
  std::optional<nanoseconds> memory_stalled;   ///< PSI "some", since boot
  std::optional<nanoseconds> qdisc_backlog;    ///< now, as time at the link's rate
  std::optional<Share> cpu_busy, cpu_softirq;  ///< of the busiest CPU, since the look before
  std::optional<Share> most_softirq;           ///< of the CPU with the most of it, likewise

  bool operator==(const HostTotals&) const = default;
};

/// One look at everything that a verdict is made of.
struct Look {
  MonotonicTime at;
  LatencyReading latency;  ///< since the sensor's window began
  std::vector<WorkloadTotals> workloads;
  HostTotals host;
};

/// Makes Samples of the looks during one window, a slice from each look to the next. All looks must
/// be at readings of one window of the latency sensor. Light workloads are watched, heavy and mixed
/// ones may veto; by their weight at the last look. A turn that comes late may find the sensor's
/// window over: what was seen until then stays.
class SampleWindow {
 public:
  void add(Look look);
  std::size_t slices() const { return looks_.empty() ? 0 : looks_.size() - 1; }
  Samples samples() const;

 private:
  std::vector<Look> looks_;
};

}  // namespace ankus
