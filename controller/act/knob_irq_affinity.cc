// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <algorithm>

#include "act/kernel_knobs.h"

namespace ankus {
namespace {

/// The list of CPUs that was asked for. What is in effect follows with the next interrupt
/// (kernel/irq/migration.c), so it says nothing of a write.
Result<std::string> file_of(const knob::IrqAffinity& knob, const KernelHandles& handles) {
  const auto irqs = handles.sysfs.device_irqs(knob.device.name);
  if (!irqs) return with_context(to_text(knob), irqs.error());
  const auto found = std::ranges::find(*irqs, knob.irq, &DeviceIrq::name);
  if (found == irqs->end())
    return fail(ErrorKind::gone, to_text(knob) + ": the device has no such interrupt any more");
  return handles.procfs.root + "/irq/" + std::to_string(found->number) + "/smp_affinity_list";
}

/// EIO until 6.7. Later the file is read-only, and EPERM for who may open it all the same:
/// kernel/irq/proc.c, irq_can_set_affinity.
bool is_managed(int err, const std::string& path) {
  struct stat facts{};
  return err == EIO || err == EPERM ||
         (err == EACCES && ::stat(path.c_str(), &facts) == 0 && (facts.st_mode & 0222) == 0);
}

}  // namespace

Result<Setting> read_knob(const knob::IrqAffinity& knob, KernelView& view) {
  const auto path = file_of(knob, view.handles());
  if (!path) return std::unexpected(path.error());
  const auto text = read_file_head(*path);
  if (!text) return with_context(to_text(knob), text.error());
  auto cpus = cpu_list_from_text(*text);
  if (!cpus) return with_context(to_text(knob), cpus.error());
  return *std::move(cpus);
}

Result<Step> step_of(const knob::IrqAffinity& knob, const Setting& before, const Setting& after,
                     const KernelHandles& handles) {
  const auto* cpus = std::get_if<CpuSet>(&after);
  if (cpus == nullptr || cpus->empty()) return no_step(knob, before, after);
  return [knob, handles = &handles, list = cpu_list_text(*cpus)]() -> Result<void> {
    const auto path = file_of(knob, *handles);
    if (!path) return std::unexpected(path.error());
    auto written = write_setting_file(*path, list);
    // Where interrupts are remapped. Elsewhere the kernel takes any mask, finds out at the next
    // interrupt, and leaves it where it was: drift.
    if (!written && written.error().err == ENOSPC)
      return with_context("CPU " + list + " has no interrupt vector left", written.error());
    if (!written && is_managed(written.error().err, *path))
      return fail(ErrorKind::unsupported,
                  to_text(knob) + ": the kernel manages this interrupt's CPUs itself");
    return written;
  };
}

}  // namespace ankus
