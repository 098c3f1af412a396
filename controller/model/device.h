// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace ankus {

/// A network device. In its namespace the ifindex is its own as long as it lives; a name may be
/// taken from it, and given to another, at any time.
struct Device {
  std::string name;  ///< when it was seen
  std::uint32_t ifindex = 0;
  std::uint64_t netns_cookie = 0;  ///< SO_NETNS_COOKIE of the namespace it lives in (socket(7))

  auto operator<=>(const Device&) const = default;
};

}  // namespace ankus
