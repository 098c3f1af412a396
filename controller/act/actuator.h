// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "model/plan.h"

namespace ankus {

/// One of the three seams: reads and writes knobs. The kernel's is KernelActuator, a dry run's is
/// DryRun, a test's is a map.
class Actuator {
 public:
  virtual ~Actuator() = default;

  /// What each knob is set to now; result i belongs to knob i. A knob whose device is gone reads
  /// as Error{gone}; one that somebody else occupies reads as Foreign.
  virtual std::vector<Result<Setting>> read(std::span<const Knob> knobs) = 0;

  /// Writes `after` of each action in order, in as few system calls as its kind allows, and stops
  /// when one fails. Results are those of the actions that were tried, in order: changes in place
  /// may travel in one batch, of which the kernel carries out the rest after a refusal, so there
  /// may be successes behind the failure. Exactly the acknowledged ones are known.
  virtual std::vector<Result<void>> write(std::span<const Action> actions) = 0;

  /// A setting of before, as far as it can be given back now: CPUs may have gone offline since.
  virtual Setting as_kept(const Knob&, const Setting& setting) { return setting; }
};

}  // namespace ankus
