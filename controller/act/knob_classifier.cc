// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include "act/kernel_knobs.h"
#include "bpf/wire.h"

namespace ankus {
namespace {

std::string pin_directory(const KernelHandles& handles) { return handles.pin_dir + "/classifiers"; }
std::string pin_path(const KernelHandles& handles, const Device& device) {
  return pin_directory(handles) + "/" + std::to_string(device.ifindex);
}

/// Tells the program whether there is a tree to classify for. The row is the daemon's; without maps
/// there is no program either.
Result<void> set_major(const KernelHandles& handles, std::uint32_t ifindex, std::uint16_t major) {
  if (handles.devices_fd < 0) return {};
  const bpf::Map<std::uint32_t, ankus_device> devices(handles.devices_fd);
  auto row = devices.lookup(ifindex);
  if (!row && row.error().kind == ErrorKind::gone && major == 0) return {};
  if (!row) return with_context("device row", row.error());
  row->major = major;
  return devices.update(ifindex, *row);
}

Result<void> attach_tcx(const KernelHandles& handles, const Device& device, std::uint16_t major) {
  auto link = bpf::attach_tcx(handles.classifier_program, device.ifindex, bpf::TcxHook::egress);
  if (!link) return std::unexpected(link.error());
  (void)mkdir(handles.pin_dir.c_str(), 0700);  // may exist; pinning says what is wrong
  (void)mkdir(pin_directory(handles).c_str(), 0700);
  (void)unlink(pin_path(handles, device).c_str());  // of a device that had this number before
  if (auto done = bpf::pin(link->get(), pin_path(handles, device)); !done) return done;
  return set_major(handles, device.ifindex, major);
}

Result<void> detach_tcx(const KernelHandles& handles, const Device& device) {
  if (auto done = set_major(handles, device.ifindex, 0); !done) return done;
  if (unlink(pin_path(handles, device).c_str()) != 0 && errno != ENOENT)
    return fail_errno("unlink " + pin_path(handles, device));
  (void)rmdir(pin_directory(handles).c_str());  // both stay while something else is pinned in them
  (void)rmdir(handles.pin_dir.c_str());
  return {};
}

}  // namespace

Result<Setting> read_knob(const knob::Classifier& knob, KernelView& view) {
  if (const auto link = bpf::open_pinned(pin_path(view.handles(), knob.device)); link) {
    const auto info = bpf::link_info(link->get());
    if (!info) return std::unexpected(info.error());
    if (info->ifindex == knob.device.ifindex)
      return ClassifierProgram{.hook = ClassifierProgram::Hook::tcx};
  }
  const auto filters = view.filters(knob.device.ifindex, tc::kClsactEgress);
  if (!filters) return std::unexpected(filters.error());
  for (const tc::Filter& filter : *filters) {
    if (filter.priority != kOurPriority) continue;
    if (filter.kind != "bpf") return Foreign{"a " + filter.kind + " filter at our priority"};
    if (filter.program_id != 0) return ClassifierProgram{.hook = ClassifierProgram::Hook::clsact};
  }
  return Absent{};
}

Result<void> renew_tcx_classifier(const Device& device, const KernelHandles& handles) {
  const auto link = bpf::open_pinned(pin_path(handles, device));
  if (!link)
    return link.error().kind == ErrorKind::gone ? Result<void>() : std::unexpected(link.error());
  const auto info = bpf::link_info(link->get());
  if (!info) return std::unexpected(info.error());
  if (info->ifindex != device.ifindex) return {};  // of a device that is gone: drift will say so
  return bpf::replace_program(link->get(), handles.classifier_program);
}

Result<Step> step_of(const knob::Classifier& knob, const Setting& before, const Setting& after,
                     const KernelHandles& handles) {
  const auto* old = std::get_if<ClassifierProgram>(&before);
  const auto* wanted = std::get_if<ClassifierProgram>(&after);
  const Device device = knob.device;
  using Hook = ClassifierProgram::Hook;
  if (std::holds_alternative<Absent>(before) && wanted != nullptr) {
    if (handles.classifier_program < 0)
      return fail(ErrorKind::unsupported, "the classifier program is not loaded");
    if (wanted->hook == Hook::tcx)
      return
          [&handles, device, major = wanted->major] { return attach_tcx(handles, device, major); };
    // The row first: until the filter is there nobody reads it.
    if (auto done = set_major(handles, device.ifindex, wanted->major); !done)
      return std::unexpected(done.error());
    return tc::add_bpf_filter(device.ifindex, tc::kClsactEgress, kOurPriority, 1,
                              handles.classifier_program, "ankus");
  }
  if (old != nullptr && std::holds_alternative<Absent>(after)) {
    if (old->hook == Hook::tcx) return [&handles, device] { return detach_tcx(handles, device); };
    if (auto done = set_major(handles, device.ifindex, 0); !done)
      return std::unexpected(done.error());
    return tc::delete_filters(device.ifindex, tc::kClsactEgress, kOurPriority);
  }
  return no_step(knob, before, after);
}

}  // namespace ankus
