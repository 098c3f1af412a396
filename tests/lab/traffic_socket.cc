// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic_socket.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include <charconv>
#include <cstring>

#include "base/text.h"

namespace ankus::traffic {

namespace {

std::unexpected<Error> bad_endpoint(std::string_view text) {
  return fail(ErrorKind::invalid,
              quoted(text) + " is no address and port: want 10.77.0.2:5000 or [fd77::2]:5000");
}

Result<> set_option(int fd, int level, int option, int value, std::string_view name) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) return fail_errno(name);
  return {};
}

// Per socket, because net.ipv4.tcp_congestion_control cannot be set to everything in a namespace.
Result<> set_congestion(int fd, const std::string& name) {
  if (name.empty()) return {};
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), name.size()) != 0)
    return fail_errno("TCP_CONGESTION " + quoted(name) +
                      " (see /proc/sys/net/ipv4/tcp_available_congestion_control)");
  return {};
}

// CLOCK_REALTIME, in which the kernel stamps packets, ahead of CLOCK_MONOTONIC: read between two
// looks at the latter, again if somebody else ran in between.
nanoseconds realtime_ahead() {
  const SystemClock clock;
  nanoseconds ahead{};
  for (int tries = 0; tries < 4; ++tries) {
    const MonotonicTime before = clock.monotonic();
    ahead = clock.wall().since_epoch - before.since_boot;
    if (clock.monotonic() - before < nanoseconds(1000)) break;
  }
  return ahead;
}

Result<> bind_port(int fd, int family, std::uint16_t port) {
  Endpoint any;
  if (family == AF_INET6) {
    auto* address = reinterpret_cast<sockaddr_in6*>(&any.address);
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(port);
    any.length = sizeof *address;
  } else {
    auto* address = reinterpret_cast<sockaddr_in*>(&any.address);
    address->sin_family = AF_INET;
    address->sin_port = htons(port);
    any.length = sizeof *address;
  }
  if (bind(fd, reinterpret_cast<const sockaddr*>(&any.address), any.length) != 0)
    return fail_errno("bind to port " + std::to_string(port));
  return {};
}

// A dual-stack socket, or IPv4 alone where the kernel has no IPv6.
Result<UniqueFd> bound_socket(int type, std::uint16_t port, Families families) {
  UniqueFd fd(socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const bool v6 = bool(fd);
  if (!v6) {
    if (families == Families::only_v6) return fail_errno("IPv6 socket");
    fd.reset(socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  if (!fd) return fail_errno("socket");
  if (v6) {
    auto only = set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, families == Families::only_v6,
                           "IPV6_V6ONLY");
    if (!only) return std::unexpected(only.error());
  }
  if (auto reuse = set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"); !reuse)
    return std::unexpected(reuse.error());

  if (auto bound = bind_port(fd.get(), v6 ? AF_INET6 : AF_INET, port); !bound)
    return std::unexpected(bound.error());
  return fd;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_endpoint(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  std::uint16_t port = 0;
  auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size() || port == 0)
    return bad_endpoint(text);

  Endpoint endpoint;
  if (host.starts_with('[') && host.ends_with(']')) {
    const std::string inner(host.substr(1, host.size() - 2));
    auto* address = reinterpret_cast<sockaddr_in6*>(&endpoint.address);
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(port);
    endpoint.length = sizeof *address;
    if (inet_pton(AF_INET6, inner.c_str(), &address->sin6_addr) != 1) return bad_endpoint(text);
    return endpoint;
  }
  auto* address = reinterpret_cast<sockaddr_in*>(&endpoint.address);
  address->sin_family = AF_INET;
  address->sin_port = htons(port);
  endpoint.length = sizeof *address;
  if (inet_pton(AF_INET, std::string(host).c_str(), &address->sin_addr) != 1)
    return bad_endpoint(text);
  return endpoint;
}

std::string to_text(const Endpoint& endpoint) {
  char host[INET6_ADDRSTRLEN] = "?";
  if (endpoint.address.ss_family == AF_INET6) {
    const auto* address = reinterpret_cast<const sockaddr_in6*>(&endpoint.address);
    (void)inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof host);  // the buffer is big enough
    return "[" + std::string(host) + "]:" + std::to_string(ntohs(address->sin6_port));
  }
  const auto* address = reinterpret_cast<const sockaddr_in*>(&endpoint.address);
  (void)inet_ntop(AF_INET, &address->sin_addr, host, sizeof host);  // the buffer is big enough
  return std::string(host) + ":" + std::to_string(ntohs(address->sin_port));
}

Result<UniqueFd> dial(const Dial& dial) {
  const bool tcp = dial.transport == Transport::tcp;
  UniqueFd fd(socket(dial.to.address.ss_family,
                     (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket");
  if (tcp) {
    if (auto set = set_congestion(fd.get(), dial.congestion); !set)
      return std::unexpected(set.error());
    if (auto set = set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"); !set)
      return std::unexpected(set.error());
  }
  if (dial.from_port != 0)
    if (auto bound = bind_port(fd.get(), dial.to.address.ss_family, dial.from_port); !bound)
      return std::unexpected(bound.error());
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&dial.to.address), dial.to.length) != 0 &&
      errno != EINPROGRESS)
    return fail_errno("connect to " + to_text(dial.to));
  return fd;
}

Result<> connect_outcome(int fd) {
  int err = 0;
  socklen_t length = sizeof err;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) != 0) return fail_errno("SO_ERROR");
  if (err != 0) return fail_errno("connect", err);
  return {};
}

Result<Endpoint> local_endpoint(int fd) {
  Endpoint endpoint;
  endpoint.length = sizeof endpoint.address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&endpoint.address), &endpoint.length) != 0)
    return fail_errno("getsockname");
  return endpoint;
}

