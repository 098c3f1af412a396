// SPDX-License-Identifier: Apache-2.0
// The controller's part in trials: what a verdict, or the guard, keeps or takes back.
#include <algorithm>
#include <iterator>
#include <utility>

#include "act/confirmation.h"
#include "act/steps.h"
#include "base/text.h"
#include "daemon/controller.h"
#include "daemon/deadman.h"
#include "daemon/report.h"
#include "model/json.h"
#include "plan/plan.h"

namespace ankus {
namespace {

/// From the verdict's due time until the dead man's switch undoes a trial without one.
constexpr seconds kTrialGrace{20};
constexpr seconds kTakeBackEvery{5};
/// The guard's memory is kept beside what was tried, as an object with so many failures.
const std::string kOrdinaryDrops = "packets dropped per second without steering";

}  // namespace

/// What was learnt by trying, before a restart.
Result<void> Controller::recall() {
  const auto tried = parts_.journal.tried();
  if (!tried) return std::unexpected(tried.error());
  const BootTime boot = parts_.clock.boot();
  const MonotonicTime now = parts_.clock.monotonic();
  Experiments::Records records;
  for (const TriedObject& one : *tried) {
    if (one.object == kOrdinaryDrops) {
      guard_.remember(one.failures);
      continue;
    }
    ObjectRecord record{
        .failures = one.failures, .free_from = now + (one.free_from - boot), .last = one.last};
    if (one.kept_since) record.kept_since = now + (*one.kept_since - boot);
    records.emplace(one.object, std::move(record));
  }
  remembered_trials_ = records;
  remembered_drops_ = ordinary_drops();
  trials_.remember(std::move(records));
  return {};
}

std::optional<unsigned> Controller::ordinary_drops() const {
  const auto dropped = guard_.ordinary();
  return dropped ? std::optional(static_cast<unsigned>(std::min(*dropped, 1e9))) : std::nullopt;
}

/// In the clock that goes on while the host sleeps and outlives us. What the host drops without
/// steering is of use only to who finds it with steering.
void Controller::remember_trials(MonotonicTime now) {
  Experiments::Records records = trials_.records();
  const auto drops = steers() ? ordinary_drops() : remembered_drops_;
  if (records == remembered_trials_ && drops == remembered_drops_) return;
  const BootTime boot = parts_.clock.boot();
  std::vector<TriedObject> tried;
  if (drops)
    tried.push_back(
        {.object = kOrdinaryDrops, .failures = *drops, .free_from = boot, .last = "the guard's"});
  for (const auto& [object, record] : records) {
    TriedObject one{.object = object,
                    .failures = record.failures,
                    .free_from = boot + (record.free_from - now),
                    .last = record.last};
    if (record.kept_since) one.kept_since = boot + (*record.kept_since - now);
    tried.push_back(std::move(one));
  }
  if (auto kept = parts_.journal.keep_tried(tried); !kept)
    log("what was learnt by trying is not kept: " + kept.error().text);
  else
    remembered_trials_ = std::move(records), remembered_drops_ = drops;
}

bool Controller::steers() const {
  return std::ranges::any_of(snapshot_.held,
                             [](const HeldKnob& held) { return must_prove_itself(held.knob); });
}

/// A trial is undone, since nobody will judge it; that it failed was recorded before it was
/// written. What stands goes on standing.
Result<void> Controller::end_cut_off_trials() {
  const auto before = parts_.journal.controls();
  if (!before) return std::unexpected(before.error());
  const auto undone = undo_cut_off_trial(parts_.actuator, parts_.journal, parts_.clock);
  if (!undone) return std::unexpected(undone.error());
  if (*undone) disarm_deadman(parts_.options);
  auto controls = parts_.journal.controls();
  if (!controls) return std::unexpected(controls.error());
  if (before->unjudged) {
    const std::string text = std::string("never judged: the daemon ended before the verdict; ") +
                             (*undone ? "undone" : "it stays");
    audit("verdict", before->unjudged->plan, text);
    log("verdict plan=" + before->unjudged->plan + " " + text);
  }
  if (!controls->unjudged) return {};
  controls->unjudged.reset();
  return parts_.journal.set_controls(*controls);
}

/// What chooses CPUs goes when the host loses packets, judged or not and whoever applied it.
void Controller::guard_steering(MonotonicTime now) {
  Plan steering;
  for (const HeldKnob& held : snapshot_.held)
    if (must_prove_itself(held.knob))
      steering.actions.push_back(
          {.knob = held.knob, .before = held.written, .after = held.original});
  double dropped = 0;
  for (const Cpu& cpu : snapshot_.host.topology.cpus) dropped += cpu.dropped_per_second;
  const auto why = guard_.look(!steering.actions.empty(), dropped, now);
  if (!why) return;
  const nanoseconds wait = trials_.harmed(steering, policies_.policy.verify, *why, now);
  remember_trials(now);  // before undoing: a crash between the two must not try it again
  const std::string left = undo_steering();
  disarm_if_settled();
  const std::string text =
      "steering harmed: " + *why +
      (left.empty() ? "; undone, and left alone for " + to_text(std::chrono::ceil<seconds>(wait))
                    : "; not undone: " + left);
  audit("guard", "", text);
  log("guard: " + text);
  after_change();
}

/// Down to the originals. Returns what is left.
std::string Controller::undo_steering() {
  const auto undone = ankus::undo(
      parts_.actuator, parts_.journal, parts_.clock,
      {.by = "the guard", .hold = Hold::no, .part = Part{"all steering", must_prove_itself}});
  return undone ? join(undone->degraded, "; ") : undone.error().text;
}

/// The journal keeps the runs that a verdict may still take back.
Result<void> Controller::forget_judged() {
  if (trials_.is_written() || not_undone_) return {};
  auto controls = parts_.journal.controls();
  if (!controls) return std::unexpected(controls.error());
  if (!controls->unjudged) return {};
  controls->unjudged.reset();
  if (auto done = parts_.journal.set_controls(*controls); !done) return done;
  tend_pins();  // they were kept for what a verdict might have taken back
  return {};
}

/// The host may have changed while a plan's baseline was measured, and what exactly is best now may
/// follow the load: the same knobs from where they are now (irqbalance moves them while we
/// measure). None: not all of them are wanted any more.
std::optional<Plan> Controller::as_wanted_now(const Plan& plan) {
  const auto wanted = make(policies_);
  if (!wanted) return std::nullopt;
  const auto has = [](const Plan& p, const Knob& knob) {
    return std::ranges::find(p.actions, knob, &Action::knob) != p.actions.end();
  };
  Plan now;
  std::ranges::copy_if(wanted->actions, std::back_inserter(now.actions), [&](const Action& a) {
    return has(plan, a.knob) && !gives_back(snapshot_.held, a);
  });
  const bool all =
      std::ranges::all_of(plan.actions, [&](const Action& a) { return has(now, a.knob); });
  return all ? std::optional(std::move(now)) : std::nullopt;
}

/// Moves the trial on: writes what is due, keeps or undoes what was judged.
void Controller::turn_trial(MonotonicTime now) {
  if (const auto said = probe_.tend(now)) log("latency: " + *said);
  TrialStep step = trials_.step(snapshot_, now);
  switch (step.kind) {
    case TrialStep::Kind::nothing: return;
    case TrialStep::Kind::drop:
      if (note(Notice::dropped, step.plan, step.text)) log("trial dropped: " + step.text);
      return;
    case TrialStep::Kind::judged:
      step.judged->at = parts_.clock.wall();
      trials_.remember(*step.judged);
      conclude(*std::move(step.judged));
      return;
    case TrialStep::Kind::write: break;
  }
  const VerifyRule& rule = policies_.policy.verify;
  // If we die before the verdict, the dead man's switch undoes it.
  const nanoseconds deadline = rule.settle + rule.within + kTrialGrace;
  const auto controls = parts_.journal.controls();
  if (!controls || mode() != Mode::enforce || !may_act(*controls)) {
    trials_.abandon();
    log("trial plan=" + id_of(step.plan) + " ends: it may not be written any more");
    return;
  }
  const auto plan = as_wanted_now(step.plan);
  if (!plan) {
    const std::string why = "by the end of its baseline it was not wanted as a whole any more";
    trials_.not_written(why, now);
    log("trial plan=" + id_of(step.plan) + " ends: " + why);
    return;
  }
  trials_.replan(*plan);
  const std::string id = id_of(*plan);
  std::string why;
  bool changed_meanwhile = false;
  // First of all, so that whoever starts after us knows that it failed.
  remember_trials(now);
  if (auto armed = arm_deadman(parts_.options, deadline); !armed) {
    why = armed.error().text;
  } else {
    const auto applied = carry_out(*plan, {.by = "ankusd, on trial",
                                           .audit_required = policies_.policy.audit_required,
                                           .confirm_within = deadline,
                                           .on_trial = true,
                                           .to_be_judged = true});
    changed_meanwhile = !applied && applied.error().kind == ErrorKind::busy;
    if (!applied)
      why = applied.error().text;
    else if (applied->failure)
      why = applied->failure->text;
    else if (applied->run == 0)
      why = "somebody else has set it already";
    if (!why.empty()) disarm_deadman(parts_.options);
  }
  if (why.empty()) {
    notices_.forget_the_last();
    trials_.written(parts_.clock.monotonic());
    log("trial plan=" + id + " phase=settling");
    return;
  }
  if (changed_meanwhile) {  // it says nothing of what was to be tried
    trials_.not_written(why, now);
    remember_trials(now);
  } else {
    (void)trials_.failed(why, now);
  }
  log("trial plan=" + id + " not written: " + why);
}

/// A verdict on what is only partly in force would be about something else.
void Controller::end_trial_of(const Drift& drift, MonotonicTime now) {
  std::string why;
  const auto note = [&](const Knob& knob, const char* became) {
    if (why.empty() && trials_.tries(knob)) why = to_text(knob) + became;
  };
  for (const HeldKnob& held : drift.gone) note(held.knob, " vanished");
  for (const CededKnob& ceded : drift.ceded) note(ceded.knob, " was set by somebody else");
  for (const HeldKnob& held : drift.back) note(held.knob, " was set back, and not by us");
  if (why.empty()) return;
  const Interrupted ended = trials_.interrupted(why, now);
  remember_trials(now);
  std::string text = "never judged: " + why;
  if (ended.undo) {
    text += "; " + undo_trial(ended.plan, "the rest is undone", ended.left_alone, now);
  } else {
    text += "; the rest of it stays";
    settle_former(ended.plan);
  }
  audit("verdict", ended.plan, text);
  log("verdict plan=" + ended.plan + " " + text);
}

/// Takes back what was on trial, now or at last. Returns what history says of it; `undone` is how
/// it says that.
std::string Controller::undo_trial(const std::string& plan, const std::string& undone,
                                   nanoseconds left_alone, MonotonicTime now) {
  const auto left = take_back(plan);
  if (!left) {
    not_undone_ = plan;
    not_undone_tried_at_ = now;
    return "not undone yet: " + left.error().text;
  }
  if (!left->empty()) return "not undone: " + *left;
  undone_by_verdict(plan);
  return undone + ", and left alone for " + to_text(std::chrono::ceil<seconds>(left_alone));
}

/// Back to what was before the trial, which need not be what was before us. Returns what could not
/// be undone and is degraded; an Error if nothing was written.
Result<std::string> Controller::take_back(const std::string& plan) {
  const auto undone = ankus::undo(parts_.actuator, parts_.journal, parts_.clock,
                                  {.by = "the verdict", .id = plan, .hold = Hold::no});
  if (!undone) return std::unexpected(undone.error());
  return join(undone->degraded, ", ");
}

void Controller::conclude(Judged judged) {
  const MonotonicTime now = parts_.clock.monotonic();
  remember_trials(now);
  const std::string id = judged.proposal.id;
  std::string text = judged.conclusion.reason;
  if (judged.conclusion.keep) {
    std::string late;
    if (judged.proposal.trial == Trial::experiment) {
      if (auto kept =
              ankus::confirm(parts_.journal, parts_.clock, "the verdict", ConfirmedBy::verdict);
          !kept)
        late = kept.error().text;
      else
        disarm_deadman(parts_.options);
    }
    text += late.empty() ? "; kept" : "; " + late;
    settle_former(id);
  } else {
    text += "; " + undo_trial(id, "undone", judged.conclusion.back_off, now);
    after_change();
  }
  const Event event{
      .kind = "verdict", .plan = id, .text = text, .json = line_of(report::judged(judged))};
  (void)parts_.journal.record({&event, 1});  // status shows why history cannot be written
  log("verdict plan=" + id + " " + text);
}

void Controller::undone_by_verdict(const std::string& plan) {
  disarm_if_settled();
  restore_former(plan);
}

/// The switch would come for nothing once nothing waits for a confirmation.
void Controller::disarm_if_settled() {
  const auto controls = parts_.journal.controls();
  if (controls && !controls->confirmation) disarm_deadman(parts_.options);
}

/// A verdict that could not be carried out is not forgotten.
void Controller::take_back_at_last(MonotonicTime now) {
  if (!not_undone_ || now - not_undone_tried_at_ < kTakeBackEvery) return;
  not_undone_tried_at_ = now;
  const auto left = take_back(*not_undone_);
  // Invalid: not in force any more, since the guard or a person has undone it meanwhile.
  const bool gone = !left && left.error().kind == ErrorKind::invalid;
  if (!left && !gone) return;
  const std::string id = *std::exchange(not_undone_, std::nullopt);
  const bool undone = gone || left->empty();
  if (undone) undone_by_verdict(id);
  after_change();
  const std::string text = undone ? "undone at last" : "not undone: " + *left;
  audit("verdict", id, text);
  log("verdict plan=" + id + " " + text);
}

/// The policies that were applied with the plan stay once it is both confirmed and judged.
void Controller::settle_former(const std::string& plan) {
  const auto controls = parts_.journal.controls();
  if (former_ && former_->plan == plan && controls && !controls->confirmation &&
      !trials_.is_written())
    former_.reset();
}

/// The plan was undone: under the policies that it was made of the next would be the same again.
void Controller::restore_former(const std::string& plan) {
  if (!former_ || former_->plan != plan) return;
  policies_ = std::exchange(former_, std::nullopt)->policies;
  log("policies are again: " + report::policy_names(policies_.sources));
}

}  // namespace ankus
