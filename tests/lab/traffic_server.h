// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lab/traffic_loop.h"
#include "lab/traffic_socket.h"
#include "lab/traffic_wire.h"

namespace ankus::traffic {

struct ServerOptions {
  std::uint16_t port = 5000;
  bool udp = false;  ///< besides TCP
  Families families = Families::both;
  std::string congestion = "cubic";
};

/// Answers each kind of message of traffic_wire.h, all connections in one thread.
class Server {
 public:
  /// Listens when this returns.
  static Result<std::unique_ptr<Server>> open(const ServerOptions& options);
  Result<bool> run_until(MonotonicTime deadline);
  /// From now on each mouse's request takes so much longer, one after another, as in an application
  /// of one thread. Of any thread or signal handler.
  void slow_down(nanoseconds per_request) { delay_ns_ = per_request.count(); }

 private:
  struct Session {
    UniqueFd fd;
    MessageHeader request;
    MessageHeader response;
    std::size_t header_received = 0;
    std::uint64_t body_left = 0;
    std::uint64_t response_sent = 0;
    std::uint64_t response_bytes = 0;  ///< 0: none under way
    bool waits_for_room = false;
  };
  enum class Step { advanced, waits, over };

  explicit Server(EventLoop loop) : loop_(std::move(loop)) {}
  void accept_all();
  void serve(int fd);
  Step step(Session& session);
  Step receive_header(Session& session);
  Step receive_body(Session& session);
  Step send_response(Session& session);
  void begin_response(Session& session, std::uint64_t bytes);
  void answer_datagrams();
  void work() const;
  void answer_datagram(const MessageHeader& header, std::size_t size, const Endpoint& from,
                       std::int64_t arrived_ns);

  EventLoop loop_;
  UniqueFd listener_;
  UniqueFd datagrams_;
  std::unordered_map<int, Session> sessions_;
  std::unordered_map<std::uint64_t, std::uint64_t> datagram_bytes_;  ///< by id, within its window
  std::atomic<nanoseconds::rep> delay_ns_ = 0;
  std::vector<char> buffer_ = std::vector<char>(65536);
};

}  // namespace ankus::traffic
