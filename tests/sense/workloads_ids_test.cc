// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sense/workloads.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kPod = 4026532001, kOther = 4026532002;
constexpr seconds kSecond{1};
constexpr nanoseconds kQuarantine = WorkloadIds::kQuarantine;
constexpr MonotonicTime kStart{seconds(5000)};

using Ids = std::vector<std::optional<WorkloadId>>;

/// Numbers with a clock beside them.
struct Numbers {
  WorkloadIds ids;
  MonotonicTime now = kStart;

  NumberedSightings all(const std::vector<WorkloadIdentity>& identities) {
    std::vector<WorkloadSighting> sightings;
    for (const WorkloadIdentity& identity : identities) sightings.push_back({.identity = identity});
    return ids.number(sightings, now);
  }
  Ids of(const std::vector<WorkloadIdentity>& identities) { return all(identities).ids; }
  void pass(nanoseconds time) { now = now + time; }
};

/// As the journal keeps them: each row replaces the one of its number.
struct Kept {
  std::map<WorkloadId, NumberedWorkload> rows;
  void keep(const std::vector<NumberedWorkload>& changed) {
    for (const NumberedWorkload& row : changed) rows[row.number] = row;
  }
  std::vector<NumberedWorkload> all() const {
    std::vector<NumberedWorkload> list;
    for (const auto& [number, row] : rows) list.push_back(row);
    return list;
  }
};

TEST(WorkloadIds, AreDenseAndStable) {
  Numbers numbers{WorkloadIds(1, 10)};
  EXPECT_EQ(numbers.of({{.cgroup_id = 5}, {.cgroup_id = 6}}), (Ids{1, 2}));
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}}), (Ids{2}));
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}, {.cgroup_id = 5}}), (Ids{2, 1}));
}

TEST(WorkloadIds, ACgroupBornAtAnotherTimeIsAnother) {
  Numbers numbers{WorkloadIds(1, 2)};
  EXPECT_EQ(numbers.of({{.cgroup_id = 5}}), (Ids{1}));
  EXPECT_EQ(numbers.of({{.cgroup_id = 5, .cgroup_born = kSecond}}), (Ids{2}));
  EXPECT_EQ(numbers.of({{.cgroup_id = 7}}), (Ids{std::nullopt})) << "both are in quarantine";
  EXPECT_EQ(numbers.of({{.cgroup_id = 5}}), (Ids{1}));
}

TEST(WorkloadIds, StayWhileAContainerStartsAndEnds) {
  Numbers numbers{WorkloadIds(1, 10)};
  const std::vector<WorkloadIdentity> life{
      {.cgroup_id = 5},                                     // runc has made the cgroup
      {.cgroup_id = 5, .netns_inode = kPod},                // and unshared
      {.cgroup_id = 5, .netns_inode = kPod, .ifindex = 9},  // the veth is there
      {.netns_inode = kPod, .ifindex = 9},                  // its processes ended
      {.ifindex = 9}};                                      // its namespace is being torn down
  for (const WorkloadIdentity& identity : life) EXPECT_EQ(numbers.of({identity}), (Ids{1}));
  Numbers reversed{WorkloadIds(1, 10)};
  for (auto identity = life.rbegin(); identity + 2 != life.rend(); ++identity)
    EXPECT_EQ(reversed.of({*identity}), (Ids{1}));
}

TEST(WorkloadIds, AVethThatMovesToAnotherNamespaceInheritsNothing) {
  Numbers numbers{WorkloadIds(1, 10)};
  EXPECT_EQ(numbers.of({{.netns_inode = kPod, .ifindex = 9}}), (Ids{1}));
  EXPECT_EQ(numbers.of({{.netns_inode = kOther, .ifindex = 9}}), (Ids{2}));
}

TEST(WorkloadIds, AReusedIfindexInheritsNothingOfAWorkloadThatVanished) {
  Numbers numbers{WorkloadIds(1, 10)};
  const WorkloadIdentity whole{.cgroup_id = 5, .netns_inode = kPod, .ifindex = 9};
  EXPECT_EQ(numbers.of({whole}), (Ids{1}));
  EXPECT_EQ(numbers.of({{.ifindex = 9}}), (Ids{1})) << "its namespace is being torn down";
  EXPECT_EQ(numbers.of({}), (Ids{}));
  // Another veth with that index, whose namespace cannot be named at first.
  EXPECT_EQ(numbers.of({{.ifindex = 9}}), (Ids{2}));
  EXPECT_EQ(numbers.of({{.netns_inode = kOther, .ifindex = 9}}), (Ids{2}));
}

