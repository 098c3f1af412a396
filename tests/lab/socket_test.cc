// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lab/traffic_socket.h"

namespace ankus::traffic {

TEST(Endpoint, ReadsBothFamiliesAndPrintsThemAlike) {
  for (const char* text : {"10.77.0.2:5000", "[fd77::2]:65535"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << endpoint.error().text;
    EXPECT_EQ(to_text(*endpoint), text);
  }
}

TEST(Endpoint, RefusesWhatIsNotOne) {
  for (const char* text :
       {"", "10.77.0.2", "10.77.0.2:", "10.77.0.2:0", "10.77.0.2:65536", "10.77.0.2:80x",
        "fd77::2:5000", "[fd77::2]", "[10.77.0.2]:5000", "host:1"})
    EXPECT_FALSE(parse_endpoint(text)) << text;
}

TEST(Dial, AnUnknownCongestionControlIsNamed) {
  const auto fd = dial({.to = *parse_endpoint("127.0.0.1:1"), .congestion = "nosuch"});
  ASSERT_FALSE(fd);
  EXPECT_NE(fd.error().text.find("nosuch"), std::string::npos) << fd.error().text;
}

}  // namespace ankus::traffic
