// SPDX-License-Identifier: Apache-2.0
#include "policy/receive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/evaluate.h"
#include "policy/example_queues.h"
#include "policy/parse.h"

namespace ankus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Table = std::vector<std::uint32_t>;

Policy balanced_by(const std::string& how) {
  ParsedPolicy result = parse_policy(
      "[[rule]]\nname = \"r\"\nreceive = { device = \"uplink\", " + how + " }", "test.toml");
  for (const PolicyError& error : result.errors) ADD_FAILURE() << to_text(error);
  return std::move(result.policy);
}
const std::string kLoad = "balance = \"load\"";

/// Entry 0 brings a lot, entry 4, on the same queue 0, the rest of what is too much; its CPU is
/// busy.
Snapshot skewed() {
  Snapshot snapshot = example::steerable_host();
  DeviceQueues& eth0 = example::queues(snapshot, "eth0");
  eth0.buckets[0].packets_per_second = 90'000;
  eth0.buckets[4].packets_per_second = 50'000;
  snapshot.host.topology.cpus[0].busy = Share{0.97};
  return snapshot;
}

const Table* wished(const Desired& desired) {
  for (const Wish& wish : desired.wishes)
    if (const auto* table = std::get_if<Indirection>(&wish.setting)) return &table->queues;
  return nullptr;
}
std::string why_not(const Desired& desired) {
  EXPECT_THAT(desired.wishes, IsEmpty());
  EXPECT_EQ(desired.refusals.size(), 1u);
  if (desired.refusals.size() != 1) return "";
  EXPECT_EQ(desired.refusals[0].what, "balance receive queues of eth0");
  return desired.refusals[0].why;
}

TEST(Receive, MovesEntriesOffABusyQueue) {
  const Desired desired = evaluate(skewed(), balanced_by(kLoad));
  EXPECT_THAT(desired.refusals, IsEmpty());
  ASSERT_EQ(desired.wishes.size(), 1u);
  EXPECT_EQ(desired.wishes[0].knob,
            Knob(knob::RssTable{.device = example::steerable_host().links[1].device}));
  EXPECT_THAT(*wished(desired), ElementsAre(0, 1, 2, 3, 1, 1, 2, 3));
  EXPECT_EQ(desired.wishes[0].reason,
            "rule \"r\": its busiest queue 0 had 140000 packets/s on a CPU 97% busy; 1 entry moved "
            "take 36% off the busiest queue's load");
}

TEST(Receive, TheGateIsTheCpuThatServesTheQueue) {
  Snapshot snapshot = skewed();
  EXPECT_EQ(why_not(evaluate(snapshot, balanced_by("busy = \"98%\""))),
            "the CPU of its busiest queue 0 is 97% busy, below 98%");
  // Another CPU's load is none of the queue's business; where its interrupt goes is.
  snapshot.host.topology.cpus[0].busy = Share{0.1};
  snapshot.host.topology.cpus[7].busy = Share{0.99};
  EXPECT_EQ(why_not(evaluate(snapshot, balanced_by(kLoad))),
            "the CPU of its busiest queue 0 is 10% busy, below 85%");
  example::queues(snapshot, "eth0").irqs[0].effective = example::cpus("7");
  EXPECT_NE(wished(evaluate(snapshot, balanced_by(kLoad))), nullptr);
  // Of interrupts of which it is not known where they go, the affinity is what is known.
  example::queues(snapshot, "eth0").irqs[0].effective = {};
  example::queues(snapshot, "eth0").irqs[0].affinity = example::cpus("7");
  EXPECT_NE(wished(evaluate(snapshot, balanced_by(kLoad))), nullptr);
  example::queues(snapshot, "eth0").irqs.clear();
  EXPECT_EQ(why_not(evaluate(snapshot, balanced_by(kLoad))),
            "which CPU serves its busiest queue 0 is not known");
}

