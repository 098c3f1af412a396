// SPDX-License-Identifier: Apache-2.0
#include "model/footprint.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

namespace ankus {
namespace {

constexpr nanoseconds kLongestUnknown = seconds(5);

double in_seconds(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

BitRate rate_of(std::uint64_t bytes, nanoseconds time) {
  if (time <= nanoseconds::zero()) return {};
  return {
      static_cast<std::uint64_t>(std::llround(static_cast<double>(bytes) * 8 / in_seconds(time)))};
}

double per_second(std::uint64_t count, nanoseconds time) {
  return time > nanoseconds::zero() ? static_cast<double>(count) / in_seconds(time) : 0;
}

/// Three digits are what a person reads of a measured rate.
std::string measured(BitRate rate) {
  std::uint64_t step = 1;
  while (rate.bits_per_second / step >= 1000) step *= 10;
  rate.bits_per_second = (rate.bits_per_second + step / 2) / step * step;
  return to_text(rate) + "/s";
}

std::string measured(nanoseconds time) {
  return to_text(nanoseconds(std::chrono::round<std::chrono::milliseconds>(time) / 100 * 100));
}

std::string measured(Share share) { return std::to_string(std::lround(share.of_one * 100)) + "%"; }

bool is_busy(Weight weight) { return weight == Weight::heavy || weight == Weight::mixed; }

}  // namespace

std::map<WorkloadId, FlowCounts> count_flows(std::span<const Flow> flows, nanoseconds prove,
                                             nanoseconds calm) {
  std::map<WorkloadId, FlowCounts> counts;
  for (const Flow& flow : flows) {
    FlowCounts& of_owner = counts[flow.owner];
    // The kernel looks at a flow when it moves; one that is silent for so long is none any more.
    if (flow.elephant && flow.idle < calm)
      ++of_owner.elephants;
    else if (!flow.elephant && !flow.fast && flow.age >= prove && flow.idle < kSlowFlowActive)
      ++of_owner.slow;
  }
  return counts;
}

FootprintTracker::FootprintTracker(std::optional<Weight> remembered) {
  if (!remembered || *remembered == Weight::unknown) {
    footprint.reason = "nothing moved yet";
    return;
  }
  footprint.weight = *remembered;
  footprint.learnt = true;
  footprint.reason = "remembered for its label";
}

FootprintTracker::Window FootprintTracker::sum() const {
  Window window;
  for (const auto& [sample, at] : samples_) {
    window.transmitted += sample.transmitted.count;
    window.received += sample.received.count;
    window.packets += sample.packets;
    window.new_flows += sample.new_flows;
    window.elephant_bytes += sample.elephant_bytes.count;
    window.length += sample.interval;
    if (sample.slow_flows > 0) window.with_slow_flows += sample.interval;
  }
  return window;
}

Weight FootprintTracker::decide(const Window& window, const FootprintSample& sample,
                                const FootprintRules& rules, MonotonicTime now) {
  const std::uint64_t moved = window.transmitted + window.received;
  // Compared with a whole window's worth even while less has been seen: the first second of a
  // short burst is no evidence of a rate.
  const auto moved_share = [&](std::uint64_t bytes) {
    const std::uint64_t heavy = rules.heavy ? (*rules.heavy * rules.window).count : 0;
    return heavy > 0 ? static_cast<double>(bytes) / static_cast<double>(heavy) : 0.0;
  };
  const bool busy = sample.elephants > 0 || moved_share(moved) >= 1;
  const bool calm = sample.elephants == 0 && moved_share(moved) < 0.5;
  if (!calm)
    calm_since_.reset();
  else if (!calm_since_)
    calm_since_ = now + -sample.interval;

  if (!busy) {
    if (is_busy(footprint.weight)) {
      if (!calm_since_ || now - *calm_since_ < rules.calm) return footprint.weight;
      return Weight::light;
    }
    if (footprint.weight != Weight::unknown) return footprint.weight;
    const bool seen_enough =
        first_packet_ && now - *first_packet_ >= std::min(rules.window, kLongestUnknown);
    return seen_enough ? Weight::light : Weight::unknown;
  }
  // Up and down at different lines, so that a workload near one of them keeps its weight.
  const bool was_mixed = footprint.weight == Weight::mixed;
  const double others = moved_share(moved - std::min(window.elephant_bytes, moved));
  const double at_work =
      window.length > nanoseconds::zero()
          ? in_seconds(window.with_slow_flows) / in_seconds(std::max(window.length, rules.window))
          : 0;
  const bool others_are_light = others < (was_mixed ? 1.0 : 0.5);
  const bool slow_flows_work = at_work >= (was_mixed ? 0.25 : 0.5);
  return others_are_light && slow_flows_work ? Weight::mixed : Weight::heavy;
}

const Footprint& FootprintTracker::update(const FootprintSample& sample,
                                          const FootprintRules& rules, MonotonicTime now) {
  samples_.push_back({.sample = sample, .at = now});
  while (samples_.size() > 1 && now - samples_.front().at >= rules.window) samples_.pop_front();
  if (!first_packet_ && sample.packets > 0) first_packet_ = now + -sample.interval;

  const Window window = sum();
  const Weight weight = decide(window, sample, rules, now);
  const bool confirmed =
      first_packet_ && now - *first_packet_ >= std::min(rules.window, kLongestUnknown) &&
      // A remembered weight that would fall is not confirmed while it only waits for calm.
      (!is_busy(weight) || sample.elephants > 0 || !calm_since_);
  if (weight != footprint.weight) footprint.since = now;
  if (weight != footprint.weight || confirmed) footprint.learnt = false;
  footprint.weight = weight;

  const std::uint64_t moved = window.transmitted + window.received;
  footprint.transmit = rate_of(window.transmitted, window.length);
  footprint.receive = rate_of(window.received, window.length);
  footprint.packets_per_second = per_second(window.packets, window.length);
  footprint.new_flows_per_second = per_second(window.new_flows, window.length);
  footprint.elephants = sample.elephants;
  footprint.elephant_share = {moved > 0 ? std::min(1.0, static_cast<double>(window.elephant_bytes) /
                                                            static_cast<double>(moved))
                                        : 0};

  std::string& reason = footprint.reason;
  if (moved == 0) {
    reason = first_packet_ ? "moved nothing in " + measured(window.length) : "nothing moved yet";
  } else {
    reason = "moved " + measured(rate_of(moved, window.length)) + " in " + measured(window.length);
    if (window.elephant_bytes > 0 || sample.elephants > 0)
      reason += ", " + measured(footprint.elephant_share) + " by " +
                (sample.elephants == 0 ? "elephants that are gone"
                                       : std::to_string(sample.elephants) +
                                             (sample.elephants == 1 ? " elephant" : " elephants"));
  }
  if (footprint.weight == Weight::mixed) reason += ", and slow flows at work";
  if (is_busy(footprint.weight) && sample.elephants == 0 && calm_since_ && !footprint.learnt)
    reason += "; light again after " + to_text(rules.calm) + " of calm";
  if (footprint.learnt) reason = "remembered for its label; " + reason;
  return footprint;
}

}  // namespace ankus
