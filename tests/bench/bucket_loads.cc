// SPDX-License-Identifier: Apache-2.0
#include "bench/bucket_loads.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <random>

#include "base/text.h"
#include "lab/traffic_sizes.h"

namespace ankus::bench {
namespace {

constexpr std::uint64_t kSegment = 1448;  // bytes of a full TCP segment over Ethernet

constexpr std::array<std::uint8_t, 40> kKey = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

std::vector<double> sums_of(std::span<const std::uint32_t> table, std::span<const double> loads,
                            std::uint32_t queues) {
  std::vector<double> sums(queues);
  for (std::size_t entry = 0; entry < table.size(); ++entry) sums[table[entry]] += loads[entry];
  return sums;
}

}  // namespace

std::uint32_t toeplitz(std::span<const std::uint8_t> key, std::span<const std::uint8_t> input) {
  std::uint32_t hash = 0;
  std::uint32_t window = static_cast<std::uint32_t>(key[0]) << 24 |
                         static_cast<std::uint32_t>(key[1]) << 16 |
                         static_cast<std::uint32_t>(key[2]) << 8 | key[3];
  for (std::size_t byte = 0; byte < input.size(); ++byte)
    for (int bit = 7; bit >= 0; --bit) {
      if ((input[byte] >> bit & 1) != 0) hash ^= window;
      window = window << 1 | (key[byte + 4] >> bit & 1U);
    }
  return hash;
}

std::span<const std::uint8_t> toeplitz_key() { return kKey; }

Result<BucketRecord> draw_bucket_loads(std::string_view table, unsigned flows, std::uint64_t seed,
                                       std::size_t entries) {
  const auto sizes = traffic::find_size_table(table);
  if (!sizes) return std::unexpected(sizes.error());
  BucketRecord record{
      .name = std::string(table) + " " + std::to_string(flows) + " flows " + std::to_string(seed),
      .packets = std::vector<double>(entries)};
  std::mt19937_64 random(seed);
  for (unsigned flow = 0; flow < flows; ++flow) {
    std::array<std::uint8_t, 12> tuple;  // addresses and ports, as on the wire
    for (std::uint8_t& byte : tuple) byte = static_cast<std::uint8_t>(random());
    const std::uint64_t size = traffic::size_at(*sizes, traffic::draw_share(random));
    record.packets[toeplitz(kKey, tuple) % entries] +=
        static_cast<double>(std::max<std::uint64_t>(1, (size + kSegment - 1) / kSegment));
  }
  return record;
}

std::string to_text(const BucketRecord& record) {
  std::string text = record.name + ":";
  for (const double packets : record.packets)
    text += " " + std::to_string(static_cast<std::uint64_t>(packets));
  return text + "\n";
}

Result<std::vector<BucketRecord>> bucket_records_from_text(std::string_view text) {
  std::vector<BucketRecord> all;
  for (const std::string_view line : split(text, '\n')) {
    if (trim(line).empty() || line.starts_with('#')) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos)
      return fail(ErrorKind::invalid, "no colon in " + ankus::quoted(line));
    BucketRecord& record = all.emplace_back();
    record.name = line.substr(0, colon);
    for (const std::string_view word : split_words(line.substr(colon + 1))) {
      if (word.size() > 15 || word.find_first_not_of("0123456789") != std::string_view::npos)
        return fail(ErrorKind::invalid, ankus::quoted(word) + " is not a number of packets");
      record.packets.push_back(std::stod(std::string(word)));
    }
  }
  return all;
}

std::vector<std::uint32_t> rsspp_table(std::span<const std::uint32_t> table,
                                       std::span<const double> loads, std::uint32_t queues) {
  const std::vector<double> before = sums_of(table, loads, queues);
  const double mean = std::accumulate(before.begin(), before.end(), 0.0) / queues;
  static constexpr double kImbalance = 0.02;  // its threshold: less is no imbalance
  static constexpr int kRuns = 10;
  std::vector<std::uint32_t> movable;
  for (std::uint32_t entry = 0; entry < table.size(); ++entry)
    if (loads[entry] > 0 && before[table[entry]] > mean * (1 + kImbalance))
      movable.push_back(entry);
  std::ranges::stable_sort(movable, std::greater<>(),
                           [&](std::uint32_t entry) { return loads[entry]; });
  const auto squares = [&](const std::vector<double>& sums) {
    double sum = 0;
    for (const double load : sums) sum += (load - mean) * (load - mean);
    return sum;
  };

  std::vector<std::uint32_t> best(table.begin(), table.end());
  double least = squares(before);
  double low = 0, high = std::ranges::max(before) - mean;
  for (int run = 0; run < kRuns; ++run) {
    const double allowed = mean + (low + high) / 2;
    std::vector<std::uint32_t> trial(table.begin(), table.end());
    std::vector<double> sums = before;
    for (const std::uint32_t entry : movable) {
      const std::uint32_t from = trial[entry];
      if (sums[from] <= allowed) continue;
      const auto to = static_cast<std::uint32_t>(std::ranges::min_element(sums) - sums.begin());
      const double load = loads[entry];
      if (before[to] > mean * (1 + kImbalance) || sums[to] + load >= sums[from] ||
          sums[to] + load > allowed)
        continue;
      sums[from] -= load;
      sums[to] += load;
      trial[entry] = to;
    }
    (std::ranges::max(sums) <= allowed ? high : low) = (low + high) / 2;
    if (squares(sums) >= least) continue;
    least = squares(sums);
    best = std::move(trial);
  }
  return best;
}

}  // namespace ankus::bench
