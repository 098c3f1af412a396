// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ankus::ctl {

/// How ankusctl ends (docs/operating.md). Scripts depend on these numbers.
enum class ExitCode {
  ok = 0,             ///< done, or nothing was to be done
  failed = 1,         ///< refused, failed, or not written; or doctor found a failure
  usage = 2,          ///< wrong arguments or a bad policy
  unreachable = 3,    ///< no daemon answers
  not_permitted = 4,  ///< the caller is not in the group needed
  incompatible = 5,   ///< the daemon speaks another version of the messages
  refused = 6,        ///< apply: all that is not as the policy wants it is refused
};

}  // namespace ankus::ctl
