// SPDX-License-Identifier: Apache-2.0
#include "policy/balance.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>

#include "bench/benchmarks.h"
#include "bench/bucket_loads.h"
#include "bench/figure.h"

namespace ankus::bench {
namespace {

using Table = std::vector<std::uint32_t>;

constexpr std::size_t kEntries = 128;
constexpr std::uint32_t kMostQueues = 64;

Table default_table(std::size_t entries, std::uint32_t queues) {
  Table table(entries);
  for (std::size_t i = 0; i < entries; ++i) table[i] = static_cast<std::uint32_t>(i % queues);
  return table;
}

double busiest(const Table& table, const std::vector<double>& loads, std::uint32_t queues) {
  std::vector<double> sums(queues);
  for (std::size_t i = 0; i < table.size(); ++i) sums[table[i]] += loads[i];
  return std::ranges::max(sums);
}

std::size_t moves(const Table& a, const Table& b) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) count += a[i] != b[i] ? 1 : 0;
  return count;
}

BalanceInput input_of(const std::vector<double>& loads, std::uint32_t queues) {
  BalanceInput input{.table = default_table(loads.size(), queues),
                     .queues = queues,
                     .busy = std::vector<std::optional<Share>>(queues, Share{1}),
                     .min_gain = Share{1e-9}};
  for (const double load : loads) input.loads.push_back({.packets_per_second = load});
  return input;
}

void measure_time(const std::vector<BucketRecord>& records, int rounds) {
  std::vector<double> all;
  double slowest = 0;
  for (const BucketRecord& record : records) {
    const BalanceInput input = input_of(record.packets, kMostQueues);
    std::vector<double> times;
    for (int round = 0; round < 20 * rounds; ++round)
      times.push_back(1000 * milliseconds_for([&] { (void)balance(input); }));
    all.push_back(median(times));
    slowest = std::max(slowest, all.back());
  }
  print({.name = "balance/time_128x64",
         .measured = slowest,
         .unit = "us, the slowest recording's median",
         .goal = {.kind = Goal::Kind::at_most, .value = 50},
         .detail = {{"median_us", median(all)}, {"recordings", records.size()}}});
}

/// The least possible, by trying everything.
double optimum(const std::vector<double>& loads, std::uint32_t queues) {
  std::vector<double> sums(queues);
  double best = busiest(default_table(loads.size(), queues), loads, queues);
  const std::function<void(std::size_t, std::uint32_t)> place = [&](std::size_t at,
                                                                    std::uint32_t used) {
    if (at == loads.size()) {
      best = std::min(best, std::ranges::max(sums));
      return;
    }
    for (std::uint32_t queue = 0; queue < std::min(queues, used + 1); ++queue) {
      sums[queue] += loads[at];
      if (sums[queue] < best) place(at + 1, std::max(used, queue + 1));
      sums[queue] -= loads[at];
    }
  };
  place(0, 0);
  return best;
}

void measure_distance(const std::vector<BucketRecord>& records) {
  double worst = 0, worst_bound = 0;
  std::size_t cases = 0;
  for (const BucketRecord& record : records) {
    // Small cases are cut from the recordings.
    for (std::size_t first = 0; first + 12 <= record.packets.size(); first += 12)
      for (const std::uint32_t queues : {2U, 3U, 4U}) {
        const std::vector<double> loads(record.packets.begin() + std::ptrdiff_t(first),
                                        record.packets.begin() + std::ptrdiff_t(first + 12));
        const BalanceInput input = input_of(loads, queues);
        const double least = optimum(loads, queues);
        if (least == 0) continue;
        const Table table = balance(input).table.value_or(input.table);
        worst = std::max(worst, busiest(table, loads, queues) / least - 1);
        ++cases;
      }
    for (const std::uint32_t queues : {2U, 4U, 8U, 16U, 32U, 64U}) {
      const BalanceInput input = input_of(record.packets, queues);
      const Table table = balance(input).table.value_or(input.table);
      worst_bound = std::max(worst_bound, busiest(table, record.packets, queues) /
                                                  balance_bounds(record.packets, queues).least -
                                              1);
    }
  }
  print({.name = "balance/from_optimum",
         .measured = 100 * worst,
         .unit = "% above the exhaustive search's, at worst",
         .goal = {.kind = Goal::Kind::at_most, .value = 5},
         .detail = {{"cases", cases}, {"entries", 12}, {"queues", "2 to 4"}}});
  print({.name = "balance/from_bound",
         .measured = 100 * worst_bound,
         .unit = "% above a lower bound, 128 entries, at worst",
         .detail = {{"queues", "2 to 64"}}});
}

void compare_moves(const std::vector<BucketRecord>& records) {
  std::size_t ours = 0, theirs = 0, not_reached = 0, worse = 0, whole = 0;
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::uint32_t queues : {4U, 8U, 16U, 64U}) {
    std::size_t our_moves = 0, their_moves = 0;
    for (const BucketRecord& record : records) {
      const Table table = default_table(record.packets.size(), queues);
      const Table rsspp = rsspp_table(table, record.packets, queues);
      const auto few =
          few_moves_to(table, record.packets, queues, busiest(rsspp, record.packets, queues));
      if (!few) ++not_reached;
      const std::size_t mine = moves(table, few.value_or(rsspp)), its = moves(table, rsspp);
      worse += mine > its ? 1 : 0;
      our_moves += mine;
      their_moves += its;
      whole += balance(input_of(record.packets, queues)).moves;
    }
    rows.push_back({{"queues", queues}, {"moves", our_moves}, {"rsspp_moves", their_moves}});
    ours += our_moves;
    theirs += their_moves;
  }
  print({.name = "balance/moves",
         .measured = theirs == 0 ? 0 : static_cast<double>(ours) / static_cast<double>(theirs),
         .unit = "of RSS++'s moves, busiest queue no worse",
         .goal = {.kind = Goal::Kind::at_most, .value = 0.999},
         .detail = {{"by_queues", rows},
                    {"not_reached", not_reached},
                    {"more_than_rsspp", worse},
                    {"moves_to_own_goal", whole}}});
}

}  // namespace

Result<void> run_balance(const BalanceOptions& options) {
  std::ifstream file(options.records);
  if (!file) return fail(ErrorKind::gone, options.records + " cannot be read");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto records = bucket_records_from_text(text);
  if (!records) return std::unexpected(records.error());
  measure_time(*records, options.rounds);
  measure_distance(*records);
  compare_moves(*records);
  return {};
}

Result<void> record_bucket_loads() {
  for (const char* table : {"websearch", "hadoop"})
    for (const unsigned flows : {200U, 2'000U, 20'000U})
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        const auto record = draw_bucket_loads(table, flows, seed, kEntries);
        if (!record) return std::unexpected(record.error());
        std::cout << to_text(*record);
      }
  return {};
}

}  // namespace ankus::bench
