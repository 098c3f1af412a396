// SPDX-License-Identifier: Apache-2.0
#include "daemon/report_host.h"

#include <algorithm>
#include <vector>

namespace ankus::report {
namespace {

using nlohmann::json;

double seconds_of(nanoseconds duration) {
  return static_cast<double>(duration / milliseconds(1)) / 1000;
}

std::string name_of(const Snapshot& snapshot, WorkloadId id) {
  const auto found = std::ranges::find(
      snapshot.workloads, id, [](const WorkloadState& state) { return state.workload.id; });
  return id == 0 || found == snapshot.workloads.end() ? "" : found->workload.name;
}

json histogram(const Histogram& counts) {
  json rows = json::array();
  for (std::size_t bucket = 0; bucket < kHistogramBuckets; ++bucket)
    if (counts.counts[bucket] != 0)
      rows.push_back({{"from_ns", lower_bound(bucket)},
                      {"below_ns", lower_bound(bucket + 1)},
                      {"count", counts.counts[bucket]}});
  return rows;
}

/// Somewhere in a bucket, but never above the largest that was measured.
json quantiles(const Histogram& counts, nanoseconds max = nanoseconds::max()) {
  json row = json::object();
  for (const auto& [key, share] :
       {std::pair("p50_ns", 0.5), {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"p999_ns", 0.999}})
    if (const auto value = quantile(counts, share)) row[key] = std::min(*value, max).count();
  return row;
}

json cpu(const Cpu& cpu, const Topology& topology) {
  return {{"cpu", cpu.number},
          {"core", cpu.core},
          {"node", cpu.node},
          {"busy", cpu.busy.of_one},
          {"softirq", cpu.softirq.of_one},
          {"dropped_per_second", cpu.dropped_per_second},
          {"squeezed_per_second", cpu.squeezed_per_second},
          {"isolated",
           topology.isolated.contains(cpu.number) || topology.nohz_full.contains(cpu.number)}};
}

json irq(const QueueIrq& irq) {
  json row{{"irq", irq.number},
           {"name", irq.name},
           {"cpus", cpu_list_text(irq.affinity)},
           {"effective", cpu_list_text(irq.effective)},
           {"managed", irq.managed},
           {"per_second", irq.per_second}};
  if (irq.receive_queue) row["receive_queue"] = *irq.receive_queue;
  if (irq.transmit_queue) row["transmit_queue"] = *irq.transmit_queue;
  return row;
}

/// Of each receive queue, by whichever counter there is.
std::vector<double> packets_per_second(const DeviceQueues& queues) {
  std::vector<double> rates(queues.receive.size());
  if (queues.table && queues.table->queues.size() == queues.buckets.size())
    for (std::size_t i = 0; i < queues.buckets.size(); ++i)
      if (const std::uint32_t queue = queues.table->queues[i]; queue < rates.size())
        rates[queue] += queues.buckets[i].packets_per_second;
  for (std::size_t i = 0; i < rates.size(); ++i)
    rates[i] = std::max(rates[i], queues.receive[i].packets_per_second);
  return rates;
}

json device(const DeviceQueues& queues) {
  json receive = json::array(), transmit = json::array(), irqs = json::array();
  std::vector<std::uint32_t> entries(queues.receive.size());
  if (queues.table)
    for (const std::uint32_t queue : queues.table->queues)
      if (queue < entries.size()) ++entries[queue];
  const std::vector<double> rates = packets_per_second(queues);
  for (std::size_t i = 0; i < queues.receive.size(); ++i) {
    json row{{"queue", i},
             {"packets_per_second", rates[i]},
             {"rps", cpu_list_text(queues.receive[i].rps)}};
    if (queues.table) row["entries"] = entries[i];
    receive.push_back(std::move(row));
  }
  for (std::size_t i = 0; i < queues.transmit.size(); ++i)
    transmit.push_back({{"queue", i}, {"xps", cpu_list_text(queues.transmit[i].xps)}});
  for (const QueueIrq& one : queues.irqs) irqs.push_back(irq(one));
  json row{{"name", queues.device.name},
           {"driver", queues.driver},
           {"node", queues.node},
           {"receive", std::move(receive)},
           {"transmit", std::move(transmit)},
           {"irqs", std::move(irqs)}};
  if (queues.table)
    row["table"] = {{"entries", queues.table->queues.size()}, {"default", queues.table_is_default}};
  return row;
}

}  // namespace

json queues(const Snapshot& snapshot, bool irqbalance) {
  const Topology& topology = snapshot.host.topology;
  json cpus = json::array(), devices = json::array(), threads = json::array();
  for (const Cpu& one : topology.cpus) cpus.push_back(cpu(one, topology));
  for (const DeviceQueues& one : snapshot.queues) devices.push_back(device(one));
  for (const NetThread& thread : snapshot.threads)
    threads.push_back({{"kind", to_text(thread.kind)},
                       {"tid", thread.tid},
                       {"name", thread.name},
                       {"workload", name_of(snapshot, thread.workload)},
                       {"device", thread.device.name},
                       {"cpus", cpu_list_text(thread.affinity)},
                       {"allowed", cpu_list_text(thread.allowed)},
                       {"busy", thread.busy.of_one}});
  return {{"cpus", std::move(cpus)},
          {"irqbalance", irqbalance},
          {"devices", std::move(devices)},
          {"threads", std::move(threads)}};
}

json busiest_queues(const Snapshot& snapshot) {
  json devices = json::array();
  for (const DeviceQueues& queues : snapshot.queues) {
    if (queues.irqs.empty() && queues.receive.size() < 2) continue;
    const std::vector<double> rates = packets_per_second(queues);
    json row{{"name", queues.device.name}, {"packets_per_second", rates}};
    const auto most = std::ranges::max_element(rates);
    if (most != rates.end() && *most > 0) {
      const auto queue = static_cast<std::uint32_t>(most - rates.begin());
      const CpuSet cpus = queues.serving(queue);
      json busiest{{"queue", queue}, {"cpus", cpu_list_text(cpus)}};
      const auto irq = std::ranges::find(queues.irqs, queue, &QueueIrq::receive_queue);
      if (irq != queues.irqs.end()) busiest["irq"] = irq->number;
      if (const auto busy = snapshot.host.topology.busy_of(cpus)) busiest["busy"] = busy->of_one;
      row["busiest"] = std::move(busiest);
    }
    devices.push_back(std::move(row));
  }
  return devices;
}

json latency(const LatencyReading& reading, const Snapshot& snapshot,
             std::optional<nanoseconds> left) {
  json rows = json::array();
  for (const SegmentLatency& segment : reading.segments) {
    const LatencySegmentInfo& info = info_of(segment.segment);
    json row{{"workload", name_of(snapshot, segment.workload)},
             {"workload_id", segment.workload},
             {"segment", info.name},
             {"from", info.from},
             {"to", info.to},
             {"direction", info.towards_workload ? "in" : "out"},
             {"waits_for", info.application ? "application" : "path"},
             {"measured", segment.coverage.measured},
             {"packets", segment.coverage.packets},
             {"coverage", share_of(segment.coverage).of_one},
             {"dropped", segment.dropped},
             {"split", segment.split},
             {"max_ns", segment.max.count()},
             {"histogram", histogram(segment.histogram)}};
    row.update(quantiles(segment.histogram, segment.max));
    rows.push_back(std::move(row));
  }
  json reply{{"window_s", seconds_of(reading.length)},
             {"one_in", reading.one_in},
             {"heavy_one_in", reading.spared_one_in},
             {"measuring", left.has_value()},
             {"sampled", reading.sampled},
             {"no_room", reading.no_room},
             {"cost",
              {{"events", reading.cost.events},
               {"per_event_ns", reading.cost.per_event.count()},
               {"of_cpus", reading.cost.of_cpus.of_one}}},
             {"segments", std::move(rows)}};
  if (left) reply["left_s"] = seconds_of(*left);
  return reply;
}

json tcp(const TcpReading& reading, const Snapshot& snapshot, std::size_t limit) {
  json totals = json::array(), flows = json::array();
  for (const TcpTotals& t : reading.totals) {
    json row{{"workload", name_of(snapshot, t.workload)},
             {"workload_id", t.workload},
             {"opened", t.opened},
             {"closed", t.closed},
             {"segments_sent", t.segments_sent},
             {"retransmits", t.retransmits},
             {"fast_retransmits", t.fast_retransmits},
             {"timeouts", t.timeouts},
             {"sent_bytes", t.sent.count},
             {"acknowledged_bytes", t.acknowledged.count},
             {"received_bytes", t.received.count},
             {"rtt_samples", t.rtt_samples},
             {"rtt_sum_ns", t.rtt_sum.count()},
             {"rtt", histogram(t.rtt)}};
    row.update(quantiles(t.rtt));
    totals.push_back(std::move(row));
  }
  std::vector<const TcpFlow*> sorted;
  for (const TcpFlow& flow : reading.flows) sorted.push_back(&flow);
  std::ranges::stable_sort(sorted, std::ranges::greater(), [](const TcpFlow* flow) {
    return flow->sent.count + flow->received.count;
  });
  if (sorted.size() > limit) sorted.resize(limit);
  for (const TcpFlow* f : sorted) {
    json row{{"local", to_text(f->local)},
             {"remote", to_text(f->remote)},
             {"workload", name_of(snapshot, f->owner)},
             {"workload_id", f->owner},
             {"established", f->established},
             {"flight_packets", f->flight_packets},
             {"flight_bytes", f->flight.count},
             {"peer_window_bytes", f->peer_window.count},
             {"own_window_bytes", f->own_window.count},
             {"congestion_window", f->congestion_window},
             {"mss_bytes", f->mss.count},
             {"segments_sent", f->segments_sent},
             {"retransmits", f->retransmits},
             {"fast_retransmits", f->fast_retransmits},
             {"timeouts", f->timeouts},
             {"sent_bytes", f->sent.count},
             {"retransmitted_bytes", f->retransmitted.count},
             {"acknowledged_bytes", f->acknowledged.count},
             {"received_bytes", f->received.count},
             {"send_queue_bytes", f->send_queue.count},
             {"send_queue_max_bytes", f->send_queue_max.count},
             {"send_memory_bytes", f->send_memory.count},
             {"read_bytes", f->read.count},
             {"written_bytes", f->written.count},
             {"rtt_samples", f->rtt_samples},
             {"rtt_sum_ns", f->rtt_sum.count()},
             {"smoothed_rtt_ns", f->smoothed_rtt.count()}};
    if (f->duration) row["duration_s"] = seconds_of(*f->duration);
    flows.push_back(std::move(row));
  }
  return {{"total", reading.flows.size()},
          {"workloads", std::move(totals)},
          {"flows", std::move(flows)}};
}

}  // namespace ankus::report
