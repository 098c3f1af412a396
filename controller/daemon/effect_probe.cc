// SPDX-License-Identifier: Apache-2.0
#include "daemon/effect_probe.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <set>

#include "base/text.h"
#include "kernel/procfs.h"
#include "kernel/rtnetlink.h"
#include "kernel/tc.h"
#include "sense/topology.h"

namespace ankus {
namespace {

/// Of all CPUs' time; above it fewer packets are measured, as long as that helps.
constexpr Share kBudget{0.01};

template <class T>
void add(std::optional<T>& sum, T more) {
  sum = sum.value_or(T{}) + more;
}

}  // namespace

std::optional<nanoseconds> parse_memory_pressure(std::string_view text) {
  constexpr std::string_view kTotal = "total=";
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t at = line.find(kTotal);
    if (!line.starts_with("some ") || at == std::string_view::npos) continue;
    const std::string_view digits = trim(line.substr(at + kTotal.size()));
    std::int64_t microseconds = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), microseconds);
    if (error == std::errc() && end == digits.data() + digits.size())
      return std::chrono::microseconds(microseconds);
  }
  return std::nullopt;
}

void take_cpus(HostTotals& totals, const std::vector<Cpu>& cpus) {
  const auto busiest =
      std::ranges::max_element(cpus, {}, [](const Cpu& c) { return c.busy.of_one; });
  if (busiest == cpus.end()) return;
  totals.cpu_busy = busiest->busy;
  totals.cpu_softirq = busiest->softirq;
  totals.most_softirq =
      std::ranges::max_element(cpus, {}, [](const Cpu& c) { return c.softirq.of_one; })->softirq;
}

std::uint32_t one_in_for(const Snapshot& snapshot, nanoseconds length) {
  constexpr double kEnough = 300, kMostOneIn = 16;
  const double seconds = std::chrono::duration<double>(length).count();
  std::optional<double> fewest;
  for (const WorkloadState& state : snapshot.workloads) {
    // Of both directions; a path is judged in each.
    const double packets = state.footprint.packets_per_second / 2 * seconds;
    const bool judged =
        state.footprint.weight == Weight::light || state.footprint.weight == Weight::unknown;
    if (judged && packets >= kEnough) fewest = std::min(fewest.value_or(packets), packets);
  }
  if (!fewest) return 1;
  const double one_in = std::clamp(*fewest / (2 * kEnough), 1.0, kMostOneIn);
  return std::bit_floor(static_cast<std::uint32_t>(one_in));
}

EffectProbe::EffectProbe(Observer& observer)
    : observer_(&observer), kernel_lacks_(latency_downgrades(bpf::has_tracepoint)) {}

Result<void> EffectProbe::open() {
  if (sensor_) return {};
  auto sensor =
      LatencySensor::open(observer_->programs(), {.netns_cookie = observer_->netns_cookie()});
  if (!sensor) {
    trouble_ = "latency is not measured: " + sensor.error().text;
    return std::unexpected(sensor.error());
  }
  trouble_.reset();
  sensor_ = std::move(*sensor);
  return {};
}

/// All that are known not to be light: a mixed workload's elephants make nearly all of its packets.
Result<void> EffectProbe::spare_heavy() {
  std::set<WorkloadId> spared;
  for (const WorkloadState& state : observer_->snapshot().workloads)
    if (state.footprint.weight == Weight::heavy || state.footprint.weight == Weight::mixed)
      spared.insert(state.workload.id);
  return sensor_->spare(spared);
}

Result<void> EffectProbe::begin(nanoseconds length, MonotonicTime now,
                                std::optional<std::uint32_t> one_in) {
  if (auto done = open(); !done) return done;
  if (auto done = spare_heavy(); !done) return done;
  if (auto done = sensor_->begin(length, one_in.value_or(one_in_for(observer_->snapshot(), length)),
                                 one_in.value_or(kHeavyOneIn));
      !done)
    return done;
  rtt_one_in_ = observer_->sample_tcp(1) ? 1 : Observer::kTcpOneIn;
  until_ = now + length;
  return {};
}

Result<void> EffectProbe::read() {
  auto reading = sensor_->read();
  if (!reading) return std::unexpected(reading.error());
  reading_ = std::move(*reading);
  return {};
}

const LatencyReading& EffectProbe::latency() {
  if (sensor_ && until_) (void)read();  // else as it was read last
  return reading_;
}

