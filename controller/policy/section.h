// SPDX-License-Identifier: Apache-2.0
#pragma once

// The only header that sees toml++ (header-only; without exceptions a failed parse is a value).
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/cpu_set.h"
#include "base/text.h"
#include "base/units.h"
#include "policy/parse.h"

namespace ankus {

using Keys = std::span<const std::string_view>;

/// A key as it was named in an earlier version.
struct Renamed {
  std::string_view before, now;
};

inline bool contains(Keys keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

inline std::string list_text(Keys words) {
  std::string text;
  for (const std::string_view word : words) text += (text.empty() ? "" : ", ") + std::string(word);
  return text;
}

/// "200", "true", `"text"` or "a table": what stands there instead of what is needed.
inline std::string found_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return quoted(text->get());
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  if (const auto* number = node.as_floating_point()) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.6g", number->get());
    return buffer;
  }
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  return "a date or time";
}

/// A quantity with a unit: what it is called, how it is written, how it is read.
template <class T>
struct Quantity {
  std::string_view noun, example, units;
  Result<T> (*parse)(std::string_view);
};
inline constexpr Quantity<BitRate> kRate{.noun = "rate",
                                         .example = "200 Mbit",
                                         .units = "bit, Kbit, Mbit, Gbit",
                                         .parse = parse_bit_rate};
inline constexpr Quantity<Bytes> kSize{.noun = "size",
                                       .example = "64 KB",
                                       .units = "B, KB, MB, GB, KiB, MiB, GiB",
                                       .parse = parse_bytes};
inline constexpr Quantity<Share> kShare{
    .noun = "share", .example = "10%", .units = "%", .parse = parse_share};
inline constexpr Quantity<nanoseconds> kDuration{.noun = "duration",
                                                 .example = "100ms",
                                                 .units = "ns, us, ms, s, m, h",
                                                 .parse = parse_duration};

inline bool is_bare_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// Why `name` cannot be that of one device; empty if it can.
inline std::string device_name_fault(std::string_view name) {
  if (name.empty()) return "is empty; a device's name or \"uplink\" is needed";
  if (name.find_first_of("*?") != std::string_view::npos)
    return "must be one device's name or \"uplink\"; * and ? are not possible here";
  if (name.size() > 15 || name == "." || name == ".." ||
      name.find_first_of("/: \t\r\n") != std::string_view::npos)
    return "cannot be a device's name (at most 15 characters, no blanks, / or :)";
  return {};
}

/// Collects errors and remembers where in the file things stand.
class Report {
 public:
  explicit Report(std::string_view file) : file_(file) {}

