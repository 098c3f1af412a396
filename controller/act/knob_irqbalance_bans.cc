// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"

namespace ankus {

Result<Setting> read_knob(const knob::IrqbalanceBans&, KernelView& view) {
  auto setup = view.handles().irqbalance.setup();
  if (!setup) return std::unexpected(setup.error());
  if (!*setup) return fail(ErrorKind::gone, "irqbalance does not run");
  return BannedIrqs{.irqs = std::move((*setup)->banned)};
}

Result<Step> step_of(const knob::IrqbalanceBans& knob, const Setting& before, const Setting& after,
                     const KernelHandles& handles) {
  const auto* bans = std::get_if<BannedIrqs>(&after);
  if (bans == nullptr || !std::holds_alternative<BannedIrqs>(before))
    return no_step(knob, before, after);
  return [irqbalance = &handles.irqbalance, irqs = bans->irqs] { return irqbalance->ban(irqs); };
}

}  // namespace ankus
