// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "act/actuator.h"
#include "journal/journal.h"

namespace ankus {

/// What became of one run that was interrupted.
struct Recovered {
  enum class How {
    nothing_done,  ///< it had not written anything yet
    adopted,       ///< it had written everything: in force
    taken_back,    ///< it had written a part, which was taken back
    finished,      ///< it was an undo, and was carried to its end
  };
  std::string plan;
  How how = How::nothing_done;
  std::vector<RunStep> steps;
  std::vector<std::string> degraded;
};
std::string_view to_text(Recovered::How how);

/// To be called at start, before anything else: brings each interrupted plan to its before or its
/// after, never between, as far as its knobs can be read and written. An Error means that the
/// journal cannot be read or written; then nothing may be applied, and it is to be called again.
Result<std::vector<Recovered>> recover(Actuator& actuator, Journal& journal, const Clock& clock);

}  // namespace ankus
