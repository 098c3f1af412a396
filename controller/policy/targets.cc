// SPDX-License-Identifier: Apache-2.0
#include "policy/targets.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "base/text.h"
#include "policy/shaping.h"

namespace ankus {
namespace {

bool is_glob(std::string_view name) { return name.find_first_of("*?") != std::string_view::npos; }

bool is_uplink(const std::vector<Link>& uplinks, const Device& device) {
  return std::ranges::any_of(
      uplinks, [&](const Link& link) { return link.device.ifindex == device.ifindex; });
}

/// 0 if it names the device, 1 for an uplink, 2 for a glob; none if it is about others.
std::optional<int> distance(std::string_view name, const Device& device, bool uplink) {
  if (name == device.name) return 0;
  if (name == kUplink) return uplink ? std::optional(1) : std::nullopt;
  return is_glob(name) && glob_match(name, device.name) ? std::optional(2) : std::nullopt;
}

bool matches_device(const Match& match, const WorkloadState* owner) {
  if (match == Match{}) return true;
  return owner != nullptr && matches(match, owner->workload, owner->footprint);
}

bool has_queues(const Snapshot& snapshot, const Device& device) {
  return std::ranges::any_of(snapshot.queues,
                             [&](const DeviceQueues& queues) { return queues.device == device; });
}

constexpr std::string_view kNoQueues =
    "it has no queues of its own that could be steered; name the hardware below it, a veth or a "
    "tap";

void refuse_missing(const Snapshot& snapshot, const std::vector<Link>& all_uplinks,
                    const std::vector<DeviceBlock>& blocks, const std::string& what,
                    std::vector<Refusal>& refusals) {
  std::vector<std::string_view> seen;
  const auto refuse = [&](const std::string& name, std::string why) {
    refusals.push_back({.what = what + " " + name, .why = std::move(why)});
  };
  for (const DeviceBlock& block : blocks) {
    if (is_glob(block.device) || std::ranges::find(seen, block.device) != seen.end()) continue;
    seen.push_back(block.device);
    const std::string name(block.device);
    if (block.device == kUplink) {
      if (all_uplinks.empty()) refuse(name, "no device has a default route; name the device");
      for (const Link& link : all_uplinks)
        if (!has_queues(snapshot, link.device)) refuse(link.device.name, std::string(kNoQueues));
    } else if (const Link* link = find_link(snapshot, name); link == nullptr) {
      refuse(name, no_such_device_text(snapshot, name));
    } else if (!has_queues(snapshot, link->device)) {
      refuse(name, std::string(kNoQueues));
    }
  }
}

}  // namespace

std::vector<Target> targets(const Snapshot& snapshot, const Policy& policy,
                            const std::vector<DeviceBlock>& blocks, std::string_view what,
                            std::vector<Refusal>& refusals) {
  const std::vector<Link> all_uplinks = uplinks(snapshot);
  std::vector<Target> found;
  for (const DeviceQueues& queues : snapshot.queues) {
    const bool uplink = is_uplink(all_uplinks, queues.device);
    const WorkloadState* owner = workload_of(snapshot, queues.device);
    std::optional<std::pair<int, const Rule*>> best;
    for (const DeviceBlock& block : blocks) {
      const auto far = distance(block.device, queues.device, uplink);
      if (!far || !matches_device(block.rule->match, owner)) continue;
      if (!best || *far < best->first) best = {*far, block.rule};
    }
    if (!best) continue;
    std::string why = protection_of(policy, queues.device);
    if (why.empty() && owner != nullptr && owner->workload.opted_out)
      why = "its workload, " + printable(owner->workload.name) + ", has opted out";
    const bool named = best->first < 2;
    if (why.empty())
      found.push_back({.rule = best->second, .device = &queues, .named = named});
    else if (named)
      refusals.push_back(
          {.what = std::string(what) + " " + queues.device.name, .why = std::move(why)});
  }
  refuse_missing(snapshot, all_uplinks, blocks, std::string(what), refusals);
  return found;
}

const WorkloadState* workload_of(const Snapshot& snapshot, const Device& device) {
  const auto found = std::ranges::find_if(snapshot.workloads, [&](const WorkloadState& state) {
    return state.workload.device && *state.workload.device == device;
  });
  return found == snapshot.workloads.end() ? nullptr : &*found;
}

std::string protection_of(const Policy& policy, const Device& device) {
  for (const std::string& pattern : policy.guard.protected_devices)
    if (glob_match(pattern, device.name))
      return "guard.protect.devices has " + quoted(pattern) + ", which covers it";
  return {};
}

const Setting* held_setting(const Snapshot& snapshot, const Knob& knob) {
  const auto found = std::ranges::find(snapshot.held, knob, &HeldKnob::knob);
  return found == snapshot.held.end() ? nullptr : &found->written;
}

}  // namespace ankus
