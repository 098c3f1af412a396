// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

using nlohmann::json;

/// "501 unsupported".
std::string said(const Reply& reply) {
  return std::to_string(reply.status) + " " + reply.body["error"]["kind"].get<std::string>();
}

TEST(ReplyOf, WhatTheHostCannotDoIsNoMatterOfTheMode) {
  const Error error{.kind = ErrorKind::unsupported, .text = "no TCP here"};
  EXPECT_EQ(said(reply_of(error)), "501 unsupported");
  EXPECT_EQ(said(reply_of_apply(error, Mode::enforce)), "501 unsupported");
  EXPECT_EQ(said(reply_of_apply(error, Mode::observe)), "409 wrong_mode");
}

TEST(ReplyOf, ApplyWithNothingToDoItToIsAMatterOfTheState) {
  const Error error{.kind = ErrorKind::invalid, .text = "x"};
  EXPECT_EQ(said(reply_of(error)), "422 bad_policy");
  EXPECT_EQ(said(reply_of_apply(error, Mode::advise)), "409 wrong_state");
}

TEST(WorkloadIn, IsANameOrAnId) {
  EXPECT_EQ(workload_in({{"workload", "web"}}).value(), "web");
  EXPECT_EQ(workload_in(json::parse(R"({"workload":7})")).value(), "7");
  for (const char* body :
       {"{}", R"({"workload":[["web"]]})", R"({"workload":-7})", R"({"workload":null})"})
    EXPECT_EQ(workload_in(json::parse(body)).error().kind, ErrorKind::invalid) << body;
}

}  // namespace
}  // namespace ankus
