// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "base/handle.h"
#include "base/result.h"
#include "daemon/control_server.h"
#include "daemon/controller.h"

namespace ankus {

/// The daemon: one thread, one epoll over the second's timer, signals, sensors and the socket.
class Loop {
 public:
  static Result<Loop> open(Controller& controller, Observer& observer, ControlServer& server,
                           const Clock& clock);
  /// Until SIGTERM or SIGINT. Stopping is not undoing: what is in force stays.
  Result<void> run();

 private:
  Loop(Controller& controller, Observer& observer, ControlServer& server, const Clock& clock)
      : controller_(controller), observer_(observer), server_(server), clock_(clock) {}
  Result<void> watch(int fd);
  void turn();
  void write_log();

  Controller& controller_;
  Observer& observer_;
  ControlServer& server_;
  const Clock& clock_;
  UniqueFd epoll_, timer_, signals_;
  bool news_waits_ = false;  ///< a turn is due soon because something changed
};

}  // namespace ankus
