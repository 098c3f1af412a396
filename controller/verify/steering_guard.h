// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "base/clock.h"

namespace ankus {

/// Watches a host for as long as Ankus chooses which CPUs handle packets. A choice that was right
/// when it was judged is wrong once other work fills those CPUs: their backlog (netdev_max_backlog)
/// overflows, and mice wait for retransmissions. Nothing else of the loop would see that, since a
/// verdict's windows are over by then. Pure: time and losses come in by look().
class SteeringGuard {
 public:
  /// Once a second or so. `steered`: a setting of ours chooses CPUs, queues or threads now.
  /// `dropped_per_second`: packets dropped in front of the stack on all CPUs (softnet_stat, second
  /// column). Returns why the steering has to go, once for each time.
  /// The first look is not believed: a rate needs two readings. Where the host was never seen
  /// without steering, what it drops in the first seconds with it counts as ordinary.
  std::optional<std::string> look(bool steered, double dropped_per_second, MonotonicTime now);

  /// What the host drops without steering, if it was seen without it: to outlive the process.
  std::optional<double> ordinary() const;
  void remember(double ordinary);

 private:
  void look_without_steering(double dropped, double passed);
  bool knows_what_is_ordinary();

  struct Second {
    MonotonicTime at;
    double dropped = 0;
  };
  std::deque<Second> steered_;   ///< the last seconds with steering
  double ordinary_ = 0;          ///< what the host drops per second without it; decays in a minute
  double watched_ = 0;           ///< for so many seconds, a minute at most, it was seen without it
  bool from_the_start_ = false;  ///< `ordinary_` is what was found with steering
  std::optional<MonotonicTime> looked_at_;
};

}  // namespace ankus
