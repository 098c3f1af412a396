// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "daemon/observer.h"
#include "daemon/options.h"
#include "journal/journal.h"

namespace ankus {

/// What Ankus can and cannot do on this host, and why.
struct Check {
  enum class State { ok, warn, fail, off };
  std::string name;
  State state = State::ok;
  std::string text;
  std::string remedy;  ///< "" when there is nothing to do
};

/// What there is to judge by.
struct Findings {
  enum class BpfDir { on_bpffs, elsewhere, missing };

  Host host;
  std::vector<Link> links;
  /// By ifindex, of the devices of a default route.
  Result<std::map<std::uint32_t, std::vector<DeviceProgram>>> programs_of_others;
  std::optional<SensorState> conntrack;  ///< its sensor
  bool conntrack_seen = false;           ///< it has met a packet
  bool conntrack_accounts = false;
  std::string bpf_dir;
  BpfDir bpf_dir_is = BpfDir::on_bpffs;
  std::optional<std::string> history_problem;
  std::vector<std::string> downgrades;
};
Findings look_around(const Options& options, const Observer& observer, const Snapshot& snapshot,
                     Journal& journal, std::vector<std::string> downgrades);
std::vector<Check> examine(const Findings& findings);
nlohmann::json doctor_report(const std::string& kernel, const std::vector<Check>& checks);

/// net.netfilter.nf_conntrack_acct of the network namespace that we are in.
bool conntrack_accounts();
/// Whether what is pinned in `directory`, which need not be there yet, outlives the daemon.
Findings::BpfDir bpf_dir_is(const std::string& directory);

}  // namespace ankus
