// SPDX-License-Identifier: Apache-2.0
// What the latency and TCP sensors cost, and what they say beside the traffic's own stamps.
#include "sense/latency.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>

#include "bench/benchmarks.h"
#include "bench/figure.h"
#include "bench/watched_host.h"
#include "sense/tcp_health.h"

namespace ankus::bench {
namespace {

constexpr std::uint32_t kOneIn = 16, kHeavyOneIn = 64;  // what the daemon opens windows with
constexpr std::uint32_t kTcpOneIn = 16;
constexpr seconds kWindow{60};

struct ClosePipe {
  void operator()(std::FILE* pipe) const { (void)pclose(pipe); }
};

Result<nlohmann::json> json_of(const std::string& command) {
  std::unique_ptr<std::FILE, ClosePipe> pipe(popen(command.c_str(), "re"));
  if (!pipe) return fail_errno("run " + command);
  std::string text;
  std::array<char, 4096> buffer;
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    text.append(buffer.data(), got);
  if (pclose(pipe.release()) != 0) return fail(ErrorKind::refused, "failed: " + command);
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(ErrorKind::invalid, "no JSON from " + command);
  return json;
}

struct Sensors {
  WatchedHost host;
  LatencySensor latency;
  TcpSensor tcp;
};

Result<Sensors> open_sensors() {
  auto host = open_host({.attach = false});
  if (!host) return std::unexpected(host.error());
  auto latency = LatencySensor::open(*host->programs, {.netns_cookie = host->up0.netns_cookie});
  if (!latency) return std::unexpected(latency.error());
  if (auto done = latency->spare({kBackup}); !done) return std::unexpected(done.error());
  auto tcp = TcpSensor::open(*host->programs);
  if (!tcp) return std::unexpected(tcp.error());
  return Sensors{.host = std::move(*host), .latency = std::move(*latency), .tcp = std::move(*tcp)};
}

struct Sample {
  double p50_us = 0, mbit = 0;
  std::optional<LatencyCost> cost;  ///< of the full pipe's window
};

/// One way to measure, switched on anew for each of the two loads.
struct Way {
  std::string name;
  bool has_goal = false;
  std::function<Result<void>(Sensors&)> begin;
};

Result<Sample> sample(Sensors& sensors, const Way& way, const LatencyCostOptions& options) {
  Sample taken;
  for (const bool bulk : {false, true}) {
    if (auto done = way.begin(sensors); !done) return std::unexpected(done.error());
    const auto json = json_of(bulk ? options.bulk : options.round_trip);
    if (sensors.latency.open_window())
      if (const auto reading = sensors.latency.read()) taken.cost = reading->cost;
    sensors.latency.end();
    sensors.tcp.stop();
    if (!json) return std::unexpected(json.error());
    if (bulk)
      taken.mbit = json->value("goodput_mbit", 0.0);
    else
      taken.p50_us = json->value("p50_us", 0.0);
  }
  if (taken.p50_us <= 0 || taken.mbit <= 0)
    return fail(ErrorKind::invalid, "the traffic measured nothing");
  return taken;
}

const SegmentLatency* find(const LatencyReading& reading, LatencySegment segment) {
  for (const SegmentLatency& found : reading.segments)
    if (found.workload == kWeb && found.segment == segment) return &found;
  return nullptr;
}

double microseconds_of(nanoseconds time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

/// The sum of segments that follow each other.
struct Sum {
  double p50_us = 0, mean_us = 0;
  Coverage coverage;
  std::uint64_t dropped = 0, split = 0, merged = 0;
  nlohmann::ordered_json segments;
  void add(const SegmentLatency& segment) {
    const double p50 = microseconds_of(quantile(segment.histogram, 0.5).value_or(nanoseconds(0)));
    const double mean =
        segment.coverage.measured == 0
            ? 0
            : microseconds_of(segment.sum) / static_cast<double>(segment.coverage.measured);
    segments[std::string(info_of(segment.segment).name)] = {
        {"p50_us", p50}, {"mean_us", mean}, {"measured", segment.coverage.measured}};
    p50_us += p50;
    mean_us += mean;
    coverage.measured += segment.coverage.measured;
    coverage.packets += segment.coverage.packets;
    dropped += segment.dropped;
    split += segment.split;
    merged += segment.merged;
  }
};

}  // namespace

Result<void> run_latency_cost(const LatencyCostOptions& options) {
  auto sensors = open_sensors();
  if (!sensors) return std::unexpected(sensors.error());
  const std::array ways = {
      Way{"off", false, [](Sensors&) -> Result<void> { return {}; }},
      Way{"sampled", true,
          [](Sensors& s) { return s.latency.begin(kWindow, kOneIn, kHeavyOneIn); }},
      Way{"always", false, [](Sensors& s) { return s.latency.begin(kWindow, 1); }},
      Way{"tcp", true, [](Sensors& s) { return s.tcp.start(kTcpOneIn); }},
      Way{"sampled_and_tcp", false,
          [](Sensors& s) -> Result<void> {
            if (auto done = s.tcp.start(kTcpOneIn); !done) return done;
            return s.latency.begin(kWindow, kOneIn, kHeavyOneIn);
          }},
  };
  std::array<std::vector<Sample>, ways.size()> samples;
  for (int round = 0; round < options.rounds; ++round)
    for (std::size_t i = 0; i < ways.size(); ++i) {  // another begins each round
      const std::size_t at = (i + static_cast<std::size_t>(round)) % ways.size();
      auto taken = sample(*sensors, ways[at], options);
      if (!taken) return std::unexpected(taken.error());
      samples[at].push_back(std::move(*taken));
    }

  for (std::size_t i = 1; i < ways.size(); ++i) {
    std::vector<double> trips, pipes;
    nlohmann::ordered_json detail;
    for (std::size_t round = 0; round < samples[i].size(); ++round) {
      const Sample &off = samples[0][round], &on = samples[i][round];
      trips.push_back(on.p50_us / off.p50_us);
      pipes.push_back(on.mbit / off.mbit);
      detail["off"].push_back({{"p50_us", off.p50_us}, {"mbit", off.mbit}});
      detail["on"].push_back({{"p50_us", on.p50_us}, {"mbit", on.mbit}});
    }
    if (const auto& cost = samples[i].back().cost)
      detail["cost_of_last_pipe"] = {{"events", cost->events},
                                     {"per_event_ns", cost->per_event.count()},
                                     {"of_cpus", cost->of_cpus.of_one}};
    print({.name = "latency/" + options.name + "/rr_p50_" + ways[i].name,
           .measured = median(trips),
           .unit = "times the round trip without",
           .goal = ways[i].has_goal ? Goal{Goal::Kind::at_most, 1.02} : Goal{},
           .detail = detail});
    print({.name = "latency/" + options.name + "/throughput_" + ways[i].name,
           .measured = median(pipes),
           .unit = "of the throughput without",
           .goal = ways[i].has_goal ? Goal{Goal::Kind::at_least, 0.99} : Goal{},
           .detail = detail});
  }
  return {};
}

Result<void> run_latency_truth(const LatencyTruthOptions& options) {
  auto sensors = open_sensors();
  if (!sensors) return std::unexpected(sensors.error());
  if (auto done = sensors->latency.begin(kWindow, 1, kHeavyOneIn); !done) return done;
  const auto truth = json_of(options.mice);
  sensors->latency.end();
  if (!truth) return std::unexpected(truth.error());
  if (!truth->contains("there")) return fail(ErrorKind::invalid, "--mice: without --stamps?");
  const auto reading = sensors->latency.read();
  if (!reading) return std::unexpected(reading.error());
  const auto on_the_way = sensors->latency.on_the_way();
  if (!on_the_way) return std::unexpected(on_the_way.error());

  Sum out, in;
  if (const auto* way = find(*reading, LatencySegment::out)) out.add(*way);
  // A packet is in the one or the other; a few may be in the rarer one.
  const auto* read = find(*reading, LatencySegment::read);
  const auto* whole = find(*reading, LatencySegment::in_and_read);
  if (whole != nullptr && (read == nullptr || whole->coverage.measured > read->coverage.measured)) {
    in.add(*whole);
  } else {
    for (const LatencySegment segment : {LatencySegment::in, LatencySegment::read})
      if (const auto* way = find(*reading, segment)) in.add(*way);
  }
  if (out.coverage.measured == 0 || in.coverage.measured == 0)
    return fail(ErrorKind::refused, "the sensor saw nothing of web's");

  for (const auto& [name, sum, key] : {std::tuple("out", &out, "there"), {"in", &in, "back"}}) {
    const double p50 = truth->at(key).value("p50_us", 0.0),
                 mean = truth->at(key).value("mean_us", 0.0);
    const nlohmann::ordered_json detail{{"stamps_p50_us", p50},
                                        {"stamps_mean_us", mean},
                                        {"stamps", truth->at(key).value("count", 0)},
                                        {"sensor_p50_us", sum->p50_us},
                                        {"sensor_mean_us", sum->mean_us},
                                        {"sensor_segments", sum->segments},
                                        {"measured", sum->coverage.measured},
                                        {"packets", sum->coverage.packets},
                                        {"dropped", sum->dropped},
                                        {"split", sum->split},
                                        {"merged", sum->merged},
                                        {"on_the_way", *on_the_way},
                                        {"vanished", reading->vanished},
                                        {"no_room", reading->no_room}};
    const std::string figure = "latency/truth_" + options.name + "_" + name;
    const bool queue = options.queued && std::string_view(name) == "out";
    if (queue)  // by the mean, which the sensor knows exactly; a bucket is a fifth of 60 ms wide
      print({.name = figure,
             .measured = std::abs(mean - sum->mean_us) / mean,
             .unit = "of the stamps' mean, apart",
             .goal = {Goal::Kind::at_most, 0.05},
             .detail = detail});
    else
      print({.name = figure,
             .measured = std::abs(p50 - sum->p50_us),
             .unit = "us from the stamps' p50",
             .goal = {Goal::Kind::at_most, 20},
             .detail = detail});
    print({.name = figure + "_coverage",
           .measured = share_of(sum->coverage).of_one,
           .unit = "of the packets measured",
           .goal = {Goal::Kind::at_least, 1},
           .detail = detail});
  }
  return {};
}

}  // namespace ankus::bench
