// SPDX-License-Identifier: Apache-2.0
#include "policy/flow_rules.h"

#include <algorithm>
#include <limits>

#include "policy/classes.h"
#include "policy/shaping.h"

namespace ankus {
namespace {

constexpr Bytes kMost32{std::numeric_limits<std::uint32_t>::max()};
constexpr Bytes kMost31{std::numeric_limits<std::int32_t>::max()};

LinkFlowRules rules_for(const Policy& policy, Device device, std::optional<BitRate> rate) {
  const BitRate known = rate.value_or(BitRate{});  // of rate 0 the floors are left
  const Bytes burst = known * policy.admission.burst;
  LinkFlowRules rules{
      .device = std::move(device),
      .rate = rate,
      .fast_bytes = std::min(kMost32, fast_threshold(policy.fast, known)),
      .admission_burst = std::clamp(burst, kSmallestAdmissionBurst, kMost31),
      .admission_burst_others = std::clamp(burst, kSmallestAdmissionBurstOfOthers, kMost31)};
  if (rate) rules.admission_rate = *rate * policy.admission.share;
  return rules;
}

LinkFlowRules shaped_rules_for(const Policy& policy, const Device& device,
                               std::optional<BitRate> total) {
  LinkFlowRules rules = rules_for(policy, device, total);
  rules.shaped = true;
  rules.probation_class = kProbationMinor;
  return rules;
}

bool has_rules(const FlowRules& rules, const Device& device) {
  return std::ranges::find(rules.links, device, &LinkFlowRules::device) != rules.links.end();
}

/// The link whose ingress we have sent through `ifb`.
std::optional<Device> received_through(const Snapshot& snapshot, const Device& ifb) {
  for (const HeldKnob& held : snapshot.held) {
    const auto* redirect = std::get_if<knob::IngressRedirect>(&held.knob);
    if (redirect && held.written == Setting(RedirectTo{.ifindex = ifb.ifindex}))
      return redirect->device;
  }
  return std::nullopt;
}

/// A tree stands until it is taken down, whatever the policy says by then: until that its packets
/// need their classes. One without a class would pass by all of them.
void add_standing(const Snapshot& snapshot, const Policy& policy, FlowRules& rules) {
  for (const HeldKnob& held : snapshot.held) {
    const auto* classifier = std::get_if<knob::Classifier>(&held.knob);
    if (!classifier) continue;
    // It may have another name by now.
    const auto link = std::ranges::find_if(snapshot.links, [&](const Link& l) {
      return l.device.ifindex == classifier->device.ifindex;
    });
    if (link == snapshot.links.end() || has_rules(rules, link->device)) continue;
    std::optional<BitRate> total = held_total(snapshot, classifier->device);
    if (!total) total = link_rate(link_policy(snapshot, policy, *link), *link);
    rules.links.push_back(shaped_rules_for(policy, link->device, total));
    rules.links.back().receives_for = received_through(snapshot, link->device);
  }
}

}  // namespace

FlowRules flow_rules(const Snapshot& snapshot, const Policy& policy) {
  FlowRules rules{.fast_window = policy.fast.window,
                  .fast_hold = policy.fast.hold,
                  .prove = policy.probation.prove,
                  .admission_hold = policy.admission.hold,
                  .elephant_bytes = policy.elephant.bytes,
                  .elephant_window = policy.elephant.held,
                  .elephant_calm = policy.elephant.calm,
                  .footprint_window = policy.footprint.window,
                  .footprint_calm = policy.footprint.calm};
  rules.steers = std::ranges::any_of(policy.rules, [](const Rule& rule) {
    return rule.receive || rule.rps || rule.xps || rule.irq || rule.vhost || rule.napi;
  });
  const Shaping shaping = resolve_shaping(snapshot, policy);
  for (const ShapedLink& shaped : shaping.links) {
    rules.links.push_back(shaped_rules_for(policy, shaped.link.device, shaped.total));
    if (!shaped.download) continue;
    rules.links.push_back(shaped_rules_for(policy, shaped.download->ifb, shaped.download->total));
    rules.links.back().receives_for = shaped.link.device;
  }
  add_standing(snapshot, policy, rules);
  // Watched besides: the uplinks, and what receive rules name.
  std::vector<Link> watched = uplinks(snapshot);
  for (const Rule& rule : policy.rules)
    for (const Link& link : snapshot.links)
      if (rule.receive && rule.receive->device == link.device.name) watched.push_back(link);
  for (const Link& link : watched)
    if (!has_rules(rules, link.device))
      rules.links.push_back(
          rules_for(policy, link.device, link_rate(link_policy(snapshot, policy, link), link)));

  std::optional<BitRate> slowest;
  for (const LinkFlowRules& link : rules.links)
    if (link.rate) slowest = slowest ? std::min(*slowest, *link.rate) : *link.rate;
  if (slowest) {
    rules.elephant_rate_bytes = *slowest * policy.elephant.rate * policy.elephant.held;
    rules.footprint_heavy = *slowest * policy.footprint.heavy_rate;
  }
  return rules;
}

}  // namespace ankus
