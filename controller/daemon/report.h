// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "act/transaction.h"
#include "daemon/observer.h"
#include "daemon/policies.h"
#include "daemon/trials.h"
#include "journal/journal.h"

/// Values as the control socket's JSON (docs/api.md).
namespace ankus::report {

/// A moment for people: RFC 3339 in UTC.
std::string time_text(WallTime time);

nlohmann::json workload(const WorkloadState& state, MonotonicTime now);
nlohmann::json workloads(const Snapshot& snapshot);

/// The largest `limit` of them.
nlohmann::json flows(std::span<const Flow> flows, const Snapshot& snapshot, std::size_t limit);

std::string policy_names(const std::vector<PolicySource>& sources);
nlohmann::json policies(const std::vector<PolicySource>& sources);
nlohmann::json plan(const Plan& plan, const std::string& policy, Mode mode);
nlohmann::json refusals(const std::vector<Refusal>& refusals);
/// Why the device is not shaped, or else the first reason why something on it is refused.
std::optional<std::string> refusal_on(const std::string& device,
                                      const std::vector<Refusal>& refusals);
nlohmann::json steps(std::span<const RunStep> steps);
/// `state` of status.
nlohmann::json state(const Controls& controls, BootTime now);
nlohmann::json held(std::span<const HeldKnob> held);
nlohmann::json ceded(std::span<const CededKnob> ceded, BootTime now);
nlohmann::json history(std::span<const PastEvent> events);
nlohmann::json sensors(const std::vector<SensorState>& sensors, std::size_t flows,
                       std::uint32_t capacity);
nlohmann::json counters(const Counters& counters);

/// A verdict with the samples that it was made of.
nlohmann::json judged(const Judged& judged);

/// Prometheus text: no addresses, no ports, labels only from the bounded set of workloads.
std::string metrics(const Snapshot& snapshot, const Counters& counters, std::size_t flows,
                    std::size_t held);

}  // namespace ankus::report
