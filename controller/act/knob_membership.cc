// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_knobs.h"
#include "bpf/wire.h"

namespace ankus {
namespace {

static_assert(static_cast<int>(Weight::light) == ANKUS_LIGHT &&
              static_cast<int>(Weight::heavy) == ANKUS_HEAVY &&
              static_cast<int>(Weight::mixed) == ANKUS_MIXED);

/// From memory: by BPF_MAP_LOOKUP_BATCH the kernel would be busy for as long as copying 4,096 rows
/// takes, several times for each plan.
Result<Members> read_members(int map) {
  const auto rows =
      bpf::MappedArray<const ankus_member>::open(map, ANKUS_MAX_WORKLOADS, bpf::Access::read);
  if (!rows) return with_context("read the membership map", rows.error());
  Members members;
  for (std::uint32_t id = 0; id < ANKUS_MAX_WORKLOADS; ++id) {
    const ankus_member& row = (*rows)[id];
    if (row.slow_class == 0 && row.fast_class == 0) continue;
    members.rows.push_back({.workload = id,
                            .slow_class = row.slow_class,
                            .fast_class = row.fast_class,
                            .weight = static_cast<Weight>(row.weight & 3)});
  }
  return members;
}

/// Rows that are no longer wanted become empty; all others get a new lease.
Result<void> write_members(const KernelHandles& handles, const Members& wanted) {
  const auto old = read_members(handles.members_fd);
  if (!old) return std::unexpected(old.error());
  std::map<std::uint32_t, ankus_member> rows;
  for (const Member& row : old->rows) rows[row.workload] = {};
  const std::uint32_t lease = handles.lease_end ? handles.lease_end() : 0;
  for (const Member& row : wanted.rows) {
    if (row.workload >= ANKUS_MAX_WORKLOADS)
      return fail(ErrorKind::invalid,
                  "workload number " + std::to_string(row.workload) + " is beyond the map");
    rows[row.workload] = {.slow_class = row.slow_class,
                          .fast_class = row.fast_class,
                          .weight = static_cast<std::uint32_t>(row.weight),
                          .lease_until = lease};
  }
  std::vector<std::uint32_t> keys;
  std::vector<ankus_member> values;
  for (const auto& [id, row] : rows) {
    keys.push_back(id);
    values.push_back(row);
  }
  return bpf::Map<std::uint32_t, ankus_member>(handles.members_fd).update(keys, values);
}

}  // namespace

Result<Setting> read_knob(const knob::Membership&, KernelView& view) {
  if (view.handles().members_fd < 0) return Absent{};  // no maps: nothing is classed
  auto members = read_members(view.handles().members_fd);
  if (!members) return std::unexpected(members.error());
  if (members->rows.empty()) return Absent{};
  return std::move(*members);
}

Result<Step> step_of(const knob::Membership& knob, const Setting& before, const Setting& after,
                     const KernelHandles& handles) {
  Members wanted;
  if (const auto* members = std::get_if<Members>(&after))
    wanted = *members;
  else if (!std::holds_alternative<Absent>(after))
    return no_step(knob, before, after);
  if (handles.members_fd < 0) {
    if (wanted.rows.empty()) return [] { return Result<void>(); };
    return fail(ErrorKind::unsupported, "the membership map is not there");
  }
  return [&handles, wanted = std::move(wanted)] { return write_members(handles, wanted); };
}

}  // namespace ankus