TEST(WorkloadIds, TwoSightingsOfOneScanNeverShareANumber) {
  Numbers numbers{WorkloadIds(1, 3)};
  const WorkloadIdentity service{.cgroup_id = 5, .netns_inode = kPod, .ifindex = 9};
  const WorkloadIdentity split_off{.netns_inode = kPod, .ifindex = 9};
  // However often a service's processes leave and join a namespace, it costs two numbers.
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(numbers.of({service}), (Ids{1}));
    EXPECT_EQ(numbers.of({split_off, {.cgroup_id = 5}}), (Ids{2, 1}));
    numbers.pass(kQuarantine);
  }
}

TEST(WorkloadIds, AreAnothersOnlyAfterQuarantine) {
  Numbers numbers{WorkloadIds(1, 1)};
  EXPECT_EQ(numbers.of({{.cgroup_id = 5}}), (Ids{1}));
  numbers.pass(seconds(1000));
  EXPECT_EQ(numbers.of({{.cgroup_id = 5}}), (Ids{1})) << "it was there until now";
  numbers.pass(kSecond);
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}}), (Ids{std::nullopt}));
  numbers.pass(kQuarantine - nanoseconds(1));
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}}), (Ids{std::nullopt}));
  numbers.pass(nanoseconds(1));
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}}), (Ids{1}));
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}, {.cgroup_id = 5}}), (Ids{1, std::nullopt}));
}

TEST(WorkloadIds, QuarantineIsLongerThanALeaseAndAnIdleFlow) {
  EXPECT_GE(WorkloadIds::kQuarantine, seconds(120));
}

TEST(WorkloadIds, QuarantineBeginsAnewAtEachEnd) {
  Numbers numbers{WorkloadIds(1, 1)};
  numbers.of({{.cgroup_id = 5}});
  numbers.of({});
  numbers.pass(kQuarantine - kSecond);
  EXPECT_EQ(numbers.of({{.cgroup_id = 5}}), (Ids{1})) << "it has come back";
  numbers.pass(kSecond * 10);
  numbers.of({});
  numbers.pass(kQuarantine - kSecond);
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}}), (Ids{std::nullopt}));
}

TEST(WorkloadIds, ComeBackToTheirWorkloadAsLongAsNobodyElseHasThem) {
  Numbers numbers{WorkloadIds(1, 2)};
  EXPECT_EQ(numbers.of({{.cgroup_id = 5}}), (Ids{1}));
  numbers.of({});
  numbers.pass(kQuarantine * 10);
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}}), (Ids{2})) << "one that nobody had goes first";
  EXPECT_EQ(numbers.of({{.cgroup_id = 7}, {.cgroup_id = 6}, {.cgroup_id = 5}}),
            (Ids{std::nullopt, 2, 1}))
      << "who comes back goes before who is new";
}

TEST(WorkloadIds, AreGivenAgainInTheOrderInWhichTheyWereFreed) {
  Numbers numbers{WorkloadIds(1, 3)};
  numbers.of({{.cgroup_id = 5}, {.cgroup_id = 6}, {.cgroup_id = 7}});
  numbers.of({{.cgroup_id = 5}, {.cgroup_id = 7}});
  numbers.pass(kSecond);
  numbers.of({{.cgroup_id = 5}});
  numbers.pass(kSecond);
  numbers.of({});
  numbers.pass(kQuarantine);
  const auto given = numbers.all({{.cgroup_id = 15}, {.cgroup_id = 16}, {.cgroup_id = 17}});
  EXPECT_EQ(given.ids, (Ids{2, 3, 1}));
  EXPECT_THAT(given.recycled, ElementsAre(2, 3, 1));
}

