// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/control_server.h"
#include "daemon/controller.h"

namespace ankus {

/// What a failure is to the client.
Reply reply_of(const Error& error);
/// The same of `apply`, which mode observe does not allow.
Reply reply_of_apply(const Error& error, Mode mode);

/// The workload that a request's body names, by its name or its id.
Result<std::string> workload_in(const nlohmann::json& body);

/// Answers the control socket's requests (docs/api.md) from the controller.
class Requests {
 public:
  struct Parts {
    const Options& options;
    Controller& controller;
    Observer& observer;
    Journal& journal;
    const Clock& clock;
  };
  explicit Requests(Parts parts)
      : parts_(parts), started_(parts.clock.wall()), started_at_(parts.clock.monotonic()) {}

  Reply answer(const Request& request);

 private:
  nlohmann::json status();
  std::vector<std::string> downgrades();
  Reply plan(const Request& request);
  Reply apply(const Request& request);
  Reply rollback(const Request& request);
  Reply explain(const std::string& id);
  nlohmann::json last_verdict_on(const std::string& plan);
  Reply history(const Request& request);
  Reply latency();
  Reply measure(const Request& request);
  Reply done(Result<void> result, const std::string& text);

  Parts parts_;
  WallTime started_;
  MonotonicTime started_at_;
};

}  // namespace ankus
