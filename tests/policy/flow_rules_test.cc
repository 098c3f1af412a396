// SPDX-License-Identifier: Apache-2.0
#include "policy/flow_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/classes.h"
#include "policy/example_host.h"
#include "policy/parse.h"

namespace ankus {
namespace {

Policy parsed(std::string_view text) {
  ParsedPolicy result = parse_policy(text, "test.toml");
  for (const PolicyError& error : result.errors) ADD_FAILURE() << to_text(error);
  return std::move(result.policy);
}

const char* const kRule =
    "[[rule]]\nname = \"all\"\nbandwidth = { device = \"uplink\", guarantee = \"50%\" }\n";

TEST(FlowRules, AreAbsoluteNumbers) {
  const FlowRules rules = flow_rules(example::host(), parsed(kRule));
  EXPECT_EQ(rules.fast_window, milliseconds(100));
  EXPECT_EQ(rules.fast_hold, seconds(1));
  EXPECT_EQ(rules.prove, milliseconds(200));
  EXPECT_EQ(rules.elephant_bytes, Bytes{10'000'000});
  EXPECT_EQ(rules.elephant_rate_bytes, Bytes{12'500'000});  // 100 Mbit for 1 s
  EXPECT_EQ(rules.footprint_heavy, BitRate{100'000'000});
  ASSERT_EQ(rules.links.size(), 1u);
  EXPECT_EQ(rules.links[0], (LinkFlowRules{.device = example::host().links[1].device,
                                           .shaped = true,
                                           .probation_class = kProbationMinor,
                                           .rate = BitRate{1'000'000'000},
                                           .fast_bytes = {312'500},
                                           .admission_rate = BitRate{100'000'000},
                                           .admission_burst = {250'000},
                                           .admission_burst_others = {250'000}}));
}

TEST(FlowRules, OnSlowLinksTheFloorsHold) {
  const FlowRules rules =
      flow_rules(example::host(), parsed("[link.eth0]\nrate = \"10 Mbit\"\n" + std::string(kRule)));
  EXPECT_EQ(rules.links.at(0).fast_bytes, Bytes{64'000});
  EXPECT_EQ(rules.links.at(0).admission_burst, kSmallestAdmissionBurst);
  EXPECT_EQ(rules.links.at(0).admission_burst_others, kSmallestAdmissionBurstOfOthers);
}

TEST(FlowRules, WatchTheUplinkWithoutRules) {
  const FlowRules rules = flow_rules(example::host(), parsed("mode = \"observe\""));
  ASSERT_EQ(rules.links.size(), 1u);
  EXPECT_EQ(rules.links[0].device.name, "eth0");
  EXPECT_FALSE(rules.links[0].shaped);
  EXPECT_EQ(rules.links[0].probation_class, 0);
  EXPECT_EQ(rules.elephant_rate_bytes, Bytes{12'500'000});
}

HeldKnob held(Knob knob, Setting written) {
  return {.knob = std::move(knob), .original = Absent{}, .written = std::move(written)};
}

/// eth0 and the ifb behind it, as a policy that stated 200 and 100 Mbit has left them.
Snapshot with_trees() {
  Snapshot snapshot = example::host();
  const Device eth0 = snapshot.links[1].device;
  const Device ifb{.name = "ankus-ifb2", .ifindex = 1'000'002, .netns_cookie = example::kCookie};
  snapshot.links.push_back({.device = ifb, .kind = "ifb", .up = true});
  for (const auto& [device, rate] : {std::pair(eth0, 200'000'000u), {ifb, 100'000'000u}}) {
    snapshot.held.push_back(
        held(knob::TcClass{.device = device, .handle = make_handle(kOurMajor, kTotalMinor)},
             total_class(BitRate{rate}, 1'500)));
    snapshot.held.push_back(held(knob::Classifier{.device = device}, ClassifierProgram{}));
  }
  snapshot.held.push_back(
      held(knob::IngressRedirect{.device = eth0}, RedirectTo{.ifindex = ifb.ifindex}));
  return snapshot;
}

TEST(FlowRules, OfATreeThatNobodyAsksForAnyMoreAreThoseItWasMadeWith) {
  Snapshot snapshot = with_trees();
  const Device eth0 = snapshot.links[1].device;
  for (const bool protects : {false, true}) {
    const std::string policy =
        protects ? "[guard]\nprotect = { devices = [\"eth0\"] }\n" + std::string(kRule) : "";
    const FlowRules rules = flow_rules(snapshot, parsed(policy));
    ASSERT_EQ(rules.links.size(), 2u);
    EXPECT_EQ(rules.links[0].device, eth0);
    EXPECT_EQ(rules.links[0].receives_for, std::nullopt);
    EXPECT_EQ(rules.links[1].receives_for, eth0);
    for (const LinkFlowRules& link : rules.links) EXPECT_EQ(link.probation_class, kProbationMinor);
    EXPECT_EQ(rules.links[0].admission_rate, BitRate{20'000'000});
    EXPECT_EQ(rules.links[1].admission_rate, BitRate{10'000'000});
  }
  // Nor does it need a default route, or a rate.
  example::link(snapshot, "eth0").has_default_route = false;
  example::link(snapshot, "eth0").speed = std::nullopt;
  example::link(snapshot, "eth0").device.name = "wan0";  // nor its name
  EXPECT_EQ(flow_rules(snapshot, parsed("")).links.at(0).device.name, "wan0");
  EXPECT_EQ(flow_rules(snapshot, parsed("")).links.at(0).rate, BitRate{200'000'000});
  std::erase_if(snapshot.held, [](const HeldKnob& h) {
    return std::holds_alternative<knob::TcClass>(h.knob);  // somebody else has changed it since
  });
  EXPECT_EQ(flow_rules(snapshot, parsed("")).links.at(0).probation_class, kProbationMinor);
}

TEST(FlowRules, WithoutARateOnlyWhatIsAbsoluteHolds) {
  Snapshot snapshot = example::host();
  example::link(snapshot, "eth0").speed = std::nullopt;
  const FlowRules rules = flow_rules(snapshot, parsed(kRule));
  ASSERT_EQ(rules.links.size(), 1u);
  EXPECT_FALSE(rules.links[0].shaped);
  EXPECT_EQ(rules.links[0].rate, std::nullopt);
  EXPECT_EQ(rules.links[0].fast_bytes, Bytes{64'000});
  EXPECT_EQ(rules.links[0].admission_rate, std::nullopt);
  EXPECT_EQ(rules.elephant_rate_bytes, std::nullopt);
  EXPECT_EQ(rules.footprint_heavy, std::nullopt);
}

TEST(FlowRules, AnIfbHasThoseOfTheDownload) {
  const FlowRules rules = flow_rules(
      example::host(), parsed("[link.eth0]\ndownload = \"400 Mbit\"\n" + std::string(kRule)));
  ASSERT_EQ(rules.links.size(), 2u);
  EXPECT_EQ(rules.links[1].device.name, "ankus-ifb2");
  EXPECT_EQ(rules.links[1].device.ifindex, 1'000'002u);
  EXPECT_EQ(rules.links[1].receives_for, rules.links[0].device);
  EXPECT_EQ(rules.links[1].rate, BitRate{380'000'000});
  EXPECT_EQ(rules.links[1].fast_bytes, Bytes{118'750});
}

TEST(FlowRules, FitTheKernelSidesFields) {
  const FlowRules rules =
      flow_rules(example::host(), parsed("[link.eth0]\nrate = \"1000 Gbit\"\n[fast]\nshare = "
                                         "\"100%\"\nwindow = \"10s\"\n[admission]\nburst = "
                                         "\"1s\"\n" +
                                         std::string(kRule)));
  EXPECT_EQ(rules.links.at(0).fast_bytes.count, 0xffffffffu);
  EXPECT_EQ(rules.links.at(0).admission_burst.count, 0x7fffffffu);
}

}  // namespace
}  // namespace ankus
