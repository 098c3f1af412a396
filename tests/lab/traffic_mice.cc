// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic_mice.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <unordered_map>

#include "lab/traffic_loop.h"
#include "lab/traffic_sizes.h"
#include "lab/traffic_wire.h"

namespace ankus::traffic {

namespace {

constexpr std::uint64_t largest_datagram = 60000;

struct Request {
  std::uint64_t id = 0;
  MonotonicTime intended;
  MonotonicTime sent;  ///< given to send(), unless the socket has no room then
  bool measured = false;
};

struct Connection {
  UniqueFd fd;
  bool stands = false;
  std::deque<Request> outstanding;
  std::uint64_t front_received = 0;  ///< of the response to outstanding.front()
  MessageHeader front;               ///< as much of its header as was received
  std::string unsent;
  bool waits_for_room = true;
};

std::string request_bytes(std::uint64_t id, std::uint64_t bytes) {
  const MessageHeader header{
      .kind = MessageKind::echo, .id = id, .request_bytes = bytes, .response_bytes = bytes};
  std::string text(bytes, '\0');
  std::copy_n(reinterpret_cast<const char*>(&header), sizeof header, text.data());
  return text;
}

class Mice {
 public:
  Mice(const MiceOptions& options, EventLoop loop)
      : options_(options), loop_(std::move(loop)), random_(options.seed) {}

  Result<MiceReport> run();

 private:
  bool per_request() const { return options_.life == MouseLife::per_request; }
  bool udp() const { return options_.dial.transport == Transport::udp; }

  Result<> begin();
  Result<> connect_all(MonotonicTime deadline);
  Result<std::uint64_t> open_connection();
  void reconnect_later();
  void schedule_next();
  void send_request();
  void enqueue(Connection& connection, const Request& request);
  void on_event(std::uint64_t key, std::uint32_t events);
  bool flush(Connection& connection);
  bool receive_stream(Connection& connection);
  void take_responses(Connection& connection, std::span<const char> received);
  bool receive_datagrams(Connection& connection);
  void answered(const Request& request, const MessageHeader& reply);
  void close_connection(std::uint64_t key);
  void give_up(const Request& request, std::string why);
  void stop_if_done();
  void count_unanswered(MonotonicTime now);

