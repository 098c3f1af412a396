// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "act/kernel_actuator.h"
#include "kernel/netlink.h"
#include "kernel/procfs.h"
#include "netns/support.h"

namespace ankus {

/// These claims write interrupts, CPUs and cgroups of the whole machine.
inline bool in_the_vm() { return std::getenv("ANKUS_VM") != nullptr; }

inline std::pair<int, int> kernel_version() {
  utsname name{};
  std::pair version(0, 0);
  if (uname(&name) == 0) std::sscanf(name.release, "%d.%d", &version.first, &version.second);
  return version;
}

inline std::string text_of(const std::string& path) {
  return read_file_head(path).value_or("(unreadable)");
}

/// Until `holds` does; an upper bound only.
inline bool eventually(const std::function<bool()>& holds, seconds limit = seconds(30)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return true;
}

inline CpuSet cpus(std::string_view list) { return cpu_list_from_text(list).value(); }

/// The real actuator, a knob at a time.
class OneKnob {
 public:
  explicit OneKnob(KernelHandles handles = {}) {
    auto actuator = KernelActuator::open(std::move(handles));
    EXPECT_TRUE(actuator) << actuator.error().text;
    if (actuator) actuator_.emplace(std::move(*actuator));
  }
  Result<Setting> read(const Knob& knob) {
    return std::move(actuator_->read(std::span(&knob, 1)).at(0));
  }
  Result<void> write(const Knob& knob, const Setting& before, const Setting& after) {
    const Action action{.knob = knob, .before = before, .after = after, .reason = "test"};
    return std::move(actuator_->write(std::span(&action, 1)).at(0));
  }

 private:
  std::optional<KernelActuator> actuator_;
};

}  // namespace ankus
