// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
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
std::vector<Check> examine(const Options& options, const Observer& observer,
                           const Snapshot& snapshot, Journal& journal);
nlohmann::json doctor_report(const std::string& kernel, const std::vector<Check>& checks);

/// net.netfilter.nf_conntrack_acct of the network namespace that we are in.
bool conntrack_accounts();

}  // namespace ankus
