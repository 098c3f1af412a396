// SPDX-License-Identifier: Apache-2.0
#include "kernel/irqbalance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "fake/fake_irqbalance.h"
#include "fake/temp_tree.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Answers of irqbalance 1.9.2.
constexpr std::string_view kNoneBanned = "SLEEP 10 BANNED 00000000";
constexpr std::string_view kTwoBanned =
    "SLEEP 10 IRQ 34 LOAD 0 DIFF 0 CLASS 0 IRQ 28 LOAD 0 DIFF 0 CLASS 0 BANNED 00000000";

TEST(IrqbalanceSetup, TellsTheIntervalAndTheBans) {
  EXPECT_EQ(parse_irqbalance_setup(kNoneBanned), (IrqbalanceSetup{.interval = seconds(10)}));
  EXPECT_EQ(parse_irqbalance_setup(kTwoBanned),
            (IrqbalanceSetup{.interval = seconds(10), .banned = {28, 34}}));
}

TEST(IrqbalanceSetup, CutAnywhereIsRefused) {
  // Cut within the last word it is still whole as far as it matters.
  const std::size_t mask = kTwoBanned.rfind(' ') + 1;
  for (std::size_t length = 0; length <= mask; ++length)
    EXPECT_FALSE(parse_irqbalance_setup(kTwoBanned.substr(0, length))) << length;
}

TEST(IrqbalanceSetup, AnythingElseIsRefused) {
  for (const char* answer :
       {"", "x", "SLEEP x BANNED 0", "SLEEP 10 IRQ -1 LOAD 0 DIFF 0 CLASS 0 BANNED 0",
        "SLEEP 10 IRQ 1 LOAD 0 CLASS 0 DIFF 0 BANNED 0",
        "SLEEP 10 BANNED 0 IRQ 1 LOAD 0 DIFF 0 CLASS 0", "TYPE 0 NUMBER 0 LOAD 0 SAVE_MODE 0"}) {
    const auto setup = parse_irqbalance_setup(answer);
    ASSERT_FALSE(setup) << answer;
    EXPECT_EQ(setup.error().kind, ErrorKind::refused);
  }
}

TEST(IrqbalanceBans, AreOneCommandThatFits) {
  EXPECT_EQ(irqbalance_ban_command({}), "settings ban irqs NONE");
  EXPECT_EQ(irqbalance_ban_command(std::vector{28u, 34u}), "settings ban irqs 28 34");
  EXPECT_EQ(irqbalance_ban_command(std::vector{34u, 0u}), "settings ban irqs 0 34")
      << "it ends the list at a 0 that is not the first";
  EXPECT_TRUE(irqbalance_ban_command(std::vector(120, 999u)));
  EXPECT_EQ(irqbalance_ban_command(std::vector(121, 999u)).error().kind, ErrorKind::unsupported)
      << "it would ban what is left of a cut number";
}

TEST(IrqbalanceSocket, IsAskedWithOurCredentials) {
  const TempTree tree;
  FakeIrqbalance irqbalance(tree.root + "/irqbalance42.sock");
  std::thread server([&] { irqbalance.answer(kTwoBanned); });
  const auto setup = Irqbalance{.directory = tree.root}.setup();
  server.join();
  ASSERT_TRUE(setup) << setup.error().text;
  ASSERT_TRUE(*setup);
  EXPECT_THAT((*setup)->banned, ElementsAre(28, 34));
  EXPECT_EQ(irqbalance.command, "setup");
  EXPECT_EQ(irqbalance.sender.pid, ::getpid());
  EXPECT_EQ(irqbalance.sender.uid, ::geteuid());
}

TEST(IrqbalanceSocket, TakesTheWholeList) {
  const TempTree tree;
  FakeIrqbalance irqbalance(tree.root + "/irqbalance42.sock");
  std::thread server([&] { irqbalance.answer(""); });
  EXPECT_TRUE(Irqbalance{.directory = tree.root}.ban(std::vector{7u, 9u}));
  server.join();
  EXPECT_EQ(irqbalance.command, "settings ban irqs 7 9");
}

