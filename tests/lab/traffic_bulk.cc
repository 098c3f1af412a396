// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic_bulk.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <unordered_map>

#include "lab/traffic_loop.h"
#include "lab/traffic_wire.h"

namespace ankus::traffic {

namespace {

constexpr std::size_t chunk_bytes = 65536;
constexpr std::uint64_t datagram_bytes = 1400;

struct Flow {
  UniqueFd fd;
  bool stands = false;
  MessageHeader header;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t send_total = 0;     ///< 0: no end
  std::uint64_t receive_total = 0;  ///< 0: no end
};

class Bulk {
 public:
  Bulk(const BulkOptions& options, EventLoop loop) : options_(options), loop_(std::move(loop)) {}
  Result<BulkReport> run();

 private:
  bool upload() const { return options_.direction == Direction::upload; }
  void start_flow();
  void restart_later();
  void on_event(std::uint64_t key, std::uint32_t events);
  bool send_some(Flow& flow);
  bool receive_some(Flow& flow);
  void end_flow(std::uint64_t key);
  std::uint64_t bytes_so_far();
  void note_moved(const Flow& flow);
  void sample(MonotonicTime due);

  const BulkOptions& options_;
  EventLoop loop_;
  Schedule schedule_;
  std::unordered_map<std::uint64_t, Flow> flows_;
  std::uint64_t next_key_ = 1;
  std::uint64_t ended_bytes_ = 0;
  std::uint64_t sampled_bytes_ = 0;
  std::uint64_t first_bytes_ = 0;
  MonotonicTime first_sample_;
  std::string last_error_;
  BulkReport report_;
  std::array<char, chunk_bytes> chunk_{};
};

Result<BulkReport> Bulk::run() {
  auto schedule = make_schedule(options_.timing);
  if (!schedule) return std::unexpected(schedule.error());
  schedule_ = *schedule;
  for (unsigned i = 0; i < options_.flows; ++i) loop_.at(schedule_.start, [this] { start_flow(); });
  loop_.at(schedule_.measure_from, [this] {
    first_bytes_ = sampled_bytes_ = bytes_so_far();
    first_sample_ = monotonic_now();
    const MonotonicTime next = schedule_.measure_from + options_.interval;
    loop_.at(next, [this, next] { sample(next); });
  });
  if (auto ran = loop_.run_until(schedule_.end); !ran) return std::unexpected(ran.error());

  report_.bytes = bytes_so_far() - first_bytes_;
  report_.seconds = std::chrono::duration<double>(monotonic_now() - first_sample_).count();
  for (const auto& [key, flow] : flows_)
    if (auto progress = tcp_progress(flow.fd.get())) report_.retransmits += progress->retransmits;
  for (const auto& [key, flow] : flows_) note_moved(flow);
  if (report_.bytes == 0)
    return fail(ErrorKind::refused, "no byte came through to or from " + to_text(options_.dial.to) +
                                        " in " + std::to_string(report_.seconds) + " s" +
                                        (last_error_.empty() ? "" : ": " + last_error_));
  return std::move(report_);
}

void Bulk::start_flow() {
  auto fd = dial(options_.dial);
  if (!fd) {
    ++report_.errors;
    last_error_ = fd.error().text;
    return restart_later();
  }
  const std::uint64_t key = next_key_++;
  auto watching = loop_.watch(fd->get(), EPOLLIN | EPOLLOUT,
                              [this, key](std::uint32_t events) { on_event(key, events); });
  if (!watching) {
    ++report_.errors;
    last_error_ = watching.error().text;
    return restart_later();
  }
  ++report_.flows_started;
  Flow& flow = flows_[key];
  flow.fd = std::move(*fd);
  const std::uint64_t bytes = options_.bytes_per_flow;
  if (upload()) {
    flow.header = {.kind = MessageKind::sink, .id = key, .request_bytes = bytes};
    flow.send_total = bytes;
    flow.receive_total = sizeof(MessageHeader);  // the report that all has arrived
  } else {
    flow.header = {.kind = MessageKind::source, .id = key, .response_bytes = bytes};
    flow.send_total = sizeof(MessageHeader);
    flow.receive_total = bytes;
  }
}

void Bulk::restart_later() {
  loop_.at(monotonic_now() + milliseconds(100), [this] { start_flow(); });
}

void Bulk::on_event(std::uint64_t key, std::uint32_t events) {
  Flow& flow = flows_.at(key);
  bool goes_on = true;
  if (!flow.stands) {
    auto outcome = connect_outcome(flow.fd.get());
    if (!outcome) last_error_ = outcome.error().text;
    goes_on = bool(outcome);
    flow.stands = goes_on && (events & EPOLLOUT) != 0;
  }
  if (goes_on && flow.stands && (events & EPOLLOUT) != 0) goes_on = send_some(flow);
  if (goes_on && flow.stands && (events & ~EPOLLOUT) != 0) goes_on = receive_some(flow);
  const bool finished = flow.receive_total != 0 && flow.received >= flow.receive_total;
  if (goes_on && !finished) return;
  end_flow(key);
  if (finished) {
    ++report_.flows_finished;
    start_flow();
  } else {
    ++report_.errors;
    restart_later();
  }
}

bool Bulk::send_some(Flow& flow) {
  while (flow.send_total == 0 || flow.sent < flow.send_total) {
    const char* from = chunk_.data();
    std::uint64_t size = chunk_bytes;
    if (flow.sent < sizeof(MessageHeader)) {
      from = reinterpret_cast<const char*>(&flow.header) + flow.sent;
      size = sizeof(MessageHeader) - flow.sent;
    } else if (flow.send_total != 0) {
      size = std::min(size, flow.send_total - flow.sent);
    }
    const ssize_t sent = send(flow.fd.get(), from, size, MSG_NOSIGNAL);
    if (sent < 0 && would_block(errno)) return true;
    if (sent < 0) {
      last_error_ = fail_errno("send").error().text;
      return false;
    }
    flow.sent += static_cast<std::uint64_t>(sent);
    if (size == chunk_bytes) return true;  // the other flows' turn
  }
  return bool(loop_.change(flow.fd.get(), EPOLLIN));  // nothing left to send
}

bool Bulk::receive_some(Flow& flow) {
  // MSG_TRUNC on a TCP socket discards without copying (tcp(7)).
  const ssize_t got = recv(flow.fd.get(), chunk_.data(), chunk_.size(), MSG_TRUNC);
  if (got < 0 && would_block(errno)) return true;
  if (got <= 0) {
    last_error_ = got == 0 ? "the server closed the connection" : fail_errno("recv").error().text;
    return false;
  }
  flow.received += static_cast<std::uint64_t>(got);
  return true;
}

void Bulk::end_flow(std::uint64_t key) {
  auto node = flows_.extract(key);
  const Flow& flow = node.mapped();
  note_moved(flow);
  if (auto progress = tcp_progress(flow.fd.get())) {
    report_.retransmits += progress->retransmits;
    if (upload()) ended_bytes_ += progress->bytes_acked;
  }
  if (!upload()) ended_bytes_ += flow.received;
  loop_.forget(flow.fd.get());
}

void Bulk::note_moved(const Flow& flow) {
  const auto local = local_endpoint(flow.fd.get());
  if (!flow.stands || !local) return;
  std::uint64_t bytes = flow.received;
  if (upload()) {
    const auto progress = tcp_progress(flow.fd.get());
    bytes = progress ? progress->bytes_acked : 0;
  }
  report_.moved.push_back({.local = to_text(*local), .bytes = bytes});
}

std::uint64_t Bulk::bytes_so_far() {
  std::uint64_t bytes = ended_bytes_;
  for (const auto& [key, flow] : flows_) {
    if (!upload()) {
      bytes += flow.received;
    } else if (auto progress = tcp_progress(flow.fd.get())) {
      bytes += progress->bytes_acked;
    }
  }
  return bytes;
}

void Bulk::sample(MonotonicTime due) {
  const std::uint64_t bytes = bytes_so_far();
  report_.interval_bytes.push_back(bytes - sampled_bytes_);
  sampled_bytes_ = bytes;
  const MonotonicTime next = due + options_.interval;
  if (next < schedule_.end) loop_.at(next, [this, next] { sample(next); });
}

/// A steady stream of datagrams from several ports; the server counts what arrives.
class DatagramBulk {
 public:
  DatagramBulk(const BulkOptions& options, EventLoop loop)
      : options_(options), loop_(std::move(loop)), id_(std::random_device()()) {}
  Result<BulkReport> run();

