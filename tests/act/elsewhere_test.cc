// SPDX-License-Identifier: Apache-2.0
#include "act/elsewhere.h"

#include <gmock/gmock.h>

#include "act/scene.h"

namespace ankus {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kHere = 7;  // of a Scene's devices

TEST(CheckNamespace, WhatIsHeldElsewhereIsAReasonToRefuse) {
  Scene s;
  EXPECT_TRUE(check_namespace(s.journal, kHere + 1)) << "nothing is in force";
  ASSERT_TRUE(s.apply(s.plan(s.tree())));
  EXPECT_TRUE(check_namespace(s.journal, kHere));
  const auto elsewhere = check_namespace(s.journal, kHere + 1);
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().kind, ErrorKind::refused);
  EXPECT_THAT(elsewhere.error().text, HasSubstr("(eth0)"));
}

// Nothing is held yet, or not any more.
TEST(CheckNamespace, SoIsAnInterruptedRun) {
  Scene s;
  const Action action{.knob = knob::RootQdisc{s.eth0}, .after = HtbRoot{}};
  ASSERT_TRUE(s.journal.begin({.plan = "p-1", .steps = {{.id = "a-1", .action = action}}}));
  EXPECT_TRUE(check_namespace(s.journal, kHere));
  EXPECT_FALSE(check_namespace(s.journal, kHere + 1));
}

}  // namespace
}  // namespace ankus
