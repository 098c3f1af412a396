// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lab/traffic_clock.h"
#include "lab/traffic_sizes.h"
#include "lab/traffic_socket.h"

namespace ankus::traffic {

/// Flows of published sizes, one TCP connection each, so many at a time.
struct ReplayOptions {
  Dial dial;
  SizeTable table;
  std::uint64_t flows = 100;
  unsigned concurrency = 8;
  std::uint64_t seed = 1;
  double timeout_seconds = 60;
};

/// What really happened on the wire's two ends, for a sensor to be judged by.
struct FlowTruth {
  Endpoint local;
  Endpoint remote;
  std::uint64_t bytes = 0;  ///< TCP payload from here to there
  MonotonicTime start;      ///< before connect()
  MonotonicTime end;        ///< the server had confirmed the last byte
};

/// All flows or an error; in order of their end.
Result<std::vector<FlowTruth>> run_replay(const ReplayOptions& options);

/// The sizes of `flows` flows: the same for the same seed.
std::vector<std::uint64_t> draw_sizes(const SizeTable& table, std::uint64_t flows,
                                      std::uint64_t seed);

/// With the counts of flows of at least `threshold` bytes and of smaller ones.
nlohmann::ordered_json to_json(const std::vector<FlowTruth>& flows, std::uint64_t threshold);

}  // namespace ankus::traffic
