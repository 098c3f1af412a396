// SPDX-License-Identifier: Apache-2.0
#include "sense/workloads.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "kernel/cpusets.h"
#include "kernel/rtnetlink.h"
#include "sense/workloads_rows.h"

namespace ankus {
namespace {

/// Drains `inotify`; whether there was anything.
Result<bool> anything_in(const UniqueFd& inotify) {
  alignas(inotify_event) std::array<char, 4096> buffer;
  bool anything = false;
  for (;;) {
    const ssize_t size = ::read(inotify.get(), buffer.data(), buffer.size());
    if (size > 0) {
      anything = true;
      continue;
    }
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return anything;
    return fail_errno("inotify");
  }
}

/// "nginx" or, where the program names itself otherwise, "python3.11 worker".
std::string program_of(const Procfs& proc, std::int32_t pid) {
  if (pid == 0) return {};
  const std::string executable = proc.executable(pid).value_or("");
  const std::string comm = proc.comm(pid).value_or("");
  if (executable.empty() || comm.empty() || executable.starts_with(comm))
    return executable.empty() ? comm : executable;
  return executable + " " + comm;
}

bool is_random_name(std::string_view namespace_name) {
  return namespace_name.starts_with("cni-") || namespace_name.starts_with("netns-");
}

/// A pod's first container is its sandbox, which is all alike: those after it do the work.
std::optional<RuntimeFacts> facts_of(const WorkloadSighting& sighting, RuntimeNames& runtimes) {
  auto facts = runtimes.find(sighting.cgroup);
  if (!facts || !facts->sandbox) return facts;
  for (const CgroupName& other : sighting.others)
    if (auto found = runtimes.find(other); found && !found->sandbox) return found;
  return facts;
}

NameAndLabel names_of(const WorkloadSighting& sighting, const Procfs& proc,
                      RuntimeNames& runtimes) {
  const CgroupName& cgroup = sighting.cgroup;
  if (const auto facts = facts_of(sighting, runtimes); facts && !facts->names.name.empty())
    return facts->names;
  if (sighting.kind == WorkloadKind::vm) {
    std::string name = cgroup.id;
    if (const auto words = proc.command_line(sighting.main_pid); words)
      if (auto given = vm_name_in(*words); !given.empty()) name = std::move(given);
    if (name.empty()) {
      name = program_of(proc, sighting.main_pid);
      return {.name = name, .label = "exe:" + name};
    }
    return {.name = name, .label = "vm:" + name};
  }
  if (cgroup.role == CgroupRole::service) return {.name = cgroup.id, .label = "unit:" + cgroup.id};
  if (cgroup.runtime == "nspawn" || cgroup.runtime == "lxc")
    return {.name = cgroup.id, .label = "machine:" + cgroup.id};
  const std::string program = program_of(proc, sighting.main_pid);
  if (cgroup.role == CgroupRole::container)
    return {.name = cgroup.id.substr(0, 12) + (program.empty() ? "" : " " + program),
            .label = program.empty() ? "" : "exe:" + program};
  if (const std::string& name = sighting.namespace_name; !name.empty() && !is_random_name(name))
    return {.name = name, .label = "netns:" + name};
  if (!program.empty()) return {.name = program, .label = "exe:" + program};
  if (sighting.device) return {.name = "veth " + sighting.device->name};
  return {.name = "unknown"};
}

/// For each workload the CPUs that cpusets leave its processes; empty where that is all CPUs. The
/// hierarchy's root stands for all: CPUs that are offline or in isolated partitions are not in it.
/// A pod's pause container runs anywhere, its containers on CPUs of their own: those count.
std::vector<CpuSet> cpus_of(const WorkloadSightings& sightings, const WorkloadEvidence& evidence,
                            const WorkloadRoots& roots) {
  std::vector<CpuSet> cpus(sightings.workloads.size());
  const auto all = cpuset_of(roots.cgroup, "");
  if (!all) return cpus;
  const auto add = [&](CpuSet& set, std::string_view path) {
    if (const auto its = cpuset_of(roots.cgroup, path); its && *its != *all)
      set = united(set, *its);
  };
  std::map<std::uint64_t, const Cgroup*> with_processes;
  for (const Cgroup& cgroup : evidence.cgroups)
    if (!cgroup.processes.empty()) with_processes.emplace(cgroup.id, &cgroup);
  std::set<std::uint32_t> known_by_cgroup;
  for (const CgroupOwner& owner : sightings.owners)
    if (const auto found = with_processes.find(owner.cgroup_id); found != with_processes.end()) {
      add(cpus[owner.workload], found->second->path);
      known_by_cgroup.insert(owner.workload);
    }
  for (std::uint32_t i = 0; i < cpus.size(); ++i) {
    const std::int32_t pid = sightings.workloads[i].main_pid;
    if (pid != 0 && !known_by_cgroup.contains(i))
      if (const auto path = roots.proc.cgroup(pid)) add(cpus[i], *path);
    if (cpus[i] == *all) cpus[i] = {};
  }
  return cpus;
}

}  // namespace

WorkloadRoots host_roots() {
  WorkloadRoots roots;
  // Without cgroup v2 containers and VMs are still known by their devices.
  if (auto mount = find_cgroup2_mount()) roots.cgroup = std::move(*mount);
  return roots;
}

WorkloadInventory::WorkloadInventory(WorkloadRoots roots, NetlinkSocket questions,
                                     NetlinkSocket news, UniqueFd namespace_watch, WorkloadIds ids)
    : roots_(std::move(roots)),
      questions_(std::move(questions)),
      news_(std::move(news)),
      namespace_watch_(std::move(namespace_watch)),
      taps_(roots_.proc),
      ids_(std::move(ids)),
      names_(roots_.runtimes) {}

Result<WorkloadInventory> WorkloadInventory::open(WorkloadRoots roots, WorkloadIds ids) {
  auto questions = NetlinkSocket::open(NETLINK_ROUTE);
  if (!questions) return std::unexpected(questions.error());
  auto news = NetlinkSocket::open(NETLINK_ROUTE, RTMGRP_LINK);
  if (!news) return std::unexpected(news.error());
  UniqueFd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!watch) return fail_errno("inotify");
  std::optional<CgroupTree> cgroups;
  if (!roots.cgroup.empty()) {
    auto tree = CgroupTree::open(roots.cgroup);
    if (!tree) return std::unexpected(tree.error());
    cgroups = std::move(*tree);
  }
  WorkloadInventory inventory(std::move(roots), std::move(*questions), std::move(*news),
                              std::move(watch), std::move(ids));
  inventory.cgroups_ = std::move(cgroups);
  return inventory;
}

