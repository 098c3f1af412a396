// SPDX-License-Identifier: Apache-2.0
#include "kernel/irq.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fake/temp_tree.h"

namespace ankus {
namespace {

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
