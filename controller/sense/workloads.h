// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "kernel/netlink.h"
#include "kernel/procfs.h"
#include "model/snapshot.h"
#include "sense/cgroups.h"
#include "sense/vms.h"
#include "sense/workloads_names.h"

namespace ankus {

/// A file below /run/netns: a network namespace that somebody named (ip-netns(8)).
struct NamedNamespace {
  std::string name;
  std::uint64_t inode = 0;
  bool operator==(const NamedNamespace&) const = default;
};

/// All that attribution is decided on, as values.
struct WorkloadEvidence {
  std::uint64_t own_netns = 0;
  std::vector<Link> links;
  std::vector<Cgroup> cgroups;                      ///< each process is in one of them
  std::map<std::int32_t, std::uint64_t> netns_of;   ///< process -> inode
  std::map<std::uint64_t, std::int32_t> number_of;  ///< inode -> our number for it (nsid)
  std::vector<NamedNamespace> named;
  std::vector<TapHolder> taps;
};

/// A workload before it has a number and a name.
struct WorkloadSighting {
  WorkloadKind kind = WorkloadKind::container;
  WorkloadIdentity identity;
  std::optional<Device> device;
  std::int32_t main_pid = 0;
  CgroupName cgroup;           ///< role other: it has no cgroup of its own that says anything
  std::string namespace_name;  ///< of /run/netns
  bool operator==(const WorkloadSighting&) const = default;
};

/// Which workload a cgroup's sockets belong to; `workload` is an index, or an id after numbering.
struct CgroupOwner {
  std::uint64_t cgroup_id = 0;
  std::uint32_t workload = 0;
  auto operator<=>(const CgroupOwner&) const = default;
};

struct WorkloadSightings {
  std::vector<WorkloadSighting> workloads;
  std::vector<CgroupOwner> owners;
};

/// Decides who is who. A network namespace with a host-side veth is one workload, however many
/// containers share it (a pod): it goes by its pod's cgroup, else by its oldest container's. Each
/// further veth of it is a workload of its own, known by the veth. Containers in our own network
/// namespace and systemd units are known by their cgroup; a tap that a process holds is a VM; a
/// veth into a namespace that nobody can name is still a workload. Uplinks are nobody's.
WorkloadSightings join_workloads(const WorkloadEvidence& evidence);

/// Hands out the dense numbers; never the same number to two identities.
class WorkloadIds {
 public:
  WorkloadIds(WorkloadId first, WorkloadId last) : next_(first), last_(last) {}

  /// Result i belongs to sighting i of one scan; nullopt when the numbers are used up. A workload
  /// keeps its number while the evidence of it comes and goes: a starting container has first a
  /// cgroup, then a namespace, then a veth, and an ending one loses them in another order.
  std::vector<std::optional<WorkloadId>> number(std::span<const WorkloadSighting> sightings);

 private:
  struct OnDevice {
    WorkloadId id = 0;
    std::uint64_t netns_inode = 0;
  };
  std::optional<WorkloadId> number_one(const WorkloadIdentity& identity,
                                       std::set<WorkloadId>& taken);

  WorkloadId next_, last_;
  std::map<WorkloadIdentity, WorkloadId> known_;
  std::map<std::uint32_t, OnDevice> on_device_;  ///< by ifindex
};

struct WorkloadScan {
  std::vector<Workload> workloads;   ///< ascending by id
  std::vector<CgroupOwner> owners;   ///< ascending by cgroup id; workloads' descendants included
  std::uint64_t without_number = 0;  ///< workloads left out since all numbers are used up
  std::uint64_t unwatched_cgroups = 0;
};

struct WorkloadRoots {
  Procfs proc;
  std::string cgroup;  ///< "" is: no cgroup v2 on this host
  std::string named_namespaces = "/run/netns";
  RuntimeRoots runtimes;
};
/// The roots of this host.
WorkloadRoots host_roots();

/// The containers, VMs and services of this host. A scan costs one readlink for each process, four
/// system calls for each cgroup, two for each network namespace besides ours, and four small reads
/// for each workload; measured: 1.7 ms, link dump included, for 125 processes and 5 cgroups.
class WorkloadInventory {
 public:
  static Result<WorkloadInventory> open(WorkloadRoots roots, WorkloadId first_id = 1,
                                        WorkloadId last_id = 4095);

  /// `links` as LinkReader has just read them.
  Result<WorkloadScan> scan(std::span<const Link> links);

  /// Whether a link, cgroup or named namespace came, went or changed since the last call.
  /// Debouncing is the caller's.
  Result<bool> changed_since_last();

  /// For epoll.
  std::vector<int> fds() const;

 private:
  WorkloadInventory(WorkloadRoots roots, NetlinkSocket questions, NetlinkSocket news,
                    UniqueFd namespace_watch, WorkloadIds ids);
  Result<WorkloadEvidence> gather(std::span<const Link> links);
  Result<std::vector<Cgroup>> read_cgroups();
  void watch_named_namespaces();
  void number_namespace(const std::string& path, std::uint64_t inode, WorkloadEvidence& evidence);

  WorkloadRoots roots_;
  NetlinkSocket questions_, news_;
  UniqueFd namespace_watch_;
  std::optional<CgroupTree> cgroups_;
  TapHolders taps_;
  WorkloadIds ids_;
  RuntimeNames names_;
};

}  // namespace ankus
