// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic_server.h"

#include <sys/epoll.h>
#include <sys/uio.h>

#include <algorithm>
#include <limits>
#include <thread>

#include "lab/traffic_clock.h"

namespace ankus::traffic {

namespace {

constexpr std::uint64_t endless = std::numeric_limits<std::uint64_t>::max();
/// So much for one connection before the others have their turn.
constexpr std::size_t steps_per_turn = 8;
constexpr std::size_t bytes_per_step = 65536;
constexpr std::size_t datagrams_per_turn = 64;
constexpr std::size_t most_datagram_ids = 4096;

std::int64_t stamp() { return monotonic_now().since_boot.count(); }

bool is_valid(const MessageHeader& header) {
  if (header.magic != MessageHeader::magic_value) return false;
  const bool request_fits = header.request_bytes >= sizeof header;
  const bool response_fits = header.response_bytes >= sizeof header;
  switch (header.kind) {
    case MessageKind::echo: return request_fits && response_fits;
    case MessageKind::sink: return request_fits || header.request_bytes == 0;
    case MessageKind::source: return response_fits || header.response_bytes == 0;
    case MessageKind::report:
    case MessageKind::reply: return false;  // not over TCP
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::open(const ServerOptions& options) {
  auto loop = EventLoop::open();
  if (!loop) return std::unexpected(loop.error());
  std::unique_ptr<Server> server(new Server(std::move(*loop)));

  auto listener = listen_tcp(options.port, options.families, options.congestion);
  if (!listener) return std::unexpected(listener.error());
  server->listener_ = std::move(*listener);
  auto watching = server->loop_.watch(server->listener_.get(), EPOLLIN,
                                      [raw = server.get()](std::uint32_t) { raw->accept_all(); });
  if (!watching) return std::unexpected(watching.error());

  if (options.udp) {
    auto datagrams = bind_udp(options.port, options.families);
    if (!datagrams) return std::unexpected(datagrams.error());
    server->datagrams_ = std::move(*datagrams);
    watching =
        server->loop_.watch(server->datagrams_.get(), EPOLLIN,
                            [raw = server.get()](std::uint32_t) { raw->answer_datagrams(); });
    if (!watching) return std::unexpected(watching.error());
  }
  return server;
}

Result<bool> Server::run_until(MonotonicTime deadline) { return loop_.run_until(deadline); }

void Server::work() const {
  if (const nanoseconds delay(delay_ns_); delay.count() > 0) std::this_thread::sleep_for(delay);
}

void Server::accept_all() {
  while (true) {
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd)
      return;  // none left, or gone again, or no descriptor left: the client's deadline tells
    const int number = fd.get();
    if (!loop_.watch(number, EPOLLIN, [this, number](std::uint32_t) { serve(number); })) continue;
    sessions_[number].fd = std::move(fd);
  }
}

void Server::serve(int fd) {
  const auto found = sessions_.find(fd);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  Step outcome = Step::advanced;
  for (std::size_t i = 0; i < steps_per_turn && outcome == Step::advanced; ++i)
    outcome = step(session);
  // A response is under way exactly when the socket has no room for it.
  const bool needs_room = session.response_bytes != 0;
  if (outcome != Step::over && needs_room != session.waits_for_room) {
    session.waits_for_room = needs_room;
    if (!loop_.change(fd, needs_room ? EPOLLOUT : EPOLLIN)) outcome = Step::over;
  }
  if (outcome == Step::over) {
    loop_.forget(fd);
    sessions_.erase(found);
  }
}

Server::Step Server::step(Session& session) {
  if (session.response_bytes != 0) return send_response(session);
  if (session.body_left != 0) return receive_body(session);
  return receive_header(session);
}

Server::Step Server::receive_header(Session& session) {
  char* into = reinterpret_cast<char*>(&session.request);
  const ssize_t got = recv(session.fd.get(), into + session.header_received,
                           sizeof session.request - session.header_received, 0);
  if (got < 0) return would_block(errno) ? Step::waits : Step::over;
  if (got == 0) return Step::over;
  session.header_received += static_cast<std::size_t>(got);
  if (session.header_received < sizeof session.request) return Step::advanced;
  session.header_received = 0;
  const MessageHeader& request = session.request;
  if (!is_valid(request)) return Step::over;
  if (request.kind == MessageKind::source) {
    begin_response(session, request.response_bytes == 0 ? endless : request.response_bytes);
    return Step::advanced;
  }
  session.body_left = request.request_bytes == 0 ? endless : request.request_bytes - sizeof request;
  if (session.body_left == 0) begin_response(session, request.response_bytes);
  return Step::advanced;
}

Server::Step Server::receive_body(Session& session) {
  // MSG_TRUNC on a TCP socket discards without copying (tcp(7)).
  const ssize_t got = recv(session.fd.get(), buffer_.data(),
                           std::min<std::uint64_t>(session.body_left, bytes_per_step), MSG_TRUNC);
  if (got < 0) return would_block(errno) ? Step::waits : Step::over;
  if (got == 0) return Step::over;
  if (session.body_left != endless) session.body_left -= static_cast<std::uint64_t>(got);
  if (session.body_left == 0) begin_response(session, session.request.response_bytes);
  return Step::advanced;
}

void Server::begin_response(Session& session, std::uint64_t bytes) {
  session.response = {.kind = MessageKind::reply,
                      .id = session.request.id,
                      .request_bytes = session.request.request_bytes,
                      .response_bytes = bytes};
  if (session.request.kind == MessageKind::echo) {
    session.response.window_from_ns = stamp();
    work();
    session.response.window_to_ns = stamp();
  }
  session.response_sent = 0;
  session.response_bytes = std::max<std::uint64_t>(bytes, sizeof(MessageHeader));
}

Server::Step Server::send_response(Session& session) {
  const char* header = reinterpret_cast<const char*>(&session.response);
  const std::size_t header_left =
      sizeof(MessageHeader) - std::min<std::uint64_t>(session.response_sent, sizeof(MessageHeader));
  const std::uint64_t left = session.response_bytes - session.response_sent;
  iovec parts[2] = {
      {.iov_base = const_cast<char*>(header + sizeof(MessageHeader) - header_left),
       .iov_len = header_left},
      {.iov_base = buffer_.data(),
       .iov_len = std::min<std::uint64_t>(left - header_left, bytes_per_step)},
  };
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  const ssize_t sent = sendmsg(session.fd.get(), &message, MSG_NOSIGNAL);
  if (sent < 0) return would_block(errno) ? Step::waits : Step::over;
  session.response_sent += static_cast<std::uint64_t>(sent);
  if (session.response_sent == session.response_bytes) session.response_bytes = 0;
  return Step::advanced;
}

void Server::answer_datagrams() {
  for (std::size_t i = 0; i < datagrams_per_turn; ++i) {
    const Datagram got = receive_stamped(datagrams_.get(), buffer_);
    if (got.size < 0) return;
    const auto size = static_cast<std::size_t>(got.size);
    MessageHeader header;
    if (size < sizeof header) continue;
    std::copy_n(buffer_.data(), sizeof header, reinterpret_cast<char*>(&header));
    if (header.magic != MessageHeader::magic_value) continue;
    answer_datagram(header, size, got.from, got.arrived.since_boot.count());
  }
}

void Server::answer_datagram(const MessageHeader& header, std::size_t size, const Endpoint& from,
                             std::int64_t arrived_ns) {
  MessageHeader reply{.kind = MessageKind::reply, .id = header.id, .request_bytes = size};
  std::size_t reply_size = sizeof reply;
  switch (header.kind) {
    case MessageKind::sink: {
      const auto now = monotonic_now().since_boot.count();
      if (now < header.window_from_ns || now >= header.window_to_ns) return;
      if (datagram_bytes_.size() >= most_datagram_ids && !datagram_bytes_.contains(header.id))
        datagram_bytes_.clear();  // counts of long finished runs
      datagram_bytes_[header.id] += size;
      return;
    }
    case MessageKind::report:
      if (const auto found = datagram_bytes_.find(header.id); found != datagram_bytes_.end())
        reply.request_bytes = found->second;
      else
        reply.request_bytes = 0;
      break;
    case MessageKind::echo:
      reply_size = std::clamp<std::size_t>(header.response_bytes, sizeof reply, buffer_.size());
      reply.window_from_ns = arrived_ns;
      work();
      reply.window_to_ns = stamp();
      break;
    case MessageKind::source:
    case MessageKind::reply: return;
  }
  reply.response_bytes = reply_size;
  std::copy_n(reinterpret_cast<const char*>(&reply), sizeof reply, buffer_.data());
  // A full socket loses it, as the network might: the client counts what is missing.
  (void)sendto(datagrams_.get(), buffer_.data(), reply_size, MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&from.address), from.length);
}

}  // namespace ankus::traffic
