// SPDX-License-Identifier: Apache-2.0
#include "base/handle.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace ankus {
namespace {

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFd, ClosesOnce) {
  int raw = -1;
  {
    const UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = fd.get();
    ASSERT_TRUE(is_open(raw));
  }
  EXPECT_FALSE(is_open(raw));
}

TEST(UniqueFd, MovesItsDescriptor) {
  UniqueFd first(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int raw = first.get();
  UniqueFd second(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int replaced = second.get();
  second = std::move(first);
  EXPECT_EQ(second.get(), raw);
  EXPECT_FALSE(is_open(replaced));
  const int released = second.release();
  EXPECT_FALSE(second);
  EXPECT_TRUE(is_open(released));
  (void)close(released);  // the test's own
}

TEST(UniqueFd, SurvivesMovingIntoItself) {
  UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int raw = fd.get();
  UniqueFd& alias = fd;
  fd = std::move(alias);
  EXPECT_EQ(fd.get(), raw);
  EXPECT_TRUE(is_open(raw));
}

int freed = 0;
int count_free(int* object) {
  ++freed;
  delete object;
  return 0;
}

TEST(Handle, FreesWithItsFunction) {
  freed = 0;
  {
    const Handle<int, count_free> handle(new int(1));
  }
  EXPECT_EQ(freed, 1);
}

}  // namespace
}  // namespace ankus
