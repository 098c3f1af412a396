// SPDX-License-Identifier: Apache-2.0
#include "kernel/irqbalance.h"

#include <sys/poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/handle.h"
#include "base/text.h"
#include "kernel/procfs.h"

namespace ankus {
namespace {

constexpr std::size_t kLongestCommand = 499;
constexpr std::size_t kLongestAnswer = 1 << 20;

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

MonotonicTime now() { return SystemClock().monotonic(); }

/// Waits until `fd` is ready or `end` has come.
Result<void> wait_for(const UniqueFd& fd, short events, MonotonicTime end) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(end - now()).count();
    pollfd waiting{.fd = fd.get(), .events = events};
    const int ready = left > 0 ? ::poll(&waiting, 1, static_cast<int>(left)) : 0;
    if (ready > 0) return {};
    if (ready == 0) return fail(ErrorKind::busy, "irqbalance does not answer");
    if (errno != EINTR) return fail_errno("irqbalance: poll");
  }
}

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(ErrorKind::invalid, path + ": too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("irqbalance: socket");
  const std::string name = path.empty() ? "irqbalance's abstract socket" : path;
  // The abstract name is the empty path: zeros over the whole length (init_socket() in
  // irqbalance.c).
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    // Nobody listens: it ended, or left its file behind when it was killed.
    if (errno == ECONNREFUSED) return fail(ErrorKind::gone, name + ": nobody listens");
    return fail_errno(name);
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return fail_errno(name);
  if (peer.uid != 0 && peer.uid != ::geteuid())
    return fail(ErrorKind::gone, name + ": belongs to user " + std::to_string(peer.uid));
  return fd;
}

/// The socket of the irqbalance that runs; Error{gone} if there is none.
Result<UniqueFd> connect_in(const std::string& directory) {
  std::optional<Error> failure;
  if (const auto names = read_directory(directory)) {
    for (const std::string& name : *names) {
      if (!name.starts_with("irqbalance") || !name.ends_with(".sock")) continue;
      auto fd = connect_to(directory + "/" + name);
      if (fd || fd.error().kind == ErrorKind::busy) return fd;
      if (fd.error().kind != ErrorKind::gone) failure = fd.error();
    }
  }
  auto fd = connect_to("");
  if (!fd && fd.error().kind == ErrorKind::gone && failure) return std::unexpected(*failure);
  return fd;
}

Result<void> send_command(const UniqueFd& fd, std::string_view command) {
  const ucred self{.pid = ::getpid(), .uid = ::geteuid(), .gid = ::getegid()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof self)> control{};
  iovec part{.iov_base = const_cast<char*>(command.data()), .iov_len = command.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_CREDENTIALS;
  header->cmsg_len = CMSG_LEN(sizeof self);
  std::memcpy(CMSG_DATA(header), &self, sizeof self);
  const ssize_t sent = ::sendmsg(fd.get(), &message, MSG_NOSIGNAL);
  if (sent < 0) return fail_errno("irqbalance: send");
  if (static_cast<std::size_t>(sent) != command.size())
    return fail(ErrorKind::busy, "irqbalance: the command was cut");
  return {};
}

/// What irqbalance has to say until it closes the connection, as it does after each command.
Result<std::string> receive_until(MonotonicTime end, const UniqueFd& fd) {
  std::string answer;
  std::array<char, 4096> chunk;
  while (answer.size() < kLongestAnswer) {
    if (auto ready = wait_for(fd, POLLIN, end); !ready) return std::unexpected(ready.error());
    const ssize_t size = ::recv(fd.get(), chunk.data(), chunk.size(), 0);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) return fail_errno("irqbalance: receive");
    if (size == 0) return answer;
    answer.append(chunk.data(), static_cast<std::size_t>(size));
  }
  return fail(ErrorKind::refused, "irqbalance: its answer has no end");
}

