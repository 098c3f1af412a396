// SPDX-License-Identifier: Apache-2.0
#include "verify/distribution.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

namespace ankus {
namespace {

/// For each bucket, how many packets are at most in it.
using Cumulative = std::array<double, kHistogramBuckets>;

Cumulative cumulated(const Histogram& histogram) {
  Cumulative sums{};
  double sum = 0;
  for (std::size_t b = 0; b < kHistogramBuckets; ++b)
    sums[b] = sum += static_cast<double>(histogram.counts[b]);
  return sums;
}

Histogram pooled(std::span<const Histogram> slices) {
  Histogram all;
  for (const Histogram& slice : slices) all += slice;
  return all;
}

/// The slices of a window, ready to be asked at many limits.
class Slices {
 public:
  Slices(std::span<const Histogram> slices, double risk) : all_(cumulated(pooled(slices))) {
    for (const Histogram& slice : slices) {
      const Cumulative sums = cumulated(slice);
      if (sums.back() > 0) slices_.push_back(sums);
    }
    if (slices_.size() < 2) return;
    few_ = student_quantile(1 - risk / 2, static_cast<int>(slices_.size()) - 1) /
           normal_quantile(1 - risk / 2);
  }
  double packets() const { return all_.back(); }
  double share(std::size_t limit) const { return packets() > 0 ? all_[limit] / packets() : 0; }

  double worth(std::size_t limit) const {
    if (slices_.size() < 2) return 0;
    const double p = share(limit);
    const double freedom = static_cast<double>(slices_.size()) - 1;
    double effect = 1;
    if (p > 0 && p < 1) {
      double between = 0;
      for (const Cumulative& slice : slices_) {
        const double off = slice[limit] - slice.back() * p;
        between += off * off / slice.back();
      }
      effect = std::max(1.0, between / (p * (1 - p)) / freedom);
    }
    return packets() / (effect * few_ * few_);
  }

