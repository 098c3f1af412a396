// SPDX-License-Identifier: Apache-2.0
#include "kernel/irqbalance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "base/handle.h"
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
  EXPECT_EQ(irqbalance_ban_command(std::vector{0u, 34u}).error().kind, ErrorKind::unsupported);
  EXPECT_TRUE(irqbalance_ban_command(std::vector(120, 999u)));
  EXPECT_EQ(irqbalance_ban_command(std::vector(121, 999u)).error().kind, ErrorKind::unsupported)
      << "it would ban what is left of a cut number";
}

/// An irqbalance that listens at `path`, and gives one answer to one command. What it is asked
/// before, only to see whether it listens, is no command of its.
class FakeIrqbalance {
 public:
  explicit FakeIrqbalance(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const int on = 1;
    EXPECT_EQ(::setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    EXPECT_EQ(::listen(fd_.get(), 1), 0);
  }
  void answer(std::string_view text) {
    receive("");
    EXPECT_EQ(command, "ping");
    receive(text);
  }

  std::string command;
  ucred sender{};

 private:
  void receive(std::string_view text) {
    const UniqueFd peer(::accept(fd_.get(), nullptr, nullptr));
    char buffer[500];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
    iovec part{buffer, sizeof buffer};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(peer.get(), &message, 0);
    if (size > 0) command.assign(buffer, static_cast<std::size_t>(size));
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
        header != nullptr && header->cmsg_type == SCM_CREDENTIALS)
      std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
    (void)::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }

  UniqueFd fd_;
};

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

TEST(IrqbalanceSocket, OneThatIsBusyIsNotWaitedForLong) {
  const TempTree tree;
  const FakeIrqbalance irqbalance(tree.root + "/irqbalance42.sock");
  const auto setup = Irqbalance{.directory = tree.root, .patience = milliseconds(20)}.setup();
  ASSERT_FALSE(setup);
  EXPECT_EQ(setup.error().kind, ErrorKind::busy);
  EXPECT_THAT(setup.error().text, HasSubstr("does not answer"));
}

TEST(IrqbalanceSocket, WithoutOneNobodyIsBanned) {
  const TempTree tree;
  const auto done = Irqbalance{.directory = tree.root + "/nowhere"}.ban(std::vector{7u});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::gone);
}

}  // namespace
}  // namespace ankus
