// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "policy/policy.h"

namespace ankus {

/// ankusd's command line (docs/operating.md).
struct Options {
  std::string config_dir = "/etc/ankus/policies.d";
  std::vector<std::string> policies;  ///< files; if any, the directory is not read
  std::optional<Mode> mode;           ///< overrides the policies'
  std::string state_dir = "/var/lib/ankus";
  std::string runtime_dir = "/run/ankus";
  std::string socket = "/run/ankus/control.sock";
  std::string bpf_dir = "/sys/fs/bpf/ankus";
  bool once = false;
  bool dry_run = false;
  nanoseconds observe = seconds(10);
  bool json = false;
  bool rollback = false;
  bool pending = false;         ///< with rollback: only what was not confirmed in time
  bool namespace_gone = false;  ///< with rollback: forget what was set in other network namespaces
  nanoseconds after{};          ///< with pending: wait that long first (the dead man's switch)
};

/// What to print and exit with instead of running: help, version or a usage error (code 2).
struct EarlyExit {
  int code = 0;
  std::string text;
};
std::variant<Options, EarlyExit> parse_options(int argc, const char* const* argv);

}  // namespace ankus
