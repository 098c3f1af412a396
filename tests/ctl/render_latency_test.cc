// SPDX-License-Identifier: Apache-2.0
#include "ctl/render_latency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace ankus::ctl {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr Style kPlain{};

const json kReply = json::parse(R"json({
  "window_s": 5.0, "one_in": 4, "heavy_one_in": 16, "measuring": false, "sampled": 640, "no_room": 3,
  "cost": {"events": 644942, "per_event_ns": 8, "of_cpus": 0.0025},
  "downgrades": ["no fexit on this kernel: reads are not seen"],
  "segments": [
    {"workload": "web", "workload_id": 7, "direction": "in", "segment": "stack-in", "waits_for": "path",
     "from": "net_dev_queue of the device", "to": "tcp_probe or sk_data_ready",
     "measured": 4, "packets": 5, "coverage": 0.8, "dropped": 1, "split": 0,
     "p50_ns": 850, "p90_ns": 12345, "p99_ns": 4567890, "p999_ns": 4600000, "max_ns": 1500000000,
     "histogram": [{"from_ns": 768, "below_ns": 896, "count": 2},
                   {"from_ns": 12288, "below_ns": 14336, "count": 1},
                   {"from_ns": 14336, "below_ns": 16384, "count": 1}]},
    {"workload": "db", "workload_id": 8, "direction": "out", "segment": "qdisc", "waits_for": "path",
     "from": "net_dev_queue of the uplink", "to": "qdisc_dequeue or net_dev_start_xmit",
     "measured": 18, "packets": 18, "coverage": 1.0, "dropped": 0, "split": 0,
     "p50_ns": 57000000, "p90_ns": 66000000, "p99_ns": 66000000, "p999_ns": 66000000, "max_ns": 66000000,
     "histogram": [{"from_ns": 33554432, "below_ns": 41943040, "count": 3},
                   {"from_ns": 50331648, "below_ns": 58720256, "count": 10},
                   {"from_ns": 58720256, "below_ns": 67108864, "count": 5}]},
    {"segment": "in", "direction": "in"}]
})json");

TEST(RenderLatency, ShowsEachWorkloadsSegmentsWithWindowAndCoverage) {
  EXPECT_EQ(
      render_latency(kReply, "", kPlain),
      R"text(window 5s, 1 packet in 4 measured, of heavy workloads 1 in 16; measuring took 0.25% of the CPUs' time
no room for 3 packets: coverage tells
downgrade: no fexit on this kernel: reads are not seen

WORKLOAD        WAY  SEGMENT   WAITS FOR      P50      P90      P99      MAX  MEASURED  COVERAGE
web             in   stack-in  path        850 ns  12.3 us  4.57 ms   1.50 s         4       80%
db              out  qdisc     path       57.0 ms  66.0 ms  66.0 ms  66.0 ms        18      100%
(nobody known)  in   in        -                -        -        -        -         -         -

SEGMENT   FROM                         TO
stack-in  net_dev_queue of the device  tcp_probe or sk_data_ready
qdisc     net_dev_queue of the uplink  qdisc_dequeue or net_dev_start_xmit
in        -                            -
)text");
}

TEST(RenderLatency, OfOneWorkloadShowsItsHistograms) {
  EXPECT_EQ(
      render_latency(kReply, "web", kPlain),
      R"text(window 5s, 1 packet in 4 measured, of heavy workloads 1 in 16; measuring took 0.25% of the CPUs' time
no room for 3 packets: coverage tells
downgrade: no fexit on this kernel: reads are not seen

WORKLOAD  WAY  SEGMENT   WAITS FOR     P50      P90      P99     MAX  MEASURED  COVERAGE
web       in   stack-in  path       850 ns  12.3 us  4.57 ms  1.50 s         4       80%

SEGMENT   FROM                         TO
stack-in  net_dev_queue of the device  tcp_probe or sk_data_ready

stack-in
    < 1.02 us  2  ████████████████████████████████████████
    < 2.05 us  0
    < 4.10 us  0
    < 8.19 us  0
    < 16.4 us  2  ████████████████████████████████████████
)text");
  EXPECT_EQ(render_latency(kReply, "7", kPlain), render_latency(kReply, "web", kPlain));
}

TEST(RenderLatency, OfAFewOctavesShowsTheKernelsOwnBuckets) {
  EXPECT_EQ(
      render_latency(kReply, "db", kPlain),
      R"text(window 5s, 1 packet in 4 measured, of heavy workloads 1 in 16; measuring took 0.25% of the CPUs' time
no room for 3 packets: coverage tells
downgrade: no fexit on this kernel: reads are not seen

WORKLOAD  WAY  SEGMENT  WAITS FOR      P50      P90      P99      MAX  MEASURED  COVERAGE
db        out  qdisc    path       57.0 ms  66.0 ms  66.0 ms  66.0 ms        18      100%

SEGMENT  FROM                         TO
qdisc    net_dev_queue of the uplink  qdisc_dequeue or net_dev_start_xmit

qdisc
    < 41.9 ms   3  ████████████
    < 50.3 ms   0
    < 58.7 ms  10  ████████████████████████████████████████
    < 67.1 ms   5  ████████████████████
)text");
}

