// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/snapshot.h"

namespace ankus {

/// A BPF program that a device's packets pass.
struct DeviceProgram {
  std::string hook;      ///< "XDP in the driver", "tcx ingress", "clsact egress", ...
  std::uint32_t id = 0;  ///< what bpftool calls it
  std::string name;      ///< at most 15 bytes (BPF_OBJ_NAME_LEN); "" where it has none
  bool operator==(const DeviceProgram&) const = default;
};

/// By ifindex what others have at XDP, tcx and clsact of each device. `ours`: ids of programs that
/// are not told of, nor is what hangs at our clsact filters' priority.
Result<std::map<std::uint32_t, std::vector<DeviceProgram>>> programs_of_others(
    std::span<const Link> devices, const std::set<std::uint32_t>& ours);

}  // namespace ankus
