// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "model/histogram.h"

namespace ankus {

/// How many independent packets the packets of a window are worth as witnesses of "which share is
/// at most `limit`?". Packets behind one another in a queue say the same thing; slices that differ
/// more than independent packets would differ show it (the design effect of cluster samples: the
/// variance between slices over the binomial one, never below 1). With few slices that variance is
/// itself uncertain: as in Student's t-test, the worth shrinks by (z/t)² at confidence 1 - `risk`.
/// 0 for fewer than two slices with packets.
double worth_of(std::span<const Histogram> slices, std::size_t limit_bucket, double risk);

/// A percentile within bounds that miss it with at most probability `risk` (both sides together),
/// from order statistics: the ranks between which the binomial distribution puts it. The bounds are
/// widened to the edges of their buckets, since where in a bucket a packet lies is not known.
/// `high` is nanoseconds::max() where so few packets cannot bound it.
struct QuantileBounds {
  nanoseconds low{}, value{}, high{};
  double worth = 0;
  bool operator==(const QuantileBounds&) const = default;
};
QuantileBounds bounds_of(std::span<const Histogram> slices, double share, double risk);

/// The largest lead of the distribution `after` over `before` (Kolmogorov and Smirnov's distance,
/// one-sided), when each of its durations is taken `factor` times as long; and whether chance alone
/// would give it at some point with less than `risk`, each point with the worth of its packets.
/// Histograms are compared at the edges of their buckets, where they are exact; a factor that falls
/// between two edges is rounded to the disadvantage of a lead.
struct Lead {
  double share = 0;   ///< of all packets; 0 to 1
  double excess = 0;  ///< of `share` above what chance gives; above 0 is proven
  bool operator==(const Lead&) const = default;
};
Lead lead_of_quicker(std::span<const Histogram> before, std::span<const Histogram> after,
                     double factor, double risk);
/// The same for "after is slower", each of its durations taken `factor` times as long (below 1).
Lead lead_of_slower(std::span<const Histogram> before, std::span<const Histogram> after,
                    double factor, double risk);

/// Whether the mean of `after` is below that of `before` beyond chance (Welch's t-test, one-sided).
bool mean_fell(std::span<const double> before, std::span<const double> after, double risk);

// The quantiles behind them: of the normal distribution, of Student's t, and of the binomial one
// (the least k with P(X <= k) >= share).
double normal_quantile(double share);
double student_quantile(double share, int degrees_of_freedom);
std::uint64_t binomial_quantile(std::uint64_t n, double p, double share);

}  // namespace ankus
