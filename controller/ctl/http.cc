// SPDX-License-Identifier: Apache-2.0
#include "ctl/http.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/handle.h"
#include "base/text.h"

namespace ankus::ctl {
namespace {

constexpr std::size_t kReplyLimit = 64 << 20;

std::optional<std::size_t> number(std::string_view text, int base) {
  std::size_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

/// Cuts the next line off `rest`; nullopt if none ends there.
std::optional<std::string_view> take_line(std::string_view& rest) {
  const auto end = rest.find("\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  return line;
}

Result<std::string> dechunked(std::string_view rest) {
  std::string body;
  for (;;) {
    const auto line = take_line(rest);
    if (!line) return fail(ErrorKind::invalid, "the reply ends within a chunk's size");
    const auto size = number(trim(line->substr(0, line->find(';'))), 16);
    if (!size) return fail(ErrorKind::invalid, "the reply has a chunk of no size");
    if (*size == 0) return body;
    if (rest.size() < 2 || *size > rest.size() - 2 || rest.substr(*size, 2) != "\r\n")
      return fail(ErrorKind::invalid, "the reply ends within a chunk");
    body.append(rest.substr(0, *size));
    rest.remove_prefix(*size + 2);
  }
}

CallError broken(std::string text) {
  return {.failure = CallFailure::broken, .text = std::move(text)};
}

CallError connect_error(const std::string& path, int err) {
  if (err == ENOENT || err == ECONNREFUSED)
    return {.failure = CallFailure::no_daemon,
            .text = "no ankusd answers on " + path +
                    "; start it (systemctl start ankusd), or name its socket with --socket or "
                    "ANKUS_SOCKET"};
  if (err == EACCES || err == EPERM)
    return {.failure = CallFailure::not_permitted,
            .text = "you may not use " + path +
                    "; it is for root and the group ankus (usermod -aG ankus USER, then log in "
                    "again; to change things also ankus-admin)"};
  return broken("connect to " + path + ": " + std::strerror(err));
}

}  // namespace

std::string http_request(std::string_view method, std::string_view target, std::string_view body) {
  std::string request = std::string(method) + " " + std::string(target) +
                        " HTTP/1.1\r\nHost: ankus\r\nConnection: close\r\n";
  if (!body.empty() || method == "POST")
    request +=
        "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  return request + "\r\n" + std::string(body);
}

Result<HttpReply> parse_http_reply(std::string_view bytes) {
  HttpReply reply;
  const auto first = take_line(bytes);
  if (!first || !first->starts_with("HTTP/1.") || first->size() < 12)
    return fail(ErrorKind::invalid, "what answers does not speak HTTP");
  const auto status = number(first->substr(9, 3), 10);
  if (!status) return fail(ErrorKind::invalid, "the reply has no status");
  reply.status = static_cast<int>(*status);
  for (;;) {
    const auto line = take_line(bytes);
    if (!line) return fail(ErrorKind::invalid, "the reply ends within its headers");
    if (line->empty()) break;
    const auto colon = line->find(':');
    if (colon == std::string_view::npos)
      return fail(ErrorKind::invalid, "the reply has a header without a colon");
    reply.headers.insert_or_assign(lower(line->substr(0, colon)),
                                   std::string(trim(line->substr(colon + 1))));
  }
  if (reply.status == 100) return parse_http_reply(bytes);  // "Continue": the real one follows
  if (const auto encoding = reply.headers.find("transfer-encoding");
      encoding != reply.headers.end() && lower(encoding->second) == "chunked") {
    auto body = dechunked(bytes);
    if (!body) return std::unexpected(body.error());
    reply.body = std::move(*body);
    return reply;
  }
  if (const auto header = reply.headers.find("content-length"); header != reply.headers.end()) {
    const auto length = number(header->second, 10);
    if (!length || *length > bytes.size())
      return fail(ErrorKind::invalid, "the reply is shorter than it says");
    bytes = bytes.substr(0, *length);
  }
  reply.body = std::string(bytes);
  return reply;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain)
      result += c;
    else
      result.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
  }
  return result;
}

std::expected<HttpReply, CallError> call(const std::string& path, const std::string& request,
                                         seconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return std::unexpected(broken("the socket's path must have 1 to 107 bytes: " + path));
  std::memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
  // SO_SNDTIMEO also limits connect(2) to a daemon whose backlog is full.
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
    return std::unexpected(broken(std::string("socket: ") + std::strerror(errno)));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return std::unexpected(connect_error(path, errno));

  std::string_view rest = request;
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    // A server that refuses early answers and hangs up before it has read all: read its answer.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) break;
    if (sent < 0)
      return std::unexpected(
          broken("ankusd does not take the request: " + std::string(std::strerror(errno))));
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }

  std::string received;
  std::array<char, 65536> block;
  while (received.size() <= kReplyLimit) {
    const ssize_t got = ::recv(fd.get(), block.data(), block.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN)
      return std::unexpected(
          broken("ankusd did not answer within " + std::to_string(patience.count()) + " s"));
    // ECONNRESET after an answer: the end of the connection.
    if (got == 0 || (got < 0 && errno == ECONNRESET && !received.empty())) {
      auto reply = parse_http_reply(received);
      if (!reply)
        return std::unexpected(
            broken(received.empty() ? "ankusd hung up without an answer" : reply.error().text));
      return std::move(*reply);
    }
    if (got < 0)
      return std::unexpected(broken("read ankusd's answer: " + std::string(std::strerror(errno))));
    received.append(block.data(), static_cast<std::size_t>(got));
  }
  return std::unexpected(broken("ankusd's answer is larger than 64 MiB"));
}

}  // namespace ankus::ctl
