// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "kernel/netlink.h"

namespace ankus {

/// The messages of one kind in a file of tests/data: "KIND HEX" lines.
inline std::vector<NetlinkMessage> recorded_messages(const std::string& file_name,
                                                     const std::string& kind) {
  std::ifstream file(ANKUS_SOURCE_DIR "/tests/data/" + file_name);
  std::vector<NetlinkMessage> messages;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, hex;
    words >> name >> hex;
    if (name != kind) continue;
    NetlinkMessage message;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      unsigned value = 0;
      std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
      message.push_back(static_cast<std::byte>(value));
    }
    messages.push_back(std::move(message));
  }
  EXPECT_FALSE(messages.empty()) << kind;
  return messages;
}

}  // namespace ankus
