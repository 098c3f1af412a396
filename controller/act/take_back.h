// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "act/actuator.h"
#include "journal/journal.h"

namespace ankus {

/// What became of a plan that was taken back.
struct TakenBack {
  HeldChange change;                  ///< of what is held
  std::vector<std::string> degraded;  ///< what could not be taken back
};

/// Takes back what is in force of the steps that are pending or done, last one first, and says in
/// each what became of it. `acknowledged` are the steps that the kernel has just accepted: their
/// knobs are ours whatever they read as. Other knobs that read as neither before nor after belong
/// to somebody else by now and are left alone, with the rest of their queueing tree.
TakenBack take_back(Actuator& actuator, std::vector<RunStep>& steps,
                    const std::set<std::size_t>& acknowledged, std::span<const HeldKnob> held,
                    std::span<const CededKnob> ceded, const Clock& clock);

/// The entry by which a knob is left to somebody else: for five minutes; after three fights, each
/// less than an hour after the one before, for an hour.
CededKnob cede(const Knob& knob, const Result<Setting>& found, std::string why,
               std::span<const CededKnob> before, const Clock& clock);
inline constexpr nanoseconds kCedeFor = std::chrono::minutes(5);
inline constexpr nanoseconds kYieldFor = std::chrono::hours(1);

}  // namespace ankus
