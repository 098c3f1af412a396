// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cassert>

namespace ankus {
namespace {

constexpr int kReceiveBuffer = 8 << 20;
// The kernel fills at most 32 KB per datagram of a dump, more only for a link with very many
// virtual functions.
constexpr std::size_t kDatagram = 256 << 10;
constexpr std::size_t kMessagesPerSend = 64;
constexpr std::size_t kBytesPerSend = 32 << 10;

static_assert(kNetlinkHeaderSize == NLMSG_HDRLEN);

std::size_t aligned(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

nlmsghdr header_of(std::span<const std::byte> message) {
  nlmsghdr header{};
  if (message.size() >= sizeof header) std::memcpy(&header, message.data(), sizeof header);
  return header;
}

void store_header(NetlinkMessage& message, const nlmsghdr& header) {
  std::memcpy(message.data(), &header, sizeof header);
}

void store_length(NetlinkMessage& message) {
  nlmsghdr header = header_of(message);
  header.nlmsg_len = static_cast<std::uint32_t>(message.size());
  store_header(message, header);
}

Error error_of(const NetlinkAck& ack) {
  Error error{.kind = error_kind(ack.err), .err = ack.err, .text = std::strerror(ack.err)};
  if (!ack.text.empty()) error.text += " (" + ack.text + ")";
  return error;
}

/// The end of a dump carries a status (NLMSG_DONE's payload) and maybe the kernel's words.
NetlinkAck status_of_done(std::span<const std::byte> message) {
  NetlinkAck ack{.sequence = header_of(message).nlmsg_seq};
  if (const auto status = body_of<int>(message)) ack.err = *status < 0 ? -*status : 0;
  if (header_of(message).nlmsg_flags & NLM_F_ACK_TLVS)
    for (const NetlinkAttribute& attribute : attributes_of(message, sizeof(int)))
      if (attribute.type == NLMSGERR_ATTR_MSG) ack.text = text_in(attribute.payload);
  return ack;
}

}  // namespace

NetlinkMessage netlink_message(std::uint16_t type, std::uint16_t flags,
                               std::span<const std::byte> body) {
  NetlinkMessage message;
  message.reserve(256);  // most messages fit, and attributes are put one by one
  message.resize(sizeof(nlmsghdr));
  message.insert(message.end(), body.begin(), body.end());
  message.resize(aligned(message.size()));
  store_header(message, {.nlmsg_len = static_cast<std::uint32_t>(message.size()),
                         .nlmsg_type = type,
                         .nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags),
                         .nlmsg_seq = 0,
                         .nlmsg_pid = 0});
  return message;
}

void put_attribute(NetlinkMessage& message, std::uint16_t type,
                   std::span<const std::byte> payload) {
  const nlattr attribute{.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + payload.size()),
                         .nla_type = type};
  assert(sizeof(nlattr) + payload.size() <= UINT16_MAX);
  const auto head = std::as_bytes(std::span(&attribute, 1));
  message.insert(message.end(), head.begin(), head.end());
  message.insert(message.end(), payload.begin(), payload.end());
  message.resize(aligned(message.size()));
  store_length(message);
}

void put_text(NetlinkMessage& message, std::uint16_t type, std::string_view text) {
  std::vector<std::byte> payload(text.size() + 1);
  std::memcpy(payload.data(), text.data(), text.size());
  put_attribute(message, type, payload);
}

std::size_t begin_nest(NetlinkMessage& message, std::uint16_t type) {
  const std::size_t nest = message.size();
  put_attribute(message, type | NLA_F_NESTED, {});
  return nest;
}

void end_nest(NetlinkMessage& message, std::size_t nest) {
  nlattr attribute;
  assert(nest + sizeof attribute <= message.size() && message.size() - nest <= UINT16_MAX);
  std::memcpy(&attribute, message.data() + nest, sizeof attribute);
  attribute.nla_len = static_cast<std::uint16_t>(message.size() - nest);
  std::memcpy(message.data() + nest, &attribute, sizeof attribute);
}

std::vector<NetlinkAttribute> attributes_in(std::span<const std::byte> bytes) {
  std::vector<NetlinkAttribute> attributes;
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr head;
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.nla_len < sizeof head || head.nla_len > bytes.size()) break;
    attributes.push_back({.type = static_cast<std::uint16_t>(head.nla_type & NLA_TYPE_MASK),
                          .payload = bytes.subspan(sizeof head, head.nla_len - sizeof head)});
    bytes = bytes.subspan(std::min(aligned(head.nla_len), bytes.size()));
  }
  return attributes;
}

std::vector<NetlinkAttribute> attributes_of(std::span<const std::byte> message,
                                            std::size_t header_size) {
  const std::size_t start = sizeof(nlmsghdr) + aligned(header_size);
  return message.size() < start ? std::vector<NetlinkAttribute>{}
                                : attributes_in(message.subspan(start));
}

std::uint16_t type_of(std::span<const std::byte> message) { return header_of(message).nlmsg_type; }

