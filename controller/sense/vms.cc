// SPDX-License-Identifier: Apache-2.0
#include "sense/vms.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/text.h"

namespace ankus {
namespace {

constexpr std::uint32_t kLongestWait = 63;

}  // namespace

std::string vm_name_in(std::span<const std::string> command_line) {
  for (std::size_t i = 0; i < command_line.size(); ++i) {
    const std::string_view word = command_line[i];
    if (word.starts_with("--id=")) return std::string(word.substr(5));  // Firecracker
    if (word != "-name" && word != "--name" && word != "--id") continue;
    if (i + 1 == command_line.size()) break;
    for (const std::string_view part : split(command_line[i + 1], ',')) {
      if (part.starts_with("guest=")) return std::string(part.substr(6));
      if (part.find('=') == std::string_view::npos && !part.empty()) return std::string(part);
    }
  }
  return {};
}

std::vector<std::int32_t> machines_first(std::span<const std::int32_t> processes,
                                         std::span<const Cgroup> cgroups) {
  std::set<std::int32_t> in_machines;
  for (const Cgroup& cgroup : cgroups)
    if (!cgroup.processes.empty() && unit_of(cgroup.path).name.role == CgroupRole::machine)
      in_machines.insert(cgroup.processes.begin(), cgroup.processes.end());
  std::vector<std::int32_t> ordered(processes.begin(), processes.end());
  std::ranges::stable_partition(ordered,
                                [&](std::int32_t pid) { return in_machines.contains(pid); });
  return ordered;
}

bool TapHolders::holds(const Known& holder, const std::string& tap) const {
  if (holder.pid == 0 || proc_.tun_device(holder.pid, holder.descriptor) != tap) return false;
  const auto start_time = proc_.start_time(holder.pid);
  return start_time && *start_time == holder.start_time;
}

std::vector<TapHolder> TapHolders::find(std::span<const Link> links,
                                        std::span<const std::int32_t> processes) {
  std::map<std::uint32_t, Known> known;
  std::map<std::string, std::uint32_t> wanted;  // name -> ifindex
  bool search = false;
  for (const Link& link : links) {
    if (!link.tap) continue;
    Known& tap = known[link.device.ifindex];
    if (const auto before = known_.find(link.device.ifindex); before != known_.end())
      tap = before->second;
    if (holds(tap, link.device.name)) continue;
    if (tap.pid != 0) tap = {};  // its holder has ended or closed it: look for the next at once
    wanted[link.device.name] = link.device.ifindex;
    if (tap.wait == 0)
      search = true;
    else
      --tap.wait;
  }
  if (search) {
    for (const std::int32_t pid : processes) {
      const auto files = proc_.tun_files(pid);
      const auto start_time = proc_.start_time(pid);
      if (!files || !start_time) continue;  // ended, or not ours to read
      for (const TunFile& file : *files)
        if (const auto tap = wanted.find(file.device); tap != wanted.end()) {
          known[tap->second] = {
              .pid = pid, .start_time = *start_time, .descriptor = file.descriptor};
          wanted.erase(tap);
        }
    }
    for (const auto& [name, ifindex] : wanted) {
      Known& tap = known[ifindex];
      tap.wait = tap.next_wait;
      tap.next_wait = std::min(2 * tap.next_wait + 1, kLongestWait);
    }
  }
  known_ = std::move(known);
  std::vector<TapHolder> holders;
  for (const auto& [ifindex, tap] : known_)
    if (tap.pid != 0) holders.push_back({.ifindex = ifindex, .pid = tap.pid});
  return holders;
}

}  // namespace ankus
