// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "kernel/procfs.h"
#include "kernel/sysfs.h"
#include "model/snapshot.h"

namespace ankus {

/// What /proc/TID/stat (proc(5)) says of a thread, as far as it matters here.
struct ThreadStat {
  std::string name;
  std::uint64_t flags = 0;  ///< PF_* of the kernel's include/linux/sched.h
  std::uint64_t ticks = 0;  ///< of CPU time, user and kernel
  std::uint64_t started = 0;
  bool operator==(const ThreadStat&) const = default;

  bool kernel_thread() const { return (flags & 0x00200000) != 0; }  ///< PF_KTHREAD
  /// PF_USER_WORKER: a thread that the kernel runs inside of a process, since 6.4.
  bool worker_in_process() const { return (flags & 0x00004000) != 0; }
};
std::optional<ThreadStat> parse_thread_stat(std::string_view text);

/// Whether a VMM gives this name to threads that run a virtual CPU: "CPU 0/KVM" (QEMU, where told
/// to name its threads, as libvirt does), "fc_vcpu 0" (Firecracker), "vcpu0" (Cloud Hypervisor).
bool is_vcpu_name(std::string_view name);

struct ThreadRoots {
  Procfs proc;
  Sysfs sys;
  std::string cgroup;  ///< "" is: no cgroup v2 on this host
};

/// Finds the threads that move packets: the vhost workers of VMs, and the threads that poll devices
/// with threaded NAPI.
///
/// A vhost worker is a thread of its VMM since 6.4, and a kernel thread before and, by
/// VHOST_SET_FORK_FROM_OWNER or vhost.fork_from_owner_default, in later kernels. Both are called
/// "vhost-TID" after the thread that owns the device (drivers/vhost/vhost.c), which anybody can be
/// called: the kernel's flags tell. Several devices of one VM have threads of the same name, of
/// either form, and nothing tells which of them serves which tap.
/// A NAPI thread is called "napi/DEVICE-ID" after the name that the device had when threading was
/// switched on, in whatever network namespace.
///
/// Searched for when a VM appears and every 5 s; in between, two small files are read for each.
class NetThreads {
 public:
  static constexpr seconds kSearch{5};
  static constexpr milliseconds kShortestMean{500};  ///< for shares: clock ticks are 10 ms

  explicit NetThreads(ThreadRoots roots);

  /// Ascending by tid. Of a thread that is seen for the first time `busy` is 0.
  std::vector<NetThread> read(std::span<const Workload> workloads, std::span<const Link> links,
                              MonotonicTime now);

 private:
  struct Known {
    NetThread thread;
    std::uint64_t ticks = 0;
    MonotonicTime measured;
  };
  struct Vmm;
  std::optional<ThreadStat> stat_of(const std::string& directory) const;
  std::string directory_of(std::int32_t tid) const;
  void search(std::span<const Workload> workloads, std::span<const Link> links, MonotonicTime now);
  Vmm examine(std::span<const Workload* const> taps, MonotonicTime now);
  NetThread worker_of(const Vmm& vmm, std::int32_t tid) const;
  void search_kernel_threads(std::span<const Vmm> owners, std::span<const Device> polled,
                             MonotonicTime now);
  std::vector<std::int32_t> kernel_threads() const;
  void note(NetThread thread, const ThreadStat& stat, MonotonicTime now);
  CpuSet allowed(std::int32_t tid) const;
  bool refresh(Known& known, MonotonicTime now) const;

  ThreadRoots roots_;
  double ticks_per_second_;
  CpuSet online_;
  std::map<std::int32_t, Known> known_;
  std::set<std::pair<WorkloadId, std::int32_t>> vms_;  ///< with their processes, when last searched
  std::optional<MonotonicTime> searched_;
};

}  // namespace ankus
