// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace ankus {

/// Takes away every pin below `bpf_dir`, so that programs and maps go with the last process that
/// uses them. For when nothing is held any more: classifiers are knobs and have gone before.
void remove_pins(const std::string& bpf_dir);

/// Maps that a former version has pinned feed nobody once ours are in use: some 20 MB.
void remove_pins_of_other_versions(const std::string& bpf_dir);

}  // namespace ankus
