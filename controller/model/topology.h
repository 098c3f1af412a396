// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/cpu_set.h"
#include "base/units.h"

namespace ankus {

/// One CPU of the host, and how busy it was over the last observation.
struct Cpu {
  std::uint32_t number = 0;
  std::uint32_t core = 0;  ///< the lowest number among its SMT siblings
  std::uint32_t package = 0;
  std::uint32_t node = 0;          ///< NUMA
  Share busy;                      ///< all but idle and waiting for I/O
  Share softirq;                   ///< of the time, spent in softirqs: mostly receiving packets
  double dropped_per_second = 0;   ///< packets, at netdev_max_backlog (softnet_stat)
  double squeezed_per_second = 0;  ///< rounds that ran out of budget (softnet_stat)

  bool operator==(const Cpu&) const = default;
};

/// The host's CPUs, and which of them may be used.
struct Topology {
  std::vector<Cpu> cpus;  ///< that are online, ascending
  CpuSet isolated;        ///< isolcpus= and isolated cpuset partitions: never used
  CpuSet nohz_full;       ///< never used either: an interrupt would end the quiet there
  CpuSet rps_default;     ///< net.core.rps_default_mask: what new queues get

  CpuSet online() const;
  /// Online, and neither isolated nor nohz_full.
  CpuSet usable() const;
  /// Of the usable ones, those of a NUMA node; all usable ones for a negative node ("none").
  CpuSet usable_on_node(std::int32_t node) const;
  /// How busy these CPUs are on average; none if none of them is online.
  std::optional<Share> busy_of(const CpuSet& some) const;

  bool operator==(const Topology&) const = default;
};

}  // namespace ankus
