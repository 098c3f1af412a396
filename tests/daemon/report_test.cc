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
