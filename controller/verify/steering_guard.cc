// SPDX-License-Identifier: Apache-2.0
#include "verify/steering_guard.h"

#include <algorithm>
#include <cmath>

namespace ankus {
namespace {

/// Drops in this many of the last seconds: one burst is no reason.
constexpr std::size_t kBadSeconds = 3;
constexpr seconds kWatched{5};
/// Turns that follow news at once would count the same second several times.
constexpr milliseconds kApart{900};
constexpr double kOrdinaryMemory = 60;  // seconds
constexpr double kFewest = 10;          // packets per second
constexpr double kTimesOrdinary = 3;

}  // namespace

std::optional<std::string> SteeringGuard::look(bool steered, double dropped_per_second,
                                               MonotonicTime now) {
  if (looked_at_ && now - *looked_at_ < kApart) return std::nullopt;
  const double passed =
      looked_at_ ? std::chrono::duration<double>(now - *looked_at_).count() : kOrdinaryMemory;
  looked_at_ = now;
  if (!steered) {
    const double weight = std::min(1.0, passed / kOrdinaryMemory);
    ordinary_ += (dropped_per_second - ordinary_) * weight;
    steered_.clear();
    return std::nullopt;
  }
  const double limit = std::max(kFewest, kTimesOrdinary * ordinary_);
  steered_.push_back({.at = now, .dropped = dropped_per_second});
  while (now - steered_.front().at >= kWatched) steered_.pop_front();
  const auto bad =
      std::ranges::count_if(steered_, [&](const Second& s) { return s.dropped > limit; });
  if (static_cast<std::size_t>(bad) < kBadSeconds) return std::nullopt;
  const auto text = std::to_string(std::llround(dropped_per_second)) +
                    " packets per second dropped in front of the stack (softnet_stat), in " +
                    std::to_string(bad) + " of the last " + std::to_string(kWatched.count()) +
                    " seconds; " + std::to_string(std::llround(ordinary_)) +
                    " per second without steering";
  steered_.clear();
  return text;
}

}  // namespace ankus
