// SPDX-License-Identifier: Apache-2.0
#include "ctl/reply.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "base/text.h"

namespace ankus::ctl {

using nlohmann::json;

const json& field(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string text_of(const json& object, const char* key, std::string_view missing) {
  const json& value = field(object, key);
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return text.empty() ? std::string(missing) : printable(text, kLongText);
  }
  if (value.is_number() || value.is_boolean()) return value.dump();
  return std::string(missing);
}

std::optional<double> number_of(const json& object, const char* key) {
  const json& value = field(object, key);
  if (!value.is_number()) return std::nullopt;
  return value.get<double>();
}

bool flag_of(const json& object, const char* key) {
  const json& value = field(object, key);
  return value.is_boolean() && value.get<bool>();
}

const json::array_t& list_of(const json& object, const char* key) {
  static const json::array_t kEmpty;
  const json& value = field(object, key);
  return value.is_array() ? value.get_ref<const json::array_t&>() : kEmpty;
}

std::string decimals(double value, int digits) {
  std::array<char, 64> buffer;
  const int length = std::snprintf(buffer.data(), buffer.size(), "%.*f", digits, value);
  return std::string(buffer.data(), static_cast<std::size_t>(std::clamp(length, 0, 63)));
}

std::string scaled(std::optional<double> value, std::string_view unit) {
  if (!value || !std::isfinite(*value)) return "-";
  constexpr std::array<std::string_view, 5> kPrefixes{"", "k", "M", "G", "T"};
  double left = *value;
  std::size_t prefix = 0;
  for (; std::abs(left) >= 999.5 && prefix + 1 < kPrefixes.size(); ++prefix) left /= 1000;
  const bool whole = prefix == 0 && left == std::floor(left);
  const int digits = whole || std::abs(left) >= 99.95 ? 0 : std::abs(left) >= 9.995 ? 1 : 2;
  const std::string number = decimals(left, digits);
  if (unit.empty()) return number + std::string(kPrefixes[prefix]);
  return number + " " + std::string(kPrefixes[prefix]) + std::string(unit);
}

std::string rate(const json& object, const char* key) {
  return scaled(number_of(object, key), "bit/s");
}
std::string bytes(const json& object, const char* key) {
  return scaled(number_of(object, key), "B");
}
std::string share(const json& object, const char* key) {
  const auto value = number_of(object, key);
  return value ? decimals(*value * 100, 0) + "%" : "-";
}

std::string duration(const json& object, const char* key) {
  const auto value = number_of(object, key);
  if (!value || !std::isfinite(*value) || std::abs(*value) > 1e12) return "-";
  if (*value < 10) return decimals(*value, *value == std::floor(*value) ? 0 : 1) + "s";
  const auto whole = static_cast<std::int64_t>(*value);
  const auto pair = [](std::int64_t big, char big_unit, std::int64_t small, char small_unit) {
    return std::to_string(big) + big_unit + " " + std::to_string(small) + small_unit;
  };
  if (whole < 60) return std::to_string(whole) + "s";
  if (whole < 3600) return pair(whole / 60, 'm', whole % 60, 's');
  if (whole < 86400) return pair(whole / 3600, 'h', whole % 3600 / 60, 'm');
  return pair(whole / 86400, 'd', whole % 86400 / 3600, 'h');
}

std::string time_of(std::optional<double> nanoseconds) {
  if (!nanoseconds) return "-";
  double value = *nanoseconds;
  std::string_view unit = "ns";
  for (const std::string_view larger : {"us", "ms", "s"}) {
    if (value < 999.5) break;
    value /= 1000;
    unit = larger;
  }
  const int digits = unit == "ns" || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return decimals(value, digits) + " " + std::string(unit);
}
std::string time_of(const json& object, const char* key) { return time_of(number_of(object, key)); }

std::string counted(std::size_t number, std::string_view noun) {
  return std::to_string(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

std::string state_word(std::string_view word, Style style) {
  constexpr std::array<std::string_view, 8> kGood{"idle",    "on",        "ok",     "done",
                                                  "applied", "confirmed", "helped", "light"};
  constexpr std::array<std::string_view, 6> kBad{"degraded", "failed", "fail",
                                                 "harmed",   "heavy",  "NOT WRITTEN"};
  constexpr std::array<std::string_view, 8> kWarning{
      "held", "paused", "pending_confirmation", "ceded", "warn", "mixed", "gone", "inconclusive"};
  const auto in = [word](const auto& words) {
    return std::ranges::find(words, word) != words.end();
  };
  if (in(kBad)) return style.bad(word);
  if (in(kWarning)) return style.warning(word);
  if (in(kGood)) return style.good(word);
  return std::string(word);
}

std::string csv_title(std::span<const char* const> keys) {
  std::string line;
  for (const char* key : keys) line += (line.empty() ? "" : ",") + std::string(key);
  return line + "\n";
}

std::string csv_line(const json& object, std::span<const char* const> keys) {
  std::string line;
  for (const char* key : keys) {
    std::string text = text_of(object, key, "");
    // A spreadsheet takes such text for a formula, and names come from outside.
    if (field(object, key).is_string() && !text.empty() &&
        std::string_view("=+-@").contains(text.front()))
      text.insert(0, 1, '\'');
    if (text.find_first_of(",\"") != std::string::npos) {
      for (std::size_t i = 0; (i = text.find('"', i)) != std::string::npos; i += 2)
        text.insert(i, 1, '"');
      text = '"' + text + '"';
    }
    if (key != keys.front()) line += ',';
    line += text;
  }
  return line + "\n";
}

std::string head_line(std::string_view name, const std::string& text, Style style) {
  std::string label(name);
  label.resize(std::max<std::size_t>(label.size(), 10), ' ');
  return style.faint(label) + text + "\n";
}

std::string section(std::string_view title, Style style) {
  return "\n" + style.strong(title) + "\n";
}

}  // namespace ankus::ctl
