// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

using nlohmann::json;

TEST(WorkloadIn, IsANameOrAnId) {
  EXPECT_EQ(workload_in({{"workload", "web"}}).value(), "web");
  EXPECT_EQ(workload_in(json::parse(R"({"workload":7})")).value(), "7");
  for (const char* body :
       {"{}", R"({"workload":[["web"]]})", R"({"workload":-7})", R"({"workload":null})"})
    EXPECT_EQ(workload_in(json::parse(body)).error().kind, ErrorKind::invalid) << body;
}

}  // namespace
}  // namespace ankus
