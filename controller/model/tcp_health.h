// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "model/flow.h"
#include "model/histogram.h"
#include "model/workload.h"

namespace ankus {

/// One TCP connection of this host, in whatever network namespace, as its socket stands now. Bytes
/// are those of the stream, without headers.
struct TcpFlow {
  Endpoint local, remote;  ///< as the socket sees itself (before NAT)
  WorkloadId owner = 0;    ///< 0: nobody known
  bool established = false;
  std::uint32_t flight_packets = 0;  ///< sent and not yet acknowledged
  Bytes flight;
  Bytes peer_window;                    ///< what the other side has room for
  Bytes own_window;                     ///< what this side has room for
  std::uint32_t congestion_window = 0;  ///< packets
  Bytes mss;
  std::uint64_t segments_sent = 0;  ///< data, acknowledgements and retransmissions
  std::uint64_t retransmits = 0;    ///< segments
  Bytes sent, retransmitted;        ///< `sent` includes `retransmitted`
  Bytes acknowledged;               ///< by the other side; the SYN and the FIN count as a byte each
  Bytes received;                   ///< the other side's FIN counts as a byte
  std::uint32_t fast_retransmits = 0;  ///< times that a loss was repaired without a timeout
  std::uint32_t timeouts = 0;          ///< retransmission timeouts (RTO)
  Bytes send_queue, send_queue_max;    ///< written and not yet acknowledged; max: as packets came
  Bytes send_memory;                   ///< what the kernel has allocated for it
  Bytes read, written;                 ///< by the application
  std::uint64_t rtt_samples = 0;       ///< those that were seen
  nanoseconds rtt_sum{};               ///< of them
  nanoseconds smoothed_rtt{};          ///< the kernel's own average
  /// Since it was established; none: it is older than the sensor. Then fast_retransmits, timeouts,
  /// send_queue_max and the RTT samples are those since it was first seen.
  std::optional<nanoseconds> duration;

  bool operator==(const TcpFlow&) const = default;
};

/// What all connections of a workload have gone through since the sensor began; only ever grows.
/// Of connections that are older, what they moved since they were first seen.
struct TcpTotals {
  WorkloadId workload = 0;
  std::uint64_t segments_sent = 0, retransmits = 0;
  std::uint64_t fast_retransmits = 0, timeouts = 0;
  Bytes sent, retransmitted, acknowledged, received;
  std::uint64_t opened = 0, closed = 0;  ///< connections
  std::uint64_t rtt_samples = 0;         ///< of the packets that sampling chose
  nanoseconds rtt_sum{};
  Histogram rtt;

  bool operator==(const TcpTotals&) const = default;
};

struct TcpReading {
  std::vector<TcpFlow> flows;     ///< in no order
  std::vector<TcpTotals> totals;  ///< by workload

  bool operator==(const TcpReading&) const = default;
};

}  // namespace ankus
