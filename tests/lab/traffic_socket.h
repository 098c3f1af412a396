// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/handle.h"
#include "base/result.h"

namespace ankus::traffic {

/// An IPv4 or IPv6 address with a port.
struct Endpoint {
  sockaddr_storage address{};
  socklen_t length = 0;
};

/// "10.77.0.2:5000" or "[fd77::2]:5000".
Result<Endpoint> parse_endpoint(std::string_view text);
std::string to_text(const Endpoint& endpoint);

enum class Transport { tcp, udp };

/// What a client's socket is made with; an empty congestion leaves the kernel's default.
struct Dial {
  Endpoint to;
  Transport transport = Transport::tcp;
  std::string congestion = "cubic";
  std::uint16_t from_port = 0;  ///< 0: any
};

/// A nonblocking socket whose connection is under way (writable once it stands or has failed).
Result<UniqueFd> dial(const Dial& dial);
/// Where a finished nonblocking connect has got to.
Result<> connect_outcome(int fd);
Result<Endpoint> local_endpoint(int fd);

enum class Families { both, only_v6 };
Result<UniqueFd> listen_tcp(std::uint16_t port, Families families, const std::string& congestion);
/// Its datagrams carry the time at which they arrived, see receive_stamped().
Result<UniqueFd> bind_udp(std::uint16_t port, Families families);

/// A datagram of a socket of bind_udp(); `size` is negative and errno set if there is none.
struct Datagram {
  ssize_t size = -1;
  Endpoint from;
  /// When the receiver's network stack was given it (CLOCK_MONOTONIC): whoever waits for it wakes
  /// up later, on an idle CPU of a VM by 50 us and more.
  MonotonicTime arrived;
};
Datagram receive_stamped(int fd, std::span<char> buffer);

/// What the peer has acknowledged so far, and how often the kernel sent again (TCP_INFO).
struct TcpProgress {
  std::uint64_t bytes_acked = 0;
  std::uint32_t retransmits = 0;
};
Result<TcpProgress> tcp_progress(int fd);

/// As many descriptors as the hard limit allows.
void raise_descriptor_limit();

/// Whether a failed send or receive only has to wait.
bool would_block(int err);

}  // namespace ankus::traffic
