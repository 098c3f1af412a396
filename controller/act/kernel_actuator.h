// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "act/actuator.h"
#include "act/kernel_knobs.h"
#include "model/held.h"

namespace ankus {

/// The Actuator that turns the real knobs, in the caller's network namespace.
class KernelActuator final : public Actuator {
 public:
  static Result<KernelActuator> open(KernelHandles handles);

  std::vector<Result<Setting>> read(std::span<const Knob> knobs) override;
  std::vector<Result<void>> write(std::span<const Action> actions) override;
  Setting as_kept(const Knob& knob, const Setting& setting) override;

  /// Lets the classifiers that are held run this process's program, and use its maps, without a
  /// packet in between that has no class: for the start after a restart or an upgrade.
  Result<void> renew_classifiers(std::span<const HeldKnob> held);

 private:
  KernelActuator(NetlinkSocket socket, KernelHandles handles)
      : socket_(std::move(socket)), handles_(std::move(handles)) {}

  NetlinkSocket socket_;
  KernelHandles handles_;
};

}  // namespace ankus
