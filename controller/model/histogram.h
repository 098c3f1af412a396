// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/clock.h"
#include "base/units.h"

namespace ankus {

/// Log-scale buckets of nanoseconds, four to each power of two; bpf/latency.h counts in the same
/// ones. A bucket is 14 to 25 % wide. 0 to 3 ns have a bucket each, buckets 4 to 7 stay empty.
inline constexpr std::size_t kHistogramBuckets = 256;

constexpr std::size_t bucket_of(std::uint64_t nanoseconds) {
  if (nanoseconds < 4) return nanoseconds;
  const auto octave = static_cast<std::size_t>(std::bit_width(nanoseconds)) - 1;
  return octave * 4 + (nanoseconds >> (octave - 2) & 3);
}
/// The least value in `bucket`; that of the empty buckets 4 to 7 is 4, of 256 the largest number.
constexpr std::uint64_t lower_bound(std::size_t bucket) {
  if (bucket < 4) return bucket;
  if (bucket < 8) return 4;
  if (bucket >= kHistogramBuckets) return std::numeric_limits<std::uint64_t>::max();
  return (4 + (bucket & 3)) << (bucket / 4 - 2);
}

/// How often which duration was measured.
struct Histogram {
  std::array<std::uint64_t, kHistogramBuckets> counts{};

  void add(nanoseconds value, std::uint64_t times = 1) {
    counts[bucket_of(value.count() < 0 ? 0 : static_cast<std::uint64_t>(value.count()))] += times;
  }
  Histogram& operator+=(const Histogram& other);
  bool operator==(const Histogram&) const = default;
};

std::uint64_t total(const Histogram& histogram);
/// The value below which `share` of the counts lie, interpolated within its bucket: off by at most
/// the bucket's width. None of an empty histogram.
std::optional<nanoseconds> quantile(const Histogram& histogram, double share);
/// As if each count lay in the middle of its bucket. None of an empty histogram.
std::optional<nanoseconds> mean(const Histogram& histogram);
/// Of all counts together, likewise; stays at the largest duration instead of going over it.
nanoseconds sum(const Histogram& histogram);
/// What was counted between two readings of a counter that only grows. None if one went back: the
/// map was made anew in between, and the earlier reading says nothing.
std::optional<Histogram> difference(const Histogram& later, const Histogram& earlier);

/// How much of what there was to measure was measured.
struct Coverage {
  std::uint64_t measured = 0;  ///< packets
  std::uint64_t packets = 0;   ///< all that passed, measured or not

  Coverage& operator+=(const Coverage& other);
  bool operator==(const Coverage&) const = default;
};
/// 1 where nothing passed; never above 1 (a packet may be measured in the reading after its own).
Share share_of(const Coverage& coverage);

}  // namespace ankus
