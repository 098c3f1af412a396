// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

TEST(Result, ErrnoSaysWhatToDo) {
  for (const int err : {ENOENT, ESRCH, ENODEV, ENXIO}) EXPECT_EQ(error_kind(err), ErrorKind::gone);
  for (const int err : {EOPNOTSUPP, ENOSYS}) EXPECT_EQ(error_kind(err), ErrorKind::unsupported);
  for (const int err : {EAGAIN, EBUSY, EINTR, ENOBUFS}) EXPECT_EQ(error_kind(err), ErrorKind::busy);
  for (const int err : {EPERM, EACCES, EIO, ENOSPC}) EXPECT_EQ(error_kind(err), ErrorKind::refused);
}

TEST(Result, ContextGoesInFront) {
  const Result<int> inner = fail_errno("write /proc/irq/45/smp_affinity", EPERM);
  const Result<int> outer = with_context("irq 45", inner.error());
  ASSERT_FALSE(outer);
  EXPECT_EQ(outer.error(),
            (Error{.kind = ErrorKind::refused,
                   .err = EPERM,
                   .text = "irq 45: write /proc/irq/45/smp_affinity: Operation not permitted"}));
}

}  // namespace
}  // namespace ankus
