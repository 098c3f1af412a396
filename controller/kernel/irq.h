// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/cpu_set.h"
#include "kernel/procfs.h"
#include "kernel/sysfs.h"

namespace ankus {

/// Whether nobody may set an interrupt's CPUs, mostly because the kernel manages them itself. Since
/// 6.7 the file's mode tells. Before, only a write does: one of no list of CPUs, which is refused
/// either way and changes nothing, but with EIO where even a list would be (write_irq_affinity() in
/// kernel/irq/proc.c asks that before it reads the text). false where neither tells.
bool is_unmovable_irq(const Procfs& procfs, std::uint32_t number);

/// Whether an interrupt's CPUs are those that new interrupts get (default_smp_affinity, or of these
/// the ones of its NUMA node), or those that its driver has proposed (affinity_hint). CPUs that are
/// offline are not compared: the kernel leaves them out when it starts an interrupt, or takes its
/// last CPU away.
bool is_default_affinity(const Procfs& procfs, const Sysfs& sysfs, std::uint32_t number,
                         const CpuSet& cpus);

}  // namespace ankus
