// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ctl/table.h"

namespace ankus::ctl {

inline constexpr std::size_t kLongText = 400;  ///< bytes of a text of the daemon's

// Tolerant looks into a reply: a daemon that is a little newer or older must not break status.

/// null if there is no such key.
const nlohmann::json& field(const nlohmann::json& object, const char* key);
/// Made printable; numbers and flags as text.
std::string text_of(const nlohmann::json& object, const char* key, std::string_view missing = "-");
std::optional<double> number_of(const nlohmann::json& object, const char* key);
bool flag_of(const nlohmann::json& object, const char* key);
const nlohmann::json::array_t& list_of(const nlohmann::json& object, const char* key);

// Numbers, all with about three digits so that columns stay narrow and steady.

std::string decimals(double value, int digits);
/// 1234567, "bit/s": "1.23 Mbit/s".
std::string scaled(std::optional<double> value, std::string_view unit);
std::string rate(const nlohmann::json& object, const char* key);
std::string bytes(const nlohmann::json& object, const char* key);
std::string share(const nlohmann::json& object, const char* key);
/// "0.4s", "42s", "3m 5s", "2h 0m", "4d 3h".
std::string duration(const nlohmann::json& object, const char* key);
/// "850 ns", "12.3 us", "4.56 ms".
std::string time_of(std::optional<double> nanoseconds);
std::string time_of(const nlohmann::json& object, const char* key);
/// "1 rule", "2 rules".
std::string counted(std::size_t number, std::string_view noun);

// Lines of CSV, one column for each key; what is missing is empty. Text is quoted where it has to
// be, and gets a ' in front where a spreadsheet would take it for a formula.
std::string csv_title(std::span<const char* const> keys);
std::string csv_line(const nlohmann::json& object, std::span<const char* const> keys);

/// In the colour of what it means.
std::string state_word(std::string_view word, Style style);
/// "name      text" in the head of status.
std::string head_line(std::string_view name, const std::string& text, Style style);
std::string section(std::string_view title, Style style);

}  // namespace ankus::ctl
