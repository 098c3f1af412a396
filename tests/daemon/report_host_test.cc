// SPDX-License-Identifier: Apache-2.0
#include "daemon/report_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "daemon/api.h"
#include "daemon/report.h"

namespace ankus {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string documentation() {
  std::ifstream file(std::string(ANKUS_SOURCE_DIR) + "/docs/api.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty());
  return text.str();
}

/// Each name of a field, at any depth.
void expect_documented(const json& value, const std::string& text) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items())
      EXPECT_THAT(text, HasSubstr("\"" + key + "\":")) << key;
  }
  for (const json& inner : value)
    if (inner.is_structured()) expect_documented(inner, text);
}

Snapshot snapshot_of_web() {
  Snapshot snapshot;
  snapshot.workloads.resize(1);
  snapshot.workloads[0].workload.id = 7;
  snapshot.workloads[0].workload.name = "web";
  return snapshot;
}

TEST(Documentation, NamesEachRoute) {
  const std::string text = documentation();
  for (const api::Route& route : api::kRoutes) {
    const std::string path(route.path);
    EXPECT_TRUE(text.contains(std::string(route.method) + " " + path) || text.contains(", " + path))
        << route.method << " " << path;
  }
}

TEST(Documentation, NamesEachFieldOfABody) {
  const std::string text = documentation();
  for (const api::Route& route : api::kRoutes)
    for (const api::Field& field : route.fields) {
      const std::string name(field.name);
      EXPECT_TRUE(text.contains(name + "?") || text.contains("{\"" + name + "\": ")) << name;
    }
}

TEST(Documentation, NamesEachCounter) { expect_documented(report::counters({}), documentation()); }

TEST(ReportLatency, HasNoPercentileAboveTheMaximum) {
  LatencyReading reading{.length = seconds(5), .one_in = 4, .spared_one_in = 16};
  SegmentLatency qdisc{.workload = 7, .segment = LatencySegment::qdisc};
  qdisc.histogram.add(milliseconds(51), 20);  // in a bucket up to 58.7 ms
  qdisc.max = milliseconds(51);
  qdisc.coverage = {.measured = 20, .packets = 25};
  reading.segments = {qdisc};
  const json reply = report::latency(reading, snapshot_of_web(), milliseconds(3200));
  const json& row = reply["segments"][0];
  EXPECT_EQ(row["workload"], "web");
  EXPECT_EQ(row["direction"], "out");
  EXPECT_EQ(row["coverage"], 0.8);
  for (const char* key : {"p50_ns", "p90_ns", "p99_ns", "p999_ns"})
    EXPECT_LE(row[key].get<std::int64_t>(), 51'000'000) << key;
  EXPECT_EQ(reply["left_s"], 3.2);
  EXPECT_EQ(reply["measuring"], true);
  expect_documented(reply, documentation());
}

TEST(ReportLatency, LeavesOutWhatIsNotKnown) {
  LatencyReading reading;
  reading.segments = {SegmentLatency{.workload = 9, .segment = LatencySegment::read}};
  const json reply = report::latency(reading, snapshot_of_web(), std::nullopt);
  EXPECT_FALSE(reply.contains("left_s"));
  EXPECT_EQ(reply["measuring"], false);
  const json& row = reply["segments"][0];
  EXPECT_EQ(row["workload"], "");  // not in the snapshot any more
  EXPECT_EQ(row["waits_for"], "application");
  EXPECT_FALSE(row.contains("p50_ns"));
  EXPECT_EQ(row["histogram"], json::array());
}

TEST(ReportTcp, CutsThoseThatMovedLeast) {
  TcpReading reading;
  reading.flows.resize(3);
  reading.flows[1].sent = Bytes{100};
  reading.flows[2].received = Bytes{200};
  reading.flows[2].owner = 7;
  reading.flows[2].duration = milliseconds(9100);
  reading.totals.resize(1);
  reading.totals[0].workload = 7;
  reading.totals[0].rtt.add(milliseconds(57), 10);
  const json reply = report::tcp(reading, snapshot_of_web(), 2);
  EXPECT_EQ(reply["total"], 3);
  ASSERT_EQ(reply["flows"].size(), 2);
  EXPECT_EQ(reply["flows"][0]["received_bytes"], 200);
  EXPECT_EQ(reply["flows"][0]["duration_s"], 9.1);
  EXPECT_EQ(reply["flows"][1]["sent_bytes"], 100);
  EXPECT_FALSE(reply["flows"][1].contains("duration_s"));
  expect_documented(reply, documentation());
}

TEST(ReportQueues, TellsWhatTheTableSendsToEachQueue) {
  Snapshot snapshot = snapshot_of_web();
  snapshot.host.topology.cpus = {Cpu{.number = 2}};
  snapshot.host.topology.isolated = CpuSet{{2}};
  DeviceQueues eth0{.device = {.name = "eth0"}, .driver = "igb"};
  eth0.receive.resize(2);
  eth0.transmit.resize(1);
  eth0.table = Indirection{.queues = {0, 1, 0, 0}};
  eth0.irqs = {QueueIrq{.number = 45, .receive_queue = 0, .transmit_queue = 0}};
  snapshot.queues = {eth0};
  snapshot.threads = {NetThread{.tid = 4711, .workload = 7}};
  const json reply = report::queues(snapshot, true);
  const json& device = reply["devices"][0];
  EXPECT_EQ(device["receive"][0]["entries"], 3);
  EXPECT_EQ(device["receive"][1]["entries"], 1);
  EXPECT_EQ(device["receive"][0]["rps"], "");
  EXPECT_EQ(reply["cpus"][0]["isolated"], true);
  EXPECT_EQ(reply["threads"][0]["workload"], "web");
  expect_documented(reply, documentation());
}

TEST(ReportQueues, TellsStatusWhoServesTheBusiestQueueOfEachNic) {
  Snapshot snapshot;
  snapshot.host.topology.cpus = {Cpu{.number = 0, .busy = Share{0.5}},
                                 Cpu{.number = 1, .busy = Share{0.1}}};
  DeviceQueues eth0{.device = {.name = "eth0"}}, veth{.device = {.name = "veth1"}};
  eth0.receive = {{.packets_per_second = 7}, {.packets_per_second = 30}};
  eth0.irqs = {QueueIrq{.number = 45, .receive_queue = 0, .effective = CpuSet{{0}}},
               QueueIrq{.number = 46, .receive_queue = 1, .affinity = CpuSet{{0, 1}}}};
  veth.receive.resize(1);
  DeviceQueues idle = eth0;
  idle.device.name = "idle";
  idle.receive = {{}, {}};
  snapshot.queues = {veth, eth0, idle};
  const json reply = report::busiest_queues(snapshot);
  ASSERT_EQ(reply.size(), 2u) << "a device of one queue without an interrupt says nothing";
  EXPECT_EQ(reply[0]["packets_per_second"], (json{7.0, 30.0}));
  EXPECT_EQ(reply[0]["busiest"], (json{{"queue", 1}, {"irq", 46}, {"cpus", "0-1"}, {"busy", 0.3}}));
  EXPECT_FALSE(reply[1].contains("busiest"));
  expect_documented({{"queues", reply}}, documentation());
  EXPECT_EQ(report::busiest_queues({}), json::array());
}

}  // namespace
}  // namespace ankus
