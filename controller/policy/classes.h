// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "model/knob.h"
#include "policy/policy.h"

namespace ankus {

// The tree on each shaped device: kOurMajor:1 holds the link's whole rate; below it one class for
// each bandwidth rule, from kFirstBlockMinor on, and probation.
inline constexpr std::uint16_t kTotalMinor = 0x01;
inline constexpr std::uint16_t kProbationMinor = 0x0f;
inline constexpr std::uint16_t kFirstBlockMinor = 0x10;

/// HTB refuses a class without a rate; one whose rule guarantees nothing gets this much. Any less,
/// and the burst of a device with a 64 KB MTU would not fit the kernel's 32 bits of 64 ns ticks.
inline constexpr BitRate kLeastClassRate{64'000};
/// Between mice (0) and elephants (7): a flow in probation may turn out to be either.
inline constexpr std::uint32_t kProbationPriority = 4;

/// The different matches of the policy's bandwidth rules, in order. The class of traffic that
/// matches the nth has the minor number kFirstBlockMinor + n on every device: one membership table
/// serves all.
std::vector<Match> class_matches(const Policy& policy);
/// The class of a workload's flows of one speed: that of the first match, else probation.
std::uint16_t class_minor(const std::vector<Match>& class_matches, const Workload& workload,
                          Weight flow);
/// The same for traffic whose owner is not known.
std::uint16_t class_minor_of_nobody(const std::vector<Match>& class_matches, Weight flow);

/// The bytes that a flow must move within the rule's window, on a link of `rate`, to be fast.
Bytes fast_threshold(const FastRule& fast, BitRate rate);

/// The class that holds all of a link's rate.
HtbClass total_class(BitRate total, std::uint32_t mtu);
/// A class below it. Rates are whole bytes per second, as the kernel keeps them.
HtbClass share_class(BitRate total, Share guarantee, Share limit, std::uint32_t priority,
                     std::uint32_t mtu);

/// How long a class's queue may get unless the rule says so.
Bytes default_queue(const Match& match, BitRate total);
Bytes probation_queue(BitRate total);
ByteFifo leaf_queue(std::uint16_t minor, Bytes limit);

}  // namespace ankus
