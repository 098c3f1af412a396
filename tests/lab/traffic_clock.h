// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/result.h"

namespace ankus::traffic {

MonotonicTime monotonic_now();

/// When traffic begins, when it begins to count, and when it ends.
struct Schedule {
  MonotonicTime start, measure_from, end;
};

/// What a person asks for; start_epoch_ns is CLOCK_REALTIME (`date +%s%N`), so that several
/// processes can begin together, and 0 means soon.
struct Timing {
  double seconds = 5;
  double warmup_seconds = 0;
  std::int64_t start_epoch_ns = 0;
};

/// Fails if the start has passed: whoever is late would measure something else than asked for.
Result<Schedule> make_schedule(const Timing& timing);

/// This process ahead of all others (SCHED_FIFO 10), where that is allowed.
bool try_realtime_priority();

}  // namespace ankus::traffic
