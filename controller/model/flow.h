// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/units.h"
#include "model/workload.h"

namespace ankus {

/// One end of a flow. IPv4 is held as ::ffff:a.b.c.d.
struct Endpoint {
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;  ///< host byte order

  auto operator<=>(const Endpoint&) const = default;
};
/// "10.0.0.1:443" or "[2001:db8::1]:443".
std::string to_text(const Endpoint& endpoint);

/// What Ankus knows of one flow, as people read it: seen from its owner.
struct Flow {
  Endpoint local;  ///< as the owner sees itself (before NAT)
  Endpoint remote;
  Endpoint wire_local;        ///< as the wire beyond the uplink sees it (after NAT)
  std::uint8_t protocol = 0;  ///< IPPROTO_*
  std::uint16_t zone = 0;     ///< conntrack zone
  WorkloadId owner = 0;
  Bytes transmitted, received;  ///< from and to the owner; counted at layer 3
  std::uint64_t packets_out = 0, packets_in = 0;
  bool conntracked = false;  ///< counted by conntrack's sensor, else by the device's
  bool fast = false;         ///< moves more than the policy's share of the link now
  bool elephant = false;
  nanoseconds age{}, idle{};

  bool operator==(const Flow&) const = default;
};

}  // namespace ankus
