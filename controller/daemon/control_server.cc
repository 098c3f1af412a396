// SPDX-License-Identifier: Apache-2.0
#include "daemon/control_server.h"

#include <fcntl.h>
#include <grp.h>
#include <microhttpd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "base/handle.h"
#include "base/text.h"
#include "base/version.h"
#include "daemon/fields.h"

namespace ankus {
namespace {

/// No request has a deeper one; what is made of a body, dump() for one, recurses.
constexpr int kDeepestBody = 16;

using nlohmann::json;

/// A request on its way in. MHD keeps the pointer for us between its calls.
struct Exchange {
  Request request;
  std::string body;
  std::size_t received = 0;
};

struct SocketFile {
  UniqueFd listener;
  UniqueFd lock;
  dev_t device = 0;
  ino_t inode = 0;
};

std::optional<gid_t> find_group(const std::string& name) {
  const group* entry = ::getgrnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return entry->gr_gid;
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail(ErrorKind::invalid, "control socket " + ankus::quoted(path) + ": a path of 1 to " +
                                        std::to_string(sizeof address.sun_path - 1) +
                                        " bytes is needed");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

/// Removes what is at `path` if it is a socket on which nobody answers.
Result<void> clear_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno("control socket " + ankus::quoted(path));
  }
  if (!S_ISSOCK(status.st_mode))
    return fail(ErrorKind::invalid, "control socket " + ankus::quoted(path) +
                                        ": something that is not a socket is there; remove it or "
                                        "choose another path with --socket");
  UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return fail_errno("control socket " + ankus::quoted(path));
  const int connected = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address),
                                  static_cast<socklen_t>(sizeof address));
  // EAGAIN: its backlog is full, so somebody listens.
  if (connected == 0 || errno == EAGAIN)
    return fail(ErrorKind::busy, "control socket " + ankus::quoted(path) +
                                     ": another daemon answers there; stop it, or give this one "
                                     "its own --socket, --state-dir and --runtime-dir");
  if (errno != ECONNREFUSED) return fail_errno("control socket " + ankus::quoted(path));
  if (::unlink(path.c_str()) != 0) return fail_errno("remove stale " + ankus::quoted(path));
  return {};
}

/// A lock file beside the socket decides between two daemons that start at the same time; the
/// kernel drops the lock with the process, however that ends.
Result<UniqueFd> take_lock(const std::string& path) {
  const std::string lock_path = path + ".lock";
  UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock && errno == ENOENT)
    return fail(ErrorKind::invalid, "control socket " + ankus::quoted(path) +
                                        ": its directory does not exist; systemd makes "
                                        "/run/ankus, by hand: install -d -m 0755 DIRECTORY");
  if (!lock) return fail_errno("control socket lock " + ankus::quoted(lock_path));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return fail(ErrorKind::busy, "control socket " + ankus::quoted(path) +
                                       ": another daemon holds it; stop it, or give this one its "
                                       "own --socket, --state-dir and --runtime-dir");
    return fail_errno("control socket lock " + ankus::quoted(lock_path));
  }
  return lock;
}

Result<SocketFile> open_socket(const std::string& path, std::optional<gid_t> group) {
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  auto lock = take_lock(path);
  if (!lock) return std::unexpected(lock.error());
  if (const auto cleared = clear_stale(path, *address); !cleared)
    return std::unexpected(cleared.error());

  const std::string what = "control socket " + ankus::quoted(path);
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener) return fail_errno(what);
  // The file gets the mode of the unbound socket's inode (net/unix/af_unix.c, unix_bind_bsd), and
  // connect() is refused before listen(): there is no moment with weaker rights than the last.
  if (::fchmod(listener.get(), 0600) != 0) return fail_errno(what);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address),
             static_cast<socklen_t>(sizeof *address)) != 0)
    return fail_errno("bind " + what);
  SocketFile file{.listener = std::move(listener), .lock = std::move(*lock)};
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return fail_errno(what);
  file.device = status.st_dev;
  file.inode = status.st_ino;
  // Without the group only the daemon's own user connects. An unprivileged test daemon may not
  // chown: then it stays closed as well.
  if (group && ::lchown(path.c_str(), static_cast<uid_t>(-1), *group) == 0 &&
      ::chmod(path.c_str(), 0660) != 0)
    return fail_errno("chmod " + what);
  if (::listen(file.listener.get(), 128) != 0) return fail_errno("listen on " + what);
  return file;
}

