// SPDX-License-Identifier: Apache-2.0
#include "ctl/render_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace ankus::ctl {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr Style kPlain{};
constexpr std::size_t kAll = 10'000;

const json kQueues = json::parse(R"json({
  "irqbalance": true,
  "cpus": [
    {"cpu": 0, "core": 0, "node": 0, "busy": 1.0, "softirq": 0.8, "dropped_per_second": 12, "squeezed_per_second": 1234, "isolated": false},
    {"cpu": 1, "core": 0, "node": 0, "busy": 0.634, "softirq": 0.01, "dropped_per_second": 0, "squeezed_per_second": 0, "isolated": false},
    {"cpu": 2, "core": 2, "node": 1, "busy": 0.0, "softirq": 0, "dropped_per_second": 0, "squeezed_per_second": 0, "isolated": true},
    {"cpu": 3}],
  "devices": [
    {"name": "eth0", "driver": "mlx5_core", "node": 1, "table": {"entries": 128, "default": true},
     "receive": [{"queue": 0, "packets_per_second": 412000, "rps": "", "entries": 64},
                 {"queue": 1, "packets_per_second": 180, "rps": "", "entries": 64}],
     "transmit": [{"queue": 0, "xps": "0-1"}, {"queue": 1, "xps": ""}],
     "irqs": [{"irq": 45, "name": "mlx5_comp0", "cpus": "0-3", "effective": "0", "managed": false, "per_second": 9000, "receive_queue": 0},
              {"irq": 46, "name": "mlx5_comp1", "cpus": "1-2", "effective": "", "managed": true, "per_second": 10, "receive_queue": 1},
              {"irq": 47, "name": "mlx5_async", "cpus": "0-3", "effective": "1", "managed": false, "per_second": 0}]},
    {"name": "veth12", "driver": "veth", "node": -1, "receive": [{"queue": 0, "packets_per_second": 5200, "rps": "1"}],
     "transmit": [{"queue": 0, "xps": ""}], "irqs": []},
    {"name": "docker0", "driver": "bridge", "node": -1, "receive": [{"queue": 0, "packets_per_second": 0, "rps": ""}],
     "transmit": [], "irqs": []}],
  "threads": [
    {"kind": "vhost", "tid": 4711, "name": "vhost-4700", "workload": "vm-1", "device": "", "cpus": "0-3", "allowed": "0-1", "busy": 0.92}]
})json");

TEST(RenderQueues, ShowsWhichCpuServesWhichQueue) {
  EXPECT_EQ(render_queues(kQueues, kPlain),
            R"text(load: over the last look, about a second

CPU  CORE  NODE  BUSY             SOFTIRQ  DROPS/S  SQUEEZES/S
  0     0     0  ██████████ 100%      80%       12       1.23k
  1     0     0  ██████░░░░  63%       1%        0           0
  2     2     1  ░░░░░░░░░░   0%       0%        0           0  isolated: left alone
  3     -     -  -                      -        -           -
irqbalance runs

eth0  mlx5_core, NUMA node 1, indirection table of 128 entries (default)
  RX  ENTRIES  PACKETS/S  IRQ  NAME        SERVED BY                      RPS
   0       64       412k   45  mlx5_comp0  CPU 0  ██████████ 100%         off
   1       64        180   46  mlx5_comp1  CPU 1-2 (the kernel's choice)  off
  IRQ 47  mlx5_async  CPU 1  ██████░░░░  63%
  XPS: tx 0 from CPU 0-1

veth12  veth, no indirection table
  RX  PACKETS/S  RPS
   0      5.20k  1

1 more device with one queue, no IRQ and RPS off

Threads
THREAD       TID  WORKLOAD  RUNS ON  MAY RUN ON  BUSY
vhost-4700  4711  vm-1      0-3      0-1         █████████░  92%
)text");
}

TEST(RenderQueues, ColoursABusyCpu) {
  const std::string text = render_queues(kQueues, {.colour = true});
  EXPECT_THAT(text, HasSubstr("\033[31m██████████ 100%\033[0m"));
  EXPECT_THAT(text, HasSubstr("\033[33m██████░░░░  63%\033[0m"));
  EXPECT_THAT(text, HasSubstr("  ░░░░░░░░░░   0%"));
}

TEST(RenderQueues, SumsUpWhatHasNothingToTell) {
  json reply = kQueues;
  reply["devices"].push_back(reply["devices"][2]);
  EXPECT_THAT(render_queues(reply, kPlain),
              HasSubstr("\n2 more devices with one queue, no IRQ and RPS off\n"));
  EXPECT_THAT(render_queues(reply, kPlain), Not(HasSubstr("docker0")));
}

TEST(RenderQueues, SaysThatItIsTooEarly) {
  EXPECT_THAT(render_queues({{"devices", json::array()}}, kPlain),
              HasSubstr("queues are being looked at; ask again in a few seconds\n"));
}

TEST(RenderQueues, SurvivesAReplyThatIsNotAsDocumented) {
  for (
      const char* text :
      {"{}", R"({"cpus": [1, {}], "devices": [null, {}, {"irqs": [{}, 3]}], "threads": [{}]})",
       R"({"cpus": [{"busy": 1e300}, {"busy": -1}], "devices": [{"irqs": [{"receive_queue": 0, "cpus": "x-"}],
                               "receive": [{"rps": 7}]}]})"})
    EXPECT_THAT(render_queues(json::parse(text), kPlain), StartsWith("load: ")) << text;
  json reply = kQueues;
  reply["devices"][0]["irqs"][0]["name"] = "evil\033[2J";
  reply["threads"][0]["name"] = "evil\033[2J";
  EXPECT_THAT(render_queues(reply, kPlain), Not(HasSubstr("\033")));
}

