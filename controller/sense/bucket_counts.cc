// SPDX-License-Identifier: Apache-2.0
#include "sense/bucket_counts.h"

#include <algorithm>
#include <bit>

namespace ankus {
namespace {

/// Of fewer packets nothing is concluded.
constexpr std::uint64_t kEnoughToJudge = 100;

}  // namespace

BucketLoads bucket_loads(std::span<const ankus_rss_entry> before,
                         std::span<const ankus_rss_entry> now, std::span<const std::uint32_t> table,
                         double seconds) {
  BucketLoads result;
  if (before.size() != now.size() || table.size() != now.size() || seconds <= 0) return result;
  result.loads.resize(now.size());
  std::uint64_t all = 0, unhashed = 0, elsewhere = 0;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const std::uint64_t packets = now[i].packets - before[i].packets;
    const std::uint64_t queues = now[i].queues - before[i].queues;
    unhashed += now[i].unhashed - before[i].unhashed;
    all += packets;
    // Packets are counted from both sides of this reading: one or two may be in one sum only.
    const std::uint64_t expected = packets * (std::uint64_t{table[i]} + 1);
    const std::uint64_t distance = queues > expected ? queues - expected : expected - queues;
    if (distance > 2 * (std::uint64_t{table[i]} + 1)) elsewhere += packets;
    result.loads[i] = {
        .packets_per_second = static_cast<double>(packets) / seconds,
        .elephant_packets_per_second =
            static_cast<double>(now[i].elephant_packets - before[i].elephant_packets) / seconds};
  }
  all += unhashed;
  if (all < kEnoughToJudge) return result;
  if (unhashed > all / 4)
    result.distrust =
        "packets come without the hash that chose their queue (ethtool -K DEVICE rxhash on)";
  else if (elsewhere > all / 4)
    result.distrust = "packets come by other queues than their hashes are for";
  if (!result.distrust.empty()) result.loads.clear();
  return result;
}

bool BucketCounts::is_free(std::uint32_t first, std::uint32_t size) const {
  if (std::uint64_t{first} + size > ANKUS_RSS_ENTRIES) return false;
  return std::ranges::none_of(devices_, [&](const auto& other) {
    const TableRows& rows = other.second.rows;
    return first < rows.first + rows.size && rows.first < first + size;
  });
}

TableRows BucketCounts::rows_for(const Device& device, std::size_t table_size) {
  const auto known = devices_.find(device);
  if (known != devices_.end() && known->second.rows.size == table_size) return known->second.rows;
  if (known != devices_.end()) devices_.erase(known);
  if (!std::has_single_bit(table_size) || table_size > ANKUS_RSS_ENTRIES) return {};
  const auto size = static_cast<std::uint32_t>(table_size);
  for (std::uint32_t first = 0; first < ANKUS_RSS_ENTRIES; first += size)
    if (is_free(first, size)) {
      devices_[device].rows = {.first = first, .size = size};
      return {.first = first, .size = size};
    }
  return {};
}

void BucketCounts::keep_only(std::span<const Device> devices) {
  std::erase_if(devices_, [&](const auto& known) {
    return std::ranges::find(devices, known.first) == devices.end();
  });
}

std::optional<EntryCounts> BucketCounts::read(const TableRows& rows) const {
  EntryCounts entries(rows.size);
  for (std::uint32_t i = 0; i < rows.size; ++i) {
    const auto per_cpu = rows_.lookup_per_cpu(rows.first + i);
    if (!per_cpu) return std::nullopt;
    for (const ankus_rss_entry& one : *per_cpu) {
      entries[i].packets += one.packets;
      entries[i].elephant_packets += one.elephant_packets;
      entries[i].queues += one.queues;
      entries[i].unhashed += one.unhashed;
    }
  }
  return entries;
}

void BucketCounts::measure(std::span<DeviceQueues> devices, MonotonicTime now) {
  for (DeviceQueues& queues : devices) {
    const auto at = devices_.find(queues.device);
    if (at == devices_.end() || !queues.table) continue;
    Counted& counted = at->second;
    const std::vector<std::uint32_t>& table = queues.table->queues;
    if (!counted.counted || counted.table != table || now - *counted.counted >= kShortestMean) {
      auto entries = read(counted.rows);
      if (!entries || entries->size() != table.size()) continue;
      // What came while the table changed cannot be judged.
      if (counted.counted && counted.table == table)
        counted.loads = bucket_loads(counted.before, *entries, table,
                                     std::chrono::duration<double>(now - *counted.counted).count());
      counted.before = *std::move(entries);
      counted.counted = now;
      counted.table = table;
    }
    queues.buckets = counted.loads.loads;
    if (std::ranges::any_of(queues.receive,
                            [](const ReceiveQueue& q) { return q.packets_per_second > 0; }))
      continue;
    for (std::size_t i = 0; i < queues.buckets.size(); ++i)
      if (table[i] < queues.receive.size())
        queues.receive[table[i]].packets_per_second += queues.buckets[i].packets_per_second;
  }
}

std::vector<std::string> BucketCounts::downgrades() const {
  std::vector<std::string> lines;
  for (const auto& [device, counted] : devices_)
    if (!counted.loads.distrust.empty())
      lines.push_back(device.name +
                      ": the load of its table's entries is not known: " + counted.loads.distrust);
  return lines;
}

}  // namespace ankus