std::vector<gid_t> groups_of_peer(int fd) {
  std::vector<gid_t> groups(32);
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int got = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    // ERANGE: `size` says what is needed.
    if (got != 0 && errno != ERANGE) return {};
    groups.resize(size / sizeof(gid_t));
    if (got == 0) return groups;
  }
  return {};
}

MHD_Result add_argument(void* query, MHD_ValueKind, const char* key, const char* value) {
  static_cast<std::map<std::string, std::string>*>(query)->insert_or_assign(
      key, value == nullptr ? "" : value);
  return MHD_YES;
}

MHD_Result send(MHD_Connection* connection, const Reply& reply) {
  // Names come from containers and may be no UTF-8: replaced, since dump() would throw.
  const std::string content =
      reply.text ? *reply.text
                 : reply.body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  const Handle<MHD_Response, MHD_destroy_response> response(MHD_create_response_from_buffer(
      content.size(), const_cast<char*>(content.data()), MHD_RESPMEM_MUST_COPY));
  if (!response) return MHD_NO;
  const auto add = [&](const char* name, std::string_view value) {
    (void)MHD_add_response_header(response.get(), name, std::string(value).c_str());
  };
  add(MHD_HTTP_HEADER_CONTENT_TYPE,
      reply.text ? "text/plain; version=0.0.4; charset=utf-8" : "application/json");
  add("Ankus-Api", kApiVersion);
  add("Ankus-Version", kVersion);
  add(MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  // One request per connection: rights are checked once each, and nobody sits on one of few.
  add(MHD_HTTP_HEADER_CONNECTION, "close");
  return MHD_queue_response(connection, static_cast<unsigned>(reply.status), response.get());
}

bool content_length_above(MHD_Connection* connection, std::size_t limit) {
  const char* text =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  if (text == nullptr) return false;
  std::size_t length = 0;
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, length);
  return parsed.ec != std::errc{} || parsed.ptr != end || length > limit;
}

Reply too_large(std::size_t limit) {
  return error_reply(413, "too_large",
                     "the request's body has more than " + std::to_string(limit) + " bytes");
}

}  // namespace

Reply error_reply(int status, std::string_view kind, std::string_view text) {
  return {.status = status, .body = {{"error", {{"kind", kind}, {"text", text}}}}};
}

struct ControlServer::State {
  Options options;
  Handler handler;
  std::optional<gid_t> read_group, change_group;
  SocketFile file;
  SystemClock clock;
  std::map<int, MonotonicTime> deadlines;    ///< of the open connections, by descriptor
  Handle<MHD_Daemon, MHD_stop_daemon> http;  ///< last: its end calls back into the above

  ~State() {
    http.reset();
    struct stat status{};
    // Only our own file: a successor may have put its socket there.
    if (file.inode != 0 && ::lstat(options.path.c_str(), &status) == 0 &&
        status.st_dev == file.device && status.st_ino == file.inode)
      (void)::unlink(options.path.c_str());  // a stale file is cleared by the next start
  }

