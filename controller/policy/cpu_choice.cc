// SPDX-License-Identifier: Apache-2.0
#include "policy/cpu_choice.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace ankus {
namespace {

/// The CPUs that light workloads' cpusets give them.
struct LightCpus {
  CpuSet cpus;
  std::size_t elsewhere = 0;  ///< light workloads without a cpuset
};

LightCpus light_cpus(const Snapshot& snapshot, const std::vector<WorkloadId>& but) {
  LightCpus light;
  for (const WorkloadState& state : snapshot.workloads) {
    if (state.footprint.weight != Weight::light) continue;
    if (std::ranges::find(but, state.workload.id) != but.end()) continue;
    if (state.workload.cpus.empty())
      ++light.elsewhere;
    else
      light.cpus = united(light.cpus, state.workload.cpus);
  }
  return light;
}

std::string cpus_text(const CpuSet& cpus) {
  return (cpus.cpus.size() == 1 ? "CPU " : "CPUs ") + to_text(cpus);
}

/// "8-9 are not online".
std::string are(const CpuSet& cpus, const std::string& what) {
  return cpu_list_text(cpus) + (cpus.cpus.size() == 1 ? " is " : " are ") + what;
}

CpuSet free_cpus(const Snapshot& snapshot, const Policy& policy) {
  return without(snapshot.host.topology.usable(), policy.guard.protected_cpus);
}

CpuSet asked_for(const Steering& wanted, const Place& place, const CpuSet& free) {
  switch (wanted.cpus) {
    case Steering::Cpus::all: return free;
    case Steering::Cpus::numa_local: return place.local ? common(*place.local, free) : free;
    case Steering::Cpus::list: return common(wanted.list, free);
  }
  return {};
}

std::string asked_text(const Steering& wanted, const Place& place) {
  switch (wanted.cpus) {
    case Steering::Cpus::all: return "all CPUs";
    case Steering::Cpus::numa_local:
      return place.local ? "the NUMA-local CPUs, " + to_text(*place.local)
                         : "all CPUs, since it is on no NUMA node";
    case Steering::Cpus::list: return cpus_text(wanted.list);
  }
  return {};
}

}  // namespace

CpuChoice choose_cpus(const Snapshot& snapshot, const Policy& policy, const Steering& wanted,
                      const Place& place) {
  const std::string asked = asked_text(wanted, place);
  if (snapshot.host.topology.cpus.empty()) return {.reason = "the host's CPUs are not known"};
  CpuSet cpus = asked_for(wanted, place, free_cpus(snapshot, policy));
  if (cpus.empty())
    return {.reason = "of " + asked +
                      " none may be used: they are offline, isolated, nohz_full or "
                      "in guard.protect.cpus"};
  if (!place.allowed.empty()) {
    cpus = common(cpus, place.allowed);
    if (cpus.empty())
      return {.reason = "its cpuset allows " + cpus_text(place.allowed) + ", of which " + asked +
                        " has none that may be used"};
  }
  std::string reason = asked;
  if (wanted.avoid_light) {
    const LightCpus light = light_cpus(snapshot, place.owners);
    const CpuSet avoided = common(cpus, light.cpus);
    if (avoided == cpus)
      return {.reason = cpus_text(cpus) + ", all that are left of " + asked +
                        ", belong to light workloads, whose CPUs are to be avoided"};
    cpus = without(cpus, avoided);
    if (!avoided.empty()) reason += " but " + to_text(avoided) + " of light workloads";
    if (light.elsewhere > 0)
      reason += "; where " + std::to_string(light.elsewhere) + " light workload" +
                (light.elsewhere == 1 ? " without a cpuset runs" : "s without a cpuset run") +
                " is not known";
  }
  return {.cpus = std::move(cpus), .reason = std::move(reason)};
}

std::string unusable_text(const Snapshot& snapshot, const Policy& policy, const Steering& wanted) {
  const Topology& topology = snapshot.host.topology;
  if (wanted.cpus != Steering::Cpus::list || topology.cpus.empty()) return {};
  std::vector<std::string> parts;
  CpuSet rest = wanted.list;
  const auto take = [&](const CpuSet& these, const std::string& what) {
    if (these.empty()) return;
    parts.push_back(are(these, what));
    rest = without(rest, these);
  };
  take(without(rest, topology.online()), "not online");
  take(common(rest, topology.isolated), "isolated");
  take(common(rest, topology.nohz_full), "nohz_full");
  take(common(rest, policy.guard.protected_cpus), "in guard.protect.cpus");
  return join(parts, ", ");
}

CpuSet cpus_near(const Topology& topology, const CpuSet& these) {
  CpuSet near;
  for (const Cpu& cpu : topology.cpus)
    if (these.contains(cpu.number))
      near = united(near, topology.usable_on_node(static_cast<std::int32_t>(cpu.node)));
  return near;
}

}  // namespace ankus
