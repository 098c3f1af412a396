// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "act/actuator.h"
#include "journal/journal.h"

namespace ankus {

/// What is not any more as we left it.
struct Drift {
  std::vector<CededKnob> ceded;  ///< changed by somebody else: theirs from now on
  std::vector<HeldKnob> gone;    ///< vanished with their device
  std::vector<HeldKnob> back;    ///< at their original again without us, or made anew by a driver
  bool operator==(const Drift&) const = default;
};

/// Compares all that is held with the kernel. What differs is not held any more, and said.
Result<Drift> check_drift(Actuator& actuator, Journal& journal, const Clock& clock);

/// Those that are to be left alone now.
Result<std::vector<CededKnob>> ceded_now(Journal& journal, const Clock& clock);

}  // namespace ankus
