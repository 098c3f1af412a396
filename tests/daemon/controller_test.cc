// SPDX-License-Identifier: Apache-2.0
#include "daemon/controller.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

TEST(OptOut, LastsAsLongAsTheWorkloadsCgroup) {
  const WorkloadIdentity before{.cgroup_id = 5, .netns_inode = 7, .ifindex = 3};
  const WorkloadIdentity reconnected{.cgroup_id = 5, .netns_inode = 7, .ifindex = 9};
  const WorkloadIdentity other{.cgroup_id = 55, .netns_inode = 7, .ifindex = 9};
  EXPECT_TRUE(names_workload(opt_out_key(before), reconnected));
  EXPECT_FALSE(names_workload(opt_out_key(before), other)) << "of one pod, or with 5 in front";
  EXPECT_FALSE(names_workload(opt_out_key(other), before));
}

TEST(OptOut, WithoutACgroupIsTheDevices) {
  const WorkloadIdentity device{.netns_inode = 7, .ifindex = 3};
  const WorkloadIdentity with_first_process{.cgroup_id = 5, .netns_inode = 7, .ifindex = 3};
  EXPECT_TRUE(names_workload(opt_out_key(device), device));
  EXPECT_TRUE(names_workload(opt_out_key(device), with_first_process));
  EXPECT_FALSE(names_workload(opt_out_key(device), {.netns_inode = 7, .ifindex = 9}));
  EXPECT_FALSE(names_workload(opt_out_key({}), {.cgroup_id = 5})) << "a service has no device";
}

TEST(OptOut, KnowsTheKeysOfEarlierVersions) {
  EXPECT_TRUE(names_workload("cgroup 5 netns 7 ifindex 3",
                             {.cgroup_id = 5, .netns_inode = 7, .ifindex = 9}));
}

TEST(FindWorkload, ANumberGoesBeforeWhatSomebodyCallsHisWorkload) {
  Snapshot snapshot;
  for (const auto& [id, name] : {std::pair(18, "17"), {17, "web"}, {19, "db"}, {20, "db"}})
    snapshot.workloads.push_back({.workload = {.id = static_cast<WorkloadId>(id), .name = name}});
  const auto found = [&](const std::string& text) {
    const auto one = find_workload(snapshot, text);
    return one ? (*one)->workload.id : WorkloadId{0};
  };
  EXPECT_EQ(found("17"), 17U);
  EXPECT_EQ(found("web"), 17U);
  EXPECT_EQ(find_workload(snapshot, "db").error().kind, ErrorKind::invalid);
  EXPECT_EQ(find_workload(snapshot, "mail").error().kind, ErrorKind::gone);
}

}  // namespace
}  // namespace ankus