TEST(Receive, AHeldTableStays) {
  Snapshot snapshot = skewed();
  const Desired first = evaluate(snapshot, balanced_by(kLoad));
  const Table table = *wished(first);
  example::carry_out(snapshot, first.wishes);
  // Balanced now.
  EXPECT_EQ(*wished(evaluate(snapshot, balanced_by(kLoad))), table);
  // Quiet, and not measured.
  snapshot.host.topology.cpus[0].busy = Share{0};
  example::queues(snapshot, "eth0").buckets.clear();
  const Desired later = evaluate(snapshot, balanced_by(kLoad));
  EXPECT_THAT(later.refusals, IsEmpty());
  EXPECT_EQ(*wished(later), table);
  example::link(snapshot, "eth0").up = false;
  EXPECT_EQ(*wished(evaluate(snapshot, balanced_by(kLoad))), table);
  example::link(snapshot, "eth0").up = true;
  // The link bounced and the driver made its table anew.
  example::queues(snapshot, "eth0").table = Indirection{.queues = {0, 1, 2, 3, 0, 1, 2, 3}};
  example::queues(snapshot, "eth0").table_is_default = true;
  EXPECT_EQ(*wished(evaluate(snapshot, balanced_by(kLoad))), table);
}

TEST(Receive, AHeldTableThatNamesQueuesThatAreGoneIsGivenUp) {
  Snapshot snapshot = skewed();
  example::carry_out(snapshot, evaluate(snapshot, balanced_by(kLoad)).wishes);
  DeviceQueues& eth0 = example::queues(snapshot, "eth0");
  eth0.receive.resize(2);
  eth0.table = Indirection{.queues = {0, 1, 0, 1, 0, 1, 0, 1}};
  eth0.table_is_default = true;
  const Desired desired = evaluate(snapshot, balanced_by(kLoad));
  ASSERT_NE(wished(desired), nullptr);
  for (const std::uint32_t queue : *wished(desired)) EXPECT_LT(queue, 2u);
}

TEST(Receive, QueuesThatTheTableMayNotNameAreLeftOut) {
  Snapshot snapshot = skewed();
  DeviceQueues& eth0 = example::queues(snapshot, "eth0");
  eth0.receive.resize(8);  // ixgbe before X550 has 64, and its table names 16
  eth0.table_queues = 4;
  const Desired desired = evaluate(snapshot, balanced_by(kLoad));
  ASSERT_NE(wished(desired), nullptr);
  for (const std::uint32_t queue : *wished(desired)) EXPECT_LT(queue, 4u);
  EXPECT_EQ(
      why_not(evaluate(snapshot, balanced_by("balance = \"apart\", elephant_queues = \"4\""))),
      "elephant_queues = \"4\", but it has 4 queues that its table may name");
}

TEST(Receive, HonoursATableOfSomebodyElse) {
  Snapshot snapshot = skewed();
  example::queues(snapshot, "eth0").table_is_default = false;
  EXPECT_EQ(why_not(evaluate(snapshot, balanced_by(kLoad))),
            "somebody else has set its table (ethtool -x eth0 shows it), which is honoured; "
            "user_table = \"take\" would take it");
  EXPECT_NE(wished(evaluate(snapshot, balanced_by("user_table = \"take\""))), nullptr);
}

TEST(Receive, WithoutATableTheLeverIsRps) {
  Snapshot snapshot = skewed();
  example::queues(snapshot, "eth0").table = std::nullopt;
  EXPECT_EQ(why_not(evaluate(snapshot, balanced_by(kLoad))),
            "it has no RSS table (driver igb); rps is the lever there");
  example::queues(snapshot, "eth0").receive.resize(1);
  EXPECT_EQ(why_not(evaluate(snapshot, balanced_by(kLoad))),
            "it has one receive queue (driver igb); rps is the lever there");
  example::link(snapshot, "eth0").up = false;
  EXPECT_EQ(why_not(evaluate(snapshot, balanced_by(kLoad))), "it is down");
}

TEST(Receive, WhatIsNotMeasuredIsNotBalanced) {
  Snapshot snapshot = skewed();
  example::queues(snapshot, "eth0").buckets.clear();
  EXPECT_EQ(why_not(evaluate(snapshot, balanced_by(kLoad))),
            "what each entry of its table brings is not measured");
}

