// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/handle.h"

namespace ankus {

/// The socket of an irqbalance at `path`, which answers when the test says so. As irqbalance's it
/// takes 500 bytes of a command, room for credentials and none for descriptors.
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

  bool has_question(int wait_ms = 0) const {
    pollfd asked{.fd = fd_.get(), .events = POLLIN};
    return ::poll(&asked, 1, wait_ms) > 0;
  }
  /// Takes one connection.
  void take_command() {
    peer_.reset(::accept(fd_.get(), nullptr, nullptr));
    char buffer[500];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
    iovec part{buffer, sizeof buffer};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(peer_.get(), &message, 0);
    command.assign(buffer, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
        header != nullptr && header->cmsg_type == SCM_CREDENTIALS)
      std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
  }
  /// Answers it, if there is something to say: false where irqbalance would die, of SIGPIPE.
  bool say(std::string_view text) {
    const UniqueFd peer = std::move(peer_);
    if (text.empty()) return true;
    const ssize_t sent = ::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL);
    return sent == static_cast<ssize_t>(text.size());
  }
  /// What irqbalance does of a question: the connection behind it holds no command.
  bool answer(std::string_view text) {
    take_command();
    const std::string asked = command;
    const bool heard = say(text);
    take_command();
    EXPECT_EQ(std::exchange(command, asked), "ping");
    peer_.reset();
    return heard;
  }

  std::string command;
  ucred sender{};

 private:
  UniqueFd fd_, peer_;
};

/// An irqbalance that keeps a list, by a thread of its own.
class RunningIrqbalance {
 public:
  RunningIrqbalance(const std::string& path, std::vector<std::uint32_t> banned)
      : socket_(path), banned_(std::move(banned)), thread_([this] { run(); }) {}
  ~RunningIrqbalance() {
    stopped_ = true;
    thread_.join();
  }
  std::vector<std::uint32_t> banned() const {
    const std::scoped_lock lock(mutex_);
    return banned_;
  }
  void set_banned(std::vector<std::uint32_t> banned) {
    const std::scoped_lock lock(mutex_);
    banned_ = std::move(banned);
  }

 private:
  void run() {
    while (!stopped_)
      if (socket_.has_question(5)) obey();
  }
  void obey() {
    constexpr std::string_view kBan = "settings ban irqs ";
    socket_.take_command();
    const std::scoped_lock lock(mutex_);
    if (socket_.command.starts_with(kBan)) {
      banned_.clear();
      std::istringstream list(socket_.command.substr(kBan.size()));
      for (std::uint32_t irq = 0; list >> irq;) banned_.push_back(irq);
    }
    std::string text;
    if (socket_.command.starts_with("setup")) {
      text = "SLEEP 10 ";
      for (const std::uint32_t irq : banned_)
        text += "IRQ " + std::to_string(irq) + " LOAD 0 DIFF 0 CLASS 0 ";
      text += "BANNED 00000000";
    }
    EXPECT_TRUE(socket_.say(text)) << "the asker did not wait";
  }

  FakeIrqbalance socket_;
  mutable std::mutex mutex_;
  std::vector<std::uint32_t> banned_;
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

}  // namespace ankus