 private:
  Cumulative all_;
  std::vector<Cumulative> slices_;
  double few_ = 1;  ///< t/z: what so few slices leave uncertain
};

nanoseconds edge(std::size_t bucket) {
  const std::uint64_t bound = lower_bound(bucket);
  const auto longest = static_cast<std::uint64_t>(nanoseconds::max().count());
  return nanoseconds(static_cast<nanoseconds::rep>(std::min(bound, longest)));
}

/// The bucket in which the packet of this rank (from 0 to 1 of all) lies.
std::size_t bucket_at(const Cumulative& sums, double share) {
  const double rank = share * sums.back();
  std::size_t b = 0;
  while (b + 1 < kHistogramBuckets && (sums[b] < rank || sums[b] == 0)) ++b;
  return b;
}

/// How many packets of so many count as chance: the one-sided limit of Kolmogorov and Smirnov.
double chance(double worth_a, double worth_b, double risk) {
  if (worth_a <= 0 || worth_b <= 0) return 1;
  return std::sqrt(-std::log(risk) / 2) * std::sqrt(1 / worth_a + 1 / worth_b);
}

/// The largest lead of `quick` over `slow`, whose durations count as `factor` times shorter.
Lead lead_of(const Slices& quick, const Slices& slow, double factor, double risk) {
  Lead best{.share = 0, .excess = -1};
  if (quick.packets() == 0 || slow.packets() == 0) return best;
  for (std::size_t b = 0; b + 1 < kHistogramBuckets; ++b) {
    // "At most in bucket b" is "below the lower edge of b + 1".
    const double moved = static_cast<double>(lower_bound(b + 1)) / factor;
    if (moved < 1) continue;
    const std::size_t m = bucket_of(static_cast<std::uint64_t>(std::min(moved, 9e18)));
    if (m == 0) continue;
    const double share = quick.share(m - 1) - slow.share(b);
    if (share <= 0) continue;
    best.share = std::max(best.share, share);
    if (share <= best.excess) continue;
    best.excess = std::max(best.excess, share - chance(quick.worth(m - 1), slow.worth(b), risk));
  }
  return best;
}

double log_binomial(std::uint64_t n, std::uint64_t k, double p) {
  const auto real_n = static_cast<double>(n), real_k = static_cast<double>(k);
  return std::lgamma(real_n + 1) - std::lgamma(real_k + 1) - std::lgamma(real_n - real_k + 1) +
         real_k * std::log(p) + (real_n - real_k) * std::log1p(-p);
}

/// P(T <= t) of Student's t for whole degrees of freedom (Abramowitz and Stegun 26.7.3, 26.7.4).
double student_share(double t, int freedom) {
  const double angle = std::atan(t / std::sqrt(freedom));
  const double cosine = std::cos(angle), sine = std::sin(angle);
  double term = freedom % 2 == 1 ? cosine : 1, sum = 0;
  for (int k = freedom % 2 == 1 ? 1 : 0; k < freedom - 1; k += 2) {
    sum += term;
    term *= cosine * cosine * (k + 1) / (k + 2);
  }
  const double both = freedom % 2 == 1 ? 2 / std::numbers::pi * (angle + sine * sum) : sine * sum;
  return 0.5 + both / 2;
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Of the mean: the variance between the values over their number.
double variance_of_mean(std::span<const double> values) {
  const double mean = mean_of(values), count = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / (count - 1) / count;
}

}  // namespace

double worth_of(std::span<const Histogram> slices, std::size_t limit_bucket, double risk) {
  return Slices(slices, risk).worth(limit_bucket);
}

QuantileBounds bounds_of(std::span<const Histogram> slices, double share, double risk) {
  const Histogram all = pooled(slices);
  const auto value = quantile(all, share);
  if (!value) return {.high = nanoseconds::max()};
  const Cumulative sums = cumulated(all);
  const std::size_t at = bucket_at(sums, share);
  // The upper bound is a matter of the packets above the percentile's bucket, the lower one of
  // those below it; the slices may agree about the one and not about the other.
  const Slices ready(slices, risk);
  const double above = ready.worth(at), below = at > 0 ? ready.worth(at - 1) : above;
  QuantileBounds bounds{
      .value = *value, .high = nanoseconds::max(), .worth = std::min(above, below)};
  // P(X < rank) <= risk / 2: the packet of that rank (from 1) is below the percentile.
  if (const auto n = static_cast<std::uint64_t>(below); n > 0)
    if (const std::uint64_t low = binomial_quantile(n, share, risk / 2); low > 0)
      bounds.low = edge(bucket_at(sums, static_cast<double>(low - 1) / static_cast<double>(n)));
  if (const auto n = static_cast<std::uint64_t>(above); n > 0)
    if (const std::uint64_t high = binomial_quantile(n, share, 1 - risk / 2) + 1; high <= n)
      bounds.high = edge(bucket_at(sums, static_cast<double>(high) / static_cast<double>(n)) + 1);
  return bounds;
}

Lead lead_of_quicker(std::span<const Histogram> before, std::span<const Histogram> after,
                     double factor, double risk) {
  return lead_of(Slices(after, risk), Slices(before, risk), factor, risk);
}

Lead lead_of_slower(std::span<const Histogram> before, std::span<const Histogram> after,
                    double factor, double risk) {
  return lead_of(Slices(before, risk), Slices(after, risk), 1 / factor, risk);
}

bool mean_fell(std::span<const double> before, std::span<const double> after, double risk) {
  if (before.size() < 2 || after.size() < 2) return false;
  const double fall = mean_of(before) - mean_of(after);
  if (fall <= 0) return false;
  const double a = variance_of_mean(before), b = variance_of_mean(after);
  if (a + b == 0) return true;
  const double freedom = (a + b) * (a + b) /
                         (a * a / static_cast<double>(before.size() - 1) +
                          b * b / static_cast<double>(after.size() - 1));
  return fall / std::sqrt(a + b) >
         student_quantile(1 - risk, std::max(1, static_cast<int>(freedom)));
}

double normal_quantile(double share) {
  double low = -40, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::numbers::sqrt2) / 2 < share ? low : high) = middle;
  }
  return high;
}

double student_quantile(double share, int degrees_of_freedom) {
  double low = -1e7, high = 1e7;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (student_share(middle, degrees_of_freedom) < share ? low : high) = middle;
  }
  return high;
}

std::uint64_t binomial_quantile(std::uint64_t n, double p, double share) {
  if (p <= 0) return 0;
  if (p >= 1) return n;
  // Where the sum would be long, the normal distribution is exact enough.
  constexpr double kManyOfBoth = 2000;
  const auto real = static_cast<double>(n);
  if (real * p * (1 - p) > kManyOfBoth) {
    const double k = real * p + normal_quantile(share) * std::sqrt(real * p * (1 - p)) - 0.5;
    return static_cast<std::uint64_t>(std::clamp(std::ceil(k), 0.0, real));
  }
  // Ten standard deviations below the mean nothing is left to sum.
  const double start = real * p - 10 * std::sqrt(real * p * (1 - p)) - 10;
  auto k = static_cast<std::uint64_t>(std::max(0.0, start));
  for (double sum = 0; k < n; ++k) {
    sum += std::exp(log_binomial(n, k, p));
    if (sum >= share) break;
  }
  return k;
}

}  // namespace ankus
