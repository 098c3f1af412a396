// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sense/workloads.h"

namespace ankus {
namespace {

/// A device alone: a veth whose namespace nobody can name, or a tap.
bool is_weak(const WorkloadIdentity& identity) {
  return identity.cgroup_id == 0 && identity.netns_inode == 0;
}

/// A cgroup is evidence enough, and the only one that is there from a container's first moment.
WorkloadIdentity key_of(const WorkloadIdentity& identity) {
  if (identity.cgroup_id != 0)
    return {.cgroup_id = identity.cgroup_id, .cgroup_born = identity.cgroup_born};
  return {.netns_inode = identity.netns_inode, .ifindex = identity.ifindex};
}

}  // namespace

struct WorkloadIds::Scan {
  MonotonicTime now;
  std::set<WorkloadId> taken;
  std::set<WorkloadId> changed;
  std::vector<WorkloadId> recycled;
};

WorkloadIds::WorkloadIds(WorkloadId first, WorkloadId last,
                         std::span<const NumberedWorkload> former) {
  for (const NumberedWorkload& row : former) {
    if (row.number < first || row.number > last) continue;  // of maps with more rows than ours
    const WorkloadIdentity& identity = row.identity;
    known_.emplace(key_of(identity), row.number);
    rows_[row.number] = {.identity = identity,
                         .keys = {key_of(identity)},
                         .ifindex = identity.ifindex,
                         .vanished = row.vanished};
    if (row.vanished)
      free_.emplace(*row.vanished + kQuarantine, row.number);
    else if (identity.ifindex != 0)
      on_device_[identity.ifindex] = {.id = row.number, .netns_inode = identity.netns_inode};
  }
  for (WorkloadId id = first; id <= last; ++id)
    if (!rows_.contains(id)) free_.emplace(MonotonicTime{}, id);
}

std::optional<WorkloadId> WorkloadIds::find(const WorkloadIdentity& identity,
                                            const Scan& scan) const {
  if (const auto known = known_.find(key_of(identity));
      known != known_.end() && !scan.taken.contains(known->second))
    return known->second;
  const auto on = on_device_.find(identity.ifindex);
  if (identity.ifindex == 0 || on == on_device_.end() || scan.taken.contains(on->second.id))
    return std::nullopt;
  const std::uint64_t before = on->second.netns_inode;
  if (before == 0 || identity.netns_inode == 0 || before == identity.netns_inode)
    return on->second.id;
  return std::nullopt;
}

std::optional<WorkloadId> WorkloadIds::take_free(Scan& scan) {
  if (free_.empty() || free_.begin()->first > scan.now) return std::nullopt;
  const WorkloadId id = free_.begin()->second;
  free_.erase(free_.begin());
  if (const auto former = rows_.find(id); former != rows_.end()) {
    for (const WorkloadIdentity& key : former->second.keys)
      if (const auto known = known_.find(key); known != known_.end() && known->second == id)
        known_.erase(known);
    rows_.erase(former);
    scan.recycled.push_back(id);
  }
  return id;
}

/// The number `id` is the workload's that was seen as `identity`.
void WorkloadIds::note(const WorkloadIdentity& identity, WorkloadId id, Scan& scan) {
  scan.taken.insert(id);
  const auto [place, added] = rows_.try_emplace(id);
  Row& row = place->second;
  if (row.vanished) {
    free_.erase({*row.vanished + kQuarantine, id});
    row.vanished.reset();
    scan.changed.insert(id);
  }
  // What is left of an ending container does not replace what it was.
  if (added || (row.identity != identity && (!is_weak(identity) || is_weak(row.identity)))) {
    row.identity = identity;
    scan.changed.insert(id);
  }
  known_[key_of(identity)] = id;
  row.keys.insert(key_of(identity));
  if (identity.ifindex == 0) return;
  if (row.ifindex != identity.ifindex) leave_device(row, id);
  row.ifindex = identity.ifindex;
  OnDevice& on = on_device_[identity.ifindex];
  on = {.id = id, .netns_inode = identity.netns_inode != 0 ? identity.netns_inode : on.netns_inode};
}

void WorkloadIds::leave_device(const Row& row, WorkloadId id) {
  if (const auto on = on_device_.find(row.ifindex); on != on_device_.end() && on->second.id == id)
    on_device_.erase(on);
}

/// What a successor on a device with the same ifindex could be mistaken by is forgotten.
void WorkloadIds::retire(WorkloadId id, MonotonicTime now) {
  Row& row = rows_.at(id);
  row.vanished = now;
  free_.emplace(now + kQuarantine, id);
  leave_device(row, id);
  if (is_weak(row.identity)) return;
  std::erase_if(row.keys, [&](const WorkloadIdentity& key) {
    if (!is_weak(key)) return false;
    if (const auto known = known_.find(key); known != known_.end() && known->second == id)
      known_.erase(known);
    return true;
  });
}

NumberedSightings WorkloadIds::number(std::span<const WorkloadSighting> sightings,
                                      MonotonicTime now) {
  Scan scan{.now = now};
  NumberedSightings numbered{.ids = std::vector<std::optional<WorkloadId>>(sightings.size())};
  // Those with a cgroup first: nobody else may take their number by way of a device. The new ones
  // last: a number that is free may be that of somebody who has just come back.
  for (const bool with_cgroup : {true, false})
    for (std::size_t i = 0; i < sightings.size(); ++i) {
      const WorkloadIdentity& identity = sightings[i].identity;
      if ((identity.cgroup_id != 0) != with_cgroup) continue;
      numbered.ids[i] = find(identity, scan);
      if (numbered.ids[i]) note(identity, *numbered.ids[i], scan);
    }
  for (std::size_t i = 0; i < sightings.size(); ++i) {
    if (numbered.ids[i]) continue;
    numbered.ids[i] = take_free(scan);
    if (numbered.ids[i]) note(sightings[i].identity, *numbered.ids[i], scan);
  }
  for (const auto& [id, row] : rows_)
    if (!row.vanished && !scan.taken.contains(id)) {
      retire(id, now);
      scan.changed.insert(id);
    }
  for (const WorkloadId id : scan.changed) {
    const Row& row = rows_.at(id);
    numbered.changed.push_back({.number = id, .identity = row.identity, .vanished = row.vanished});
  }
  numbered.recycled = std::move(scan.recycled);
  return numbered;
}

}  // namespace ankus
