// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/handle.h"
#include "base/result.h"

namespace ankus::traffic {

/// Nearest-rank percentiles: each is a latency that was really measured.
struct LatencySummary {
  std::uint64_t count = 0;
  nanoseconds p50{}, p90{}, p95{}, p99{}, p999{}, max{};
  bool operator==(const LatencySummary&) const = default;
};

LatencySummary summarise(std::vector<nanoseconds> samples);
nlohmann::ordered_json to_json(const LatencySummary& summary);

/// Microseconds as u32 in host byte order, one after the other, in order of completion.
Result<> write_samples(const std::string& path, const std::vector<nanoseconds>& samples);

/// To a file, or to standard output if the path is empty or "-".
Result<> write_json(const std::string& path, const nlohmann::ordered_json& json);

}  // namespace ankus::traffic
