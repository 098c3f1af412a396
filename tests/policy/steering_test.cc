// SPDX-License-Identifier: Apache-2.0
#include "policy/steering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "policy/evaluate.h"
#include "policy/example_queues.h"
#include "policy/parse.h"

namespace ankus {
namespace {

using example::cpus;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Policy parsed(std::string_view text) {
  ParsedPolicy result = parse_policy(text, "test.toml");
  for (const PolicyError& error : result.errors) ADD_FAILURE() << to_text(error);
  return std::move(result.policy);
}

/// A policy of one rule, "r", with these blocks.
Policy rule(const std::string& blocks, const std::string& top = "") {
  return parsed(top + "[[rule]]\nname = \"r\"\n" + blocks);
}

/// "CPUs of KNOB: CPUS", one line a wish.
std::vector<std::string> lines(const Desired& desired) {
  std::vector<std::string> all;
  for (const Wish& wish : desired.wishes)
    all.push_back(to_text(wish.knob) + ": " + to_text(wish.setting));
  return all;
}
std::vector<std::string> why_not(const Desired& desired) {
  std::vector<std::string> all;
  for (const Refusal& refusal : desired.refusals) all.push_back(refusal.what + ": " + refusal.why);
  return all;
}
CpuSet wished(const Desired& desired, const Knob& knob) {
  for (const Wish& wish : desired.wishes)
    if (wish.knob == knob) return std::get<CpuSet>(wish.setting);
  return {};
}
CpuSet rps_of(const Desired& desired, const Snapshot& snapshot, std::string_view name) {
  Snapshot copy = snapshot;
  return wished(desired, knob::RpsMask{.device = example::link(copy, name).device});
}
CpuSet thread_cpus(const Desired& desired) {
  return wished(desired, knob::ThreadAffinity{.tid = 1234, .started = 99, .name = "vhost-1200"});
}
CpuSet irq_cpus(const Desired& desired, const Snapshot& snapshot, int queue) {
  return wished(desired, knob::IrqAffinity{.device = snapshot.links[1].device,
                                           .irq = "eth0-TxRx-" + std::to_string(queue)});
}

TEST(Rps, OfTheHostSidesOfVeths) {
  const Snapshot snapshot = example::steerable_host();
  const Desired desired = evaluate(snapshot, rule("rps = { device = \"veth*\", cpus = \"2-3\" }"));
  EXPECT_THAT(why_not(desired), IsEmpty());
  ASSERT_EQ(desired.wishes.size(), 2u);
  EXPECT_EQ(rps_of(desired, snapshot, "veth1a2b3c"), cpus("2-3"));
  EXPECT_EQ(rps_of(desired, snapshot, "veth4d5e6f"), cpus("2-3"));
  EXPECT_EQ(desired.wishes[0].reason, "rule \"r\": CPUs 2-3");
}

TEST(Rps, AMatchIsForTheDevicesOfTheWorkloadsThatMatch) {
  const Snapshot snapshot = example::steerable_host();
  const Desired desired = evaluate(
      snapshot, parsed("[[rule]]\nname = \"heavy\"\nmatch = { footprint = \"heavy\" }\n"
                       "rps = { device = \"*\", cpus = \"3\" }\n"
                       "[[rule]]\nname = \"rest\"\nrps = { device = \"veth*\", cpus = \"0-1\" }"));
  EXPECT_EQ(rps_of(desired, snapshot, "veth4d5e6f"), cpus("3"));  // 3 is heavy
  EXPECT_EQ(rps_of(desired, snapshot, "tap0"), cpus("3"));        // mixed
  EXPECT_EQ(rps_of(desired, snapshot, "veth1a2b3c"), cpus("0-1"));
}

TEST(Rps, ARuleThatNamesADeviceDecidesBeforeAGlob) {
  const Snapshot snapshot = example::steerable_host();
  const Desired desired = evaluate(
      snapshot, parsed("[[rule]]\nname = \"a\"\nrps = { device = \"veth*\", cpus = \"3\" }\n"
                       "[[rule]]\nname = \"b\"\nrps = { device = \"veth1a2b3c\", cpus = \"5\" }"));
  EXPECT_EQ(rps_of(desired, snapshot, "veth1a2b3c"), cpus("5"));
  EXPECT_EQ(rps_of(desired, snapshot, "veth4d5e6f"), cpus("3"));
}

TEST(Rps, WhereTheNicSpreadsThereIsAnotherLever) {
  EXPECT_THAT(why_not(evaluate(example::steerable_host(),
                               rule("rps = { device = \"uplink\", cpus = \"all\" }"))),
              ElementsAre("spread received packets of eth0: it spreads them itself, by its RSS "
                          "table; receive is the lever there"));
  // Whom a glob happens to cover need not hear of it.
  EXPECT_THAT(why_not(evaluate(example::steerable_host(),
                               rule("rps = { device = \"eth*\", cpus = \"all\" }"))),
              IsEmpty());
  Snapshot single = example::steerable_host();
  example::queues(single, "eth0").receive.resize(1);
  EXPECT_EQ(rps_of(evaluate(single, rule("rps = { device = \"uplink\", cpus = \"numa-local\" }")),
                   single, "eth0"),
            cpus("0-1,4-5"));
}

TEST(Rps, HonoursWhatSomebodySet) {
  const Policy policy = rule("rps = { device = \"veth1a2b3c\", cpus = \"2-3\" }");
  Snapshot snapshot = example::steerable_host();
  CpuSet& mask = example::queues(snapshot, "veth1a2b3c").receive[0].rps;
  mask = cpus("6");
  EXPECT_THAT(why_not(evaluate(snapshot, policy)),
              ElementsAre("spread received packets of veth1a2b3c: somebody else has set receive "
                          "queue 0 to CPUs 6, which is honoured"));
  EXPECT_THAT(evaluate(snapshot, policy).wishes, IsEmpty());
  // What each new queue gets is nobody's wish for this one.
  snapshot.host.topology.rps_default = cpus("6");
  EXPECT_EQ(rps_of(evaluate(snapshot, policy), snapshot, "veth1a2b3c"), cpus("2-3"));
  // And what we set is ours.
  snapshot.host.topology.rps_default = {};
  example::carry_out(snapshot, evaluate(example::steerable_host(),
                                        rule("rps = { device = \"veth1a2b3c\", cpus = \"7\" }"))
                                   .wishes);
  EXPECT_EQ(rps_of(evaluate(snapshot, policy), snapshot, "veth1a2b3c"), cpus("2-3"));
}

TEST(Rps, DoesNotBeginWherePacketsAreDroppedForWantOfTime) {
  const Policy policy = rule("rps = { device = \"veth1a2b3c\", cpus = \"2-3\" }");
  Snapshot snapshot = example::steerable_host();
  snapshot.host.topology.cpus[3].dropped_per_second = 12;
  EXPECT_THAT(why_not(evaluate(snapshot, policy)),
              ElementsAre("spread received packets of veth1a2b3c: CPU 3 drops packets for want of "
                          "time (net.core.netdev_max_backlog); more of them there would make it "
                          "worse"));
  snapshot.host.topology.cpus[3].dropped_per_second = 0;
  snapshot.host.topology.cpus[4].dropped_per_second = 12;
  EXPECT_THAT(evaluate(snapshot, policy).refusals, IsEmpty());
  // What stands is judged by its effect, not by this.
  snapshot.host.topology.cpus[3].dropped_per_second = 12;
  example::carry_out(snapshot, evaluate(example::steerable_host(), policy).wishes);
  EXPECT_EQ(evaluate(snapshot, policy).wishes.size(), 1u);
}

TEST(Cpus, NeverIsolatedNohzFullOfflineOrProtected) {
  Snapshot snapshot = example::steerable_host();
  snapshot.host.topology.isolated = cpus("2");
  snapshot.host.topology.nohz_full = cpus("3");
  const Policy policy = rule("rps = { device = \"veth1a2b3c\", cpus = \"2-5,9\" }",
                             "[guard]\nprotect = { cpus = \"5\" }\n");
  const Desired desired = evaluate(snapshot, policy);
  EXPECT_EQ(rps_of(desired, snapshot, "veth1a2b3c"), cpus("4"));
  EXPECT_THAT(
      why_not(desired),
      ElementsAre("all CPUs of rule \"r\": 9 is not online, 2 is isolated, 3 is nohz_full, 5 "
                  "is in guard.protect.cpus"));
  EXPECT_EQ(rps_of(evaluate(snapshot, rule("rps = { device = \"veth1a2b3c\", cpus = \"all\" }")),
                   snapshot, "veth1a2b3c"),
            cpus("0-1,4-7"));
  const Desired none =
      evaluate(snapshot, rule("rps = { device = \"veth1a2b3c\", cpus = \"2-3\" }"));
  EXPECT_THAT(none.wishes, IsEmpty());
  EXPECT_THAT(
      why_not(none),
      ElementsAre("all CPUs of rule \"r\": 2 is isolated, 3 is nohz_full",
                  "spread received packets of veth1a2b3c: of CPUs 2-3 none may be used: they "
                  "are offline, isolated, nohz_full or in guard.protect.cpus"));
}

TEST(Cpus, OfLightWorkloadsAreAvoidedButNeverAllOfThem) {
  Snapshot snapshot = example::steerable_host();
  const Policy policy =
      rule("rps = { device = \"veth4d5e6f\", cpus = \"2-3\", avoid = \"light\" }");
  Desired desired = evaluate(snapshot, policy);
  EXPECT_EQ(rps_of(desired, snapshot, "veth4d5e6f"), cpus("2-3"));
  EXPECT_EQ(desired.wishes[0].reason,
            "rule \"r\": CPUs 2-3; where 2 light workloads without a cpuset run is not known");

  snapshot.workloads[0].workload.cpus = cpus("3,5");  // silver-web, light
  snapshot.workloads[1].workload.cpus = cpus("2");    // the dump, heavy
  desired = evaluate(snapshot, policy);
  EXPECT_EQ(rps_of(desired, snapshot, "veth4d5e6f"), cpus("2"));
  EXPECT_EQ(
      desired.wishes[0].reason,
      "rule \"r\": CPUs 2-3 but 3 of light workloads; where 1 light workload without a cpuset "
      "runs is not known");

  snapshot.workloads[0].workload.cpus = cpus("0-3");
  desired = evaluate(snapshot, policy);
  EXPECT_THAT(desired.wishes, IsEmpty());
  EXPECT_THAT(
      why_not(desired),
      ElementsAre("spread received packets of veth4d5e6f: CPUs 2-3, all that are left of CPUs "
                  "2-3, belong to light workloads, whose CPUs are to be avoided"));
  // Its own packets may be received where it runs.
  EXPECT_EQ(rps_of(evaluate(snapshot, rule("rps = { device = \"veth1a2b3c\", cpus = \"2-3\", avoid "
                                           "= \"light\" }")),
                   snapshot, "veth1a2b3c"),
            cpus("2-3"));
}

TEST(Cpus, UnknownMeansNothingIsDone) {
  Snapshot snapshot = example::steerable_host();
  snapshot.host.topology = {};
  const Desired desired =
      evaluate(snapshot, rule("rps = { device = \"veth1a2b3c\", cpus = \"2-3\" }"));
  EXPECT_THAT(desired.wishes, IsEmpty());
  EXPECT_THAT(why_not(desired),
              ElementsAre("spread received packets of veth1a2b3c: the host's CPUs are not known"));
}

TEST(Xps, EachCpuHasItsQueue) {
  const Snapshot snapshot = example::steerable_host();
  const Desired desired = evaluate(snapshot, rule("xps = { device = \"uplink\", cpus = \"all\" }"));
  EXPECT_THAT(lines(desired), ElementsAre(HasSubstr(": CPU 0,4"), HasSubstr(": CPU 1,5"),
                                          HasSubstr(": CPU 2,6"), HasSubstr(": CPU 3,7")));
  EXPECT_THAT(
      why_not(evaluate(snapshot, rule("xps = { device = \"veth1a2b3c\", cpus = \"all\" }"))),
      ElementsAre("choose transmit queues of veth1a2b3c: it has one transmit queue"));
}

TEST(Irqs, OneQueuePerCpuNearTheDevice) {
  const Snapshot snapshot = example::steerable_host();
  const Desired desired =
      evaluate(snapshot, rule("irq = { device = \"uplink\", cpus = \"numa-local\" }"));
  EXPECT_THAT(why_not(desired), IsEmpty());
  ASSERT_EQ(desired.wishes.size(), 5u);  // one for irqbalance; not the link's own interrupt
  // Cores before their siblings.
  for (int queue = 0; queue < 4; ++queue)
    EXPECT_EQ(irq_cpus(desired, snapshot, queue),
              (CpuSet{{std::vector<std::uint32_t>{0, 1, 4, 5}[static_cast<std::size_t>(queue)]}}));
  EXPECT_EQ(desired.wishes[1].reason,
            "rule \"r\": one queue's interrupt per CPU among the NUMA-local CPUs, 0-1,4-5");
}

TEST(Irqs, BothDirectionsOfAQueueStayTogether) {
  Snapshot snapshot = example::steerable_host();
  DeviceQueues& eth0 = example::queues(snapshot, "eth0");
  eth0.irqs = {{.number = 50, .name = "virtio0-config"}};
  for (std::uint32_t queue = 0; queue < 2; ++queue) {
    eth0.irqs.push_back({.number = 51 + 2 * queue,
                         .name = "virtio0-input." + std::to_string(queue),
                         .receive_queue = queue});
    eth0.irqs.push_back({.number = 52 + 2 * queue,
                         .name = "virtio0-output." + std::to_string(queue),
                         .transmit_queue = queue});
  }
  const Desired desired = evaluate(snapshot, rule("irq = { device = \"eth0\", cpus = \"2-3\" }"));
  EXPECT_THAT(lines(desired), ElementsAre("IRQs that irqbalance leaves alone: 51-54",
                                          HasSubstr("virtio0-input.0 of eth0: CPU 2"),
                                          HasSubstr("virtio0-output.0 of eth0: CPU 2"),
                                          HasSubstr("virtio0-input.1 of eth0: CPU 3"),
                                          HasSubstr("virtio0-output.1 of eth0: CPU 3")));
}

TEST(Irqs, WhatIsWellPlacedStays) {
  Snapshot snapshot = example::steerable_host();
  DeviceQueues& eth0 = example::queues(snapshot, "eth0");
  eth0.irqs[0].affinity = cpus("5");
  eth0.irqs[1].affinity = cpus("5");  // one of these two must go
  eth0.irqs[2].affinity = cpus("7");  // outside
  const Policy policy = rule("irq = { device = \"eth0\", cpus = \"numa-local\" }");
  const Desired desired = evaluate(snapshot, policy);
  EXPECT_EQ(irq_cpus(desired, snapshot, 0), cpus("5"));
  EXPECT_EQ(irq_cpus(desired, snapshot, 1), cpus("0"));
  EXPECT_EQ(irq_cpus(desired, snapshot, 2), cpus("1"));
  EXPECT_EQ(irq_cpus(desired, snapshot, 3), cpus("4"));
}

TEST(Irqs, OfManagedOnesTheOtherLeverIsNamed) {
  Snapshot snapshot = example::steerable_host();
  for (QueueIrq& irq : example::queues(snapshot, "eth0").irqs) irq.managed = irq.number != 39;
  const Desired desired = evaluate(snapshot, rule("irq = { device = \"eth0\", cpus = \"all\" }"));
  EXPECT_THAT(desired.wishes, IsEmpty());
  EXPECT_THAT(
      why_not(desired),
      ElementsAre("place interrupts of eth0: the kernel manages 4 of its 5 interrupts, whose "
                  "CPUs nobody can set; receive and rps are the levers there"));
  EXPECT_THAT(why_not(evaluate(snapshot, rule("irq = { device = \"tap0\", cpus = \"all\" }"))),
              ElementsAre("place interrupts of tap0: it has no interrupts of its own; rps is the "
                          "lever there"));
}

TEST(Irqs, OfALinkThatIsDownAreToBeWaitedFor) {
  Snapshot snapshot = example::steerable_host();
  DeviceQueues& eth0 = example::queues(snapshot, "eth0");
  eth0.irqs.clear();  // given back by its driver
  for (Link& link : snapshot.links)
    if (link.device == eth0.device) link.up = false;
  EXPECT_THAT(
      why_not(evaluate(snapshot, rule("irq = { device = \"eth0\", cpus = \"all\" }"))),
      ElementsAre("place interrupts of eth0: it is down, and has its interrupts once it is up"));
}

TEST(Irqs, IrqbalanceIsAskedFirstToLeaveThemAlone) {
  const Snapshot snapshot = example::steerable_host();
  const Desired desired = evaluate(snapshot, rule("irq = { device = \"eth0\", cpus = \"all\" }"));
  ASSERT_EQ(desired.wishes.size(), 5u);
  EXPECT_EQ(desired.wishes[0].knob, Knob(knob::IrqbalanceBans{}));
  EXPECT_EQ(desired.wishes[0].setting, Setting(BannedIrqs{.irqs = {40, 41, 42, 43}}));
}

TEST(Vhost, APinnedWorkerIsSomebodysWish) {
  Snapshot snapshot = example::steerable_host();
  NetThread& worker = snapshot.threads[0];
  worker.affinity = cpus("0-5");
  const Policy policy = rule("vhost = { cpus = \"4-7\" }");
  EXPECT_THAT(why_not(evaluate(snapshot, policy)),
              ElementsAre("place vhost-1200: somebody else has pinned it to CPUs 0-5 of the CPUs "
                          "0-7 of its cpuset, which is honoured"));
  EXPECT_THAT(evaluate(snapshot, policy).wishes, IsEmpty());
  worker.affinity = cpus("4-7");
  EXPECT_THAT(why_not(evaluate(snapshot, policy)), IsEmpty()) << "where it should be already";
  // Kernel threads keep off quiet CPUs by themselves.
  worker.affinity = cpus("0-5");
  snapshot.host.topology.isolated = cpus("6");
  snapshot.host.topology.nohz_full = cpus("7");
  EXPECT_EQ(thread_cpus(evaluate(snapshot, policy)), cpus("4-5"));
  snapshot.host.topology.isolated = {};
  EXPECT_THAT(evaluate(snapshot, policy).wishes, IsEmpty());
  // And what we pinned is ours.
  snapshot = example::steerable_host();
  example::carry_out(snapshot, evaluate(snapshot, policy).wishes);
  ASSERT_EQ(snapshot.threads[0].affinity, cpus("4-7"));
  EXPECT_EQ(thread_cpus(evaluate(snapshot, rule("vhost = { cpus = \"2-3\" }"))), cpus("2-3"));
}

TEST(Vhost, ThreadsAreInsideTheirCpuset) {
  Snapshot snapshot = example::steerable_host();
  const Policy policy =
      rule("match = { kind = \"vm\", footprint = \"heavy\" }\nvhost = { cpus = \"4-7\" }");
  Desired desired = evaluate(snapshot, policy);
  EXPECT_EQ(thread_cpus(desired), cpus("4-7"));  // a mixed VM has elephants
  snapshot.threads[0].allowed = cpus("0-5");
  EXPECT_EQ(thread_cpus(evaluate(snapshot, policy)), cpus("4-5"));
  snapshot.threads[0].allowed = cpus("0-3");
  EXPECT_THAT(
      why_not(evaluate(snapshot, policy)),
      ElementsAre("place vhost-1200: its cpuset allows CPUs 0-3, of which CPUs 4-7 has none "
                  "that may be used"));

  snapshot = example::steerable_host();
  snapshot.workloads[2].footprint.weight = Weight::light;
  EXPECT_THAT(evaluate(snapshot, policy), Desired{});
}

TEST(Vhost, NearTheVmsOwnThreads) {
  Snapshot snapshot = example::steerable_host();
  const Policy policy = rule("vhost = { cpus = \"numa-local\" }");
  EXPECT_EQ(thread_cpus(evaluate(snapshot, policy)), cpus("2-3,6-7"));
  snapshot.threads[0].vcpus = {};
  EXPECT_THAT(why_not(evaluate(snapshot, policy)),
              ElementsAre("place vhost-1200: where its VM's own threads may run is not known"));
}

TEST(Vhost, OptedOutOrProtectedIsLeftAlone) {
  Snapshot snapshot = example::steerable_host();
  snapshot.workloads[2].workload.opted_out = true;
  EXPECT_THAT(why_not(evaluate(snapshot, rule("vhost = { cpus = \"4-7\" }"))),
              ElementsAre("place vhost-1200: its VM, build, has opted out"));
  EXPECT_THAT(why_not(evaluate(snapshot, rule("rps = { device = \"tap0\", cpus = \"4-7\" }"))),
              ElementsAre("spread received packets of tap0: its workload, build, has opted out"));
  EXPECT_THAT(why_not(evaluate(example::steerable_host(),
                               rule("vhost = { cpus = \"4-7\" }",
                                    "[guard]\nprotect = { devices = [\"tap*\"] }\n"))),
              ElementsAre("place vhost-1200: guard.protect.devices has \"tap*\", which covers it"));
}

TEST(Vhost, OfAVmWithSeveralTapsAWorkerMayServeAnyOfThem) {
  Snapshot snapshot = example::steerable_host();
  WorkloadState second = snapshot.workloads[2];
  second.workload.id = 77;
  second.workload.name = "build, second tap";
  second.workload.device = Device{.name = "tap1", .ifindex = 70};
  snapshot.workloads[2].footprint.weight = Weight::light;
  second.footprint.weight = Weight::heavy;
  second.workload.cpus = snapshot.workloads[2].workload.cpus = cpus("4-5");
  snapshot.workloads.push_back(second);
  snapshot.threads[0].other_workloads = {77};
  const Policy policy = rule(
      "match = { kind = \"vm\", footprint = \"heavy\" }\n"
      "vhost = { cpus = \"4-7\", avoid = \"light\" }");
  EXPECT_EQ(thread_cpus(evaluate(snapshot, policy)), cpus("4-7")) << "and its own CPUs are its own";
  snapshot.workloads.back().workload.opted_out = true;
  EXPECT_THAT(why_not(evaluate(snapshot, policy)),
              ElementsAre("place vhost-1200: its VM, build, second tap, has opted out"));
  snapshot.workloads.back().workload.opted_out = false;
  EXPECT_THAT(why_not(evaluate(snapshot, rule("vhost = { cpus = \"4-7\" }",
                                              "[guard]\nprotect = { devices = [\"tap1\"] }\n"))),
              ElementsAre("place vhost-1200: guard.protect.devices has \"tap1\", which covers it"));
}

TEST(Napi, ThreadsOfADevice) {
  Snapshot snapshot = example::steerable_host();
  const Policy policy = rule("napi = { device = \"uplink\", cpus = \"numa-local\" }");
  EXPECT_THAT(why_not(evaluate(snapshot, policy)),
              ElementsAre("place NAPI threads of eth0: it has none: its packets are polled in "
                          "softirqs (threaded NAPI is off)"));
  snapshot.threads.push_back({.kind = NetThread::Kind::napi,
                              .tid = 77,
                              .name = "napi/eth0-65",
                              .device = snapshot.links[1].device,
                              .allowed = cpus("1-7")});
  const Desired desired = evaluate(snapshot, policy);
  ASSERT_EQ(desired.wishes.size(), 1u);
  EXPECT_EQ(desired.wishes[0].setting, Setting(cpus("1,4-5")));
}

TEST(Steering, OfWhatIsNotThere) {
  const Snapshot snapshot = example::steerable_host();
  EXPECT_THAT(why_not(evaluate(snapshot, rule("irq = { device = \"ethh0\", cpus = \"all\" }"))),
              ElementsAre("place interrupts of ethh0: there is no such device; the nearest name is "
                          "eth0"));
  EXPECT_THAT(
      why_not(evaluate(snapshot, rule("rps = { device = \"docker0\", cpus = \"all\" }"))),
      ElementsAre("spread received packets of docker0: it has no queues of its own that could "
                  "be steered; name the hardware below it, a veth or a tap"));
}

// Whatever the host, what is wished for keeps to the rules, and once in force is wished for again.
TEST(SteeringProperty, KeepsToTheRulesAndToItself) {
  const Policy policy = parsed(R"(
[guard]
protect = { cpus = "1" }
[[rule]]
name = "a"
irq = { device = "uplink", cpus = "numa-local", avoid = "light" }
rps = { device = "veth*", cpus = "2-6", avoid = "light" }
xps = { device = "*", cpus = "all" }
napi = { device = "uplink", cpus = "all" }
[[rule]]
name = "b"
match = { kind = "vm" }
vhost = { cpus = "numa-local", avoid = "light" }
)");
  std::mt19937_64 random(5);
  const auto some = [&] {
    CpuSet set;
    for (std::uint32_t cpu = 0; cpu < 8; ++cpu)
      if (random() % 4 == 0) set.cpus.push_back(cpu);
    return set;
  };
  std::size_t wishes = 0;
  for (int round = 0; round < 2000; ++round) {
    Snapshot snapshot = example::steerable_host();
    Topology& topology = snapshot.host.topology;
    topology.isolated = some();
    topology.nohz_full = some();
    std::erase_if(topology.cpus, [&](const Cpu&) { return random() % 8 == 0; });
    snapshot.workloads[0].workload.cpus = some();
    snapshot.threads[0].allowed = united(some(), cpus("6"));
    snapshot.threads[0].vcpus = some();
    for (QueueIrq& irq : snapshot.queues[0].irqs) {
      irq.affinity = some();
      irq.managed = random() % 4 == 0;
    }
    const Desired desired = evaluate(snapshot, policy);
    EXPECT_EQ(evaluate(snapshot, policy), desired);
    std::set<Knob> knobs;
    for (const Wish& wish : desired.wishes) {
      EXPECT_TRUE(knobs.insert(wish.knob).second) << to_text(wish.knob) << " wished twice";
      EXPECT_FALSE(wish.reason.empty());
      const auto* set = std::get_if<CpuSet>(&wish.setting);
      if (set == nullptr) continue;
      ++wishes;
      EXPECT_EQ(without(*set, topology.usable()), CpuSet{});
      EXPECT_FALSE(set->contains(1));
      if (!std::holds_alternative<knob::XpsMask>(wish.knob)) {
        EXPECT_FALSE(set->empty());
        const auto& light = snapshot.workloads[0].workload;
        const Device* device = device_of(wish.knob);
        if (device == nullptr || *device != *light.device) {
          EXPECT_EQ(common(*set, light.cpus), CpuSet{}) << to_text(wish.knob);
        }
      }
      if (std::holds_alternative<knob::IrqAffinity>(wish.knob)) {
        EXPECT_EQ(set->cpus.size(), 1u);
      }
      if (std::holds_alternative<knob::ThreadAffinity>(wish.knob)) {
        EXPECT_EQ(without(*set, snapshot.threads[0].allowed), CpuSet{});
      }
    }
    example::carry_out(snapshot, desired.wishes);
    EXPECT_EQ(evaluate(snapshot, policy), desired);
  }
  EXPECT_GT(wishes, 5000u);
}

}  // namespace
}  // namespace ankus
