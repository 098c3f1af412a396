// SPDX-License-Identifier: Apache-2.0
#include "policy/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "policy/classes.h"
#include "policy/example_host.h"
#include "policy/parse.h"

namespace ankus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Policy parsed(std::string_view text) {
  ParsedPolicy result = parse_policy(text, "test.toml");
  for (const PolicyError& error : result.errors) ADD_FAILURE() << to_text(error);
  return std::move(result.policy);
}

Policy mice_first(const std::string& top = "", const std::string& device = "eth0") {
  return parsed(top + R"(
[[rule]]
name = "mice first"
match = { footprint = "light" }
bandwidth = { device = ")" +
                device + R"(", guarantee = "60%", priority = 0 }
[[rule]]
name = "elephants yield"
match = { footprint = "heavy" }
bandwidth = { device = ")" +
                device + R"(", guarantee = "20%", limit = "90%", priority = 7 }
)");
}

std::vector<std::string> knobs_of(const Desired& desired) {
  std::vector<std::string> lines;
  for (const Wish& wish : desired.wishes) lines.push_back(to_text(wish.knob));
  return lines;
}

template <class T>
const T* wished(const Desired& desired, const Knob& knob) {
  for (const Wish& wish : desired.wishes)
    if (wish.knob == knob) return std::get_if<T>(&wish.setting);
  return nullptr;
}

const HtbClass* class_on(const Desired& desired, const Device& device, std::uint16_t minor) {
  return wished<HtbClass>(desired,
                          knob::TcClass{.device = device, .handle = make_handle(kOurMajor, minor)});
}
const ByteFifo* queue_on(const Desired& desired, const Device& device, std::uint16_t minor) {
  return wished<ByteFifo>(
      desired, knob::LeafQdisc{.device = device, .parent = make_handle(kOurMajor, minor)});
}

void expect_refused(const Desired& desired, const std::string& what, const std::string& why) {
  EXPECT_THAT(desired.wishes, IsEmpty());
  EXPECT_THAT(desired.refusals, ElementsAre(Refusal{.what = what, .why = why}));
}

TEST(Evaluate, WishesComeInTheOrderOfMaking) {
  EXPECT_THAT(knobs_of(evaluate(example::host(), mice_first())),
              ElementsAre("root qdisc of eth0", "class 7a8c:1 on eth0", "class 7a8c:f on eth0",
                          "queue below class 7a8c:f on eth0", "class 7a8c:10 on eth0",
                          "queue below class 7a8c:10 on eth0", "class 7a8c:11 on eth0",
                          "queue below class 7a8c:11 on eth0", "classifier at egress of eth0",
                          "workloads' classes"));
}

