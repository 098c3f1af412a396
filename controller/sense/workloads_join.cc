// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <span>
#include <tuple>

#include "sense/workloads.h"

namespace ankus {
namespace {

/// The cgroups that belong together and the processes in them.
struct Unit {
  const Cgroup* top = nullptr;
  const Cgroup* pod = nullptr;  ///< around it, if it is a pod's container
  CgroupName name;
  std::vector<const Cgroup*> cgroups;
  std::vector<std::int32_t> processes;  ///< ascending
  std::uint64_t netns = 0;              ///< 0: cannot be told, or several
};

bool is_service(const Unit& unit) { return unit.name.role == CgroupRole::service; }

/// Where the path of `cgroup` ends in a unit, the unit's; a cgroup of no known kind is a unit of
/// its own if it is not the root and all its processes share one foreign namespace.
std::vector<Unit> units_of(const WorkloadEvidence& evidence) {
  std::map<std::string_view, const Cgroup*> by_path;
  for (const Cgroup& cgroup : evidence.cgroups) by_path[cgroup.path] = &cgroup;
  std::map<std::string, Unit> units;
  for (const Cgroup& cgroup : evidence.cgroups) {
    CgroupUnit found = unit_of(cgroup.path);
    if (found.path.empty()) found.path = cgroup.path;
    Unit& unit = units[found.path];
    unit.name = found.name;
    unit.cgroups.push_back(&cgroup);
    unit.processes.insert(unit.processes.end(), cgroup.processes.begin(), cgroup.processes.end());
    if (const auto top = by_path.find(found.path); top != by_path.end()) unit.top = top->second;
    if (const auto pod = by_path.find(found.pod_path);
        pod != by_path.end() && !found.pod_path.empty())
      unit.pod = pod->second;
  }
  std::vector<Unit> known;
  for (auto& [path, unit] : units) {
    if (!unit.top) continue;
    std::ranges::sort(unit.processes);
    std::erase_if(unit.processes,
                  [&](std::int32_t pid) { return !evidence.netns_of.contains(pid); });
    if (unit.processes.empty()) continue;
    const auto netns_of = [&](std::int32_t pid) { return evidence.netns_of.at(pid); };
    const std::uint64_t first = netns_of(unit.processes.front());
    const bool together = std::ranges::all_of(
        unit.processes, [&](std::int32_t pid) { return netns_of(pid) == first; });
    switch (unit.name.role) {
      case CgroupRole::container:
      case CgroupRole::machine:
        unit.netns = first;  // what a container unshares within itself is still the container
        break;
      case CgroupRole::service: unit.netns = together ? first : evidence.own_netns; break;
      default:
        if (path.empty() || !together || first == evidence.own_netns) continue;
        unit.netns = first;
    }
    known.push_back(std::move(unit));
  }
  return known;
}

bool crosses_namespaces(const Link& link) {
  return (link.kind == "veth" || link.kind == "netkit") && link.link_netnsid >= 0 &&
         !link.has_default_route;
}

class Join {
 public:
  explicit Join(const WorkloadEvidence& evidence)
      : evidence_(evidence), units_(units_of(evidence)) {}

  WorkloadSightings run() {
    for (const std::uint64_t netns : foreign_namespaces()) add_namespace(netns);
    for (const Unit& unit : units_)
      if (unit.netns == evidence_.own_netns) add_host_unit(unit);
    for (const TapHolder& tap : evidence_.taps) add_tap(tap);
    for (const Link& link : evidence_.links)
      if (crosses_namespaces(link) && !taken_.contains(link.device.ifindex))
        result_.workloads.push_back(
            {.identity = {.ifindex = link.device.ifindex}, .device = link.device});
    std::ranges::sort(result_.owners);
    return std::move(result_);
  }

 private:
  std::set<std::uint64_t> foreign_namespaces() const {
    std::set<std::uint64_t> inodes;
    for (const auto& [pid, inode] : evidence_.netns_of) inodes.insert(inode);
    for (const NamedNamespace& named : evidence_.named) inodes.insert(named.inode);
    inodes.erase(evidence_.own_netns);
    return inodes;
  }

  std::vector<const Link*> devices_into(std::uint64_t netns) const {
    std::vector<const Link*> devices;
    const auto number = evidence_.number_of.find(netns);
    if (number == evidence_.number_of.end() || number->second < 0) return devices;
    for (const Link& link : evidence_.links)
      if (crosses_namespaces(link) && link.link_netnsid == number->second) devices.push_back(&link);
    return devices;
  }

  void own(const Unit& unit, std::uint32_t workload) {
    for (const Cgroup* cgroup : unit.cgroups)
      result_.owners.push_back({.cgroup_id = cgroup->id, .workload = workload});
  }

