// SPDX-License-Identifier: Apache-2.0
#include "sense/workloads_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

/// A map of the kernel with room for two rows, which can also refuse.
struct SmallMap {
  Result<void> become(const WorkloadRows& wanted) {
    return tell_rows(
        told, wanted,
        [this](std::uint64_t key, WorkloadId workload) -> Result<void> {
          if (!rows.contains(key) && rows.size() == 2) return fail_errno("full", E2BIG);
          rows[key] = workload;
          return {};
        },
        [this](std::uint64_t key) -> Result<void> {
          if (stuck) return fail_errno("stuck", EBUSY);
          return rows.erase(key) ? Result<void>() : fail_errno("no such row", ENOENT);
        });
  }
  WorkloadRows told, rows;
  bool stuck = false;
};

TEST(TellRows, MakesRoomBeforeItUsesIt) {
  SmallMap map;
  ASSERT_TRUE(map.become({{5, 1}, {6, 2}}));
  EXPECT_TRUE(map.become({{1, 3}, {6, 4}}));
  EXPECT_THAT(map.rows, ElementsAre(Pair(1, 3), Pair(6, 4)));
  EXPECT_EQ(map.told, map.rows);
}

TEST(TellRows, WhatFailedIsNotToldAndIsTriedAgain) {
  SmallMap map;
  const auto done = map.become({{1, 1}, {2, 2}, {3, 3}});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().err, E2BIG);
  EXPECT_THAT(map.told, ElementsAre(Pair(1, 1), Pair(2, 2)));
  EXPECT_TRUE(map.become({{2, 2}, {3, 3}}));
  EXPECT_THAT(map.rows, ElementsAre(Pair(2, 2), Pair(3, 3)));
}

TEST(TellRows, ARowThatWouldNotGoIsStillThere) {
  SmallMap map;
  ASSERT_TRUE(map.become({{1, 1}}));
  map.stuck = true;
  EXPECT_FALSE(map.become({{2, 2}}));
  EXPECT_THAT(map.told, ElementsAre(Pair(1, 1), Pair(2, 2)));
  map.stuck = false;
  EXPECT_TRUE(map.become({{2, 2}}));
  EXPECT_THAT(map.rows, ElementsAre(Pair(2, 2)));
}

TEST(TellRows, ARowThatIsGoneAnywayIsNoFailure) {
  SmallMap map;
  ASSERT_TRUE(map.become({{1, 1}}));
  map.rows.clear();
  EXPECT_TRUE(map.become({}));
  EXPECT_TRUE(map.told.empty());
}

/// `counts[i]` cgroups of workload i, numbered on from 1.
std::vector<CgroupOwner> owners_of(const std::vector<int>& counts) {
  std::vector<CgroupOwner> owners;
  std::uint64_t cgroup = 1;
  for (std::uint32_t workload = 0; workload < counts.size(); ++workload)
    for (int i = 0; i < counts[workload]; ++i)
      owners.push_back({.cgroup_id = cgroup++, .workload = workload});
  return owners;
}

std::vector<int> counts_in(const std::vector<CgroupOwner>& owners, std::size_t workloads) {
  std::vector<int> counts(workloads);
  for (const CgroupOwner& owner : owners) ++counts[owner.workload];
  return counts;
}

TEST(ShareRoom, OneTenantsCgroupsAreNotAtTheCostOfOthers) {
  auto owners = owners_of({3, 100'000, 40, 1});
  const std::uint64_t out = share_room(owners, {}, 100);
  EXPECT_THAT(counts_in(owners, 4), ElementsAre(3, 56, 40, 1));
  EXPECT_EQ(out, 100'000u - 56);
  EXPECT_TRUE(std::ranges::is_sorted(owners));
}

TEST(ShareRoom, SeveralWithManyShareWhatIsLeft) {
  auto owners = owners_of({500, 2, 500, 500});
  EXPECT_EQ(share_room(owners, {}, 100), 1402u);
  EXPECT_THAT(counts_in(owners, 4), ElementsAre(32, 2, 33, 33));
}

TEST(ShareRoom, WhoseAllFitHasAll) {
  auto owners = owners_of({60, 40});
  EXPECT_EQ(share_room(owners, {}, 100), 0u);
  EXPECT_EQ(owners, owners_of({60, 40}));
}

TEST(ShareRoom, EmptyCgroupsAreLeftOutFirst) {
  std::vector<Cgroup> cgroups;
  for (std::uint64_t id = 1; id <= 10; ++id) cgroups.push_back({.id = id});
  cgroups[8].processes = {700};
  auto owners = owners_of({10});
  EXPECT_EQ(share_room(owners, cgroups, 3), 7u);
  EXPECT_EQ(owners, (std::vector<CgroupOwner>{{1, 0}, {2, 0}, {9, 0}}));
}

}  // namespace
}  // namespace ankus
