// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <deque>
#include <span>
#include <string>

#include "base/clock.h"

namespace ankus {

/// What the loop would say each time that it comes to the same end.
enum class Notice {
  waiting,      ///< a plan that is not to be carried out by itself
  not_applied,  ///< what is to stand, and has failed before
  not_tried,    ///< what is to prove itself, and has to wait
  dropped,      ///< what was measured and then not written
};

/// Says it once: history must not be filled by what goes on. Of one notice only another thing or
/// another reason is news (no other number, no other id), nothing is said twice within ten minutes,
/// and in that time no more than six things in all.
class Notices {
 public:
  bool is_news(Notice notice, std::span<const std::string> objects, const std::string& text,
               MonotonicTime now);
  /// Something was done: what comes next is news even if it was the last thing said.
  void forget_the_last();

 private:
  struct Said {
    std::string text;
    MonotonicTime at;
  };
  struct Part {
    std::string last;
    std::deque<Said> said;  ///< in the last ten minutes
  };
  std::array<Part, 4> parts_;
};

/// `text` without its numbers and ids ("p-81d0c4aa").
std::string without_numbers(const std::string& text);

}  // namespace ankus
