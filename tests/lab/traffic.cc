// SPDX-License-Identifier: Apache-2.0
// ankus-traffic: the lab's server, mice, elephants and replayed flows.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "base/units.h"
#include "lab/traffic_bulk.h"
#include "lab/traffic_latency.h"
#include "lab/traffic_mice.h"
#include "lab/traffic_replay.h"
#include "lab/traffic_server.h"

namespace ankus::traffic {

namespace {

struct CommandLine {
  std::string to;
  std::string congestion = "cubic";
  std::string out;
  bool udp = false;
  bool fifo = false;
  Timing timing;

  std::uint16_t port = 5000;
  bool v6 = false;
  bool background = false;
  unsigned slow_us = 0;

  MiceOptions mice;
  bool connect_per_request = false;
  std::string samples;

  BulkOptions bulk;
  bool download = false;
  std::string rate;

  ReplayOptions replay;
  std::string table = "websearch";
  std::uint64_t threshold = 10'000'000;
};

void add_client_options(CLI::App& app, CommandLine& line) {
  app.add_option("--to", line.to, "server: 10.77.0.2:5000 or [fd77::2]:5000")->required();
  app.add_option("--congestion", line.congestion, "TCP congestion control, \"\" for the default")
      ->capture_default_str();
}

void add_timing(CLI::App& app, Timing& timing) {
  app.add_option("--seconds", timing.seconds, "measured time")->capture_default_str();
  app.add_option("--warmup", timing.warmup_seconds, "traffic before it, not measured")
      ->capture_default_str();
  app.add_option("--start", timing.start_epoch_ns, "when traffic begins, ns since 1970; 0: now");
}

void add_serve(CLI::App& app, CommandLine& line) {
  auto* serve = app.add_subcommand("serve", "answers all other commands, until it is ended");
  serve->add_option("--port", line.port)->capture_default_str();
  serve->add_flag("--udp", line.udp, "UDP besides TCP");
  serve->add_flag("--v6", line.v6, "IPv6 only (else both)");
  serve->add_option("--congestion", line.congestion)->capture_default_str();
  serve->add_flag("--fifo", line.fifo, "SCHED_FIFO 10 if allowed");
  serve->add_option("--slow", line.slow_us,
                    "microseconds longer for each mouse's request, from SIGUSR1 to SIGUSR2");
  serve->add_flag("--background", line.background, "return once it listens; prints the pid");
}

void add_mice(CLI::App& app, CommandLine& line) {
  auto* mice = app.add_subcommand("mice", "small requests, open loop; measures their latency");
  add_client_options(*mice, line);
  add_timing(*mice, line.timing);
  mice->add_option("--connections", line.mice.connections)->capture_default_str();
  mice->add_option("--rate", line.mice.rate, "requests per second in total")->capture_default_str();
  mice->add_option("--bytes", line.mice.bytes, "of request and response")->capture_default_str();
  mice->add_option("--drain", line.mice.drain_seconds, "seconds to wait for last answers")
      ->capture_default_str();
  mice->add_option("--seed", line.mice.seed)->capture_default_str();
  mice->add_flag("--udp", line.udp);
  mice->add_flag("--stamps", line.mice.stamps, "both ends stamp: each way by itself, too");
  mice->add_flag("--connect-per-request", line.connect_per_request);
  mice->add_flag("--fifo", line.fifo, "SCHED_FIFO 10 if allowed");
  mice->add_option("--out", line.out, "JSON; default: standard output");
  mice->add_option("--samples", line.samples, "file of u32 microseconds");
}

void add_bulk(CLI::App& app, CommandLine& line) {
  auto* bulk = app.add_subcommand("bulk", "elephants; measures their goodput");
  add_client_options(*bulk, line);
  add_timing(*bulk, line.timing);
  bulk->add_option("--flows", line.bulk.flows)->capture_default_str();
  bulk->add_option("--bytes-per-flow", line.bulk.bytes_per_flow, "then another flow; 0: endless")
      ->capture_default_str();
  bulk->add_flag("--download", line.download);
  bulk->add_flag("--udp", line.udp);
  bulk->add_option("--rate", line.rate, "UDP: of all flows together, such as \"50 Mbit\"");
  bulk->add_option("--from-ports", line.bulk.from_ports,
                   "UDP: a flow from each of these, such as 20001,20007")
      ->delimiter(',');
  bulk->add_option("--out", line.out, "JSON; default: standard output");
}

void add_replay(CLI::App& app, CommandLine& line) {
  auto* replay = app.add_subcommand("replay", "flows of published sizes, with ground truth");
  add_client_options(*replay, line);
  replay->add_option("--table", line.table, "websearch or hadoop")->capture_default_str();
  replay->add_option("--flows", line.replay.flows)->capture_default_str();
  replay->add_option("--concurrency", line.replay.concurrency)->capture_default_str();
  replay->add_option("--seed", line.replay.seed)->capture_default_str();
  replay->add_option("--timeout", line.replay.timeout_seconds, "seconds")->capture_default_str();
  replay->add_option("--threshold", line.threshold, "bytes from which a flow counts as large")
      ->capture_default_str();
  replay->add_option("--truth", line.out, "JSON; default: standard output");
}

Result<Dial> dial_of(const CommandLine& line) {
  auto to = parse_endpoint(line.to);
  if (!to) return with_context("--to", to.error());
  return Dial{.to = *to,
              .transport = line.udp ? Transport::udp : Transport::tcp,
              .congestion = line.congestion};
}

/// The one that signals slow down and speed up.
Server* switched = nullptr;
nanoseconds switched_by{};

void slow_down_by_signals(Server& server, nanoseconds by) {
  switched = &server;
  switched_by = by;
  struct sigaction action{};
  action.sa_handler = [](int signal) {
    switched->slow_down(signal == SIGUSR1 ? switched_by : nanoseconds(0));
  };
  (void)sigaction(SIGUSR1, &action, nullptr);  // fails for unknown signals only
  (void)sigaction(SIGUSR2, &action, nullptr);
}

Result<> serve(const CommandLine& line) {
  auto server = Server::open({.port = line.port,
                              .udp = line.udp,
                              .families = line.v6 ? Families::only_v6 : Families::both,
                              .congestion = line.congestion});
  if (!server) return std::unexpected(server.error());
  if (line.slow_us > 0) slow_down_by_signals(**server, std::chrono::microseconds(line.slow_us));
  if (line.background) {
    const pid_t child = fork();
    if (child < 0) return fail_errno("fork");
    if (child > 0) {
      std::printf("%d\n", child);
      return {};
    }
    (void)setsid();  // the child of a fork leads no group, so it cannot fail
    // Whoever waits for the end of our output must not wait for the server.
    if (!std::freopen("/dev/null", "r", stdin) || !std::freopen("/dev/null", "w", stdout) ||
        !std::freopen("/dev/null", "w", stderr))
      return fail_errno("/dev/null");
  }
  if (auto ran = (*server)->run_until({nanoseconds::max()}); !ran)
    return std::unexpected(ran.error());
  return {};
}

Result<> mice(CommandLine& line) {
  auto dial = dial_of(line);
  if (!dial) return std::unexpected(dial.error());
  line.mice.dial = *dial;
  line.mice.timing = line.timing;
  line.mice.life = line.connect_per_request ? MouseLife::per_request : MouseLife::keep_alive;
  auto report = run_mice(line.mice);
  if (!report) return std::unexpected(report.error());
  if (!line.samples.empty())
    if (auto written = write_samples(line.samples, report->samples); !written) return written;
  return write_json(line.out, to_json(*report));
}

Result<> bulk(CommandLine& line) {
  auto dial = dial_of(line);
  if (!dial) return std::unexpected(dial.error());
  line.bulk.dial = *dial;
  line.bulk.timing = line.timing;
  line.bulk.direction = line.download ? Direction::download : Direction::upload;
  if (!line.rate.empty()) {
    if (!line.udp)
      return fail(ErrorKind::invalid, "--rate is for --udp; TCP takes what it can get");
    auto rate = parse_bit_rate(line.rate);
    if (!rate) return with_context("--rate", rate.error());
    line.bulk.udp_rate = *rate;
  }
  auto report = run_bulk(line.bulk);
  if (!report) return std::unexpected(report.error());
  return write_json(line.out, to_json(*report));
}

Result<> replay(CommandLine& line) {
  auto dial = dial_of(line);
  if (!dial) return std::unexpected(dial.error());
  auto table = find_size_table(line.table);
  if (!table) return std::unexpected(table.error());
  line.replay.dial = *dial;
  line.replay.table = *table;
  auto flows = run_replay(line.replay);
  if (!flows) return std::unexpected(flows.error());
  return write_json(line.out, to_json(*flows, line.threshold));
}

Result<> run(const CLI::App& app, CommandLine& line) {
  raise_descriptor_limit();
  if (line.fifo && !try_realtime_priority())
    std::fputs("ankus-traffic: SCHED_FIFO is not allowed here; goes on without\n", stderr);
  if (app.got_subcommand("serve")) return serve(line);
  if (app.got_subcommand("mice")) return mice(line);
  if (app.got_subcommand("bulk")) return bulk(line);
  return replay(line);
}

}  // namespace

}  // namespace ankus::traffic

int main(int argc, char** argv) {
  CLI::App app("traffic for Ankus's lab");
  app.require_subcommand(1);
  ankus::traffic::CommandLine line;
  ankus::traffic::add_serve(app, line);
  ankus::traffic::add_mice(app, line);
  ankus::traffic::add_bulk(app, line);
  ankus::traffic::add_replay(app, line);
  CLI11_PARSE(app, argc, argv);
  if (auto ran = ankus::traffic::run(app, line); !ran) {
    std::fprintf(stderr, "ankus-traffic: %s\n", ran.error().text.c_str());
    return ran.error().kind == ankus::ErrorKind::invalid ? 2 : 1;
  }
  return 0;
}
