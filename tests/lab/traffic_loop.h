// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/handle.h"
#include "base/result.h"

namespace ankus::traffic {

/// One epoll and its timers. Handlers may forget any descriptor, their own too.
class EventLoop {
 public:
  using Handler = std::function<void(std::uint32_t events)>;

  static Result<EventLoop> open();

  Result<> watch(int fd, std::uint32_t events, Handler handler);
  Result<> change(int fd, std::uint32_t events);
  /// Before the descriptor is closed.
  void forget(int fd);
  void at(MonotonicTime time, std::function<void()> task);

  /// Until stop() or the deadline; true if stopped.
  Result<bool> run_until(MonotonicTime deadline);
  void stop() { stopped_ = true; }

 private:
  explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  void run_due_tasks();

  struct Watched {
    std::uint64_t id = 0;  ///< tells a descriptor from an earlier one of the same number
    Handler handler;
  };
  struct Task {
    MonotonicTime time;
    std::uint64_t order = 0;
    std::function<void()> run;
    bool operator>(const Task& other) const {
      return time != other.time ? time > other.time : order > other.order;
    }
  };

  UniqueFd epoll_;
  std::unordered_map<int, Watched> watched_;
  std::priority_queue<Task, std::vector<Task>, std::greater<>> tasks_;
  std::uint64_t next_id_ = 1;
  bool stopped_ = false;
};

}  // namespace ankus::traffic
