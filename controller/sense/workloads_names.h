// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "sense/cgroups.h"

namespace ankus {

/// Name for people, label for the memory of footprints. Both are written by the observed: they are
/// printable and short, and nothing but a remembered footprint hangs on them.
struct NameAndLabel {
  std::string name, label;
  bool operator==(const NameAndLabel&) const = default;
};

/// What a container runtime's own file says.
struct RuntimeFacts {
  NameAndLabel names;
  bool sandbox = false;  ///< Kubernetes' pause container: has no label, since all have the same
  bool operator==(const RuntimeFacts&) const = default;
};

/// From Docker's /var/lib/docker/containers/ID/config.v2.json. nullopt if it is not one.
std::optional<RuntimeFacts> parse_docker_config(std::string_view json);
/// From containerd's /run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json.
std::optional<RuntimeFacts> parse_containerd_config(std::string_view json);

/// Foreign text as a name or label: one printable line of at most 96 bytes.
std::string display_text(std::string_view text);

/// Where the runtimes keep those files; a test gives others.
struct RuntimeRoots {
  std::string docker = "/var/lib/docker/containers";
  std::string containerd = "/run/containerd/io.containerd.runtime.v2.task";
};

/// Reads them, each container's once.
class RuntimeNames {
 public:
  explicit RuntimeNames(RuntimeRoots roots) : roots_(std::move(roots)) {}

  /// nullopt where the runtime has no such file or it is not ours to read.
  std::optional<RuntimeFacts> find(const CgroupName& container);
  /// Drops what find() was not asked for since the last call.
  void forget_unused();

 private:
  struct Remembered {
    RuntimeFacts facts;
    bool used = true;
  };
  RuntimeRoots roots_;
  std::map<std::string, Remembered> known_;  ///< by container id
};

}  // namespace ankus