TEST(WorkloadIds, SayWhichHadAnotherWorkloadBefore) {
  Numbers numbers{WorkloadIds(1, 2)};
  EXPECT_THAT(numbers.all({{.cgroup_id = 5}}).recycled, IsEmpty());
  numbers.of({});
  numbers.pass(kQuarantine);
  EXPECT_THAT(numbers.all({{.cgroup_id = 5}}).recycled, IsEmpty()) << "its own";
  EXPECT_THAT(numbers.all({{.cgroup_id = 6}}).recycled, IsEmpty()) << "nobody's";
  numbers.pass(kQuarantine);
  EXPECT_THAT(numbers.all({{.cgroup_id = 6}, {.cgroup_id = 7}}).recycled, ElementsAre(1));
}

TEST(WorkloadIds, TellOnlyWhatChanged) {
  Numbers numbers{WorkloadIds(1, 10)};
  EXPECT_THAT(numbers.all({{.cgroup_id = 5}}).changed,
              ElementsAre(NumberedWorkload{.number = 1, .identity = {.cgroup_id = 5}}));
  EXPECT_THAT(numbers.all({{.cgroup_id = 5}}).changed, IsEmpty());
  const WorkloadIdentity whole{.cgroup_id = 5, .netns_inode = kPod, .ifindex = 9};
  EXPECT_THAT(numbers.all({whole}).changed,
              ElementsAre(NumberedWorkload{.number = 1, .identity = whole}));
  EXPECT_THAT(numbers.all({{.ifindex = 9}}).changed, IsEmpty()) << "says less than what is known";
  EXPECT_THAT(
      numbers.all({}).changed,
      ElementsAre(NumberedWorkload{.number = 1, .identity = whole, .vanished = numbers.now}));
  EXPECT_THAT(numbers.all({}).changed, IsEmpty());
}

TEST(WorkloadIds, ChurnNeverUsesThemUp) {
  constexpr std::size_t kAlive = 100, kEachSecond = 25;
  constexpr std::uint64_t kWorkloads = 100'000;
  Numbers numbers{WorkloadIds(1, kLastWorkload)};
  std::vector<WorkloadIdentity> alive;
  struct Last {
    WorkloadIdentity identity;
    MonotonicTime seen;
  };
  std::map<WorkloadId, Last> last;
  std::size_t recycled = 0;
  for (std::uint64_t made = 0; made < kWorkloads;) {
    if (alive.size() == kAlive) alive.erase(alive.begin(), alive.begin() + kEachSecond);
    while (alive.size() < kAlive && made < kWorkloads) {
      const auto ifindex = static_cast<std::uint32_t>(100 + made);
      // Namespaces' inodes are reused at once.
      const std::uint64_t netns = kPod + made % (kAlive + kEachSecond);
      ++made;
      alive.push_back(
          {.cgroup_id = made % 3 == 0 ? 0 : 1000 + made, .netns_inode = netns, .ifindex = ifindex});
    }
    const NumberedSightings given = numbers.all(alive);
    recycled += given.recycled.size();
    for (std::size_t i = 0; i < alive.size(); ++i) {
      ASSERT_TRUE(given.ids[i]) << "after " << made << " workloads";
      const auto before = last.find(*given.ids[i]);
      if (before != last.end() && before->second.identity != alive[i]) {
        // Seen last, then missed a second later: in quarantine from then on.
        ASSERT_GE(numbers.now - before->second.seen, kQuarantine + kSecond);
        ASSERT_THAT(given.recycled, testing::Contains(*given.ids[i]));
      }
      last[*given.ids[i]] = {.identity = alive[i], .seen = numbers.now};
    }
    numbers.pass(kSecond);
  }
  EXPECT_EQ(recycled, kWorkloads - kLastWorkload) << "all numbers were used before any came again";
}

// ---- Across a restart ----

TEST(WorkloadIds, ARestartKeepsThem) {
  Numbers before{WorkloadIds(1, 10)};
  Kept kept;
  const WorkloadIdentity container{.cgroup_id = 5, .netns_inode = kPod, .ifindex = 9};
  const WorkloadIdentity named{.netns_inode = kOther, .ifindex = 12}, service{.cgroup_id = 3},
      tap{.ifindex = 7};
  kept.keep(before.all({{.cgroup_id = 99}, container, named, service, tap}).changed);
  kept.keep(before.all({container, named, service, tap}).changed);

  Numbers after{WorkloadIds(1, 10, kept.all())};
  after.pass(kSecond);
  const auto numbered = after.all({tap, service, {.cgroup_id = 100}, named, container});
  EXPECT_EQ(numbered.ids, (Ids{5, 4, 6, 3, 2})) << "1 was another's until just now";
  EXPECT_THAT(numbered.recycled, IsEmpty());
  EXPECT_THAT(numbered.changed,
              ElementsAre(NumberedWorkload{.number = 6, .identity = {.cgroup_id = 100}}));
}

