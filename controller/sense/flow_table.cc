// SPDX-License-Identifier: Apache-2.0
#include "sense/flow_table.h"

#include <arpa/inet.h>

#include <cstring>

namespace ankus {
namespace {

Endpoint endpoint(const __u64 (&address)[2], __be16 port) {
  Endpoint end;
  std::memcpy(end.address.data(), address, sizeof address);
  end.port = ntohs(port);
  return end;
}

FlowEvent event_of(const ankus_event& raw) {
  FlowEvent event{.kind = raw.kind == ANKUS_ELEPHANT_BEGINS ? FlowEvent::Kind::elephant_begins
                          : raw.kind == ANKUS_TABLE_FULL    ? FlowEvent::Kind::table_full
                                                            : FlowEvent::Kind::elephant_ends,
                  .owner = raw.owner,
                  .at = {nanoseconds(raw.at_ns)}};
  ankus_flow flow{};
  flow.owner = raw.owner;
  flow.bytes[0] = raw.bytes[0];
  flow.bytes[1] = raw.bytes[1];
  flow.flags = raw.kind == ANKUS_ELEPHANT_BEGINS ? ANKUS_FLOW_ELEPHANT : 0;
  event.flow = flow_of(raw.key, flow, 0, nanoseconds(0));
  return event;
}

std::uint32_t clamp32(std::uint64_t value) {
  return value > 0x7fffffff ? 0x7fffffff : static_cast<std::uint32_t>(value);
}

/// Nothing at all for what came while the table is read, which is ahead of the reader's clock.
nanoseconds since(std::uint32_t then, std::uint32_t now, nanoseconds tick) {
  return tick * std::max(0, static_cast<std::int32_t>(now - then));
}

}  // namespace

Flow flow_of(const ankus_flow_key& key, const ankus_flow& flow, std::uint32_t now_jiffies,
             nanoseconds tick) {
  const bool local_is_b = (flow.flags & ANKUS_FLOW_LOCAL_IS_B) != 0;
  const int out = local_is_b ? 1 : 0;
  const Endpoint a = endpoint(key.a, key.a_port), b = endpoint(key.b, key.b_port);
  Flow result{.local = local_is_b ? b : a,
              .remote = local_is_b ? a : b,
              .wire_local = local_is_b ? b : a,
              .protocol = key.protocol,
              .zone = key.zone,
              .owner = flow.owner,
              .transmitted = {flow.bytes[out]},
              .received = {flow.bytes[1 - out]},
              .packets_out = flow.packets[out],
              .packets_in = flow.packets[1 - out],
              .conntracked = (flow.flags & ANKUS_FLOW_CT) != 0,
              .elephant = (flow.flags & ANKUS_FLOW_ELEPHANT) != 0,
              .age = since(flow.created, now_jiffies, tick),
              .idle = since(flow.seen, now_jiffies, tick)};
  for (const __u32 until : flow.fast_until)
    if (until != 0 && static_cast<std::int32_t>(now_jiffies - until) < 0) result.fast = true;
  if (flow.inner.protocol != 0) {
    // Before NAT the owner's end has another address; the remote end is the one that both keys
    // have.
    const Endpoint inner_a = endpoint(flow.inner.a, flow.inner.a_port),
                   inner_b = endpoint(flow.inner.b, flow.inner.b_port);
    if (inner_a == result.remote)
      result.local = inner_b;
    else if (inner_b == result.remote)
      result.local = inner_a;
    else if (inner_a == result.local)
      result.remote = inner_b;
    else if (inner_b == result.local)
      result.remote = inner_a;
  }
  return result;
}

Result<FlowTable> FlowTable::open(const Programs& programs) {
  FlowTable table;
  table.programs_ = &programs;
  table.flows_ = bpf::Map<ankus_flow_key, ankus_flow>(programs.map("ankus_flows"));
  table.devices_ = bpf::Map<std::uint32_t, ankus_device>(programs.map("ankus_devices"));
  table.cgroups_ = bpf::Map<std::uint64_t, std::uint32_t>(programs.map("ankus_cgroups"));
  table.usage_ = bpf::Map<std::uint32_t, ankus_usage>(programs.map("ankus_usage"));
  table.config_ = bpf::Map<std::uint32_t, ankus_config>(programs.map("ankus_config"));
  table.counters_ = bpf::Map<std::uint32_t, std::uint64_t>(programs.map("ankus_counters"));
  const auto shape = bpf::map_shape(table.flows_.fd());
  if (!shape) return std::unexpected(shape.error());
  table.capacity_ = shape->max_entries;

  auto buckets = bpf::MappedArray<ankus_bucket>::open(programs.map("ankus_buckets"),
                                                      ANKUS_MAX_WORKLOADS, bpf::Access::write);
  if (!buckets) return std::unexpected(buckets.error());
  table.buckets_ = std::move(*buckets);
  table.events_ = std::make_unique<Events>();
  table.ring_.reset(
      ring_buffer__new(programs.map("ankus_events"), take_event, table.events_.get(), nullptr));
  if (!table.ring_) return fail_errno("read ankus_events");
  return table;
}

int FlowTable::take_event(void* context, void* data, std::size_t size) {
  const auto* events = static_cast<Events*>(context);
  if (size < sizeof(ankus_event) || !events->each) return 0;
  ankus_event raw{};
  std::memcpy(&raw, data, sizeof raw);
  events->each(event_of(raw));
  return 0;
}

Result<void> FlowTable::set_timing(const FlowTiming& timing) const {
  ankus_config config{};
  config.fast_window = Programs::to_jiffies(timing.fast_window);
  config.fast_hold = Programs::to_jiffies(timing.fast_hold);
  config.prove = Programs::to_jiffies(timing.prove);
  config.admission_hold = Programs::to_jiffies(timing.admission_hold);
  config.elephant_bytes = timing.elephant_bytes.count;
  config.elephant_rate_bytes =
      timing.elephant_window_bytes ? timing.elephant_window_bytes->count : ~0ULL;
  config.elephant_window = Programs::to_jiffies(timing.elephant_window);
  config.elephant_calm = Programs::to_jiffies(timing.elephant_calm);
  config.last_packets = Programs::to_jiffies(timing.last_packets);
  config.flows_per_owner = timing.flows_per_owner;
  config.netns_cookie = timing.netns_cookie;
  return config_.update(0, config);
}

Result<void> FlowTable::set_device(const SensedDevice& device) const {
  ankus_device raw{};
  raw.role = device.uplink ? ANKUS_ROLE_UPLINK : ANKUS_ROLE_WORKLOAD;
  raw.owner = device.owner;
  if (device.ifb) raw.flags |= ANKUS_DEVICE_IFB;
  if (device.ingress_on_ifb) raw.flags |= ANKUS_DEVICE_INGRESS_ON_IFB;
  if (device.guest) raw.flags |= ANKUS_DEVICE_GUEST;
  raw.header_bytes = device.header_bytes;
  raw.fast_bytes = clamp32(device.fast_bytes.count);
  raw.admission_per_jiffy = clamp32((device.admission * Programs::tick()).count);
  raw.admission_burst = clamp32(device.admission_burst.count);
  raw.admission_burst_others = clamp32(device.admission_burst_others.count);
  raw.major = device.major;
  raw.probation_class = device.probation_class;
  raw.rss_first = device.table_rows.first;
  raw.rss_size = device.table_rows.size;
  return devices_.update(device.ifindex, raw);
}

Result<void> FlowTable::forget_device(std::uint32_t ifindex) const {
  return devices_.erase(ifindex);
}

Result<void> FlowTable::set_cgroup(std::uint64_t cgroup_id, WorkloadId owner) const {
  return cgroups_.update(cgroup_id, owner);
}
Result<void> FlowTable::forget_cgroup(std::uint64_t cgroup_id) const {
  return cgroups_.erase(cgroup_id);
}

Result<std::vector<Flow>> FlowTable::flows() const {
  const auto now = programs_->jiffies();
  if (!now) return std::unexpected(now.error());
  std::vector<Flow> flows;
  const nanoseconds tick = Programs::tick();
  auto done = flows_.for_each([&](const ankus_flow_key& key, const ankus_flow& flow) {
    if ((flow.flags & ANKUS_FLOW_ALIAS) == 0) flows.push_back(flow_of(key, flow, *now, tick));
  });
  if (!done) return std::unexpected(done.error());
  return flows;
}

Result<std::size_t> FlowTable::sweep(nanoseconds idle, nanoseconds idle_ended,
                                     const std::function<void(const FlowEvent&)>& on_end) const {
  const auto now = programs_->jiffies();
  if (!now) return std::unexpected(now.error());
  const std::uint32_t limit = Programs::to_jiffies(idle),
                      limit_ended = Programs::to_jiffies(idle_ended);
  std::vector<std::pair<ankus_flow_key, ankus_flow>> stale;
  auto done = flows_.for_each([&](const ankus_flow_key& key, const ankus_flow& flow) {
    const auto quiet = static_cast<std::int32_t>(*now - flow.seen);
    const bool ended = (flow.flags & ANKUS_FLOW_ENDED) != 0;
    if (quiet > 0 && static_cast<std::uint32_t>(quiet) > (ended ? limit_ended : limit))
      stale.emplace_back(key, flow);
  });
  if (!done) return std::unexpected(done.error());
  std::size_t swept = 0;
  for (const auto& [key, flow] : stale) {
    if (!flows_.erase(key)) continue;
    ++swept;
    if (flow.owner < ANKUS_MAX_WORKLOADS) {
      std::uint32_t& live = buckets_[flow.owner].live_flows;
      std::uint32_t seen = __atomic_load_n(&live, __ATOMIC_RELAXED);
      while (seen != 0 && !__atomic_compare_exchange_n(&live, &seen, seen - 1, true,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      }
    }
    if (flow.flags & ANKUS_FLOW_ELEPHANT && on_end)
      on_end({.kind = FlowEvent::Kind::elephant_ends,
              .owner = flow.owner,
              .flow = flow_of(key, flow, *now, Programs::tick())});
  }
  return swept;
}

Result<Usage> FlowTable::usage(WorkloadId workload) const {
  const auto per_cpu = usage_.lookup_per_cpu(workload);
  if (!per_cpu) return std::unexpected(per_cpu.error());
  Usage sum;
  for (const ankus_usage& cpu : *per_cpu) {
    sum.transmitted.count += cpu.transmitted_bytes;
    sum.received.count += cpu.received_bytes;
    sum.by_elephants.count += cpu.elephant_bytes;
    sum.packets_out += cpu.transmitted_packets;
    sum.packets_in += cpu.received_packets;
    sum.new_flows += cpu.new_flows;
  }
  return sum;
}

Result<Counters> FlowTable::counters() const {
  Counters counters{};
  for (std::uint32_t i = 0; i < ANKUS_COUNTERS; ++i) {
    const auto per_cpu = counters_.lookup_per_cpu(i);
    if (!per_cpu) return std::unexpected(per_cpu.error());
    for (const std::uint64_t value : *per_cpu) counters[i] += value;
  }
  return counters;
}

int FlowTable::events_fd() const { return ring_buffer__epoll_fd(ring_.get()); }

void FlowTable::read_events(const std::function<void(const FlowEvent&)>& each) {
  events_->each = each;
  (void)ring_buffer__consume(ring_.get());  // -errno only from a callback, and ours returns none
  events_->each = nullptr;
}

Bytes FlowTable::memory_for(std::uint32_t flows) {
  constexpr std::uint64_t kElement = 48 + sizeof(ankus_flow_key) + sizeof(ankus_flow), kBucket = 16;
  return {flows * (kElement + kBucket)};
}

}  // namespace ankus
