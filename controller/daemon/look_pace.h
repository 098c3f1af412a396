// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/clock.h"

namespace ankus {

/// When to look for workloads: now and then, for what no news told of, and soon after news, but so
/// that a tenant who makes news without end costs a tenth of a CPU at most.
class LookPace {
 public:
  static constexpr seconds kEvery{5};
  static constexpr int kRest = 10;  ///< times as long as the last look took

  bool is_due(bool news, MonotonicTime now) const {
    const nanoseconds since = now - looked_at_;
    return since >= kEvery || (news && since >= kRest * took_);
  }
  void looked(MonotonicTime at, nanoseconds took) { looked_at_ = at, took_ = took; }

 private:
  MonotonicTime looked_at_;
  nanoseconds took_{};
};

}  // namespace ankus
