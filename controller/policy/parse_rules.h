// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "policy/policy.h"
#include "policy/section.h"

namespace ankus {

/// Reads all [[rule]] of a file, and what is wrong between them.
void read_rules(const Section& top, Policy& policy, Report& report);

}  // namespace ankus
