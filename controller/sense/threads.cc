// SPDX-License-Identifier: Apache-2.0
#include "sense/threads.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "kernel/cpusets.h"
#include "kernel/thread.h"

namespace ankus {
namespace {

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_vhost_name(std::string_view name) {
  return name.starts_with("vhost-") && number_in<std::int32_t>(name.substr(6));
}

/// "napi/eth0-65" is of eth0, and of no device "eth".
bool polls(std::string_view name, std::string_view device) {
  const std::string prefix = "napi/" + std::string(device) + "-";
  return name.starts_with(prefix) && number_in<std::uint32_t>(name.substr(prefix.size()));
}

}  // namespace

std::optional<ThreadStat> parse_thread_stat(std::string_view text) {
  // The name may hold blanks and parentheses; fields 3 and on follow the last one.
  const std::size_t name_begin = text.find('('), name_end = text.rfind(')');
  if (name_begin == std::string_view::npos || name_end == std::string_view::npos ||
      name_end < name_begin)
    return std::nullopt;
  constexpr std::size_t kFlags = 9 - 3, kUser = 14 - 3, kSystem = 15 - 3, kStarted = 22 - 3;
  const auto fields = split_words(trim(text.substr(name_end + 1)));
  if (fields.size() <= kStarted) return std::nullopt;
  const auto flags = number_in<std::uint64_t>(fields[kFlags]),
             user = number_in<std::uint64_t>(fields[kUser]),
             system = number_in<std::uint64_t>(fields[kSystem]),
             started = number_in<std::uint64_t>(fields[kStarted]);
  if (!flags || !user || !system || !started) return std::nullopt;
  return ThreadStat{.name = std::string(text.substr(name_begin + 1, name_end - name_begin - 1)),
                    .flags = *flags,
                    .ticks = *user + *system,
                    .started = *started};
}

bool is_vcpu_name(std::string_view name) {
  return (name.starts_with("CPU ") && name.contains('/')) || name.contains("vcpu");
}

/// A virtual machine's process.
struct NetThreads::Vmm {
  std::vector<const Workload*> taps;  ///< each is a workload of its own
  std::vector<std::int32_t> threads;  ///< all of it: one of them owns its vhost devices
  CpuSet vcpus;
  bool all_workers_inside = false;
};

NetThreads::NetThreads(ThreadRoots roots)
    : roots_(std::move(roots)), ticks_per_second_(static_cast<double>(::sysconf(_SC_CLK_TCK))) {}

std::string NetThreads::directory_of(std::int32_t tid) const {
  return roots_.proc.root + "/" + std::to_string(tid);  // /proc finds threads that it does not list
}

std::optional<ThreadStat> NetThreads::stat_of(const std::string& directory) const {
  const auto text = read_file_head(directory + "/stat", 4096);
  return text ? parse_thread_stat(*text) : std::nullopt;
}

CpuSet NetThreads::allowed(std::int32_t tid) const {
  if (const auto path = roots_.proc.cgroup(tid))
    if (const auto cpus = cpuset_of(roots_.cgroup, *path)) return *cpus;
  return online_;
}

void NetThreads::note(NetThread thread, const ThreadStat& stat, MonotonicTime now) {
  thread.started = stat.started;
  thread.name = stat.name;
  thread.allowed = allowed(thread.tid);
  const auto [it, added] = known_.try_emplace(thread.tid);
  Known& known = it->second;
  if (added || known.thread.started != stat.started) {
    known = {.thread = std::move(thread), .ticks = stat.ticks, .measured = now};
    return;
  }
  thread.busy = known.thread.busy;
  known.thread = std::move(thread);
}

NetThread NetThreads::worker_of(const Vmm& vmm, std::int32_t tid) const {
  NetThread worker{.kind = NetThread::Kind::vhost,
                   .tid = tid,
                   .workload = vmm.taps.front()->id,
                   .device = vmm.taps.front()->device.value_or(Device{}),
                   .vcpus = vmm.vcpus};
  for (const Workload* other : std::span(vmm.taps).subspan(1))
    worker.other_workloads.push_back(other->id);
  return worker;
}

NetThreads::Vmm NetThreads::examine(std::span<const Workload* const> taps, MonotonicTime now) {
  Vmm vmm{.taps = {taps.begin(), taps.end()}};
  const std::int32_t pid = taps.front()->main_pid;
  const std::string tasks = directory_of(pid) + "/task";
  struct Worker {
    std::int32_t tid = 0;
    ThreadStat stat;
  };
  std::vector<Worker> workers;
  CpuSet all;
  for (const std::string& name : read_directory(tasks).value_or(std::vector<std::string>())) {
    const auto tid = number_in<std::int32_t>(name);
    auto stat = tid ? stat_of(tasks + "/" + name) : std::nullopt;
    if (!stat) continue;  // ended meanwhile
    vmm.threads.push_back(*tid);
    if (stat->worker_in_process()) {
      if (is_vhost_name(stat->name)) workers.push_back({.tid = *tid, .stat = *std::move(stat)});
      continue;  // or io_uring's
    }
    const auto status = read_file_head(tasks + "/" + name + "/status");
    const auto cpus = status ? parse_thread_affinity(*status) : std::nullopt;
    if (!cpus) continue;
    all = united(all, *cpus);
    if (is_vcpu_name(stat->name)) vmm.vcpus = united(vmm.vcpus, *cpus);
  }
  if (vmm.vcpus.empty()) vmm.vcpus = std::move(all);
  // One for each vhost device, of whatever kind; a process may have asked for some as kernel
  // threads.
  vmm.all_workers_inside =
      !workers.empty() && workers.size() >= roots_.proc.open_files(pid, "/dev/vhost-");
  for (const Worker& worker : workers) note(worker_of(vmm, worker.tid), worker.stat, now);
  return vmm;
}

std::vector<std::int32_t> NetThreads::kernel_threads() const {
  std::vector<std::int32_t> tids;
  // Children of kthreadd, where the kernel tells them (CONFIG_PROC_CHILDREN).
  if (const auto text = read_file_head(roots_.proc.root + "/2/task/2/children", 4 << 20)) {
    for (const std::string_view word : split_words(trim(*text)))
      if (const auto tid = number_in<std::int32_t>(word)) tids.push_back(*tid);
    return tids;
  }
  return roots_.proc.processes().value_or(std::vector<std::int32_t>());
}

void NetThreads::search_kernel_threads(std::span<const Vmm> owners, std::span<const Device> polled,
                                       MonotonicTime now) {
  for (const std::int32_t tid : kernel_threads()) {
    const auto stat = stat_of(directory_of(tid));
    if (!stat || !stat->kernel_thread()) continue;
    if (is_vhost_name(stat->name)) {
      const auto owner = number_in<std::int32_t>(std::string_view(stat->name).substr(6));
      const auto vmm = std::ranges::find_if(owners, [&](const Vmm& v) {
        return std::ranges::find(v.threads, *owner) != v.threads.end();
      });
      if (vmm == owners.end()) continue;  // of a VM that we do not see
      note(worker_of(*vmm, tid), *stat, now);
    } else if (stat->name.starts_with("napi/")) {
      const auto device =
          std::ranges::find_if(polled, [&](const Device& d) { return polls(stat->name, d.name); });
      if (device != polled.end())
        note({.kind = NetThread::Kind::napi, .tid = tid, .device = *device}, *stat, now);
    }
  }
}

void NetThreads::search(std::span<const Workload> workloads, std::span<const Link> links,
                        MonotonicTime now) {
  online_ = roots_.sys.online_cpus();
  // A VM with several taps is several workloads of one process.
  std::map<std::int32_t, std::vector<const Workload*>> taps_of;
  for (const Workload& workload : workloads)
    if (workload.kind == WorkloadKind::vm && workload.main_pid != 0)
      taps_of[workload.main_pid].push_back(&workload);
  std::vector<Vmm> with_kernel_threads;
  for (const auto& [pid, taps] : taps_of)
    if (Vmm vmm = examine(taps, now); !vmm.all_workers_inside && !vmm.threads.empty())
      with_kernel_threads.push_back(std::move(vmm));
  std::vector<Device> polled;
  for (const Link& link : links) {
    const auto threaded = read_file_head(roots_.sys.net(link.device.name) + "/threaded");
    if (threaded && !trim(*threaded).empty() && trim(*threaded) != "0")
      polled.push_back(link.device);
  }
  if (!with_kernel_threads.empty() || !polled.empty())
    search_kernel_threads(with_kernel_threads, polled, now);
  // A list of kernel threads may miss one (proc(5), "children"), so who is not found is not gone;
  // who has nothing to work for is.
  std::erase_if(known_, [&](const auto& entry) {
    const NetThread& thread = entry.second.thread;
    if (thread.kind == NetThread::Kind::napi)
      return std::ranges::none_of(links, [&](const Link& l) { return l.device == thread.device; });
    return std::ranges::none_of(workloads, [&](const Workload& w) {
      return w.kind == WorkloadKind::vm && thread.may_serve(w.id);
    });
  });
}

bool NetThreads::refresh(Known& known, MonotonicTime now) const {
  const std::string directory = directory_of(known.thread.tid);
  const auto stat = stat_of(directory);
  if (!stat || stat->started != known.thread.started) return false;
  if (const auto status = read_file_head(directory + "/status"))
    known.thread.affinity = parse_thread_affinity(*status).value_or(CpuSet{});
  const nanoseconds passed = now - known.measured;
  if (passed < kShortestMean) return true;
  const double possible = std::chrono::duration<double>(passed).count() * ticks_per_second_;
  known.thread.busy = {std::min(static_cast<double>(stat->ticks - known.ticks) / possible, 1.0)};
  known.ticks = stat->ticks;
  known.measured = now;
  return true;
}

std::vector<NetThread> NetThreads::read(std::span<const Workload> workloads,
                                        std::span<const Link> links, MonotonicTime now) {
  std::set<std::pair<WorkloadId, std::int32_t>> vms;
  for (const Workload& workload : workloads)
    if (workload.kind == WorkloadKind::vm) vms.emplace(workload.id, workload.main_pid);
  if (!searched_ || now - *searched_ >= kSearch || vms != vms_) {
    search(workloads, links, now);
    searched_ = now;
    vms_ = std::move(vms);
  }
  std::vector<NetThread> threads;
  for (auto it = known_.begin(); it != known_.end();) {
    if (!refresh(it->second, now)) {
      it = known_.erase(it);
      continue;
    }
    threads.push_back(it->second.thread);
    ++it;
  }
  return threads;
}

}  // namespace ankus