TEST(Receive, AProtectedDeviceIsLeftAlone) {
  Policy policy = balanced_by(kLoad);
  policy.guard.protected_devices = {"eth*"};
  EXPECT_EQ(why_not(evaluate(skewed(), policy)),
            "guard.protect.devices has \"eth*\", which covers it");
}

TEST(ShippedPolicy, ElephantQueuesKeepsThemApart) {
  const ParsedPolicy parsed = parse_policy(example::shipped("elephant-queues.toml"), "p.toml");
  ASSERT_THAT(parsed.errors, IsEmpty());
  EXPECT_EQ(parsed.policy.mode, Mode::advise);
  Snapshot snapshot = skewed();
  example::queues(snapshot, "eth0").buckets[0].elephant_packets_per_second = 89'000;
  const Desired desired = evaluate(snapshot, parsed.policy);
  EXPECT_THAT(desired.refusals, IsEmpty());
  ASSERT_NE(wished(desired), nullptr);
  EXPECT_GE(wished(desired)->at(0), 2u);
  for (std::size_t entry = 1; entry < 8; ++entry) EXPECT_LT(wished(desired)->at(entry), 2u);
}

TEST(ShippedPolicy, KvmHostBalancesAndKeepsHeavyVmsNearby) {
  const ParsedPolicy parsed = parse_policy(example::shipped("kvm-host.toml"), "p.toml");
  ASSERT_THAT(parsed.errors, IsEmpty());
  EXPECT_EQ(parsed.policy.mode, Mode::advise);
  Snapshot snapshot = skewed();
  snapshot.workloads[0].workload.cpus = example::cpus("2-3");
  const Desired desired = evaluate(snapshot, parsed.policy);
  EXPECT_THAT(desired.refusals, IsEmpty());
  ASSERT_EQ(desired.wishes.size(), 4u);  // a table, two queues of the tap, one thread
  EXPECT_THAT(*wished(desired), ElementsAre(0, 1, 2, 3, 1, 1, 2, 3));
  for (std::size_t i = 1; i < 4; ++i)
    EXPECT_EQ(desired.wishes[i].setting, Setting(example::cpus("6-7")));
}

TEST(ShippedPolicy, NumaLocalKeepsTheUplinkOnItsNode) {
  const ParsedPolicy parsed = parse_policy(example::shipped("numa-local.toml"), "p.toml");
  ASSERT_THAT(parsed.errors, IsEmpty());
  EXPECT_EQ(parsed.policy.mode, Mode::advise);
  const Desired desired = evaluate(example::steerable_host(), parsed.policy);
  EXPECT_THAT(desired.refusals, IsEmpty());
  // What irqbalance is told, four interrupts, four transmit queues, one thread.
  ASSERT_EQ(desired.wishes.size(), 10u);
  for (std::size_t i = 1; i < 9; ++i)
    EXPECT_EQ(without(std::get<CpuSet>(desired.wishes[i].setting), example::cpus("0-1,4-5")),
              CpuSet{});
  EXPECT_EQ(desired.wishes[9].setting, Setting(example::cpus("2-3,6-7")));
}

TEST(Receive, KeepsElephantsApart) {
  Snapshot snapshot = skewed();
  example::queues(snapshot, "eth0").buckets[0].elephant_packets_per_second = 89'000;
  const Desired desired =
      evaluate(snapshot, balanced_by("balance = \"apart\", elephant_queues = \"3\""));
  ASSERT_NE(wished(desired), nullptr);
  const Table& table = *wished(desired);
  EXPECT_EQ(table[0], 3u);
  for (std::size_t entry = 1; entry < table.size(); ++entry) EXPECT_NE(table[entry], 3u);

  EXPECT_EQ(
      why_not(evaluate(snapshot, balanced_by("balance = \"apart\", elephant_queues = \"3-4\""))),
      "elephant_queues = \"3-4\", but it has 4 queues");
  EXPECT_EQ(
      why_not(evaluate(snapshot, balanced_by("balance = \"apart\", elephant_queues = \"0-3\""))),
      "elephant_queues = \"0-3\" leaves no queue to the mice");
}

}  // namespace
}  // namespace ankus
