// SPDX-License-Identifier: Apache-2.0
#include "kernel/ethtool.h"

#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace ankus {
namespace {

// Attributes of RSS_GET and RSS_SET (linux/ethtool_netlink.h since 6.3).
enum : std::uint16_t {
  kRssHeader = 1,
  kRssFunction = 3,
  kRssTable = 4,
  kRssKey = 5,
  kRssTransformation = 6,
};
constexpr std::size_t kRxfhWords = sizeof(ethtool_rxfh) / sizeof(std::uint32_t);
// A driver may answer the first question with any size; no NIC is near these.
constexpr std::uint32_t kTableLimit = 1 << 16, kKeyLimit = 1 << 12;

NetlinkMessage request(std::uint16_t family, EthtoolCommand command, const std::string& device) {
  NetlinkMessage message = netlink_message(
      family, 0, genlmsghdr{.cmd = static_cast<std::uint8_t>(command), .version = 1});
  // The header attribute is number 1 of every ethtool message.
  const std::size_t header = begin_nest(message, 1);
  put_text(message, ETHTOOL_A_HEADER_DEV_NAME, device);
  end_nest(message, header);
  return message;
}

template <class Word>
std::vector<Word> words_in(std::span<const std::byte> payload) {
  std::vector<Word> words(payload.size() / sizeof(Word));
  if (!words.empty()) std::memcpy(words.data(), payload.data(), words.size() * sizeof(Word));
  return words;
}

constexpr std::uint32_t kCounterLimit = 1 << 16;
constexpr std::size_t kCountersToCome = 1024;

bool is_unsupported(const Error& error) { return error.kind == ErrorKind::unsupported; }

}  // namespace

std::vector<std::uint32_t> default_table(std::size_t size, std::uint32_t queues) {
  std::vector<std::uint32_t> table(size);
  if (queues != 0)
    for (std::size_t i = 0; i < size; ++i) table[i] = static_cast<std::uint32_t>(i % queues);
  return table;
}

bool is_default_table(std::span<const std::uint32_t> table, std::uint32_t queues) {
  if (queues == 0) return false;
  if (std::ranges::equal(table, default_table(table.size(), queues))) return true;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (table[i] != i * queues / table.size()) return false;
  return true;
}

std::optional<std::uint32_t> receive_queue_of(std::string_view counter) {
  constexpr std::array<std::array<std::string_view, 2>, 4> kForms{
      {{"rx_queue_", "_packets"}, {"rx", "_packets"}, {"rx-", ".packets"}, {"queue_", "_rx_cnt"}}};
  for (const auto& [before, after] : kForms) {
    if (!counter.starts_with(before) || !counter.ends_with(after) ||
        counter.size() <= before.size() + after.size())
      continue;
    const auto digits =
        counter.substr(before.size(), counter.size() - before.size() - after.size());
    std::uint32_t queue = 0;
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), queue);
    if (end.ec == std::errc() && end.ptr == digits.data() + digits.size()) return queue;
  }
  return std::nullopt;
}

NetlinkMessage family_request(const std::string& name) {
  NetlinkMessage message =
      netlink_message(GENL_ID_CTRL, 0, genlmsghdr{.cmd = CTRL_CMD_GETFAMILY, .version = 1});
  put_text(message, CTRL_ATTR_FAMILY_NAME, name);
  return message;
}

std::optional<std::uint16_t> parse_family(std::span<const std::byte> message) {
  if (type_of(message) != GENL_ID_CTRL) return std::nullopt;
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof(genlmsghdr)))
    if (attribute.type == CTRL_ATTR_FAMILY_ID) return value_in<std::uint16_t>(attribute.payload);
  return std::nullopt;
}

NetlinkMessage rss_request(std::uint16_t family, const std::string& device) {
  return request(family, EthtoolCommand::rss_get, device);
}

NetlinkMessage rss_set_request(std::uint16_t family, const std::string& device,
                               std::span<const std::uint32_t> table) {
  NetlinkMessage message = request(family, EthtoolCommand::rss_set, device);
  put_attribute(message, kRssTable, std::as_bytes(table));
  return message;
}

