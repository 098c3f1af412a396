// SPDX-License-Identifier: Apache-2.0
#include "sense/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake/temp_tree.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr MonotonicTime kStart{seconds(100)};
constexpr MonotonicTime kLater{seconds(102)};

CpuSet cpus(std::string_view list) { return cpu_list_from_text(list).value(); }

TEST(CpuTimes, CountGuestsOnceAndWaitingForDisksAsIdle) {
  const auto counters = parse_cpu_times(
      "cpu  3 0 0 0 0 0 0 0 0 0\n"
      "cpu0 100 10 50 800 30 1 9 5 60 2\n"
      "cpu2 1 2 3 4 5 6 7 8 0 0\n"
      "intr 12345 0 9 0\nctxt 1\nprocs_running 2\n");
  EXPECT_THAT(counters,
              ElementsAre(std::pair(0u, CpuCounters{.all = 1005, .idle = 830, .softirq = 9}),
                          std::pair(2u, CpuCounters{.all = 36, .idle = 9, .softirq = 7})));
}

TEST(Softnet, RowsSayWhoseTheyAreSince510) {
  CountersOfCpus counters{{0, {}}, {2, {}}};
  add_softnet(
      "0000000a 00000001 0000001c 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
      "00000000 00000000 00000002 00000000 00000000\n"
      "0000000b 00000002 0000001d 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
      "00000000 00000000 00000000\n"
      "0000000b 00000009 00000009 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
      "00000000 00000000 00000005\n",
      counters);
  EXPECT_THAT(counters, ElementsAre(std::pair(0u, CpuCounters{.dropped = 2, .squeezed = 0x1d}),
                                    std::pair(2u, CpuCounters{.dropped = 1, .squeezed = 0x1c})));
}

TEST(Softnet, OldRowsAreOfTheOnlineCpusInTheirOrder) {
  CountersOfCpus counters{{0, {}}, {2, {}}};
  add_softnet(
      "0000000a 00000001 0000001c 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
      "00000000\n"
      "0000000b 00000002 0000001d 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
      "00000000\n",
      counters);
  EXPECT_THAT(counters, ElementsAre(std::pair(0u, CpuCounters{.dropped = 1, .squeezed = 0x1c}),
                                    std::pair(2u, CpuCounters{.dropped = 2, .squeezed = 0x1d})));
}

class TopologyTest : public ::testing::Test {
 protected:
  TopologyTest() {
    tree.file("proc/stat", "cpu  0 0 0 0\n");
    tree.file("proc/net/softnet_stat", "");
    online("0");
  }
  void online(const std::string& list) const {
    tree.file("sys/devices/system/cpu/online", list + "\n");
  }
  void cpu(int number, const std::string& siblings, int package) const {
    const std::string about = "sys/devices/system/cpu/cpu" + std::to_string(number) + "/topology/";
    tree.file(about + "thread_siblings_list", siblings + "\n");
    tree.file(about + "physical_package_id", std::to_string(package) + "\n");
  }
  void node(int number, const std::string& list) const {
    tree.file("sys/devices/system/node/node" + std::to_string(number) + "/cpulist", list + "\n");
  }
  Topology read(MonotonicTime now = kStart) {
    auto topology = reader.read(now);
    EXPECT_TRUE(topology) << topology.error().text;
    return topology.value_or(Topology{});
  }

  TempTree tree;
  TopologyReader reader{{.sys = {.root = tree.root + "/sys"},
                         .proc = {.root = tree.root + "/proc"},
                         .cgroup = tree.root + "/cgroup"}};
};

TEST_F(TopologyTest, SiblingsShareTheCoreThatTheFirstOfThemNames) {
  online("0-3");
  cpu(0, "0,2", 0);
  cpu(1, "1,3", 0);
  cpu(2, "0,2", 0);
  cpu(3, "1,3", 0);
  EXPECT_THAT(read().cpus, ElementsAre(Cpu{.number = 0, .core = 0}, Cpu{.number = 1, .core = 1},
                                       Cpu{.number = 2, .core = 0}, Cpu{.number = 3, .core = 1}));
}

TEST_F(TopologyTest, TwoNodesAreTwoPackages) {
  online("0-3");
  cpu(0, "0", 0);
  cpu(1, "1", 1);
  cpu(2, "2", 0);
  cpu(3, "3", 1);
  node(0, "0,2");
  node(1, "1,3");
  tree.file("sys/devices/system/node/has_cpu", "0-1\n");
  const Topology topology = read();
  EXPECT_THAT(topology.cpus, ElementsAre(Cpu{.number = 0, .core = 0, .package = 0, .node = 0},
                                         Cpu{.number = 1, .core = 1, .package = 1, .node = 1},
                                         Cpu{.number = 2, .core = 2, .package = 0, .node = 0},
                                         Cpu{.number = 3, .core = 3, .package = 1, .node = 1}));
  EXPECT_EQ(topology.usable_on_node(1), cpus("1,3"));
}

