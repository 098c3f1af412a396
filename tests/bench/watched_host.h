// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "act/kernel_actuator.h"
#include "policy/policy.h"
#include "sense/attachments.h"
#include "sense/flow_table.h"

namespace ankus::bench {

inline constexpr WorkloadId kWeb = 1, kBackup = 2;

/// The sensors and the actuator on the lab's host, which is the namespace that we run in. Not the
/// daemon: each part is measured by itself.
struct WatchedHost {
  std::unique_ptr<Programs> programs;
  std::unique_ptr<FlowTable> table;
  std::unique_ptr<Attachments> attachments;
  Device up0, web, backup;
  std::string pin_dir;

  Result<KernelActuator> actuator() const;
  /// `major` 0: the uplink is only watched.
  Result<void> set_uplink(std::uint16_t major, BitRate rate) const;
};

struct WatchedHostOptions {
  std::string pin_dir;
  std::uint32_t max_flows = 65536;
  FlowTiming timing = {};
  bool attach = true;
};
Result<WatchedHost> open_host(const WatchedHostOptions& options);

/// A device of our own namespace.
Result<Device> find_device(const std::string& name);

Result<Policy> read_policy(const std::string& path);

}  // namespace ankus::bench
