// SPDX-License-Identifier: Apache-2.0
#include "act/elsewhere.h"

#include <set>
#include <string>
#include <vector>

#include "base/text.h"

namespace ankus {

Result<void> check_namespace(Journal& journal, std::uint64_t cookie) {
  const auto held = journal.held();
  if (!held) return std::unexpected(held.error());
  const auto runs = journal.runs();
  if (!runs) return std::unexpected(runs.error());
  std::set<std::string> names;
  const auto note = [&](const Knob& knob) {
    const Device* device = device_of(knob);
    if (device != nullptr && device->netns_cookie != cookie) names.insert(device->name);
  };
  for (const HeldKnob& h : *held) note(h.knob);
  for (const Run& run : *runs)
    for (const RunStep& step : run.steps) note(step.action.knob);
  if (names.empty()) return {};
  return fail(ErrorKind::refused,
              "what is in force is in another network namespace (" +
                  join(std::vector<std::string>(names.begin(), names.end()), ", ") +
                  "): nothing was changed. Run this there (nsenter --net=FILE), use another "
                  "--runtime-dir, or, if that namespace does not exist any more, forget what was "
                  "set in it: ankusd --rollback --namespace-gone");
}

}  // namespace ankus
