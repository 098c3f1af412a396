// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "ctl/table.h"

namespace ankus::ctl {

// The daemon's replies (docs/api.md) as text for people: pure functions. A field that is missing
// or of another type than documented shows as "-"; text from elsewhere is made printable.
std::string render_status(const nlohmann::json& reply, Style style);
std::string render_workloads(const nlohmann::json& reply, Style style);
std::string render_flows(const nlohmann::json& reply, Style style);
std::string render_plan(const nlohmann::json& reply, Style style);
std::string render_outcome(const nlohmann::json& reply, Style style);
std::string render_done(const nlohmann::json& reply, Style style);
std::string render_history(const nlohmann::json& reply, Style style);
std::string render_explain(const nlohmann::json& reply, Style style);
std::string render_doctor(const nlohmann::json& reply, Style style);

}  // namespace ankus::ctl