std::optional<Rss> parse_rss(std::span<const std::byte> message) {
  if (!body_of<genlmsghdr>(message)) return std::nullopt;
  Rss rss;
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof(genlmsghdr))) {
    if (attribute.type == kRssTable) rss.table = words_in<std::uint32_t>(attribute.payload);
    if (attribute.type == kRssKey) rss.key = words_in<std::byte>(attribute.payload);
    if (attribute.type == kRssFunction)
      rss.function = value_in<std::uint32_t>(attribute.payload).value_or(0);
    if (attribute.type == kRssTransformation)
      rss.transformation =
          static_cast<std::uint8_t>(value_in<std::uint32_t>(attribute.payload).value_or(0));
  }
  return rss;
}

namespace {

std::vector<std::uint32_t> rxfh_words(const ethtool_rxfh& head, std::size_t behind) {
  std::vector<std::uint32_t> words(kRxfhWords + behind);
  std::memcpy(words.data(), &head, sizeof head);
  return words;
}

}  // namespace

std::vector<std::uint32_t> rxfh_get(std::size_t table_size, std::size_t key_size) {
  ethtool_rxfh head{};
  head.cmd = ETHTOOL_GRSSH;
  head.indir_size = static_cast<std::uint32_t>(table_size);
  head.key_size = static_cast<std::uint32_t>(key_size);
  return rxfh_words(head, table_size + (key_size + 3) / 4);
}

std::vector<std::uint32_t> rxfh_set(std::span<const std::uint32_t> table,
                                    std::uint8_t transformation) {
  ethtool_rxfh head{};
  head.cmd = ETHTOOL_SRSSH;
  head.indir_size = static_cast<std::uint32_t>(table.size());
  // input_xfrm since 6.8, where 0 would switch it off; reserved before, and then read as 0.
  head.rsvd8[0] = transformation;
  auto words = rxfh_words(head, table.size());
  std::ranges::copy(table, words.begin() + kRxfhWords);
  return words;
}

std::optional<Rss> parse_rxfh(std::span<const std::uint32_t> words) {
  if (words.size() < kRxfhWords) return std::nullopt;
  ethtool_rxfh head;
  std::memcpy(&head, words.data(), sizeof head);
  const auto behind = words.subspan(kRxfhWords);
  const std::size_t key_words = (std::size_t{head.key_size} + 3) / 4;
  if (behind.size() < head.indir_size || behind.size() - head.indir_size < key_words)
    return std::nullopt;
  Rss rss{.table = {behind.begin(), behind.begin() + head.indir_size},
          .function = head.hfunc,
          .transformation = head.rsvd8[0]};
  const auto key = std::as_bytes(behind.subspan(head.indir_size)).first(head.key_size);
  rss.key.assign(key.begin(), key.end());
  return rss;
}

Result<Ethtool> Ethtool::open() {
  auto netlink = NetlinkSocket::open(NETLINK_GENERIC);
  if (!netlink) return std::unexpected(netlink.error());
  // Any socket takes SIOCETHTOOL; the unit allows the daemon no AF_INET (RestrictAddressFamilies).
  UniqueFd ioctl_socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!ioctl_socket) return fail_errno("socket for ethtool");
  std::uint16_t family = 0;
  const auto answer = netlink->get(family_request(ETHTOOL_GENL_NAME));
  if (!answer && answer.error().kind != ErrorKind::gone) return std::unexpected(answer.error());
  if (answer)
    for (const NetlinkMessage& message : *answer) family = parse_family(message).value_or(family);
  return Ethtool(std::move(*netlink), family, std::move(ioctl_socket));
}

Result<void> Ethtool::call(const std::string& device, void* command, const char* what) {
  ifreq request{};
  if (device.size() >= sizeof request.ifr_name)
    return fail(ErrorKind::invalid, "device name too long: " + device);
  std::ranges::copy(device, request.ifr_name);
  request.ifr_data = static_cast<char*>(command);
  if (::ioctl(ioctl_socket_.get(), SIOCETHTOOL, &request) != 0)
    return fail_errno(device + ": " + what);
  return {};
}

Result<Rss> Ethtool::rss_by_ioctl(const std::string& device) {
  auto sizes = rxfh_get(0, 0);
  if (auto done = call(device, sizes.data(), "ETHTOOL_GRSSH"); !done)
    return std::unexpected(done.error());
  ethtool_rxfh head;
  std::memcpy(&head, sizes.data(), sizeof head);
  if (head.indir_size > kTableLimit || head.key_size > kKeyLimit)
    return fail(ErrorKind::refused, device + ": an indirection table of senseless size");
  auto words = rxfh_get(head.indir_size, head.key_size);
  if (auto done = call(device, words.data(), "ETHTOOL_GRSSH"); !done)
    return std::unexpected(done.error());
  auto rss = parse_rxfh(words);
  if (!rss) return fail(ErrorKind::refused, device + ": ETHTOOL_GRSSH: cut short");
  return *std::move(rss);
}