Result<UniqueFd> listen_tcp(std::uint16_t port, Families families, const std::string& congestion) {
  auto fd = bound_socket(SOCK_STREAM, port, families);
  if (!fd) return fd;
  // What it accepts inherits both.
  if (auto set = set_congestion(fd->get(), congestion); !set) return std::unexpected(set.error());
  if (auto set = set_option(fd->get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"); !set)
    return std::unexpected(set.error());
  if (listen(fd->get(), 4096) != 0) return fail_errno("listen on port " + std::to_string(port));
  return fd;
}

Result<UniqueFd> bind_udp(std::uint16_t port, Families families) {
  auto fd = bound_socket(SOCK_DGRAM, port, families);
  if (!fd) return fd;
  // Room for bursts while this process is not scheduled; the kernel caps it at rmem_max.
  (void)set_option(fd->get(), SOL_SOCKET, SO_RCVBUF, 4 << 20, "SO_RCVBUF");
  if (auto set = set_option(fd->get(), SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS"); !set)
    return std::unexpected(set.error());
  return fd;
}

Datagram receive_stamped(int fd, std::span<char> buffer) {
  Datagram datagram;
  iovec into{.iov_base = buffer.data(), .iov_len = buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(timespec))];
  msghdr message{};
  message.msg_name = &datagram.from.address;
  message.msg_namelen = sizeof datagram.from.address;
  message.msg_iov = &into;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  datagram.size = recvmsg(fd, &message, 0);
  if (datagram.size < 0) return datagram;
  datagram.from.length = message.msg_namelen;
  datagram.arrived = SystemClock().monotonic();  // the first may come before stamping is on
  const cmsghdr* stamp = CMSG_FIRSTHDR(&message);
  if (stamp != nullptr && stamp->cmsg_level == SOL_SOCKET && stamp->cmsg_type == SCM_TIMESTAMPNS) {
    timespec at{};
    std::memcpy(&at, CMSG_DATA(stamp), sizeof at);
    datagram.arrived = {seconds(at.tv_sec) + nanoseconds(at.tv_nsec) - realtime_ahead()};
  }
  return datagram;
}

Result<TcpProgress> tcp_progress(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return fail_errno("TCP_INFO");
  return TcpProgress{.bytes_acked = info.tcpi_bytes_acked, .retransmits = info.tcpi_total_retrans};
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);  // with fewer, a later socket() says so
}

bool would_block(int err) { return err == EAGAIN || err == EWOULDBLOCK || err == EINTR; }

}  // namespace ankus::traffic
