// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ankus {

/// When the process dies: at its n-th write to the kernel or to the journal, before or after that
/// has had its effect. From then on nothing that it does has any.
struct Fate {
  enum class Moment { before_effect, after_effect };

  int writes_left = -1;  ///< -1: it lives on
  Moment moment = Moment::before_effect;
  bool dead = false;
  int writes_seen = 0;

  /// To be asked at each write: if it has its effect.
  bool write_happens() {
    if (dead) return false;
    ++writes_seen;
    if (writes_left < 0 || writes_left-- > 0) return true;
    dead = true;
    return moment == Moment::after_effect;
  }
  void revive() { *this = Fate{}; }
};

}  // namespace ankus
