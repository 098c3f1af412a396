// SPDX-License-Identifier: Apache-2.0
#include "policy/cross_check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"

namespace ankus {
namespace {

constexpr std::string_view kBandwidth = "bandwidth";

/// The rules that name one device, as indices into the policy's rules.
struct DeviceRules {
  std::string device;
  std::vector<std::size_t> rules;
};

std::vector<DeviceRules> by_device(const Policy& policy) {
  std::vector<DeviceRules> all;
  for (std::size_t i = 0; i < policy.rules.size(); ++i) {
    if (!policy.rules[i].bandwidth) continue;
    const std::string& device = policy.rules[i].bandwidth->device;
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
    sum += rule.bandwidth->guarantee.of_one;
    parts += quoted(rule.name) + " " + to_text(rule.bandwidth->guarantee) + ", ";
  }
  if (sum > 1 + 1e-9)
    found.push_back({.rule = of.rules.back(),
                     .block = kBandwidth,
                     .text = "the guarantees on " + of.device + " add up to " +
                             to_text(Share{sum}) + ": " + parts + "probation " +
                             to_text(policy.probation.guarantee) + "; at most 100% is there"});
}

void check_count(const DeviceRules& of, std::vector<Contradiction>& found) {
  if (of.rules.size() > kMaxBlocksPerDevice)
    found.push_back({.rule = of.rules[kMaxBlocksPerDevice],
                     .block = kBandwidth,
                     .text = std::to_string(of.rules.size()) + " bandwidth blocks for " +
                             of.device + "; at most " + std::to_string(kMaxBlocksPerDevice) +
                             " are possible"});
}

/// A later rule for the same device and the same traffic. `device_of` gives no name where a rule
/// has no such block.
void check_unreachable(const Policy& policy, std::string_view block,
                       std::optional<std::string> (*device_of)(const Rule&),
                       std::vector<Contradiction>& found) {
  std::map<std::string, std::vector<std::size_t>> seen;
  for (std::size_t i = 0; i < policy.rules.size(); ++i) {
    const Rule& later = policy.rules[i];
    const auto device = device_of(later);
    if (!device) continue;
    std::vector<std::size_t>& earlier = seen[*device];
    const auto same = std::ranges::find_if(
        earlier, [&](std::size_t j) { return policy.rules[j].match == later.match; });
    if (same == earlier.end()) {
      earlier.push_back(i);
      continue;
    }
    found.push_back({.rule = i,
                     .block = block,
                     .text = "never applies: rule " + quoted(policy.rules[*same].name) +
                             " has the same match" +
                             (device->empty() ? "" : " and the same device") + " and comes first"});
  }
}

template <auto Block>
std::optional<std::string> device_named(const Rule& rule) {
  const auto& block = rule.*Block;
  // Of one without a name an error was reported.
  return block && !block->device.empty() ? std::optional(block->device) : std::nullopt;
}

std::optional<std::string> vhost_of(const Rule& rule) {
  return rule.vhost ? std::optional<std::string>("") : std::nullopt;
}

void check_all_unreachable(const Policy& policy, std::vector<Contradiction>& found) {
  check_unreachable(policy, kBandwidth, device_named<&Rule::bandwidth>, found);
  check_unreachable(policy, "receive", device_named<&Rule::receive>, found);
  check_unreachable(policy, "rps", device_named<&Rule::rps>, found);
  check_unreachable(policy, "xps", device_named<&Rule::xps>, found);
  check_unreachable(policy, "irq", device_named<&Rule::irq>, found);
  check_unreachable(policy, "napi", device_named<&Rule::napi>, found);
  check_unreachable(policy, "vhost", vhost_of, found);
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
    // One table says which class each workload has, for all devices together.
    if (!same_matches(policy, devices.front(), of))
      found.push_back({.rule = of.rules.front(),
                       .block = kBandwidth,
                       .text = "the rules for " + of.device +
                               " must have the same matches in the " + "same order as those for " +
                               devices.front().device +
                               ", since a workload's class is the same on all devices"});
  }
  check_all_unreachable(policy, found);
  return found;
}

}  // namespace ankus
