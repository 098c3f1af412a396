// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/clock.h"

namespace ankus {

/// Time that stands still until a test moves it.
class FakeClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return {now_}; }
  BootTime boot() const override { return {now_}; }
  WallTime wall() const override { return {seconds(1'790'000'000) + now_}; }
  void advance(nanoseconds by) { now_ += by; }

 private:
  nanoseconds now_ = seconds(1000);
};

}  // namespace ankus