  const MiceOptions& options_;
  EventLoop loop_;
  std::mt19937_64 random_;
  Schedule schedule_;
  std::unordered_map<std::uint64_t, Connection> connections_;
  std::vector<std::uint64_t> round_;  ///< keys of the standing connections, in turn
  std::size_t turn_ = 0;
  std::uint64_t next_key_ = 1;
  std::uint64_t next_request_ = 1;
  MonotonicTime next_intended_;
  unsigned standing_ = 0;
  bool connecting_ = false;
  std::uint64_t measured_open_ = 0;
  bool sending_is_over_ = false;
  std::string last_error_;
  MiceReport report_;
  std::array<char, 65536> buffer_;
};

Result<std::uint64_t> Mice::open_connection() {
  auto fd = dial(options_.dial);
  if (!fd) return std::unexpected(fd.error());
  const std::uint64_t key = next_key_++;
  auto watching = loop_.watch(fd->get(), EPOLLIN | EPOLLOUT,
                              [this, key](std::uint32_t events) { on_event(key, events); });
  if (!watching) return std::unexpected(watching.error());
  connections_[key].fd = std::move(*fd);
  if (!per_request()) round_.push_back(key);
  return key;
}

Result<> Mice::connect_all(MonotonicTime deadline) {
  for (unsigned i = 0; i < options_.connections; ++i)
    if (auto opened = open_connection(); !opened) return std::unexpected(opened.error());
  // The loop stops when the last one stands; see on_event.
  connecting_ = true;
  auto all_stand = loop_.run_until(deadline);
  connecting_ = false;
  if (!all_stand) return std::unexpected(all_stand.error());
  if (standing_ < options_.connections)
    return fail(ErrorKind::refused, std::to_string(options_.connections - standing_) + " of " +
                                        std::to_string(options_.connections) + " connections to " +
                                        to_text(options_.dial.to) + " did not stand in time" +
                                        (last_error_.empty() ? ": no answer" : ": " + last_error_));
  return {};
}

// With a start that was asked for, connecting must be done by then; else the start can wait.
Result<> Mice::begin() {
  const bool waits = options_.timing.start_epoch_ns == 0;
  MonotonicTime deadline = monotonic_now() + seconds(5);
  if (!waits) {
    auto schedule = make_schedule(options_.timing);
    if (!schedule) return std::unexpected(schedule.error());
    schedule_ = *schedule;
    deadline = schedule_.start;
  }
  if (!per_request())
    if (auto connected = connect_all(deadline); !connected) return connected;
  if (!waits) return {};
  auto schedule = make_schedule(options_.timing);
  if (!schedule) return std::unexpected(schedule.error());
  schedule_ = *schedule;
  return {};
}

Result<MiceReport> Mice::run() {
  if (auto begun = begin(); !begun) return std::unexpected(begun.error());
  next_intended_ = schedule_.start;
  schedule_next();
  const auto drain = std::chrono::duration<double>(options_.drain_seconds);
  auto finished = loop_.run_until(schedule_.end + std::chrono::duration_cast<nanoseconds>(drain));
  if (!finished) return std::unexpected(finished.error());
  count_unanswered(monotonic_now());
  report_.latency = summarise(report_.samples);
  if (report_.requests == report_.errors + report_.unanswered)
    return fail(ErrorKind::refused, "none of " + std::to_string(report_.requests) +
                                        " requests to " + to_text(options_.dial.to) +
                                        " was answered" +
                                        (last_error_.empty() ? "" : ": " + last_error_));
  return std::move(report_);
}

void Mice::schedule_next() {
  const double gap_seconds = -std::log1p(-draw_share(random_)) / options_.rate;
  next_intended_ = next_intended_ + nanoseconds(std::llround(gap_seconds * 1e9));
  if (next_intended_ >= schedule_.end) {
    loop_.at(schedule_.end, [this] {
      sending_is_over_ = true;
      stop_if_done();
    });
    return;
  }
  loop_.at(next_intended_, [this] {
    send_request();
    schedule_next();
  });
}

void Mice::send_request() {
  const Request request{.id = next_request_++,
                        .intended = next_intended_,
                        .measured = next_intended_ >= schedule_.measure_from};
  if (request.measured) {
    ++report_.requests;
    ++measured_open_;
  }
  if (per_request()) {
    auto key = open_connection();
    if (!key) return give_up(request, key.error().text);
    enqueue(connections_[*key], request);
    return;
  }
  if (round_.empty()) return give_up(request, "no connection stands");
  const std::uint64_t key = round_[turn_++ % round_.size()];
  Connection& connection = connections_[key];
  enqueue(connection, request);
  if (connection.stands && !flush(connection)) close_connection(key);
}

void Mice::enqueue(Connection& connection, const Request& request) {
  connection.outstanding.push_back(request);
  connection.outstanding.back().sent = monotonic_now();
  connection.unsent += request_bytes(request.id, options_.bytes);
}

void Mice::on_event(std::uint64_t key, std::uint32_t events) {
  Connection& connection = connections_.at(key);
  if (!connection.stands) {
    if (auto outcome = connect_outcome(connection.fd.get()); !outcome) {
      last_error_ = outcome.error().text;
      return close_connection(key);
    }
    if ((events & EPOLLOUT) == 0) return;
    connection.stands = true;
    ++standing_;
    if (connecting_ && standing_ == options_.connections) loop_.stop();
  }
  if (!flush(connection)) return close_connection(key);
  if ((events & ~EPOLLOUT) == 0) return;
  const bool goes_on = udp() ? receive_datagrams(connection) : receive_stream(connection);
  const bool served = per_request() && connection.outstanding.empty();
  if (!goes_on || served) close_connection(key);
  stop_if_done();
}

// False if the connection has failed.
bool Mice::flush(Connection& connection) {
  while (!connection.unsent.empty()) {
    const std::size_t size = udp() ? options_.bytes : connection.unsent.size();
    const ssize_t sent = send(connection.fd.get(), connection.unsent.data(), size, MSG_NOSIGNAL);
    if (sent < 0 && would_block(errno)) break;
    if (sent < 0) {
      last_error_ = fail_errno("send").error().text;
      return false;
    }
    connection.unsent.erase(0, static_cast<std::size_t>(sent));
  }
  const bool needs_room = !connection.unsent.empty();
  if (needs_room == connection.waits_for_room) return true;
  connection.waits_for_room = needs_room;
  return bool(loop_.change(connection.fd.get(), needs_room ? EPOLLIN | EPOLLOUT : EPOLLIN));
}

bool Mice::receive_stream(Connection& connection) {
  while (true) {
    const ssize_t got = recv(connection.fd.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && would_block(errno)) return true;
    if (got <= 0) {
      last_error_ = got == 0 ? "the server closed the connection" : fail_errno("recv").error().text;
      return false;
    }
    take_responses(connection, {buffer_.data(), static_cast<std::size_t>(got)});
    if (static_cast<std::size_t>(got) < buffer_.size()) return true;
  }
}

// The responses come in order, each of the size that was asked for.
void Mice::take_responses(Connection& connection, std::span<const char> received) {
  while (!received.empty() && !connection.outstanding.empty()) {
    const auto size =
        std::min<std::size_t>(received.size(), options_.bytes - connection.front_received);
    if (connection.front_received < sizeof connection.front) {
      const auto of_header =
          std::min<std::size_t>(size, sizeof connection.front - connection.front_received);
      std::copy_n(received.data(), of_header,
                  reinterpret_cast<char*>(&connection.front) + connection.front_received);
    }
    connection.front_received += size;
    received = received.subspan(size);
    if (connection.front_received < options_.bytes) return;
    connection.front_received = 0;
    answered(connection.outstanding.front(), connection.front);
    connection.outstanding.pop_front();
  }
}

bool Mice::receive_datagrams(Connection& connection) {
  while (true) {
    const ssize_t got = recv(connection.fd.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && would_block(errno)) return true;
    if (got < 0) {
      last_error_ = fail_errno("recv").error().text;
      return false;
    }
    MessageHeader header;
    if (static_cast<std::size_t>(got) < sizeof header) continue;
    std::copy_n(buffer_.data(), sizeof header, reinterpret_cast<char*>(&header));
    const auto found = std::ranges::find(connection.outstanding, header.id, &Request::id);
    if (found == connection.outstanding.end()) continue;
    answered(*found, header);
    connection.outstanding.erase(found);
  }
}

void Mice::answered(const Request& request, const MessageHeader& reply) {
  if (!request.measured) return;
  const MonotonicTime now = monotonic_now();
  report_.samples.push_back(now - request.intended);
  if (options_.stamps) {
    report_.there.push_back(nanoseconds(reply.window_from_ns) - request.sent.since_boot);
    report_.back.push_back(now.since_boot - nanoseconds(reply.window_to_ns));
  }
  --measured_open_;
}

void Mice::give_up(const Request& request, std::string why) {
  last_error_ = std::move(why);
  if (!request.measured) return;
  ++report_.errors;
  --measured_open_;
  stop_if_done();
}

void Mice::close_connection(std::uint64_t key) {
  auto node = connections_.extract(key);
  loop_.forget(node.mapped().fd.get());
  if (node.mapped().stands) --standing_;
  for (const Request& request : node.mapped().outstanding) give_up(request, last_error_);
  if (per_request()) return;
  std::erase(round_, key);
  reconnect_later();
}

void Mice::reconnect_later() {
  loop_.at(monotonic_now() + milliseconds(100), [this] {
    if (!open_connection()) reconnect_later();
  });
}

void Mice::stop_if_done() {
  if (sending_is_over_ && measured_open_ == 0) loop_.stop();
}

void Mice::count_unanswered(MonotonicTime now) {
  for (const auto& [key, connection] : connections_)
    for (const Request& request : connection.outstanding) {
      if (!request.measured) continue;
      ++report_.unanswered;
      report_.samples.push_back(now - request.intended);
    }
}

}  // namespace

Result<MiceReport> run_mice(const MiceOptions& options) {
  if (options.connections == 0 || !(options.rate > 0))
    return fail(ErrorKind::invalid, "--connections and --rate must be above 0");
  const bool udp = options.dial.transport == Transport::udp;
  if (options.bytes < sizeof(MessageHeader) || (udp && options.bytes > largest_datagram))
    return fail(ErrorKind::invalid,
                "--bytes must be at least " + std::to_string(sizeof(MessageHeader)) +
                    " (the header), and with --udp at most " + std::to_string(largest_datagram));
  auto loop = EventLoop::open();
  if (!loop) return std::unexpected(loop.error());
  return Mice(options, std::move(*loop)).run();
}

namespace {

nlohmann::ordered_json one_way(const std::vector<nanoseconds>& samples) {
  nlohmann::ordered_json json = to_json(summarise(samples));
  const nanoseconds sum = std::accumulate(samples.begin(), samples.end(), nanoseconds(0));
  json["mean_us"] =
      std::chrono::duration<double, std::micro>(sum).count() / static_cast<double>(samples.size());
  return json;
}

}  // namespace

nlohmann::ordered_json to_json(const MiceReport& report) {
  nlohmann::ordered_json json = to_json(report.latency);
  json["requests"] = report.requests;
  json["errors"] = report.errors;
  json["unanswered"] = report.unanswered;
  if (!report.there.empty()) {
    json["there"] = one_way(report.there);
    json["back"] = one_way(report.back);
  }
  return json;
}

}  // namespace ankus::traffic
