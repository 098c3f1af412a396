// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "ctl/table.h"

namespace ankus::ctl {

// How long the host keeps packets, as pictures. `workload` is a name or an id, empty for all.
std::string render_latency(const nlohmann::json& reply, const std::string& workload, Style style);
std::string latency_csv(const nlohmann::json& reply, const std::string& workload);

/// A verdict: each light workload's path before and after, side by side.
std::string render_judged(const nlohmann::json& judged, Style style);

}  // namespace ankus::ctl
