// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace ankus::ctl {

struct HttpReply {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;

  bool operator==(const HttpReply&) const = default;
};

/// The bytes of one request that asks the server to hang up after its reply.
std::string http_request(std::string_view method, std::string_view target, std::string_view body);

/// A whole reply, up to the end of the connection: with Content-Length, chunked, or neither.
Result<HttpReply> parse_http_reply(std::string_view bytes);

/// `text` fit for a path or a query: everything but letters, digits and -._~ as %XX.
std::string percent_encoded(std::string_view text);

/// Why no reply came, as far as the caller must tell it apart.
enum class CallFailure { no_daemon, not_permitted, broken };
struct CallError {
  CallFailure failure = CallFailure::broken;
  std::string text;
};

/// Sends one request over a new connection to the UNIX socket at `path` and waits for its reply.
std::expected<HttpReply, CallError> call(const std::string& path, const std::string& request,
                                         seconds patience);

}  // namespace ankus::ctl
