// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "verify/samples.h"

namespace ankus {

/// Latencies for tests, the same on each run: durations at evenly spread ranks of an exponential
/// distribution beyond a least one, dealt to the slices in turn.
inline std::vector<Histogram> slices_of(nanoseconds least, nanoseconds mean, int packets,
                                        int slices = 10) {
  std::vector<Histogram> all(static_cast<std::size_t>(slices));
  for (int i = 0; i < packets; ++i) {
    const double rank = (i + 0.5) / packets;
    const double value = -std::log(1 - rank) * static_cast<double>(mean.count());
    // 7919 is prime: neighbours in rank go to different slices.
    all[static_cast<std::size_t>(static_cast<std::int64_t>(i) * 7919 % packets * slices / packets)]
        .add(least + nanoseconds(std::llround(value)));
  }
  return all;
}

inline SegmentSamples segment_of(std::string name, std::vector<Histogram> slices,
                                 SegmentKind kind = SegmentKind::out) {
  SegmentSamples segment{.name = std::move(name), .kind = kind, .slices = std::move(slices)};
  for (const Histogram& slice : segment.slices) segment.coverage.measured += total(slice);
  segment.coverage.packets = segment.coverage.measured;
  return segment;
}

/// One light workload whose path has this mean, and an application that answers quickly.
inline LightSamples light_of(WorkloadId id, nanoseconds path_mean, int packets = 3000,
                             nanoseconds application_mean = std::chrono::microseconds(300)) {
  LightSamples light{.workload = id, .name = "web-" + std::to_string(id)};
  if (packets > 0) {
    light.segments.push_back(
        segment_of("qdisc to uplink", slices_of(std::chrono::microseconds(5), path_mean, packets)));
    light.segments.push_back(segment_of(
        "socket to read", slices_of(std::chrono::microseconds(20), application_mean, packets),
        SegmentKind::application));
  }
  light.tcp.packets_sent = static_cast<std::uint64_t>(packets);
  light.moved = {static_cast<std::uint64_t>(packets) * 500};
  return light;
}

/// The same with round trips, of which TCP has measured as many.
inline LightSamples light_with_trips(WorkloadId id, nanoseconds path_mean, nanoseconds trip_mean,
                                     int packets = 3000) {
  LightSamples light = light_of(id, path_mean, packets);
  light.segments.push_back(segment_of("round trip",
                                      slices_of(std::chrono::microseconds(200), trip_mean, packets),
                                      SegmentKind::round_trip));
  light.repeated.resize(10);
  return light;
}

/// Bytes per second in each of ten seconds.
inline HeavySamples heavy_of(std::uint64_t bytes_per_second) {
  HeavySamples heavy{.workload = 100, .name = "backup"};
  for (int i = 0; i < 10; ++i)
    // Sawteeth of 4 %, as TCP has them.
    heavy.slices.push_back({.moved = {bytes_per_second - bytes_per_second * (i % 3) / 50}});
  return heavy;
}

/// The same, whose packets wait so long in the host's queue; few of them are measured.
inline HeavySamples heavy_of(std::uint64_t bytes_per_second, nanoseconds waits, int packets = 100) {
  HeavySamples heavy = heavy_of(bytes_per_second);
  heavy.segments = {segment_of("qdisc", slices_of(std::chrono::microseconds(5), waits, packets))};
  return heavy;
}

inline Samples window_of(std::vector<LightSamples> watched, std::vector<HeavySamples> heavy = {}) {
  return {.length = seconds(10), .watched = std::move(watched), .heavy = std::move(heavy)};
}

}  // namespace ankus
