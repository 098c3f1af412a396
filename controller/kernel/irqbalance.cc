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
/// No command at all. A connection must not end without a word: irqbalance takes an end for root's
/// credentials, and reads into a buffer in which the command before may still stand.
constexpr std::string_view kNothing = "ping";

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

struct Connection {
  UniqueFd fd;
  std::string path;  ///< "" is the abstract socket
};

/// To the irqbalance that runs; Error{gone} if there is none.
Result<Connection> connect_in(const std::string& directory) {
  std::optional<Error> failure;
  if (const auto names = read_directory(directory)) {
    for (const std::string& name : *names) {
      if (!name.starts_with("irqbalance") || !name.ends_with(".sock")) continue;
      const std::string path = directory + "/" + name;
      auto fd = connect_to(path);
      if (fd) return Connection{.fd = std::move(*fd), .path = path};
      if (fd.error().kind == ErrorKind::busy) return std::unexpected(fd.error());
      if (fd.error().kind != ErrorKind::gone) failure = fd.error();
    }
  }
  auto fd = connect_to("");
  if (fd) return Connection{.fd = std::move(*fd), .path = {}};
  return std::unexpected(fd.error().kind == ErrorKind::gone && failure ? *failure : fd.error());
}

template <class Value>
void append_control(msghdr& message, int type, const Value& value) {
  auto* header =
      reinterpret_cast<cmsghdr*>(static_cast<char*>(message.msg_control) + message.msg_controllen);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(header), &value, sizeof value);
  message.msg_controllen += CMSG_SPACE(sizeof value);
}

/// With our credentials and, if it is given, one more reference to `along`.
Result<void> send_command(const UniqueFd& fd, std::string_view command,
                          const UniqueFd* along = nullptr) {
  const ucred self{.pid = ::getpid(), .uid = ::geteuid(), .gid = ::getegid()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof self) + CMSG_SPACE(sizeof(int))> control{};
  iovec part{.iov_base = const_cast<char*>(command.data()), .iov_len = command.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  append_control(message, SCM_CREDENTIALS, self);
  if (along != nullptr) append_control(message, SCM_RIGHTS, along->get());
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

/// Sends `command`, so that its answer always finds somebody: irqbalance sends without MSG_NOSIGNAL
/// and would die of an asker who did not wait. A second connection, which it takes up after the
/// first, carries a reference to our end of the first (unix(7), SCM_RIGHTS): that end lives in the
/// kernel until irqbalance has answered, whatever becomes of us. It has no room for descriptors, so
/// that they are closed when it reads (scm_detach_fds() in net/core/scm.c).
Result<IrqbalanceQuestion> ask(const std::string& directory, std::string_view command) {
  auto first = connect_in(directory);
  if (!first) return std::unexpected(first.error());
  auto second = connect_to(first->path);
  if (!second) {  // its backlog of two is full, or it has ended
    (void)send_command(first->fd, kNothing);
    return std::unexpected(second.error());
  }
  const auto sent = send_command(first->fd, command);
  if (!send_command(*second, kNothing, &first->fd)) (void)send_command(*second, kNothing);
  if (!sent) return std::unexpected(sent.error());
  return IrqbalanceQuestion{.answer = std::move(first->fd), .end = *std::move(second)};
}

/// If it is worth while to wait for it. A question that waits says that it still does not listen.
Result<void> may_ask(IrqbalanceSilence& silence) {
  if (silence.question) {
    pollfd ended{.fd = silence.question->end.get(), .events = POLLIN};
    if (::poll(&ended, 1, 0) == 0)
      return fail(ErrorKind::busy, "irqbalance does not answer; what it was asked still waits");
    silence.question.reset();
  }
  if (now() < silence.until)
    return fail(ErrorKind::busy, "irqbalance has answered too late " +
                                     std::to_string(silence.times) +
                                     " times in a row, and is left alone for a while");
  return {};
}

void note_silence(const Irqbalance& irqbalance, IrqbalanceQuestion question) {
  constexpr unsigned kMostDoublings = 4;
  IrqbalanceSilence& silence = *irqbalance.silence;
  silence.question = std::move(question);
  if (++silence.times < 2) return;  // the question that waits says when it listens again
  silence.until =
      now() + irqbalance.patience * 10 * (1U << std::min(silence.times - 2, kMostDoublings));
}

Result<std::string> answer_to(const Irqbalance& irqbalance, std::string_view command) {
  if (auto may = may_ask(*irqbalance.silence); !may) return std::unexpected(may.error());
  auto question = ask(irqbalance.directory, command);
  if (!question) return std::unexpected(question.error());
  const MonotonicTime end = now() + irqbalance.patience;
  auto answer = receive_until(end, question->answer);
  // Until it has taken up the second as well, there is no room for the next question.
  auto done = answer ? receive_until(end, question->end) : std::unexpected(answer.error());
  if (done || done.error().kind != ErrorKind::busy)
    irqbalance.silence->times = 0;
  else
    note_silence(irqbalance, *std::move(question));
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
  // It ends the list at a 0, but for the first (sock_handle() in irqbalance.c).
  std::vector<std::uint32_t> ascending(irqs.begin(), irqs.end());
  std::ranges::sort(ascending);
  for (const std::uint32_t irq : ascending) command += " " + std::to_string(irq);
  if (command.size() > kLongestCommand)
    return fail(ErrorKind::unsupported, "irqbalance cannot be told of " +
                                            std::to_string(irqs.size()) +
                                            " IRQs: it reads 500 bytes of a command");
  return command;
}

Result<std::optional<IrqbalanceSetup>> Irqbalance::setup() const {
  const auto answer = answer_to(*this, "setup");
  if (!answer && answer.error().kind == ErrorKind::gone) return std::nullopt;
  if (!answer) return std::unexpected(answer.error());
  auto setup = parse_irqbalance_setup(*answer);
  if (!setup) return std::unexpected(setup.error());
  return *std::move(setup);
}

Result<void> Irqbalance::ban(std::span<const std::uint32_t> irqs) const {
  const auto command = irqbalance_ban_command(irqs);
  if (!command) return std::unexpected(command.error());
  const auto answer = answer_to(*this, *command);
  if (!answer) return std::unexpected(answer.error());
  return {};
}

}  // namespace ankus