TEST(BusiestQueues, ShowsManyQueuesInAHundredColumns) {
  json rates = json::array();
  for (int queue = 0; queue < 128; ++queue) rates.push_back(queue == 77 ? 1'234'567 : queue * 100);
  const json reply{{"queues",
                    {{{"name", "enp129s0f1np1"},
                      {"packets_per_second", rates},
                      {"busiest", {{"queue", 77}, {"irq", 1234}, {"cpus", "127"}, {"busy", 1}}}}}}};
  const std::string text = busiest_queues_table(reply, kPlain);
  EXPECT_EQ(text,
            "  NAME           RX QUEUES  PACKETS/S  EACH              BUSIEST\n"
            "  enp129s0f1np1        128      2.04M  ▁▁▁▁▁▁▁▁▁█▁▁▁▁▁▁  rx 77 → IRQ 1234 → CPU 127  "
            "██████████ 100%\n");
  EXPECT_LE(width_of(text.substr(text.find('\n') + 1)), 101u);
}

TEST(BusiestQueues, LeavesOutWhatIsNotKnown) {
  const auto way = [](json busiest) {
    const std::string text = busiest_queues_table(
        {{"queues", {{{"name", "n"}, {"packets_per_second", {5, "x"}}, {"busiest", busiest}}}}},
        kPlain);
    return text.substr(text.find("█▁") + std::string("█▁    ").size());
  };
  EXPECT_EQ(way({{"queue", 0}}), "rx 0\n");
  EXPECT_EQ(way({{"queue", 0}, {"cpus", ""}}), "rx 0\n");
  EXPECT_EQ(way({{"queue", 0}, {"irq", 3}, {"cpus", "0-3"}}), "rx 0 → IRQ 3 → CPU 0-3  -\n");
  EXPECT_THAT(busiest_queues_table({{"queues", {1, {{"packets_per_second", 7}}}}}, kPlain),
              HasSubstr("nothing was received"));
}

const json kTcp = json::parse(R"json({
  "total": 3,
  "workloads": [
    {"workload": "web", "workload_id": 7, "opened": 4, "closed": 1, "segments_sent": 2180, "retransmits": 6, "fast_retransmits": 5,
     "timeouts": 1, "sent_bytes": 1760000, "acknowledged_bytes": 1750000, "received_bytes": 1750000, "rtt_samples": 1310,
     "p50_ns": 56900000, "p99_ns": 66900000},
    {"workload": "", "workload_id": 0, "opened": 1, "closed": 0}],
  "flows": [
    {"workload": "web", "workload_id": 7, "local": "10.0.0.7:443", "remote": "192.0.2.9:40000", "established": true, "duration_s": 9.1,
     "sent_bytes": 442000, "acknowledged_bytes": 440000, "received_bytes": 437000, "written_bytes": 444000, "read_bytes": 437000,
     "segments_sent": 464, "retransmits": 3, "retransmitted_bytes": 4344, "fast_retransmits": 2, "timeouts": 1,
     "smoothed_rtt_ns": 57000000, "rtt_samples": 271, "rtt_sum_ns": 15472131000, "congestion_window": 6, "flight_packets": 2,
     "flight_bytes": 2000, "mss_bytes": 1448, "peer_window_bytes": 82900, "own_window_bytes": 70656, "send_queue_bytes": 2000,
     "send_queue_max_bytes": 8000, "send_memory_bytes": 3664},
    {"workload": "b,\"c\"", "workload_id": 8, "local": "[fd00::1]:5001", "remote": "[fd00::2]:40001", "smoothed_rtt_ns": 21000},
    {"local": "10.0.0.1:22", "remote": "192.0.2.1:50000"}]
})json");

