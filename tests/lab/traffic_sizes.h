// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string_view>

#include "base/result.h"

namespace ankus::traffic {

/// A published distribution of flow sizes: the share of flows of at most so many bytes.
struct SizePoint {
  std::uint64_t bytes = 0;
  double share = 0;
};
struct SizeTable {
  std::string_view name;
  std::span<const SizePoint> points;  ///< from {0, 0} to share 1
};

/// "websearch" (DCTCP) or "hadoop" (Facebook, as HPCC uses it).
Result<SizeTable> find_size_table(std::string_view name);

/// Linear between the points; share in [0, 1].
std::uint64_t size_at(const SizeTable& table, double share);
double mean_size(const SizeTable& table);

/// The same numbers on each machine: std::uniform_real_distribution does not promise that.
double draw_share(std::mt19937_64& random);

}  // namespace ankus::traffic
