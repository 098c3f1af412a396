// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/handle.h"

namespace ankus {

/// A VM, played by the test at its tap, tap9 of the lab's host: 10.77.60.2, whose gateway the host
/// is. It sends to the lab's server, 10.77.0.2. Nobody can look into it.
class VmAtTap {
 public:
  /// None without /dev/net/tun (CONFIG_TUN), which in the VM lab is a failure.
  static std::optional<VmAtTap> make();

  void send_datagram(std::uint16_t port) const;
  /// A SYN with data, from `from`: the server's refusal acknowledges both (RFC 9293, 3.10.7.1).
  void send_to_closed_port(std::uint16_t from = 7001) const;
  /// Waits for the next frame; the IP protocol in it, 0 of another frame.
  std::uint8_t receive() const;

 private:
  VmAtTap(UniqueFd tap, const std::array<std::uint8_t, 6>& host)
      : tap_(std::move(tap)), host_(host) {}

  UniqueFd tap_;
  std::array<std::uint8_t, 6> host_;  ///< the MAC address of the host's side
};

}  // namespace ankus
