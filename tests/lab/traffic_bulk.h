// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/units.h"
#include "lab/traffic_clock.h"
#include "lab/traffic_socket.h"

namespace ankus::traffic {

enum class Direction { upload, download };

/// Elephants: as much as goes through (TCP), or a steady rate (UDP).
struct BulkOptions {
  Dial dial;
  unsigned flows = 4;
  std::uint64_t bytes_per_flow = 0;  ///< after so many a flow ends and another begins; 0: never
  Direction direction = Direction::upload;
  BitRate udp_rate{};  ///< of all flows together
  /// UDP: a flow from each of these, instead of `flows`; what chooses their receive queue.
  std::vector<std::uint16_t> from_ports;
  milliseconds interval{100};
  Timing timing;
};

/// One flow, from its beginning to its end.
struct FlowMoved {
  std::string local;  ///< address and port
  std::uint64_t bytes = 0;
};

/// Counted where buffers cannot lie: what the peer acknowledged (TCP upload), what arrived here
/// (download) or at the server (UDP).
struct BulkReport {
  std::uint64_t bytes = 0;                    ///< within the measured time
  double seconds = 0;                         ///< the measured time itself
  std::vector<std::uint64_t> interval_bytes;  ///< TCP only
  std::uint64_t flows_started = 0;
  std::uint64_t flows_finished = 0;
  std::vector<FlowMoved> moved;  ///< what each flow moved in all: the truth about elephants
  std::uint64_t errors = 0;
  std::uint64_t retransmits = 0;        ///< TCP upload
  std::uint64_t datagrams_sent = 0;     ///< UDP, within the measured time
  std::uint64_t datagrams_blocked = 0;  ///< UDP: the own socket had no room
};

/// Fails if nothing came through within the measured time.
Result<BulkReport> run_bulk(const BulkOptions& options);
nlohmann::ordered_json to_json(const BulkReport& report);

}  // namespace ankus::traffic
