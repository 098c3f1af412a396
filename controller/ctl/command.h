// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "ctl/answer.h"

namespace ankus::ctl {

enum class Verb {
  status,
  workloads,
  flows,
  queues,
  latency,
  tcp,
  check,
  plan,
  apply,
  confirm,
  rollback,
  pause,
  resume,
  reload,
  doctor,
  history,
  explain,
  watch,
  opt_out,
  opt_in,
};

/// What the command line asks for.
struct Command {
  Verb verb = Verb::status;
  std::string socket = "/run/ankus/control.sock";
  bool json = false;
  std::optional<std::string> policy;  ///< plan, apply: a file
  std::vector<std::string> policies;  ///< check: files
  std::string what;  ///< rollback, explain, opt-out, opt-in, latency, tcp: an id or a name
  bool all = false;  ///< rollback
  std::optional<milliseconds> confirm_within;
  std::size_t limit = 0;        ///< flows, tcp, history; 0: the daemon's default
  milliseconds window{5000};    ///< latency: how long is measured
  std::uint32_t one_in = 16;    ///< latency: of so many packets one is measured
  bool csv = false;             ///< latency, tcp
  milliseconds interval{1000};  ///< watch
  std::size_t times = 0;        ///< watch: 0 is until interrupted

  bool operator==(const Command&) const = default;
};

/// `arguments` without the program's name; `environment_socket` is ANKUS_SOCKET, "" if unset.
/// An Answer: help, the version, or a mistake in the command line.
std::variant<Command, Answer> parse_command(std::vector<std::string> arguments,
                                            const std::string& environment_socket);

/// One request to the daemon: what a command becomes, apart from check.
struct Call {
  std::string method, target, body;
  bool operator==(const Call&) const = default;
};
/// `policy_text` is the content of the command's policy file, if it has one.
Call call_of(const Command& command, const std::string& policy_text);

}  // namespace ankus::ctl
