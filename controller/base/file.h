// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "base/result.h"

namespace ankus {

inline constexpr std::size_t kPolicyFileLimit = 64 * 1024;

/// The absolute path without symbolic links; what of it does not exist stays as it is.
std::string real_path(const std::string& path);

/// The text of a policy file that nobody but its rightful owner can have written: a regular file,
/// not reached through a symbolic link as last component, owned by root or by `reader`, not
/// writable by group or others, at most 64 KB. Everything is checked on the open descriptor, so
/// the file that was checked is the file that is read. The error of each refusal says what to do.
Result<std::string> read_policy_file(const std::string& path, uid_t reader);
/// The same for this process: a root process trusts root's files only.
Result<std::string> read_policy_file(const std::string& path);

}  // namespace ankus
