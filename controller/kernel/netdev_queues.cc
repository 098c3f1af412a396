// SPDX-License-Identifier: Apache-2.0
#include "kernel/netdev_queues.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "kernel/ethtool.h"

namespace ankus {
namespace {

// linux/netdev.h, which Debian 12 has not.
enum : std::uint8_t { kQueueGet = 10, kNapiGet = 11, kQueueStatisticsGet = 12 };
enum : std::uint16_t { kQueueId = 1, kQueueIfindex = 2, kQueueType = 3, kQueueNapi = 4 };
enum : std::uint16_t { kNapiIfindex = 1, kNapiId = 2, kNapiIrq = 3, kNapiThread = 4 };
enum : std::uint16_t {
  kStatisticsIfindex = 1,
  kStatisticsType = 2,
  kStatisticsQueue = 3,
  kStatisticsScope = 4,
  kReceivedPackets = 8,
  kTransmittedPackets = 10,
};
constexpr std::uint32_t kReceives = 0, kScopeQueue = 1;

/// NLA_UINT: of 4 or 8 bytes, as the value needs.
std::uint64_t number_in(std::span<const std::byte> payload) {
  if (const auto wide = value_in<std::uint64_t>(payload)) return *wide;
  return value_in<std::uint32_t>(payload).value_or(0);
}

NetlinkMessage dump_request(std::uint16_t family, std::uint8_t command, std::uint16_t attribute,
                            std::uint32_t ifindex) {
  NetlinkMessage message = netlink_message(family, 0, genlmsghdr{.cmd = command, .version = 1});
  put_value(message, attribute, ifindex);
  return message;
}

template <class Row>
Result<std::vector<Row>> rows_of(NetlinkSocket& socket, const NetlinkMessage& request,
                                 std::optional<Row> (*parse)(std::span<const std::byte>)) {
  const auto messages = socket.dump(request);
  if (!messages) return with_context("netdev netlink", messages.error());
  std::vector<Row> rows;
  for (const NetlinkMessage& message : *messages)
    if (auto row = parse(message)) rows.push_back(*row);
  return rows;
}

}  // namespace

NetlinkMessage queue_dump_request(std::uint16_t family, std::uint32_t ifindex) {
  return dump_request(family, kQueueGet, kQueueIfindex, ifindex);
}

NetlinkMessage napi_dump_request(std::uint16_t family, std::uint32_t ifindex) {
  return dump_request(family, kNapiGet, kNapiIfindex, ifindex);
}

NetlinkMessage queue_packets_dump_request(std::uint16_t family, std::uint32_t ifindex) {
  NetlinkMessage message = dump_request(family, kQueueStatisticsGet, kStatisticsIfindex, ifindex);
  put_value(message, kStatisticsScope, kScopeQueue);
  return message;
}

std::optional<NetdevQueue> parse_queue(std::span<const std::byte> message) {
  std::optional<NetdevQueue> queue;
  std::uint32_t napi = 0, type = kReceives;
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof(genlmsghdr))) {
    const std::uint32_t value = value_in<std::uint32_t>(attribute.payload).value_or(0);
    if (attribute.type == kQueueId) queue = NetdevQueue{.queue = value};
    if (attribute.type == kQueueType) type = value;
    if (attribute.type == kQueueNapi) napi = value;
  }
  if (queue) *queue = {.queue = queue->queue, .receives = type == kReceives, .napi = napi};
  return queue;
}

std::optional<NetdevNapi> parse_napi(std::span<const std::byte> message) {
  NetdevNapi napi;
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof(genlmsghdr))) {
    const std::uint32_t value = value_in<std::uint32_t>(attribute.payload).value_or(0);
    if (attribute.type == kNapiId) napi.napi = value;
    if (attribute.type == kNapiIrq) napi.irq = value;
    if (attribute.type == kNapiThread) napi.thread = static_cast<std::int32_t>(value);
  }
  return napi.napi != 0 ? std::optional(napi) : std::nullopt;
}

std::optional<QueuePackets> parse_queue_packets(std::span<const std::byte> message) {
  std::optional<std::uint32_t> queue, type;
  std::optional<std::uint64_t> received, transmitted;
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof(genlmsghdr))) {
    if (attribute.type == kStatisticsQueue) queue = value_in<std::uint32_t>(attribute.payload);
    if (attribute.type == kStatisticsType) type = value_in<std::uint32_t>(attribute.payload);
    if (attribute.type == kReceivedPackets) received = number_in(attribute.payload);
    if (attribute.type == kTransmittedPackets) transmitted = number_in(attribute.payload);
  }
  if (!queue || !type) return std::nullopt;
  const auto& packets = *type == kReceives ? received : transmitted;
  if (!packets) return std::nullopt;
  return QueuePackets{.queue = *queue, .receives = *type == kReceives, .packets = *packets};
}

Result<NetdevQueues> NetdevQueues::open() {
  auto netlink = NetlinkSocket::open(NETLINK_GENERIC);
  if (!netlink) return std::unexpected(netlink.error());
  const auto answer = netlink->get(family_request("netdev"));
  if (!answer && answer.error().kind != ErrorKind::gone) return std::unexpected(answer.error());
  std::uint16_t family = 0;
  if (answer)
    for (const NetlinkMessage& message : *answer) family = parse_family(message).value_or(family);
  return NetdevQueues(std::move(*netlink), family);
}

Result<std::vector<NetdevQueue>> NetdevQueues::queues(std::uint32_t ifindex) {
  if (family_ == 0) return fail(ErrorKind::unsupported, "the kernel has no netdev netlink");
  return rows_of(netlink_, queue_dump_request(family_, ifindex), parse_queue);
}

Result<std::vector<NetdevNapi>> NetdevQueues::napis(std::uint32_t ifindex) {
  if (family_ == 0) return fail(ErrorKind::unsupported, "the kernel has no netdev netlink");
  return rows_of(netlink_, napi_dump_request(family_, ifindex), parse_napi);
}

Result<std::vector<QueuePackets>> NetdevQueues::packets(std::uint32_t ifindex) {
  if (family_ == 0) return fail(ErrorKind::unsupported, "the kernel has no netdev netlink");
  return rows_of(netlink_, queue_packets_dump_request(family_, ifindex), parse_queue_packets);
}

}  // namespace ankus
