// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic_loop.h"

#include <sys/epoll.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "lab/traffic_clock.h"

namespace ankus::traffic {

namespace {

// A descriptor's number and the low half of its id, in epoll_event.data.
std::uint64_t event_key(int fd, std::uint64_t id) {
  return (id << 32) | static_cast<std::uint32_t>(fd);
}

timespec to_timespec(nanoseconds duration) {
  duration = std::max(duration, nanoseconds(0));
  return {.tv_sec = duration / seconds(1), .tv_nsec = (duration % seconds(1)).count()};
}

}  // namespace

Result<EventLoop> EventLoop::open() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno("epoll_create1");
  // Otherwise each wait may be 50 us late, which would count as latency of the network.
  (void)prctl(PR_SET_TIMERSLACK, 1);
  return EventLoop(std::move(epoll));
}

Result<> EventLoop::watch(int fd, std::uint32_t events, Handler handler) {
  const std::uint64_t id = next_id_++ & 0xffffffff;
  epoll_event event{.events = events, .data = {.u64 = event_key(fd, id)}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno("epoll add");
  watched_[fd] = Watched{.id = id, .handler = std::move(handler)};
  return {};
}

Result<> EventLoop::change(int fd, std::uint32_t events) {
  const auto found = watched_.find(fd);
  assert(found != watched_.end());
  epoll_event event{.events = events, .data = {.u64 = event_key(fd, found->second.id)}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) return fail_errno("epoll change");
  return {};
}

void EventLoop::forget(int fd) {
  const auto found = watched_.find(fd);
  if (found == watched_.end()) return;
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);  // closing it would do the same
  watched_.erase(found);
}

void EventLoop::at(MonotonicTime time, std::function<void()> task) {
  tasks_.push({.time = time, .order = next_id_++, .run = std::move(task)});
}

void EventLoop::run_due_tasks() {
  const MonotonicTime now = monotonic_now();
  while (!stopped_ && !tasks_.empty() && tasks_.top().time <= now) {
    auto run = tasks_.top().run;
    tasks_.pop();
    run();
  }
}

Result<bool> EventLoop::run_until(MonotonicTime deadline) {
  stopped_ = false;
  std::array<epoll_event, 64> events;
  while (!stopped_ && monotonic_now() < deadline) {
    const MonotonicTime wake = tasks_.empty() ? deadline : std::min(deadline, tasks_.top().time);
    const timespec wait = to_timespec(wake - monotonic_now());
    const int count = epoll_pwait2(epoll_.get(), events.data(), events.size(), &wait, nullptr);
    if (count < 0 && errno != EINTR) return fail_errno("epoll_pwait2");
    for (int i = 0; i < count && !stopped_; ++i) {
      const int fd = static_cast<int>(events[i].data.u64 & 0xffffffff);
      const auto found = watched_.find(fd);
      if (found == watched_.end() || event_key(fd, found->second.id) != events[i].data.u64)
        continue;
      // A copy, for the handler may forget its own descriptor.
      const Handler handler = found->second.handler;
      handler(events[i].events);
    }
    run_due_tasks();
  }
  return stopped_;
}

}  // namespace ankus::traffic
