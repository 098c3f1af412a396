// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/snapshot.h"
#include "policy/policy.h"

namespace ankus {

/// What no light or new workload's admission burst is below: one packet with segmentation offload
/// must pass.
inline constexpr Bytes kSmallestAdmissionBurst{64'000};
/// And no other's: two frames. What elephants put into the mice's queue at once, all mice wait for,
/// and on a slow link 64 KB are many ms; their packets that are larger are in probation.
inline constexpr Bytes kSmallestAdmissionBurstOfOthers{3'100};

/// The flow rules of one device in absolute numbers.
struct LinkFlowRules {
  Device device;  ///< whose egress the rules are for: the link itself, or its ifb
  std::optional<Device> receives_for;     ///< set on an ifb: the link whose ingress goes through it
  bool shaped = false;                    ///< or a tree of ours stands there; else only watched
  std::uint16_t probation_class = 0;      ///< minor number below kOurMajor; 0 if not shaped
  std::optional<BitRate> rate;            ///< none: unknown, and `fast_bytes` is the rule's floor
  Bytes fast_bytes;                       ///< per window; fits 32 bits, as the kernel side keeps it
  std::optional<BitRate> admission_rate;  ///< into slow classes, per workload; none: no rate known
  Bytes admission_burst;                  ///< of light and new workloads; fits 31 bits
  Bytes admission_burst_others;           ///< as above

  bool operator==(const LinkFlowRules&) const = default;
};

/// What the kernel side and the footprints need to know of the policy.
struct FlowRules {
  nanoseconds fast_window{}, fast_hold{};
  nanoseconds prove{}, admission_hold{};
  Bytes elephant_bytes;
  nanoseconds elephant_window{}, elephant_calm{};
  /// Per elephant_window, on the slowest link whose rate is known; none: only `elephant_bytes`.
  std::optional<Bytes> elephant_rate_bytes;
  nanoseconds footprint_window{}, footprint_calm{};
  std::optional<BitRate> footprint_heavy;  ///< on that same link
  std::vector<LinkFlowRules> links;        ///< shaped ones first, then uplinks and receive rules'
  bool steers = false;  ///< a rule speaks of queues, IRQs or threads: they must be looked at

  bool operator==(const FlowRules&) const = default;
};
FlowRules flow_rules(const Snapshot& snapshot, const Policy& policy);

}  // namespace ankus
