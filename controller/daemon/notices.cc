// SPDX-License-Identifier: Apache-2.0
#include "daemon/notices.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/text.h"

namespace ankus {
namespace {

constexpr std::chrono::minutes kBetweenRepeats{10};
constexpr std::size_t kMostThings = 6;

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

/// The length of an id at `at`: 0 if there is none.
std::size_t id_length(const std::string& text, std::size_t at) {
  if (at > 0 && is_alnum(text[at - 1])) return 0;
  if (!text.substr(at).starts_with("p-") && !text.substr(at).starts_with("a-")) return 0;
  std::size_t end = at + 2;
  while (end < text.size() && is_hex(text[end])) ++end;
  return end - at >= 8 ? end - at : 0;
}

}  // namespace

std::string without_numbers(const std::string& text) {
  std::string rest;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const std::size_t id = id_length(text, i))
      i += id - 1;
    else if (text[i] < '0' || text[i] > '9')
      rest += text[i];
  }
  return rest;
}

bool Notices::is_news(Notice notice, std::span<const std::string> objects, const std::string& text,
                      MonotonicTime now) {
  Part& part = parts_[static_cast<std::size_t>(notice)];
  std::string said = join(objects, ", ") + ": " + without_numbers(text);
  if (std::exchange(part.last, said) == said) return false;
  while (!part.said.empty() && now - part.said.front().at >= kBetweenRepeats) part.said.pop_front();
  if (part.said.size() >= kMostThings ||
      std::ranges::find(part.said, said, &Said::text) != part.said.end())
    return false;
  part.said.push_back({.text = std::move(said), .at = now});
  return true;
}

void Notices::forget_the_last() {
  for (Part& part : parts_) part.last.clear();
}

}  // namespace ankus
