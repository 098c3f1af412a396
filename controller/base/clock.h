// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace ankus {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

/// Time since boot without suspend (CLOCK_MONOTONIC): for durations.
struct MonotonicTime {
  nanoseconds since_boot{};
  auto operator<=>(const MonotonicTime&) const = default;
};
/// Time since boot with suspend (CLOCK_BOOTTIME): for deadlines that outlive a process.
struct BootTime {
  nanoseconds since_boot{};
  auto operator<=>(const BootTime&) const = default;
};
/// CLOCK_REALTIME: for people only; never compared.
struct WallTime {
  nanoseconds since_epoch{};
  auto operator<=>(const WallTime&) const = default;
};

inline nanoseconds operator-(MonotonicTime a, MonotonicTime b) {
  return a.since_boot - b.since_boot;
}
inline MonotonicTime operator+(MonotonicTime t, nanoseconds d) { return {t.since_boot + d}; }
inline nanoseconds operator-(BootTime a, BootTime b) { return a.since_boot - b.since_boot; }
inline BootTime operator+(BootTime t, nanoseconds d) { return {t.since_boot + d}; }

/// One of the three seams; main() owns the real one, a test a FakeClock (tests/fake).
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime monotonic() const = 0;
  virtual BootTime boot() const = 0;
  virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  MonotonicTime monotonic() const override;
  BootTime boot() const override;
  WallTime wall() const override;
};

}  // namespace ankus
