// SPDX-License-Identifier: Apache-2.0
// Elephants against the generator's truth, and how soon user space knows.
#include <poll.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "bench/benchmarks.h"
#include "bench/figure.h"
#include "bench/watched_host.h"
#include "bpf/wire.h"

namespace ankus::bench {
namespace {

/// The sensors count at layer 3 and both directions, the generator counts payload: flows of at
/// least this share of the threshold, and below it, may cross it by their headers and are not
/// judged.
constexpr double kUnjudgedFrom = 0.9;

struct Onset {
  std::uint16_t port = 0;  ///< the container's, which masquerading keeps (one container sends)
  nanoseconds at{}, delay{};
};

struct Observed {
  std::vector<Onset> onsets;
  Counters counters{};
  int exit_status = 0;
};

std::uint16_t port_in(const std::string& endpoint) {
  return static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
}

/// Sweeps as the daemon does: sooner when the table is nearly full.
void sweep_as_the_daemon(const FlowTable& table) {
  const auto flows = table.flows();
  if (!flows) return;
  const bool nearly_full = flows->size() > table.capacity() / 4 * 3;
  (void)table.sweep(nearly_full ? seconds(5) : seconds(60), seconds(2), nullptr);
}

Observed watch(WatchedHost& host, const std::string& command, std::uint16_t server_port) {
  Observed observed;
  std::atomic<bool> done = false;
  std::thread traffic([&] {
    observed.exit_status = std::system(command.c_str());
    done = true;
  });
  const SystemClock clock;
  pollfd waiting{.fd = host.table->events_fd(), .events = POLLIN, .revents = 0};
  bool full = false;
  const auto take = [&](const FlowEvent& event) {
    full = full || event.kind == FlowEvent::Kind::table_full;
    if (event.kind != FlowEvent::Kind::elephant_begins) return;
    const Flow& flow = event.flow;
    observed.onsets.push_back(
        {.port = flow.remote.port == server_port ? flow.local.port : flow.remote.port,
         .at = event.at.since_boot,
         .delay = clock.monotonic() - event.at});
  };
  MonotonicTime swept = clock.monotonic();
  while (!done) {
    if (poll(&waiting, 1, 200) > 0) host.table->read_events(take);
    if (full)
      (void)host.table->sweep(seconds(5), milliseconds(20), nullptr);  // Observer::make_room
    full = false;
    if (clock.monotonic() - swept > seconds(10)) {
      swept = clock.monotonic();
      sweep_as_the_daemon(*host.table);
    }
  }
  traffic.join();
  host.table->read_events(take);
  observed.counters = host.table->counters().value_or(Counters{});
  return observed;
}

struct Score {
  std::uint64_t elephants = 0, found = 0, mice = 0, false_elephants = 0, unjudged = 0,
                told_twice = 0;
  double recall() const {
    return elephants == 0 ? 0 : static_cast<double>(found) / static_cast<double>(elephants);
  }
  double precision() const {
    const auto said = static_cast<double>(found + false_elephants);
    return said == 0 ? 0 : static_cast<double>(found) / said;
  }
};

Score judge(const nlohmann::json& truth, const std::vector<Onset>& onsets,
            std::uint64_t threshold) {
  Score score;
  std::vector<int> taken(onsets.size());
  for (const auto& flow : truth.at("flows")) {
    const auto bytes = flow.at("bytes").get<std::uint64_t>();
    const nanoseconds start(flow.at("start_ns").get<std::int64_t>()),
        end(flow.at("end_ns").get<std::int64_t>());
    const std::uint16_t port = port_in(flow.at("local").get<std::string>());
    int told = 0;
    for (std::size_t i = 0; i < onsets.size(); ++i)
      if (onsets[i].port == port && onsets[i].at >= start && onsets[i].at <= end) {
        ++told;
        ++taken[i];
      }
    if (told > 1) ++score.told_twice;
    if (bytes >= threshold) {
      ++score.elephants;
      if (told > 0) ++score.found;
    } else if (static_cast<double>(bytes) >= kUnjudgedFrom * static_cast<double>(threshold)) {
      ++score.unjudged;
    } else {
      ++score.mice;
      if (told > 0) ++score.false_elephants;
    }
  }
  // An onset of a flow that nobody sent is a false elephant, too.
  score.false_elephants += static_cast<std::uint64_t>(std::ranges::count(taken, 0));
  return score;
}

}  // namespace

Result<void> run_detection(const DetectionOptions& options) {
  FlowTiming timing;
  timing.elephant_bytes = {options.threshold};
  auto host = open_host({.max_flows = options.max_flows, .timing = timing});
  if (!host) return std::unexpected(host.error());
  const std::string command =
      options.replay + " --table " + options.table + " --flows " + std::to_string(options.flows) +
      " --concurrency " + std::to_string(options.concurrency) + " --seed " +
      std::to_string(options.seed) + " --threshold " + std::to_string(options.threshold) +
      " --timeout 90 --truth " + options.truth;
  const auto colon = options.replay.rfind(':');
  if (colon == std::string::npos)
    return fail(ErrorKind::invalid, "--replay: no server's port in it");
  const Observed observed =
      watch(*host, command, port_in(options.replay.substr(0, options.replay.find(' ', colon))));
  if (observed.exit_status != 0) return fail(ErrorKind::refused, "the replay failed: " + command);
  std::ifstream file(options.truth);
  const auto truth = nlohmann::json::parse(file, nullptr, false);
  if (!truth.is_object() || !truth.contains("flows"))
    return fail(ErrorKind::invalid, options.truth + ": no truth in it");

  const Score score = judge(truth, observed.onsets, options.threshold);
  if (score.elephants == 0) return fail(ErrorKind::invalid, "no elephant was sent: more --flows");
  const nlohmann::ordered_json detail{{"table", options.table},
                                      {"flows", options.flows},
                                      {"threshold_bytes", options.threshold},
                                      {"max_flows", options.max_flows},
                                      {"elephants", score.elephants},
                                      {"found", score.found},
                                      {"mice", score.mice},
                                      {"false_elephants", score.false_elephants},
                                      {"unjudged_near_threshold", score.unjudged},
                                      {"told_twice", score.told_twice},
                                      {"map_full", observed.counters[ANKUS_COUNT_MAP_FULL]},
                                      {"map_busy", observed.counters[ANKUS_COUNT_MAP_BUSY]},
                                      {"events_lost", observed.counters[ANKUS_COUNT_EVENT_LOST]}};
  print({.name = options.name + "/recall",
         .measured = score.recall(),
         .unit = "of the true elephants",
         .goal = {Goal::Kind::at_least, 0.999},
         .detail = detail});
  print({.name = options.name + "/precision",
         .measured = score.precision(),
         .unit = "of what was called one",
         .goal = {Goal::Kind::at_least, 0.999},
         .detail = detail});
  std::vector<double> delays;
  for (const Onset& onset : observed.onsets) delays.push_back(milliseconds_of(onset.delay));
  print({.name = options.name + "/onset_p99",
         .measured = percentile(delays, 0.99),
         .unit = "ms from the packet to user space",
         .goal = {Goal::Kind::at_most, 1},
         .detail = {{"onsets", delays.size()},
                    {"p50_ms", median(delays)},
                    {"max_ms", percentile(delays, 1)}}});
  return {};
}

}  // namespace ankus::bench