  Caller caller_on(MHD_Connection* connection) const {
    Caller caller;
    const MHD_ConnectionInfo* info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (info == nullptr ||
        ::getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
      return caller;
    caller.uid = credentials.uid;
    caller.gid = credentials.gid;
    caller.pid = credentials.pid;
    std::vector<gid_t> groups = groups_of_peer(info->connect_fd);
    groups.push_back(credentials.gid);
    const auto in = [&](std::optional<gid_t> group) {
      return group && std::ranges::find(groups, *group) != groups.end();
    };
    caller.may_change = caller.uid == 0 || in(change_group);
    caller.may_read = caller.may_change || in(read_group);
    return caller;
  }

  Reply not_permitted(const Caller& caller, api::Right right) const {
    const std::string& group =
        right == api::Right::change ? options.change_group : options.read_group;
    const bool exists =
        right == api::Right::change ? change_group.has_value() : read_group.has_value();
    return error_reply(
        403, "not_permitted",
        "uid " + std::to_string(caller.uid) + " is not in the group " + group +
            (right == api::Right::change ? ", which may change" : ", which may read") +
            (exists ? "" : " (that group does not exist on this host)") + "; root may always");
  }

  /// Why a request is refused before its body is looked at, if it is. Fills in its route.
  std::optional<Reply> refusal(MHD_Connection* connection, Request& request) const {
    if (!request.caller.may_read) return not_permitted(request.caller, api::Right::read);
    const api::Route* found = nullptr;
    std::string_view other_method;
    for (const api::Route& route : api::kRoutes) {
      if (!api::path_matches(route, request.path)) continue;
      if (route.method == request.method) found = &route;
      other_method = route.method;
    }
    if (found == nullptr && !other_method.empty())
      return error_reply(405, "bad_method",
                         printable(request.path) + " does not know the method " +
                             printable(request.method) + "; use " + std::string(other_method));
    if (found == nullptr)
      return error_reply(
          404, "not_found",
          "there is no " + ankus::quoted(request.path) + "; docs/api.md lists the paths");
    if (found->right == api::Right::change && !request.caller.may_change)
      return not_permitted(request.caller, api::Right::change);
    if (content_length_above(connection, options.body_limit)) return too_large(options.body_limit);
    request.verb = found->verb;
    if (found->path.ends_with('/')) request.id = request.path.substr(found->path.size());
    return std::nullopt;
  }

  Reply answer(Exchange& exchange) const {
    if (exchange.received > options.body_limit) return too_large(options.body_limit);
    const api::Route& route = api::route_of(exchange.request.verb);
    if (route.method == "POST" && !exchange.request.query.empty())
      return error_reply(400, "bad_request",
                         "a POST has its fields in the body, as JSON, not behind a '?'");
    if (!trim(exchange.body).empty()) {
      bool too_deep = false;
      const auto looks = [&](int depth, json::parse_event_t, json&) {
        too_deep = too_deep || depth > kDeepestBody;
        return !too_deep;
      };
      exchange.request.body = json::parse(exchange.body, looks, /*allow_exceptions=*/false);
      if (too_deep)
        return error_reply(400, "bad_request", "the request's body is nested too deeply");
      if (exchange.request.body.is_discarded())
        return error_reply(400, "bad_request", "the request's body is not JSON");
      if (!exchange.request.body.is_object())
        return error_reply(400, "bad_request", "the request's body is not a JSON object {...}");
      if (const auto wrong = wrong_field(exchange.request.body, route))
        return error_reply(400, "bad_request", *wrong);
    }
    return handler(exchange.request);
  }

  // MHD calls this once with the headers, then with each piece of the body, then with none.
  MHD_Result on_request(MHD_Connection* connection, const char* path, const char* method,
                        const char* data, std::size_t* size, void** context) {
    if (*context == nullptr) {
      auto* exchange = new Exchange;  // on_completed() deletes it
      *context = exchange;
      Request& request = exchange->request;
      request.method = method;
      request.path = path;
      request.caller = caller_on(connection);
      (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_argument,
                                      &request.query);
      if (const auto refused = refusal(connection, request)) return send(connection, *refused);
      return MHD_YES;
    }
    auto& exchange = *static_cast<Exchange*>(*context);
    if (*size == 0) return send(connection, answer(exchange));
    exchange.received += *size;
    // An answer can only be queued after the body: swallow a little too much, hang up on more.
    if (exchange.received > 4 * options.body_limit) return MHD_NO;
    if (exchange.received <= options.body_limit) exchange.body.append(data, *size);
    *size = 0;
    return MHD_YES;
  }

  void hang_up_late_ones() {
    const MonotonicTime now = clock.monotonic();
    for (auto& [fd, deadline] : deadlines) {
      if (now < deadline) continue;
      (void)::shutdown(fd, SHUT_RDWR);  // MHD sees the end and closes it
      deadline = now + seconds(1);
    }
  }
};

namespace {
template <class State>
MHD_Result on_request(void* state, MHD_Connection* connection, const char* url, const char* method,
                      const char*, const char* data, std::size_t* size, void** context) {
  return static_cast<State*>(state)->on_request(connection, url, method, data, size, context);
}

void on_completed(void*, MHD_Connection*, void** context, MHD_RequestTerminationCode) {
  delete static_cast<Exchange*>(*context);
  *context = nullptr;
}

template <class State>
void on_connection(void* state_pointer, MHD_Connection* connection, void**,
                   MHD_ConnectionNotificationCode code) {
  auto& state = *static_cast<State*>(state_pointer);
  const MHD_ConnectionInfo* info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (info == nullptr) return;
  if (code == MHD_CONNECTION_NOTIFY_STARTED)
    state.deadlines.insert_or_assign(info->connect_fd,
                                     state.clock.monotonic() + state.options.total_limit);
  else
    state.deadlines.erase(info->connect_fd);
}
}  // namespace

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
ControlServer::~ControlServer() = default;

Result<std::unique_ptr<ControlServer>> ControlServer::listen(Options options, Handler handler) {
  auto state = std::make_unique<State>();
  state->read_group = find_group(options.read_group);
  state->change_group = find_group(options.change_group);
  auto file = open_socket(options.path, state->read_group);
  if (!file) return std::unexpected(file.error());
  state->file = std::move(*file);
  state->options = std::move(options);
  state->handler = std::move(handler);

  const Options& chosen = state->options;
  state->http.reset(MHD_start_daemon(
      MHD_USE_EPOLL, 0, nullptr, nullptr, &on_request<State>, state.get(), MHD_OPTION_LISTEN_SOCKET,
      state->file.listener.get(), MHD_OPTION_CONNECTION_LIMIT, chosen.clients,
      MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(chosen.idle_limit.count()),
      MHD_OPTION_NOTIFY_COMPLETED, &on_completed, nullptr, MHD_OPTION_NOTIFY_CONNECTION,
      &on_connection<State>, state.get(), MHD_OPTION_END));
  if (!state->http)
    return fail(ErrorKind::refused, "control socket " + ankus::quoted(chosen.path) +
                                        ": libmicrohttpd does not start with epoll");
  (void)state->file.listener.release();  // MHD closes it from here on
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

int ControlServer::epoll_fd() const {
  const MHD_DaemonInfo* info = MHD_get_daemon_info(state_->http.get(), MHD_DAEMON_INFO_EPOLL_FD);
  assert(info != nullptr);
  return info->epoll_fd;
}

void ControlServer::run() {
  state_->hang_up_late_ones();
  (void)MHD_run(state_->http.get());  // fails only for a daemon with threads of its own
}

std::optional<milliseconds> ControlServer::timeout() const {
  std::optional<milliseconds> soonest;
  MHD_UNSIGNED_LONG_LONG of_http = 0;
  if (MHD_get_timeout(state_->http.get(), &of_http) == MHD_YES)
    soonest = milliseconds(static_cast<std::int64_t>(of_http));
  const MonotonicTime now = state_->clock.monotonic();
  for (const auto& [fd, deadline] : state_->deadlines) {
    const auto left = std::max(std::chrono::ceil<milliseconds>(deadline - now), milliseconds(0));
    soonest = soonest ? std::min(*soonest, left) : left;
  }
  return soonest;
}

}  // namespace ankus
