// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bpf/wire.h"
#include "kernel/netlink.h"
#include "kernel/procfs.h"
#include "model/snapshot.h"
#include "sense/cgroups.h"
#include "sense/vms.h"
#include "sense/workloads_names.h"

namespace ankus {

/// The BPF maps have a row for each number up to this.
inline constexpr WorkloadId kLastWorkload = ANKUS_MAX_WORKLOADS - 1;

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
  CgroupName cgroup;  ///< role other: it has no cgroup of its own that says anything
  /// Of the other containers in its network namespace, the oldest first.
  std::vector<CgroupName> others;
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
/// containers share it (a pod): it goes by its pod's cgroup, else by its oldest container's, and is
/// named after its oldest container that is no sandbox. Each
/// further veth of it is a workload of its own, known by the veth. Containers in our own network
/// namespace and systemd units are known by their cgroup; a tap that a process holds is a VM; a
/// veth into a namespace that nobody can name is still a workload. Uplinks are nobody's.
WorkloadSightings join_workloads(const WorkloadEvidence& evidence);

/// The numbers of one scan's sightings.
struct NumberedSightings {
  std::vector<std::optional<WorkloadId>> ids;  ///< of sighting i; nullopt: no number is free
  /// Those of `ids` that another workload had before: what the maps say of them is not theirs.
  std::vector<WorkloadId> recycled;
  std::vector<NumberedWorkload> changed;  ///< what the next run must know, ascending by number

  bool operator==(const NumberedSightings&) const = default;
};

/// Hands out the dense numbers. A number stays its workload's until that has vanished, and in
/// quarantine after it, so that nobody inherits flows or classes; then the one that was freed first
/// is given first. A workload that comes back before that has its number again.
class WorkloadIds {
 public:
  /// Longer than a membership's lease (30 s) and than an idle flow stays in the table (60 s).
  static constexpr seconds kQuarantine{120};

  /// `former`: what an earlier run numbered in the same maps.
  WorkloadIds(WorkloadId first, WorkloadId last, std::span<const NumberedWorkload> former = {});

  /// A workload keeps its number while the evidence of it comes and goes: a starting container has
  /// first a cgroup, then a namespace, then a veth, and an ending one loses them in another order.
  NumberedSightings number(std::span<const WorkloadSighting> sightings, MonotonicTime now);

 private:
  struct Row {
    WorkloadIdentity identity;        ///< the strongest of late
    std::set<WorkloadIdentity> keys;  ///< all that lead here in known_
    std::uint32_t ifindex = 0;        ///< where it was last, may be another's by now
    std::optional<MonotonicTime> vanished;
  };
  struct OnDevice {
    WorkloadId id = 0;
    std::uint64_t netns_inode = 0;
  };
  struct Scan;
  std::optional<WorkloadId> find(const WorkloadIdentity& identity, const Scan& scan) const;
  std::optional<WorkloadId> take_free(Scan& scan);
  void note(const WorkloadIdentity& identity, WorkloadId id, Scan& scan);
  void leave_device(const Row& row, WorkloadId id);
  void retire(WorkloadId id, MonotonicTime now);

  std::map<WorkloadId, Row> rows_;  ///< each number that was ever given
  std::map<WorkloadIdentity, WorkloadId> known_;
  std::map<std::uint32_t, OnDevice> on_device_;          ///< by ifindex
  std::set<std::pair<MonotonicTime, WorkloadId>> free_;  ///< from when; 0: never given
};

struct WorkloadScan {
  std::vector<Workload> workloads;     ///< ascending by id
  std::vector<CgroupOwner> owners;     ///< ascending by cgroup id; workloads' descendants included
  std::uint64_t cgroups_left_out = 0;  ///< of `owners`: there is no room for them
  std::uint64_t without_number = 0;    ///< workloads left out since no number is free
  std::uint64_t unwatched_cgroups = 0, unread_cgroups = 0;  ///< CgroupTree's
  std::vector<WorkloadId> recycled;       ///< to be cleared before anything is told of them
  std::vector<NumberedWorkload> changed;  ///< numbers, for the next run
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
  static Result<WorkloadInventory> open(WorkloadRoots roots,
                                        WorkloadIds ids = WorkloadIds(1, kLastWorkload));

  /// `links` as LinkReader has just read them.
  Result<WorkloadScan> scan(std::span<const Link> links, MonotonicTime now);

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
