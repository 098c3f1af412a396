// SPDX-License-Identifier: Apache-2.0
#include "policy/classes.h"

#include <algorithm>

namespace ankus {
namespace {

constexpr std::uint32_t kEthernetHeader = 14;
constexpr Bytes kLongestQueue{1'000'000'000};  // the kernel counts a queue's bytes in 32 bits
constexpr std::uint64_t kShortestQuantum = 1'500 + kEthernetHeader;
constexpr std::uint64_t kLongestQuantum = 200'000;  // above it sch_htb.c warns in the kernel's log

/// HTB's default burst is one packet, which costs throughput: at 1 Gbit/s 4 %, at 5 Gbit/s 20 %.
/// The kernel keeps a burst as a time in ticks of 64 ns: it reads back to within one tick's bytes.
Bytes burst_of(BitRate rate, std::uint32_t mtu) {
  const std::uint64_t packet = std::max<std::uint64_t>(mtu, 1'500) + kEthernetHeader;
  return {std::max<std::uint64_t>(10 * packet, (rate * std::chrono::microseconds(200)).count)};
}

/// How much a class sends before the next of its priority has its turn: 1 ms at its rate.
Bytes quantum_of(BitRate rate, std::uint32_t mtu) {
  const std::uint64_t packet = std::max<std::uint64_t>(mtu + kEthernetHeader, kShortestQuantum);
  return {std::clamp<std::uint64_t>((rate * milliseconds(1)).count, packet, kLongestQuantum)};
}

BitRate whole_bytes(BitRate rate) { return {rate.bits_per_second / 8 * 8}; }

std::uint16_t minor_of_first(const std::vector<Match>& class_matches, auto&& matches) {
  const auto found = std::ranges::find_if(class_matches, matches);
  return found == class_matches.end()
             ? kProbationMinor
             : static_cast<std::uint16_t>(kFirstBlockMinor + (found - class_matches.begin()));
}

}  // namespace

std::vector<Match> class_matches(const Policy& policy) {
  std::vector<Match> different;
  for (const Rule& rule : policy.rules)
    if (rule.bandwidth && std::ranges::find(different, rule.match) == different.end())
      different.push_back(rule.match);
  return different;
}

std::uint16_t class_minor(const std::vector<Match>& class_matches, const Workload& workload,
                          Weight flow) {
  return minor_of_first(class_matches,
                        [&](const Match& match) { return matches(match, workload, flow); });
}

std::uint16_t class_minor_of_nobody(const std::vector<Match>& class_matches, Weight flow) {
  return minor_of_first(class_matches,
                        [&](const Match& match) { return matches_nobody(match, flow); });
}

Bytes fast_threshold(const FastRule& fast, BitRate rate) {
  return std::max(fast.floor, rate * fast.share * fast.window);
}

HtbClass total_class(BitRate total, std::uint32_t mtu) {
  const BitRate rate = std::max(whole_bytes(total), kLeastClassRate);
  return {.parent = make_handle(kOurMajor, 0),
          .rate = rate,
          .ceil = rate,
          .burst = burst_of(rate, mtu),
          .cburst = burst_of(rate, mtu),
          // With classes below it it has no turn of its own, and the kernel keeps the quantum that
          // it was made with whatever a change asks for (htb_change_class): the same at each rate.
          .quantum = {kLongestQuantum}};
}

HtbClass share_class(BitRate total, Share guarantee, Share limit, std::uint32_t priority,
                     std::uint32_t mtu) {
  const BitRate rate = std::max(whole_bytes(total * guarantee), kLeastClassRate);
  const BitRate ceil = std::max(whole_bytes(total * limit), rate);
  return {.parent = make_handle(kOurMajor, kTotalMinor),
          .rate = rate,
          .ceil = ceil,
          .burst = burst_of(rate, mtu),
          .cburst = burst_of(ceil, mtu),
          .priority = priority,
          .quantum = quantum_of(rate, mtu)};
}

Bytes default_queue(const Match& match, BitRate total) {
  if (match.footprint != Weight::light)
    return std::clamp(total * milliseconds(60), Bytes{256'000}, kLongestQueue);
  // Short, since what waits in it waits in front of every mouse: 2.5 ms of the link.
  return std::max(kShortestQueue, total * std::chrono::microseconds(2'500));
}

Bytes probation_queue(BitRate total) {
  return std::clamp(total * milliseconds(10), Bytes{128'000}, kLongestQueue);
}

ByteFifo leaf_queue(std::uint16_t minor, Bytes limit) {
  return {.handle = make_handle(static_cast<std::uint16_t>(kOurLeafBase + minor), 0),
          .limit = limit};
}

}  // namespace ankus
