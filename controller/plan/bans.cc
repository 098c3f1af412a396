// SPDX-License-Identifier: Apache-2.0
#include "plan/bans.h"

#include <algorithm>

#include "base/cpu_set.h"

namespace ankus {
namespace {

CpuSet numbers(const BannedIrqs& bans) { return cpu_set_of(bans.irqs); }  // a set, this too

/// What is on the list by us alone.
CpuSet ours_of(const PlanInput& input, const Knob& knob) {
  const auto held = std::ranges::find(input.held, knob, &HeldKnob::knob);
  if (held == input.held.end()) return {};
  const auto* original = std::get_if<BannedIrqs>(&held->original);
  const auto* written = std::get_if<BannedIrqs>(&held->written);
  if (original == nullptr || written == nullptr) return {};
  return without(numbers(*written), numbers(*original));
}

/// If there is no irqbalance.
bool runs_not(const Result<Setting>& reading) {
  return reading ? std::holds_alternative<Absent>(*reading)
                 : reading.error().kind == ErrorKind::gone;
}

}  // namespace

Desired with_bans_of_others(const PlanInput& input) {
  Desired desired = input.desired;
  const auto reading_of = [&](const Wish& wish) -> const Result<Setting>* {
    const auto found = input.current.find(wish.knob);
    const bool bans = std::holds_alternative<knob::IrqbalanceBans>(wish.knob);
    return bans && found != input.current.end() ? &found->second : nullptr;
  };
  std::erase_if(desired.wishes, [&](const Wish& wish) {
    const auto* reading = reading_of(wish);
    return reading != nullptr && runs_not(*reading);
  });
  for (Wish& wish : desired.wishes) {
    const auto* reading = reading_of(wish);
    const auto* now =
        reading != nullptr && *reading ? std::get_if<BannedIrqs>(&**reading) : nullptr;
    auto* wanted = std::get_if<BannedIrqs>(&wish.setting);
    if (now == nullptr || wanted == nullptr) continue;
    const CpuSet others = without(numbers(*now), ours_of(input, wish.knob));
    wanted->irqs = united(others, numbers(*wanted)).cpus;
  }
  return desired;
}

std::optional<std::string> why_not_told(const Wish& wish, const Setting& current) {
  const auto* wanted = std::get_if<BannedIrqs>(&wish.setting);
  if (wanted == nullptr || same_setting(wish.setting, current) || can_be_told(*wanted))
    return std::nullopt;
  return "irqbalance runs, and cannot be told to leave " + std::to_string(wanted->irqs.size()) +
         " interrupts alone: its socket takes a list of at most 481 bytes, some 120 of them; let "
         "irq rules speak of fewer devices";
}

}  // namespace ankus
