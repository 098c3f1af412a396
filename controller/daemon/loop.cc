// SPDX-License-Identifier: Apache-2.0
#include "daemon/loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>

#include <csignal>
#include <iostream>

namespace ankus {
namespace {

constexpr milliseconds kTurnEvery{1000};
/// After news of a device or an elephant; more news in between waits for the same turn.
constexpr milliseconds kSettle{50};

void set_timer(int timer, milliseconds first) {
  const auto spec = [](milliseconds d) {
    return timespec{.tv_sec = d.count() / 1000, .tv_nsec = d.count() % 1000 * 1'000'000};
  };
  const itimerspec times{.it_interval = spec(kTurnEvery), .it_value = spec(first)};
  (void)timerfd_settime(timer, 0, &times, nullptr);  // cannot fail with these values
}

}  // namespace

Result<void> Loop::watch(int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno("epoll_ctl");
  return {};
}

Result<Loop> Loop::open(Controller& controller, Observer& observer, ControlServer& server,
                        const Clock& clock) {
  Loop loop(controller, observer, server, clock);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return fail_errno("sigprocmask");
  (void)std::signal(SIGPIPE, SIG_IGN);  // a client that went away is no reason to go too
  loop.epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  loop.timer_.reset(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  loop.signals_.reset(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!loop.epoll_ || !loop.timer_ || !loop.signals_) return fail_errno("open the loop");
  std::vector<int> fds = observer.fds();
  for (const int fd : {loop.timer_.get(), loop.signals_.get(), server.epoll_fd()})
    fds.push_back(fd);
  for (const int fd : fds)
    if (auto done = loop.watch(fd); !done) return std::unexpected(done.error());
  set_timer(loop.timer_.get(), kTurnEvery);
  return loop;
}

void Loop::write_log() {
  for (const std::string& line : controller_.take_log()) std::cerr << line << '\n';
}

void Loop::turn() {
  if (auto done = controller_.tick(); !done) std::cerr << "turn: " << done.error().text << '\n';
  write_log();
  (void)sd_notify(0, "WATCHDOG=1");  // from the loop's own progress; no-op without systemd
}

Result<void> Loop::run() {
  turn();
  (void)sd_notify(0, "READY=1\nSTATUS=watching");
  while (true) {
    epoll_event events[16];
    const auto server_wait = server_.timeout();
    const int wait = server_wait ? static_cast<int>(server_wait->count()) : -1;
    const int ready = epoll_wait(epoll_.get(), events, 16, wait);
    if (ready < 0 && errno != EINTR) return fail_errno("epoll_wait");
    bool news = false, due = false;
    for (int i = 0; i < ready; ++i) {
      const int fd = events[i].data.fd;
      if (fd == timer_.get()) {
        std::uint64_t times = 0;
        due = read(fd, &times, sizeof times) > 0 || due;
      } else if (fd == signals_.get()) {
        signalfd_siginfo signal{};
        if (read(fd, &signal, sizeof signal) != sizeof signal) continue;
        if (signal.ssi_signo != SIGHUP) {
          (void)sd_notify(0, "STOPPING=1");
          controller_.remember_footprints();
          return {};
        }
        if (auto done = controller_.reload("SIGHUP"); !done)
          std::cerr << "reload refused, policies unchanged: " << done.error().text << '\n';
        due = true;
      } else if (fd != server_.epoll_fd()) {
        news = true;
      }
    }
    server_.run();
    write_log();
    if (news) {
      if (observer_.take_events()) observer_.make_room(clock_.monotonic());
      (void)observer_.something_changed();
      // Armed once: a stream of news must not push the turn ahead of itself.
      if (!news_waits_) set_timer(timer_.get(), kSettle);
      news_waits_ = true;
    }
    if (due) {
      turn();
      news_waits_ = false;
    }
  }
}

}  // namespace ankus
