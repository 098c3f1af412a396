// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/plan.h"
#include "model/snapshot.h"
#include "policy/policy.h"

namespace ankus {

/// What a device receives, shaped on its way through an ifb device.
struct Download {
  Device ifb;
  BitRate total;
};

/// A device that bandwidth rules name and that can be shaped.
struct ShapedLink {
  Link link;
  BitRate total;            ///< what it is shaped to
  std::string why_total;    ///< "200 Mbit as [link.eth0] states"
  std::vector<Rule> rules;  ///< whose bandwidth blocks apply to it, in the policy's order
  std::optional<Download> download;
};

/// Which of the devices that the policy names are shaped, and why the others are not.
struct Shaping {
  std::vector<ShapedLink> links;
  std::vector<Refusal> refusals;
};
Shaping resolve_shaping(const Snapshot& snapshot, const Policy& policy);

/// The devices that kUplink stands for: those of the default routes, where the queue is.
std::vector<Link> uplinks(const Snapshot& snapshot);

/// nullptr: there is no such device.
const Link* find_link(const Snapshot& snapshot, std::string_view name);

/// Known, and down.
bool is_down(const Snapshot& snapshot, const Device& device);

/// "there is no such device; the nearest name is eth0".
std::string no_such_device_text(const Snapshot& snapshot, std::string_view name);

/// What the policy states of a device: [link.NAME], for an uplink else [link.uplink], else
/// defaults.
LinkPolicy link_policy(const Snapshot& snapshot, const Policy& policy, const Link& link);

/// What the tree that we hold on `device` lets through in all; none: we hold none.
std::optional<BitRate> held_total(const Snapshot& snapshot, const Device& device);

/// Stated, else what the driver reports where that can be believed.
std::optional<BitRate> link_rate(const LinkPolicy& stated, const Link& link);

}  // namespace ankus
