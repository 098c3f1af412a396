// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <algorithm>
#include <ranges>
#include <thread>

#include "act/kernel_knobs.h"
#include "base/text.h"
#include "kernel/irq.h"

namespace ankus {
namespace {

Result<std::uint32_t> number_of(const knob::IrqAffinity& knob, const KernelHandles& handles) {
  const std::string device = name_now(knob.device);
  // Each of many knobs would look at all of the device's vectors, three times for one plan.
  const auto known = handles.irqs->numbers.find(knob);
  if (known != handles.irqs->numbers.end() && handles.sysfs.has_irq(device, known->second))
    return known->second.number;
  const auto vectors = handles.sysfs.device_vectors(device);
  if (!vectors) return with_context(to_text(knob), vectors.error());
  auto found = std::ranges::find(vectors->irqs, knob.irq, &DeviceIrq::name);
  // Most drivers put the device's name into theirs, as it is when the link comes up.
  if (found == vectors->irqs.end() && knob.irq.starts_with(knob.device.name))
    found = std::ranges::find(vectors->irqs, device + knob.irq.substr(knob.device.name.size()),
                              &DeviceIrq::name);
  if (found != vectors->irqs.end()) {
    for (const DeviceIrq& irq : vectors->irqs | std::views::reverse)  // of one name the first
      handles.irqs->numbers.insert_or_assign({knob.device, irq.name}, irq);
    handles.irqs->numbers.insert_or_assign(knob, *found);
    return found->number;
  }
  // A vector keeps its CPUs while nobody has requested it (irq_setup_affinity() in
  // kernel/irq/manage.c), so what was set is still there when the link comes up.
  if (vectors->not_requested > 0 && handles.sysfs.is_down(device))
    return fail(ErrorKind::busy,
                to_text(knob) + ": " + device + " is down: it has its interrupts once it is up");
  return fail(ErrorKind::gone, to_text(knob) + ": the device has no such interrupt any more");
}

/// The list of CPUs that was asked for. What is in effect follows with the next interrupt
/// (kernel/irq/migration.c), so it says nothing of a write.
std::string file_of(std::uint32_t number, const KernelHandles& handles) {
  return handles.procfs.root + "/irq/" + std::to_string(number) + "/smp_affinity_list";
}

/// While an interrupt moves, the file shows the former CPUs for a moment: the kernel forgets what
/// is pending before it sets it (irq_move_masked_irq() in kernel/irq/migration.c). So what is news
/// is believed when it is read twice.
Result<std::string> settled_list(std::uint32_t number, const KernelHandles& handles) {
  constexpr int kMostReadings = 5;
  std::string& last = handles.irqs->lists[number];
  for (int reading = 1;; ++reading) {
    const auto text = read_file_head(file_of(number, handles));
    if (!text || trim(*text) == last) return text;
    const bool is_first = last.empty();
    last = trim(*text);
    if (is_first || reading == kMostReadings) return text;
    if (handles.while_irqs_settle)
      handles.while_irqs_settle();
    else
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

/// EIO until 6.7. Later the file is read-only, and EPERM for who may open it all the same:
/// kernel/irq/proc.c, irq_can_set_affinity.
bool is_managed(int err, const std::string& path) {
  struct stat facts{};
  return err == EIO || err == EPERM ||
         (err == EACCES && ::stat(path.c_str(), &facts) == 0 && (facts.st_mode & 0222) == 0);
}

const CpuSet* cpus_of(const Setting& setting) {
  const auto* by_default = std::get_if<DefaultCpus>(&setting);
  return by_default != nullptr ? &by_default->cpus : std::get_if<CpuSet>(&setting);
}

/// CPUs that are all offline are refused; an interrupt whose last CPU goes gets those of new ones
/// from the kernel itself.
CpuSet within_online(const CpuSet& wanted, const KernelHandles& handles) {
  const CpuSet online = handles.sysfs.online_cpus();
  if (online.empty() || !common(wanted, online).empty()) return wanted;
  const auto text = read_file_head(handles.procfs.root + "/irq/default_smp_affinity");
  CpuSet given = common(text ? cpu_mask_from_text(*text).value_or(online) : online, online);
  return given.empty() ? online : given;
}

}  // namespace

Setting kept_of(const knob::IrqAffinity&, const Setting& setting, const KernelHandles& handles) {
  const CpuSet* wanted = cpus_of(setting);
  if (wanted == nullptr) return setting;
  CpuSet kept = within_online(*wanted, handles);
  return kept == *wanted ? setting : Setting(DefaultCpus{.cpus = std::move(kept)});
}

Result<Setting> read_knob(const knob::IrqAffinity& knob, KernelView& view) {
  const KernelHandles& handles = view.handles();
  const auto number = number_of(knob, handles);
  if (!number) return std::unexpected(number.error());
  const auto text = settled_list(*number, handles);
  if (!text) return with_context(to_text(knob), text.error());
  auto cpus = cpu_list_from_text(*text);
  if (!cpus) return with_context(to_text(knob), cpus.error());
  if (is_default_affinity(handles.procfs, handles.sysfs, *number, *cpus))
    return DefaultCpus{.cpus = *std::move(cpus)};
  return *std::move(cpus);
}

Result<Step> step_of(const knob::IrqAffinity& knob, const Setting& before, const Setting& after,
                     const KernelHandles& handles) {
  const CpuSet* cpus = cpus_of(after);
  if (cpus == nullptr || cpus->empty()) return no_step(knob, before, after);
  return [knob, handles = &handles, list = cpu_list_text(*cpus)]() -> Result<void> {
    const auto number = number_of(knob, *handles);
    if (!number) return std::unexpected(number.error());
    const std::string path = file_of(*number, *handles);
    auto written = write_setting_file(path, list);
    if (written) handles->irqs->lists[*number] = list;
    // Where interrupts are remapped. Elsewhere the kernel takes any mask, finds out at the next
    // interrupt, and leaves it where it was: drift.
    if (!written && written.error().err == ENOSPC)
      return with_context("CPU " + list + " has no interrupt vector left", written.error());
    if (!written && is_managed(written.error().err, path))
      return fail(ErrorKind::unsupported,
                  to_text(knob) + ": the kernel manages this interrupt's CPUs itself");
    return written;
  };
}

}  // namespace ankus
