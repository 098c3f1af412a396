// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace ankus::traffic {

enum class MessageKind : std::uint32_t {
  echo = 1,    ///< request_bytes in, response_bytes out
  sink = 2,    ///< request_bytes in, then a report; 0: until the client closes
  source = 3,  ///< response_bytes out; 0: until the client closes
  report = 4,  ///< UDP only: asks how much of the sink datagrams with this id arrived
  reply = 5,   ///< how each response begins
};

/// Begins each request and each response, within their byte counts, so that none is shorter.
/// Host byte order: both ends are this binary on one machine.
struct MessageHeader {
  static constexpr std::uint32_t magic_value = 0x414e4b55;

  std::uint32_t magic = magic_value;
  MessageKind kind = MessageKind::echo;
  std::uint64_t id = 0;
  std::uint64_t request_bytes = 0;  ///< in a reply: bytes that the server received
  std::uint64_t response_bytes = 0;
  // On CLOCK_MONOTONIC, which both ends share. UDP sink: only what arrives in [from, to) counts.
  // Reply to an echo: when the server had read all of the request (UDP: when its network stack was
  // given it), and when it sent the reply.
  std::int64_t window_from_ns = 0;
  std::int64_t window_to_ns = 0;
};
static_assert(sizeof(MessageHeader) == 48);

}  // namespace ankus::traffic
