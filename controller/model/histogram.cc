// SPDX-License-Identifier: Apache-2.0
#include "model/histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ankus {
namespace {

constexpr double kLongest = static_cast<double>(nanoseconds::max().count());

nanoseconds from_double(double value) {
  return value >= kLongest ? nanoseconds::max() : nanoseconds(std::llround(value));
}

double width_of(std::size_t bucket) {
  return static_cast<double>(lower_bound(bucket + 1)) - static_cast<double>(lower_bound(bucket));
}

double sum_in_nanoseconds(const Histogram& histogram) {
  double sum = 0;
  for (std::size_t b = 0; b < kHistogramBuckets; ++b) {
    // Buckets of one nanosecond hold exactly that value.
    const double middle =
        static_cast<double>(lower_bound(b)) + (width_of(b) > 1 ? width_of(b) / 2 : 0);
    sum += static_cast<double>(histogram.counts[b]) * middle;
  }
  return sum;
}

}  // namespace

Histogram& Histogram::operator+=(const Histogram& other) {
  for (std::size_t b = 0; b < kHistogramBuckets; ++b) counts[b] += other.counts[b];
  return *this;
}

std::uint64_t total(const Histogram& histogram) {
  return std::accumulate(histogram.counts.begin(), histogram.counts.end(), std::uint64_t{0});
}

std::optional<nanoseconds> quantile(const Histogram& histogram, double share) {
  const std::uint64_t all = total(histogram);
  if (all == 0) return std::nullopt;
  const double rank = std::clamp(share, 0.0, 1.0) * static_cast<double>(all);
  double below = 0;
  std::size_t last = 0;
  for (std::size_t b = 0; b < kHistogramBuckets; ++b) {
    const auto count = static_cast<double>(histogram.counts[b]);
    if (count == 0) continue;
    last = b;
    if (below + count >= rank) break;
    below += count;
  }
  const double within =
      std::clamp((rank - below) / static_cast<double>(histogram.counts[last]), 0.0, 1.0);
  return from_double(static_cast<double>(lower_bound(last)) + within * width_of(last));
}

std::optional<nanoseconds> mean(const Histogram& histogram) {
  const std::uint64_t all = total(histogram);
  if (all == 0) return std::nullopt;
  return from_double(sum_in_nanoseconds(histogram) / static_cast<double>(all));
}

nanoseconds sum(const Histogram& histogram) { return from_double(sum_in_nanoseconds(histogram)); }

std::optional<Histogram> difference(const Histogram& later, const Histogram& earlier) {
  Histogram result;
  for (std::size_t b = 0; b < kHistogramBuckets; ++b) {
    if (later.counts[b] < earlier.counts[b]) return std::nullopt;
    result.counts[b] = later.counts[b] - earlier.counts[b];
  }
  return result;
}

Coverage& Coverage::operator+=(const Coverage& other) {
  measured += other.measured;
  packets += other.packets;
  return *this;
}

Share share_of(const Coverage& coverage) {
  if (coverage.measured >= coverage.packets) return {1.0};
  return {static_cast<double>(coverage.measured) / static_cast<double>(coverage.packets)};
}

}  // namespace ankus
