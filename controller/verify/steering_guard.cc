// SPDX-License-Identifier: Apache-2.0
#include "verify/steering_guard.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace ankus {
namespace {

/// Drops in this many of the last seconds: one burst is no reason.
constexpr std::size_t kBadSeconds = 3;
constexpr seconds kWatched{5};
/// Turns that follow news at once would count the same second several times.
constexpr milliseconds kApart{900};
constexpr double kOrdinaryMemory = 60;  // seconds
/// So many seconds with steering say what is ordinary, where nobody has seen the host without it.
constexpr std::size_t kFirstSeconds = 5;
constexpr double kFewest = 10;  // packets per second
constexpr double kTimesOrdinary = 3;

}  // namespace

std::optional<double> SteeringGuard::ordinary() const {
  return watched_ > 0 ? std::optional(ordinary_) : std::nullopt;
}

void SteeringGuard::remember(double ordinary) {
  ordinary_ = ordinary;
  watched_ = kOrdinaryMemory;
}

/// The mean of all that was seen, of the last minute at most.
void SteeringGuard::look_without_steering(double dropped, double passed) {
  watched_ = std::min(kOrdinaryMemory, watched_ + passed);
  ordinary_ += (dropped - ordinary_) * std::min(1.0, passed / watched_);
  from_the_start_ = false;
  steered_.clear();
}

bool SteeringGuard::knows_what_is_ordinary() {
  if (watched_ > 0 || from_the_start_) return true;
  if (steered_.size() < kFirstSeconds) return false;
  std::vector<double> dropped;
  for (const Second& second : steered_) dropped.push_back(second.dropped);
  const auto median = dropped.begin() + kFirstSeconds / 2;
  std::ranges::nth_element(dropped, median);
  ordinary_ = *median;
  from_the_start_ = true;
  steered_.clear();
  return false;
}

std::optional<std::string> SteeringGuard::look(bool steered, double dropped_per_second,
                                               MonotonicTime now) {
  if (looked_at_ && now - *looked_at_ < kApart) return std::nullopt;
  const auto before = std::exchange(looked_at_, now);
  if (!before) return std::nullopt;
  if (!steered) {
    look_without_steering(dropped_per_second, std::chrono::duration<double>(now - *before).count());
    return std::nullopt;
  }
  steered_.push_back({.at = now, .dropped = dropped_per_second});
  if (!knows_what_is_ordinary()) return std::nullopt;
  while (!steered_.empty() && now - steered_.front().at >= kWatched) steered_.pop_front();
  const double limit = std::max(kFewest, kTimesOrdinary * ordinary_);
  const auto bad =
      std::ranges::count_if(steered_, [&](const Second& s) { return s.dropped > limit; });
  if (static_cast<std::size_t>(bad) < kBadSeconds) return std::nullopt;
  const auto text = std::to_string(std::llround(dropped_per_second)) +
                    " packets per second dropped in front of the stack (softnet_stat), in " +
                    std::to_string(bad) + " of the last " + std::to_string(kWatched.count()) +
                    " seconds; " + std::to_string(std::llround(ordinary_)) + " per second " +
                    (from_the_start_ ? "when Ankus started" : "without steering");
  steered_.clear();
  return text;
}

}  // namespace ankus
