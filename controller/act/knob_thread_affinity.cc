// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"
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

}  // namespace

Result<Setting> read_knob(const knob::ThreadAffinity& knob, KernelView& view) {
  if (auto there = check(knob, view.handles().procfs); !there)
    return std::unexpected(there.error());
  auto cpus = thread_affinity(knob.tid);
  if (!cpus) return std::unexpected(cpus.error());
  return *std::move(cpus);
}

Result<Step> step_of(const knob::ThreadAffinity& knob, const Setting& before, const Setting& after,
                     const KernelHandles& handles) {
  const auto* cpus = std::get_if<CpuSet>(&after);
  if (cpus == nullptr || cpus->empty()) return no_step(knob, before, after);
  return [knob, procfs = &handles.procfs, wanted = *cpus]() -> Result<void> {
    if (auto there = check(knob, *procfs); !there) return there;
    return set_thread_affinity(knob.tid, wanted);
  };
}

}  // namespace ankus
