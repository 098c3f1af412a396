// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace ankus {

/// The project's version, the same as in the root CMakeLists.txt (a test compares them).
inline constexpr std::string_view kVersion = "0.1.0";
/// Counts incompatible changes of the control socket's messages (docs/api.md).
inline constexpr std::string_view kApiVersion = "1";

}  // namespace ankus
