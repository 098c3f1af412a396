// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"

namespace ankus {

Result<Setting> read_knob(const knob::Ifb& knob, KernelView& view) {
  const auto ifindex = view.ifindex_of(knob.name);
  if (!ifindex) return std::unexpected(ifindex.error());
  if (*ifindex == 0) return Absent{};
  const auto kind = view.kind_of(*ifindex);
  if (!kind) return std::unexpected(kind.error());
  if (*kind != "ifb")
    return Foreign{"a " + (kind->empty() ? "hardware" : *kind) + " device of that name"};
  return IfbDevice{*ifindex};
}

Result<Step> step_of(const knob::Ifb& knob, const Setting& before, const Setting& after,
                     const KernelHandles&) {
  if (const auto* wanted = std::get_if<IfbDevice>(&after);
      wanted != nullptr && std::holds_alternative<Absent>(before))
    return tc::add_ifb(knob.name, wanted->ifindex);
  if (const auto* old = std::get_if<IfbDevice>(&before);
      old != nullptr && std::holds_alternative<Absent>(after))
    return tc::delete_link(old->ifindex);
  return no_step(knob, before, after);
}

}  // namespace ankus