TEST(Evaluate, ClassesHaveTheirShares) {
  const Snapshot snapshot = example::host();
  const Device eth0 = snapshot.links[1].device;
  const Desired desired = evaluate(snapshot, mice_first());
  EXPECT_THAT(desired.refusals, IsEmpty());

  const auto* root = wished<HtbRoot>(desired, knob::RootQdisc{.device = eth0});
  ASSERT_NE(root, nullptr);
  EXPECT_EQ(root->handle, make_handle(kOurMajor, 0));
  EXPECT_EQ(root->default_minor, 0x0f);

  const HtbClass* total = class_on(desired, eth0, 0x01);
  ASSERT_NE(total, nullptr);
  EXPECT_EQ(total->parent, make_handle(kOurMajor, 0));
  EXPECT_EQ(total->rate, BitRate{1'000'000'000});
  EXPECT_EQ(total->ceil, total->rate);
  EXPECT_EQ(total->burst, Bytes{25'000});  // 200 us

  const HtbClass* mice = class_on(desired, eth0, 0x10);
  ASSERT_NE(mice, nullptr);
  EXPECT_EQ(mice->parent, make_handle(kOurMajor, 1));
  EXPECT_EQ(mice->rate, BitRate{600'000'000});
  EXPECT_EQ(mice->ceil, BitRate{1'000'000'000});
  EXPECT_EQ(mice->priority, 0u);
  EXPECT_EQ(mice->quantum, Bytes{75'000});  // 1 ms

  const HtbClass* elephants = class_on(desired, eth0, 0x11);
  ASSERT_NE(elephants, nullptr);
  EXPECT_EQ(elephants->rate, BitRate{200'000'000});
  EXPECT_EQ(elephants->ceil, BitRate{900'000'000});
  EXPECT_EQ(elephants->burst, Bytes{15'140});  // ten packets
  EXPECT_EQ(elephants->priority, 7u);

  const HtbClass* probation = class_on(desired, eth0, 0x0f);
  ASSERT_NE(probation, nullptr);
  EXPECT_EQ(probation->rate, BitRate{100'000'000});
  EXPECT_EQ(probation->ceil, BitRate{1'000'000'000});
  EXPECT_EQ(probation->priority, 4u);

  ASSERT_NE(queue_on(desired, eth0, 0x10), nullptr);
  EXPECT_EQ(*queue_on(desired, eth0, 0x10),
            (ByteFifo{.handle = make_handle(kOurLeafBase + 0x10, 0), .limit = {312'500}}));
  EXPECT_EQ(queue_on(desired, eth0, 0x11)->limit, Bytes{7'500'000});
  EXPECT_EQ(queue_on(desired, eth0, 0x0f)->limit, Bytes{1'250'000});
}

TEST(Evaluate, BeyondLeavesRoomBehindTheDevice) {
  const Snapshot snapshot = example::host();
  const Desired desired =
      evaluate(snapshot, mice_first("[link.eth0]\nrate = \"200 Mbit\"\nbottleneck = \"beyond\"\n"));
  EXPECT_EQ(class_on(desired, snapshot.links[1].device, 1)->rate, BitRate{196'000'000});
  EXPECT_EQ(desired.wishes[1].reason, "98% of 200 Mbit as [link.eth0] states");
}

TEST(Evaluate, UplinkIsTheDeviceOfTheDefaultRoute) {
  EXPECT_EQ(evaluate(example::host(), mice_first("", "uplink")),
            evaluate(example::host(), mice_first("", "eth0")));
}

TEST(Evaluate, UplinkMeansThePortsOfABondAndNoWorkloadsDevice) {
  Snapshot snapshot = example::host();
  // br0 carries the default route; so do its ports: eth0 and, by mistake of nobody, the VM's tap.
  Link& bridge = example::link(snapshot, "docker0");
  bridge.has_default_route = true;
  example::link(snapshot, "eth0").master_ifindex = bridge.device.ifindex;
  example::link(snapshot, "tap0").has_default_route = true;
  const Desired desired = evaluate(snapshot, mice_first("", "uplink"));
  EXPECT_THAT(desired.refusals, IsEmpty());
  for (const Wish& wish : desired.wishes)
    if (const Device* device = device_of(wish.knob)) {
      EXPECT_EQ(device->name, "eth0");
    }
}

TEST(Evaluate, ANamedDeviceBeatsUplink) {
  const Snapshot snapshot = example::host();
  const Policy policy = parsed(R"(
[link.uplink]
rate = "500 Mbit"
[[rule]]
name = "all uplinks"
bandwidth = { device = "uplink", guarantee = "10%" }
[[rule]]
name = "this one"
bandwidth = { device = "eth0", guarantee = "50%" }
)");
  const Desired desired = evaluate(snapshot, policy);
  EXPECT_EQ(class_on(desired, snapshot.links[1].device, 0x10)->rate, BitRate{250'000'000});
  EXPECT_EQ(std::ranges::count(knobs_of(desired), "class 7a8c:10 on eth0"), 1);
}

TEST(Evaluate, ARuleHasTheSameMinorOnEachDevice) {
  Snapshot snapshot = example::host();
  example::link(snapshot, "eth1").up = true;
  example::link(snapshot, "eth1").has_default_route = true;
  example::link(snapshot, "eth1").speed = BitRate{100'000'000};
  const Desired desired = evaluate(snapshot, mice_first("", "uplink"));
  EXPECT_EQ(class_on(desired, snapshot.links[1].device, 0x11)->rate, BitRate{200'000'000});
  EXPECT_EQ(class_on(desired, snapshot.links[2].device, 0x11)->rate, BitRate{20'000'000});
  EXPECT_EQ(std::ranges::count(knobs_of(desired), "workloads' classes"), 1);
}

TEST(Evaluate, MembersFollowTheFirstRuleThatMatches) {
  const Desired desired = evaluate(example::host(), parsed(R"(
[[rule]]
name = "gold mice"
match = { label = "k8s:gold/*", footprint = "light" }
bandwidth = { device = "eth0", guarantee = "10%" }
[[rule]]
name = "gold"
match = { label = "k8s:gold/*" }
bandwidth = { device = "eth0", guarantee = "10%" }
[[rule]]
name = "vms"
match = { kind = "vm", footprint = "heavy" }
bandwidth = { device = "eth0", guarantee = "10%" }
[[rule]]
name = "silver"
match = { name = "silver-*", kind = "container" }
bandwidth = { device = "eth0", guarantee = "10%" }
)"));
  const auto* members = wished<Members>(desired, knob::Membership{});
  ASSERT_NE(members, nullptr);
  EXPECT_THAT(
      members->rows,
      ElementsAre(
          Member{.workload = 0, .slow_class = 0x0f, .fast_class = 0x0f},
          Member{.workload = 3, .slow_class = 0x10, .fast_class = 0x11, .weight = Weight::heavy},
          Member{.workload = 5, .slow_class = 0x0f, .fast_class = 0x12, .weight = Weight::mixed},
          Member{.workload = 7, .slow_class = 0x13, .fast_class = 0x13, .weight = Weight::light},
          Member{
              .workload = 11, .slow_class = 0x0f, .fast_class = 0x0f, .weight = Weight::unknown}));
}

TEST(Evaluate, TrafficOfNobodyFollowsRulesThatDoNotAskWhoseItIs) {
  Snapshot snapshot = example::host();
  snapshot.workloads.clear();
  EXPECT_THAT(wished<Members>(evaluate(snapshot, mice_first()), knob::Membership{})->rows,
              ElementsAre(Member{.workload = 0, .slow_class = 0x10, .fast_class = 0x11}));
}

TEST(Evaluate, AnOptedOutWorkloadHasNoRow) {
  const Desired desired = evaluate(example::host(), mice_first());
  for (const Member& row : wished<Members>(desired, knob::Membership{})->rows)
    EXPECT_NE(row.workload, 9u);
}

TEST(Evaluate, BeforeTcxTheClassifierNeedsAClsact) {
  Snapshot snapshot = example::host();
  snapshot.host.tcx = false;
  const Device eth0 = snapshot.links[1].device;
  Desired desired = evaluate(snapshot, mice_first());
  const auto knobs = knobs_of(desired);
  const auto clsact = std::ranges::find(knobs, "clsact qdisc of eth0");
  ASSERT_NE(clsact, knobs.end());
  EXPECT_EQ(*(clsact + 1), "classifier at egress of eth0");
  EXPECT_EQ(wished<ClassifierProgram>(desired, knob::Classifier{.device = eth0})->hook,
            ClassifierProgram::Hook::clsact);

  example::link(snapshot, "eth0").foreign_clsact = true;
  EXPECT_EQ(std::ranges::count(knobs_of(evaluate(snapshot, mice_first())), "clsact qdisc of eth0"),
            0);
}

const char* const kDownload = "[link.eth0]\ndownload = \"200 Mbit\"\n";

TEST(Evaluate, DownloadGoesThroughAnIfb) {
  const Snapshot snapshot = example::host();
  const Desired desired = evaluate(snapshot, mice_first(kDownload));
  EXPECT_THAT(desired.refusals, IsEmpty());
  std::vector<std::string> knobs = knobs_of(desired);
  knobs.erase(knobs.begin(), std::ranges::find(knobs, "ifb device ankus-ifb2"));
  EXPECT_THAT(
      knobs,
      ElementsAre("ifb device ankus-ifb2", "root qdisc of ankus-ifb2", "class 7a8c:1 on ankus-ifb2",
                  "class 7a8c:f on ankus-ifb2", "queue below class 7a8c:f on ankus-ifb2",
                  "class 7a8c:10 on ankus-ifb2", "queue below class 7a8c:10 on ankus-ifb2",
                  "class 7a8c:11 on ankus-ifb2", "queue below class 7a8c:11 on ankus-ifb2",
                  "classifier at egress of ankus-ifb2", "clsact qdisc of eth0",
                  "ingress redirect of eth0", "workloads' classes"));
  const Device ifb{.name = "ankus-ifb2", .ifindex = 1'000'002, .netns_cookie = example::kCookie};
  EXPECT_EQ(*wished<IfbDevice>(desired, knob::Ifb{.name = ifb.name}),
            IfbDevice{.ifindex = 1'000'002});
  EXPECT_EQ(class_on(desired, ifb, 1)->rate, BitRate{190'000'000});
  EXPECT_EQ(*wished<RedirectTo>(desired, knob::IngressRedirect{.device = snapshot.links[1].device}),
            RedirectTo{.ifindex = 1'000'002});
}

TEST(Evaluate, BeforeTcxThereIsOneClsactForBothDirections) {
  Snapshot snapshot = example::host();
  snapshot.host.tcx = false;
  const auto knobs = knobs_of(evaluate(snapshot, mice_first(kDownload)));
  EXPECT_EQ(std::ranges::count(knobs, "clsact qdisc of eth0"), 1);
  EXPECT_EQ(std::ranges::count(knobs, "clsact qdisc of ankus-ifb2"), 1);
}

TEST(Evaluate, WantsTheSameOnceItIsInPlace) {
  Snapshot snapshot = example::host();
  const Desired first = evaluate(snapshot, mice_first(kDownload));
  example::link(snapshot, "eth0").root_kind = "htb";
  example::link(snapshot, "eth0").root_handle = make_handle(kOurMajor, 0);
  snapshot.links.push_back(
      {.device = {.name = "ankus-ifb2", .ifindex = 1'000'002, .netns_cookie = example::kCookie},
       .kind = "ifb",
       .up = true,
       .mtu = 1'500,
       .root_kind = "htb",
       .root_handle = make_handle(kOurMajor, 0)});
  EXPECT_EQ(evaluate(snapshot, mice_first(kDownload)), first);
}

TEST(Evaluate, EachNewIfbHasItsOwnIfindex) {
  Snapshot snapshot = example::host();
  Link& eth1 = example::link(snapshot, "eth1");
  eth1.up = eth1.has_default_route = true;
  eth1.speed = BitRate{100'000'000};
  const Desired desired =
      evaluate(snapshot, mice_first("[link.uplink]\ndownload = \"50 Mbit\"\n", "uplink"));
  EXPECT_EQ(wished<IfbDevice>(desired, knob::Ifb{.name = "ankus-ifb2"})->ifindex, 1'000'002u);
  EXPECT_EQ(wished<IfbDevice>(desired, knob::Ifb{.name = "ankus-ifb3"})->ifindex, 1'000'003u);
}

TEST(Evaluate, ANewIfbHasTheSameIfindexWhateverComesAndGoes) {
  Snapshot snapshot = example::host();
  const Policy policy = mice_first(kDownload);
  const Desired before = evaluate(snapshot, policy);
  snapshot.links.push_back({.device = {.name = "veth777", .ifindex = 5'000}, .kind = "veth"});
  EXPECT_EQ(evaluate(snapshot, policy), before);
  snapshot.links.back().device.ifindex = 1'000'002;  // unless just that is taken
  EXPECT_EQ(wished<IfbDevice>(evaluate(snapshot, policy), knob::Ifb{.name = "ankus-ifb2"})->ifindex,
            2'000'002u);
}

TEST(Evaluate, WithoutIfbOnlyTheDownloadIsRefused) {
  Snapshot snapshot = example::host();
  snapshot.host.ifb = false;
  const Desired desired = evaluate(snapshot, mice_first(kDownload));
  EXPECT_EQ(desired.wishes, evaluate(example::host(), mice_first()).wishes);
  EXPECT_THAT(desired.refusals,
              ElementsAre(Refusal{.what = "shape what eth0 receives",
                                  .why = "this kernel has no ifb devices (CONFIG_IFB; module "
                                         "ifb)"}));
}

TEST(Evaluate, DoesNotTakeAForeignIfb) {
  Snapshot snapshot = example::host();
  snapshot.links.push_back({.device = {.name = "ankus-ifb2", .ifindex = 50}, .kind = "dummy"});
  EXPECT_EQ(evaluate(snapshot, mice_first(kDownload)).refusals.at(0).why,
            "a device named ankus-ifb2 exists and is not an ifb");
  snapshot.links.back().kind = "ifb";
  snapshot.links.back().root_kind = "tbf";
  snapshot.links.back().root_handle = make_handle(1, 0);
  EXPECT_EQ(evaluate(snapshot, mice_first(kDownload)).refusals.at(0).why,
            "the root qdisc of ankus-ifb2 is tbf 1:, which Ankus did not make");
}

TEST(Refusal, OfADeviceThatIsNotThere) {
  expect_refused(evaluate(example::host(), mice_first("", "ethh0")), "shape ethh0",
                 "there is no such device; the nearest name is eth0");
  expect_refused(evaluate(example::host(), mice_first("", "wlp3s0")), "shape wlp3s0",
                 "there is no such device");
}

TEST(Refusal, WithoutADefaultRoute) {
  Snapshot snapshot = example::host();
  example::link(snapshot, "eth0").has_default_route = false;
  expect_refused(evaluate(snapshot, mice_first("", "uplink")), "shape uplink",
                 "no device has a default route; name the device");
}

TEST(Refusal, OfADeviceThatIsDown) {
  expect_refused(evaluate(example::host(), mice_first("", "eth1")), "shape eth1",
                 "it is down; it will be shaped when it is up");
}

TEST(Refusal, OfAProtectedDevice) {
  expect_refused(
      evaluate(example::host(), mice_first("[guard]\nprotect = { devices = [\"eth*\"] }\n")),
      "shape eth0", "guard.protect.devices has \"eth*\", which covers it");
}

TEST(Refusal, WithoutHtb) {
  Snapshot snapshot = example::host();
  snapshot.host.htb = false;
  expect_refused(evaluate(snapshot, mice_first()), "shape eth0",
                 "this kernel has no htb qdisc (CONFIG_NET_SCH_HTB; module sch_htb)");
}

TEST(Refusal, OfSomebodyElsesRootQdisc) {
  Snapshot snapshot = example::host();
  example::link(snapshot, "eth0").root_kind = "tbf";
  example::link(snapshot, "eth0").root_handle = make_handle(1, 0);
  expect_refused(evaluate(snapshot, mice_first()), "shape eth0",
                 "its root qdisc is tbf 1:, which Ankus did not make; remove it (tc qdisc del dev "
                 "eth0 root) or take the device out of the policy");
}

TEST(Refusal, OfABridge) {
  expect_refused(
      evaluate(example::host(), mice_first("[link.docker0]\nrate = \"1 Gbit\"\n", "docker0")),
      "shape docker0",
      "it is a bridge, which hands packets on and queues nothing itself; name its ports "
      "instead: veth1a2b3c, veth4d5e6f");
}

TEST(Refusal, OfARateThatMeansNothing) {
  expect_refused(evaluate(example::host(), mice_first("", "tap0")), "shape tap0",
                 "its rate is not known: what a tun reports (10 Mbit) means nothing; state it, for "
                 "example [link.tap0] rate = \"1 Gbit\"");
  Snapshot snapshot = example::host();
  example::link(snapshot, "eth0").speed = std::nullopt;
  expect_refused(evaluate(snapshot, mice_first()), "shape eth0",
                 "its rate is not known: its driver reports none; state it, for example "
                 "[link.eth0] rate = \"1 Gbit\"");
  EXPECT_THAT(evaluate(snapshot, mice_first("[link.eth0]\nrate = \"1 Gbit\"\n")).refusals,
              IsEmpty());
}

TEST(Refusal, OfManyPacketsOnManyQueues) {
  Snapshot snapshot = example::host();
  example::link(snapshot, "eth0").packets_per_second = 250'000;
  expect_refused(evaluate(snapshot, mice_first()), "shape eth0",
                 "it has 4 transmit queues and sends 250000 packets per second; HTB has one lock "
                 "for all queues and is refused above 200000 (single_lock_pps; or single_lock = "
                 "\"accept\" in [link.eth0])");
  EXPECT_THAT(evaluate(snapshot, mice_first("[link.eth0]\nsingle_lock = \"accept\"\n")).refusals,
              IsEmpty());
  EXPECT_THAT(evaluate(snapshot, mice_first("[link.eth0]\nsingle_lock_pps = 300000\n")).refusals,
              IsEmpty());
  example::link(snapshot, "eth0").transmit_queues = 1;
  EXPECT_THAT(evaluate(snapshot, mice_first()).refusals, IsEmpty());
}

TEST(Refusal, DoesNotTakeDownATreeThatStands) {
  Snapshot snapshot = example::host();
  example::link(snapshot, "eth0").packets_per_second = 250'000;
  example::link(snapshot, "eth0").root_kind = "htb";
  example::link(snapshot, "eth0").root_handle = make_handle(kOurMajor, 0);
  EXPECT_THAT(evaluate(snapshot, mice_first()).refusals, IsEmpty());
}

/// What a plan has made of eth0.
Snapshot shaped_host(const Policy& policy) {
  Snapshot snapshot = example::host();
  for (const Wish& wish : evaluate(snapshot, policy).wishes)
    snapshot.held.push_back(
        {.knob = wish.knob, .original = Absent{}, .written = wish.setting, .reason = wish.reason});
  example::link(snapshot, "eth0").root_kind = "htb";
  example::link(snapshot, "eth0").root_handle = make_handle(kOurMajor, 0);
  return snapshot;
}

std::vector<Setting> settings_of(const Desired& desired) {
  std::vector<Setting> settings;
  for (const Wish& wish : desired.wishes) settings.push_back(wish.setting);
  return settings;
}

TEST(Standing, OutlivesTheCarrier) {
  for (const char* top : {"", "[link.eth0]\nrate = \"200 Mbit\"\nbottleneck = \"beyond\"\n"}) {
    const Policy stated = mice_first(top), policy = mice_first();
    Snapshot snapshot = shaped_host(stated);
    const auto before = settings_of(evaluate(snapshot, stated));
    example::link(snapshot, "eth0").speed = std::nullopt;
    const Desired desired = evaluate(snapshot, policy);
    EXPECT_THAT(desired.refusals, IsEmpty());
    EXPECT_EQ(settings_of(desired), before);
  }
  Snapshot snapshot = shaped_host(mice_first());
  example::link(snapshot, "eth0").speed = std::nullopt;
  EXPECT_EQ(evaluate(snapshot, mice_first()).wishes.at(1).reason,
            "1 Gbit as before: its driver reports none now");
  // What has no driver that could report one again is not waited for.
  example::link(snapshot, "eth0").kind = "veth";
  EXPECT_THAT(evaluate(snapshot, mice_first()).wishes, IsEmpty());
}

TEST(Standing, OutlivesTheDefaultRoute) {
  const Policy policy = mice_first("[link.uplink]\nrate = \"200 Mbit\"\n", "uplink");
  Snapshot snapshot = shaped_host(policy);
  const Desired before = evaluate(snapshot, policy);
  example::link(snapshot, "eth0").has_default_route = false;
  EXPECT_EQ(evaluate(snapshot, policy), before);
  // Until another device has come in its place.
  Link& eth1 = example::link(snapshot, "eth1");
  eth1.up = eth1.has_default_route = true;
  const Desired moved = evaluate(snapshot, policy);
  EXPECT_THAT(knobs_of(moved), testing::Contains("root qdisc of eth1"));
  EXPECT_THAT(knobs_of(moved), testing::Not(testing::Contains("root qdisc of eth0")));
}

TEST(Standing, OfADeviceThatRulesNameDoesNotMakeItAnUplink) {
  const Policy policy = mice_first("[link.uplink]\nrate = \"200 Mbit\"\n", "eth0");
  Snapshot snapshot = example::host();
  example::link(snapshot, "eth0").has_default_route = false;
  const Desired before = evaluate(snapshot, policy);  // at 1 Gbit: it is none
  example::link(snapshot, "eth0").root_handle = make_handle(kOurMajor, 0);
  EXPECT_EQ(evaluate(snapshot, policy), before);
}

TEST(Refusal, OfOneDeviceLeavesTheOthers) {
  Snapshot snapshot = example::host();
  example::link(snapshot, "eth1").has_default_route = true;
  const Desired desired = evaluate(snapshot, mice_first("", "uplink"));
  EXPECT_THAT(desired.refusals, ElementsAre(Refusal{.what = "shape eth1",
                                                    .why = "it is down; it will be shaped when it "
                                                           "is up"}));
  EXPECT_EQ(desired.wishes, evaluate(example::host(), mice_first()).wishes);
}

// Properties, over link rates and policies.

std::vector<Policy> many_policies() {
  std::vector<Policy> all = {mice_first("", "uplink")};
  for (const char* name : {"mice-first.toml", "audit-only.toml", "three-tiers.toml"})
    all.push_back(parsed(example::shipped(name)));
  std::string sixteen = "[link.uplink]\ndownload = \"10 Mbit\"\n[probation]\nguarantee = \"1%\"\n";
  for (int i = 0; i < 16; ++i)
    sixteen += "[[rule]]\nname = \"r" + std::to_string(i) + "\"\nmatch = { name = \"w" +
               std::to_string(i) + "\" }\nbandwidth = { device = \"uplink\", guarantee = \"" +
               (i == 0 ? "0" : "6.6") + "%\", limit = \"50%\" }\n";
  all.push_back(parsed(sixteen));
  return all;
}

TEST(EvaluateProperty, HoldsForEveryRateAndPolicy) {
  for (const Policy& policy : many_policies())
    for (const std::uint64_t rate :
         {100'000ull, 1'000'003ull, 200'000'000ull, 10'000'000'000ull, 400'000'000'000ull})
      for (const std::uint32_t mtu : {0u, 1'500u, 9'000u, 65'535u}) {
        Snapshot snapshot = example::host();
        example::link(snapshot, "eth0").speed = BitRate{rate};
        example::link(snapshot, "eth0").mtu = mtu;
        const Desired desired = evaluate(snapshot, policy);
        EXPECT_EQ(evaluate(snapshot, policy), desired);

        std::set<Knob> knobs;
        for (const Wish& wish : desired.wishes) {
          EXPECT_TRUE(knobs.insert(wish.knob).second) << to_text(wish.knob) << " wished twice";
          EXPECT_FALSE(wish.reason.empty());
          if (const auto* queue = std::get_if<ByteFifo>(&wish.setting)) {
            EXPECT_GE(queue->limit, kShortestQueue);
            EXPECT_LE(queue->limit.count, 0xffffffffu);
          }
          const auto* htb = std::get_if<HtbClass>(&wish.setting);
          if (!htb) continue;
          EXPECT_EQ(htb->rate.bits_per_second % 8, 0u);
          EXPECT_EQ(htb->ceil.bits_per_second % 8, 0u);
          EXPECT_GE(htb->rate, kLeastClassRate);
          EXPECT_LE(htb->rate, htb->ceil);
          EXPECT_LE(htb->priority, 7u);
          EXPECT_GE(htb->quantum.count, mtu + 14u);
          EXPECT_LE(htb->quantum.count, 200'000u);
          EXPECT_GE(htb->burst.count, 10u * mtu);
          // The kernel holds a burst as 32 bits of 64 ns ticks.
          const double ticks = static_cast<double>(htb->burst.count) /
                               static_cast<double>(htb->rate.bytes_per_second()) / 64e-9;
          EXPECT_LT(ticks, 4'294'967'295.0);
        }
      }
}

TEST(EvaluateProperty, GuaranteesFitTheirTotal) {
  for (const Policy& policy : many_policies())
    for (const std::uint64_t rate : {10'000'000ull, 999'999'999ull, 100'000'000'000ull}) {
      Snapshot snapshot = example::host();
      example::link(snapshot, "eth0").speed = BitRate{rate};
      std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> sums;  // total, parts
      for (const Wish& wish : evaluate(snapshot, policy).wishes)
        if (const auto* htb = std::get_if<HtbClass>(&wish.setting)) {
          auto& [total, parts] = sums[device_of(wish.knob)->name];
          if (htb->parent.minor() == 0)
            total = htb->rate.bits_per_second;
          else
            parts += htb->rate.bits_per_second;
        }
      for (const auto& [device, sum] : sums) EXPECT_LE(sum.second, sum.first + 64'000) << device;
    }
}

TEST(EvaluateProperty, DoesNotDependOnTheOrderOfWorkloads) {
  Snapshot snapshot = example::host();
  const Desired desired = evaluate(snapshot, mice_first());
  std::ranges::reverse(snapshot.workloads);
  EXPECT_EQ(evaluate(snapshot, mice_first()), desired);
}

TEST(ShippedPolicy, MiceFirstShapesTheUplink) {
  const Policy policy = parsed(example::shipped("mice-first.toml"));
  EXPECT_EQ(policy.mode, Mode::advise);
  const Desired desired = evaluate(example::host(), policy);
  EXPECT_THAT(desired.refusals, IsEmpty());
  const Device eth0 = example::host().links[1].device;
  EXPECT_EQ(class_on(desired, eth0, 0x10)->rate, BitRate{600'000'000});
  EXPECT_EQ(class_on(desired, eth0, 0x11)->priority, 7u);
  for (const Member& row : wished<Members>(desired, knob::Membership{})->rows) {
    EXPECT_EQ(row.slow_class, 0x10);
    EXPECT_EQ(row.fast_class, 0x11);
  }
}

TEST(ShippedPolicy, AuditOnlyWantsNothing) {
  const Policy policy = parsed(example::shipped("audit-only.toml"));
  EXPECT_EQ(policy.mode, Mode::observe);
  EXPECT_EQ(evaluate(example::host(), policy), Desired{});
}

TEST(ShippedPolicy, ThreeTiersPutsEachWhereItBelongs) {
  const Desired desired = evaluate(example::host(), parsed(example::shipped("three-tiers.toml")));
  EXPECT_THAT(desired.refusals, IsEmpty());
  const auto& rows = wished<Members>(desired, knob::Membership{})->rows;
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[1].slow_class, 0x10);  // 3: gold, its mice
  EXPECT_EQ(rows[1].fast_class, 0x11);  // and its bulk
  EXPECT_EQ(rows[2].slow_class, 0x13);  // 5: the VM, bronze
  EXPECT_EQ(rows[3].fast_class, 0x12);  // 7: silver
  EXPECT_EQ(rows[4].slow_class, 0x13);  // 11: bronze
  EXPECT_EQ(queue_on(desired, example::host().links[1].device, 0x13)->limit, Bytes{500'000});
}

}  // namespace
}  // namespace ankus
