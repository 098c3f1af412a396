// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ankus {

/// Which of `features` this kernel has or can load, found without loading anything: a module's name
/// and a function of it, which /proc/kallsyms lists if it is built in or loaded; else modules.dep.
struct KernelFeature {
  std::string module;    ///< "sch_htb"
  std::string function;  ///< "htb_enqueue"
};
std::vector<bool> kernel_has(const std::vector<KernelFeature>& features);

/// uname -r.
std::string kernel_release();

}  // namespace ankus
