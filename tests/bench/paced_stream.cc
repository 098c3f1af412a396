// SPDX-License-Identifier: Apache-2.0
#include "bench/paced_stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <chrono>

#include "base/clock.h"

namespace ankus::bench {
namespace {

constexpr int kTick = 500;  // us; a burst per tick, since nobody wakes 20,000 times a second
constexpr std::size_t kPayload = 64;

void send_paced(int socket, std::uint32_t packets_per_second, std::atomic<bool>& ending,
                std::atomic<std::uint64_t>& sent) {
  const std::array<char, kPayload> data{};
  const std::uint32_t burst = packets_per_second * kTick / 1'000'000;
  timespec next{};
  clock_gettime(CLOCK_MONOTONIC, &next);
  while (!ending) {
    for (std::uint32_t i = 0; i < burst; ++i) {
      (void)send(socket, data.data(), data.size(), 0);  // what a full queue refuses is lost, too
      ++sent;
    }
    next.tv_nsec += kTick * 1000;
    if (next.tv_nsec >= 1'000'000'000) {
      next.tv_nsec -= 1'000'000'000;
      ++next.tv_sec;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr) == EINTR) {
    }
  }
}

void receive(int socket, const std::stop_token& stop, std::atomic<std::uint64_t>& received) {
  std::array<char, 2048> buffer;
  pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
  while (!stop.stop_requested()) {
    if (poll(&waiting, 1, 50) <= 0) continue;
    while (recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) ++received;
  }
}

}  // namespace

Result<PacedStream> PacedStream::open(const Options& options) {
  PacedStream stream;
  stream.options_ = options;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  if (inet_pton(AF_INET, options.address.c_str(), &address.sin_addr) != 1)
    return fail(ErrorKind::invalid, "\"" + options.address + "\" is no IPv4 address");
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);

  Result<void> bound;
  // A namespace belongs to a thread, a socket keeps the one it was made in.
  std::thread([&] {
    const UniqueFd netns(::open(options.server_netns.c_str(), O_RDONLY | O_CLOEXEC));
    if (!netns || setns(netns.get(), CLONE_NEWNET) != 0) {
      bound = fail_errno("enter " + options.server_netns);
      return;
    }
    stream.receiver_.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int room = 16 << 20;
    if (setsockopt(stream.receiver_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 ||
        bind(stream.receiver_.get(), generic, sizeof address) != 0)
      bound = fail_errno("receive on " + options.address);
  }).join();
  if (!bound) return std::unexpected(bound.error());
  stream.sender_.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (connect(stream.sender_.get(), generic, sizeof address) != 0)
    return fail_errno("send to " + options.address);
  stream.receiving_ =
      std::jthread([fd = stream.receiver_.get(), received = stream.received_.get()](
                       const std::stop_token& stop) { receive(fd, stop, *received); });
  return stream;
}

void PacedStream::start() {
  *sent_ = *received_ = 0;
  *ending_ = false;
  sending_ = std::jthread(
      [this] { send_paced(sender_.get(), options_.packets_per_second, *ending_, *sent_); });
}

PacedStream::Count PacedStream::stop() {
  *ending_ = true;
  sending_.join();
  // What is under way still arrives; a queue of ours holds less than a second.
  std::uint64_t before = 0;
  do {
    before = *received_;
    std::this_thread::sleep_for(milliseconds(60));
  } while (*received_ != before);
  return {.sent = *sent_, .received = *received_};
}

}  // namespace ankus::bench
