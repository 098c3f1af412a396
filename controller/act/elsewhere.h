// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "journal/journal.h"

namespace ankus {

/// An Error if anything is in force, or may be, on a device of another network namespace than that
/// of `cookie`: there it can neither be read nor given back, and here not be told from what is
/// gone.
Result<void> check_namespace(Journal& journal, std::uint64_t cookie);

}  // namespace ankus