TEST(WorkloadIds, ARestartKeepsThemWhileAContainerEnds) {
  const WorkloadIdentity whole{.cgroup_id = 5, .netns_inode = kPod, .ifindex = 9};
  for (const WorkloadIdentity& left :
       std::vector<WorkloadIdentity>{{.netns_inode = kPod, .ifindex = 9}, {.ifindex = 9}}) {
    Numbers before{WorkloadIds(1, 10)};
    Kept kept;
    kept.keep(before.all({whole}).changed);
    kept.keep(before.all({left}).changed);
    Numbers after{WorkloadIds(1, 10, kept.all())};
    EXPECT_EQ(after.of({left}), (Ids{1}));
  }
}

TEST(WorkloadIds, WhatVanishedDuringARestartGoesIntoQuarantine) {
  const std::vector<NumberedWorkload> former{{.number = 1, .identity = {.cgroup_id = 5}}};
  Numbers numbers{WorkloadIds(1, 1, former)};
  EXPECT_THAT(numbers.all({{.cgroup_id = 6}}).changed,
              ElementsAre(NumberedWorkload{
                  .number = 1, .identity = {.cgroup_id = 5}, .vanished = numbers.now}));
  numbers.pass(kQuarantine - kSecond);
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}}), (Ids{std::nullopt}));
  numbers.pass(kSecond);
  const auto given = numbers.all({{.cgroup_id = 6}});
  EXPECT_EQ(given.ids, (Ids{1}));
  EXPECT_THAT(given.recycled, ElementsAre(1));
}

TEST(WorkloadIds, QuarantineGoesOnAcrossARestart) {
  const std::vector<NumberedWorkload> former{
      {.number = 1, .identity = {.cgroup_id = 5}, .vanished = kStart}};
  Numbers numbers{WorkloadIds(1, 1, former)};
  numbers.pass(kQuarantine - kSecond);
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}}), (Ids{std::nullopt}));
  numbers.pass(kSecond);
  EXPECT_EQ(numbers.of({{.cgroup_id = 6}}), (Ids{1}));
}

TEST(WorkloadIds, AReusedIfindexIsAnotherWorkloadAfterARestartToo) {
  const std::vector<NumberedWorkload> former{
      {.number = 1, .identity = {.netns_inode = kPod, .ifindex = 9}},
      {.number = 2, .identity = {.netns_inode = kPod, .ifindex = 10}, .vanished = kStart}};
  Numbers numbers{WorkloadIds(1, 9, former)};
  EXPECT_EQ(
      numbers.of({{.netns_inode = kOther, .ifindex = 9}, {.netns_inode = kOther, .ifindex = 10}}),
      (Ids{3, 4}));
}

TEST(WorkloadIds, NumbersBeyondTheMapsAreLeftOut) {
  const std::vector<NumberedWorkload> former{{.number = 0, .identity = {.cgroup_id = 4}},
                                             {.number = 2, .identity = {.cgroup_id = 5}},
                                             {.number = 3, .identity = {.cgroup_id = 6}}};
  Numbers numbers{WorkloadIds(1, 2, former)};
  EXPECT_EQ(numbers.of({{.cgroup_id = 4}, {.cgroup_id = 5}, {.cgroup_id = 6}}),
            (Ids{1, 2, std::nullopt}));
}

TEST(WorkloadIds, ADoubledRowCostsANumberForAWhileAndNothingElse) {
  const std::vector<NumberedWorkload> former{{.number = 1, .identity = {.cgroup_id = 5}},
                                             {.number = 2, .identity = {.cgroup_id = 5}}};
  Numbers numbers{WorkloadIds(1, 2, former)};
  EXPECT_EQ(numbers.of({{.cgroup_id = 5}, {.cgroup_id = 6}}), (Ids{1, std::nullopt}));
  numbers.pass(kQuarantine);
  EXPECT_EQ(numbers.of({{.cgroup_id = 5}, {.cgroup_id = 6}}), (Ids{1, 2}));
}

}  // namespace
}  // namespace ankus
