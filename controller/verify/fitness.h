// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "model/verify_rule.h"
#include "verify/samples.h"

namespace ankus {

/// Slices with packets in them that a window needs; fewer cannot tell chance from effect.
inline constexpr std::size_t kLeastSlices = 4;

/// Why a segment's window says nothing; "" if it does.
std::string lack_of(const SegmentSamples& segment, const VerifyRule& rule);

/// All slices together.
Histogram pooled(const SegmentSamples& segment);

}  // namespace ankus
