// SPDX-License-Identifier: Apache-2.0
#include "kernel/thread.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace ankus {
namespace {

CpuSet cpus(std::string_view list) { return cpu_list_from_text(list).value(); }

TEST(ThreadAffinityText, IsTheListNotTheMask) {
  EXPECT_EQ(
      parse_thread_affinity("Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-1,4\nMems:\t1"),
      cpus("0-1,4"));
  EXPECT_FALSE(parse_thread_affinity("Name:\tx\n"));
}

TEST(ThreadAffinity, OfThisThreadIsReadAndSet) {
  const auto before = thread_affinity(Procfs{}, ::gettid());
  ASSERT_TRUE(before) << before.error().text;
  ASSERT_FALSE(before->empty());
  const CpuSet one{{before->cpus.front()}};
  ASSERT_TRUE(set_thread_affinity(::gettid(), one));
  EXPECT_EQ(thread_affinity(Procfs{}, ::gettid()).value_or(CpuSet{}), one);
  ASSERT_TRUE(free_thread_affinity(::gettid()));
  EXPECT_EQ(without(*before, thread_affinity(Procfs{}, ::gettid()).value_or(CpuSet{})), CpuSet{});
}

}  // namespace
}  // namespace ankus
