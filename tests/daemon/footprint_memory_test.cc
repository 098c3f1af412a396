// SPDX-License-Identifier: Apache-2.0
#include "daemon/footprint_memory.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

TEST(FootprintMemory, KeepsWhatIsLearntAndWhatIsNewer) {
  FootprintMemory memory({{"a", Weight::light}, {"b", Weight::heavy}});
  memory.keep("a", Weight::heavy);
  EXPECT_EQ(memory.find("a"), Weight::heavy);
  EXPECT_EQ(memory.find("b"), Weight::heavy);
  EXPECT_EQ(memory.find("c"), std::nullopt);
}

TEST(FootprintMemory, ForgetsFirstWhatWasNotSeenForLongest) {
  FootprintMemory memory({{"a", Weight::light}, {"b", Weight::light}}, 3);
  memory.keep("c", Weight::light);
  memory.keep("a", Weight::light);
  memory.keep("d", Weight::light);
  EXPECT_EQ(memory.find("b"), std::nullopt);
  EXPECT_EQ(memory.find("a"), Weight::light);
  EXPECT_EQ(memory.find("c"), Weight::light);
}

TEST(FootprintMemory, ATenantsInventedLabelsDoNotMakeItGrow) {
  FootprintMemory memory;
  for (int i = 0; i < 30'000; ++i) {
    memory.keep("unit:mine.service", Weight::light);
    memory.keep("exe:python3 " + std::to_string(i), Weight::light);
  }
  EXPECT_EQ(memory.size(), 10'000u) << "what history.db keeps";
  EXPECT_EQ(memory.find("unit:mine.service"), Weight::light) << "it is still there to be seen";
}

}  // namespace
}  // namespace ankus
