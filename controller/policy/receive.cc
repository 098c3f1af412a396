// SPDX-License-Identifier: Apache-2.0
#include "policy/receive.h"

#include <algorithm>

#include "base/text.h"
#include "policy/balance.h"
#include "policy/shaping.h"
#include "policy/targets.h"

namespace ankus {
namespace {

constexpr std::string_view kWhat = "balance receive queues of";

bool fits(const Indirection& held, const DeviceQueues& device) {
  return held.queues.size() == device.table->queues.size() &&
         std::ranges::all_of(held.queues,
                             [&](std::uint32_t queue) { return queue < device.spread_queues(); });
}

/// Why a device's table is not touched; empty if it may be.
std::string obstacle(const Snapshot& snapshot, const Target& target, bool held) {
  const DeviceQueues& device = *target.device;
  const Receive& wanted = *target.rule->receive;
  const std::string driver = device.driver.empty() ? "" : " (driver " + device.driver + ")";
  // A table that has proven itself outlives the link's being down.
  if (!held && is_down(snapshot, device.device)) return "it is down";
  if (device.spread_queues() < 2)
    return "it has one receive queue" + driver + "; rps is the lever there";
  if (!device.table || device.table->queues.empty())
    return "it has no RSS table" + driver + "; rps is the lever there";
  if (!device.table_is_default && !held && !wanted.take_user_table)
    return "somebody else has set its table (ethtool -x " + device.device.name +
           " shows it), which is honoured; user_table = \"take\" would take it";
  if (!wanted.elephant_queues.empty()) {
    const std::string theirs = cpu_list_text({wanted.elephant_queues});
    if (wanted.elephant_queues.back() >= device.spread_queues())
      return "elephant_queues = \"" + theirs + "\", but it has " +
             std::to_string(device.spread_queues()) + " queues" +
             (device.spread_queues() < device.receive.size() ? " that its table may name" : "");
    if (wanted.elephant_queues.size() == device.spread_queues())
      return "elephant_queues = \"" + theirs + "\" leaves no queue to the mice";
  }
  return {};
}

void add_device(const Snapshot& snapshot, const Target& target, Desired& desired) {
  const DeviceQueues& device = *target.device;
  const Receive& wanted = *target.rule->receive;
  const knob::RssTable knob{.device = device.device};
  const Setting* setting = held_setting(snapshot, knob);
  const auto* held = setting == nullptr ? nullptr : std::get_if<Indirection>(setting);
  const auto refuse = [&](std::string why) {
    desired.refusals.push_back(
        {.what = std::string(kWhat) + " " + device.device.name, .why = std::move(why)});
  };
  if (std::string why = obstacle(snapshot, target, held != nullptr); !why.empty())
    return refuse(std::move(why));
  // The number of queues may have changed since, and the driver have made a table of its own.
  if (held != nullptr && !fits(*held, device)) held = nullptr;

  const std::string rule = "rule " + quoted(target.rule->name) + ": ";
  const auto wish = [&](const std::vector<std::uint32_t>& queues, std::string reason) {
    desired.wishes.push_back(
        {.knob = knob, .setting = Indirection{.queues = queues}, .reason = std::move(reason)});
  };
  const std::vector<std::uint32_t>& table = held != nullptr ? held->queues : device.table->queues;
  Balance balanced{.reason = "what each entry of its table brings is not measured"};
  if (device.buckets.size() == table.size()) {
    BalanceInput input{.table = table,
                       .loads = device.buckets,
                       .queues = static_cast<std::uint32_t>(device.spread_queues()),
                       .busy_enough = wanted.busy,
                       .min_gain = wanted.min_gain,
                       .elephant_queues = wanted.elephant_queues};
    for (std::uint32_t queue = 0; queue < input.queues; ++queue)
      input.busy.push_back(snapshot.host.topology.busy_of(device.serving(queue)));
    balanced = balance(input);
  }
  if (balanced.table)
    wish(*balanced.table, rule + balanced.reason);
  else if (held != nullptr)
    wish(table, rule + "the table stays; " + balanced.reason);
  else
    refuse(balanced.reason);
}

}  // namespace

void add_receive(const Snapshot& snapshot, const Policy& policy, Desired& desired) {
  std::vector<DeviceBlock> blocks;
  for (const Rule& rule : policy.rules)
    if (rule.receive) blocks.push_back({.rule = &rule, .device = rule.receive->device});
  for (const Target& target : targets(snapshot, policy, blocks, kWhat, desired.refusals))
    add_device(snapshot, target, desired);
}

}  // namespace ankus
