// SPDX-License-Identifier: Apache-2.0
#include "daemon/trials.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/text.h"

namespace ankus {
namespace {

/// Older than this a baseline says nothing of now.
constexpr seconds kFreshBaseline{60};
constexpr seconds kFreshSigns{30};
/// Slices are to be of one length, and news makes turns in between.
constexpr milliseconds kBetweenLooks{900};

template <class... K>
bool is_one_of(const Knob& knob) {
  return (std::holds_alternative<K>(knob) || ...);
}

/// The table of workloads alone moves no queue.
bool is_of_a_tree(const Knob& knob) {
  return !must_prove_itself(knob) && !std::holds_alternative<knob::Membership>(knob);
}

std::string doing(Phase phase) {
  switch (phase) {
    case Phase::before: return "measuring before";
    case Phase::writing: return "being written";
    case Phase::settling: return "written, settling";
    case Phase::after: break;
  }
  return "measuring after";
}

std::string what_decides(const Proposal& proposal) {
  if (!must_help(proposal)) return "undone only if it harms";
  return proposal.rule.inconclusive == VerifyRule::Inconclusive::keep
             ? "kept if it helps, or if nothing can be said of it"
             : "kept only if it helps";
}

}  // namespace

bool must_prove_itself(const Knob& knob) {
  return is_one_of<knob::RssTable, knob::RpsMask, knob::XpsMask, knob::IrqAffinity,
                   knob::ThreadAffinity, knob::IrqbalanceBans>(knob);
}

Parted parted(const Plan& plan) {
  Parted parts;
  for (const Action& action : plan.actions)
    (must_prove_itself(action.knob) ? parts.experiment : parts.standing).actions.push_back(action);
  return parts;
}

Lever lever_of(const Plan& plan) {
  const auto any = [&](auto matches) {
    return std::ranges::any_of(plan.actions, [&](const Action& a) { return matches(a.knob); });
  };
  // A tree may move the queue into the host, whatever else comes with it.
  if (any(is_of_a_tree)) return Lever::bandwidth;
  if (any(is_one_of<knob::RssTable, knob::RpsMask>)) return Lever::receive;
  if (any(must_prove_itself)) return Lever::cpus;
  return Lever::bandwidth;
}

bool Trials::is_written() const {
  const auto& running = experiments_.running();
  return running && (running->phase == Phase::settling || running->phase == Phase::after);
}

std::string Trials::status(MonotonicTime now) const {
  const auto& running = experiments_.running();
  if (!running) return {};
  const Proposal& proposal = running->proposal;
  const nanoseconds left = std::max(nanoseconds(0), running->until - now);
  return "plan " + proposal.id + ": " + doing(running->phase) +
         (running->phase == Phase::writing
              ? ""
              : ", " + to_text(std::chrono::ceil<seconds>(left)) + " left") +
         "; " + what_decides(proposal);
}

std::optional<std::string> Trials::refusal(const Plan& plan, MonotonicTime now) const {
  return experiments_.refusal(objects_of(plan.actions), now);
}

std::optional<std::string> Trials::back_off(const Plan& plan, MonotonicTime now) const {
  std::vector<std::string> failed;
  for (const std::string& object : objects_of(plan.actions)) {
    const auto record = experiments_.records().find(object);
    if (record != experiments_.records().end() && record->second.failures > 0)
      failed.push_back(object);
  }
  if (failed.empty()) return std::nullopt;
  return experiments_.refusal(failed, now);
}

Sifted Trials::to_be_tried(const Plan& plan, MonotonicTime now) const {
  return sift(plan, [&](const Plan& whole) { return refusal(whole, now); });
}

Sifted Trials::to_stand(const Plan& plan, MonotonicTime now) const {
  return sift(plan, [&](const Plan& whole) { return back_off(whole, now); });
}

void Trials::look_for_signs(const Plan& plan, const VerifyRule& rule, const Snapshot& snapshot,
                            MonotonicTime now) {
  const auto objects = objects_of(plan.actions);
  if (!experiments_.waits_for_signs(objects, now)) return signs_seen_at_.reset();
  Look look{.at = now, .host = eyes_.host(snapshot)};
  const auto before = std::exchange(signs_seen_at_, look);
  // Those that were there when it was measured in vain are no news.
  if (!before || now - before->at > kFreshSigns) return void(had_sign_ = true);
  SampleWindow between;
  between.add(*before);
  between.add(std::move(look));
  const bool sign = gate(between.samples(), lever_of(plan), rule).open;
  if (sign && !had_sign_) experiments_.hasten(objects, now);
  had_sign_ = sign;
}

void Trials::begin_window(nanoseconds length, const Snapshot& snapshot, MonotonicTime now) {
  // A little longer: the last look comes with the turn after its end. Where the latency sensor does
  // not work, TCP and the host's counters are what there is.
  (void)eyes_.begin(length + seconds(3), now);
  window_.emplace();
  window_ends_ = now + length;
  looked_at_.reset();
  add_look(snapshot, now);  // the first slice begins now and not with the next turn
}

void Trials::end_window() {
  if (!window_) return;  // one that is open is a person's
  window_.reset();
  eyes_.end();
}

void Trials::add_look(const Snapshot& snapshot, MonotonicTime now) {
  if (looked_at_ && now - *looked_at_ < kBetweenLooks) return;
  auto look = eyes_.look(snapshot, now);
  if (!look) return;
  looked_at_ = now;
  window_->add(std::move(*look));
}

bool Trials::take_baseline(const VerifyRule& rule, const Snapshot& snapshot, MonotonicTime now) {
  if (under_way()) return false;
  if (!window_) begin_window(rule.within, snapshot, now);
  return true;
}

Result<void> Trials::propose(Plan plan, const VerifyRule& rule, const Snapshot& snapshot,
                             MonotonicTime now) {
  auto begun = experiments_.begin({.id = id_of(plan),
                                   .trial = Trial::experiment,
                                   .objects = objects_of(plan.actions),
                                   .rule = rule},
                                  now);
  if (!begun) return begun;
  plan_ = std::move(plan);
  begin_window(rule.within, snapshot, now);
  return {};
}

std::string Trials::adopt(const Plan& plan, const VerifyRule& rule, MonotonicTime now) {
  if (is_written())
    abandon();
  else
    experiments_.cancel();  // its baseline is ours
  // What was measured until now is the baseline, even if its window was not over yet.
  if (window_ && window_->slices() > 0) {
    before_ = window_->samples();
    before_at_ = now;
  }
  end_window();
  if (!baseline_is_fresh(now)) return "the effect is not compared: nothing was measured before";
  const auto begun = experiments_.begin({.id = id_of(plan),
                                         .trial = Trial::standing,
                                         .objects = objects_of(plan.actions),
                                         .rule = rule},
                                        now);
  if (!begun) return "not judged: " + begun.error().text;
  plan_ = plan;
  (void)experiments_.due(now);  // standing: due to be written, which it is
  (void)experiments_.may_write(std::nullopt, now);
  experiments_.written(now);
  return "the effect on light workloads is judged in " +
         to_text(std::chrono::ceil<seconds>(rule.settle + rule.within)) + "; harmful, it is undone";
}

void Trials::withdrawn(const Plan& plan, const VerifyRule& rule, MonotonicTime now) {
  experiments_.withdrawn(objects_of(plan.actions), rule, now);
}

nanoseconds Trials::harmed(const Plan& plan, const VerifyRule& rule, const std::string& why,
                           MonotonicTime now) {
  abandon();
  return experiments_.harmed(objects_of(plan.actions), rule, why, now);
}

void Trials::still_in_force(std::span<const HeldKnob> held, const VerifyRule& rule,
                            MonotonicTime now) {
  if (experiments_.records().empty()) return;  // nothing to forget: this is asked each second
  std::vector<Action> actions;
  for (const HeldKnob& one : held) actions.push_back({.knob = one.knob});
  experiments_.still_in_force(objects_of(actions), rule, now);
}

Experiments::Records Trials::records() const {
  const auto& running = experiments_.running();
  const bool may_be_written = running && running->phase != Phase::before;
  return may_be_written ? experiments_.records_if_cut_off() : experiments_.records();
}

TrialStep Trials::step(const Snapshot& snapshot, MonotonicTime now) {
  if (window_) {
    add_look(snapshot, now);
    if (!under_way() && now >= *window_ends_) {  // a baseline for whoever comes
      before_ = window_->samples();
      before_at_ = now;
      end_window();
    }
  }
  const Due due = experiments_.due(now);
  const auto& running = experiments_.running();
  if (running && running->phase == Phase::after && !window_)
    begin_window(running->proposal.rule.within, snapshot, now);
  if (due == Due::write) return write_or_drop(now);
  if (due == Due::judge) return judge_now(now);
  return {};
}

TrialStep Trials::write_or_drop(MonotonicTime now) {
  if (window_) before_ = window_->samples();
  before_at_ = now;
  end_window();
  const Proposal proposal = experiments_.running()->proposal;
  auto missing = unfit(before_, proposal.rule, lever_of(*plan_));
  if (!missing) {
    const GateAnswer answer = gate(before_, lever_of(*plan_), proposal.rule);
    if (!answer.open) missing = answer.text;
  }
  if (!experiments_.may_write(missing, now)) {
    return {.kind = TrialStep::Kind::drop,
            .plan = *std::exchange(plan_, std::nullopt),
            .text = proposal.id + " is not tried: " + *missing};
  }
  return {.kind = TrialStep::Kind::write, .plan = *plan_};
}

void Trials::replan(const Plan& plan) {
  experiments_.replan(id_of(plan));
  plan_ = plan;
}

void Trials::written(MonotonicTime now) { experiments_.written(now); }

Conclusion Trials::failed(const std::string& why, MonotonicTime now) {
  plan_.reset();
  return experiments_.give_up(why, now);
}

void Trials::not_written(const std::string& why, MonotonicTime now) {
  plan_.reset();
  experiments_.not_written(why, now);
}

bool Trials::tries(const Knob& knob) const {
  return is_written() &&
         std::ranges::find(plan_->actions, knob, &Action::knob) != plan_->actions.end();
}

bool Trials::is_about_to_judge(MonotonicTime now) const {
  const auto& running = experiments_.running();
  return running && running->phase == Phase::after && running->until <= now;
}

Interrupted Trials::interrupted(const std::string& why, MonotonicTime now) {
  const Proposal& proposal = experiments_.running()->proposal;
  Interrupted ended{.plan = proposal.id, .undo = proposal.trial == Trial::experiment};
  ended.left_alone = experiments_.interrupted(why, now);
  abandon();
  return ended;
}

void Trials::abandon() {
  experiments_.cancel();
  plan_.reset();
  before_at_.reset();
  end_window();
}

bool Trials::baseline_is_fresh(MonotonicTime now) const {
  return before_at_ && now - *before_at_ <= kFreshBaseline;
}

TrialStep Trials::judge_now(MonotonicTime now) {
  const Samples after = window_ ? window_->samples() : Samples{};
  end_window();
  const Proposal proposal = experiments_.running()->proposal;
  const Verdict verdict = judge(before_, after, proposal.rule, lever_of(*plan_));
  Judged judged{.proposal = proposal,
                .plan = *plan_,
                .before = before_,
                .after = after,
                .verdict = verdict,
                .conclusion = experiments_.conclude(verdict, now)};
  // What is after the one is before the next, if the one stays.
  before_at_.reset();
  if (judged.conclusion.keep) {
    before_ = after;
    before_at_ = now;
  }
  plan_.reset();
  return {.kind = TrialStep::Kind::judged, .judged = std::move(judged)};
}

}  // namespace ankus
