// SPDX-License-Identifier: Apache-2.0
#include "verify/fitness.h"

#include <algorithm>
#include <cmath>

namespace ankus {
namespace {

std::string percent(Share share) { return std::to_string(std::lround(share.of_one * 100)) + "%"; }

}  // namespace

Histogram pooled(const SegmentSamples& segment) {
  Histogram all;
  for (const Histogram& slice : segment.slices) all += slice;
  return all;
}

std::string lack_of(const SegmentSamples& segment, const VerifyRule& rule) {
  const std::uint64_t packets = total(pooled(segment));
  if (packets < rule.samples)
    return std::to_string(packets) + " packets measured, " + std::to_string(rule.samples) +
           " needed";
  if (const Share covered = share_of(segment.coverage); covered < rule.coverage)
    return percent(covered) + " of the packets measured, " + percent(rule.coverage) + " needed";
  const auto slices = std::ranges::count_if(
      segment.slices, [](const Histogram& slice) { return total(slice) > 0; });
  if (static_cast<std::size_t>(slices) < kLeastSlices)
    return "packets in " + std::to_string(slices) + " slices, " + std::to_string(kLeastSlices) +
           " needed";
  return {};
}

}  // namespace ankus
