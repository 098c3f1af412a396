// SPDX-License-Identifier: Apache-2.0
#include "act/dry_run.h"

namespace ankus {

std::vector<Result<Setting>> DryRun::read(std::span<const Knob> knobs) {
  std::vector<Result<Setting>> found = host_.read(knobs);
  for (std::size_t i = 0; i < knobs.size() && i < found.size(); ++i)
    if (const auto written = written_.find(knobs[i]); written != written_.end())
      found[i] = written->second;
  return found;
}

std::vector<Result<void>> DryRun::write(std::span<const Action> actions) {
  for (const Action& action : actions) {
    written_.insert_or_assign(action.knob, action.after);
    would_write_.push_back(action);
  }
  return std::vector<Result<void>>(actions.size());
}

}  // namespace ankus
