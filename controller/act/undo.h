// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "act/actuator.h"
#include "journal/journal.h"

namespace ankus {

/// If nothing may be applied afterwards until `ankusctl resume`.
enum class Hold { no, until_resume };
/// What to do with our objects whose setting somebody else has changed. What is not ours at all
/// (Foreign) is never touched.
enum class IfChanged { leave, take };

/// Before the id of a plan, of an action or a part's name: what an undo is named.
inline const std::string kUndoOf = "undo of ";

/// Some of what is held: nothing else that is held may hang on it.
struct Part {
  std::string name;  ///< for people
  std::function<bool(const Knob&)> has;
};

struct UndoOptions {
  std::string by = "ankusd";
  std::string id;  ///< a plan's or an action's; empty: all that is held
  Hold hold = Hold::until_resume;
  IfChanged if_changed = IfChanged::leave;
  std::optional<Part> part;  ///< with an empty id: that only
  /// A try before has failed: none is made while nothing can be read yet, and only news are said.
  bool again = false;
};

/// What became of an undo.
struct Undone {
  std::string what;                   ///< "undo of p-...", of a part's name, or of all
  std::vector<RunStep> steps;         ///< in the order in which they were undone
  std::vector<std::string> degraded;  ///< what could not be undone; still held
  std::vector<std::string> notes;     ///< what the journal could not record
};

/// Gives knobs back, last taken first: each that still is as we set it gets its original again, or
/// with an id what it was before that plan; what that plan had given back is taken again. One that
/// is gone is dropped; one that somebody else has changed is left alone and said. Needs the held
/// file only, and goes on giving back when that cannot be written any more. An Error means that
/// nothing was written.
Result<Undone> undo(Actuator& actuator, Journal& journal, const Clock& clock,
                    const UndoOptions& options);

/// Carries an undo to its end that was interrupted; its intents are in `run`.
Result<Undone> finish_undo(const Run& run, Actuator& actuator, Journal& journal, const Clock& clock,
                           IfChanged if_changed);

}  // namespace ankus
