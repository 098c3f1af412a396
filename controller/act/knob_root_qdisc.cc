// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"

namespace ankus {

Result<Setting> read_knob(const knob::RootQdisc& knob, KernelView& view) {
  const auto qdiscs = view.qdiscs(knob.device.ifindex);
  if (!qdiscs) return std::unexpected(qdiscs.error());
  for (const tc::Qdisc& qdisc : **qdiscs) {
    if (qdisc.parent != tc::kRoot || qdisc.handle == 0) continue;  // 0: the kernel's own default
    const auto* htb = std::get_if<tc::HtbQdisc>(&qdisc.options);
    if (htb == nullptr || qdisc.handle != make_handle(kOurMajor, 0).value)
      return Foreign{qdisc.kind + " " + to_text(TcHandle{qdisc.handle})};
    return HtbRoot{.handle = {qdisc.handle},
                   .default_minor = static_cast<std::uint16_t>(htb->default_minor),
                   .direct_packets = htb->direct_packets};
  }
  return Absent{};
}

Result<Step> step_of(const knob::RootQdisc& knob, const Setting& before, const Setting& after,
                     const KernelHandles&) {
  const std::uint32_t ifindex = knob.device.ifindex;
  const auto* old = std::get_if<HtbRoot>(&before);
  const auto* wanted = std::get_if<HtbRoot>(&after);
  if (std::holds_alternative<Absent>(before) && wanted != nullptr)
    return tc::add_htb(
        ifindex, wanted->handle.value,
        {.default_minor = wanted->default_minor, .direct_packets = wanted->direct_packets});
  if (old != nullptr && std::holds_alternative<Absent>(after))
    return tc::delete_qdisc(ifindex, tc::kRoot, old->handle.value);
  return no_step(knob, before, after);  // htb cannot be changed in place (sch_htb.c has no .change)
}

}  // namespace ankus
