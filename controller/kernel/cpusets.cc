// SPDX-License-Identifier: Apache-2.0
#include "kernel/cpusets.h"

#include "kernel/procfs.h"

namespace ankus {

std::optional<CpuSet> cpuset_of(const std::string& root, std::string_view path) {
  // A cgroup outside of our cgroup namespace begins with "/.." (cgroup_namespaces(7)).
  if (root.empty() || path.starts_with("/..")) return std::nullopt;
  while (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    const std::string directory = path.empty() ? root : root + "/" + std::string(path);
    if (const auto text = read_file_head(directory + "/cpuset.cpus.effective")) {
      auto cpus = cpu_list_from_text(*text);
      if (!cpus) return std::nullopt;
      return *std::move(cpus);
    }
    if (path.empty()) return std::nullopt;
    const std::size_t slash = path.rfind('/');
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
  }
}

}  // namespace ankus
