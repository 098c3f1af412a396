// SPDX-License-Identifier: Apache-2.0
// Isolated partitions as real kernels make and tell them: before 6.7 not in one place.
#include "sense/topology.h"

#include <unistd.h>

#include <filesystem>

#include "kernel/sysfs.h"
#include "vm/hardware.h"
#include "vm/support.h"

namespace ankus {
namespace {

TEST(Partitions, ThatAreIsolatedAreSeenAndAreNotAnyMoreWhenTheyGo) {
  if (!in_the_vm()) GTEST_SKIP() << "needs the VM lab (tests/vm/run): it takes CPUs away";
  ANKUS_SKIP_WITHOUT("smp4", text_of("/sys/devices/system/cpu/online") == "0-3\n", "--smp 4");
  const std::string cgroup = "/sys/fs/cgroup/ankus-isolated-test";
  const auto isolated = [] {
    TopologyReader reader({.cgroup = "/sys/fs/cgroup"});
    const auto topology = reader.read(SystemClock().monotonic());
    EXPECT_TRUE(topology) << topology.error().text;
    return topology.value_or(Topology{}).isolated;
  };
  ASSERT_EQ(isolated(), CpuSet{});
  std::filesystem::create_directory(cgroup);
  ASSERT_TRUE(write_setting_file(cgroup + "/cpuset.cpus", "2-3"));
  EXPECT_EQ(isolated(), CpuSet{}) << "an ordinary cpuset";
  ASSERT_TRUE(write_setting_file(cgroup + "/cpuset.cpus.partition", "isolated"));
  const CpuSet seen = isolated();
  ASSERT_TRUE(write_setting_file(cgroup + "/cpuset.cpus.partition", "member"));
  EXPECT_EQ(seen, cpus("2-3"));
  EXPECT_EQ(isolated(), CpuSet{});
  EXPECT_TRUE(eventually([&] { return rmdir(cgroup.c_str()) == 0; }));
}

}  // namespace
}  // namespace ankus
