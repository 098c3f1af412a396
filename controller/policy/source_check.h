// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ankus {

inline constexpr std::size_t kSourceLimit = 64 * 1024;  ///< bytes
inline constexpr int kSourceDotLimit = 64;              ///< per line, outside strings and comments
inline constexpr int kSourceNestingLimit = 32;          ///< arrays and inline tables

struct SourceFault {
  int line = 1, column = 1;
  std::string text;

  bool operator==(const SourceFault&) const = default;
};

/// What the TOML parser must not see: toml++ 3.3 overflows its stack on a long dotted key. Checks
/// size, NUL, UTF-8, dots per line and nesting; nothing else of TOML's grammar.
std::optional<SourceFault> check_source(std::string_view text);

}  // namespace ankus
