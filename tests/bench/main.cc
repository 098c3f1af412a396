// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <iostream>

#include "bench/benchmarks.h"

int main(int argc, char** argv) {
  using namespace ankus::bench;
  CLI::App app(
      "Figures that need Ankus's libraries; runs in a lab's host namespace (tests/bench/bench).");
  app.require_subcommand(1);

  ControlOptions control;
  auto* control_command =
      app.add_subcommand("control", "class changes, assignment, installation, plans");
  control_command->add_option("--pin-dir", control.pin_dir, "on a bpffs")->required();
  control_command->add_option("--policy", control.policy)->required();
  control_command->add_option("--server", control.server, "IPv4 address behind up0")->required();
  control_command->add_option("--server-netns", control.server_netns, "path")->required();
  control_command->add_option("--runtime-dir", control.runtime_dir, "of the journal")->required();
  control_command->add_option("--state-dir", control.state_dir, "of the journal")->required();
  control_command->add_option("--rounds", control.rounds)->check(CLI::Range(1, 1000));

  PacketOptions packet;
  auto* packet_command = app.add_subcommand("packet", "the programs beside an empty one");
  packet_command->add_option("--rounds", packet.rounds)->check(CLI::Range(1, 1000));

  DetectionOptions detection;
  auto* detection_command =
      app.add_subcommand("detection", "elephants against the generator's truth");
  detection_command
      ->add_option("--replay", detection.replay, "shell command, ends in --to ADDRESS:PORT")
      ->required();
  detection_command->add_option("--truth", detection.truth, "file to write")->required();
  detection_command->add_option("--name", detection.name);
  detection_command->add_option("--table", detection.table);
  detection_command->add_option("--flows", detection.flows);
  detection_command->add_option("--concurrency", detection.concurrency);
  detection_command->add_option("--threshold", detection.threshold);
  detection_command->add_option("--max-flows", detection.max_flows);
  detection_command->add_option("--seed", detection.seed);

  LatencyCostOptions latency;
  auto* latency_command = app.add_subcommand("latency", "what measuring costs");
  latency_command->add_option("--round-trip", latency.round_trip, "shell command")->required();
  latency_command->add_option("--bulk", latency.bulk, "shell command")->required();
  latency_command->add_option("--name", latency.name)->required();
  latency_command->add_option("--rounds", latency.rounds)->check(CLI::Range(1, 1000));

  LatencyTruthOptions truth;
  auto* truth_command =
      app.add_subcommand("latency-truth", "the sensor beside the traffic's own stamps");
  truth_command->add_option("--mice", truth.mice, "shell command")->required();
  truth_command->add_option("--name", truth.name)->required();
  truth_command->add_flag("--queued", truth.queued, "compare shares, not microseconds");

  VerdictOptions verdict;
  auto* verdict_command = app.add_subcommand("verdict", "labelled experiments, judged");
  verdict_command->add_option("--runs", verdict.runs, "simulated experiments per class");
  verdict_command->add_option("--seed", verdict.seed);
  verdict_command->add_option("--recorded", verdict.recorded, "JSON lines instead of simulations");
  verdict_command->add_option("--save", verdict.save, "file for the simulated ones");
  verdict_command->add_flag("--verbose", verdict.verbose, "name each wrong verdict");

  BalanceOptions balance;
  auto* balance_command = app.add_subcommand("balance", "the receive balancer beside RSS++'s rule");
  balance_command->add_option("--records", balance.records, "bucket loads")->required();
  balance_command->add_option("--rounds", balance.rounds)->check(CLI::Range(1, 1000));
  auto* record_command = app.add_subcommand("record-bucket-loads", "draws and prints them");
  CLI11_PARSE(app, argc, argv);

  ankus::Result<void> done;
  if (control_command->parsed()) done = run_control(control);
  if (packet_command->parsed()) done = run_packet(packet);
  if (detection_command->parsed()) done = run_detection(detection);
  if (latency_command->parsed()) done = run_latency_cost(latency);
  if (truth_command->parsed()) done = run_latency_truth(truth);
  if (verdict_command->parsed()) done = run_verdict(verdict);
  if (balance_command->parsed()) done = run_balance(balance);
  if (record_command->parsed()) done = record_bucket_loads();
  if (done) return 0;
  std::cerr << "ankus-bench: " << done.error().text << "\n";
  return 1;
}
