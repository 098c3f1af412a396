// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"

namespace ankus {

/// A clsact in which others have hung filters reads as Foreign: taking it away would take theirs.
Result<Setting> read_knob(const knob::Clsact& knob, KernelView& view) {
  const std::uint32_t ifindex = knob.device.ifindex;
  const auto qdiscs = view.qdiscs(ifindex);
  if (!qdiscs) return std::unexpected(qdiscs.error());
  for (const tc::Qdisc& qdisc : **qdiscs) {
    if (qdisc.kind == "ingress") return Foreign{"an ingress qdisc, which excludes a clsact"};
    if (qdisc.kind != "clsact") continue;
    std::size_t others = 0;
    for (const std::uint32_t parent : {tc::kClsactIngress, tc::kClsactEgress}) {
      const auto filters = view.filters(ifindex, parent);
      if (!filters) return std::unexpected(filters.error());
      for (const tc::Filter& filter : *filters)
        if (filter.priority != kOurPriority && filter.priority != 0) ++others;
    }
    if (others != 0) return Foreign{"clsact with filters of others"};
    return ClsactQdisc{};
  }
  return Absent{};
}

Result<Step> step_of(const knob::Clsact& knob, const Setting& before, const Setting& after,
                     const KernelHandles&) {
  if (std::holds_alternative<Absent>(before) && std::holds_alternative<ClsactQdisc>(after))
    return tc::add_clsact(knob.device.ifindex);
  if (std::holds_alternative<ClsactQdisc>(before) && std::holds_alternative<Absent>(after))
    return tc::delete_qdisc(knob.device.ifindex, tc::kClsact, tc::kClsactHandle);
  return no_step(knob, before, after);
}

}  // namespace ankus