TEST(RenderTcp, ShowsWorkloadsAndConnections) {
  EXPECT_EQ(render_tcp(kTcp, "", kAll, kPlain),
            R"text(counted since ankusd began to watch; RTT: of so many SAMPLES

WORKLOAD        OPENED  CLOSED     SENT    ACKED  RECEIVED  SEGMENTS  RETRANS  FAST  RTO  RTT P50  RTT P99  SAMPLES
web                  4       1  1.76 MB  1.75 MB   1.75 MB     2.18k        6     5    1  56.9 ms  66.9 ms    1.31k
(nobody known)       1       0        -        -         -         -        -     -    -        -        -        -

3 connections
CWND in packets, RETRANS in segments, MSS in bytes; RTT: the kernel's average now
WORKLOAD  LOCAL           REMOTE             SENT  RECEIVED   FLIGHT  CWND     RWND   MSS  RETRANS  RTO    QUEUE      RTT   AGE
web       10.0.0.7:443    192.0.2.9:40000  442 kB    437 kB  2.00 kB     6  82.9 kB  1448        3    1  2.00 kB  57.0 ms  9.1s
b,"c"     [fd00::1]:5001  [fd00::2]:40001       -         -        -     -        -     -        -    -        -  21.0 us     -
-         10.0.0.1:22     192.0.2.1:50000       -         -        -     -        -     -        -    -        -        -     -
)text");
}

TEST(RenderTcp, IsOfAWorkloadOrAnEndpoint) {
  EXPECT_EQ(render_tcp(kTcp, "7", kAll, kPlain), render_tcp(kTcp, "web", kAll, kPlain));
  EXPECT_THAT(render_tcp(kTcp, "web", kAll, kPlain), HasSubstr("\n1 connection\n"));
  const std::string of_endpoint = render_tcp(kTcp, "[fd00::2]", kAll, kPlain);
  EXPECT_THAT(of_endpoint, StartsWith("\n1 connection\n"));
  EXPECT_THAT(of_endpoint, HasSubstr("[fd00::1]:5001"));
  EXPECT_EQ(render_tcp(kTcp, "nobody\033", kAll, kPlain),
            "no TCP connections of nobody\\x1b are known\n");
  EXPECT_EQ(render_tcp(json::object(), "", kAll, kPlain), "no TCP connections are known\n");
}

TEST(RenderTcp, SaysOfHowManyItShowsSome) {
  constexpr const char* kSome = "1 connection of 2, those that moved most; --limit shows more\n";
  EXPECT_THAT(render_tcp(kTcp, "10.0.0", 1, kPlain), HasSubstr(kSome));
  EXPECT_THAT(render_tcp(kTcp, "10.0.0", 2, kPlain), HasSubstr("2 connections\n"));
  json cut = kTcp;
  cut["total"] = 300;
  EXPECT_THAT(render_tcp(cut, "", kAll, kPlain), HasSubstr("3 connections of 300, those"));
}

TEST(TcpCsv, HasSteadyColumnsAndQuotes) {
  EXPECT_EQ(
      tcp_csv(kTcp, "", kAll),
      R"text(workload,workload_id,local,remote,established,duration_s,sent_bytes,acknowledged_bytes,received_bytes,written_bytes,read_bytes,segments_sent,retransmits,retransmitted_bytes,fast_retransmits,timeouts,smoothed_rtt_ns,rtt_samples,rtt_sum_ns,congestion_window,flight_packets,flight_bytes,mss_bytes,peer_window_bytes,own_window_bytes,send_queue_bytes,send_queue_max_bytes,send_memory_bytes
web,7,10.0.0.7:443,192.0.2.9:40000,true,9.1,442000,440000,437000,444000,437000,464,3,4344,2,1,57000000,271,15472131000,6,2,2000,1448,82900,70656,2000,8000,3664
"b,""c""",8,[fd00::1]:5001,[fd00::2]:40001,,,,,,,,,,,,,21000,,,,,,,,,,,
,,10.0.0.1:22,192.0.2.1:50000,,,,,,,,,,,,,,,,,,,,,,,,
)text");
}

TEST(TcpCsv, HasItsTitlesEvenWithoutLines) {
  const std::string titles = tcp_csv(kTcp, "", 0);
  EXPECT_THAT(titles, StartsWith("workload,workload_id,local,remote,established,duration_s,"));
  EXPECT_EQ(tcp_csv(kTcp, "nobody", kAll), titles);
  EXPECT_EQ(tcp_csv(json::parse(R"({"flows": [17, null]})"), "", kAll), titles);
}

}  // namespace
}  // namespace ankus::ctl
