// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/units.h"

namespace ankus {

/// How an action is judged: the policy's [verify]. The figures that a watched workload's path is
/// judged by, what counts as a change, and what follows when nothing can be told.
struct VerifyRule {
  enum class Require {
    not_worse,  ///< standing actions stay unless they harm; experiments must help in any case
    better,     ///< standing actions must help too
  };
  enum class Inconclusive { undo, keep };  ///< of experiments; a standing action stays

  double quantile = 0.99;  ///< watch = "light latency p99"
  Require require = Require::not_worse;
  Share margin{0.1};                 ///< require = "not worse by 10%": less is no change
  Share veto{0.2};                   ///< veto = "heavy throughput -20%": what elephants may lose
  nanoseconds within = seconds(10);  ///< length of the window before, and of the one after
  nanoseconds settle = seconds(2);   ///< between the writes and the window after
  std::uint64_t samples = 300;  ///< packets of a workload in each window; fewer say nothing of it
  Share coverage{0.8};          ///< measured packets of all; less says nothing
  Inconclusive inconclusive = Inconclusive::undo;
  nanoseconds back_off = seconds(600);  ///< after the first failure; doubles each time
  nanoseconds longest_back_off = seconds(86'400);

  bool operator==(const VerifyRule&) const = default;
};

}  // namespace ankus