TEST(RenderLatency, SaysThatNothingWasSeen) {
  const json empty =
      json::parse(R"({"window_s": 2, "one_in": 16, "heavy_one_in": 16, "segments": []})");
  EXPECT_EQ(render_latency(empty, "", kPlain),
            "window 2s, 1 packet in 16 measured; measuring took - of the CPUs' time\n"
            "no packets of workloads were seen\n");
  EXPECT_THAT(render_latency(empty, "web\033[2J", kPlain),
              HasSubstr("no packets of web\\x1b[2J were seen\n"));
}

TEST(RenderLatency, SurvivesAReplyThatIsNotAsDocumented) {
  for (const char* text :
       {"{}", R"({"segments": 17})",
        R"({"segments": [17, null, {}], "cost": [], "downgrades": [1]})",
        R"({"segments": [{"workload": "w", "histogram": [{}, 17, {"from_ns": -5, "count": "x"},
            {"from_ns": 1e300, "count": 1}]}]})"}) {
    const json reply = json::parse(text);
    EXPECT_THAT(render_latency(reply, "", kPlain), HasSubstr("window -")) << text;
    render_latency(reply, "w", kPlain);
    latency_csv(reply, "");
    render_judged(reply, kPlain);
  }
}

TEST(LatencyCsv, HasALineForEachSegment) {
  EXPECT_EQ(
      latency_csv(kReply, "web"),
      R"text(workload,workload_id,direction,segment,waits_for,p50_ns,p90_ns,p99_ns,p999_ns,max_ns,measured,packets,coverage,dropped,split,window_s,from,to
web,7,in,stack-in,path,850,12345,4567890,4600000,1500000000,4,5,0.8,1,0,5.0,net_dev_queue of the device,tcp_probe or sk_data_ready
)text");
}

TEST(LatencyCsv, QuotesNamesAndDefusesFormulas) {
  const json reply = json::parse(R"json({"segments": [
    {"workload": "a,\"b\"", "segment": "in"}, {"workload": "=cmd|x", "segment": "in", "measured": -1}]})json");
  EXPECT_THAT(latency_csv(reply, ""), HasSubstr("\n\"a,\"\"b\"\"\",,,in,"));
  EXPECT_THAT(latency_csv(reply, ""), HasSubstr("\n'=cmd|x,,,in,,,,,,,-1,"));
}

const json kJudged = json::parse(R"json({
  "plan": "p-81d0c4aa", "trial": "standing", "kept": false, "window_s": 5.5,
  "text": "harmed: light packets sent again 3 times",
  "verdict": {"effect": "harmed", "reason": "...", "rules": [],
    "comparisons": [
      {"workload": 7, "name": "web", "control": false, "effect": "harmed",
       "path_before": {"low_ns": 139000, "value_ns": 364000}, "path_after": {"low_ns": 1000000, "value_ns": 268000000, "high_ns": 300000000},
       "packets_before": 1452, "packets_after": 528, "coverage_before": 1.0, "coverage_after": 0.97, "reason": "p99 of its path 364us before, 268ms after"},
      {"workload": 9, "name": "cache", "control": true, "effect": "no_effect",
       "path_before": {"value_ns": 200000}, "path_after": {"value_ns": 210000},
       "packets_before": 300, "packets_after": 310, "coverage_before": 1.0, "coverage_after": 1.0, "reason": "less than 20us"}],
    "vetoes": [{"rule": "light packets sent again 3 times", "numbers": "web: 0% before, 22% after"}],
    "doubts": [{"rule": "all traffic together", "numbers": "200 Mbit/s before, 90 Mbit/s after"}]},
  "distributions": [
    {"workload": "web", "segment": "qdisc", "waits_for": "path", "coverage_before": 1.0, "coverage_after": 0.97,
     "before": [{"from_ns": 131072, "count": 48}, {"from_ns": 163840, "count": 12}, {"from_ns": 262144, "count": 1}],
     "after": [{"from_ns": 524288, "count": 30}]},
    {"workload": "web", "segment": "in", "waits_for": "path", "before": [], "after": []}]
})json");

TEST(RenderJudged, ShowsBothWindowsSideBySide) {
  EXPECT_EQ(render_judged(kJudged, kPlain),
            R"text(verdict: harmed, undone (windows of 5.5s)
  harmed: light packets sent again 3 times

  WORKLOAD         EFFECT     PATH BEFORE  PATH AFTER   PACKETS   COVERAGE  WHY
  web              harmed          364 us      268 ms  1452/528   100%/97%  p99 of its path 364us before, 268ms after
  cache (control)  no_effect       200 us      210 us   300/310  100%/100%  less than 20us
  veto: light packets sent again 3 times: web: 0% before, 22% after
  doubt: all traffic together: 200 Mbit/s before, 90 Mbit/s after

  web, qdisc, waiting for the path; coverage 100% before, 97% after
               BEFORE                            AFTER
     < 262 us      60  ████████████████████████      0
     < 524 us       1  █                             0
    < 1.05 ms       0                               30  ████████████████████████
)text");
}

TEST(RenderJudged, IsRedWhereItHarmed) {
  EXPECT_THAT(render_judged(kJudged, {.colour = true}), HasSubstr("\033[31mharmed\033[0m, undone"));
  json kept = kJudged;
  kept["kept"] = true;
  kept["verdict"]["effect"] = "helped";
  EXPECT_THAT(render_judged(kept, {.colour = true}), HasSubstr("\033[32mhelped\033[0m, kept"));
}

}  // namespace
}  // namespace ankus::ctl
