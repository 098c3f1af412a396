// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/observer.h"
#include "kernel/netlink.h"
#include "sense/latency.h"
#include "verify/window.h"

namespace ankus {

/// The eyes of the verdict: opens windows of the latency sensor and looks at everything that a
/// verdict is made of. Costs nothing while no window is open.
class EffectProbe {
 public:
  /// Of so many packets of heavy workloads one is measured: they make nearly all packets, and a
  /// verdict needs no latency of theirs.
  static constexpr std::uint32_t kHeavyOneIn = 64;

  explicit EffectProbe(Observer& observer);

  /// Opens a window of at most `length`; what was counted before is forgotten. Of so many packets
  /// one is measured, of all workloads alike; by default as a verdict needs it.
  Result<void> begin(nanoseconds length, MonotonicTime now,
                     std::optional<std::uint32_t> one_in = std::nullopt);
  void end();
  /// When the open window is over; none is open otherwise.
  std::optional<MonotonicTime> until() const { return until_; }
  /// To be called each second: ends the window when its time is over, measures less where measuring
  /// costs too much, and says so.
  std::optional<std::string> tend(MonotonicTime now);

  /// Everything as it is now, since the window began.
  Result<Look> look(const Snapshot& snapshot, MonotonicTime now);
  /// The host's own counters, which need no window.
  HostTotals host_totals(const Snapshot& snapshot);
  /// The last window, also after its end.
  const LatencyReading& latency();
  /// What is measured less finely than it could be, or why nothing is; also before any window.
  std::vector<std::string> downgrades() const;

 private:
  Result<void> open();
  Result<void> spare_heavy();
  Result<void> read();

  Observer* observer_;
  std::vector<std::string> kernel_lacks_;
  std::optional<LatencySensor> sensor_;
  std::optional<std::string> trouble_;
  std::optional<NetlinkSocket> socket_;
  std::optional<MonotonicTime> until_;
  std::uint32_t rtt_one_in_ = Observer::kTcpOneIn;
  LatencyReading reading_;
};

/// Of so many packets one has to be measured so that a window of `length` holds enough of each
/// light workload for a verdict (300), twice that on average; a power of two. At most 16, which
/// keeps a request within 2 % of its time (docs/benchmarks.md); 1 where one of them sends 30 a
/// second, or none sends more. Workloads below that are too slow to be judged whatever is measured.
std::uint32_t one_in_for(const Snapshot& snapshot, nanoseconds length);

/// Of the busiest CPU its time in softirq, too; and the most of any CPU, which may be another.
void take_cpus(HostTotals& totals, const std::vector<Cpu>& cpus);

/// How long something waited for memory since boot (Documentation/accounting/psi.rst): "some".
std::optional<nanoseconds> parse_memory_pressure(std::string_view text);

}  // namespace ankus
