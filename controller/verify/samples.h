// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "model/histogram.h"
#include "model/workload.h"

namespace ankus {

/// Whom a packet waits for between two probe points.
enum class SegmentKind {
  in,           ///< the host's network path, towards the workload
  out,          ///< the same, from it
  round_trip,   ///< as TCP measures it: the host's path, the network, and the other side's answer
  application,  ///< has not called read() yet; never judged
};
constexpr bool is_on_host(SegmentKind kind) {
  return kind == SegmentKind::in || kind == SegmentKind::out;
}

/// What one workload's packets spent between two probe points during one window.
///
/// Slices are consecutive parts of the window, of equal length (a second is right): packets that
/// queue behind one another are no independent witnesses, and how much the slices differ says how
/// few witnesses they are. At least four are needed, ten are better.
struct SegmentSamples {
  std::string name;  ///< the two points: "qdisc to uplink"; the same text before and after
  SegmentKind kind = SegmentKind::out;
  std::vector<Histogram> slices;
  Coverage coverage;                ///< of the whole window
  std::vector<std::uint64_t> lost;  ///< dropped by a queue on the way, slice by slice; not above

  bool operator==(const SegmentSamples&) const = default;
};

/// What TCP went through on a workload's connections during one window, all together.
struct TcpHealth {
  std::uint64_t packets_sent = 0;     ///< retransmissions included
  std::uint64_t retransmits = 0;      ///< packets sent again, for whatever reason
  std::uint64_t timeouts = 0;         ///< retransmission timeouts (RTO)
  std::uint64_t bytes_delivered = 0;  ///< acknowledged by the other side

  bool operator==(const TcpHealth&) const = default;
};

/// A light workload whose latency is judged, or is compared with.
struct LightSamples {
  WorkloadId workload = 0;
  std::string name;  ///< for people
  /// Those on the host must not overlap: what is judged is their sum.
  std::vector<SegmentSamples> segments;
  TcpHealth tcp;
  std::vector<std::uint64_t> repeated;  ///< packets sent again, slice by slice
  Bytes moved;                          ///< in the window, both directions

  bool operator==(const LightSamples&) const = default;
};

struct HeavySlice {
  nanoseconds length = seconds(1);
  Bytes moved;
  std::uint64_t timeouts = 0;  ///< retransmission timeouts
  /// It wanted to send: its elephants moved something, or there were some that are held back. A
  /// slice without is not compared.
  bool wanting = true;

  bool operator==(const HeavySlice&) const = default;
};

/// A heavy or mixed workload: what it loses may veto.
struct HeavySamples {
  WorkloadId workload = 0;
  std::string name;
  std::vector<HeavySlice> slices;
  TcpHealth tcp;  ///< for people; what is judged is in the slices
  /// Where its packets wait on the host. Not judged; it tells where the queue is, before and after.
  std::vector<SegmentSamples> segments;

  bool operator==(const HeavySamples&) const = default;
};

/// What the host's own counters say of one window: growth, unless said otherwise. None: nobody
/// could read it, which is not the same as 0.
struct HostCounters {
  /// /proc/net/softnet_stat, second column; slice by slice.
  std::optional<std::vector<std::uint64_t>> softnet_drops;
  std::optional<std::vector<std::uint64_t>> softnet_squeezes;  ///< third: the budget was used up
  std::optional<std::uint64_t> qdisc_drops;                    ///< of the devices concerned
  std::optional<nanoseconds>
      qdisc_backlog;  ///< median of what was seen, as time at the link's rate
  std::optional<std::uint64_t> queue_drops;  ///< the uplinks' NICs had no room (rx_missed, rx_fifo)
  std::optional<Share> cpu_busy;             ///< of the busiest CPU: not idle
  std::optional<Share> cpu_softirq;          ///< the same CPU's time in softirq
  std::optional<Share> most_softirq;         ///< of the CPU with the most time in softirq
  std::optional<Share> memory_stall;  ///< time in which something waited for memory (PSI "some")

  bool operator==(const HostCounters&) const = default;
};

/// All that is measured of one window, before or after an action.
struct Samples {
  nanoseconds length{};
  std::vector<LightSamples> watched;  ///< light workloads that the action is to help
  std::vector<LightSamples> control;  ///< light workloads that it does not touch
  std::vector<HeavySamples> heavy;
  HostCounters host;

  bool operator==(const Samples&) const = default;
};

}  // namespace ankus
