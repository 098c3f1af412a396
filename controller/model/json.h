// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "model/plan.h"

namespace ankus {

// Knobs, settings, actions and plans as JSON, each back to an equal value; of Members only count
// and digest are written. Keys are sorted, so that equal values give equal text. Text that is not
// UTF-8 (a device's name may be any bytes) is written as {"hex": "..."}.
nlohmann::json to_json(const Knob& knob);
nlohmann::json to_json(const Setting& setting);
nlohmann::json to_json(const Action& action);
nlohmann::json to_json(const Plan& plan);

Result<Knob> knob_from_json(const nlohmann::json& json);
Result<Setting> setting_from_json(const nlohmann::json& json);
Result<Action> action_from_json(const nlohmann::json& json);
Result<Plan> plan_from_json(const nlohmann::json& json);

// The same as text, in one line. The errors say what is wrong with which key.
std::string json_text(const Knob& knob);
std::string json_text(const Setting& setting);
Result<Knob> knob_from_json_text(std::string_view text);
Result<Setting> setting_from_json_text(std::string_view text);

/// One line of JSON; text in it that is not UTF-8 does not fail but is replaced.
std::string line_of(const nlohmann::json& json);
/// Never throws: JSON that cannot be parsed is an Error.
Result<nlohmann::json> parse_json(std::string_view text);

/// The text itself if it is UTF-8, else {"hex": "..."}.
nlohmann::json text_to_json(std::string_view text);
Result<std::string> text_from_json(const nlohmann::json& json, std::string_view key);

}  // namespace ankus
