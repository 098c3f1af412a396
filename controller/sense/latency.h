// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bpf/latency.h"
#include "kernel/bpf.h"
#include "model/latency.h"
#include "sense/programs.h"

namespace ankus {

/// What a sensor of latency lacks where a kernel has only the tracepoints that `has` says, a line
/// each with the reason. Needs no window, and nothing loaded.
std::vector<std::string> latency_downgrades(const std::function<bool(const std::string&)>& has);

/// How long the host keeps its workloads' packets, measured at tracepoints for the length of a
/// window (kernel side: bpf/latency.bpf.c). Between windows nothing is attached: always-on costs a
/// request 28 %. Which packets are whose is what FlowTable::set_device and set_cgroup have told.
class LatencySensor {
 public:
  struct Options {
    std::uint32_t max_packets = 16384;  ///< sampled ones on their way at once; 128 bytes each
    std::uint64_t netns_cookie = 0;     ///< of the host's namespace
  };
  /// Fails if no part of it can be loaded; a probe point that this kernel lacks is a downgrade.
  static Result<LatencySensor> open(const Programs& programs, const Options& options);

  /// One line for each segment that is measured less finely than it could be, with the reason.
  const std::vector<std::string>& downgrades() const { return downgrades_; }

  /// Forgets the last window and attaches. The kernel side stops counting by itself after `length`.
  /// `one_in` is rounded up to a power of two; of so many packets one is measured.
  /// `spared_one_in`: of the workloads given to spare(); less than `one_in` means the same as it.
  Result<void> begin(nanoseconds length, std::uint32_t one_in, std::uint32_t spared_one_in = 0);
  /// Workloads whose packets are many and not what is asked about: elephants make nearly all
  /// events. Their packets are told at the first probe by what earlier ones have shown: a
  /// container's by its namespace; those that an uplink receives by the flow's hash, where the NIC,
  /// RPS or a sender on this host computes one (else as all others). Takes effect at once, and for
  /// later windows.
  Result<void> spare(const std::set<WorkloadId>& workloads);
  /// What was counted since begin(); grows until the window is over. Also after end().
  Result<LatencyReading> read() const;
  /// Sampled packets not yet at the end of their segment. Walks the table of them.
  Result<std::uint64_t> on_the_way() const;
  /// Samples half as many packets from now on if the cost since the last call is above `budget`,
  /// as long as that helps: a halving that has not lowered the cost of an event by a fifth is taken
  /// back, as what remains is the cost of looking at packets that are not sampled. That is borne up
  /// to `limit`; above it, it detaches. Returns the line that says what was done, each once.
  Result<std::optional<std::string>> keep_within(Share budget, Share limit = {.of_one = 0.05});
  /// Stops counting and detaches.
  void end();
  bool open_window() const { return !links_.empty(); }

 private:
  Result<void> write_config(std::uint32_t until) const;
  Result<ankus_latency_cost> cost() const;
  Result<void> add_unmeasured(std::vector<SegmentLatency>& segments) const;

  std::optional<bpf::Object> object_;
  std::vector<std::string> programs_;
  std::vector<UniqueFd> links_;
  std::vector<std::string> downgrades_;
  bpf::Map<std::uint64_t, ankus_latency_packet> packets_;
  bpf::Map<std::uint64_t, ankus_latency_send> sends_;
  bpf::Map<std::uint64_t, ankus_latency_reads> reads_;
  bpf::Map<ankus_trip_key, ankus_trip> trips_;
  bpf::Map<ankus_latency_key, ankus_latency_row> rows_;
  bpf::Map<std::uint32_t, ankus_latency_config> config_;
  bpf::Map<std::uint32_t, ankus_latency_cost> cost_;
  bpf::Map<std::uint32_t, ankus_latency_marks> marks_;
  bpf::Map<std::uint32_t, ankus_latency_passed> passed_;
  bpf::Map<std::uint32_t, std::uint32_t> spared_;
  const Programs* owner_ = nullptr;
  std::uint64_t netns_cookie_ = 0;
  std::uint32_t shift_ = 0, spare_ = 0, window_ = 0, until_ = 0;
  std::set<WorkloadId> spared_workloads_;
  MonotonicTime began_{}, checked_at_{};
  ankus_latency_cost checked_{};
  std::optional<double> before_halving_;  ///< ns an event
  bool halving_is_useless_ = false, said_so_ = false;
  std::optional<MonotonicTime> ended_;
  nanoseconds length_{};
};

}  // namespace ankus
