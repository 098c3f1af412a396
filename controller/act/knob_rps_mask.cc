// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"

namespace ankus {
namespace {

std::string file_of(const knob::RpsMask& knob, const Sysfs& sysfs) {
  return sysfs.rps_file(name_now(knob.device), knob.queue);
}

}  // namespace

Result<Setting> read_knob(const knob::RpsMask& knob, KernelView& view) {
  const auto text = read_file_head(file_of(knob, view.handles().sysfs));
  if (!text) return with_context(to_text(knob), text.error());
  auto cpus = cpu_mask_from_text(*text);
  if (!cpus) return with_context(to_text(knob), cpus.error());
  return *std::move(cpus);
}

Result<Step> step_of(const knob::RpsMask& knob, const Setting& before, const Setting& after,
                     const KernelHandles& handles) {
  const auto* cpus = std::get_if<CpuSet>(&after);
  if (cpus == nullptr) return no_step(knob, before, after);
  return [path = file_of(knob, handles.sysfs), mask = cpu_mask_text(*cpus)] {
    return write_setting_file(path, mask);
  };
}

}  // namespace ankus