std::string text_in(std::span<const std::byte> payload) {
  if (payload.empty()) return {};  // its data() may be null
  const auto* text = reinterpret_cast<const char*>(payload.data());
  return std::string(text, strnlen(text, payload.size()));
}

std::optional<NetlinkAck> parse_ack(std::span<const std::byte> message) {
  const auto body = body_of<nlmsgerr>(message);
  if (!body || type_of(message) != NLMSG_ERROR) return std::nullopt;
  NetlinkAck ack{.sequence = header_of(message).nlmsg_seq,
                 .err = body->error < 0 ? -body->error : 0};
  const std::uint16_t flags = header_of(message).nlmsg_flags;
  if (!(flags & NLM_F_ACK_TLVS)) return ack;
  // Uncapped, the whole request lies between the header and the attributes.
  const std::size_t echoed =
      flags & NLM_F_CAPPED
          ? 0
          : aligned(body->msg.nlmsg_len) -
                std::min<std::size_t>(aligned(body->msg.nlmsg_len), sizeof(nlmsghdr));
  for (const NetlinkAttribute& attribute : attributes_of(message, sizeof(nlmsgerr) + echoed))
    if (attribute.type == NLMSGERR_ATTR_MSG) ack.text = text_in(attribute.payload);
  return ack;
}

Result<std::vector<NetlinkMessage>> gather_dump(std::uint32_t sequence,
                                                const NextReplies& receive) {
  std::vector<NetlinkMessage> replies;
  bool interrupted = false;
  for (;;) {
    auto received = receive();
    if (!received) return received;
    for (NetlinkMessage& reply : *received) {
      const nlmsghdr head = header_of(reply);
      if (head.nlmsg_seq != sequence) continue;  // left over from a dump that failed midway
      if (head.nlmsg_flags & NLM_F_DUMP_INTR) interrupted = true;
      if (const auto ack = parse_ack(reply)) {
        if (ack->err == 0) continue;
        return std::unexpected(error_of(*ack));
      }
      if (head.nlmsg_type == NLMSG_DONE) {
        const NetlinkAck status = status_of_done(reply);
        if (status.err != 0) return std::unexpected(error_of(status));
        if (interrupted) return fail_errno("netlink dump interrupted by a change", EINTR);
        return replies;
      }
      replies.push_back(std::move(reply));
    }
  }
}

Result<std::vector<NetlinkMessage>> repeat_dump(const NextReplies& dump) {
  auto replies = dump();
  for (int attempt = 1; attempt < kDumpAttempts && !replies &&
                        (replies.error().err == EINTR || replies.error().err == ENOBUFS);
       ++attempt)
    replies = dump();
  return replies;
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol, std::uint32_t groups) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return fail_errno("netlink socket");
  const int on = 1;
  // Old kernels and unprivileged callers lack some of these; each only improves what works anyway.
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer))
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  // The kernel answers within the send; this only keeps a kernel bug from hanging the daemon.
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience))
    return fail_errno("netlink SO_RCVTIMEO");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address))
    return fail_errno("netlink bind");
  return NetlinkSocket(std::move(fd), protocol);
}

Result<void> NetlinkSocket::send(std::span<const std::byte> bytes) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  for (;;) {
    const ssize_t sent = ::sendto(fd_.get(), bytes.data(), bytes.size(), 0,
                                  reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
    if (sent == static_cast<ssize_t>(bytes.size())) return {};
    if (sent >= 0) return fail(ErrorKind::refused, "netlink send: cut short");
    if (errno != EINTR) return fail_errno("netlink send");
  }
}

