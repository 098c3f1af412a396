// SPDX-License-Identifier: Apache-2.0
#include "daemon/report.h"

#include <gmock/gmock.h>

namespace ankus {
namespace {

using testing::HasSubstr;

WorkloadState named(WorkloadId id, const std::string& name) {
  WorkloadState state;
  state.workload.id = id;
  state.workload.name = name;
  return state;
}

TEST(Metrics, TwoWorkloadsOfOneNameAreTwoSeries) {
  Snapshot snapshot;
  snapshot.workloads = {named(7, "web"), named(8, "web")};
  const std::string text = report::metrics(snapshot, {}, 0, 0);
  for (const char* id : {"7", "8"}) {
    const std::string labels = "{id=\"" + std::string(id) + "\",workload=\"web\"";
    EXPECT_THAT(text, HasSubstr("ankus_workload_elephants" + labels + "} 0\n"));
    EXPECT_THAT(text, HasSubstr("ankus_workload_transmit_bits_per_second" + labels +
                                ",weight=\"unknown\"} "));
  }
}

TEST(State, HidesNothingThatHolds) {
  const BootTime now{seconds(100)};
  Controls controls;
  EXPECT_EQ(report::state(controls, now), nlohmann::json({{"name", "idle"}}));
  controls.hold = "undo of all by root";
  EXPECT_EQ(report::state(controls, now)["name"], "held");
  EXPECT_EQ(report::state(controls, now)["text"], "after undo of all by root");
  controls.confirmation = Confirmation{.plan = "p-1", .deadline = now + seconds(5)};
  EXPECT_EQ(report::state(controls, now)["name"], "pending_confirmation");
  controls.paused = true;
  controls.paused_by = "root";
  EXPECT_EQ(report::state(controls, now)["name"], "paused");
  EXPECT_EQ(report::state(controls, now)["text"], "by root; on hold after undo of all by root");
  controls.degraded = {"eth0"};
  const auto degraded = report::state(controls, now);
  EXPECT_EQ(degraded["name"], "degraded");
  EXPECT_EQ(degraded["objects"], nlohmann::json({"eth0"}));
  EXPECT_EQ(degraded["plan"], "p-1");
  EXPECT_EQ(degraded["deadline_s"], 5.0);
  EXPECT_THAT(degraded["text"].get<std::string>(),
              HasSubstr("again; paused by root; on hold after undo of all by root"));
}

TEST(State, ADeadlineThatIsOverIsSaidInWords) {
  const Controls controls{.confirmation = Confirmation{.plan = "p-1", .deadline = {seconds(99)}}};
  const auto state = report::state(controls, {seconds(100)});
  EXPECT_FALSE(state.contains("deadline_s"));
  EXPECT_THAT(state["text"].get<std::string>(), HasSubstr("plan p-1: it is being undone"));
}

TEST(RefusalOn, IsTheReasonWhyTheDeviceIsNotShapedIfThereIsOne) {
  std::vector<Refusal> refusals = {{.what = "root qdisc of eth0", .why = "somebody else's"},
                                   {.what = "shape eth10", .why = "it is down"},
                                   {.what = "9 more settings of eth0", .why = "useless"}};
  EXPECT_EQ(report::refusal_on("eth0", refusals), "somebody else's");
  refusals.push_back({.what = "shape eth0", .why = "its rate is not known"});
  EXPECT_EQ(report::refusal_on("eth0", refusals), "its rate is not known");
  EXPECT_EQ(report::refusal_on("eth1", refusals), std::nullopt);
}

TEST(Counters, HaveTheNamesOfWhatIsCounted) {
  Counters counters{};
  counters[ANKUS_COUNT_UNPARSED] = 3;
  EXPECT_EQ(report::counters(counters)["unparsed"], 3);
  EXPECT_THAT(report::metrics({}, counters, 0, 0), HasSubstr("\nankus_unparsed_total 3\n"));
}

}  // namespace
}  // namespace ankus
