// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernel/procfs.h"
#include "model/snapshot.h"
#include "sense/cgroups.h"

namespace ankus {

/// The process that has a tap open: a virtual machine monitor.
struct TapHolder {
  std::uint32_t ifindex = 0;
  std::int32_t pid = 0;
  bool operator==(const TapHolder&) const = default;
};

/// The VM's name on a VMM's command line (`-name guest=web,...`, `-name web`, `--id web`), "" if
/// it has none.
std::string vm_name_in(std::span<const std::string> command_line);

/// Those of `processes` that are in a machine's cgroup, then the others: libvirtd makes the tap and
/// may have it open beside the VM that it is for.
std::vector<std::int32_t> machines_first(std::span<const std::int32_t> processes,
                                         std::span<const Cgroup> cgroups);

/// Finds the holders of taps. The kernel tells only a process's taps, not a tap's process, so one
/// readlink for each open file of each process of our network namespace is needed; therefore a
/// holder is remembered with its open file, which is asked each time whether it still is of that
/// tap, and a tap without a holder is looked for at ever rarer calls (1, 2, 4, ... at most 64
/// apart).
class TapHolders {
 public:
  explicit TapHolders(Procfs proc) : proc_(std::move(proc)) {}

  /// `processes` are those whose network namespace is ours: a tap of the same name elsewhere is
  /// another tap. Of several that hold one the first is told.
  std::vector<TapHolder> find(std::span<const Link> links, std::span<const std::int32_t> processes);

 private:
  struct Known {
    std::int32_t pid = 0;
    std::uint64_t start_time = 0;
    std::int32_t descriptor = -1;  ///< its open file
    std::uint32_t wait = 0;        ///< calls left before the next search
    std::uint32_t next_wait = 0;   ///< after a search in vain
  };
  bool holds(const Known& holder, const std::string& tap) const;

  Procfs proc_;
  std::map<std::uint32_t, Known> known_;  ///< by ifindex
};

}  // namespace ankus
