// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "lab/traffic_clock.h"
#include "lab/traffic_latency.h"
#include "lab/traffic_socket.h"

namespace ankus::traffic {

enum class MouseLife {
  keep_alive,   ///< requests go round robin over standing connections
  per_request,  ///< each request connects anew; its latency holds the handshake
};

/// Small requests at times that do not depend on the answers (open loop, exponential gaps).
struct MiceOptions {
  Dial dial;
  unsigned connections = 64;
  double rate = 300;           ///< requests per second in total
  std::uint64_t bytes = 1000;  ///< of each request and of each response
  MouseLife life = MouseLife::keep_alive;
  bool stamps = false;       ///< also measure each way by itself, see MiceReport
  double drain_seconds = 3;  ///< how long answers may still come after the end
  std::uint64_t seed = 1;
  Timing timing;
};

struct MiceReport {
  LatencySummary latency;        ///< from the time at which the request was meant to be sent
  std::uint64_t requests = 0;    ///< meant to be sent within the measured time
  std::uint64_t errors = 0;      ///< of them: their connection failed
  std::uint64_t unanswered = 0;  ///< of them: no answer by the end of the drain
  /// Each answered request, then the unanswered ones with the time they have waited so far:
  /// leaving those out would make a lossy path look fast.
  std::vector<nanoseconds> samples;
  /// Of the answered ones: from send() to the end of the server's recv() (UDP: to the server's
  /// network stack), and back to the end of our recv(). Both ends read one machine's
  /// CLOCK_MONOTONIC.
  std::vector<nanoseconds> there, back;
};

/// Fails if nothing was answered at all, or not even the first connections came to stand.
Result<MiceReport> run_mice(const MiceOptions& options);
nlohmann::ordered_json to_json(const MiceReport& report);

}  // namespace ankus::traffic
