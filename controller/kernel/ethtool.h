// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/handle.h"
#include "base/result.h"
#include "kernel/netlink.h"

namespace ankus {

/// Receive side scaling of a device, its main context (ethtool(8) -x).
struct Rss {
  std::vector<std::uint32_t> table;  ///< the receive queue of each hash value modulo its size
  std::vector<std::byte> key;        ///< empty: the driver does not tell
  std::uint32_t function = 0;        ///< a bit of ETH_RSS_HASH_* (1 Toeplitz), 0: not told
  std::uint8_t transformation = 0;   ///< RXH_XFRM_* since 6.8: hashes made symmetric
  bool operator==(const Rss&) const = default;
};

/// A counter of the driver's own (ethtool(8) -S).
struct DriverCounter {
  std::string name;
  std::uint64_t value = 0;
  bool operator==(const DriverCounter&) const = default;
};
/// The receive queue whose packets a counter of this name counts: "rx_queue_3_packets" (virtio,
/// Intel), "rx3_packets" (Mellanox), "rx-3.packets" (i40e), "queue_3_rx_cnt" (ena).
std::optional<std::uint32_t> receive_queue_of(std::string_view counter);

/// What the kernel makes of a table that is reset: all receive queues in turn
/// (ethtool_rxfh_indir_default in linux/ethtool.h).
std::vector<std::uint32_t> default_table(std::size_t size, std::uint32_t queues);
/// As above, or as igb and its like start (igb_setup_mrqc): each queue has one run of entries. That
/// somebody has set such a table by hand cannot be seen: the kernel tells nobody.
bool is_default_table(std::span<const std::uint32_t> table, std::uint32_t queues);

// ---- Messages are values ----

/// Numbers of linux/ethtool_netlink.h, which is older on Debian 12 than the kernels that we meet.
enum class EthtoolCommand : std::uint8_t { rss_get = 38, rss_set = 48 };

NetlinkMessage family_request(const std::string& name);
/// Generic netlink's number for a family, from the answer to family_request.
std::optional<std::uint16_t> parse_family(std::span<const std::byte> message);

NetlinkMessage rss_request(std::uint16_t family, const std::string& device);
/// An empty table resets it.
NetlinkMessage rss_set_request(std::uint16_t family, const std::string& device,
                               std::span<const std::uint32_t> table);
std::optional<Rss> parse_rss(std::span<const std::byte> message);

/// struct ethtool_rxfh with what follows it, for ETHTOOL_GRSSH and ETHTOOL_SRSSH, in 32-bit words.
std::vector<std::uint32_t> rxfh_get(std::size_t table_size, std::size_t key_size);
/// An empty table resets it; key and function stay. `transformation` is what was read.
std::vector<std::uint32_t> rxfh_set(std::span<const std::uint32_t> table,
                                    std::uint8_t transformation);
std::optional<Rss> parse_rxfh(std::span<const std::uint32_t> words);

// ---- Asking ----

/// Asks and sets by netlink where the kernel can (reading since 6.3, writing since 6.17), else by
/// ioctl: what it cannot is found by trying, and remembered. For devices of the network namespace
/// that it was opened in. A driver that lacks something: Error{unsupported}; no such device:
/// Error{gone}.
class Ethtool {
 public:
  static Result<Ethtool> open();

  Result<Rss> rss(const std::string& device);
  /// How many receive queues a table may name (ETHTOOL_GRXRINGS).
  Result<std::uint32_t> receive_queues(const std::string& device);
  /// The table must have the driver's size.
  Result<void> set_table(const std::string& device, std::span<const std::uint32_t> table);
  /// Back to the default: the kernel then counts the table as nobody's, and makes a new one
  /// whenever the number of queues changes.
  Result<void> reset_table(const std::string& device) { return set_table(device, {}); }
  /// "virtio_net", "igb", "veth", "tun", ...
  Result<std::string> driver(const std::string& device);
  Result<std::vector<DriverCounter>> counters(const std::string& device);

 private:
  Ethtool(NetlinkSocket netlink, std::uint16_t family, UniqueFd ioctl_socket)
      : netlink_(std::move(netlink)), family_(family), ioctl_socket_(std::move(ioctl_socket)) {}
  Result<void> call(const std::string& device, void* command, const char* what);
  Result<Rss> rss_by_ioctl(const std::string& device);

  NetlinkSocket netlink_;
  std::uint16_t family_ = 0;  ///< 0: the kernel has no ethtool netlink
  UniqueFd ioctl_socket_;
  bool reads_by_netlink_ = true, writes_by_netlink_ = true;
};

}  // namespace ankus
