// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "act/undo.h"
#include "journal/journal.h"

namespace ankus {

// apply() arms a confirmation in the same transaction as the intents (ApplyOptions), so that no
// crash leaves a plan in force that nobody has to confirm.

enum class ConfirmedBy { person, verdict };

/// Keeps the plan that waits; its id. An Error if none waits or its time is over, or if it is on
/// trial and no verdict confirms it.
Result<std::string> confirm(Journal& journal, const Clock& clock, const std::string& by,
                            ConfirmedBy who = ConfirmedBy::person);

/// The confirmation whose deadline has passed, if there is one.
Result<std::optional<Confirmation>> expired(Journal& journal, const Clock& clock);

/// Undoes the plan whose deadline has passed, and holds: it must not be applied again at the next
/// tick. A trial does not hold, it has its own memory. Recovers first what was interrupted: nobody
/// may have been there to do it. Nothing if none has. What could not be undone goes on waiting; to
/// be called again: without steps it was not tried, since nothing of it can be read yet.
Result<std::optional<Undone>> undo_expired(Actuator& actuator, Journal& journal,
                                           const Clock& clock);

/// To be called at start: undoes the trial that an earlier run left without its verdict. Nothing if
/// there is none.
Result<std::optional<Undone>> undo_cut_off_trial(Actuator& actuator, Journal& journal,
                                                 const Clock& clock);

}  // namespace ankus
