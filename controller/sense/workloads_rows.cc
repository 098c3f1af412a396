// SPDX-License-Identifier: Apache-2.0
#include "sense/workloads_rows.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "kernel/procfs.h"

namespace ankus {

Result<std::uint32_t> maps_id(const Programs& programs) {
  const std::string path = "/proc/self/fdinfo/" + std::to_string(programs.map("ankus_flows"));
  const auto text = read_file_head(path);
  if (!text) return std::unexpected(text.error());
  for (const std::string_view line : split(*text, '\n')) {
    if (!line.starts_with("map_id:")) continue;  // bpf_map_show_fdinfo() in kernel/bpf/syscall.c
    const std::string_view value = trim(line.substr(7));
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), id);
    if (error == std::errc{} && end == value.data() + value.size() && id != 0) return id;
  }
  return fail(ErrorKind::unsupported, path + " has no map_id");
}

Result<void> clear_workloads(const Programs& programs, const std::set<WorkloadId>& numbers) {
  if (numbers.empty()) return {};
  const bpf::Map<ankus_flow_key, ankus_flow> flows(programs.map("ankus_flows"));
  std::vector<ankus_flow_key> theirs;
  auto done = flows.for_each([&](const ankus_flow_key& key, const ankus_flow& flow) {
    if (numbers.contains(flow.owner)) theirs.push_back(key);
  });
  // One that goes on is made anew by its next packet, with the owner it has now.
  for (const ankus_flow_key& key : theirs)
    if (done) done = flows.erase(key);
  if (!done) return with_context("flows of former workloads", done.error());
  const std::vector<std::uint32_t> keys(numbers.begin(), numbers.end());
  const std::vector<ankus_bucket> buckets(keys.size());
  done = bpf::Map<std::uint32_t, ankus_bucket>(programs.map("ankus_buckets")).update(keys, buckets);
  if (!done) return with_context("buckets of former workloads", done.error());
  const std::vector<ankus_member> members(keys.size());
  done = bpf::Map<std::uint32_t, ankus_member>(programs.map("ankus_members")).update(keys, members);
  if (!done) return with_context("classes of former workloads", done.error());
  return {};
}

Result<void> tell_rows(WorkloadRows& told, const WorkloadRows& wanted,
                       const std::function<Result<void>(std::uint64_t, WorkloadId)>& set,
                       const std::function<Result<void>(std::uint64_t)>& forget) {
  Result<void> all;
  std::erase_if(told, [&](const auto& row) {
    if (wanted.contains(row.first)) return false;
    auto done = forget(row.first);
    if (done || done.error().kind == ErrorKind::gone) return true;
    if (all) all = std::move(done);
    return false;
  });
  for (const auto& [key, workload] : wanted) {
    if (const auto known = told.find(key); known != told.end() && known->second == workload)
      continue;
    if (auto done = set(key, workload); done)
      told[key] = workload;
    else if (all)
      all = std::move(done);
  }
  return all;
}

std::uint64_t share_room(std::vector<CgroupOwner>& owners, std::span<const Cgroup> cgroups,
                         std::size_t room) {
  if (owners.size() <= room) return 0;
  std::map<std::uint32_t, std::vector<CgroupOwner>> by_workload;
  for (const CgroupOwner& owner : owners) by_workload[owner.workload].push_back(owner);
  // Those who want the least have all of it, and what they leave is the others'.
  std::vector<std::vector<CgroupOwner>*> by_wish;
  for (auto& [workload, theirs] : by_workload) by_wish.push_back(&theirs);
  std::ranges::stable_sort(by_wish, {}, [](const auto* theirs) { return theirs->size(); });
  std::set<std::uint64_t> empty;
  for (const Cgroup& cgroup : cgroups)
    if (cgroup.processes.empty()) empty.insert(cgroup.id);
  const std::size_t before = owners.size();
  owners.clear();
  for (std::size_t i = 0; i < by_wish.size(); ++i) {
    std::vector<CgroupOwner>& theirs = *by_wish[i];
    const std::size_t share = (room - owners.size()) / (by_wish.size() - i);
    if (theirs.size() > share) {
      std::ranges::sort(theirs, {}, [&](const CgroupOwner& owner) {
        return std::pair(empty.contains(owner.cgroup_id), owner.cgroup_id);
      });
      theirs.resize(share);
    }
    owners.insert(owners.end(), theirs.begin(), theirs.end());
  }
  std::ranges::sort(owners);
  return before - owners.size();
}

Result<WorkloadRows> cgroup_rows(const Programs& programs) {
  WorkloadRows rows;
  auto done = bpf::Map<std::uint64_t, std::uint32_t>(programs.map("ankus_cgroups"))
                  .for_each([&](const std::uint64_t& cgroup, const std::uint32_t& workload) {
                    rows[cgroup] = workload;
                  });
  if (!done) return with_context("ankus_cgroups", done.error());
  return rows;
}

Result<std::map<std::uint32_t, WorkloadId>> workload_device_rows(const Programs& programs) {
  std::map<std::uint32_t, WorkloadId> rows;
  auto done = bpf::Map<std::uint32_t, ankus_device>(programs.map("ankus_devices"))
                  .for_each([&](const std::uint32_t& ifindex, const ankus_device& device) {
                    if (device.role == ANKUS_ROLE_WORKLOAD) rows[ifindex] = device.owner;
                  });
  if (!done) return with_context("ankus_devices", done.error());
  return rows;
}

}  // namespace ankus
