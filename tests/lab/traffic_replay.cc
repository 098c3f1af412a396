// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic_replay.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <random>
#include <unordered_map>

#include "lab/traffic_loop.h"
#include "lab/traffic_wire.h"

namespace ankus::traffic {

namespace {

constexpr std::size_t chunk_bytes = 65536;

struct Transfer {
  UniqueFd fd;
  MessageHeader header;
  FlowTruth truth;
  bool stands = false;
  std::uint64_t sent = 0;
  std::size_t reply_received = 0;
  MessageHeader reply;
};

class Replay {
 public:
  Replay(const ReplayOptions& options, EventLoop loop)
      : options_(options),
        loop_(std::move(loop)),
        sizes_(draw_sizes(options.table, options.flows, options.seed)) {}
  Result<std::vector<FlowTruth>> run();

 private:
  Result<> start_transfer();
  void on_event(std::uint64_t key, std::uint32_t events);
  Result<> advance(Transfer& transfer, std::uint32_t events);
  Result<> send_some(Transfer& transfer);
  Result<> receive_reply(Transfer& transfer);
  void stop_with(Error error);

  const ReplayOptions& options_;
  EventLoop loop_;
  std::vector<std::uint64_t> sizes_;
  std::size_t next_ = 0;
  std::unordered_map<std::uint64_t, Transfer> transfers_;
  std::vector<FlowTruth> done_;
  Result<> outcome_;
  std::array<char, chunk_bytes> chunk_{};
};

Result<std::vector<FlowTruth>> Replay::run() {
  const auto timeout = std::chrono::duration<double>(options_.timeout_seconds);
  const MonotonicTime deadline = monotonic_now() + std::chrono::duration_cast<nanoseconds>(timeout);
  while (next_ < std::min<std::size_t>(options_.concurrency, sizes_.size()))
    if (auto started = start_transfer(); !started) return std::unexpected(started.error());
  auto finished = loop_.run_until(deadline);
  if (!finished) return std::unexpected(finished.error());
  if (!outcome_) return std::unexpected(outcome_.error());
  if (!*finished)
    return fail(ErrorKind::refused, std::to_string(done_.size()) + " of " +
                                        std::to_string(sizes_.size()) + " flows to " +
                                        to_text(options_.dial.to) + " were done at --timeout");
  return std::move(done_);
}

Result<> Replay::start_transfer() {
  const std::uint64_t key = next_;
  const std::uint64_t bytes = sizes_[next_++];
  const MonotonicTime start = monotonic_now();
  auto fd = dial(options_.dial);
  if (!fd) return std::unexpected(fd.error());
  auto watching = loop_.watch(fd->get(), EPOLLIN | EPOLLOUT,
                              [this, key](std::uint32_t events) { on_event(key, events); });
  if (!watching) return watching;
  Transfer& transfer = transfers_[key];
  transfer.fd = std::move(*fd);
  transfer.header = {.kind = MessageKind::sink, .id = key, .request_bytes = bytes};
  transfer.truth = {.remote = options_.dial.to, .bytes = bytes, .start = start};
  return {};
}

void Replay::on_event(std::uint64_t key, std::uint32_t events) {
  Transfer& transfer = transfers_.at(key);
  if (auto advanced = advance(transfer, events); !advanced) return stop_with(advanced.error());
  if (transfer.reply_received < sizeof transfer.reply) return;
  transfer.truth.end = monotonic_now();
  done_.push_back(transfer.truth);
  loop_.forget(transfer.fd.get());
  transfers_.erase(key);
  if (next_ < sizes_.size()) {
    if (auto started = start_transfer(); !started) stop_with(started.error());
  } else if (transfers_.empty()) {
    loop_.stop();
  }
}

Result<> Replay::advance(Transfer& transfer, std::uint32_t events) {
  if (!transfer.stands) {
    if (auto outcome = connect_outcome(transfer.fd.get()); !outcome) return outcome;
    auto local = local_endpoint(transfer.fd.get());
    if (!local) return std::unexpected(local.error());
    transfer.truth.local = *local;
    transfer.stands = true;
  }
  if ((events & EPOLLOUT) != 0)
    if (auto sent = send_some(transfer); !sent) return sent;
  if ((events & ~EPOLLOUT) != 0) return receive_reply(transfer);
  return {};
}

Result<> Replay::send_some(Transfer& transfer) {
  const std::uint64_t total = transfer.header.request_bytes;
  while (transfer.sent < total) {
    const bool in_header = transfer.sent < sizeof(MessageHeader);
    const char* from =
        in_header ? reinterpret_cast<const char*>(&transfer.header) + transfer.sent : chunk_.data();
    const std::uint64_t size = in_header
                                   ? sizeof(MessageHeader) - transfer.sent
                                   : std::min<std::uint64_t>(chunk_bytes, total - transfer.sent);
    const int more = in_header && total > sizeof(MessageHeader) ? MSG_MORE : 0;
    const ssize_t sent = send(transfer.fd.get(), from, size, MSG_NOSIGNAL | more);
    if (sent < 0 && would_block(errno)) return {};
    if (sent < 0) return fail_errno("send to " + to_text(options_.dial.to));
    transfer.sent += static_cast<std::uint64_t>(sent);
    if (!in_header && transfer.sent < total) return {};  // the other flows' turn
  }
  return loop_.change(transfer.fd.get(), EPOLLIN);
}

Result<> Replay::receive_reply(Transfer& transfer) {
  char* into = reinterpret_cast<char*>(&transfer.reply);
  const ssize_t got = recv(transfer.fd.get(), into + transfer.reply_received,
                           sizeof transfer.reply - transfer.reply_received, 0);
  if (got < 0 && would_block(errno)) return {};
  if (got < 0) return fail_errno("recv from " + to_text(options_.dial.to));
  if (got == 0)
    return fail(ErrorKind::refused, to_text(options_.dial.to) + " closed flow " +
                                        std::to_string(transfer.header.id) + " before its end");
  transfer.reply_received += static_cast<std::size_t>(got);
  if (transfer.reply_received == sizeof transfer.reply &&
      transfer.reply.request_bytes != transfer.header.request_bytes)
    return fail(ErrorKind::refused, to_text(options_.dial.to) + " received " +
                                        std::to_string(transfer.reply.request_bytes) + " of " +
                                        std::to_string(transfer.header.request_bytes) + " bytes");
  return {};
}

void Replay::stop_with(Error error) {
  outcome_ = std::unexpected(std::move(error));
  loop_.stop();
}

}  // namespace

std::vector<std::uint64_t> draw_sizes(const SizeTable& table, std::uint64_t flows,
                                      std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> sizes;
  sizes.reserve(flows);
  for (std::uint64_t i = 0; i < flows; ++i)
    sizes.push_back(
        std::max<std::uint64_t>(size_at(table, draw_share(random)), sizeof(MessageHeader)));
  return sizes;
}

Result<std::vector<FlowTruth>> run_replay(const ReplayOptions& options) {
  if (options.flows == 0 || options.concurrency == 0)
    return fail(ErrorKind::invalid, "--flows and --concurrency must be above 0");
  auto loop = EventLoop::open();
  if (!loop) return std::unexpected(loop.error());
  return Replay(options, std::move(*loop)).run();
}

nlohmann::ordered_json to_json(const std::vector<FlowTruth>& flows, std::uint64_t threshold) {
  std::uint64_t large = 0, large_bytes = 0, small_bytes = 0;
  auto list = nlohmann::ordered_json::array();
  for (const FlowTruth& flow : flows) {
    const bool is_large = flow.bytes >= threshold;
    large += is_large;
    (is_large ? large_bytes : small_bytes) += flow.bytes;
    list.push_back({{"local", to_text(flow.local)},
                    {"remote", to_text(flow.remote)},
                    {"bytes", flow.bytes},
                    {"start_ns", flow.start.since_boot.count()},
                    {"end_ns", flow.end.since_boot.count()}});
  }
  return {{"threshold_bytes", threshold},        {"flows_at_or_above", large},
          {"flows_below", flows.size() - large}, {"bytes_at_or_above", large_bytes},
          {"bytes_below", small_bytes},          {"flows", list}};
}

}  // namespace ankus::traffic
