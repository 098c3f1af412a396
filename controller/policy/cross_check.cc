// SPDX-License-Identifier: Apache-2.0
#include "policy/cross_check.h"

#include <algorithm>

#include "base/text.h"

namespace ankus {
namespace {

/// The rules that name one device, as indices into the policy's rules.
struct DeviceRules {
  std::string device;
  std::vector<std::size_t> rules;
};

std::vector<DeviceRules> by_device(const Policy& policy) {
  std::vector<DeviceRules> all;
  for (std::size_t i = 0; i < policy.rules.size(); ++i) {
    const std::string& device = policy.rules[i].bandwidth.device;
    if (device.empty()) continue;  // its own error was reported
    auto found = std::ranges::find(all, device, &DeviceRules::device);
    if (found == all.end()) found = all.insert(all.end(), {.device = device});
    found->rules.push_back(i);
  }
  return all;
}

void check_guarantees(const Policy& policy, const DeviceRules& of,
                      std::vector<Contradiction>& found) {
  double sum = policy.probation.guarantee.of_one;
  std::string parts;
  for (const std::size_t i : of.rules) {
    const Rule& rule = policy.rules[i];
    sum += rule.bandwidth.guarantee.of_one;
    parts += quoted(rule.name) + " " + to_text(rule.bandwidth.guarantee) + ", ";
  }
  if (sum > 1 + 1e-9)
    found.push_back({.rule = of.rules.back(),
                     .text = "the guarantees on " + of.device + " add up to " +
                             to_text(Share{sum}) + ": " + parts + "probation " +
                             to_text(policy.probation.guarantee) + "; at most 100% is there"});
}

void check_count(const DeviceRules& of, std::vector<Contradiction>& found) {
  if (of.rules.size() > kMaxBlocksPerDevice)
    found.push_back({.rule = of.rules[kMaxBlocksPerDevice],
                     .text = std::to_string(of.rules.size()) + " bandwidth blocks for " +
                             of.device + "; at most " + std::to_string(kMaxBlocksPerDevice) +
                             " are possible"});
}

void check_unreachable(const Policy& policy, const DeviceRules& of,
                       std::vector<Contradiction>& found) {
  for (std::size_t i = 0; i < of.rules.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const Rule& later = policy.rules[of.rules[i]];
      const Rule& earlier = policy.rules[of.rules[j]];
      if (later.match != earlier.match) continue;
      found.push_back({.rule = of.rules[i],
                       .text = "never applies: rule " + quoted(earlier.name) +
                               " has the same match and the same device and comes first"});
      break;
    }
}

bool same_matches(const Policy& policy, const DeviceRules& a, const DeviceRules& b) {
  return std::ranges::equal(a.rules, b.rules, [&](std::size_t x, std::size_t y) {
    return policy.rules[x].match == policy.rules[y].match;
  });
}

}  // namespace

std::vector<Contradiction> cross_check(const Policy& policy) {
  std::vector<Contradiction> found;
  const std::vector<DeviceRules> devices = by_device(policy);
  for (const DeviceRules& of : devices) {
    check_guarantees(policy, of, found);
    check_count(of, found);
    check_unreachable(policy, of, found);
    // One table says which class each workload has, for all devices together.
    if (!same_matches(policy, devices.front(), of))
      found.push_back({.rule = of.rules.front(),
                       .text = "the rules for " + of.device +
                               " must have the same matches in the " + "same order as those for " +
                               devices.front().device +
                               ", since a workload's class is the same on all devices"});
  }
  return found;
}

}  // namespace ankus
