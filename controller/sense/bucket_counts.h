// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "bpf/wire.h"
#include "kernel/bpf.h"
#include "model/queues.h"
#include "sense/flow_table.h"

namespace ankus {

/// What the kernel side has counted for each entry of a table, since it was made.
using EntryCounts = std::vector<ankus_rss_entry>;

/// The loads of a table's entries between two readings, `seconds` apart. Empty, with a reason, if
/// more than a quarter of the packets came without a hash, or by another queue than the table names
/// for their hash: then the hash that the host sees is not the one that the NIC chose a queue by.
struct BucketLoads {
  std::vector<BucketLoad> loads;
  std::string distrust;  ///< empty: believed
};
BucketLoads bucket_loads(std::span<const ankus_rss_entry> before,
                         std::span<const ankus_rss_entry> now, std::span<const std::uint32_t> table,
                         double seconds);

/// Gives devices their rows in the kernel side's counters, and reads them.
class BucketCounts {
 public:
  /// Loads are means over at least this time.
  static constexpr milliseconds kShortestMean{500};

  explicit BucketCounts(int map) : rows_(map) {}

  /// The rows of a device, the same on each call until its table has another size. None if that is
  /// no power of two (then an entry cannot be told from a hash), or if there is no room.
  TableRows rows_for(const Device& device, std::size_t table_size);
  /// Gives back the rows of those that are not among `devices`.
  void keep_only(std::span<const Device> devices);

  /// Fills `buckets` of those that have rows, and the packets of their receive queues if the driver
  /// told none.
  void measure(std::span<DeviceQueues> devices, MonotonicTime now);

  /// One line for each device whose hashes are not believed.
  std::vector<std::string> downgrades() const;

 private:
  struct Counted {
    TableRows rows;
    EntryCounts before;
    std::optional<MonotonicTime> counted;  ///< when `before` was read
    std::vector<std::uint32_t> table;      ///< that was in force then
    BucketLoads loads;
  };
  std::optional<EntryCounts> read(const TableRows& rows) const;
  bool is_free(std::uint32_t first, std::uint32_t size) const;

  bpf::Map<std::uint32_t, ankus_rss_entry> rows_;
  std::map<Device, Counted> devices_;
};

}  // namespace ankus