void EffectProbe::end() {
  (void)latency();
  if (sensor_) sensor_->end();
  // If that fails, more is measured than need be, and nothing is believed of it.
  if (until_) (void)observer_->sample_tcp(Observer::kTcpOneIn);
  rtt_one_in_ = Observer::kTcpOneIn;
  until_.reset();
}

std::optional<std::string> EffectProbe::tend(MonotonicTime now) {
  if (!until_) return std::nullopt;
  if (now >= *until_) {
    end();
    return std::nullopt;
  }
  (void)spare_heavy();  // as they were is near enough
  const auto said = sensor_->keep_within(kBudget);
  return said ? *said : std::nullopt;
}

HostTotals EffectProbe::host_totals(const Snapshot& snapshot) {
  HostTotals totals;
  const Procfs proc;
  if (const auto softnet = read_file_head(proc.root + "/net/softnet_stat")) {
    CountersOfCpus counters;
    for (const Cpu& cpu : snapshot.host.topology.cpus) counters[cpu.number];
    add_softnet(*softnet, counters);
    for (const auto& [cpu, counted] : counters) {
      add<std::uint64_t>(totals.softnet_drops, counted.dropped);
      add<std::uint64_t>(totals.softnet_squeezes, counted.squeezed);
    }
  }
  if (const auto pressure = read_file_head(proc.root + "/pressure/memory"))
    totals.memory_stalled = parse_memory_pressure(*pressure);
  take_cpus(totals, snapshot.host.topology.cpus);
  if (!socket_) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) return totals;
    socket_ = std::move(*socket);
  }
  const auto is_uplink = [&](std::uint32_t ifindex) {
    return std::ranges::any_of(snapshot.links, [&](const Link& link) {
      return link.device.ifindex == ifindex && link.has_default_route;
    });
  };
  if (const auto links = read_links(*socket_))
    for (const RtLink& link : *links)
      if (is_uplink(link.ifindex)) add(totals.queue_drops, link.missed_packets);
  const auto qdiscs = socket_->dump(tc::qdisc_dump(0));
  if (!qdiscs) return totals;
  for (const NetlinkMessage& message : *qdiscs) {
    const auto queue = tc::parse_qdisc_queue(message);
    if (!queue || queue->parent != tc::kRoot) continue;  // a root counts what is below it
    const auto link = std::ranges::find(snapshot.links, queue->ifindex,
                                        [](const Link& l) { return l.device.ifindex; });
    if (link == snapshot.links.end() || !link->has_default_route) continue;
    add<std::uint64_t>(totals.qdisc_drops, queue->drops);
    if (link->speed && link->speed->bytes_per_second() > 0)
      add(totals.qdisc_backlog, nanoseconds(static_cast<std::int64_t>(
                                    static_cast<double>(queue->backlog) * 1e9 /
                                    static_cast<double>(link->speed->bytes_per_second()))));
  }
  return totals;
}

Result<Look> EffectProbe::look(const Snapshot& snapshot, MonotonicTime now) {
  Look look{.at = now};
  if (sensor_ && until_) {
    if (auto done = read(); !done) return std::unexpected(done.error());
    look.latency = reading_;
  }
  std::map<WorkloadId, TcpHealth> tcp;
  std::map<WorkloadId, Histogram> rtt;
  if (const auto workloads = observer_->tcp_totals())
    for (const TcpTotals& totals : *workloads) {
      rtt[totals.workload] = totals.rtt;
      tcp[totals.workload] = {.packets_sent = totals.segments_sent,
                              .retransmits = totals.retransmits,
                              .timeouts = totals.timeouts,
                              .bytes_delivered = totals.acknowledged.count};
    }
  for (const WorkloadState& state : snapshot.workloads) {
    const auto usage = observer_->usage().find(state.workload.id);
    if (usage == observer_->usage().end()) continue;
    look.workloads.push_back(
        {.workload = state.workload.id,
         .name = state.workload.name,
         .weight = state.footprint.weight,
         .guest = state.workload.kind == WorkloadKind::vm,
         .moved = {usage->second.transmitted.count + usage->second.received.count},
         .elephants = state.footprint.elephants,
         .by_elephants = usage->second.by_elephants,
         .tcp = tcp[state.workload.id],
         .rtt = rtt[state.workload.id],
         .rtt_one_in = rtt_one_in_});
  }
  look.host = host_totals(snapshot);
  return look;
}

std::vector<std::string> EffectProbe::downgrades() const {
  if (trouble_) return {*trouble_};
  return sensor_ ? sensor_->downgrades() : kernel_lacks_;
}

}  // namespace ankus
