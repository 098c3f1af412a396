// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace ankus {

/// When to try again what has failed: 5 s later, then twice as long each time, up to 5 min.
class Retry {
 public:
  bool is_due(MonotonicTime now) const { return now >= next_; }
  void failed(MonotonicTime now) {
    next_ = now + wait_;
    wait_ = std::min<nanoseconds>(2 * wait_, std::chrono::minutes(5));
  }

 private:
  MonotonicTime next_;
  nanoseconds wait_ = seconds(5);
};

}  // namespace ankus
