// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <set>

#include "sense/latency.h"

namespace ankus {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Of a kernel that has all tracepoints but these.
std::vector<std::string> without(const std::set<std::string>& missing) {
  return latency_downgrades([&](const std::string& name) { return !missing.contains(name); });
}

TEST(LatencyDowngrades, AKernelWithAllTracepointsHasNone) { EXPECT_THAT(without({}), IsEmpty()); }

TEST(LatencyDowngrades, EachTracepointThatIsMissingIsALineWithItsReason) {
  EXPECT_THAT(without({"sk_data_ready", "tcp_sendmsg_locked"}),
              ElementsAre(AllOf(HasSubstr("UDP and ICMP"), HasSubstr("tracepoint sk_data_ready")),
                          AllOf(HasSubstr("between send() and the first device"),
                                HasSubstr("tracepoint tcp_sendmsg_locked"))));
}

TEST(LatencyDowngrades, WithoutOneThatAllNeedThereIsNoneOfIt) {
  EXPECT_THAT(without({"sk_data_ready", "net_dev_queue"}),
              ElementsAre("latency is not measured: this kernel has no tracepoint net_dev_queue"));
}

}  // namespace
}  // namespace ankus
