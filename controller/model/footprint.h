// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>

#include "base/clock.h"
#include "base/units.h"
#include "model/flow.h"
#include "model/workload.h"

namespace ankus {

/// What a workload moved since the sample before, and its flows at the end of it.
struct FootprintSample {
  nanoseconds interval{};
  Bytes transmitted, received;
  std::uint64_t packets = 0;  ///< of both directions
  std::uint64_t new_flows = 0;
  Bytes elephant_bytes;          ///< of both directions, by flows while they were elephants
  std::uint32_t elephants = 0;   ///< now
  std::uint32_t slow_flows = 0;  ///< proven slow, and moved something in the interval

  bool operator==(const FootprintSample&) const = default;
};

/// A workload's flows at one reading of the flow table.
struct FlowCounts {
  std::uint32_t elephants = 0;
  std::uint32_t slow = 0;  ///< at least `prove` old, and moved something within kSlowFlowActive

  bool operator==(const FlowCounts&) const = default;
};
/// As long as from one reading to the next; not since the last one, which somebody may have asked
/// for just before.
inline constexpr seconds kSlowFlowActive{2};
/// `calm`: an elephant that was silent for so long is none any more.
std::map<WorkloadId, FlowCounts> count_flows(std::span<const Flow> flows, nanoseconds prove,
                                             nanoseconds calm);

struct FootprintRules {
  std::optional<BitRate> heavy;  ///< of both directions together; none: only elephants decide
  nanoseconds window = seconds(10);
  nanoseconds calm = seconds(5);

  bool operator==(const FootprintRules&) const = default;
};

/// Decides one workload's footprint from its samples.
///
/// Heavy: it moved, within the window, what `heavy` moves in one; or it has an elephant. However
/// many flows share the bytes, the sum counts. Light again: less than half of that and no elephant
/// for `calm` on end. Mixed: heavy because of its elephants, while what the other flows move is
/// less than half of heavy and slow flows were at work in at least half of the window; their
/// packets are worth protecting. Unknown: until it has been seen for the shorter of a window and
/// 5 s from its first packet on. A weight that was remembered for its label holds from the start,
/// is marked learnt, and is confirmed or replaced by the same rules.
class FootprintTracker {
 public:
  explicit FootprintTracker(std::optional<Weight> remembered = std::nullopt);

  const Footprint& update(const FootprintSample& sample, const FootprintRules& rules,
                          MonotonicTime now);

  /// As of the last update.
  Footprint footprint;

 private:
  struct Timed {
    FootprintSample sample;
    MonotonicTime at;
  };
  struct Window {
    std::uint64_t transmitted = 0, received = 0, packets = 0, new_flows = 0, elephant_bytes = 0;
    nanoseconds length{}, with_slow_flows{};
  };
  Window sum() const;
  Weight decide(const Window& window, const FootprintSample& sample, const FootprintRules& rules,
                MonotonicTime now);

  std::deque<Timed> samples_;
  std::optional<MonotonicTime> first_packet_;  ///< start of the interval in which it came
  std::optional<MonotonicTime> calm_since_;
};

}  // namespace ankus