Result<Rss> Ethtool::rss(const std::string& device) {
  const bool tried = family_ != 0 && reads_by_netlink_;
  if (tried) {
    const auto answer = netlink_.get(rss_request(family_, device));
    if (!answer && !is_unsupported(answer.error()))
      return with_context(device + ": RSS_GET", answer.error());
    if (answer)
      for (const NetlinkMessage& message : *answer)
        if (auto rss = parse_rss(message)) return *std::move(rss);
  }
  // EOPNOTSUPP is the kernel's word for a driver without it and for a command it does not know.
  auto rss = rss_by_ioctl(device);
  if (rss && tried) reads_by_netlink_ = false;
  return rss;
}

Result<std::uint32_t> Ethtool::receive_queues(const std::string& device) {
  ethtool_rxnfc rings{};
  rings.cmd = ETHTOOL_GRXRINGS;
  if (auto done = call(device, &rings, "ETHTOOL_GRXRINGS"); !done)
    return std::unexpected(done.error());
  return static_cast<std::uint32_t>(rings.data);
}

Result<void> Ethtool::set_table(const std::string& device, std::span<const std::uint32_t> table) {
  const bool tried = family_ != 0 && writes_by_netlink_;
  if (tried) {
    const std::vector<NetlinkMessage> requests{rss_set_request(family_, device, table)};
    const auto done = netlink_.transact(requests).at(0);
    if (done || !is_unsupported(done.error()))
      return done ? done : Result<void>(with_context(device + ": RSS_SET", done.error()));
  }
  auto now = rss_by_ioctl(device);
  if (!now) return std::unexpected(now.error());
  auto words = rxfh_set(table, now->transformation);
  auto done = call(device, words.data(), "ETHTOOL_SRSSH");
  if (done && tried) writes_by_netlink_ = false;
  return done;
}

Result<std::string> Ethtool::driver(const std::string& device) {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  if (auto done = call(device, &info, "ETHTOOL_GDRVINFO"); !done)
    return std::unexpected(done.error());
  return text_in(std::as_bytes(std::span(info.driver)));
}

Result<std::vector<DriverCounter>> Ethtool::counters(const std::string& device) {
  std::array<std::uint32_t, sizeof(ethtool_sset_info) / sizeof(std::uint32_t) + 1> sets{};
  ethtool_sset_info ask{};
  ask.cmd = ETHTOOL_GSSET_INFO;
  ask.sset_mask = 1ULL << ETH_SS_STATS;
  std::memcpy(sets.data(), &ask, sizeof ask);
  if (auto done = call(device, sets.data(), "ETHTOOL_GSSET_INFO"); !done)
    return std::unexpected(done.error());
  const std::size_t count = std::min(sets.back(), kCounterLimit);
  // Asked for a number, the kernel gives as many as there are now (net/ethtool/ioctl.c): room for a
  // few queues that come in between.
  const std::size_t room = count + kCountersToCome;
  std::vector<std::byte> names(sizeof(ethtool_gstrings) + room * ETH_GSTRING_LEN);
  std::vector<std::uint64_t> values((sizeof(ethtool_stats) + 7) / 8 + room);
  const ethtool_gstrings ask_names{.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS};
  const ethtool_stats ask_values{.cmd = ETHTOOL_GSTATS};
  std::memcpy(names.data(), &ask_names, sizeof ask_names);
  std::memcpy(values.data(), &ask_values, sizeof ask_values);
  if (auto done = call(device, names.data(), "ETHTOOL_GSTRINGS"); !done)
    return std::unexpected(done.error());
  if (auto done = call(device, values.data(), "ETHTOOL_GSTATS"); !done)
    return std::unexpected(done.error());
  ethtool_gstrings named;
  ethtool_stats valued;
  std::memcpy(&named, names.data(), sizeof named);
  std::memcpy(&valued, values.data(), sizeof valued);
  std::vector<DriverCounter> counters(std::min<std::size_t>({named.len, valued.n_stats, room}));
  for (std::size_t i = 0; i < counters.size(); ++i)
    counters[i] = {.name = text_in(std::span(names).subspan(sizeof named + i * ETH_GSTRING_LEN,
                                                            ETH_GSTRING_LEN)),
                   .value = values[sizeof valued / 8 + i]};
  return counters;
}

}  // namespace ankus
