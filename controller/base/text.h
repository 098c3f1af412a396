// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ankus {

std::string_view trim(std::string_view text);
/// Splits at each `separator`; "a,,b" has three parts, "" has one.
std::vector<std::string_view> split(std::string_view text, char separator);
/// Splits at runs of blanks and tabs; no empty parts.
std::vector<std::string_view> split_words(std::string_view text);
std::string join(std::span<const std::string> parts, std::string_view separator);

/// The length of the UTF-8 sequence at the front of `text`, 0 if there is none. As RFC 3629 has it:
/// no overlong forms, no surrogates, nothing above U+10FFFF.
std::size_t utf8_length(std::string_view text);

/// `"text"` in double quotes, fit for a terminal: see printable().
std::string quoted(std::string_view text);
/// Foreign text (names of containers, files) made harmless for terminals and logs: control
/// characters and invalid UTF-8 become \xNN, and it is cut at `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 120);

/// The candidate with the smallest edit distance to `word` if it is close enough to be a likely
/// slip (at most a third of the word's length, at least 1), else empty.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

/// Shell-style match with * and ?.
bool glob_match(std::string_view pattern, std::string_view text);

/// A stable 64-bit hash (FNV-1a): ids and digests that are the same on each host and run.
std::uint64_t stable_hash(std::string_view text);
/// `value` as 16 lower-case hex digits, cut to `digits`.
std::string hex_text(std::uint64_t value, int digits = 16);

}  // namespace ankus
