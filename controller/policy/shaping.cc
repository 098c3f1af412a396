// SPDX-License-Identifier: Apache-2.0
#include "policy/shaping.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "policy/classes.h"

namespace ankus {
namespace {

constexpr std::string_view kIfbPrefix = "ankus-ifb";
constexpr std::uint32_t kIfbNumbers = 1'000'000;

/// Devices that hand their packets on to another device, where the queue forms.
bool hands_on(const Link& link) {
  static constexpr std::string_view kKinds[] = {"bridge", "bond",    "team",
                                                "vlan",   "macvlan", "ipvlan"};
  return std::ranges::find(kKinds, link.kind) != std::end(kKinds);
}

/// The tree at its root is one of ours.
bool is_ours(const Link& link) { return link.root_handle.major() == kOurMajor; }

bool is_workloads(const Snapshot& snapshot, const Link& link) {
  return std::ranges::any_of(snapshot.workloads, [&](const WorkloadState& state) {
    return state.workload.device && state.workload.device->ifindex == link.device.ifindex;
  });
}

std::string ports_text(const Snapshot& snapshot, const Link& master) {
  std::string text;
  for (const Link& link : snapshot.links)
    if (link.master_ifindex == master.device.ifindex)
      text += (text.empty() ? "" : ", ") + link.device.name;
  return text;
}

/// Why `link` cannot be shaped whatever its rate; empty if it can.
std::string obstacle(const Snapshot& snapshot, const Policy& policy, const LinkPolicy& stated,
                     const Link& link) {
  const std::string& name = link.device.name;
  for (const std::string& pattern : policy.guard.protected_devices)
    if (glob_match(pattern, name))
      return "guard.protect.devices has " + quoted(pattern) + ", which covers it";
  if (!snapshot.host.htb)
    return "this kernel has no htb qdisc (CONFIG_NET_SCH_HTB; module sch_htb)";
  if (!link.up) return "it is down; it will be shaped when it is up";
  if (hands_on(link)) {
    const std::string ports = ports_text(snapshot, link);
    return "it is a " + link.kind + ", which hands packets on and queues nothing itself; name " +
           (ports.empty() ? "the device below it" : "its ports instead: " + ports);
  }
  if (link.root_handle.value != 0 && !is_ours(link))
    return "its root qdisc is " + link.root_kind + " " + to_text(link.root_handle) +
           ", which Ankus did not make; remove it (tc qdisc del dev " + name +
           " root) or take the device out of the policy";
  // A tree that stands already is kept: taking it down and up again as traffic swings helps nobody.
  if (!stated.accept_single_lock && !is_ours(link) && link.transmit_queues > 1 &&
      link.packets_per_second > static_cast<double>(stated.single_lock_pps))
    return "it has " + std::to_string(link.transmit_queues) + " transmit queues and sends " +
           std::to_string(static_cast<std::uint64_t>(link.packets_per_second)) +
           " packets per second; HTB has one lock for all queues and is refused above " +
           std::to_string(stated.single_lock_pps) +
           " (single_lock_pps; or single_lock = \"accept\" in [link." + name + "])";
  return {};
}

bool is_named(const Policy& policy, const Link& link) {
  return std::ranges::any_of(policy.rules, [&](const Rule& rule) {
    return rule.bandwidth && rule.bandwidth->device == link.device.name;
  });
}

/// The uplinks, and those that we shape as such and whose default route is gone, as long as no
/// other device has come in their place: a route that comes back finds its tree.
std::vector<Link> shaped_uplinks(const Snapshot& snapshot, const Policy& policy) {
  std::vector<Link> all = uplinks(snapshot);
  if (!std::ranges::all_of(all, is_ours)) return all;
  for (const Link& link : snapshot.links)
    if (is_ours(link) && !link.has_default_route && link.kind != "ifb" &&
        !is_workloads(snapshot, link) && !is_named(policy, link))
      all.push_back(link);
  return all;
}

std::string no_rate_text(const Link& link) {
  const std::string advice =
      "state it, for example [link." + link.device.name + "] rate = \"1 Gbit\"";
  if (!link.speed) return "its rate is not known: its driver reports none; " + advice;
  return "its rate is not known: what a " + link.kind + " reports (" + to_text(*link.speed) +
         ") means nothing; " + advice;
}

struct Named {
  Link link;
  std::vector<Rule> rules;
};

/// The existing devices that rules name. A rule that names a device beats one for "uplink".
std::vector<Named> named_links(const Snapshot& snapshot, const Policy& policy,
                               std::vector<Refusal>& refusals) {
  std::vector<Named> all;
  std::vector<std::string> missing;
  const auto add = [&](const Link& link, const Rule& rule) {
    auto found = std::ranges::find(all, link, &Named::link);
    if (found == all.end()) found = all.insert(all.end(), {.link = link});
    found->rules.push_back(rule);
  };
  for (const Rule& rule : policy.rules) {
    if (!rule.bandwidth) continue;
    const std::string& name = rule.bandwidth->device;
    if (name == kUplink) {
      const std::vector<Link> resolved = shaped_uplinks(snapshot, policy);
      for (const Link& link : resolved)
        if (!is_named(policy, link)) add(link, rule);
      if (!resolved.empty()) continue;
    } else if (const Link* link = find_link(snapshot, name)) {
      add(*link, rule);
      continue;
    }
    if (std::ranges::find(missing, name) != missing.end()) continue;
    missing.push_back(name);
    refusals.push_back({.what = "shape " + name,
                        .why = name == kUplink ? "no device has a default route; name the device"
                                               : no_such_device_text(snapshot, name)});
  }
  return all;
}

/// What a device is shaped to, and why.
struct Total {
  BitRate rate;
  std::string why;
};

std::optional<Total> total_of(const Snapshot& snapshot, const LinkPolicy& stated,
                              const Link& link) {
  if (const auto rate = link_rate(stated, link)) {
    const std::string why = to_text(*rate) + (stated.rate ? " as [link." + stated.name + "] states"
                                                          : " as its driver reports");
    if (stated.bottleneck != Bottleneck::beyond) return Total{*rate, why};
    return Total{*rate * stated.shape_to, to_text(stated.shape_to) + " of " + why};
  }
  // Most drivers report none while there is no carrier. A tree that stands outlives that.
  const bool may_report = link.kind.empty() && is_ours(link);
  if (const auto held = may_report ? held_total(snapshot, link.device) : std::nullopt)
    return Total{*held, to_text(*held) + " as before: its driver reports none now"};
  return std::nullopt;
}

/// Named after the device's ifindex, so that it does not depend on what else is shaped. Interface
/// names have at most 15 characters.
std::string ifb_name(const Link& link) {
  return std::string(kIfbPrefix) + std::to_string(link.device.ifindex % kIfbNumbers);
}

/// Of an ifb still to be made: far above what the kernel hands out next, so that a device made
/// meanwhile does not take it, and the same whatever else comes and goes on the host.
std::uint32_t ifb_ifindex(const Snapshot& snapshot, const Link& link) {
  const auto taken = [&](std::uint32_t ifindex) {
    return std::ranges::any_of(snapshot.links,
                               [&](const Link& other) { return other.device.ifindex == ifindex; });
  };
  std::uint32_t ifindex = kIfbNumbers + link.device.ifindex % kIfbNumbers;
  while (taken(ifindex)) ifindex += kIfbNumbers;
  return ifindex;
}

/// The download part of one link.
std::optional<Download> resolve_download(const Snapshot& snapshot, const LinkPolicy& stated,
                                         const Link& link, std::vector<Refusal>& refusals) {
  if (!stated.download) return std::nullopt;
  const auto refuse = [&](std::string why) {
    refusals.push_back(
        {.what = "shape what " + link.device.name + " receives", .why = std::move(why)});
    return std::nullopt;
  };
  Download download{.ifb = {.name = ifb_name(link), .netns_cookie = link.device.netns_cookie},
                    .total = *stated.download * stated.download_share};
  if (!snapshot.host.ifb) return refuse("this kernel has no ifb devices (CONFIG_IFB; module ifb)");
  if (const Link* existing = find_link(snapshot, download.ifb.name)) {
    if (existing->kind != "ifb")
      return refuse("a device named " + download.ifb.name + " exists and is not an ifb");
    if (existing->root_handle.value != 0 && !is_ours(*existing))
      return refuse("the root qdisc of " + download.ifb.name + " is " + existing->root_kind + " " +
                    to_text(existing->root_handle) + ", which Ankus did not make");
    download.ifb.ifindex = existing->device.ifindex;
  } else {
    download.ifb.ifindex = ifb_ifindex(snapshot, link);
  }
  return download;
}

}  // namespace

std::vector<Link> uplinks(const Snapshot& snapshot) {
  std::vector<Link> queueing, handing_on;
  for (const Link& link : snapshot.links) {
    if (!link.has_default_route || link.kind == "ifb" || is_workloads(snapshot, link)) continue;
    (hands_on(link) ? handing_on : queueing).push_back(link);
  }
  return queueing.empty() ? handing_on : queueing;  // these are then refused, with the reason
}

const Link* find_link(const Snapshot& snapshot, std::string_view name) {
  const auto found =
      std::ranges::find(snapshot.links, name, [](const Link& link) { return link.device.name; });
  return found == snapshot.links.end() ? nullptr : &*found;
}

bool is_down(const Snapshot& snapshot, const Device& device) {
  const auto link = std::ranges::find(snapshot.links, device, &Link::device);
  return link != snapshot.links.end() && !link->up;
}

std::string no_such_device_text(const Snapshot& snapshot, std::string_view name) {
  std::vector<std::string_view> names;
  for (const Link& link : snapshot.links) names.push_back(link.device.name);
  const std::string_view meant = nearest(name, names);
  return "there is no such device" +
         (meant.empty() ? std::string() : "; the nearest name is " + std::string(meant));
}

LinkPolicy link_policy(const Snapshot& snapshot, const Policy& policy, const Link& link) {
  const auto stated = [&](std::string_view name) {
    return std::ranges::find_if(policy.links, [&](const LinkPolicy& l) { return l.name == name; });
  };
  if (const auto found = stated(link.device.name); found != policy.links.end()) return *found;
  const auto found = stated(kUplink);
  if (found == policy.links.end()) return {};
  const std::vector<Link> all = shaped_uplinks(snapshot, policy);
  return std::ranges::find(all, link) != all.end() ? *found : LinkPolicy{};
}

std::optional<BitRate> held_total(const Snapshot& snapshot, const Device& device) {
  const Knob total = knob::TcClass{.device = device, .handle = make_handle(kOurMajor, kTotalMinor)};
  const auto held = std::ranges::find(snapshot.held, total, &HeldKnob::knob);
  if (held == snapshot.held.end()) return std::nullopt;
  const auto* written = std::get_if<HtbClass>(&held->written);
  return written ? std::optional(written->rate) : std::nullopt;
}

std::optional<BitRate> link_rate(const LinkPolicy& stated, const Link& link) {
  if (stated.rate) return stated.rate;
  if (!link.kind.empty() || !link.speed || link.speed->bits_per_second == 0) return std::nullopt;
  return link.speed;
}

Shaping resolve_shaping(const Snapshot& snapshot, const Policy& policy) {
  Shaping shaping;
  for (Named& named : named_links(snapshot, policy, shaping.refusals)) {
    const Link& link = named.link;
    const LinkPolicy stated = link_policy(snapshot, policy, link);
    std::optional<Total> total = total_of(snapshot, stated, link);
    std::string why_not = obstacle(snapshot, policy, stated, link);
    if (why_not.empty() && !total) why_not = no_rate_text(link);
    if (!why_not.empty()) {
      shaping.refusals.push_back({.what = "shape " + link.device.name, .why = std::move(why_not)});
      continue;
    }
    shaping.links.push_back(
        {.link = link,
         .total = total->rate,
         .why_total = std::move(total->why),
         .rules = std::move(named.rules),
         .download = resolve_download(snapshot, stated, link, shaping.refusals)});
  }
  return shaping;
}

}  // namespace ankus
