// SPDX-License-Identifier: Apache-2.0
#include "policy/policy.h"

#include <iterator>
#include <vector>

#include "base/text.h"

namespace ankus {
namespace {

constexpr std::string_view kModes[] = {"observe", "advise", "enforce"};

std::string text_of(const Bandwidth& bandwidth) {
  return "on " + printable(bandwidth.device) + ": guarantee " + to_text(bandwidth.guarantee) +
         ", limit " + to_text(bandwidth.limit) + ", priority " + std::to_string(bandwidth.priority);
}

std::string text_of(const Receive& receive) {
  std::string text = "receive queues of " + printable(receive.device) + ": by load";
  if (receive.balance == Receive::Balance::apart)
    text += ", elephants on queues " + cpu_list_text({receive.elephant_queues});
  return text + ", from " + to_text(receive.busy) + " busy and for " + to_text(receive.min_gain) +
         " gain";
}

}  // namespace

std::string to_text(const Steering& steering) {
  static constexpr std::string_view kWhich[] = {"all CPUs", "NUMA-local CPUs"};
  const std::string cpus = steering.cpus == Steering::Cpus::list
                               ? "CPUs " + to_text(steering.list)
                               : std::string(kWhich[static_cast<std::size_t>(steering.cpus)]);
  return cpus + (steering.avoid_light ? " but those of light workloads" : "");
}

std::string to_text(const Rule& rule) {
  std::vector<std::string> parts;
  if (rule.bandwidth) parts.push_back(text_of(*rule.bandwidth));
  if (rule.receive) parts.push_back(text_of(*rule.receive));
  const auto add = [&](const std::optional<Steering>& steering, const std::string& what) {
    if (!steering) return;
    const std::string device = printable(steering->device);
    parts.push_back(what + (device.empty() ? "" : " of " + device) + ": " + to_text(*steering));
  };
  add(rule.rps, "rps");
  add(rule.xps, "xps");
  add(rule.irq, "interrupts");
  add(rule.vhost, "vhost threads");
  add(rule.napi, "NAPI threads");
  return quoted(rule.name) + " " + join(parts, "; ");
}

std::string_view to_text(Mode mode) { return kModes[static_cast<std::size_t>(mode)]; }

std::optional<Mode> mode_from_text(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kModes); ++i)
    if (kModes[i] == text) return static_cast<Mode>(i);
  return std::nullopt;
}

bool matches(const Match& match, const Workload& workload, Weight flow) {
  return (!match.footprint || *match.footprint == flow) &&
         (!match.kind || *match.kind == workload.kind) &&
         (match.name.empty() || glob_match(match.name, workload.name)) &&
         (match.label.empty() || glob_match(match.label, workload.label));
}

bool matches(const Match& match, const Workload& workload, const Footprint& footprint) {
  // Of a mixed one's work, nearly all is its elephants'.
  const bool heavy = footprint.weight == Weight::heavy || footprint.weight == Weight::mixed;
  return matches(match, workload, heavy ? Weight::heavy : footprint.weight);
}

bool matches_nobody(const Match& match, Weight flow) {
  return (!match.footprint || *match.footprint == flow) && !match.kind && match.name.empty() &&
         match.label.empty();
}

}  // namespace ankus
