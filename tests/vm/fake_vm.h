// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/cpu_set.h"

namespace ankus {

/// A process that is to the kernel what a VMM is: it holds a tap, owns a vhost-net device whose
/// worker the kernel made, has a thread that is called as QEMU's virtual CPUs are, and sends
/// frames (of the local experimental type, to everybody) all the time, through the worker.
class FakeVm {
 public:
  enum class Worker { as_the_kernel_does, kernel_thread };
  struct Options {
    std::string tap = "tap0";
    std::string cgroup;  ///< directory to enter first; "" stays
    CpuSet vcpu;         ///< affinity of the virtual CPU's thread; empty: any
    Worker worker = Worker::as_the_kernel_does;
  };
  /// `error` says what failed.
  explicit FakeVm(const Options& options);
  ~FakeVm();
  FakeVm(const FakeVm&) = delete;
  FakeVm& operator=(const FakeVm&) = delete;

  /// Frames that the worker has taken so far.
  std::uint64_t sent() const;

  pid_t pid = -1;
  std::string error;

 private:
  struct Shared;
  Shared* shared_ = nullptr;
};

}  // namespace ankus
