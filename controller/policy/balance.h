// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/queues.h"

namespace ankus {

/// How near to the least possible the busiest queue must come.
inline constexpr double kBalanceTolerance = 1.05;

/// An indirection table, what its entries bring, and how much of a gain is worth a change.
struct BalanceInput {
  std::vector<std::uint32_t> table;  ///< the queue of each entry
  std::vector<BucketLoad> loads;     ///< as many
  std::uint32_t queues = 0;
  std::vector<std::optional<Share>> busy;  ///< of the CPU that serves each queue; none: not known
  Share busy_enough{0.85};                 ///< of the busiest queue's CPU; else nothing moves
  Share min_gain{0.25};
  std::vector<std::uint32_t> elephant_queues;  ///< ascending; empty: elephants are not kept apart

  bool operator==(const BalanceInput&) const = default;
};

struct Balance {
  std::optional<std::vector<std::uint32_t>> table;  ///< none: leave it as it is
  std::string reason;                               ///< with numbers, of either
  std::uint32_t moves = 0;                          ///< entries of `table` that changed
  Share gain;                                       ///< that was predicted, also of what was left

  bool operator==(const Balance&) const = default;
};

/// Moves as few entries as possible so that the busiest queue has at most kBalanceTolerance of the
/// least that is possible; or, with elephants' queues, the busiest one of each kind. What is gained
/// is the busiest queue's load, and with elephants' queues also the chance that a mouse's packet
/// meets an elephant's in its queue; the larger counts. The same for equal arguments; the result,
/// balanced again, stays as it is.
Balance balance(const BalanceInput& input);

/// A table that brings no queue more than `limit`, by few moves; none if none was found. An entry
/// whose queue is not below `queues` has none yet, and gets one.
std::optional<std::vector<std::uint32_t>> few_moves_to(std::span<const std::uint32_t> table,
                                                       std::span<const double> loads,
                                                       std::uint32_t queues, double limit);

/// What the busiest queue has in a table made from nothing, and below which none can come.
struct BalanceBounds {
  double reached = 0;
  double least = 0;
  bool operator==(const BalanceBounds&) const = default;
};
BalanceBounds balance_bounds(std::span<const double> loads, std::uint32_t queues);

}  // namespace ankus
