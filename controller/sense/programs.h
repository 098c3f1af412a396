// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kernel/bpf.h"

namespace ankus {

/// The BPF objects that this kernel takes, found by trying (never by version), sharing one set of
/// maps. Loading one form less is a downgrade, a line for `status`, not an error.
class Programs {
 public:
  enum class Conntrack { none, netfilter_link, trampolines };

  struct Options {
    std::uint32_t max_flows = 65536;
    /// Below a bpffs mount; maps pinned there by an earlier run are used again if their shape is
    /// right, so that what is known of flows survives a restart. Empty: nothing pinned is looked
    /// at.
    std::string pin_dir;
  };

  /// Fails only if the maps or the tc programs do not load: then nothing can be sensed at all.
  static Result<Programs> load(const Options& options);

  Conntrack conntrack = Conntrack::none;
  std::vector<std::string> downgrades;  ///< one line each, with the reason
  bool maps_reused = false;

  /// File descriptors, valid as long as this; -1 if not loaded.
  int map(const std::string& name) const;
  int program(const std::string& name) const;
  /// The kernel's numbers of all programs of ours.
  std::set<std::uint32_t> program_ids() const;
  /// All maps by name, for another object that shares them.
  const std::map<std::string, int>& maps() const { return maps_; }

  /// Tries conntrack again, for when its module was loaded after us.
  void load_conntrack();
  /// Pins the maps below pin_dir so that they outlive the process.
  Result<void> pin_maps() const;

  /// The clock of everything in the maps.
  Result<std::uint32_t> jiffies() const;
  static nanoseconds tick();
  static std::uint32_t to_jiffies(nanoseconds duration);

 private:
  Options options_;
  std::map<std::string, UniqueFd> reused_;
  std::vector<bpf::Object> objects_;
  std::map<std::string, int> maps_;
};

/// Where maps of this version are pinned below `pin_dir`.
std::string map_pin_path(const std::string& pin_dir, const std::string& name);
/// Gives packets their class; pinned along with the maps.
inline constexpr const char* kClassifierProgram = "ankus_uplink_classifies";

}  // namespace ankus