Result<std::vector<NetlinkMessage>> NetlinkSocket::receive(int flags) {
  buffer_.resize(kDatagram);
  for (;;) {
    sockaddr_nl sender{};
    iovec vector{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
    msghdr header{};
    header.msg_name = &sender;
    header.msg_namelen = sizeof sender;
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    const ssize_t size = ::recvmsg(fd_.get(), &header, flags);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno("netlink receive");
    if (header.msg_flags & MSG_TRUNC)
      return fail(ErrorKind::refused, "netlink receive: a datagram of more than 256 KiB");
    if (sender.nl_pid != 0) continue;  // another process may write to us; only the kernel counts
    std::vector<NetlinkMessage> messages;
    for (std::span<const std::byte> rest(buffer_.data(), static_cast<std::size_t>(size));
         rest.size() >= sizeof(nlmsghdr);) {
      const std::size_t length = header_of(rest).nlmsg_len;
      if (length < sizeof(nlmsghdr) || length > rest.size()) break;
      messages.emplace_back(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(length));
      rest = rest.subspan(std::min(aligned(length), rest.size()));
    }
    return messages;
  }
}

Result<std::vector<NetlinkMessage>> NetlinkSocket::dump_once(std::span<const std::byte> request) {
  NetlinkMessage message(request.begin(), request.end());
  nlmsghdr header = header_of(message);
  header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
  header.nlmsg_seq = ++sequence_;
  store_header(message, header);
  if (auto sent = send(message); !sent) return std::unexpected(sent.error());
  auto replies = gather_dump(sequence_, [this] { return receive(0); });
  // What the kernel could not deliver may be the dump's rest, and as long as it is in the middle of
  // one it begins no other on that socket (af_netlink.c, __netlink_dump_start).
  if (!replies && replies.error().err == ENOBUFS)
    if (auto fresh = open(protocol_)) fd_ = std::move(fresh->fd_);
  return replies;
}

Result<std::vector<NetlinkMessage>> NetlinkSocket::dump(std::span<const std::byte> request) {
  assert(request.size() >= sizeof(nlmsghdr));
  return repeat_dump([&] { return dump_once(request); });
}

Result<std::vector<NetlinkMessage>> NetlinkSocket::get(std::span<const std::byte> request) {
  assert(request.size() >= sizeof(nlmsghdr));
  NetlinkMessage message(request.begin(), request.end());
  nlmsghdr header = header_of(message);
  header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  header.nlmsg_seq = ++sequence_;
  store_header(message, header);
  if (auto sent = send(message); !sent) return std::unexpected(sent.error());
  std::vector<NetlinkMessage> replies;
  for (;;) {
    auto received = receive(0);
    if (!received) return received;
    for (NetlinkMessage& reply : *received) {
      if (header_of(reply).nlmsg_seq != sequence_) continue;
      const auto ack = parse_ack(reply);
      if (!ack) {
        replies.push_back(std::move(reply));
        continue;
      }
      if (ack->err != 0) return std::unexpected(error_of(*ack));
      return replies;
    }
  }
}

/// Only the last request asks to be acknowledged. The kernel takes them in their order and answers
/// one that fails without being asked (af_netlink.c, netlink_rcv_skb), so once the last is answered
/// silence is success. An answer that finds no room is not silence: the next receive has ENOBUFS.
Result<void> NetlinkSocket::transact_batch(std::span<const NetlinkMessage> requests,
                                           std::span<Result<void>> results) {
  const std::uint32_t first = sequence_ + 1, last = static_cast<std::uint32_t>(requests.size()) - 1;
  packed_.clear();
  for (const NetlinkMessage& request : requests) {
    assert(request.size() >= sizeof(nlmsghdr));
    nlmsghdr header = header_of(request);
    header.nlmsg_flags |= NLM_F_REQUEST;
    if (&request == &requests.back()) header.nlmsg_flags |= NLM_F_ACK;
    header.nlmsg_seq = ++sequence_;
    header.nlmsg_len = static_cast<std::uint32_t>(request.size());
    const std::size_t at = packed_.size();
    packed_.insert(packed_.end(), request.begin(), request.end());
    std::memcpy(packed_.data() + at, &header, sizeof header);
    packed_.resize(aligned(packed_.size()));
  }
  if (auto sent = send(packed_); !sent) return sent;
  for (bool complete = false; !complete;) {
    const auto received = receive(0);
    if (!received) {
      for (Result<void>& result : results)
        if (result)
          result =
              with_context("no acknowledgement: the change may have been made", received.error());
      return {};
    }
    for (const NetlinkMessage& reply : *received) {
      const auto ack = parse_ack(reply);
      if (!ack) continue;
      const std::uint32_t index = ack->sequence - first;  // wraps: foreign ones are out of range
      if (index > last) continue;
      if (ack->err != 0) results[index] = std::unexpected(error_of(*ack));
      complete = complete || index == last;
    }
  }
  return {};
}

std::vector<Result<void>> NetlinkSocket::transact(std::span<const NetlinkMessage> requests,
                                                  AfterFailure after_failure) {
  std::vector<Result<void>> results(requests.size());
  std::size_t start = 0;
  while (start < requests.size()) {
    std::size_t end = start + 1, bytes = aligned(requests[start].size());
    while (after_failure == AfterFailure::go_on && end < requests.size() &&
           end - start < kMessagesPerSend && bytes + aligned(requests[end].size()) <= kBytesPerSend)
      bytes += aligned(requests[end++].size());
    const auto batch = std::span(results).subspan(start, end - start);
    if (auto sent = transact_batch(requests.subspan(start, end - start), batch); !sent)
      std::ranges::fill(batch, Result<void>(std::unexpected(sent.error())));
    if (after_failure == AfterFailure::stop && !results[start]) {
      results.resize(end);
      break;
    }
    start = end;
  }
  return results;
}

Result<Notifications> NetlinkSocket::receive_notifications() {
  Notifications all;
  for (;;) {
    auto received = receive(MSG_DONTWAIT);
    if (received) {
      for (NetlinkMessage& message : *received) all.messages.push_back(std::move(message));
      continue;
    }
    if (received.error().err == EAGAIN) return all;
    if (received.error().err != ENOBUFS) return std::unexpected(received.error());
    all.overrun = true;
  }
}

Result<std::uint64_t> own_netns_cookie() {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket");
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size))
    return fail_errno("SO_NETNS_COOKIE");
  return cookie;
}

}  // namespace ankus
