// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace ankus {

/// The speed that a device's driver reports, by ETHTOOL_GLINKSETTINGS (ioctl, ethtool.h): it asks
/// the network namespace of the caller, while /sys/class/net shows that of whoever mounted it.
/// nullopt where the driver knows none (link down, virtual devices).
Result<std::optional<BitRate>> read_link_speed(const std::string& device_name);

}  // namespace ankus
