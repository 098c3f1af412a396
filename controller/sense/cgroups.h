// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dirent.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/handle.h"
#include "base/result.h"

namespace ankus {

/// A cgroup v2 directory (cgroups(7)).
struct Cgroup {
  std::string path;                     ///< below the hierarchy's root; "" is the root itself
  std::uint64_t id = 0;                 ///< the directory's inode: what bpf_skb_cgroup_id returns
  nanoseconds born{};                   ///< birth time if the file system has it, else 0
  std::vector<std::int32_t> processes;  ///< directly in it, ascending
  bool operator==(const Cgroup&) const = default;
};

enum class CgroupRole {
  other,
  container,  ///< of Docker, containerd, CRI-O, podman, nspawn or LXC
  pod,        ///< of Kubernetes: holds containers
  machine,    ///< a VM's, made by libvirt
  service,    ///< a systemd unit: *.service or a *.scope that is no login session
};

/// What a directory's name says about it; names are conventions of the runtimes, so they decide
/// only how a workload is shown and which cgroups belong together.
struct CgroupName {
  CgroupRole role = CgroupRole::other;
  std::string runtime;  ///< "docker", "containerd", "cri-o", "podman", "nspawn", "lxc", "cri"
  std::string id;       ///< container id, pod uid, machine or unit name
  bool operator==(const CgroupName&) const = default;
};
CgroupName classify_cgroup(std::string_view name, std::string_view parent_path);

/// The cgroup that `path` belongs to as a workload: its outermost container or machine, else its
/// outermost service. role is `other`, and the path empty, if there is none.
struct CgroupUnit {
  std::string path;
  CgroupName name;
  std::string pod_path;  ///< the pod around a container, "" if none
  bool operator==(const CgroupUnit&) const = default;
};
CgroupUnit unit_of(std::string_view path);

/// Where cgroup v2 is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` on hybrid hosts.
Result<std::string> find_cgroup2_mount();

/// Reads a cgroup v2 tree and knows by inotify(7) when it changed.
class CgroupTree {
 public:
  /// `watch_limit`: the file that says how many watches a user may have (inotify(7)).
  static Result<CgroupTree> open(std::string root,
                                 std::string watch_limit = "/proc/sys/fs/inotify/max_user_watches");

  /// All directories, parents before children, but those below `unread`. New ones get a watch
  /// before they are listed, so nothing is missed in between. Walks by open directories: names may
  /// be nested so that their path is longer than the kernel takes. Costs about eight system calls
  /// for each directory. Fails if the root cannot be read or this process has no files or memory
  /// left.
  Result<std::vector<Cgroup>> read();

  /// Whether directories came or went, or processes entered or left, since the last call.
  Result<bool> changed();

  /// For epoll.
  int fd() const { return inotify_.get(); }

  /// Directories without a watch, since a tenth of fs.inotify.max_user_watches is used up, which is
  /// also for the other daemons of root: changes in them are seen at the next full scan only.
  std::uint64_t unwatched = 0;
  /// Directories that were refused or lie too deep: left out, with all below them.
  std::uint64_t unread = 0;

 private:
  /// Its watch descriptors. The kernel ends neither watch when a cgroup is removed (kernfs leaves
  /// i_nlink alone, see dentry_unlink_inode()).
  struct Watch {
    int directory = -1, events = -1;
  };
  CgroupTree(std::string root, std::string watch_limit, UniqueFd inotify)
      : root_(std::move(root)),
        watch_limit_(std::move(watch_limit)),
        inotify_(std::move(inotify)) {}
  Result<Watch> watch(int directory) const;
  void unwatch(const Watch& watch) const;
  std::size_t allowed_watches() const;
  Result<void> read_below(DIR* listing, std::string path, int depth, std::vector<Cgroup>& found);

  std::string root_, watch_limit_;
  UniqueFd inotify_;
  std::map<std::uint64_t, Watch> watched_;  ///< by inode
  std::size_t watched_at_most_ = 0;         ///< cgroups, as of this reading
};

}  // namespace ankus
