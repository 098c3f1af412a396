// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/dependency.h"
#include "plan/bans.h"

namespace ankus {
namespace {

const Setting kAbsent = Absent{};

bool is_absent(const Setting& setting) { return std::holds_alternative<Absent>(setting); }

std::string device_name(const Knob& knob) {
  if (const auto* ifb = std::get_if<knob::Ifb>(&knob)) return ifb->name;
  const Device* device = device_of(knob);
  return device == nullptr ? "this host" : device->name;
}

/// What a knob reads as, or why it cannot be planned for.
struct Reading {
  Setting setting;
  std::optional<Refusal> refusal;
};

Reading read_knob(const PlanInput& input, const Knob& knob, bool device_will_be_made) {
  const auto refuse = [&](std::string why) {
    return Reading{.refusal = Refusal{.what = to_text(knob), .why = std::move(why)}};
  };
  const auto found = input.current.find(knob);
  if (found == input.current.end()) return refuse("it was not read");
  if (!found->second) {
    const Error& error = found->second.error();
    if (error.kind == ErrorKind::gone && device_will_be_made) return {.setting = Absent{}};
    return refuse(error.text);
  }
  if (const auto* foreign = std::get_if<Foreign>(&*found->second))
    return refuse("it is not ours: " + foreign->what);
  return {.setting = *found->second};
}

/// One wish with what was found out about it.
struct Candidate {
  const Wish* wish = nullptr;
  Setting current;
  bool blocked = false;
  bool rebuilt = false;
};

bool same_tree(const Knob& a, const Knob& b) {
  const std::string_view tree = tree_of(a);
  return !tree.empty() && tree == tree_of(b) && *device_of(a) == *device_of(b);
}

bool needs(const Candidate& a, const Candidate& b) {
  // An irqbalance that cannot be asked would move what is placed.
  if (std::holds_alternative<knob::IrqbalanceBans>(b.wish->knob))
    return std::holds_alternative<knob::IrqAffinity>(a.wish->knob);
  return depends_on({a.wish->knob, a.wish->setting}, {b.wish->knob, b.wish->setting});
}

/// Blocks all that cannot work without what is blocked, the rest of its tree, and then each ifb
/// and clsact that would be made for nothing.
void spread_blocks(std::vector<Candidate>& candidates) {
  for (bool again = true; again;) {
    again = false;
    for (Candidate& a : candidates) {
      if (a.blocked) continue;
      const bool broken = std::ranges::any_of(candidates, [&](const Candidate& b) {
        return b.blocked && (needs(a, b) || same_tree(a.wish->knob, b.wish->knob));
      });
      const bool carrier = std::holds_alternative<knob::Ifb>(a.wish->knob) ||
                           std::holds_alternative<knob::Clsact>(a.wish->knob);
      const bool useless =
          carrier &&
          std::ranges::any_of(candidates, [&](const Candidate& b) { return needs(b, a); }) &&
          std::ranges::none_of(candidates,
                               [&](const Candidate& b) { return !b.blocked && needs(b, a); });
      if (broken || useless) a.blocked = again = true;
    }
  }
}

/// The kernel cannot turn one HTB root into another, nor move a class below another parent.
bool must_be_rebuilt(const Setting& from, const Setting& to) {
  if (is_absent(from) || is_absent(to) || same_setting(from, to)) return false;
  if (const auto* a = std::get_if<HtbClass>(&from))
    if (const auto* b = std::get_if<HtbClass>(&to)) return a->parent != b->parent;
  if (const auto* a = std::get_if<ByteFifo>(&from))
    if (const auto* b = std::get_if<ByteFifo>(&to)) return a->handle != b->handle;
  return !changes_in_place(from);
}

/// What is rebuilt takes along what hangs on it.
void spread_rebuilding(std::vector<Candidate>& candidates) {
  for (Candidate& c : candidates)
    c.rebuilt = !c.blocked && must_be_rebuilt(c.current, c.wish->setting);
  for (bool again = true; again;) {
    again = false;
    for (Candidate& a : candidates) {
      if (a.rebuilt || a.blocked || is_absent(a.current)) continue;
      const bool falls = std::ranges::any_of(candidates, [&](const Candidate& b) {
        return b.rebuilt && depends_on({a.wish->knob, a.current}, {b.wish->knob, b.current});
      });
      if (falls) a.rebuilt = again = true;
    }
  }
}

void append(Plan& plan, const Knob& knob, const Setting& before, const Setting& after,
            std::string reason) {
  plan.actions.push_back(
      {.knob = knob, .before = before, .after = after, .reason = std::move(reason)});
}

/// Gives back what is held and not desired any more, last taken first.
void plan_removals(const PlanInput& input, Plan& plan) {
  std::set<Knob> desired;
  for (const Wish& wish : input.desired.wishes) desired.insert(wish.knob);
  struct Removal {
    const HeldKnob* held;
    Setting current, original;
  };
  std::vector<Removal> removals;
  std::vector<Removal> kept;
  for (const HeldKnob& held : input.held) {
    if (desired.contains(held.knob)) continue;
    const auto found = input.current.find(held.knob);
    // Gone together with its device: nothing is left to undo, and the journal drops it (drift).
    if (found != input.current.end() && !found->second &&
        found->second.error().kind == ErrorKind::gone)
      continue;
    Reading reading = read_knob(input, held.knob, false);
    if (!reading.refusal && !same_setting(reading.setting, held.original) &&
        !same_setting(reading.setting, held.written) &&
        !std::holds_alternative<Members>(reading.setting))
      reading.refusal = Refusal{.what = to_text(held.knob),
                                .why = "no longer wanted, but somebody has changed it since: " +
                                       to_text(reading.setting) + " is left alone"};
    Removal removal{.held = &held, .current = reading.setting, .original = held.original};
    // Of a table only the digest of the original is known; what is known of it is that it is ours.
    if (const auto* members = std::get_if<Members>(&removal.original); members && members->digest)
      removal.original = Members{};
    if (reading.refusal) {
      plan.refusals.push_back(*std::move(reading.refusal));
      kept.push_back(std::move(removal));
    } else {
      removals.push_back(std::move(removal));
    }
  }
  // Removing a root would remove, with it, a class that somebody else has changed.
  for (bool again = !kept.empty(); again;) {
    again = false;
    for (auto removal = removals.begin(); removal != removals.end(); ++removal) {
      const bool needed = std::ranges::any_of(kept, [&](const Removal& k) {
        return same_tree(k.held->knob, removal->held->knob) ||
               depends_on({k.held->knob, k.held->written},
                          {removal->held->knob, removal->held->written});
      });
      if (!needed) continue;
      plan.refusals.push_back({.what = to_text(removal->held->knob),
                               .why = "no longer wanted, but what was left alone needs it"});
      kept.push_back(std::move(*removal));
      removals.erase(removal);
      again = true;
      break;
    }
  }
  for (auto removal = removals.rbegin(); removal != removals.rend(); ++removal)
    if (!same_setting(removal->current, removal->original))
      append(plan, removal->held->knob, removal->current, removal->original,
             "no longer wanted; was set for: " + removal->held->reason);
}

std::vector<Candidate> read_candidates(const PlanInput& input, Plan& plan) {
  std::set<std::string> made;
  for (const Wish& wish : input.desired.wishes)
    if (const auto* ifb = std::get_if<knob::Ifb>(&wish.knob); ifb && !is_absent(wish.setting))
      made.insert(ifb->name);
  std::map<Knob, const CededKnob*> ceded;
  for (const CededKnob& c : input.ceded) ceded.emplace(c.knob, &c);

  std::vector<Candidate> candidates;
  for (const Wish& wish : input.desired.wishes) {
    const Device* device = device_of(wish.knob);
    Reading reading = read_knob(input, wish.knob, device != nullptr && made.contains(device->name));
    if (const auto yielded = ceded.find(wish.knob); yielded != ceded.end())
      reading.refusal = Refusal{.what = to_text(wish.knob),
                                .why = "left to somebody else for now: " + yielded->second->why};
    if (auto why = why_not_told(wish, reading.setting); why && !reading.refusal)
      reading.refusal = Refusal{.what = to_text(wish.knob), .why = *std::move(why)};
    Candidate& candidate = candidates.emplace_back();
    candidate.wish = &wish;
    candidate.current = reading.setting;
    candidate.blocked = reading.refusal.has_value();
    if (reading.refusal) plan.refusals.push_back(*std::move(reading.refusal));
  }
  return candidates;
}

/// One refusal per device for all that is refused because of something else.
void refuse_dependents(const std::vector<Candidate>& candidates, const std::vector<bool>& direct,
                       Plan& plan) {
  std::map<std::string, std::size_t> refused;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (candidates[i].blocked && !direct[i] &&
        !same_setting(candidates[i].current, candidates[i].wish->setting))
      ++refused[device_name(candidates[i].wish->knob)];
  for (const auto& [device, count] : refused)
    plan.refusals.push_back({.what = std::to_string(count) +
                                     (count == 1 ? " more setting of " : " more settings of ") +
                                     device,
                             .why = "useless without what is refused"});
}

void plan_wishes(const PlanInput& input, Plan& plan) {
  std::vector<Candidate> candidates = read_candidates(input, plan);
  if (std::ranges::any_of(candidates, &Candidate::blocked)) {
    std::vector<bool> direct;
    for (const Candidate& c : candidates) direct.push_back(c.blocked);
    spread_blocks(candidates);
    refuse_dependents(candidates, direct, plan);
  }
  spread_rebuilding(candidates);
  for (auto c = candidates.rbegin(); c != candidates.rend(); ++c)
    if (c->rebuilt) append(plan, c->wish->knob, c->current, kAbsent, "rebuilt: " + c->wish->reason);
  for (const Candidate& c : candidates) {
    if (c.blocked) continue;
    const Setting& before = c.rebuilt ? kAbsent : c.current;
    if (!same_setting(before, c.wish->setting))
      append(plan, c.wish->knob, before, c.wish->setting, c.wish->reason);
  }
}

}  // namespace

Plan make_plan(const PlanInput& input) {
  const Desired desired = with_bans_of_others(input);
  const PlanInput whole{
      .current = input.current, .desired = desired, .held = input.held, .ceded = input.ceded};
  Plan plan{.refusals = desired.refusals};
  plan_removals(whole, plan);
  plan_wishes(whole, plan);
  return plan;
}

}  // namespace ankus
