// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <ctime>

namespace ankus {
namespace {

nanoseconds read_clock(clockid_t id) {
  timespec t{};
  (void)clock_gettime(id, &t);  // cannot fail for these ids (clock_gettime(2))
  return seconds(t.tv_sec) + nanoseconds(t.tv_nsec);
}

}  // namespace

MonotonicTime SystemClock::monotonic() const { return {read_clock(CLOCK_MONOTONIC)}; }
BootTime SystemClock::boot() const { return {read_clock(CLOCK_BOOTTIME)}; }
WallTime SystemClock::wall() const { return {read_clock(CLOCK_REALTIME)}; }

}  // namespace ankus
