// SPDX-License-Identifier: Apache-2.0
#include "daemon/pins.h"

#include <unistd.h>

#include <filesystem>
#include <vector>

#include "bpf/wire.h"
#include "kernel/bpf.h"
#include "sense/attachments.h"
#include "sense/programs.h"

namespace ankus {
namespace {

/// A classifier's pin outlives the device that it was attached to.
void unpin_classifiers_of_gone_devices(const std::string& directory) {
  std::error_code error;  // there may be none
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const auto link = bpf::open_pinned(entry.path());
    if (!link) continue;
    const auto info = bpf::link_info(link->get());
    if (info && info->ifindex == 0) (void)unlink(entry.path().c_str());
  }
  (void)rmdir(directory.c_str());
}

/// Maps of any version of ours but `kept`.
void unpin_maps(const std::string& bpf_dir, const std::string& kept) {
  std::vector<std::string> versions;
  std::error_code error;  // there may be none
  for (const auto& entry : std::filesystem::directory_iterator(bpf_dir, error))
    if (const std::string name = entry.path().filename();
        name.starts_with("maps-v") && entry.path() != kept)
      versions.push_back(entry.path());
  for (const std::string& version : versions) unpin_all(version);
}

}  // namespace

void remove_pins_of_other_versions(const std::string& bpf_dir) {
  std::string ours = map_pin_path(bpf_dir, "");
  ours.pop_back();
  unpin_maps(bpf_dir, ours);
}

void remove_pins(const std::string& bpf_dir) {
  unpin_all(sensor_pins(bpf_dir));
  unpin_maps(bpf_dir, "");
  unpin_classifiers_of_gone_devices(bpf_dir + "/classifiers");
  (void)rmdir(bpf_dir.c_str());  // stays if somebody keeps something of theirs there
}

}  // namespace ankus
