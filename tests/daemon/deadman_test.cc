// SPDX-License-Identifier: Apache-2.0
#include "daemon/deadman.h"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <filesystem>

namespace ankus {
namespace {

using testing::StartsWith;

TEST(Deadman, EachInstanceHasItsOwnUnit) {
  EXPECT_EQ(deadman_unit("/run/ankus"), "ankus-rollback");
  EXPECT_EQ(deadman_unit("/run/../run/ankus/"), "ankus-rollback");
  EXPECT_THAT(deadman_unit("/run/lab"), StartsWith("ankus-rollback-"));
  EXPECT_EQ(deadman_unit("/run/lab"), deadman_unit("/run//lab/"));
  EXPECT_NE(deadman_unit("/run/lab"), deadman_unit("/run/lab2"));
  EXPECT_EQ(deadman_unit("lab"), deadman_unit(std::filesystem::current_path() / "lab"));
}

TEST(Deadman, DoesNotWaitForEverForSystemd) {
  EXPECT_EQ(run_and_wait({"sh", "-c", "exit 3"}, std::chrono::seconds(60)), 3);
  EXPECT_EQ(run_and_wait({"sleep", "infinity"}, std::chrono::milliseconds(50)), -1);
  EXPECT_EQ(waitpid(-1, nullptr, 0), -1) << "and leaves no child";
}

TEST(Deadman, KnowsANamespaceByItsFile) {
  EXPECT_TRUE(is_same_namespace("/proc/self/ns/net", "/proc/thread-self/ns/net"));
  EXPECT_FALSE(is_same_namespace("/proc/self/ns/net", "/proc/self/ns/mnt"));
  EXPECT_FALSE(is_same_namespace("/proc/self/ns/net", "/proc/0/ns/net")) << "is not there";
}

}  // namespace
}  // namespace ankus
