// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace ankus {

/// A network device, identified so that it cannot be confused with a successor: an ifindex may be
/// reused after `ip link del`, a name at any time.
struct Device {
  std::string name;
  std::uint32_t ifindex = 0;
  std::uint64_t netns_cookie = 0;  ///< SO_NETNS_COOKIE of the namespace it lives in (socket(7))

  auto operator<=>(const Device&) const = default;
};

}  // namespace ankus
