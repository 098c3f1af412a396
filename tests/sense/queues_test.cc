// SPDX-License-Identifier: Apache-2.0
#include "sense/queues.h"

#include <gmock/gmock.h>

#include "sense/bucket_counts.h"

namespace ankus {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(QueuesOfIrq, ByTheNamesThatDriversGive) {
  const auto receives = [](std::uint32_t queue) { return IrqQueues{.receive = queue}; };
  const auto both = [](std::uint32_t queue) {
    return IrqQueues{.receive = queue, .transmit = queue};
  };
  EXPECT_EQ(queues_of_irq("virtio3-input.1"), receives(1));
  EXPECT_EQ(queues_of_irq("virtio3-output.1"), (IrqQueues{.transmit = 1}));
  EXPECT_EQ(queues_of_irq("eth0-rx-12"), receives(12));
  EXPECT_EQ(queues_of_irq("enp3s0f1-tx-0"), (IrqQueues{.transmit = 0}));
  for (const char* name : {"eth0-TxRx-7", "eth0-rxtx-7", "i40e-eth0-TxRx-7", "eth0-Tx-Rx-7",
                           "mlx5_comp7@pci:0000:03:00.0"})
    EXPECT_EQ(queues_of_irq(name), both(7)) << name;
  for (const char* name : {"", "7", "eth0", "virtio3-config", "eth0-event-4", "nvme0q1",
                           "mlx5_async7@pci:0000:03:00.0", "eth0-rx-99999999999"})
    EXPECT_EQ(queues_of_irq(name), IrqQueues{}) << name;
}

/// Two entries, for queues 0 and 3.
const std::vector<std::uint32_t> kTable{0, 3};

TEST(BucketLoads, AreDifferencesPerSecond) {
  const EntryCounts before{{.packets = 10, .queues = 10}, {.packets = 100, .queues = 400}};
  const EntryCounts now{{.packets = 10, .queues = 10},
                        {.packets = 500, .elephant_packets = 200, .queues = 2000}};
  const BucketLoads loads = bucket_loads(before, now, kTable, 2);
  EXPECT_EQ(loads.distrust, "");
  ASSERT_THAT(loads.loads, SizeIs(2));
  EXPECT_EQ(loads.loads[0], BucketLoad{});
  EXPECT_EQ(loads.loads[1],
            (BucketLoad{.packets_per_second = 200, .elephant_packets_per_second = 100}));
}

TEST(BucketLoads, AreNotBelievedWithoutHashesOrByOtherQueues) {
  const EntryCounts before(2);
  const auto distrust = [&](const EntryCounts& now) {
    const BucketLoads loads = bucket_loads(before, now, kTable, 1);
    EXPECT_EQ(loads.loads.empty(), !loads.distrust.empty());
    return loads.distrust;
  };
  EXPECT_THAT(distrust({{.packets = 200, .queues = 200, .unhashed = 100}, {}}), HasSubstr("hash"));
  EXPECT_EQ(distrust({{.packets = 200, .queues = 200, .unhashed = 50}, {}}), "") << "ARP has none";
  EXPECT_THAT(distrust({{.packets = 200, .queues = 200}, {.packets = 200, .queues = 200}}),
              HasSubstr("other queues"));
  EXPECT_EQ(distrust({{.packets = 20, .queues = 80}, {}}), "") << "too few to judge";
  EXPECT_EQ(distrust({{.packets = 200, .queues = 202}, {}}), "") << "two were on their way";
}

TEST(BucketCounts, GiveEachDeviceRowsOfItsOwn) {
  BucketCounts counts(-1);
  const Device a{.name = "a", .ifindex = 1}, b{.name = "b", .ifindex = 2},
      c{.name = "c", .ifindex = 3};
  EXPECT_EQ(counts.rows_for(a, 128), (TableRows{0, 128}));
  EXPECT_EQ(counts.rows_for(b, 512), (TableRows{512, 512}));
  EXPECT_EQ(counts.rows_for(a, 128), (TableRows{0, 128})) << "the same again";
  EXPECT_EQ(counts.rows_for(c, 96), TableRows{}) << "an entry cannot be told from a hash";
  EXPECT_EQ(counts.rows_for(c, 4096), TableRows{}) << "no room";
  EXPECT_EQ(counts.rows_for(c, 2048), (TableRows{2048, 2048}));
  counts.keep_only(std::vector{c});
  EXPECT_EQ(counts.rows_for(b, 128), (TableRows{0, 128}));
}

}  // namespace
}  // namespace ankus