  std::uint32_t next_index() const { return static_cast<std::uint32_t>(result_.workloads.size()); }

  void add_namespace(std::uint64_t netns) {
    std::vector<const Unit*> units;
    for (const Unit& unit : units_)
      if (unit.netns == netns) units.push_back(&unit);
    const std::vector<const Link*> devices = devices_into(netns);
    const bool container = std::ranges::any_of(
        units, [](const Unit* unit) { return unit->name.role == CgroupRole::container; });
    // Without a device of ours nothing of it passes here: sandboxes, services with
    // PrivateNetwork=. A container is shown all the same.
    if (devices.empty() && !container) return;

    WorkloadSighting sighting{.identity = {.netns_inode = netns}};
    if (!units.empty()) {
      // Containers before services before the rest, the oldest first: ids only grow.
      std::ranges::sort(units, {}, [](const Unit* unit) {
        const int rank = unit->name.role == CgroupRole::container ? 0 : is_service(*unit) ? 1 : 2;
        return std::tuple(rank, unit->top->id);
      });
      const Unit& first = *units.front();
      for (const Unit* unit : std::span(units).subspan(1))
        if (unit->name.role == CgroupRole::container) sighting.others.push_back(unit->name);
      const Cgroup& known_by = first.pod ? *first.pod : *first.top;
      sighting.kind = is_service(first) ? WorkloadKind::service : WorkloadKind::container;
      sighting.identity.cgroup_id = known_by.id;
      sighting.identity.cgroup_born = known_by.born;
      sighting.main_pid = first.processes.front();
      sighting.cgroup = first.name;
    } else {
      for (const auto& [pid, inode] : evidence_.netns_of)
        if (inode == netns) {
          sighting.main_pid = pid;
          break;
        }
    }
    for (const NamedNamespace& named : evidence_.named)
      if (named.inode == netns) sighting.namespace_name = named.name;

    for (const Unit* unit : units) {
      own(*unit, next_index());
      if (unit->pod && owned_pods_.insert(unit->pod->id).second)
        result_.owners.push_back({.cgroup_id = unit->pod->id, .workload = next_index()});
    }
    if (devices.empty()) result_.workloads.push_back(sighting);
    for (const Link* link : devices) {
      taken_.insert(link->device.ifindex);
      sighting.identity.ifindex = link->device.ifindex;
      sighting.device = link->device;
      result_.workloads.push_back(sighting);
      sighting.identity.cgroup_id = 0;  // a cgroup is one workload's: the first veth's
      sighting.identity.cgroup_born = {};
    }
  }

  void add_host_unit(const Unit& unit) {
    WorkloadSighting sighting{
        .kind = WorkloadKind::container,
        .identity = {.cgroup_id = unit.top->id, .cgroup_born = unit.top->born},
        .main_pid = unit.processes.front(),
        .cgroup = unit.name};
    if (is_service(unit)) sighting.kind = WorkloadKind::service;
    if (unit.name.role == CgroupRole::machine) {
      const bool has_tap = std::ranges::any_of(evidence_.taps, [&](const TapHolder& tap) {
        return std::ranges::binary_search(unit.processes, tap.pid);
      });
      if (has_tap) return;  // add_tap() does it
      sighting.kind = WorkloadKind::vm;
    }
    own(unit, next_index());
    result_.workloads.push_back(std::move(sighting));
  }

  void add_tap(const TapHolder& tap) {
    const auto link = std::ranges::find(evidence_.links, tap.ifindex,
                                        [](const Link& l) { return l.device.ifindex; });
    if (link == evidence_.links.end() || link->has_default_route) return;
    WorkloadSighting sighting{.kind = WorkloadKind::vm,
                              .identity = {.ifindex = tap.ifindex},
                              .device = link->device,
                              .main_pid = tap.pid};
    for (const Unit& unit : units_)
      if (unit.name.role == CgroupRole::machine &&
          std::ranges::binary_search(unit.processes, tap.pid)) {
        sighting.cgroup = unit.name;
        // Its scope is libvirt's and holds one VM; the VM's first tap goes by it.
        if (owned_machines_.insert(unit.top->id).second) {
          sighting.identity.cgroup_id = unit.top->id;
          sighting.identity.cgroup_born = unit.top->born;
          own(unit, next_index());
        }
      }
    result_.workloads.push_back(std::move(sighting));
  }

  const WorkloadEvidence& evidence_;
  std::vector<Unit> units_;
  std::set<std::uint32_t> taken_;  ///< devices that have their workload
  std::set<std::uint64_t> owned_pods_, owned_machines_;
  WorkloadSightings result_;
};

}  // namespace

WorkloadSightings join_workloads(const WorkloadEvidence& evidence) { return Join(evidence).run(); }

}  // namespace ankus
