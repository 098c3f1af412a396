// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "fake/temp_tree.h"
#include "sense/workloads.h"

namespace ankus {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// What a look at 1,000 containers costs is printed; what is asserted is what it finds.

constexpr int kContainers = 1000, kRounds = 5;
constexpr std::uint64_t kHost = 4026531840, kFirstPod = 4026540000;

std::string scope(int i) {
  std::string id = std::to_string(i);
  id.insert(0, 64 - id.size(), '0');
  return "system.slice/docker-" + id + ".scope";
}

std::vector<Link> veths() {
  std::vector<Link> links;
  for (int i = 0; i < kContainers; ++i)
    links.push_back({.device = {.name = "veth" + std::to_string(i),
                                .ifindex = static_cast<std::uint32_t>(10 + i)},
                     .kind = "veth",
                     .peer_ifindex = 2,
                     .link_netnsid = i});
  return links;
}

template <class Work>
void measured(const char* what, Work work) {
  const SystemClock clock;
  const MonotonicTime start = clock.monotonic();
  for (int i = 0; i < kRounds; ++i) work();
  const nanoseconds each = (clock.monotonic() - start) / kRounds;
  ::testing::Test::RecordProperty(what, to_text(each));
  std::printf("%s: %s\n", what, to_text(each).c_str());
}

TEST(WorkloadScale, AThousandContainersAreJoinedAndNumbered) {
  WorkloadEvidence evidence{.own_netns = kHost, .links = veths()};
  for (int i = 0; i < kContainers; ++i) {
    const std::uint64_t netns = kFirstPod + static_cast<std::uint64_t>(i);
    evidence.cgroups.push_back(
        {.path = scope(i), .id = 100 + static_cast<std::uint64_t>(i), .processes = {1000 + i}});
    evidence.netns_of[1000 + i] = netns;
    evidence.number_of[netns] = i;
  }
  WorkloadIds ids(1, kLastWorkload);
  WorkloadSightings joined;
  measured("join", [&] { joined = join_workloads(evidence); });
  ASSERT_THAT(joined.workloads, SizeIs(kContainers));
  EXPECT_TRUE(std::ranges::all_of(joined.workloads,
                                  [](const WorkloadSighting& s) { return s.device.has_value(); }));
  const NumberedSightings first = ids.number(joined.workloads, {seconds(1)});
  EXPECT_THAT(first.changed, SizeIs(kContainers));
  NumberedSightings again;
  measured("number", [&] { again = ids.number(joined.workloads, {seconds(2)}); });
  EXPECT_EQ(again.ids, first.ids);
  EXPECT_THAT(again.changed, IsEmpty());
}

TEST(WorkloadScale, AThousandCgroupsAndAThousandLinksAreScanned) {
  const TempTree tree;
  tree.link("proc/self/ns/net", "net:[" + std::to_string(kHost) + "]");
  tree.directory("netns");
  for (int i = 0; i < kContainers; ++i) {
    const std::string process = "proc/" + std::to_string(1000 + i);
    tree.link(process + "/ns/net", "net:[" + std::to_string(kFirstPod + i) + "]");
    tree.file(process + "/comm", "server\n");
    tree.link(process + "/exe", "/usr/bin/server");
    tree.file("cgroup/" + scope(i) + "/cgroup.procs", std::to_string(1000 + i) + "\n");
  }
  auto inventory = WorkloadInventory::open(
      {.proc = {.root = tree.root + "/proc"},
       .cgroup = tree.root + "/cgroup",
       .named_namespaces = tree.root + "/netns",
       .runtimes = {.docker = tree.root + "/docker", .containerd = tree.root + "/containerd"}});
  ASSERT_TRUE(inventory) << inventory.error().text;
  const std::vector<Link> links = veths();
  // A file cannot stand for a namespace, so each veth is a workload besides its container's.
  measured("scan", [&] {
    const auto scan = inventory->scan(links, {seconds(1)});
    ASSERT_TRUE(scan) << scan.error().text;
    EXPECT_THAT(scan->workloads, SizeIs(2 * kContainers));
    EXPECT_THAT(scan->owners, SizeIs(kContainers));
    EXPECT_EQ(scan->without_number, 0u);
  });
}

}  // namespace
}  // namespace ankus
