// SPDX-License-Identifier: Apache-2.0
#include "policy/source_check.h"

#include <algorithm>

namespace ankus {
namespace {

/// The length of the well-formed UTF-8 sequence at the front of `text` (Unicode table 3-7), 0 if
/// there is none. Overlong forms, surrogates and what lies above U+10FFFF are not well-formed.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i, unsigned char low = 0x80, unsigned char high = 0xbf) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned char low = lead == 0xe0 ? 0xa0 : 0x80, high = lead == 0xed ? 0x9f : 0xbf;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned char low = lead == 0xf0 ? 0x90 : 0x80, high = lead == 0xf4 ? 0x8f : 0xbf;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

/// Walks the text once and knows, at each place, whether it is inside a string or a comment.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<SourceFault> scan() {
    while (at_ < text_.size()) {
      const std::size_t length = sequence_length(text_.substr(at_));
      if (length == 0) return fault("not valid UTF-8");
      if (text_[at_] == '\0') return fault("a NUL byte; a policy is text");
      if (length == 1)
        if (auto found = step()) return found;
      at_ += length - 1;  // step() or the line below moved over the first byte
      ++at_;
      ++column_;
      if (text_[at_ - 1] == '\n') next_line();
    }
    return std::nullopt;
  }

 private:
  enum class Inside { plain, comment, basic, literal, long_basic, long_literal };

  std::optional<SourceFault> fault(std::string what) const {
    return SourceFault{.line = line_, .column = column_, .text = std::move(what)};
  }

  void next_line() {
    ++line_;
    column_ = 1;
    dots_ = 0;
    // A one-line string that is still open is the parser's error to report.
    if (inside_ != Inside::long_basic && inside_ != Inside::long_literal) inside_ = Inside::plain;
  }

  /// Leaves at_ on the last byte of what it took.
  void take(std::size_t count) {
    at_ += count - 1;
    column_ += static_cast<int>(count) - 1;
  }

  bool ahead(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  /// Closes a """ or ''' string. Up to two quotes may stand directly before the closing three.
  void close_long(char quote) {
    std::size_t run = 0;
    while (at_ + run < text_.size() && text_[at_ + run] == quote) ++run;
    if (run >= 3) inside_ = Inside::plain;
    take(std::min<std::size_t>(run, 5));
  }

  std::optional<SourceFault> step() {
    const char c = text_[at_];
    switch (inside_) {
      case Inside::comment: break;
      case Inside::basic:
        if (c == '\\' && at_ + 1 < text_.size() &&
            (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\'))
          take(2);
        else if (c == '"')
          inside_ = Inside::plain;
        break;
      case Inside::literal:
        if (c == '\'') inside_ = Inside::plain;
        break;
      case Inside::long_basic:
        if (c == '\\' && at_ + 1 < text_.size() &&
            (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\'))
          take(2);
        else if (c == '"')
          close_long('"');
        break;
      case Inside::long_literal:
        if (c == '\'') close_long('\'');
        break;
      case Inside::plain: return step_plain(c);
    }
    return std::nullopt;
  }

  std::optional<SourceFault> step_plain(char c) {
    switch (c) {
      case '#': inside_ = Inside::comment; break;
      case '"':
      case '\'': {
        const std::string_view three = c == '"' ? "\"\"\"" : "'''";
        if (ahead(three)) {
          inside_ = c == '"' ? Inside::long_basic : Inside::long_literal;
          take(3);
        } else {
          inside_ = c == '"' ? Inside::basic : Inside::literal;
        }
        break;
      }
      case '.':
        if (++dots_ > kSourceDotLimit)
          return fault("more than " + std::to_string(kSourceDotLimit) +
                       " dots in one line; no key of a policy is that long");
        break;
      case '[':
      case '{':
        if (++depth_ > kSourceNestingLimit)
          return fault("arrays or tables nested more than " + std::to_string(kSourceNestingLimit) +
                       " deep");
        break;
      case ']':
      case '}': depth_ = std::max(0, depth_ - 1); break;
      default: break;
    }
    return std::nullopt;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Inside inside_ = Inside::plain;
  int line_ = 1, column_ = 1, dots_ = 0, depth_ = 0;
};

}  // namespace

std::optional<SourceFault> check_source(std::string_view text) {
  if (text.size() > kSourceLimit)
    return SourceFault{.text = "the file has " + std::to_string(text.size()) +
                               " bytes; a policy may have at most " + std::to_string(kSourceLimit)};
  return Scanner(text).scan();
}

}  // namespace ankus
