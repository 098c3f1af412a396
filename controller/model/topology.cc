// SPDX-License-Identifier: Apache-2.0
#include "model/topology.h"

namespace ankus {

CpuSet Topology::online() const {
  CpuSet all;
  for (const Cpu& cpu : cpus) all.cpus.push_back(cpu.number);
  return all;
}

CpuSet Topology::usable() const { return without(without(online(), isolated), nohz_full); }

CpuSet Topology::usable_on_node(std::int32_t node) const {
  if (node < 0) return usable();
  CpuSet local;
  for (const Cpu& cpu : cpus)
    if (cpu.node == static_cast<std::uint32_t>(node)) local.cpus.push_back(cpu.number);
  return common(local, usable());
}

std::optional<Share> Topology::busy_of(const CpuSet& some) const {
  double sum = 0;
  std::size_t count = 0;
  for (const Cpu& cpu : cpus)
    if (some.contains(cpu.number)) {
      sum += cpu.busy.of_one;
      ++count;
    }
  if (count == 0) return std::nullopt;
  return Share{sum / static_cast<double>(count)};
}

}  // namespace ankus
