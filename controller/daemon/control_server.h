// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "daemon/api.h"

namespace ankus {

/// Who asks: SO_PEERCRED and SO_PEERGROUPS of the connection, as the kernel saw them at connect(2).
struct Caller {
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  pid_t pid = 0;
  bool may_read = false;
  bool may_change = false;
};

/// One request that is complete, well-formed and permitted.
struct Request {
  api::Verb verb{};
  std::string method, path;
  std::string id;  ///< what follows a route that ends in '/'
  std::map<std::string, std::string> query;
  nlohmann::json body = nlohmann::json::object();  ///< of fields that the route knows
  Caller caller;
};

struct Reply {
  int status = 200;
  nlohmann::json body;
  std::optional<std::string> text;  ///< sent as text/plain instead of `body` (metrics)
};

/// {"error": {"kind", "text"}}: docs/api.md lists the kinds that go with each status.
Reply error_reply(int status, std::string_view kind, std::string_view text);

/// HTTP/1.1 and JSON on a UNIX socket, for one epoll loop: no thread, and no client can make it
/// wait. Checks size, form, fields, route and right of each request before the handler sees it.
class ControlServer {
 public:
  struct Options {
    std::string path = "/run/ankus/control.sock";
    std::string read_group = "ankus";  ///< owns the socket file; unknown: only root connects
    std::string change_group = "ankus-admin";
    unsigned clients = 32;  ///< more wait in the kernel's backlog
    /// A policy of 64 KB (base/file.h) with each byte escaped, and what goes around it.
    std::size_t body_limit = 160 * 1024;
    seconds idle_limit{10};            ///< of a connection that neither sends nor receives
    milliseconds total_limit{30'000};  ///< of a connection that only trickles
  };
  using Handler = std::function<Reply(const Request&)>;

  /// Refuses when another server holds `path`; replaces a socket file that nobody answers on.
  static Result<std::unique_ptr<ControlServer>> listen(Options options, Handler handler);
  ~ControlServer();

  int epoll_fd() const;                         ///< readable when run() has something to do
  void run();                                   ///< does what can be done without waiting
  std::optional<milliseconds> timeout() const;  ///< when to call run() at the latest

 private:
  struct State;
  explicit ControlServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ankus
