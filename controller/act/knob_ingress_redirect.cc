// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"

namespace ankus {

Result<Setting> read_knob(const knob::IngressRedirect& knob, KernelView& view) {
  const auto filters = view.filters(knob.device.ifindex, tc::kClsactIngress);
  if (!filters) return std::unexpected(filters.error());
  for (const tc::Filter& filter : *filters) {
    if (filter.priority != kOurPriority) continue;
    if (filter.kind != "u32") return Foreign{"a " + filter.kind + " filter at our priority"};
    if (filter.redirect_ifindex != 0) return RedirectTo{filter.redirect_ifindex};
  }
  return Absent{};
}

Result<Step> step_of(const knob::IngressRedirect& knob, const Setting& before, const Setting& after,
                     const KernelHandles&) {
  const auto* wanted = std::get_if<RedirectTo>(&after);
  if (std::holds_alternative<Absent>(before) && wanted != nullptr)
    return tc::add_redirect_filter(knob.device.ifindex, tc::kClsactIngress, kOurPriority,
                                   wanted->ifindex);
  if (std::holds_alternative<RedirectTo>(before) && std::holds_alternative<Absent>(after))
    return tc::delete_filters(knob.device.ifindex, tc::kClsactIngress, kOurPriority);
  return no_step(knob, before, after);
}

}  // namespace ankus
