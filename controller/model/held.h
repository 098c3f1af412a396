// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "model/knob.h"

namespace ankus {

/// One plan being carried out, or an undo: a number that the journal gives.
using RunId = std::int64_t;

/// A knob that we have set: what it was before we touched it first, and what we wrote last.
struct HeldKnob {
  Knob knob;
  Setting original, written;
  RunId run = 0;             ///< that wrote it last
  std::string plan, action;  ///< ids, of the last write
  std::string reason;
  BootTime since;  ///< of the last write
  WallTime since_wall;

  bool operator==(const HeldKnob&) const = default;
};

/// A knob that somebody else has set since we did: theirs, until the time is over.
struct CededKnob {
  Knob knob;
  std::string found;  ///< what it was set to, for people
  std::string why;
  BootTime since, until;
  WallTime since_wall;
  std::uint32_t fights = 1;  ///< how often in a row, each less than an hour after the one before

  bool operator==(const CededKnob&) const = default;
};

/// What was learnt by trying something: when it may be tried again.
struct TriedObject {
  std::string object;
  unsigned failures = 0;  ///< in a row
  BootTime free_from;     ///< not tried before
  std::optional<BootTime> kept_since;
  std::string last;  ///< one line: what came of it

  bool operator==(const TriedObject&) const = default;
};

}  // namespace ankus
