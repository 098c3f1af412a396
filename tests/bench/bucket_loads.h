// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ankus::bench {

/// What the entries of an indirection table brought, by flows of one published size distribution.
struct BucketRecord {
  std::string name;  ///< "websearch 2000 flows 1": table, number of flows, seed
  std::vector<double> packets;
};

/// The hash by which NICs choose an entry (Microsoft's RSS): for each set bit of `input`, the 32
/// bits of `key` from there on. `key` is at least four bytes longer than `input`.
std::uint32_t toeplitz(std::span<const std::uint8_t> key, std::span<const std::uint8_t> input);

/// The key in Microsoft's verification suite, which many drivers have as their default.
std::span<const std::uint8_t> toeplitz_key();

/// Draws flows of one size table, each of a random TCP/IPv4 5-tuple, and files their packets under
/// the entry of its hash. The same on each machine.
Result<BucketRecord> draw_bucket_loads(std::string_view table, unsigned flows, std::uint64_t seed,
                                       std::size_t entries);

/// One record a line: its name, a colon, the packets of each entry.
std::string to_text(const BucketRecord& record);
Result<std::vector<BucketRecord>> bucket_records_from_text(std::string_view text);

/// RSS++'s rule as published (CoNEXT'19; re-implemented from its description, not from its code):
/// entries of overloaded queues go to underloaded ones, the largest first, each to the queue with
/// the least, while that lowers the sum of the squared imbalances; up to ten runs bisect how far
/// above the mean a queue may come, and the run with the least sum of squares counts.
std::vector<std::uint32_t> rsspp_table(std::span<const std::uint32_t> table,
                                       std::span<const double> loads, std::uint32_t queues);

}  // namespace ankus::bench
