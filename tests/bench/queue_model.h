// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "verify/samples.h"

/// A host's uplink as a discrete-event model, to make labelled experiments for the verdict: packets
/// of mice and windows of TCP-like elephants meet in real queues, on the host or behind it, so that
/// latencies are as skewed, as correlated and as bursty as queues make them. Mice's round trips end
/// as TCP's do: with the other side's answer, or with its delayed acknowledgement before that.
namespace ankus::bench {

/// How the uplink orders packets.
enum class Discipline {
  fifo,               ///< one queue
  mice_first,         ///< two queues, strict priority
  elephants_first,    ///< the harmful order
  mice_limited,       ///< mice behind a token bucket of their own that is too small for them
  elephants_limited,  ///< elephants behind one, though the link has room
};

struct Mice {
  unsigned connections = 32;              ///< each one request at a time, then a pause
  nanoseconds pause = milliseconds(100);  ///< mean; exponential
  unsigned packet_bytes = 300;
  nanoseconds service = std::chrono::microseconds(300);  ///< of the application, mean; exponential
  nanoseconds other_side = milliseconds(1);              ///< its application's, likewise
  bool by_the_uplink = true;                             ///< false: a control group beside it

  bool operator==(const Mice&) const = default;
};

struct Elephants {
  unsigned flows = 8;
  nanoseconds round_trip = milliseconds(4);
  /// Mean times of moving data and of pausing, exponential; no pauses if 0.
  nanoseconds on{}, off{};

  bool operator==(const Elephants&) const = default;
};

/// What one side of the experiment is like. Before and after may differ in more than the action.
struct Side {
  Discipline discipline = Discipline::fifo;
  double limit = 0;              ///< of the limited class: share of the link's rate
  bool elephants_stop = false;   ///< all of them, by themselves
  double service_factor = 1;     ///< how much slower the applications are
  double other_side_factor = 1;  ///< how much slower the other side's are
  /// Of the host's uplink, as a multiple of the scene's rate: below 1 it is shaped below the narrow
  /// place behind it, far above 1 the queue is there.
  double uplink = 1;

  bool operator==(const Side&) const = default;
};

struct Scene {
  std::uint64_t seed = 1;
  BitRate rate{200'000'000};
  nanoseconds queue = milliseconds(60);  ///< length of the elephants' queue at the link's rate
  bool narrow_beyond = false;  ///< a link of that rate, and a queue of that length, behind the host
  std::vector<Mice> mice;
  Elephants elephants;
  nanoseconds round_trip = milliseconds(1);  ///< of mice, beyond the host
  /// Mean time of an interrupted CPU in the receive path; one packet in a thousand meets one.
  nanoseconds stall = milliseconds(1);
  Side before, after;
  nanoseconds warm_up = seconds(3), window = seconds(10), settle = seconds(2);
};

struct Simulated {
  Samples before, after;
};
Simulated simulate(const Scene& scene);

}  // namespace ankus::bench