void WorkloadInventory::watch_named_namespaces() {
  // The directory may not exist until the first `ip netns add`; a veth tells us of that as well.
  (void)::inotify_add_watch(namespace_watch_.get(), roots_.named_namespaces.c_str(),
                            IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR);
}

Result<std::vector<Cgroup>> WorkloadInventory::read_cgroups() {
  if (cgroups_) return cgroups_->read();
  auto processes = roots_.proc.processes();
  if (!processes) return std::unexpected(processes.error());
  return std::vector<Cgroup>{{.processes = std::move(*processes)}};
}

void WorkloadInventory::number_namespace(const std::string& path, std::uint64_t inode,
                                         WorkloadEvidence& evidence) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts{};
  // The process may have ended and its pid been given to one elsewhere: the inode tells.
  if (!fd || ::fstat(fd.get(), &facts) != 0 || facts.st_ino != inode) return;
  // A namespace that cannot be numbered just has no device; its veth is then a "veth X".
  if (const auto number = read_namespace_number(questions_, fd.get()))
    evidence.number_of[inode] = *number;
}

Result<WorkloadEvidence> WorkloadInventory::gather(std::span<const Link> links) {
  WorkloadEvidence evidence;
  evidence.links.assign(links.begin(), links.end());
  const auto own = roots_.proc.own_netns_inode();
  if (!own) return with_context("own network namespace", own.error());
  evidence.own_netns = *own;

  auto cgroups = read_cgroups();
  if (!cgroups) return with_context("cgroups", cgroups.error());
  evidence.cgroups = std::move(*cgroups);
  std::vector<std::int32_t> ours;
  for (const Cgroup& cgroup : evidence.cgroups)
    for (const std::int32_t pid : cgroup.processes) {
      const auto inode = roots_.proc.netns_inode(pid);
      if (!inode) continue;  // ended meanwhile, a zombie, or not ours to see
      evidence.netns_of[pid] = *inode;
      if (*inode == evidence.own_netns) {
        ours.push_back(pid);
      } else if (!evidence.number_of.contains(*inode)) {
        number_namespace(roots_.proc.netns_path(pid), *inode, evidence);
      }
    }

  watch_named_namespaces();
  if (const auto files = read_directory(roots_.named_namespaces))
    for (const std::string& name : *files) {
      const std::string path = roots_.named_namespaces + "/" + name;
      struct stat facts{};
      if (::stat(path.c_str(), &facts) != 0) continue;
      evidence.named.push_back({.name = name, .inode = facts.st_ino});
      if (!evidence.number_of.contains(facts.st_ino))
        number_namespace(path, facts.st_ino, evidence);
    }
  evidence.taps = taps_.find(links, machines_first(ours, evidence.cgroups));
  return evidence;
}

