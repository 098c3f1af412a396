// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "act/actuator.h"
#include "act/kernel_knobs.h"

namespace ankus {

/// The Actuator that turns the real knobs, in the caller's network namespace.
class KernelActuator final : public Actuator {
 public:
  static Result<KernelActuator> open(KernelHandles handles);

  std::vector<Result<Setting>> read(std::span<const Knob> knobs) override;
  std::vector<Result<void>> write(std::span<const Action> actions) override;

 private:
  KernelActuator(NetlinkSocket socket, KernelHandles handles)
      : socket_(std::move(socket)), handles_(std::move(handles)) {}

  NetlinkSocket socket_;
  KernelHandles handles_;
};

}  // namespace ankus
