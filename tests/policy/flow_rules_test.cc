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
  EXPECT_EQ(rules.links[1].device.ifindex, 900u);
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
