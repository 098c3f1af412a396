// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "base/clock.h"
#include "sense/links.h"
#include "sense/threads.h"
#include "sense/workloads.h"

namespace ankus {

/// vhost workers and NAPI threads, as the daemon finds them.
inline std::vector<NetThread> found_threads(NetThreads& threads) {
  auto links = LinkReader::open();
  auto inventory = WorkloadInventory::open(host_roots());
  const MonotonicTime now = SystemClock().monotonic();
  const auto read = links->read(now);
  const auto scan = inventory->scan(*read, now);
  EXPECT_TRUE(scan) << scan.error().text;
  return scan ? threads.read(scan->workloads, *read, now) : std::vector<NetThread>{};
}

inline std::vector<NetThread> found_threads() {
  NetThreads threads({.cgroup = "/sys/fs/cgroup"});
  return found_threads(threads);
}

}  // namespace ankus