TEST(IrqbalanceSocket, WhatAKilledOneLeftIsNoIrqbalance) {
  const TempTree tree;
  {
    const FakeIrqbalance killed(tree.root + "/irqbalance41.sock");
  }
  tree.file("other.sock", "");
  const auto nobody = Irqbalance{.directory = tree.root}.setup();
  ASSERT_TRUE(nobody) << nobody.error().text;
  EXPECT_FALSE(*nobody);
  FakeIrqbalance irqbalance(tree.root + "/irqbalance42.sock");
  std::thread server([&] { irqbalance.answer(kNoneBanned); });
  const auto next = Irqbalance{.directory = tree.root}.setup();
  server.join();
  ASSERT_TRUE(next && *next);
  EXPECT_THAT((*next)->banned, IsEmpty());
}

/// How many descriptors this process has.
std::size_t descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(IrqbalanceSocket, OneThatDoesNotAnswerIsWaitedForOnce) {
  const TempTree tree;
  FakeIrqbalance server(tree.root + "/irqbalance42.sock");
  const Irqbalance irqbalance{.directory = tree.root, .patience = milliseconds(200)};
  const auto setup = irqbalance.setup();
  ASSERT_FALSE(setup);
  EXPECT_EQ(setup.error().kind, ErrorKind::busy);
  EXPECT_THAT(setup.error().text, HasSubstr("does not answer"));

  const std::size_t open = descriptors();
  const MonotonicTime begin = SystemClock().monotonic();
  const Irqbalance copy = irqbalance;
  for (int turn = 0; turn < 100; ++turn) EXPECT_EQ(copy.setup().error().kind, ErrorKind::busy);
  EXPECT_LT(SystemClock().monotonic() - begin, irqbalance.patience);
  EXPECT_EQ(descriptors(), open);

  EXPECT_TRUE(server.answer(kNoneBanned));
  EXPECT_FALSE(server.has_question()) << "it was asked again before it had answered";
  std::thread later([&] { server.answer(kTwoBanned); });
  const auto next = irqbalance.setup();
  later.join();
  ASSERT_TRUE(next && *next) << "it listens again";
  EXPECT_THAT((*next)->banned, ElementsAre(28, 34));
  EXPECT_EQ(descriptors(), open - 2);
}

TEST(IrqbalanceSocket, OneThatAnswersTooLateEachTimeIsLeftAloneForAWhile) {
  const TempTree tree;
  FakeIrqbalance server(tree.root + "/irqbalance42.sock");
  const Irqbalance irqbalance{.directory = tree.root, .patience = milliseconds(50)};
  for (int late = 0; late < 2; ++late) {
    EXPECT_EQ(irqbalance.setup().error().kind, ErrorKind::busy);
    EXPECT_TRUE(server.answer(kNoneBanned));
  }
  const auto third = irqbalance.setup();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().kind, ErrorKind::busy);
  EXPECT_THAT(third.error().text, HasSubstr("2 times in a row"));
  EXPECT_FALSE(server.has_question());
  irqbalance.silence->until = {};  // the while is over
  std::thread later([&] { server.answer(kNoneBanned); });
  EXPECT_TRUE(irqbalance.setup());
  later.join();
  EXPECT_EQ(irqbalance.silence->times, 0u);
}

TEST(IrqbalanceSocket, ItsAnswerToAnAskerThatWasKilledEndsNobody) {
  const TempTree tree;
  FakeIrqbalance server(tree.root + "/irqbalance42.sock");
  const pid_t asker = ::fork();
  if (asker == 0) {
    const Irqbalance irqbalance{.directory = tree.root, .patience = milliseconds(1)};
    (void)irqbalance.setup();
    ::raise(SIGKILL);
  }
  ::waitpid(asker, nullptr, 0);
  EXPECT_TRUE(server.answer(kTwoBanned)) << "irqbalance would have died of SIGPIPE";
  EXPECT_EQ(server.command, "setup");
}

TEST(IrqbalanceSocket, WithoutOneNobodyIsBanned) {
  const TempTree tree;
  const auto done = Irqbalance{.directory = tree.root + "/nowhere"}.ban(std::vector{7u});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::gone);
}

}  // namespace
}  // namespace ankus
