// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

/// The benchmarks that need the libraries themselves, in the lab's host namespace. Each prints its
/// figures and fails only if it could not measure.
namespace ankus::bench {

struct ControlOptions {
  std::string pin_dir, policy, server, server_netns, runtime_dir, state_dir;
  int rounds = 5;
};
Result<void> run_control(const ControlOptions& options);

struct PacketOptions {
  int rounds = 5;
};
Result<void> run_packet(const PacketOptions& options);

struct DetectionOptions {
  std::string replay;  ///< shell command of a replay to which --table and the like are appended
  std::string table = "websearch";
  std::uint64_t flows = 600, threshold = 10'000'000, seed = 1;
  unsigned concurrency = 8;
  std::uint32_t max_flows = 65536;
  std::string truth;  ///< file for the generator's truth
  std::string name = "detection";
};
Result<void> run_detection(const DetectionOptions& options);

/// What the latency sensor and the TCP sensor cost a round trip and a full pipe.
struct LatencyCostOptions {
  std::string round_trip, bulk;  ///< shell commands of ankus-traffic, JSON on standard output
  std::string name;              ///< of the host's path, as a part of the figures' names
  int rounds = 5;
};
Result<void> run_latency_cost(const LatencyCostOptions& options);

/// The sensor's figures beside the traffic's own stamps.
struct LatencyTruthOptions {
  std::string mice;  ///< shell command: `ankus-traffic mice --udp --stamps`, in container web
  std::string name;
  bool queued = false;  ///< the way out is a queue: compared by its share, else by its microseconds
};
Result<void> run_latency_truth(const LatencyTruthOptions& options);

struct VerdictOptions {
  std::uint64_t runs = 240;  ///< simulated experiments per class, at least
  std::uint64_t seed = 1;
  std::string recorded;  ///< JSON lines of recorded ones instead: {label, truth, before, after}
  std::string save;      ///< writes the simulated ones as such lines
  bool verbose = false;  ///< names each wrong one, not only the first twenty
};
Result<void> run_verdict(const VerdictOptions& options);

struct BalanceOptions {
  std::string records;  ///< file of bucket loads
  int rounds = 5;
};
Result<void> run_balance(const BalanceOptions& options);
/// Prints the records that tests/data/bucket_loads was made of.
Result<void> record_bucket_loads();

}  // namespace ankus::bench
