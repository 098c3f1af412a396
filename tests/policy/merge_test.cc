// SPDX-License-Identifier: Apache-2.0
#include "policy/merge.h"

#include <gmock/gmock.h>

#include "policy/parse.h"

namespace ankus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

MergedPolicies merged(const std::vector<std::string>& texts) {
  std::vector<PolicyFile> files;
  for (const std::string& text : texts) {
    const std::string name = std::to_string(files.size() + 1) + ".toml";
    ParsedPolicy parsed = parse_policy(text, name);
    EXPECT_THAT(parsed.errors, IsEmpty());
    files.push_back({.name = name, .policy = std::move(parsed.policy)});
  }
  return merge_policies(files);
}

std::string rule(const std::string& name, const std::string& guarantee,
                 const std::string& match = "") {
  return "[[rule]]\nname = \"" + name + "\"\nmatch = { name = \"" + (match.empty() ? name : match) +
         "\" }\nbandwidth = { device = \"eth0\", guarantee = \"" + guarantee + "\" }\n";
}

TEST(MergePolicies, RulesAndLinksAddUpInTheOrderOfTheFiles) {
  const auto all = merged({"[link.eth0]\nrate = \"1 Gbit\"\n" + rule("b", "20%"),
                           "[link.eth1]\nrate = \"1 Gbit\"\n" + rule("a", "20%")});
  EXPECT_THAT(all.errors, IsEmpty());
  ASSERT_EQ(all.policy.rules.size(), 2U);
  EXPECT_EQ(all.policy.rules[0].name, "b");
  EXPECT_EQ(all.policy.links.size(), 2U);
}

TEST(MergePolicies, OfEachBlockTheLastThatIsNotTheDefaultCountsAsAWhole) {
  const auto all = merged({"mode = \"enforce\"\nguard.cooldown = \"1m\"\n",
                           "guard.actions_per_plan = 30\nfast.share = \"5%\"\n",
                           "mode = \"advise\"\nfast.share = \"2.5%\"\n"});
  EXPECT_EQ(all.policy.mode, Mode::enforce) << "advise is what a file says that says nothing";
  EXPECT_EQ(all.policy.guard, (Guard{.actions_per_plan = 30}))
      << "without the first one's cooldown";
  EXPECT_EQ(all.policy.fast.share, *parse_share("5%"));
}

TEST(MergePolicies, WhatIsThereTwiceIsAnError) {
  EXPECT_THAT(merged({rule("a", "20%"), rule("a", "10%", "other")}).errors,
              ElementsAre("2.toml: rule \"a\" is in 1.toml too; rename one of them"));
  EXPECT_THAT(merged({"[link.eth0]\n", "[link.eth0]\n"}).errors,
              ElementsAre("2.toml: [link.eth0] is in an earlier file too; keep one of them"));
}

TEST(MergePolicies, ContradictionsBetweenFilesAreErrors) {
  EXPECT_THAT(merged({rule("a", "60%"), rule("b", "70%")}).errors,
              ElementsAre(HasSubstr("2.toml: rule \"b\": bandwidth: the guarantees on eth0 add up "
                                    "to 140%")));
  EXPECT_THAT(merged({rule("a", "10%"), rule("b", "20%", "a")}).errors,
              ElementsAre(HasSubstr("2.toml: rule \"b\": bandwidth: never applies: rule \"a\"")));
}

TEST(MergePolicies, AllFilesTogetherHaveNoMoreRulesThanOneMayHave) {
  const auto many = [](const std::string& prefix, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      const std::string name = prefix + std::to_string(i);
      text += "[[rule]]\nname = \"" + name + "\"\nmatch = { name = \"" + name +
              "\" }\nvhost = { cpus = \"all\" }\n";
    }
    return text;
  };
  EXPECT_THAT(merged({many("a", 200), many("b", 56)}).errors, IsEmpty());
  EXPECT_THAT(merged({many("a", 200), many("b", 57)}).errors,
              ElementsAre("257 rules in all files; at most 256 are possible"));
}

}  // namespace
}  // namespace ankus
