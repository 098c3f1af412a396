// SPDX-License-Identifier: Apache-2.0
#include "kernel/irq.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fake/temp_tree.h"

namespace ankus {
namespace {

CpuSet cpus(std::string_view list) { return cpu_list_from_text(list).value(); }

TEST(DefaultAffinity, IsWhatNewInterruptsGetOrTheDriverProposes) {
  const TempTree tree;
  const Procfs procfs{.root = tree.root};
  const Sysfs sysfs{.root = tree.root};
  tree.file("devices/system/cpu/online", "0-3\n");
  const auto is_default = [&](int irq, std::string_view list) {
    return is_default_affinity(procfs, sysfs, static_cast<std::uint32_t>(irq), cpus(list));
  };
  EXPECT_FALSE(is_default(7, "0-3")) << "nothing is known";
  tree.file("irq/default_smp_affinity", "ff\n");  // 4-7 may be plugged in
  tree.file("irq/7/affinity_hint", "00000000,00000004\n");
  tree.file("irq/8/affinity_hint", "00\n");
  EXPECT_TRUE(is_default(7, "0-3"));
  EXPECT_TRUE(is_default(7, "0-7"));
  EXPECT_TRUE(is_default(7, "2"));
  EXPECT_FALSE(is_default(7, "3"));
  EXPECT_FALSE(is_default(8, "2"));
  EXPECT_FALSE(is_default(8, "0-2"));
}

TEST(DefaultAffinity, IsThatOfTheInterruptsOwnNode) {
  const TempTree tree;
  const Procfs procfs{.root = tree.root};
  const Sysfs sysfs{.root = tree.root};
  tree.file("devices/system/cpu/online", "0-6\n");
  tree.file("devices/system/node/node1/cpulist", "4-7\n");
  tree.file("devices/system/node/node2/cpulist", "\n");  // memory only
  tree.file("irq/default_smp_affinity", "ff\n");
  tree.file("irq/7/node", "1\n");
  tree.file("irq/8/node", "2\n");
  tree.file("irq/9/node", "-1\n");
  const auto is_default = [&](std::uint32_t irq, std::string_view list) {
    return is_default_affinity(procfs, sysfs, irq, cpus(list));
  };
  EXPECT_TRUE(is_default(7, "4-6"));
  EXPECT_TRUE(is_default(7, "0-7"));
  EXPECT_FALSE(is_default(7, "4-5"));
  EXPECT_FALSE(is_default(7, "0-3"));
  for (const std::uint32_t irq : {8u, 9u}) {
    EXPECT_TRUE(is_default(irq, "0-6"));
    EXPECT_FALSE(is_default(irq, "4-6"));
  }
}

class UnmovableIrq : public ::testing::Test {
 protected:
  static std::string file(int irq) { return "irq/" + std::to_string(irq) + "/smp_affinity_list"; }

  TempTree tree;
  Procfs procfs{.root = tree.root};
};

TEST_F(UnmovableIrq, IsReadOnlyOnNewKernels) {
  tree.file(file(7), "0-3\n");
  ASSERT_EQ(::chmod((tree.root + "/" + file(7)).c_str(), 0444), 0);
  EXPECT_TRUE(is_unmovable_irq(procfs, 7));
}

TEST_F(UnmovableIrq, AnswersEioToAnyWriteOnOldKernels) {
  tree.link(file(7), "/proc/self/mem");            // EIO: nothing is mapped at 0
  tree.link(file(8), "/proc/self/oom_score_adj");  // EINVAL: no number
  EXPECT_TRUE(is_unmovable_irq(procfs, 7));
  EXPECT_FALSE(is_unmovable_irq(procfs, 8));
}

TEST_F(UnmovableIrq, IsNotLookedForInFilesThatWouldKeepTheText) {
  tree.file(file(7), "0-3\n");
  EXPECT_FALSE(is_unmovable_irq(procfs, 7));
  EXPECT_EQ(read_file_head(tree.root + "/" + file(7)).value_or(""), "0-3\n");
  EXPECT_FALSE(is_unmovable_irq(procfs, 8)) << "there is none";
}

}  // namespace
}  // namespace ankus
