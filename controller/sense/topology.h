// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "kernel/procfs.h"
#include "kernel/sysfs.h"
#include "model/topology.h"

namespace ankus {

/// Where a host's CPUs are described; a test gives others.
struct TopologyRoots {
  Sysfs sys;
  Procfs proc;
  std::string cgroup;  ///< "" is: no cgroup v2 on this host
};

/// What one CPU has done since boot. Times in clock ticks (proc(5), /proc/stat).
struct CpuCounters {
  std::uint64_t all = 0, idle = 0, softirq = 0;  ///< idle: waiting for I/O included
  std::uint32_t dropped = 0, squeezed = 0;       ///< wrap around (softnet_stat)
  bool operator==(const CpuCounters&) const = default;
};
using CountersOfCpus = std::map<std::uint32_t, CpuCounters>;

/// The lines "cpuN" of /proc/stat: online CPUs only.
CountersOfCpus parse_cpu_times(std::string_view stat);
/// Adds what /proc/net/softnet_stat says. It has rows of online CPUs only, which say whose they are
/// since 5.10 (softnet_seq_show() in net/core/net-procfs.c); before that the order tells.
void add_softnet(std::string_view softnet, CountersOfCpus& counters);

/// Reads the host's CPUs. Cheap enough for each second: six files, before 6.7 one more for each
/// cgroup below the root; what is said of each CPU is read
/// again only when CPUs come or go.
class TopologyReader {
 public:
  /// Shares are means over at least this time: clock ticks are 10 ms.
  static constexpr milliseconds kShortestMean{500};

  explicit TopologyReader(TopologyRoots roots) : roots_(std::move(roots)) {}

  /// Until the second reading nothing is known of load, which then reads as 0.
  Result<Topology> read(MonotonicTime now);

 private:
  Result<void> describe(const std::string& online);
  CpuSet isolated() const;
  void measure(MonotonicTime now);

  TopologyRoots roots_;
  std::string online_;     ///< the text that described_ is for
  std::vector<Cpu> cpus_;  ///< as last described and measured
  CountersOfCpus counters_;
  std::optional<MonotonicTime> counted_;
};

}  // namespace ankus
