// SPDX-License-Identifier: Apache-2.0
#include "sense/latency.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <iterator>
#include <memory>
#include <utility>

#include "latency.skel.h"

namespace ankus {
namespace {

struct Probe {
  const char* program;
  const char* tracepoint;
  const char* without;  ///< what is lost; none: nothing works without it
};
// Ends are attached before beginnings: whatever begins can end.
constexpr std::array kProbes = {
    Probe{"ankus_latency_freed", "kfree_skb", nullptr},
    Probe{"ankus_latency_consumed", "consume_skb", nullptr},
    Probe{"ankus_latency_read", "skb_copy_datagram_iovec",
          "how long packets wait for the application is not measured"},
    Probe{"ankus_latency_received", "sock_recv_length",
          "a UDP datagram counts as read when it is freed"},
    Probe{"ankus_latency_ready", "sk_data_ready",
          "for UDP and ICMP the way from device to read is measured in one"},
    Probe{"ankus_latency_tcp", "tcp_probe",
          "for TCP the way from device to read is measured in one"},
    Probe{"ankus_latency_xmit", "net_dev_start_xmit", nullptr},
    Probe{"ankus_latency_dequeue", "qdisc_dequeue",
          "the wait in the uplink's qdisc ends at net_dev_start_xmit: packets cut up there are not "
          "measured"},
    Probe{"ankus_latency_queue", "net_dev_queue", nullptr},
    Probe{"ankus_latency_receive", "netif_receive_skb", nullptr},
    Probe{"ankus_latency_closed", "tcp_destroy_sock", nullptr},
    Probe{"ankus_latency_send", "tcp_sendmsg_locked",
          "the wait between send() and the first device is not measured"},
};

constexpr const char* kLacks = "this kernel has no tracepoint ";
std::string not_measured(const Probe& probe) {
  return std::string("latency is not measured: ") + kLacks + probe.tracepoint;
}
std::string measured_less(const Probe& probe) {
  return std::string("latency: ") + probe.without + ", " + kLacks + probe.tracepoint;
}

constexpr std::uint32_t kLeastSampling = 16;  // 1 in 65,536
constexpr double kWorthHalving = 0.8;         // of the cost before
constexpr std::uint64_t kEnoughTimed = 64;    // events, to judge a halving by

std::uint32_t shift_for(std::uint32_t one_in) {
  return std::min<std::uint32_t>(std::bit_width(std::max(one_in, 1U) - 1), kLeastSampling);
}

MonotonicTime now() { return SystemClock().monotonic(); }

template <class Key, class Value>
Result<void> erase_all(const bpf::Map<Key, Value>& map) {
  std::vector<Key> keys;
  auto done = map.for_each([&](const Key& key, const Value&) { keys.push_back(key); });
  if (!done) return done;
  for (const Key& key : keys) (void)map.erase(key);  // gone is as good
  return {};
}

/// ns; an event that was interrupted counts as one like the others.
double per_event(const ankus_latency_cost& cost) {
  const std::uint64_t whole = cost.timed - cost.interrupted;
  return whole == 0 ? 0 : static_cast<double>(cost.time) / static_cast<double>(whole);
}

Share share_of_cpus(const ankus_latency_cost& cost, nanoseconds length) {
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  if (length <= nanoseconds(0) || cpus <= 0) return {};
  return {static_cast<double>(cost.events) * per_event(cost) / static_cast<double>(length.count()) /
          static_cast<double>(cpus)};
}

ankus_latency_cost since(const ankus_latency_cost& now, const ankus_latency_cost& before) {
  return {.events = now.events - before.events,
          .next = 0,
          .timed = now.timed - before.timed,
          .time = now.time - before.time,
          .interrupted = now.interrupted - before.interrupted,
          .sampled = now.sampled - before.sampled,
          .no_room = now.no_room - before.no_room,
          .reused = now.reused - before.reused};
}

nanoseconds ns(std::uint64_t count) { return nanoseconds(static_cast<std::int64_t>(count)); }

SegmentLatency segment_of(const ankus_latency_key& key, const ankus_latency_row& row) {
  SegmentLatency latency{.workload = key.workload,
                         .segment = static_cast<LatencySegment>(key.segment),
                         .dropped = row.dropped,
                         .merged = row.merged,
                         .split = row.split,
                         .sum = ns(row.sum),
                         .max = ns(row.max)};
  std::ranges::copy(row.counts, latency.histogram.counts.begin());
  latency.coverage.measured = total(latency.histogram);
  const std::uint64_t lost = std::min(row.begun, row.dropped + row.merged);
  latency.coverage.packets = std::max<std::uint64_t>(row.begun - lost, latency.coverage.measured);
  return latency;
}

}  // namespace

std::vector<std::string> latency_downgrades(const std::function<bool(const std::string&)>& has) {
  std::vector<std::string> lines;
  for (const Probe& probe : kProbes) {
    if (has(probe.tracepoint)) continue;
    if (probe.without == nullptr) return {not_measured(probe)};
    lines.push_back(measured_less(probe));
  }
  return lines;
}

static_assert(kLatencySegments == ANKUS_SEGMENTS);
static_assert(kHistogramBuckets == ANKUS_HISTOGRAM_BUCKETS);
static_assert(static_cast<int>(LatencySegment::out) == ANKUS_SEGMENT_OUT);
static_assert(static_cast<int>(LatencySegment::round_trip) == ANKUS_SEGMENT_ROUND_TRIP);
static_assert(static_cast<int>(LatencySegment::send) == ANKUS_SEGMENT_SEND);

Result<LatencySensor> LatencySensor::open(const Programs& programs, const Options& options) {
  LatencySensor sensor;
  std::vector<const Probe*> missing;
  for (const Probe& probe : kProbes) {
    if (bpf::has_tracepoint(probe.tracepoint)) {
      sensor.programs_.emplace_back(probe.program);
      continue;
    }
    if (probe.without == nullptr)
      return fail(ErrorKind::unsupported, std::string(kLacks) + probe.tracepoint);
    missing.push_back(&probe);
    sensor.downgrades_.push_back(measured_less(probe));
  }
  std::size_t size = 0;
  const void* elf = latency__elf_bytes(&size);
  auto object = bpf::Object::load(
      {static_cast<const std::byte*>(elf), size}, "latency", programs.maps(), [&](bpf_object& raw) {
        for (const Probe* probe : missing)
          (void)bpf_program__set_autoload(bpf_object__find_program_by_name(&raw, probe->program),
                                          false);  // fails only after loading, as does the next
        (void)bpf_map__set_max_entries(bpf_object__find_map_by_name(&raw, "ankus_latency_packets"),
                                       options.max_packets);
      });
  if (!object) return std::unexpected(object.error());
  sensor.object_ = std::move(*object);
  sensor.packets_ =
      bpf::Map<std::uint64_t, ankus_latency_packet>(sensor.object_->map("ankus_latency_packets"));
  sensor.sends_ =
      bpf::Map<std::uint64_t, ankus_latency_send>(sensor.object_->map("ankus_latency_sends"));
  sensor.reads_ =
      bpf::Map<std::uint64_t, ankus_latency_reads>(sensor.object_->map("ankus_latency_reads"));
  sensor.trips_ = bpf::Map<ankus_trip_key, ankus_trip>(sensor.object_->map("ankus_latency_trips"));
  sensor.rows_ =
      bpf::Map<ankus_latency_key, ankus_latency_row>(sensor.object_->map("ankus_latency_rows"));
  sensor.config_ =
      bpf::Map<std::uint32_t, ankus_latency_config>(sensor.object_->map("ankus_latency_config"));
  sensor.cost_ =
      bpf::Map<std::uint32_t, ankus_latency_cost>(sensor.object_->map("ankus_latency_cost"));
  sensor.marks_ =
      bpf::Map<std::uint32_t, ankus_latency_marks>(sensor.object_->map("ankus_latency_marks"));
  sensor.passed_ =
      bpf::Map<std::uint32_t, ankus_latency_passed>(sensor.object_->map("ankus_latency_passed"));
  sensor.spared_ =
      bpf::Map<std::uint32_t, std::uint32_t>(sensor.object_->map("ankus_latency_spared"));
  sensor.owner_ = &programs;
  sensor.netns_cookie_ = options.netns_cookie;
  return sensor;
}

Result<void> LatencySensor::write_config(std::uint32_t until) const {
  ankus_latency_config config{};
  config.until = until;
  config.shift = shift_;
  config.window = window_;
  config.spare = spare_;
  config.netns_cookie = netns_cookie_;
  return config_.update(0, config);
}

Result<void> LatencySensor::begin(nanoseconds length, std::uint32_t one_in,
                                  std::uint32_t spared_one_in) {
  end();
  const auto jiffies = owner_->jiffies();
  if (!jiffies) return std::unexpected(jiffies.error());
  for (const auto& erased : {erase_all(packets_), erase_all(sends_), erase_all(reads_),
                             erase_all(trips_), erase_all(rows_)})
    if (!erased) return erased;
  const std::vector<ankus_latency_cost> nothing(bpf::possible_cpus());
  const std::uint32_t zero = 0;
  if (auto done = bpf::map_update(cost_.fd(), &zero, nothing.data()); !done) return done;
  const auto no_marks = std::make_unique<ankus_latency_marks>();
  if (auto done = bpf::map_update(marks_.fd(), &zero, no_marks.get()); !done) return done;
  shift_ = shift_for(one_in);
  spare_ = shift_for(std::max(one_in, spared_one_in)) - shift_;
  ++window_;
  for (const std::string& program : programs_) {
    auto link = bpf::attach_tracing(object_->program(program));
    if (!link) {
      links_.clear();
      return with_context("latency: attach " + program, link.error());
    }
    links_.push_back(std::move(*link));
  }
  began_ = checked_at_ = now();
  checked_ = {};
  before_halving_.reset();
  halving_is_useless_ = said_so_ = false;
  ended_.reset();
  length_ = length;
  until_ = ankus_until(*jiffies, Programs::to_jiffies(length));
  return write_config(until_);
}

void LatencySensor::end() {
  if (links_.empty()) return;
  (void)write_config(0);  // detaching stops it as well
  links_.clear();
  ended_ = now();
}

Result<void> LatencySensor::spare(const std::set<WorkloadId>& workloads) {
  std::set<WorkloadId> changed;
  std::ranges::set_symmetric_difference(workloads, spared_workloads_,
                                        std::inserter(changed, changed.end()));
  for (const WorkloadId workload : changed) {
    if (workload >= ANKUS_MAX_WORKLOADS) continue;  // nobody's rows are there
    if (auto done = spared_.update(workload, workloads.contains(workload) ? 1 : 0); !done)
      return done;
  }
  spared_workloads_ = workloads;
  return {};
}

Result<ankus_latency_cost> LatencySensor::cost() const {
  const auto per_cpu = cost_.lookup_per_cpu(0);
  if (!per_cpu) return std::unexpected(per_cpu.error());
  ankus_latency_cost sum{};
  for (const ankus_latency_cost& cpu : *per_cpu) {
    sum.events += cpu.events;
    sum.timed += cpu.timed;
    sum.time += cpu.time;
    sum.interrupted += cpu.interrupted;
    sum.sampled += cpu.sampled;
    sum.no_room += cpu.no_room;
    sum.reused += cpu.reused;
  }
  return sum;
}

/// Completes the coverage of the segments that are counted at their end.
Result<void> LatencySensor::add_unmeasured(std::vector<SegmentLatency>& segments) const {
  std::set<WorkloadId> owners;
  for (const SegmentLatency& segment : segments) owners.insert(segment.workload);
  const bpf::Map<std::uint32_t, ankus_device> devices(owner_->map("ankus_devices"));
  auto done = devices.for_each([&](std::uint32_t, const ankus_device& device) {
    if (device.role == ANKUS_ROLE_WORKLOAD) owners.insert(device.owner);
  });
  if (!done) return done;
  for (const WorkloadId owner : owners) {
    if (owner >= ANKUS_MAX_WORKLOADS) continue;
    const auto per_cpu = passed_.lookup_per_cpu(owner);
    if (!per_cpu) return std::unexpected(per_cpu.error());
    std::uint64_t host_in = 0, container_out = 0;
    for (const ankus_latency_passed& cpu : *per_cpu) {
      if (cpu.window != window_) continue;
      host_in += cpu.host_in;
      container_out += cpu.container_out;
    }
    for (const auto& [segment, shares] :
         {std::pair(LatencySegment::host_in, host_in),
          std::pair(LatencySegment::container_out, container_out)}) {
      const std::uint64_t packets = shares / ANKUS_ONE;
      const auto found = std::ranges::find_if(segments, [&](const SegmentLatency& s) {
        return s.workload == owner && s.segment == segment;
      });
      // Sampling chooses more than its share as often as less.
      if (found != segments.end())
        found->coverage.packets = std::max(packets, found->coverage.measured);
      else if (packets != 0)
        segments.push_back({.workload = owner,
                            .segment = segment,
                            .coverage = {.measured = 0, .packets = packets}});
    }
  }
  return {};
}

Result<LatencyReading> LatencySensor::read() const {
  LatencyReading reading;
  reading.one_in = 1U << shift_;
  reading.spared_one_in = 1U << (shift_ + spare_);
  reading.length = std::min(ended_.value_or(now()) - began_, length_);
  auto done = rows_.for_each([&](const ankus_latency_key& key, const ankus_latency_row& row) {
    if (key.segment >= ANKUS_SEGMENTS) return;
    SegmentLatency segment = segment_of(key, row);
    if (segment.coverage.packets != 0 || segment.dropped != 0)
      reading.segments.push_back(std::move(segment));
  });
  if (!done) return std::unexpected(done.error());
  if (done = add_unmeasured(reading.segments); !done) return std::unexpected(done.error());
  std::ranges::sort(reading.segments, {},
                    [](const SegmentLatency& s) { return std::pair(s.workload, s.segment); });
  const auto cost = this->cost();
  if (!cost) return std::unexpected(cost.error());
  reading.sampled = cost->sampled;
  reading.no_room = cost->no_room;
  reading.vanished = cost->reused;
  // A VM's way to its tap cannot be seen; a container's is, unless there was no place for it.
  if (reading.no_room == 0)
    std::erase_if(reading.segments, [](const SegmentLatency& s) {
      return s.segment == LatencySegment::container_out && s.coverage.measured == 0;
    });
  reading.cost = {.events = cost->events,
                  .per_event = nanoseconds(std::llround(per_event(*cost))),
                  .of_cpus = share_of_cpus(*cost, reading.length)};
  return reading;
}

Result<std::uint64_t> LatencySensor::on_the_way() const {
  std::uint64_t packets = 0;
  auto done = packets_.for_each([&](std::uint64_t, const ankus_latency_packet& packet) {
    if (packet.window == window_) ++packets;
  });
  if (!done) return std::unexpected(done.error());
  return packets;
}

Result<std::optional<std::string>> LatencySensor::keep_within(Share budget, Share limit) {
  if (links_.empty()) return std::nullopt;
  const auto total = cost();
  if (!total) return std::unexpected(total.error());
  const ankus_latency_cost lately = since(*total, checked_);
  const MonotonicTime at = now();
  if (lately.timed < kEnoughTimed) return std::nullopt;  // and go on counting
  const Share used = share_of_cpus(lately, at - checked_at_);
  checked_at_ = at;
  checked_ = *total;
  if (used <= budget) return std::nullopt;
  const std::string cost =
      "measuring latency took " + to_text(used) + " of the CPUs' time, more than ";
  // By event: the packets may have become more meanwhile.
  const double each = per_event(lately);
  if (shift_ >= kLeastSampling) {
    halving_is_useless_ = true;
  } else if (!halving_is_useless_ && before_halving_ && each > kWorthHalving * *before_halving_) {
    halving_is_useless_ = true;
    --shift_;
    if (auto done = write_config(until_); !done) return std::unexpected(done.error());
  }
  if (halving_is_useless_) {
    if (used > limit) {
      end();
      return cost + to_text(limit) + ", and sampling less does not help: stopped";
    }
    if (std::exchange(said_so_, true)) return std::nullopt;
    return cost + to_text(budget) + ": sampling less does not help, still 1 packet of " +
           std::to_string(1U << shift_);
  }
  before_halving_ = each;
  ++shift_;
  if (auto done = write_config(until_); !done) return std::unexpected(done.error());
  return cost + to_text(budget) + ": now 1 packet of " + std::to_string(1U << shift_);
}

}  // namespace ankus
