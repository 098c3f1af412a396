// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "daemon/api.h"

namespace ankus {

/// Why `body`, an object, is not one that `route` takes; none if it is. A field that is not known
/// is refused: if it were ignored, `apply` with a misspelt deadline would have none.
std::optional<std::string> wrong_field(const nlohmann::json& body, const api::Route& route);

}  // namespace ankus
