// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "act/actuator.h"
#include "journal/journal.h"

/// What apply, undo, recovery and drift have in common: reading knobs, comparing them with what
/// they should be, writing in spite of failures.
namespace ankus {

using Readings = std::map<Knob, Result<Setting>>;

Readings read_knobs(Actuator& actuator, std::span<const Knob> knobs);
/// Each knob of the steps once.
std::vector<Knob> knobs_of(std::span<const RunStep> steps);

/// Null if it is not held.
const HeldKnob* find_held(std::span<const HeldKnob> held, const Knob& knob);

/// If the knob is set like that. What is gone together with its device is absent.
bool reads_as(const Result<Setting>& found, const Setting& expected);
bool is_gone(const Result<Setting>& found);
/// If an action only gives back what is held.
bool gives_back(std::span<const HeldKnob> held, const Action& action);
std::string to_text(const Result<Setting>& found);

/// What can be written back: of a table of which only the digest is known, the empty one.
Setting restorable(const Setting& setting);

/// Writes all actions, in order, going on after one that fails: for taking back, where what can be
/// restored should be. The outcome of each.
std::vector<Result<void>> write_each(Actuator& actuator, std::span<const Action> actions);

/// `left` and all of `knobs` that must stay because one of them does: the rest of its queueing
/// tree, and what it hangs on.
std::set<Knob> with_foundations(std::set<Knob> left, const std::map<Knob, Setting>& knobs);

/// A line of history for each step.
std::vector<Event> events_of(const std::string& plan, std::span<const RunStep> steps);

}  // namespace ankus
