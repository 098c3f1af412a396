// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"

namespace ankus {

Result<Setting> read_knob(const knob::LeafQdisc& knob, KernelView& view) {
  const auto qdiscs = view.qdiscs(knob.device.ifindex);
  if (!qdiscs) return std::unexpected(qdiscs.error());
  for (const tc::Qdisc& qdisc : **qdiscs) {
    if (qdisc.parent != knob.parent.value || qdisc.handle == 0) continue;
    const auto* fifo = std::get_if<tc::FifoQdisc>(&qdisc.options);
    if (fifo == nullptr || qdisc.kind != "bfifo")
      return Foreign{qdisc.kind + " " + to_text(TcHandle{qdisc.handle})};
    return ByteFifo{.handle = {qdisc.handle}, .limit = {fifo->limit}};
  }
  return Absent{};  // the pfifo that a class has by itself is not listed
}

Result<Step> step_of(const knob::LeafQdisc& knob, const Setting& before, const Setting& after,
                     const KernelHandles&) {
  const std::uint32_t ifindex = knob.device.ifindex;
  const auto* old = std::get_if<ByteFifo>(&before);
  const auto* wanted = std::get_if<ByteFifo>(&after);
  if (std::holds_alternative<Absent>(before) && wanted != nullptr)
    return tc::add_bfifo(ifindex, knob.parent.value, wanted->handle.value,
                         static_cast<std::uint32_t>(wanted->limit.count));
  if (old != nullptr && wanted != nullptr && old->handle == wanted->handle)
    return tc::change_bfifo(ifindex, knob.parent.value, wanted->handle.value,
                            static_cast<std::uint32_t>(wanted->limit.count));
  if (old != nullptr && std::holds_alternative<Absent>(after))
    return tc::delete_qdisc(ifindex, knob.parent.value, old->handle.value);
  return no_step(knob, before, after);
}

}  // namespace ankus
