// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"

namespace ankus {
namespace {

constexpr std::uint32_t kNoParent = 0xffffffff;  // a class at the top is dumped with TC_H_ROOT

tc::HtbClass kernel_form(const HtbClass& setting) {
  const std::uint64_t rate = setting.rate.bytes_per_second(),
                      ceil = setting.ceil.bytes_per_second();
  return {.rate = rate,
          .ceil = ceil,
          .burst = tc::burst_ticks(setting.burst.count, rate),
          .cburst = tc::burst_ticks(setting.cburst.count, ceil),
          .priority = setting.priority,
          .quantum = static_cast<std::uint32_t>(setting.quantum.count)};
}

}  // namespace

Result<Setting> read_knob(const knob::TcClass& knob, KernelView& view) {
  const auto classes = view.classes(knob.device.ifindex);
  if (!classes) return std::unexpected(classes.error());
  for (const tc::Class& found : **classes) {
    if (found.handle != knob.handle.value) continue;
    if (!found.htb) return Foreign{"class of kind " + found.kind};
    const tc::HtbClass& htb = *found.htb;
    return HtbClass{.parent = {found.parent == kNoParent ? make_handle(knob.handle.major(), 0).value
                                                         : found.parent},
                    .rate = {htb.rate * 8},
                    .ceil = {htb.ceil * 8},
                    .burst = {tc::burst_bytes(htb.burst, htb.rate)},
                    .cburst = {tc::burst_bytes(htb.cburst, htb.ceil)},
                    .priority = htb.priority,
                    .quantum = {htb.quantum}};
  }
  return Absent{};
}

Result<Step> step_of(const knob::TcClass& knob, const Setting& before, const Setting& after,
                     const KernelHandles&) {
  const std::uint32_t ifindex = knob.device.ifindex;
  const auto* old = std::get_if<HtbClass>(&before);
  if (const auto* wanted = std::get_if<HtbClass>(&after)) {
    if (old != nullptr && old->parent != wanted->parent) return no_step(knob, before, after);
    if (old == nullptr && !std::holds_alternative<Absent>(before))
      return no_step(knob, before, after);
    return tc::put_htb_class(ifindex, knob.handle.value, wanted->parent.value, kernel_form(*wanted),
                             old != nullptr);
  }
  if (old != nullptr && std::holds_alternative<Absent>(after))
    return tc::delete_class(ifindex, knob.handle.value);
  return no_step(knob, before, after);
}

}  // namespace ankus