TEST_F(TopologyTest, ACpuThatIsOfflineInTheMiddleIsNotThere) {
  online("0,2-3");
  for (const int number : {0, 2, 3}) cpu(number, std::to_string(number), 0);
  EXPECT_EQ(read().online(), cpus("0,2-3"));
}

TEST_F(TopologyTest, IsolatedAndQuietCpusAreNotUsable) {
  online("0-7");
  tree.file("sys/devices/system/cpu/isolated", "1\n");
  tree.file("sys/devices/system/cpu/nohz_full", "2-3\n");
  tree.file("cgroup/cpuset.cpus.isolated", "5\n");
  const Topology topology = read();
  EXPECT_EQ(topology.isolated, cpus("1,5"));
  EXPECT_EQ(topology.nohz_full, cpus("2-3"));
  EXPECT_EQ(topology.usable(), cpus("0,4,6-7"));
}

TEST_F(TopologyTest, PartitionsAreLookedForWhereTheKernelDoesNotSumThemUp) {
  online("0-7");
  const auto cgroup = [&](const std::string& path, const std::string& partition,
                          const std::string& cpus) {
    tree.file("cgroup/" + path + "/cpuset.cpus.partition", partition + "\n");
    tree.file("cgroup/" + path + "/cpuset.cpus.effective", cpus + "\n");
  };
  tree.file("cgroup/cgroup.procs", "1\n");
  tree.directory("cgroup/without.cpuset");
  cgroup("member.slice", "member", "0-7");
  cgroup("realtime", "isolated", "1");
  cgroup("realtime/inner", "isolated", "2");
  cgroup("broken", "isolated invalid (Cpu list in cpuset.cpus not exclusive)", "4");
  cgroup("balanced", "root", "5-6");
  cgroup("balanced/inner", "isolated", "6");
  cgroup("member.slice/inner", "isolated", "7");  // cannot be, and is not looked for
  EXPECT_EQ(read().isolated, cpus("1-2,6"));
  tree.file("cgroup/cpuset.cpus.isolated", "\n");
  EXPECT_THAT(read().isolated.cpus, IsEmpty()) << "what the kernel says itself decides";
}

TEST_F(TopologyTest, WhatTheKernelLacksIsEmpty) {
  tree.file("sys/devices/system/cpu/nohz_full", "  (null)\n");  // 5.x and older, without nohz_full=
  const Topology topology = read();
  EXPECT_THAT(topology.isolated.cpus, IsEmpty());
  EXPECT_THAT(topology.nohz_full.cpus, IsEmpty());
  EXPECT_THAT(topology.rps_default.cpus, IsEmpty());
}

TEST_F(TopologyTest, NewQueuesGetTheDefaultMask) {
  tree.file("proc/sys/net/core/rps_default_mask", "1,0000000c\n");
  EXPECT_EQ(read().rps_default, cpus("2-3,32"));
}

TEST_F(TopologyTest, LoadIsTheDifferenceOfTwoReadings) {
  online("0,2");
  tree.file("proc/stat",
            "cpu0 100 0 100 800 0 0 0 0 0 0\ncpu2 1000 0 0 1000 0 0 500 0 0 0\nintr 1\n");
  tree.file("proc/net/softnet_stat",
            "a ffffffff 5 0 0 0 0 0 0 0 0 0 2\n1 0 0 0 0 0 0 0 0 0 0 0 0\n");
  for (const Cpu& cpu : read().cpus) EXPECT_EQ(cpu.busy, Share{0}) << "nothing to compare with";
  // Of 200 ticks CPU 0 was idle 150 and waited 30; CPU 2 spent all in user (50) and softirq (150).
  tree.file("proc/stat",
            "cpu0 110 0 110 950 30 0 0 0 0 0\ncpu2 1050 0 0 1000 0 0 650 0 0 0\nintr 1\n");
  tree.file("proc/net/softnet_stat", "a 3 9 0 0 0 0 0 0 0 0 0 2\n1 0 0 0 0 0 0 0 0 0 0 0 0\n");
  const Topology topology = read(kLater);
  ASSERT_EQ(topology.cpus.size(), 2u);
  EXPECT_DOUBLE_EQ(topology.cpus[0].busy.of_one, 0.1);
  EXPECT_DOUBLE_EQ(topology.cpus[0].softirq.of_one, 0);
  EXPECT_DOUBLE_EQ(topology.cpus[1].busy.of_one, 1);
  EXPECT_DOUBLE_EQ(topology.cpus[1].softirq.of_one, 0.75);
  EXPECT_DOUBLE_EQ(topology.cpus[1].dropped_per_second, 2) << "4 in 2 s, over the counter's end";
  EXPECT_DOUBLE_EQ(topology.cpus[1].squeezed_per_second, 2);
  EXPECT_DOUBLE_EQ(topology.cpus[0].squeezed_per_second, 0);
}

