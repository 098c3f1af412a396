// SPDX-License-Identifier: Apache-2.0
#include "daemon/fields.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

using api::Verb;
using nlohmann::json;

/// What is wrong with it; "" if nothing.
std::string wrong(Verb verb, const char* body) {
  return wrong_field(json::parse(body), api::route_of(verb)).value_or("");
}

TEST(WrongField, AMisspeltOneIsNamedWithThoseThatAreKnown) {
  EXPECT_EQ(wrong(Verb::plan_policy, R"({"polcy_text":"x"})"),
            "unknown field \"polcy_text\": POST /v1/plan knows policy_text, policy_file");
  EXPECT_EQ(wrong(Verb::confirm, R"({"id":"p-1"})"),
            "unknown field \"id\": POST /v1/confirm knows no fields");
}

TEST(WrongField, WhatARouteTakesIsNot) {
  for (const auto& [verb, body] : {
           std::pair(Verb::apply, R"({"policy_text":"x","policy_file":"p","confirm_within_ms":1})"),
           std::pair(Verb::apply, "{}"),
           std::pair(Verb::plan_policy, R"({"policy_text":"x"})"),
           std::pair(Verb::measure, R"({"window_ms":100,"one_in":1})"),
           std::pair(Verb::rollback, R"({"all":true})"),
           std::pair(Verb::rollback, R"({"id":"p-1"})"),
           std::pair(Verb::opt_out, R"({"workload":7})"),
           std::pair(Verb::opt_in, R"({"workload":"web"})"),
       })
    EXPECT_EQ(wrong(verb, body), "") << body;
}

TEST(WrongField, OneOfAnotherTypeIs) {
  for (const char* text : {"17", "null", "[\"mode\"]", "{}"})
    EXPECT_EQ(wrong(Verb::apply, (R"({"policy_text":)" + std::string(text) + "}").c_str()),
              "policy_text must be text");
  EXPECT_EQ(wrong(Verb::plan_policy, R"({"policy_text":"","policy_file":1})"),
            "policy_file must be text");
  EXPECT_EQ(wrong(Verb::apply, R"({"confirm_within_ms":"60s"})"),
            "confirm_within_ms must be a whole number");
  EXPECT_EQ(wrong(Verb::apply, R"({"confirm_within_ms":1.5})"),
            "confirm_within_ms must be a whole number");
  EXPECT_EQ(wrong(Verb::rollback, R"({"all":"yes","id":"p-1"})"), "all must be true or false");
  EXPECT_EQ(wrong(Verb::rollback, R"({"all":true,"id":1})"), "id must be text");
}

TEST(WrongField, AFileWithoutItsTextIs) {
  EXPECT_EQ(wrong(Verb::apply, R"({"policy_file":"mice.toml"})"),
            "policy_file without policy_text means nothing");
}

}  // namespace
}  // namespace ankus
