// SPDX-License-Identifier: Apache-2.0
#include "sense/tcp_health.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "tcp_health.skel.h"

namespace ankus {
namespace {

struct Probe {
  const char* program;
  const char* tracepoint;
  const char* without;
};
constexpr std::array kProbes = {
    Probe{"ankus_tcp_opens", "inet_sock_set_state",
          "connections are known from their first packet on, their duration is not"},
    Probe{"ankus_tcp_closes", "tcp_destroy_sock",
          "what a connection did after it was last read is lost when it ends"},
    Probe{"ankus_tcp_congestion", "tcp_cong_state_set",
          "timeouts and fast retransmits are not counted"},
    Probe{"ankus_tcp_packet", "tcp_probe",
          "RTT samples and the longest send queue are not measured"},
};

/// Sockets; others wait for the CPU meanwhile.
constexpr std::size_t kAtAStretch = 64;
constexpr std::uint32_t kEstablished = 1;  // include/net/tcp_states.h

nanoseconds us(std::uint64_t count) {
  return std::chrono::microseconds(static_cast<std::int64_t>(count));
}
nanoseconds ns(std::uint64_t count) { return nanoseconds(static_cast<std::int64_t>(count)); }

Endpoint endpoint_of(const std::uint8_t* address, std::uint16_t port) {
  Endpoint endpoint{.port = port};
  std::copy_n(address, endpoint.address.size(), endpoint.address.begin());
  return endpoint;
}

TcpTotals totals_of(WorkloadId workload, const ankus_tcp_row& row) {
  TcpTotals totals{.workload = workload,
                   .segments_sent = row.moved.segments_sent,
                   .retransmits = row.moved.retransmits,
                   .fast_retransmits = row.fast_retransmits,
                   .timeouts = row.timeouts,
                   .sent = {row.moved.bytes_sent},
                   .retransmitted = {row.moved.bytes_retransmitted},
                   .acknowledged = {row.moved.bytes_acked},
                   .received = {row.moved.bytes_received},
                   .opened = row.opened,
                   .closed = row.closed,
                   .rtt_samples = row.rtt_samples,
                   .rtt_sum = us(row.rtt_sum)};
  std::ranges::copy(row.rtt, totals.rtt.counts.begin());
  return totals;
}

}  // namespace

TcpFlow tcp_flow_of(const ankus_tcp_record& r) {
  TcpFlow flow{
      .local = endpoint_of(r.local, r.local_port),
      .remote = endpoint_of(r.remote, r.remote_port),
      .owner = r.owner,
      .established = r.state == kEstablished,
      .flight_packets = r.flight_packets,
      .flight = {r.flight_bytes},
      .peer_window = {r.peer_window},
      .own_window = {r.own_window},
      .congestion_window = r.congestion_window,
      .mss = {r.mss},
      .segments_sent = r.counts.segments_sent,
      .retransmits = r.counts.retransmits,
      .sent = {r.counts.bytes_sent},
      .retransmitted = {r.counts.bytes_retransmitted},
      .acknowledged = {r.counts.bytes_acked},
      .received = {r.counts.bytes_received},
      .fast_retransmits = r.fast_retransmits,
      .timeouts = r.timeouts,
      .send_queue = {r.send_queue},
      .send_queue_max = {r.send_queue_max},
      .send_memory = {r.memory},
      .rtt_samples = r.rtt_samples,
      .rtt_sum = us(r.rtt_sum),
      .smoothed_rtt = us(r.smoothed_rtt),
  };
  // The socket was not locked: its fields may be a packet apart.
  flow.read.count =
      r.counts.bytes_received - std::min<std::uint64_t>(r.counts.bytes_received, r.unread);
  const std::uint64_t once =
      r.counts.bytes_sent - std::min(r.counts.bytes_sent, r.counts.bytes_retransmitted);
  flow.written.count = once + r.unsent;
  if (r.established != 0 && r.now >= r.established) flow.duration = ns(r.now - r.established);
  return flow;
}

Result<TcpSensor> TcpSensor::open(const Programs& programs) {
  TcpSensor sensor;
  std::vector<const Probe*> missing;
  for (const Probe& probe : kProbes) {
    if (bpf::has_tracepoint(probe.tracepoint)) {
      sensor.programs_.emplace_back(probe.program);
      continue;
    }
    missing.push_back(&probe);
    sensor.downgrades_.push_back(std::string("TCP health: ") + probe.without +
                                 ", this kernel has no tracepoint " + probe.tracepoint);
  }
  std::size_t size = 0;
  const void* elf = tcp_health__elf_bytes(&size);
  auto object = bpf::Object::load({static_cast<const std::byte*>(elf), size}, "tcp_health",
                                  programs.maps(), [&](bpf_object& raw) {
                                    for (const Probe* probe : missing)
                                      (void)bpf_program__set_autoload(
                                          bpf_object__find_program_by_name(&raw, probe->program),
                                          false);  // fails only after loading
                                  });
  if (!object) return std::unexpected(object.error());
  sensor.object_ = std::move(*object);
  sensor.rows_ = bpf::Map<std::uint32_t, ankus_tcp_row>(sensor.object_->map("ankus_tcp_rows"));
  sensor.spaces_ = bpf::Map<std::uint32_t, std::uint32_t>(sensor.object_->map("ankus_tcp_spaces"));
  sensor.config_ =
      bpf::Map<std::uint32_t, ankus_tcp_config>(sensor.object_->map("ankus_tcp_config"));
  return sensor;
}

Result<void> TcpSensor::start(std::uint32_t one_in) {
  if (!links_.empty()) return sample(one_in);
  if (auto done = sample(one_in); !done) return done;
  for (const std::string& program : programs_) {
    auto link = bpf::attach_tracing(object_->program(program));
    if (!link) {
      links_.clear();
      return with_context("TCP health: attach " + program, link.error());
    }
    links_.push_back(std::move(*link));
  }
  return {};
}

Result<void> TcpSensor::sample(std::uint32_t one_in) const {
  ankus_tcp_config config{};
  config.shift = std::min<std::uint32_t>(std::bit_width(std::max(one_in, 1U) - 1), 31);
  return config_.update(0, config);
}

void TcpSensor::stop() { links_.clear(); }

Result<void> TcpSensor::set_namespace(std::uint64_t inode, WorkloadId owner) const {
  return spaces_.update(static_cast<std::uint32_t>(inode), owner);  // an unsigned int in the kernel
}
Result<void> TcpSensor::forget_namespace(std::uint64_t inode) const {
  return spaces_.erase(static_cast<std::uint32_t>(inode));
}

Result<void> TcpSensor::forget_workloads(const std::set<WorkloadId>& numbers) const {
  // What their last connections have moved goes with them.
  if (auto told = visit("ankus_tcp_tell", kAtAStretch); !told) return std::unexpected(told.error());
  for (const WorkloadId number : numbers)
    if (auto done = rows_.erase(number); !done) return done;
  return {};
}

Result<TcpReading> TcpSensor::read() const {
  TcpReading reading;
  const auto bytes = visit("ankus_tcp_list", kAtAStretch * sizeof(ankus_tcp_record));
  if (!bytes) return std::unexpected(bytes.error());
  for (std::size_t at = 0; at + sizeof(ankus_tcp_record) <= bytes->size();
       at += sizeof(ankus_tcp_record)) {
    ankus_tcp_record record;
    std::memcpy(&record, bytes->data() + at, sizeof record);
    reading.flows.push_back(tcp_flow_of(record));
  }
  auto totals = read_rows();
  if (!totals) return std::unexpected(totals.error());
  reading.totals = std::move(*totals);
  return reading;
}

Result<std::vector<TcpTotals>> TcpSensor::totals() const {
  const auto told = visit("ankus_tcp_tell", kAtAStretch);
  if (!told) return std::unexpected(told.error());
  return read_rows();
}

Result<std::vector<std::byte>> TcpSensor::visit(const char* program, std::size_t at_once) const {
  return bpf::read_iterator(object_->program(program), object_->map("ankus_tcp_states"), at_once);
}

Result<std::vector<TcpTotals>> TcpSensor::read_rows() const {
  std::vector<TcpTotals> totals;
  auto done = rows_.for_each([&](std::uint32_t workload, const ankus_tcp_row& row) {
    totals.push_back(totals_of(workload, row));
  });
  if (!done) return std::unexpected(done.error());
  std::ranges::sort(totals, {}, &TcpTotals::workload);
  return totals;
}

}  // namespace ankus
