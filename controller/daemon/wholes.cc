// SPDX-License-Identifier: Apache-2.0
#include "daemon/wholes.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "model/dependency.h"
#include "verify/experiment.h"

namespace ankus {
namespace {

bool is_table(const Action& action) {
  return std::holds_alternative<knob::Membership>(action.knob);
}
bool is_bans(const Action& action) {
  return std::holds_alternative<knob::IrqbalanceBans>(action.knob);
}
bool is_interrupt(const Action& action) {
  return std::holds_alternative<knob::IrqAffinity>(action.knob);
}

/// In place, or once it was.
bool hangs_on(const Action& a, const Action& b) {
  return depends_on({a.knob, a.after}, {b.knob, b.after}) ||
         depends_on({a.knob, a.before}, {b.knob, b.before});
}

/// One list, which names them all: with an interrupt left out it would be another list.
bool share_the_list(const Action& a, const Action& b) { return is_bans(a) && is_interrupt(b); }

bool belong_together(const Action& a, const Action& b) {
  return hangs_on(a, b) || hangs_on(b, a) || share_the_list(a, b) || share_the_list(b, a);
}

/// For each action the number of its whole.
std::vector<std::size_t> numbers_of(const std::vector<Action>& actions) {
  std::vector<std::size_t> whole(actions.size());
  std::iota(whole.begin(), whole.end(), std::size_t{0});
  std::vector<std::vector<std::string>> objects;
  for (const Action& action : actions) objects.push_back(objects_of({&action, 1}));
  for (std::size_t i = 0; i < actions.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      if (whole[i] != whole[k] &&
          (objects[i] == objects[k] || belong_together(actions[i], actions[k])))
        std::ranges::replace(whole, std::size_t{std::max(whole[i], whole[k])},
                             std::size_t{std::min(whole[i], whole[k])});
  return whole;
}

}  // namespace

std::vector<Plan> wholes_of(const Plan& plan) {
  std::vector<Action> actions;
  std::ranges::copy_if(plan.actions, std::back_inserter(actions), std::not_fn(is_table));
  const std::vector<std::size_t> numbers = numbers_of(actions);
  std::map<std::size_t, Plan> wholes;
  for (std::size_t i = 0; i < actions.size(); ++i)
    wholes[numbers[i]].actions.push_back(std::move(actions[i]));
  std::vector<Plan> list;
  for (auto& [number, whole] : wholes) list.push_back(std::move(whole));
  return list;
}

Sifted sift(const Plan& plan,
            const std::function<std::optional<std::string>(const Plan&)>& refuses) {
  Sifted sifted;
  std::set<Knob> out;
  for (const Plan& whole : wholes_of(plan)) {
    auto why = refuses(whole);
    if (!why) continue;
    if (!sifted.why) sifted.why = std::move(why);
    for (const Action& action : whole.actions) out.insert(action.knob);
  }
  std::ranges::copy_if(plan.actions, std::back_inserter(sifted.free.actions),
                       [&](const Action& action) { return !out.contains(action.knob); });
  return sifted;
}

Unwanted unwanted_of(const Plan& plan, const std::function<bool(const Action&)>& is_removal) {
  std::set<Knob> removed;
  for (const Plan& whole : wholes_of(plan))
    if (std::ranges::all_of(whole.actions, is_removal))
      for (const Action& action : whole.actions) removed.insert(action.knob);
  Unwanted parts;
  for (const Action& action : plan.actions)
    (removed.contains(action.knob) || (is_table(action) && is_removal(action)) ? parts.removals
                                                                               : parts.rest)
        .actions.push_back(action);
  return parts;
}

}  // namespace ankus