/// One command. An answer that nobody waits for any more would end irqbalance: it sends without
/// MSG_NOSIGNAL. So a word that it ignores goes first, to find out whether it listens now.
Result<std::string> ask(const Irqbalance& irqbalance, std::string_view command) {
  const MonotonicTime begin = now();
  const auto probe = connect_in(irqbalance.directory);
  if (!probe) return std::unexpected(probe.error());
  if (auto sent = send_command(*probe, "ping"); !sent) return std::unexpected(sent.error());
  if (auto heard = receive_until(begin + irqbalance.patience / 2, *probe); !heard) return heard;

  auto fd = connect_in(irqbalance.directory);
  if (!fd) return std::unexpected(fd.error());
  if (auto sent = send_command(*fd, command); !sent) return std::unexpected(sent.error());
  auto answer = receive_until(begin + irqbalance.patience, *fd);
  // It stopped between the two. One descriptor is less than irqbalance's life.
  if (!answer && answer.error().kind == ErrorKind::busy) (void)fd->release();
  return answer;
}

}  // namespace

Result<IrqbalanceSetup> parse_irqbalance_setup(std::string_view answer) {
  const auto words = split_words(answer);
  const auto wrong = [&] {
    return fail(ErrorKind::refused,
                "irqbalance: " + quoted(printable(answer)) + " is no answer to \"setup\"");
  };
  const auto value_of = [&]<class Number>(std::size_t at, std::string_view name, Number) {
    return at + 1 < words.size() && words[at] == name ? number_in<Number>(words[at + 1])
                                                      : std::nullopt;
  };
  IrqbalanceSetup setup;
  const auto interval = value_of(0, "SLEEP", std::int32_t{});
  if (!interval) return wrong();
  setup.interval = seconds(*interval);
  std::size_t at = 2;
  for (; at < words.size() && words[at] == "IRQ"; at += 8) {
    const auto irq = value_of(at, "IRQ", std::uint32_t{});
    if (!irq || !value_of(at + 2, "LOAD", std::uint64_t{}) ||
        !value_of(at + 4, "DIFF", std::uint64_t{}) || !value_of(at + 6, "CLASS", std::int32_t{}))
      return wrong();
    setup.banned.push_back(*irq);
  }
  // The mask of banned CPUs comes last: without it the answer was cut.
  if (at + 2 != words.size() || words[at] != "BANNED") return wrong();
  std::ranges::sort(setup.banned);
  const auto repeated = std::ranges::unique(setup.banned);
  setup.banned.erase(repeated.begin(), repeated.end());
  return setup;
}

Result<std::string> irqbalance_ban_command(std::span<const std::uint32_t> irqs) {
  std::string command = "settings ban irqs";
  if (irqs.empty()) return command + " NONE";
  for (const std::uint32_t irq : irqs) {
    if (irq == 0) return fail(ErrorKind::unsupported, "irqbalance cannot be told of IRQ 0");
    command += " " + std::to_string(irq);
  }
  if (command.size() > kLongestCommand)
    return fail(ErrorKind::unsupported, "irqbalance cannot be told of " +
                                            std::to_string(irqs.size()) +
                                            " IRQs: it reads 500 bytes of a command");
  return command;
}

Result<std::optional<IrqbalanceSetup>> Irqbalance::setup() const {
  const auto answer = ask(*this, "setup");
  if (!answer && answer.error().kind == ErrorKind::gone) return std::nullopt;
  if (!answer) return std::unexpected(answer.error());
  auto setup = parse_irqbalance_setup(*answer);
  if (!setup) return std::unexpected(setup.error());
  return *std::move(setup);
}

Result<void> Irqbalance::ban(std::span<const std::uint32_t> irqs) const {
  const auto command = irqbalance_ban_command(irqs);
  if (!command) return std::unexpected(command.error());
  const auto answer = ask(*this, *command);
  if (!answer) return std::unexpected(answer.error());
  return {};
}

}  // namespace ankus
