// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "act/actuator.h"

namespace ankus {

/// Reads through another actuator and writes into a map: what is written reads back, and the host
/// stays as it is.
class DryRun final : public Actuator {
 public:
  explicit DryRun(Actuator& host) : host_(host) {}

  std::vector<Result<Setting>> read(std::span<const Knob> knobs) override;
  std::vector<Result<void>> write(std::span<const Action> actions) override;
  Setting as_kept(const Knob& knob, const Setting& setting) override {
    return host_.as_kept(knob, setting);
  }
  /// What would have been written, in order.
  const std::vector<Action>& would_write() const { return would_write_; }

 private:
  Actuator& host_;
  std::map<Knob, Setting> written_;
  std::vector<Action> would_write_;
};

}  // namespace ankus
