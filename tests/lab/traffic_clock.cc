// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic_clock.h"

#include <sched.h>

#include <chrono>

namespace ankus::traffic {

namespace {

nanoseconds of_seconds(double seconds) {
  return std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(seconds));
}

}  // namespace

MonotonicTime monotonic_now() { return SystemClock().monotonic(); }

Result<Schedule> make_schedule(const Timing& timing) {
  if (timing.seconds <= 0 || timing.warmup_seconds < 0)
    return fail(ErrorKind::invalid, "--seconds must be above 0 and --warmup not below 0");
  MonotonicTime start = monotonic_now() + milliseconds(100);
  if (timing.start_epoch_ns != 0) {
    nanoseconds ahead = nanoseconds(timing.start_epoch_ns) - SystemClock().wall().since_epoch;
    if (ahead < nanoseconds(0))
      return fail(ErrorKind::invalid,
                  "--start was " + std::to_string(-ahead / milliseconds(1)) +
                      " ms ago; it is nanoseconds since 1970 (date +%s%N), some time ahead");
    start = monotonic_now() + ahead;
  }
  MonotonicTime measure_from = start + of_seconds(timing.warmup_seconds);
  return Schedule{.start = start,
                  .measure_from = measure_from,
                  .end = measure_from + of_seconds(timing.seconds)};
}

bool try_realtime_priority() {
  sched_param param{};
  param.sched_priority = 10;
  return sched_setscheduler(0, SCHED_FIFO, &param) == 0;
}

}  // namespace ankus::traffic
