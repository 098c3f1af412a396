// SPDX-License-Identifier: Apache-2.0
#include "verify/experiment.h"

#include <algorithm>
#include <cassert>
#include <type_traits>
#include <utility>

#include "base/text.h"

namespace ankus {
namespace {

constexpr std::string_view kTrials[] = {"experiment", "standing"};
constexpr const char* kNoLongerWanted = "no longer wanted";
constexpr std::string_view kPhases[] = {"before", "writing", "settling", "after"};

std::string object_of(const Knob& knob) {
  const Device* device = device_of(knob);
  const bool is_of_the_tree = std::visit(
      []<class K>(const K&) {
        return std::is_same_v<K, knob::RootQdisc> || std::is_same_v<K, knob::TcClass> ||
               std::is_same_v<K, knob::LeafQdisc> || std::is_same_v<K, knob::Clsact> ||
               std::is_same_v<K, knob::Classifier> || std::is_same_v<K, knob::IngressRedirect>;
      },
      knob);
  if (device == nullptr) return to_text(knob);
  // A device of the same name may be another one.
  const std::string which = " (ifindex " + std::to_string(device->ifindex) + ")";
  return is_of_the_tree ? "bandwidth of " + device->name + which : to_text(knob) + which;
}

bool is_kept(Effect effect, const Proposal& proposal) {
  switch (effect) {
    case Effect::helped: return true;
    case Effect::harmed: return false;
    case Effect::no_effect: return !must_help(proposal);
    case Effect::inconclusive:
      return !must_help(proposal) || proposal.rule.inconclusive == VerifyRule::Inconclusive::keep;
  }
  return false;
}

nanoseconds whole_seconds(nanoseconds time) { return std::chrono::ceil<seconds>(time); }

/// One failure is forgiven for each whole wait that it has been kept. Returns what is left of the
/// time.
nanoseconds forgive(ObjectRecord& record, nanoseconds kept, const VerifyRule& rule) {
  while (record.failures > 0 && kept >= wait_after(record.failures, rule)) {
    kept -= wait_after(record.failures, rule);
    --record.failures;
  }
  return kept;
}

}  // namespace

std::string_view to_text(Trial trial) { return kTrials[static_cast<std::size_t>(trial)]; }
std::string_view to_text(Phase phase) { return kPhases[static_cast<std::size_t>(phase)]; }

bool must_help(const Proposal& proposal) {
  return proposal.trial == Trial::experiment ||
         proposal.rule.require == VerifyRule::Require::better;
}

std::vector<std::string> objects_of(std::span<const Action> actions) {
  std::vector<std::string> objects;
  for (const Action& action : actions)
    if (!std::holds_alternative<knob::Membership>(action.knob))
      objects.push_back(object_of(action.knob));
  std::ranges::sort(objects);
  const auto rest = std::ranges::unique(objects);
  objects.erase(rest.begin(), rest.end());
  return objects;
}

nanoseconds wait_after(unsigned failures, const VerifyRule& rule) {
  nanoseconds wait = rule.back_off;
  for (unsigned i = 1; i < failures && wait < rule.longest_back_off; ++i) wait *= 2;
  return std::clamp(wait, rule.back_off, std::max(rule.back_off, rule.longest_back_off));
}

nanoseconds wait_after_unfit(unsigned unfit, const VerifyRule& rule) {
  const nanoseconds longest = std::max(rule.back_off, rule.within);
  nanoseconds wait = rule.within;
  for (unsigned i = 1; i < unfit && wait < longest; ++i) wait *= 2;
  return std::min(wait, longest);
}

std::optional<std::string> Experiments::refusal(std::span<const std::string> objects,
                                                MonotonicTime now) const {
  if (running_)
    return "experiment " + running_->proposal.id + " is under way (" +
           std::string(to_text(running_->phase)) + ")";
  for (const std::string& object : objects) {
    const auto found = records_.find(object);
    if (found == records_.end()) continue;
    const ObjectRecord& record = found->second;
    const MonotonicTime from = std::max(record.free_from, record.measured_from);
    if (from <= now) continue;
    return object + ": left alone for another " + to_text(whole_seconds(from - now)) +
           (record.failures == 0 ? std::string()
                                 : ", after " + std::to_string(record.failures) +
                                       (record.failures == 1 ? " failure" : " failures")) +
           (record.last.empty() ? "" : " (" + record.last + ")");
  }
  return std::nullopt;
}

Result<void> Experiments::begin(Proposal proposal, MonotonicTime now) {
  forget_the_old(proposal.rule, now);
  if (proposal.objects.empty()) return ankus::fail(ErrorKind::invalid, "nothing to be tried");
  // What stands was written already, by hand or after the caller had asked for refusal(): it is
  // judged whatever was before.
  static const std::vector<std::string> kNone;
  const bool at_once = proposal.trial == Trial::standing;
  if (auto why = refusal(at_once ? kNone : proposal.objects, now))
    return ankus::fail(ErrorKind::busy, *std::move(why));
  const MonotonicTime until = at_once ? now : now + proposal.rule.within;
  running_ = Experiment{
      .proposal = std::move(proposal), .phase = Phase::before, .since = now, .until = until};
  return {};
}

Due Experiments::due(MonotonicTime now) {
  if (!running_) return Due::nothing;
  Experiment& one = *running_;
  if (one.phase == Phase::settling && one.until <= now) {
    // The window begins now and not when it could have: what was measured is what is judged.
    one.phase = Phase::after;
    one.since = now;
    one.until = now + one.proposal.rule.within;
  }
  if (one.phase == Phase::before && one.until <= now) one.phase = Phase::writing, one.since = now;
  if (one.phase == Phase::writing) return Due::write;
  return one.phase == Phase::after && one.until <= now ? Due::judge : Due::nothing;
}

bool Experiments::may_write(const std::optional<std::string>& unfit, MonotonicTime now) {
  assert(running_ && running_->phase == Phase::writing);
  if (!unfit || running_->proposal.trial == Trial::standing) return true;
  not_written("no baseline: " + *unfit, now);
  return false;
}

void Experiments::not_written(const std::string& why, MonotonicTime now) {
  assert(running_ && running_->phase == Phase::writing);
  const Proposal done = std::exchange(running_, std::nullopt)->proposal;
  for (const std::string& object : done.objects) {
    // Nothing was written: no failure, but no reason either to look at it all the time.
    ObjectRecord& record = records_[object];
    record.measured_from = now + wait_after_unfit(++record.unfit, done.rule);
    // A wait that was cut short is followed by a whole one.
    record.hastened = std::exchange(record.cut_short, false);
    record.last = why;
  }
}

bool Experiments::waits_for_signs(std::span<const std::string> objects, MonotonicTime now) const {
  return !running_ && std::ranges::any_of(objects, [&](const std::string& object) {
    const auto found = records_.find(object);
    return found != records_.end() && !found->second.hastened &&
           found->second.measured_from > now && found->second.free_from <= now;
  });
}

void Experiments::hasten(std::span<const std::string> objects, MonotonicTime now) {
  for (const std::string& object : objects) {
    const auto found = records_.find(object);
    if (found == records_.end() || found->second.hastened || found->second.measured_from <= now)
      continue;
    found->second.measured_from = now;
    found->second.hastened = found->second.cut_short = true;
  }
}

void Experiments::replan(std::string id) {
  assert(running_ && running_->phase == Phase::writing);
  running_->proposal.id = std::move(id);
}

void Experiments::written(MonotonicTime now) {
  assert(running_ && running_->phase == Phase::writing);
  for (const std::string& object : running_->proposal.objects)
    if (const auto found = records_.find(object); found != records_.end()) {
      found->second.unfit = 0;
      found->second.hastened = found->second.cut_short = false;
    }
  running_->phase = Phase::settling;
  running_->since = now;
  running_->until = now + running_->proposal.rule.settle;
}

Conclusion Experiments::give_up(std::string_view why, MonotonicTime now) {
  assert(running_);
  const Proposal done = std::exchange(running_, std::nullopt)->proposal;
  return {.keep = false,
          .reason = std::string(why),
          .back_off = fail(done.objects, done.rule, std::string(why), now)};
}

nanoseconds Experiments::interrupted(const std::string& why, MonotonicTime now) {
  assert(running_);
  const Proposal done = std::exchange(running_, std::nullopt)->proposal;
  if (done.trial == Trial::standing) return {};
  nanoseconds longest{};
  for (const std::string& object : done.objects) {
    ObjectRecord& record = records_[object];
    const nanoseconds wait = wait_after(record.failures, done.rule);
    record.free_from = std::max(record.free_from, now + wait);
    record.last = why;
    longest = std::max(longest, wait);
  }
  return longest;
}

Conclusion Experiments::conclude(const Verdict& verdict, MonotonicTime now) {
  assert(running_ && running_->phase == Phase::after);
  const Proposal done = std::exchange(running_, std::nullopt)->proposal;
  const std::string reason = std::string(to_text(verdict.effect)) + ": " + verdict.reason;
  if (!is_kept(verdict.effect, done))
    return {
        .keep = false, .reason = reason, .back_off = fail(done.objects, done.rule, reason, now)};
  for (const std::string& object : done.objects) {
    ObjectRecord& record = records_[object];
    // What is there and is built upon stays as long proven as it has been there.
    if (record.kept_since) (void)forgive(record, now - *record.kept_since, done.rule);
    record.kept_since = now;
    record.free_from = std::max(record.free_from, now + done.rule.back_off);
    record.last = reason;
  }
  return {.keep = true, .reason = reason, .back_off = done.rule.back_off};
}

void Experiments::withdrawn(std::span<const std::string> objects, const VerifyRule& rule,
                            MonotonicTime now) {
  for (const std::string& object : objects) {
    const auto found = records_.find(object);
    if (found == records_.end() || !found->second.kept_since) continue;
    ObjectRecord& record = found->second;
    const nanoseconds left = forgive(record, now - *record.kept_since, rule);
    record.kept_since.reset();
    if (record.failures > 0 || left < rule.back_off) ++record.failures;
    record.last = kNoLongerWanted;
    record.free_from = std::max(record.free_from, now + wait_after(record.failures, rule));
  }
}

void Experiments::still_in_force(std::span<const std::string> in_force, const VerifyRule& rule,
                                 MonotonicTime now) {
  for (auto& [object, record] : records_) {
    if (!record.kept_since || std::ranges::binary_search(in_force, object)) continue;
    (void)forgive(record, now - *record.kept_since, rule);
    record.kept_since.reset();
    record.free_from = std::max(record.free_from, now);
  }
  forget_the_old(rule, now);
}

nanoseconds Experiments::harmed(const std::vector<std::string>& objects, const VerifyRule& rule,
                                const std::string& why, MonotonicTime now) {
  running_.reset();
  return fail(objects, rule, why, now);
}

void Experiments::forget_withdrawals() {
  for (auto entry = records_.begin(); entry != records_.end();) {
    ObjectRecord& record = entry->second;
    const bool was_withdrawn = !record.kept_since && record.last == kNoLongerWanted;
    if (was_withdrawn && record.failures <= 1) {
      entry = records_.erase(entry);
      continue;
    }
    if (was_withdrawn) {
      --record.failures;
      record.free_from = {};
      record.last.clear();
    }
    ++entry;
  }
}

Experiments::Records Experiments::records_if_cut_off() const {
  if (!running_ || running_->proposal.trial == Trial::standing) return records_;
  Experiments cut_off = *this;
  (void)cut_off.give_up("the daemon ended before the verdict", running_->since);
  return cut_off.records_;
}

nanoseconds Experiments::fail(const std::vector<std::string>& objects, const VerifyRule& rule,
                              const std::string& why, MonotonicTime now) {
  nanoseconds longest{};
  for (const std::string& object : objects) {
    ObjectRecord& record = records_[object];
    if (record.kept_since) (void)forgive(record, now - *record.kept_since, rule);
    record.kept_since.reset();
    const nanoseconds wait = wait_after(++record.failures, rule);
    record.free_from = std::max(record.free_from, now + wait);
    record.last = why;
    longest = std::max(longest, wait);
  }
  return longest;
}

void Experiments::forget_the_old(const VerifyRule& rule, MonotonicTime now) {
  std::erase_if(records_, [&](const auto& entry) {
    const ObjectRecord& record = entry.second;
    return !record.kept_since && now - std::max(record.free_from, record.measured_from) >=
                                     std::max(rule.longest_back_off, rule.back_off);
  });
}

}  // namespace ankus