 private:
  Result<> open_flows();
  void send_due();
  void ask();
  void receive_answer();

  const BulkOptions& options_;
  EventLoop loop_;
  std::uint64_t id_;
  Schedule schedule_;
  std::vector<UniqueFd> flows_;
  std::uint64_t turn_ = 0;
  double due_datagrams_ = 0;
  MonotonicTime last_;
  bool answered_ = false;
  BulkReport report_;
};

Result<> DatagramBulk::open_flows() {
  std::vector<std::uint16_t> ports = options_.from_ports;
  if (ports.empty()) ports.resize(options_.flows);
  for (const std::uint16_t port : ports) {
    Dial from = options_.dial;
    from.from_port = port;
    auto fd = dial(from);
    if (!fd) return std::unexpected(fd.error());
    flows_.push_back(std::move(*fd));
  }
  report_.flows_started = flows_.size();
  return loop_.watch(flows_.front().get(), EPOLLIN, [this](std::uint32_t) { receive_answer(); });
}

Result<BulkReport> DatagramBulk::run() {
  auto schedule = make_schedule(options_.timing);
  if (!schedule) return std::unexpected(schedule.error());
  schedule_ = *schedule;
  if (auto opened = open_flows(); !opened) return std::unexpected(opened.error());
  last_ = schedule_.start;
  loop_.at(schedule_.start, [this] { send_due(); });
  if (auto ran = loop_.run_until(schedule_.end); !ran) return std::unexpected(ran.error());
  // The question may be lost behind what it asks about, hence again and again for a while.
  loop_.at(monotonic_now(), [this] { ask(); });
  if (auto ran = loop_.run_until(monotonic_now() + seconds(5)); !ran)
    return std::unexpected(ran.error());
  if (!answered_)
    return fail(ErrorKind::refused, "no answer from " + to_text(options_.dial.to) +
                                        " within 5 s: does the server run with --udp?");
  if (report_.bytes == 0)
    return fail(ErrorKind::refused, "no datagram came through to " + to_text(options_.dial.to));
  report_.seconds = std::chrono::duration<double>(schedule_.end - schedule_.measure_from).count();
  return std::move(report_);
}

void DatagramBulk::send_due() {
  const MonotonicTime now = monotonic_now();
  if (now >= schedule_.end) return;
  const double rate = static_cast<double>(options_.udp_rate.bytes_per_second()) / datagram_bytes;
  due_datagrams_ += rate * std::chrono::duration<double>(now - last_).count();
  last_ = now;
  std::array<char, datagram_bytes> datagram{};
  const MessageHeader header{.kind = MessageKind::sink,
                             .id = id_,
                             .request_bytes = datagram_bytes,
                             .window_from_ns = schedule_.measure_from.since_boot.count(),
                             .window_to_ns = schedule_.end.since_boot.count()};
  std::copy_n(reinterpret_cast<const char*>(&header), sizeof header, datagram.data());
  for (; due_datagrams_ >= 1; due_datagrams_ -= 1) {
    const int fd = flows_[turn_++ % flows_.size()].get();
    const bool sent = send(fd, datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0;
    if (now < schedule_.measure_from) continue;
    ++(sent ? report_.datagrams_sent : report_.datagrams_blocked);
  }
  loop_.at(now + milliseconds(1), [this] { send_due(); });
}

void DatagramBulk::ask() {
  const MessageHeader question{.kind = MessageKind::report, .id = id_};
  // A failure shows as a missing answer.
  (void)send(flows_.front().get(), &question, sizeof question, MSG_NOSIGNAL);
  loop_.at(monotonic_now() + milliseconds(200), [this] { ask(); });
}

void DatagramBulk::receive_answer() {
  MessageHeader answer;
  const ssize_t got = recv(flows_.front().get(), &answer, sizeof answer, 0);
  if (got != sizeof answer || answer.kind != MessageKind::reply || answer.id != id_) return;
  report_.bytes = answer.request_bytes;
  answered_ = true;
  loop_.stop();
}

}  // namespace

Result<BulkReport> run_bulk(const BulkOptions& options) {
  if (options.flows == 0) return fail(ErrorKind::invalid, "--flows must be above 0");
  if (options.interval <= milliseconds(0))
    return fail(ErrorKind::invalid, "--interval must be above 0");
  if (options.bytes_per_flow != 0 && options.bytes_per_flow < sizeof(MessageHeader))
    return fail(ErrorKind::invalid, "--bytes-per-flow must be at least " +
                                        std::to_string(sizeof(MessageHeader)) + " (the header)");
  auto loop = EventLoop::open();
  if (!loop) return std::unexpected(loop.error());
  if (options.dial.transport == Transport::tcp && !options.from_ports.empty())
    return fail(ErrorKind::invalid, "--from-ports is for --udp");
  if (options.dial.transport == Transport::tcp) return Bulk(options, std::move(*loop)).run();
  if (options.udp_rate.bits_per_second == 0)
    return fail(ErrorKind::invalid, "--udp wants a --rate, such as \"50 Mbit\"");
  if (options.direction == Direction::download || options.bytes_per_flow != 0)
    return fail(ErrorKind::invalid, "--download and --bytes-per-flow are for TCP, not for --udp");
  return DatagramBulk(options, std::move(*loop)).run();
}

nlohmann::ordered_json to_json(const BulkReport& report) {
  const double mbit = static_cast<double>(report.bytes) * 8 / 1e6 / report.seconds;
  auto moved = nlohmann::ordered_json::array();
  for (const FlowMoved& flow : report.moved)
    moved.push_back({{"local", flow.local}, {"bytes", flow.bytes}});
  return {{"bytes", report.bytes},
          {"seconds", report.seconds},
          {"goodput_mbit", mbit},
          {"flows_started", report.flows_started},
          {"flows_finished", report.flows_finished},
          {"errors", report.errors},
          {"retransmits", report.retransmits},
          {"moved", moved},
          {"datagrams_sent", report.datagrams_sent},
          {"datagrams_blocked", report.datagrams_blocked},
          {"interval_bytes", report.interval_bytes}};
}

}  // namespace ankus::traffic