  void add(const toml::source_position& at, std::string key, std::string text) {
    errors_.push_back({.file = file_,
                       .line = static_cast<int>(at.line),
                       .column = static_cast<int>(at.column),
                       .key = std::move(key),
                       .text = std::move(text)});
  }
  std::vector<PolicyError> in_order() && {
    std::ranges::stable_sort(errors_, [](const PolicyError& a, const PolicyError& b) {
      return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return std::move(errors_);
  }

 private:
  std::string file_;
  std::vector<PolicyError> errors_;
};

/// One table of the file, read key by key into fields that keep their default if the key is absent
/// or wrong.
class Section {
 public:
  Section(const toml::table& table, std::string prefix, Report& report)
      : table_(table), prefix_(std::move(prefix)), report_(report) {}

  void allow(Keys keys, std::span<const Renamed> renamed = {}) {
    for (const auto& [key, node] : table_) {
      (void)node;  // only the names are looked at
      const std::string_view name = key.str();
      if (contains(keys, name)) continue;
      const auto known = std::ranges::find(renamed, name, &Renamed::before);
      if (known != renamed.end()) {
        report_.add(key.source().begin, named(name), "is now named " + quoted(known->now));
        continue;
      }
      const std::string_view meant = nearest(name, keys);
      report_.add(key.source().begin, named(name),
                  "unknown key; " + (meant.empty() ? "" : "did you mean " + quoted(meant) + "? ") +
                      (meant.empty() ? "allowed here: " : "Allowed here: ") + list_text(keys));
    }
  }

  const toml::node* find(std::string_view key) const { return table_.get(key); }

  void fault(const toml::node& at, std::string_view key, std::string text) const {
    report_.add(at.source().begin, named(key), std::move(text));
  }
  void fault(std::string_view key, std::string text) const {
    report_.add(table_.source().begin, named(key), std::move(text));
  }

  template <class T>
  bool read(std::string_view key, const Quantity<T>& quantity, T least, T most, T& into) const {
    const toml::node* node = find(key);
    if (!node) return false;
    const auto* text = node->as_string();
    const std::string how = "write for example \"" + std::string(quantity.example) +
                            "\" (units: " + std::string(quantity.units) + ")";
    if (node->is_number() || (text && is_bare_number(trim(text->get())))) {
      fault(*node, key, found_text(*node) + " has no unit; " + how);
      return false;
    }
    const Result<T> value =
        text ? quantity.parse(text->get()) : Result<T>(fail(ErrorKind::invalid, ""));
    if (!value) {
      fault(*node, key, found_text(*node) + " is not a " + std::string(quantity.noun) + "; " + how);
      return false;
    }
    if (*value < least || most < *value) {
      fault(
          *node, key,
          found_text(*node) + " is out of range; from " + to_text(least) + " to " + to_text(most));
      return false;
    }
    into = *value;
    return true;
  }
  template <class T>
  void read(std::string_view key, const Quantity<T>& quantity, T least, T most,
            std::optional<T>& into) const {
    T value{};
    if (read(key, quantity, least, most, value)) into = value;
  }

  template <std::unsigned_integral T>
  void read_number(std::string_view key, std::int64_t least, std::int64_t most, T& into) const {
    const toml::node* node = find(key);
    if (!node) return;
    const std::string range = "from " + std::to_string(least) + " to " + std::to_string(most);
    const auto* number = node->as_integer();
    if (!number)
      fault(*node, key, found_text(*node) + " is not a whole number; " + range + " is possible");
    else if (number->get() < least || number->get() > most)
      fault(*node, key, found_text(*node) + " is out of range; " + range);
    else
      into = static_cast<T>(number->get());
  }

  void read_flag(std::string_view key, bool& into) const {
    const toml::node* node = find(key);
    if (!node) return;
    if (const auto* flag = node->as_boolean())
      into = flag->get();
    else
      fault(*node, key, found_text(*node) + " is not true or false (without quotes)");
  }

  /// `what` is needed where something that is not text stands: "a pattern such as ...".
  bool read_text(std::string_view key, std::string_view what, std::string& into) const {
    const toml::node* node = find(key);
    if (!node) return false;
    const auto* text = node->as_string();
    if (!text) {
      fault(*node, key, found_text(*node) + " is not text; needed is " + std::string(what));
      return false;
    }
    if (trim(text->get()).empty()) {
      fault(*node, key, "is empty; needed is " + std::string(what));
      return false;
    }
    into = text->get();
    return true;
  }

  /// A list such as "0-3,8" of `things`.
  bool read_cpus(std::string_view key, std::string_view things, CpuSet& into) const {
    std::string text;
    const std::string what = "a list of " + std::string(things) + " such as \"0-3,8\"";
    if (!read_text(key, what, text)) return false;
    Result<CpuSet> list = cpu_list_from_text(text);
    if (!list) {
      fault(*find(key), key, quoted(text) + " is not " + what);
      return false;
    }
    into = *std::move(list);
    return true;
  }

  /// The index of the word among `words`.
  std::optional<std::size_t> read_word(std::string_view key, Keys words) const {
    const toml::node* node = find(key);
    if (!node) return std::nullopt;
    const auto* text = node->as_string();
    if (text) {
      const auto found = std::ranges::find(words, std::string_view(text->get()));
      if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
    }
    const std::string_view meant = text ? nearest(text->get(), words) : std::string_view();
    fault(*node, key,
          found_text(*node) + " is not possible; " +
              (meant.empty() ? "a" : "did you mean " + quoted(meant) + "? A") +
              "llowed: " + list_text(words));
    return std::nullopt;
  }

  /// The table below `key`, if there is one and it is a table.
  const toml::table* table(std::string_view key, std::string_view example) const {
    const toml::node* node = find(key);
    if (!node) return nullptr;
    if (const toml::table* table = node->as_table()) return table;
    fault(*node, key,
          found_text(*node) + " is not a table; write for example " + std::string(example));
    return nullptr;
  }
  Section below(const toml::table& table, std::string_view key) const {
    return Section(table, named(key) + ".", report_);
  }

 private:
  std::string named(std::string_view key) const { return prefix_ + printable(key, 60); }

  const toml::table& table_;
  std::string prefix_;
  Report& report_;
};

inline constexpr Share kAll{1.0};

}  // namespace ankus
