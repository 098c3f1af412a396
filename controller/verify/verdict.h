// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/verify_rule.h"
#include "verify/gate.h"
#include "verify/samples.h"

namespace ankus {

/// Did it help?
enum class Effect { helped, harmed, no_effect, inconclusive };
std::string_view to_text(Effect effect);
std::optional<Effect> effect_from_text(std::string_view text);

/// A figure and the bounds within which the truth lies with the verdict's confidence. `high` may be
/// nanoseconds::max(): too few packets to bound a high percentile from above.
struct Bounded {
  nanoseconds low{}, value{}, high{};
  bool operator==(const Bounded&) const = default;
};

/// One light workload before and after: the watched percentile, summed over the segments of its
/// path on this host, or of its round trip and its way in, whichever decided.
struct Comparison {
  WorkloadId workload = 0;
  std::string name;
  bool control = false;
  Effect effect = Effect::inconclusive;                              ///< of this workload alone
  Bounded before, after;                                             ///< the path
  std::optional<nanoseconds> application_before, application_after;  ///< waiting for it; not judged
  std::uint64_t packets_before = 0, packets_after = 0;
  double worth_before = 0, worth_after = 0;  ///< independent packets that they are worth
  Share coverage_before, coverage_after;     ///< of its segment with the least
  double moved_quicker = 0;  ///< largest lead of the distribution after, of all packets (0 to 1)
  double moved_slower = 0;   ///< its largest lag
  std::string reason;        ///< one line with its numbers

  bool operator==(const Comparison&) const = default;
};

/// One signal that may veto, or be the reason why nothing can be said.
struct Finding {
  std::string rule;     ///< "heavy throughput -20%"
  std::string numbers;  ///< "182 Mbit/s before, 12 Mbit/s after"
  bool operator==(const Finding&) const = default;
};

struct Verdict {
  Effect effect = Effect::inconclusive;
  std::string reason;  ///< one line: what decided, with its numbers
  std::vector<Comparison> comparisons;
  std::vector<Finding> vetoes;     ///< each alone makes it harmed
  std::vector<Finding> doubts;     ///< each alone keeps it from being helped
  std::vector<std::string> rules;  ///< what was compared how, for `explain`; one line each

  bool operator==(const Verdict&) const = default;
};

/// Pure and deterministic. docs/verification.md says the rule in one page. Only bandwidth can move
/// a queue from behind the host into it: only there round trips have a say.
Verdict judge(const Samples& before, const Samples& after, const VerifyRule& rule,
              Lever lever = Lever::bandwidth);

/// Whether a window has enough in it to be a baseline; else why not, for people.
std::optional<std::string> unfit(const Samples& window, const VerifyRule& rule,
                                 Lever lever = Lever::bandwidth);

}  // namespace ankus
