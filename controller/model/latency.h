// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "model/histogram.h"
#include "model/workload.h"

namespace ankus {

/// A part of a packet's way through the host, named by its two probe points. Towards the workload
/// up to `in_and_read`, from it after; `in`, `in_and_read` and `out` span others. "Device" is the
/// host's side of the workload's device, "container" the device inside its namespace.
enum class LatencySegment : std::uint8_t {
  host_in,         ///< uplink to device: routing, netfilter, an ifb's queue
  ifb,             ///< the ifb's qdisc alone, a part of host_in
  stack_in,        ///< device to socket
  read,            ///< socket to read: waits for the application
  stack_and_read,  ///< device to read, where nothing fires at the socket; of a VM: until it takes
                   ///< it
  in,              ///< uplink to socket
  in_and_read,     ///< uplink to read, where nothing fires at the socket
  send,            ///< tcp_sendmsg to the first device: TCP's own queue and windows
  container_out,   ///< container to device
  host_out,        ///< device to uplink: routing, netfilter
  qdisc,           ///< in the uplink's qdisc
  out,             ///< container to uplink sent (of a VM: device to uplink sent)
  round_trip,      ///< of a VM's TCP, tap to its acknowledgement there: network and the other side
};
inline constexpr std::size_t kLatencySegments = 13;

struct LatencySegmentInfo {
  std::string name;      ///< "host-in"
  std::string from, to;  ///< probe points, as the kernel calls them
  bool towards_workload = false;
  bool application = false;   ///< includes waiting for the application
  bool spans_others = false;  ///< must not be summed with its parts
};
const LatencySegmentInfo& info_of(LatencySegment segment);

/// What one workload's packets spent in one segment during a window.
struct SegmentLatency {
  WorkloadId workload = 0;  ///< 0: nobody known
  LatencySegment segment = LatencySegment::host_in;
  Histogram histogram;
  /// Of the packets that sampling chose, without those that the kernel dropped on the way or merged
  /// into another; at a sampling of 1 in n > 1 the packets of host_in and container_out are a count
  /// divided by n.
  Coverage coverage;
  /// Sampled packets that the kernel dropped in this segment; not what netfilter, a socket or a
  /// missing neighbour refused.
  std::uint64_t dropped = 0;
  std::uint64_t merged = 0;  ///< about; travelled on inside another (GRO, a socket's queue)
  std::uint64_t split = 0;   ///< sampled packets that a qdisc cut up (tbf, cake): not measured
  nanoseconds sum{}, max{};

  bool operator==(const SegmentLatency&) const = default;
};

/// What measuring costs, as the programs themselves have timed it: 1 event of 256, a clock read
/// included, which is about what the kernel's own dispatch takes; without those in which others ran
/// (1 ms).
struct LatencyCost {
  std::uint64_t events = 0;
  nanoseconds per_event{};
  Share of_cpus;  ///< of all CPUs' time since the window began

  bool operator==(const LatencyCost&) const = default;
};

struct LatencyReading {
  nanoseconds length{};                  ///< of the window so far
  std::uint32_t one_in = 1;              ///< packets, of which one is sampled
  std::uint32_t spared_one_in = 1;       ///< the same for workloads to be spared, once known
  std::vector<SegmentLatency> segments;  ///< by workload, then segment; those that were passed
  std::uint64_t sampled = 0;
  std::uint64_t no_room = 0;   ///< sampled packets for which the table had no place
  std::uint64_t vanished = 0;  ///< whose sk_buff was seen to be another packet's: never reported
  LatencyCost cost;

  bool operator==(const LatencyReading&) const = default;
};

}  // namespace ankus
