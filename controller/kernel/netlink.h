// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/handle.h"
#include "base/result.h"

namespace ankus {

// ---- Messages are values: building and reading them needs no socket (netlink(7)) ----

/// One message: nlmsghdr, the family's header, attributes.
using NetlinkMessage = std::vector<std::byte>;

/// A message of nlmsghdr (NLM_F_REQUEST | `flags`) and `body`, the family's header.
NetlinkMessage netlink_message(std::uint16_t type, std::uint16_t flags,
                               std::span<const std::byte> body);
template <class Body>
NetlinkMessage netlink_message(std::uint16_t type, std::uint16_t flags, const Body& body)
  requires std::is_trivially_copyable_v<Body> && std::is_aggregate_v<Body>
{
  return netlink_message(type, flags, std::as_bytes(std::span(&body, 1)));
}

/// Appends an attribute and keeps nlmsg_len right.
void put_attribute(NetlinkMessage& message, std::uint16_t type, std::span<const std::byte> payload);
/// Appends `text` with the NUL that the kernel expects of NLA_NUL_STRING.
void put_text(NetlinkMessage& message, std::uint16_t type, std::string_view text);
template <class Value>
void put_value(NetlinkMessage& message, std::uint16_t type, const Value& value)
  requires std::is_trivially_copyable_v<Value>
{
  put_attribute(message, type, std::as_bytes(std::span(&value, 1)));
}
/// Opens a nest (NLA_F_NESTED is added); what is put until end_nest(message, the result) is in it.
std::size_t begin_nest(NetlinkMessage& message, std::uint16_t type);
void end_nest(NetlinkMessage& message, std::size_t nest);

struct NetlinkAttribute {
  std::uint16_t type = 0;  ///< without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  std::span<const std::byte> payload;
};
/// The attributes in `bytes`; ends at the first that does not fit.
std::vector<NetlinkAttribute> attributes_in(std::span<const std::byte> bytes);
/// The attributes of a message whose family header is `header_size` long.
std::vector<NetlinkAttribute> attributes_of(std::span<const std::byte> message,
                                            std::size_t header_size);

/// nlmsg_type of a message, 0 if it is too short to have one.
std::uint16_t type_of(std::span<const std::byte> message);
/// The family header behind nlmsghdr, if the message is long enough.
template <class Body>
std::optional<Body> body_of(std::span<const std::byte> message);
/// `payload` as a number or struct, if it is long enough.
template <class Value>
std::optional<Value> value_in(std::span<const std::byte> payload) {
  static_assert(std::is_trivially_copyable_v<Value>);
  if (payload.size() < sizeof(Value)) return std::nullopt;
  Value value;
  std::memcpy(&value, payload.data(), sizeof(Value));
  return value;
}
/// `payload` as text up to its first NUL.
std::string text_in(std::span<const std::byte> payload);

constexpr std::size_t kNetlinkHeaderSize = 16;
template <class Body>
std::optional<Body> body_of(std::span<const std::byte> message) {
  if (message.size() < kNetlinkHeaderSize) return std::nullopt;
  return value_in<Body>(message.subspan(kNetlinkHeaderSize));
}

/// What an NLMSG_ERROR message says about request `sequence`.
struct NetlinkAck {
  std::uint32_t sequence = 0;
  int err = 0;       ///< positive errno, 0 for success
  std::string text;  ///< NLMSGERR_ATTR_MSG: the kernel's own words, often empty
  bool operator==(const NetlinkAck&) const = default;
};
/// nullopt if `message` is no NLMSG_ERROR.
std::optional<NetlinkAck> parse_ack(std::span<const std::byte> message);

/// What gives messages as they come, a datagram's at a time.
using NextReplies = std::function<Result<std::vector<NetlinkMessage>>()>;
/// The replies to dump `sequence`, up to its NLMSG_DONE. All of them or an Error: EINTR if any says
/// that the listing changed under it (NLM_F_DUMP_INTR), for then some may be missing or twice.
Result<std::vector<NetlinkMessage>> gather_dump(std::uint32_t sequence, const NextReplies& receive);
constexpr int kDumpAttempts = 5;
/// Calls `dump` again while it was interrupted (EINTR) or replies were lost (ENOBUFS); after
/// kDumpAttempts its last Error{busy}.
Result<std::vector<NetlinkMessage>> repeat_dump(const NextReplies& dump);

// ---- The socket ----

struct Notifications {
  std::vector<NetlinkMessage> messages;
  bool overrun = false;  ///< the kernel dropped some (ENOBUFS): read the whole state again
  /// Whether what was read before may no longer be so.
  bool tell_of_change() const { return overrun || !messages.empty(); }
};

/// What transact() does after a request failed.
enum class AfterFailure {
  go_on,  ///< all requests are sent, many per system call
  stop,   ///< nothing behind the failed one reaches the kernel; one request per system call
};

/// A netlink socket. One that is subscribed to groups only receives; ask with another.
class NetlinkSocket {
 public:
  /// `groups` is a mask of the first 32 multicast groups (RTMGRP_LINK and so on).
  static Result<NetlinkSocket> open(int protocol, std::uint32_t groups = 0);

  /// The replies to a dump request, each with its nlmsghdr; asked again as repeat_dump() says. Not
  /// for a socket that epoll watches: it may be replaced by another.
  Result<std::vector<NetlinkMessage>> dump(std::span<const std::byte> request);

  /// The replies to a request that is no dump, up to its acknowledgement.
  Result<std::vector<NetlinkMessage>> get(std::span<const std::byte> request);

  /// Sends requests (NLM_F_ACK and sequence numbers are set here). Result i belongs to request i;
  /// with AfterFailure::stop the last result is the failure. The kernel's words are in the error.
  std::vector<Result<void>> transact(std::span<const NetlinkMessage> requests,
                                     AfterFailure after_failure = AfterFailure::go_on);

  /// What has arrived since the last call; does not block. For a socket with groups.
  Result<Notifications> receive_notifications();

  /// For epoll.
  int fd() const { return fd_.get(); }

 private:
  NetlinkSocket(UniqueFd fd, int protocol) : fd_(std::move(fd)), protocol_(protocol) {}
  Result<void> send(std::span<const std::byte> bytes);
  Result<std::vector<NetlinkMessage>> receive(int flags);
  Result<std::vector<NetlinkMessage>> dump_once(std::span<const std::byte> request);
  Result<void> transact_batch(std::span<const NetlinkMessage> requests,
                              std::span<Result<void>> results);

  UniqueFd fd_;
  int protocol_;
  std::uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_, packed_;
};

/// SO_NETNS_COOKIE of this process's network namespace (socket(7), Linux 5.14).
Result<std::uint64_t> own_netns_cookie();

}  // namespace ankus
