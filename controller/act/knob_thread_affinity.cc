// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"
#include "kernel/cpusets.h"
#include "kernel/thread.h"

namespace ankus {
namespace {

Result<void> check(const knob::ThreadAffinity& knob, const Procfs& procfs) {
  const auto started = procfs.start_time(knob.tid);
  if (started && *started == knob.started) return {};
  if (!started && started.error().kind != ErrorKind::gone)
    return with_context(to_text(knob), started.error());
  return fail(ErrorKind::gone, to_text(knob) + " is not there any more");
}

/// The CPUs that are online of those that the thread has if nobody asks for any.
CpuSet own_cpuset(const knob::ThreadAffinity& knob, const KernelHandles& handles) {
  CpuSet online = handles.sysfs.online_cpus();
  const auto cgroup = handles.procfs.cgroup(knob.tid);
  const auto cpuset = cgroup ? cpuset_of(handles.cgroup, *cgroup) : std::nullopt;
  return cpuset ? common(*cpuset, online) : online;
}

}  // namespace

Setting kept_of(const knob::ThreadAffinity& knob, const Setting& setting,
                const KernelHandles& handles) {
  const auto* mask = std::get_if<ThreadCpus>(&setting);
  const CpuSet there = own_cpuset(knob, handles);
  if (mask == nullptr || there.empty() || !common(mask->cpus, there).empty()) return setting;
  return ThreadCpus{.cpus = there, .within = there};
}

Result<Setting> read_knob(const knob::ThreadAffinity& knob, KernelView& view) {
  if (auto there = check(knob, view.handles().procfs); !there)
    return std::unexpected(there.error());
  auto cpus = thread_affinity(view.handles().procfs, knob.tid);
  if (!cpus) return std::unexpected(cpus.error());
  return ThreadCpus{.cpus = *std::move(cpus), .within = own_cpuset(knob, view.handles())};
}

Result<Step> step_of(const knob::ThreadAffinity& knob, const Setting& before, const Setting& after,
                     const KernelHandles& handles) {
  const auto* read = std::get_if<ThreadCpus>(&after);
  const auto* cpus = read != nullptr ? &read->cpus : std::get_if<CpuSet>(&after);
  if (cpus == nullptr || cpus->empty()) return no_step(knob, before, after);
  return [knob, handles = &handles, wanted = *cpus, read_as_all = read != nullptr && read->is_all(),
          wish = read == nullptr]() -> Result<void> {
    if (auto there = check(knob, handles->procfs); !there) return there;
    // To wish for what its cpuset has would confine it to that when the cpuset widens. A mask that
    // it had before us stays its mask, also if the cpuset has narrowed to less.
    const auto covers_cpuset = [&] {
      return ThreadCpus{.cpus = wanted, .within = own_cpuset(knob, *handles)}.is_all();
    };
    if (read_as_all || (wish && covers_cpuset())) return free_thread_affinity(knob.tid);
    return set_thread_affinity(knob.tid, wanted);
  };
}

}  // namespace ankus