Result<WorkloadScan> WorkloadInventory::scan(std::span<const Link> links, MonotonicTime now) {
  const auto evidence = gather(links);
  if (!evidence) return std::unexpected(evidence.error());
  const WorkloadSightings sightings = join_workloads(*evidence);

  NumberedSightings numbered = ids_.number(sightings.workloads, now);
  WorkloadScan scan{.unwatched_cgroups = cgroups_ ? cgroups_->unwatched : 0,
                    .unread_cgroups = cgroups_ ? cgroups_->unread : 0,
                    .recycled = std::move(numbered.recycled),
                    .changed = std::move(numbered.changed)};
  const std::vector<std::optional<WorkloadId>>& ids = numbered.ids;
  std::vector<CpuSet> cpus = cpus_of(sightings, *evidence, roots_);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const WorkloadSighting& sighting = sightings.workloads[i];
    if (!ids[i]) {
      ++scan.without_number;
      continue;
    }
    const NameAndLabel names = names_of(sighting, roots_.proc, names_);
    scan.workloads.push_back({.id = *ids[i],
                              .kind = sighting.kind,
                              .identity = sighting.identity,
                              .device = sighting.device,
                              .name = display_text(names.name),
                              .label = display_text(names.label),
                              .main_pid = sighting.main_pid,
                              .cpus = std::move(cpus[i])});
  }
  for (const CgroupOwner& owner : sightings.owners)
    if (ids[owner.workload])
      scan.owners.push_back({.cgroup_id = owner.cgroup_id, .workload = *ids[owner.workload]});
  scan.cgroups_left_out = share_room(scan.owners, evidence->cgroups);
  std::ranges::sort(scan.workloads, {}, &Workload::id);
  names_.forget_unused();
  return scan;
}

Result<bool> WorkloadInventory::changed_since_last() {
  const auto news = news_.receive_notifications();
  if (!news) return std::unexpected(news.error());
  bool changed = news->tell_of_change();
  if (cgroups_) {
    const auto cgroups = cgroups_->changed();
    if (!cgroups) return cgroups;
    changed |= *cgroups;
  }
  const auto named = anything_in(namespace_watch_);
  if (!named) return named;
  return changed || *named;
}

std::vector<int> WorkloadInventory::fds() const {
  std::vector<int> fds{news_.fd(), namespace_watch_.get()};
  if (cgroups_) fds.push_back(cgroups_->fd());
  return fds;
}

}  // namespace ankus
