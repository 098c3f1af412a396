// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "verify/samples.h"
#include "verify/verdict.h"

namespace ankus {

// Samples as JSON and back to an equal value: what the history keeps for `explain`, and what
// `./dev bench verdict` reads of recorded experiments. A histogram is {"bucket": count, ...} of the
// buckets that are not 0; times are nanoseconds; what is not known is left out.
nlohmann::json to_json(const Samples& samples);
Result<Samples> samples_from_json(const nlohmann::json& json);

nlohmann::json to_json(const Verdict& verdict);  ///< for people and `--json`; never read again

}  // namespace ankus
