// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "policy/example_host.h"

namespace ankus::example {

inline CpuSet cpus(std::string_view list) { return cpu_list_from_text(list).value(); }

/// example::host() with what can be steered on it: 8 CPUs (4 cores with siblings, two nodes: 0, 1,
/// 4, 5 and 2, 3, 6, 7), an uplink with four queues and an RSS table of 8 entries on node 0, the
/// veths and the tap, the VM's vhost worker. Nothing is isolated.
inline Snapshot steerable_host() {
  Snapshot snapshot = host();
  Topology& topology = snapshot.host.topology;
  for (std::uint32_t cpu = 0; cpu < 8; ++cpu)
    topology.cpus.push_back({.number = cpu,
                             .core = cpu % 4,
                             .package = cpu % 4 / 2,
                             .node = cpu % 4 / 2,
                             .busy = Share{0.2}});
  DeviceQueues eth0{.device = snapshot.links[1].device,
                    .driver = "igb",
                    .node = 0,
                    .receive = std::vector<ReceiveQueue>(4),
                    .transmit = std::vector<TransmitQueue>(4),
                    .table = Indirection{.queues = {0, 1, 2, 3, 0, 1, 2, 3}},
                    .buckets = std::vector<BucketLoad>(8, {.packets_per_second = 1000})};
  for (std::uint32_t queue = 0; queue < 4; ++queue)
    eth0.irqs.push_back({.number = 40 + queue,
                         .name = "eth0-TxRx-" + std::to_string(queue),
                         .receive_queue = queue,
                         .transmit_queue = queue,
                         .affinity = cpus("0-7"),
                         .effective = {{queue}}});
  eth0.irqs.push_back({.number = 39, .name = "eth0", .affinity = cpus("0-7")});
  snapshot.queues.push_back(std::move(eth0));
  for (const std::size_t link : {4u, 5u})
    snapshot.queues.push_back({.device = snapshot.links[link].device,
                               .driver = "veth",
                               .receive = std::vector<ReceiveQueue>(1),
                               .transmit = std::vector<TransmitQueue>(1)});
  snapshot.queues.push_back({.device = snapshot.links[6].device,
                             .driver = "tun",
                             .receive = std::vector<ReceiveQueue>(2),
                             .transmit = std::vector<TransmitQueue>(2)});
  snapshot.threads.push_back({.kind = NetThread::Kind::vhost,
                              .tid = 1234,
                              .started = 99,
                              .name = "vhost-1200",
                              .workload = 5,
                              .device = snapshot.links[6].device,
                              .affinity = cpus("0-7"),
                              .allowed = cpus("0-7"),
                              .vcpus = cpus("2-3")});
  return snapshot;
}

inline DeviceQueues& queues(Snapshot& snapshot, std::string_view name) {
  for (DeviceQueues& device : snapshot.queues)
    if (device.device.name == name) return device;
  return snapshot.queues.front();
}

/// What the plan's carrying out would leave: what is wished for is in force, and held.
inline void carry_out(Snapshot& snapshot, const std::vector<Wish>& wishes) {
  snapshot.held.clear();
  for (const Wish& wish : wishes) {
    snapshot.held.push_back(
        {.knob = wish.knob, .original = Absent{}, .written = wish.setting, .reason = wish.reason});
    const auto* set = std::get_if<CpuSet>(&wish.setting);
    for (DeviceQueues& device : snapshot.queues) {
      const Device* on = device_of(wish.knob);
      if (on == nullptr || *on != device.device) continue;
      if (const auto* knob = std::get_if<knob::RpsMask>(&wish.knob))
        device.receive[knob->queue].rps = *set;
      if (const auto* knob = std::get_if<knob::XpsMask>(&wish.knob))
        device.transmit[knob->queue].xps = *set;
      if (const auto* knob = std::get_if<knob::IrqAffinity>(&wish.knob))
        for (QueueIrq& irq : device.irqs)
          if (irq.name == knob->irq) irq.affinity = irq.effective = *set;
      if (const auto* table = std::get_if<Indirection>(&wish.setting)) {
        device.table = *table;
        device.table_is_default = false;
      }
    }
    for (NetThread& thread : snapshot.threads)
      if (const auto* knob = std::get_if<knob::ThreadAffinity>(&wish.knob))
        if (knob->tid == thread.tid) thread.affinity = *set;
  }
}

}  // namespace ankus::example