// The kernel knows idle time exactly, and samples the rest.
TEST_F(TopologyTest, WorkThatNoTickHasMetIsNotIdle) {
  tree.file("proc/stat", "cpu0 0 0 0 1000 0 0 0 0\n");
  read();
  tree.file("proc/stat", "cpu0 0 0 0 1146 0 0 0 0\n");
  const Cpu unmet = read(kLater).cpus.at(0);
  EXPECT_DOUBLE_EQ(unmet.busy.of_one, 0.27);
  EXPECT_DOUBLE_EQ(unmet.softirq.of_one, 0) << "nothing says what it was";
  tree.file("proc/stat", "cpu0 5 0 0 1286 0 0 15 0\n");
  const Cpu partly = read(kLater + seconds(2)).cpus.at(0);
  EXPECT_DOUBLE_EQ(partly.busy.of_one, 0.3);
  EXPECT_DOUBLE_EQ(partly.softirq.of_one, 0.225) << "as much of it as of what was met";
}

TEST_F(TopologyTest, AReadingTooSoonKeepsTheLastLoad) {
  tree.file("proc/stat", "cpu0 0 0 0 0 0 0 0 0\n");
  read();
  tree.file("proc/stat", "cpu0 100 0 0 100 0 0 0 0\n");
  EXPECT_DOUBLE_EQ(read(kLater).cpus.at(0).busy.of_one, 0.5);
  tree.file("proc/stat", "cpu0 105 0 0 100 0 0 0 0\n");
  EXPECT_DOUBLE_EQ(read(kLater + milliseconds(50)).cpus.at(0).busy.of_one, 0.5);
  tree.file("proc/stat", "cpu0 140 0 0 160 0 0 0 0\n");
  EXPECT_DOUBLE_EQ(read(kLater + seconds(1)).cpus.at(0).busy.of_one, 0.4) << "of both together";
}

TEST_F(TopologyTest, ACpuThatComesBackHasNoLoadUntilItIsSeenTwice) {
  online("0-1");
  tree.file("proc/stat", "cpu0 0 0 0 0 0 0 0 0\ncpu1 9 0 0 9 0 0 0 0\n");
  read();
  online("0");
  tree.file("proc/stat", "cpu0 40 0 0 160 0 0 0 0\n");
  EXPECT_DOUBLE_EQ(read(kLater).cpus.at(0).busy.of_one, 0.2);
  online("0-1");
  tree.file("proc/stat", "cpu0 40 0 0 260 0 0 0 0\ncpu1 99 0 0 9 0 0 0 0\n");
  const Topology back = read(kLater + seconds(1));
  ASSERT_EQ(back.cpus.size(), 2u);
  EXPECT_EQ(back.cpus[1].busy, Share{0});
  tree.file("proc/stat", "cpu0 40 0 0 360 0 0 0 0\ncpu1 199 0 0 9 0 0 0 0\n");
  EXPECT_EQ(read(kLater + seconds(2)).cpus.at(1).busy, Share{1});
}

TEST_F(TopologyTest, WaitingThatRunsBackwardsMakesNoCpuBusierThanBusy) {
  tree.file("proc/stat", "cpu0 0 0 0 100 100 0 0 0\n");
  read();
  tree.file("proc/stat", "cpu0 30 0 0 100 90 0 0 0\n");
  EXPECT_EQ(read(kLater).cpus.at(0).busy, Share{1});
  tree.file("proc/stat", "cpu0 30 0 0 210 80 0 0 0\n");
  EXPECT_EQ(read(kLater + seconds(1)).cpus.at(0).busy, Share{0});
}

TEST_F(TopologyTest, AHostWithoutCpusIsAnError) {
  tree.remove("sys/devices");
  EXPECT_FALSE(reader.read(kStart));
}

}  // namespace
}  // namespace ankus
