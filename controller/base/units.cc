// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <span>

#include "base/text.h"

namespace ankus {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr Unit kByteUnits[] = {
    {"B", 1},        {"KB", 1e3},        {"MB", 1e6},          {"GB", 1e9},
    {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
constexpr Unit kRateUnits[] = {{"bit", 1}, {"Kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}};
constexpr Unit kShareUnits[] = {{"%", 0.01}};
constexpr Unit kTimeUnits[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                               {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};

Result<double> parse_number_with_unit(std::string_view text, std::string_view what,
                                      std::span<const Unit> units) {
  const std::string_view trimmed = trim(text);
  double number = 0;
  const auto [end, ec] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), number,
                                         std::chars_format::fixed);
  const std::string_view unit =
      ec == std::errc() ? trim(trimmed.substr(static_cast<std::size_t>(end - trimmed.data())))
                        : std::string_view();
  std::string allowed;
  for (const Unit& u : units) {
    if (ec == std::errc() && unit == u.name) {
      if (number < 0 || !std::isfinite(number)) break;  // from_chars takes "nan" and "inf"
      return number * u.factor;
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(u.name);
  }
  return fail(ErrorKind::invalid, quoted(text) + " is not a " + std::string(what) +
                                      ": a number that is not negative and one of the units " +
                                      allowed + " are needed");
}

std::string number_text(double number) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.3f", number);
  std::string text = buffer;
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

/// The largest decimal unit that leaves at least 1 in front of the point.
std::string scaled_text(double value, std::span<const Unit> units, std::string_view gap) {
  const Unit* best = &units[0];
  for (const Unit& unit : units)
    if (value >= unit.factor) best = &unit;
  return number_text(value / best->factor) + std::string(gap) + std::string(best->name);
}

Result<std::uint64_t> whole(Result<double> value, std::string_view text) {
  if (!value) return std::unexpected(value.error());
  if (*value > 9.2e18) return fail(ErrorKind::invalid, quoted(text) + " is too large");
  return static_cast<std::uint64_t>(std::llround(*value));
}

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  const auto value = whole(parse_number_with_unit(text, "size", kByteUnits), text);
  if (!value) return std::unexpected(value.error());
  return Bytes{*value};
}

Result<BitRate> parse_bit_rate(std::string_view text) {
  const auto value = whole(parse_number_with_unit(text, "rate", kRateUnits), text);
  if (!value) return std::unexpected(value.error());
  return BitRate{*value};
}

Result<Share> parse_share(std::string_view text) {
  const auto value = parse_number_with_unit(text, "share", kShareUnits);
  if (!value) return std::unexpected(value.error());
  return Share{*value};
}

Result<nanoseconds> parse_duration(std::string_view text) {
  const auto value = parse_number_with_unit(text, "duration", kTimeUnits);
  if (!value) return std::unexpected(value.error());
  if (*value > 9.2e18) return fail(ErrorKind::invalid, quoted(text) + " is too long");
  return nanoseconds(std::llround(*value));
}

std::string to_text(Bytes bytes) {
  return scaled_text(static_cast<double>(bytes.count), std::span(kByteUnits).first(4), " ");
}
std::string to_text(BitRate rate) {
  return scaled_text(static_cast<double>(rate.bits_per_second), kRateUnits, " ");
}
std::string to_text(Share share) { return number_text(share.of_one * 100) + "%"; }
std::string to_text(nanoseconds duration) {
  const double count = static_cast<double>(duration.count());
  if (count < 0) return "-" + scaled_text(-count, kTimeUnits, "");
  // Minutes and hours only where they come out whole: "90s", not "1.5m".
  std::span<const Unit> units = std::span(kTimeUnits).first(4);
  if (std::fmod(count, 3600e9) == 0 && count > 0)
    units = kTimeUnits;
  else if (std::fmod(count, 60e9) == 0 && count > 0)
    units = std::span(kTimeUnits).first(5);
  return scaled_text(count, units, "");
}

}  // namespace ankus
