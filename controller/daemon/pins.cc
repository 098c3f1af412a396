// SPDX-License-Identifier: Apache-2.0
#include "daemon/pins.h"

#include <unistd.h>

#include "bpf/wire.h"
#include "sense/attachments.h"
#include "sense/programs.h"

namespace ankus {

void remove_pins(const std::string& bpf_dir) {
  unpin_all(bpf_dir + "/sensors");
  std::string maps = map_pin_path(bpf_dir, "");
  maps.pop_back();
  unpin_all(maps);
  (void)rmdir(bpf_dir.c_str());  // stays if somebody keeps something of theirs there
}

}  // namespace ankus
