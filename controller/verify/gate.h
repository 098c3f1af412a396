// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/verify_rule.h"
#include "verify/samples.h"

namespace ankus {

/// What an experiment is to relieve: each is at fault only if its own signs are there.
enum class Lever {
  bandwidth,  ///< queues on the way out, and shaping of what comes in
  receive,    ///< RSS tables, RPS: which CPU takes which packets
  cpus,       ///< affinity of IRQs and of vhost workers, XPS
};
std::string_view to_text(Lever lever);

/// Whether there is local evidence that the network path on this host is the trouble.
struct GateAnswer {
  bool open = false;
  std::vector<std::string> found;    ///< signs, with their numbers; one is enough
  std::vector<std::string> missing;  ///< signs that were looked for and are not there, or not known
  std::string against;  ///< why it is not the network, even if there are signs; else ""
  std::string text;     ///< all of it in one line, for `explain`

  bool operator==(const GateAnswer&) const = default;
};

/// Pure. Trouble that is not the network's (a CPU that is busy with something else, memory stalls,
/// workloads that wait for their own applications) closes the gate. How far away the other side is,
/// and how long it thinks, opens it for nobody: only waiting on this host is a sign.
GateAnswer gate(const Samples& window, Lever lever, const VerifyRule& rule);

}  // namespace ankus
