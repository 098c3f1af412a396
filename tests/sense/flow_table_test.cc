// SPDX-License-Identifier: Apache-2.0
#include "sense/flow_table.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

constexpr nanoseconds kTick = milliseconds(4);

Flow flow_at(std::uint32_t created, std::uint32_t seen, std::uint32_t now) {
  ankus_flow flow{};
  flow.created = created;
  flow.seen = seen;
  return flow_of({}, flow, now, kTick);
}

TEST(FlowOf, TellsAgeAndIdleness) {
  EXPECT_EQ(flow_at(100, 350, 600).age, seconds(2));
  EXPECT_EQ(flow_at(100, 350, 600).idle, seconds(1));
  EXPECT_EQ(flow_at(0xffffff00, 0xffffff00, 0x100).age, 512 * kTick);  // jiffies have wrapped
}

// While the table is read, time goes on: so the busiest flows are.
TEST(FlowOf, WhosePacketComesDuringTheWalkIsNotIdle) {
  EXPECT_EQ(flow_at(601, 601, 600).age, nanoseconds(0));
  EXPECT_EQ(flow_at(601, 601, 600).idle, nanoseconds(0));
  EXPECT_EQ(flow_at(100, 602, 600).idle, nanoseconds(0));
}

}  // namespace
}  // namespace ankus
