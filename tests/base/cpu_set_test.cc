// SPDX-License-Identifier: Apache-2.0
#include "base/cpu_set.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

TEST(CpuSet, ReadsTheKernelsLists) {
  EXPECT_EQ(cpu_list_from_text("0-3,8\n")->cpus, (std::vector<std::uint32_t>{0, 1, 2, 3, 8}));
  EXPECT_EQ(cpu_list_from_text("5"), CpuSet{{5}});
  EXPECT_EQ(cpu_list_from_text(""), CpuSet{});
  EXPECT_EQ(cpu_list_from_text("8, 0-1,1"), (CpuSet{{0, 1, 8}}));
}

TEST(CpuSet, RefusesWhatIsNoList) {
  for (const char* text : {"3-1", "a", "1-", "-1", "1,,2", "0-3-5", "8192", "99999999999", "0x1"})
    EXPECT_FALSE(cpu_list_from_text(text)) << text;
}

TEST(CpuSet, ReadsMasksOfAnyWidth) {
  EXPECT_EQ(cpu_mask_from_text("3\n"), (CpuSet{{0, 1}}));
  EXPECT_EQ(cpu_mask_from_text("00000001,00000002"), (CpuSet{{1, 32}}));
  EXPECT_EQ(cpu_mask_from_text("0"), CpuSet{});
  for (const char* text : {"", "g", "123456789", "1,", "-1"})
    EXPECT_FALSE(cpu_mask_from_text(text)) << text;
}

TEST(CpuSet, WritesWhatItReads) {
  for (const char* text : {"0", "0-3,8", "1,3,5", "0-255", "31-33,64,8191"}) {
    const auto set = cpu_list_from_text(text);
    ASSERT_TRUE(set) << text;
    EXPECT_EQ(to_text(*set), text);
    EXPECT_EQ(cpu_mask_from_text(cpu_mask_text(*set)), *set) << cpu_mask_text(*set);
  }
  EXPECT_EQ(to_text(CpuSet{}), "none");
  EXPECT_EQ(cpu_mask_text(CpuSet{}), "0");
  EXPECT_EQ(cpu_mask_text(CpuSet{{0, 36}}), "10,00000001");
}

TEST(CpuSet, IsASet) {
  const CpuSet a = cpu_set_of({3, 1, 1, 2}), b = cpu_set_of({2, 5});
  EXPECT_EQ(a.cpus, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(united(a, b), cpu_set_of({1, 2, 3, 5}));
  EXPECT_EQ(common(a, b), cpu_set_of({2}));
  EXPECT_EQ(without(a, b), cpu_set_of({1, 3}));
  EXPECT_TRUE(a.contains(3));
  EXPECT_FALSE(a.contains(5));
}

}  // namespace
}  // namespace ankus
