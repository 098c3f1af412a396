// SPDX-License-Identifier: Apache-2.0
#include "daemon/effect_probe.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

WorkloadState workload(WorkloadId id, Weight weight, double packets_per_second) {
  WorkloadState state;
  state.workload.id = id;
  state.footprint.weight = weight;
  state.footprint.packets_per_second = packets_per_second;  // of both directions
  return state;
}

TEST(OneInFor, TheSlowestThatCanBeJudgedSetsIt) {
  Snapshot snapshot;
  EXPECT_EQ(one_in_for(snapshot, seconds(10)), 1U);
  snapshot.workloads.push_back(workload(1, Weight::light, 5000));
  EXPECT_EQ(one_in_for(snapshot, seconds(10)), 16U) << "more would be needless";
  snapshot.workloads.push_back(workload(2, Weight::unknown, 600));
  EXPECT_EQ(one_in_for(snapshot, seconds(10)), 4U) << "3,000 each way, 600 wanted";
  snapshot.workloads.push_back(workload(3, Weight::light, 60));
  EXPECT_EQ(one_in_for(snapshot, seconds(10)), 1U) << "30/s have no packet to spare";
}

TEST(OneInFor, ThoseTooSlowAndThoseNotAskedAboutDoNotCount) {
  Snapshot snapshot;
  snapshot.workloads = {workload(1, Weight::light, 5000), workload(2, Weight::light, 40),
                        workload(3, Weight::heavy, 100), workload(4, Weight::mixed, 100)};
  EXPECT_EQ(one_in_for(snapshot, seconds(10)), 16U);
  EXPECT_EQ(one_in_for(snapshot, seconds(1)), 4U) << "a shorter window holds fewer";
}

TEST(TakeCpus, BothFiguresAreOfTheBusiestCpu) {
  HostTotals totals;
  take_cpus(totals, {});
  EXPECT_EQ(totals.cpu_busy, std::nullopt);
  take_cpus(totals, {{.number = 0, .busy = Share{0.9}, .softirq = Share{0.1}},
                     {.number = 1, .busy = Share{0.8}, .softirq = Share{0.7}},
                     {.number = 2, .busy = Share{0.2}, .softirq = Share{0.2}}});
  EXPECT_EQ(totals.cpu_busy, Share{0.9});
  EXPECT_EQ(totals.cpu_softirq, Share{0.1});
  EXPECT_EQ(totals.most_softirq, Share{0.7});
}

}  // namespace
}  // namespace ankus
