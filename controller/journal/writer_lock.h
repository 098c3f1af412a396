// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/handle.h"
#include "base/result.h"

namespace ankus {

/// `ankus.lock` in the runtime directory: daemon, `--once` and `--rollback` exclude one another.
/// It ends with the process, however that ends.
class WriterLock {
 public:
  static Result<WriterLock> take(const std::string& runtime_dir);

 private:
  UniqueFd fd_;
};

}  // namespace ankus
