// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace ankus {

/// Who starts the VM says in ANKUS_VM_HAS what it has been given: words like "nic smp4 nvme".
inline bool vm_is_to_have(const std::string& hardware) {
  const char* all = std::getenv("ANKUS_VM_HAS");
  return all != nullptr && (" " + std::string(all) + " ").contains(" " + hardware + " ");
}

}  // namespace ankus

/// A claim whose hardware is missing is skipped; where it is to be there, that is a failure.
#define ANKUS_SKIP_WITHOUT(hardware, is_there, needs)                \
  do {                                                               \
    if (is_there) break;                                             \
    if (::ankus::vm_is_to_have(hardware))                            \
      FAIL() << "the VM was given it, and it is missing: " << needs; \
    GTEST_SKIP() << "needs " << needs;                               \
  } while (false)
