// SPDX-License-Identifier: Apache-2.0
#include "model/queues.h"

namespace ankus {

CpuSet DeviceQueues::serving(std::uint32_t receive_queue) const {
  CpuSet all;
  for (const QueueIrq& irq : irqs)
    if (irq.receive_queue == receive_queue)
      all = united(all, irq.effective.empty() ? irq.affinity : irq.effective);
  return all;
}

}  // namespace ankus
