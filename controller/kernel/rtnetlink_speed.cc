// SPDX-License-Identifier: Apache-2.0
#include "kernel/rtnetlink_speed.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

#include "base/handle.h"

namespace ankus {

Result<std::optional<BitRate>> read_link_speed(const std::string& device_name) {
  if (device_name.empty() || device_name.size() >= IFNAMSIZ)
    return fail(ErrorKind::invalid, "'" + device_name + "' is no device name");
  // Any socket takes SIOCETHTOOL; the unit allows the daemon no AF_INET (RestrictAddressFamilies).
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket");
  // The kernel writes three masks of `link_mode_masks_nwords` (at most 127) words behind the head.
  alignas(ethtool_link_settings)
      std::array<std::byte, sizeof(ethtool_link_settings) + 3 * 127 * sizeof(std::uint32_t)>
          buffer{};
  auto* settings = new (buffer.data()) ethtool_link_settings{};
  ifreq request{};
  device_name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(settings);
  settings->cmd = ETHTOOL_GLINKSETTINGS;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::ioctl(fd.get(), SIOCETHTOOL, &request) != 0) {
      const Error error = fail_errno("speed of " + device_name).error();
      if (error.kind == ErrorKind::unsupported || error.err == EINVAL) return std::nullopt;
      return std::unexpected(error);
    }
    if (settings->link_mode_masks_nwords > 0) break;
    // The first answer only says, negated, how many words there are.
    settings->link_mode_masks_nwords = static_cast<std::int8_t>(-settings->link_mode_masks_nwords);
    settings->cmd = ETHTOOL_GLINKSETTINGS;
  }
  const std::uint32_t megabits = settings->speed;
  if (megabits == 0 || megabits == static_cast<std::uint32_t>(SPEED_UNKNOWN)) return std::nullopt;
  return BitRate{std::uint64_t{megabits} * 1'000'000};
}

}  // namespace ankus
