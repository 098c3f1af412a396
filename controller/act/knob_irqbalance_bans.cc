// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"

namespace ankus {

Result<Setting> read_knob(const knob::IrqbalanceBans& knob, KernelView&) {
  return fail(ErrorKind::unsupported, to_text(knob) + ": being written");
}

Result<Step> step_of(const knob::IrqbalanceBans& knob, const Setting& before, const Setting& after,
                     const KernelHandles&) {
  return no_step(knob, before, after);
}

}  // namespace ankus
