// SPDX-License-Identifier: Apache-2.0
#include "daemon/controller.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "act/confirmation.h"
#include "act/recover.h"
#include "act/steps.h"
#include "base/text.h"
#include "base/version.h"
#include "daemon/deadman.h"
#include "daemon/pins.h"
#include "daemon/report.h"
#include "plan/plan.h"
#include "policy/evaluate.h"
#include "policy/flow_rules.h"

namespace ankus {
namespace {

constexpr seconds kDriftEvery{5};
constexpr seconds kRememberEvery{60};
/// Must leave the memberships' lease (30 s) several renewals.
constexpr seconds kPlanEvery{5};

bool is_membership(const Knob& knob) { return std::holds_alternative<knob::Membership>(knob); }

/// All but the table of memberships, which is kept up to date as workloads come and go.
Plan structure_of(const Plan& plan) {
  Plan structure = plan;
  std::erase_if(structure.actions, [](const Action& action) { return is_membership(action.knob); });
  return structure;
}

/// "up0, ankus-ifb7".
std::string devices_line(const Plan& plan) {
  std::vector<std::string> names;
  for (const Action& action : plan.actions)
    if (const Device* device = device_of(action.knob))
      if (std::ranges::find(names, device->name) == names.end()) names.push_back(device->name);
  return names.empty() ? "no device" : join(names, ", ");
}

/// What a plan depends on, as far as it changes by itself.
std::uint64_t signature(const Snapshot& snapshot) {
  std::string text;
  for (const WorkloadState& state : snapshot.workloads)
    text += std::to_string(state.workload.id) + std::string(to_text(state.footprint.weight)) +
            (state.workload.opted_out ? "-" : "+");
  for (const Link& link : snapshot.links)
    text += std::to_string(link.device.ifindex) + link.device.name + link.root_kind +
            to_text(link.root_handle) + (link.up ? "u" : "d") +
            (link.has_default_route ? "r" : "-") + (link.foreign_clsact ? "c" : "-");
  return stable_hash(text);
}

std::set<std::uint32_t> classified_devices(const std::vector<HeldKnob>& held) {
  std::set<std::uint32_t> devices;
  for (const HeldKnob& h : held)
    if (const auto* classifier = std::get_if<knob::Classifier>(&h.knob))
      devices.insert(classifier->device.ifindex);
  return devices;
}

}  // namespace

std::string opt_out_key(const WorkloadIdentity& identity) {
  if (identity.cgroup_id != 0) return "cgroup " + std::to_string(identity.cgroup_id);
  return "cgroup 0 netns " + std::to_string(identity.netns_inode) + " ifindex " +
         std::to_string(identity.ifindex);
}

bool names_workload(const std::string& key, const WorkloadIdentity& identity) {
  const auto keys_device = [&] {
    WorkloadIdentity device = identity;
    device.cgroup_id = 0;
    return device.ifindex != 0 && key == opt_out_key(device);
  };
  return key == opt_out_key(identity) ||
         (identity.cgroup_id != 0 && key.starts_with(opt_out_key(identity) + " netns ")) ||
         keys_device();
}

Controller::Controller(Parts parts, LoadedPolicies policies)
    : parts_(parts),
      policies_(std::move(policies)),
      probe_(parts.observer),
      trials_({.begin = [this](nanoseconds length,
                               MonotonicTime now) { return probe_.begin(length, now); },
               .look = [this](const Snapshot& snapshot,
                              MonotonicTime now) { return probe_.look(snapshot, now); },
               .end = [this] { probe_.end(); },
               .host = [this](const Snapshot& snapshot) { return probe_.host_totals(snapshot); }}) {
}

Mode Controller::mode() const { return parts_.options.mode.value_or(policies_.policy.mode); }

std::vector<std::string> Controller::take_log() { return std::exchange(log_, {}); }

void Controller::audit(const std::string& kind, const std::string& plan, const std::string& text) {
  const Event event{.kind = kind, .plan = plan, .text = text};
  (void)parts_.journal.record({&event, 1});  // status shows why history cannot be written
}

/// Into history, unless that is there already. `id`: of the plan that is named, if it is another.
bool Controller::note(Notice notice, const Plan& plan, const std::string& text,
                      const std::string& id) {
  if (!notices_.is_news(notice, objects_of(plan.actions), text, parts_.clock.monotonic()))
    return false;
  audit("plan", id.empty() ? id_of(plan) : id, text);
  return true;
}

Result<void> Controller::recover() {
  if (auto done = finish_interrupted(); !done) return done;
  if (auto done = recall(); !done) return done;
  return end_cut_off_trials();
}

Result<void> Controller::finish_interrupted() {
  const auto recovered = ankus::recover(parts_.actuator, parts_.journal, parts_.clock);
  if (!recovered) return std::unexpected(recovered.error());
  for (const Recovered& run : *recovered)
    log("recovered plan=" + run.plan + " how=" + std::string(to_text(run.how)));
  return {};
}

/// Reads the host and points the sensors at what the policies in force speak of.
Result<void> Controller::look() {
  if (auto done = parts_.observer.refresh(parts_.clock.monotonic()); !done) return done;
  const auto held = parts_.journal.held();
  if (!held) return std::unexpected(held.error());
  const auto opted_out = parts_.journal.opted_out();
  if (!opted_out) return std::unexpected(opted_out.error());
  snapshot_ = parts_.observer.snapshot();
  snapshot_.held = *held;
  for (WorkloadState& state : snapshot_.workloads)
    state.workload.opted_out = std::ranges::any_of(*opted_out, [&](const std::string& key) {
      return names_workload(key, state.workload.identity);
    });
  // A clsact that we hold is there by our own doing.
  for (Link& link : snapshot_.links)
    if (std::ranges::any_of(
            *held, [&](const HeldKnob& h) { return h.knob == Knob(knob::Clsact{link.device}); }))
      link.foreign_clsact = false;
  const FlowRules rules = flow_rules(snapshot_, policies_.policy);
  if (rules.steers) look_at_queues();
  return parts_.observer.follow(rules, classified_devices(*held));
}

void Controller::look_at_queues() {
  parts_.observer.want_queues(parts_.clock.monotonic());
  snapshot_.queues = parts_.observer.snapshot().queues;
}

Result<Plan> Controller::make(const LoadedPolicies& policies) {
  const Desired desired = evaluate(snapshot_, policies.policy);
  const auto held = parts_.journal.held();
  if (!held) return std::unexpected(held.error());
  const auto ceded = ceded_now(parts_.journal, parts_.clock);
  if (!ceded) return std::unexpected(ceded.error());
  std::vector<Knob> knobs;
  for (const Wish& wish : desired.wishes) knobs.push_back(wish.knob);
  for (const HeldKnob& h : *held) knobs.push_back(h.knob);
  std::ranges::sort(knobs);
  knobs.erase(std::unique(knobs.begin(), knobs.end()), knobs.end());
  auto settings = parts_.actuator.read(knobs);
  std::map<Knob, Result<Setting>> current;
  // What could not be read becomes a refusal, together with what needs it.
  for (std::size_t i = 0; i < knobs.size(); ++i) current.emplace(knobs[i], std::move(settings[i]));
  return make_plan({.current = current, .desired = desired, .held = *held, .ceded = *ceded});
}

/// The sensors go on by the policies in force: what is only tried on paper classes no packet and
/// judges no workload.
Result<Plan> Controller::plan_of(const LoadedPolicies& policies) {
  if (auto done = look(); !done) return std::unexpected(done.error());
  if (flow_rules(snapshot_, policies.policy).steers) look_at_queues();
  return make(policies);
}

Result<Plan> Controller::plan() { return plan_of(policies_); }

void Controller::expect_apply() {
  if (mode() != Mode::observe)
    (void)trials_.take_baseline(policies_.policy.verify, snapshot_, parts_.clock.monotonic());
}

Result<void> Controller::tick() {
  const MonotonicTime now = parts_.clock.monotonic();
  if (auto done = undo_unconfirmed(now); !done) return done;
  if (auto done = look(); !done) return done;
  if (parts_.observer.take_watches_changed()) tend_pins();
  take_back_at_last(now);
  guard_steering(now);
  if (auto done = look_for_drift(now); !done) return done;
  trials_.still_in_force(snapshot_.held, policies_.policy.verify, now);
  turn_trial(now);
  if (auto done = forget_judged(); !done) return done;
  remember_trials(now);
  if (now - remembered_at_ >= kRememberEvery) {
    remembered_at_ = now;
    remember_footprints();
  }
  // A quiet host costs next to nothing: a plan is made when something that it depends on has
  // changed, and now and then.
  const std::uint64_t look = signature(snapshot_);
  if (!plan_due_ && look == planned_on_ && now - planned_at_ < kPlanEvery) return {};
  plan_due_ = false;
  planned_on_ = look;
  planned_at_ = now;
  return act();
}

/// Now and then, and before a verdict: it must not speak of what is not in force any more.
Result<void> Controller::look_for_drift(MonotonicTime now) {
  if (now - drift_checked_at_ < kDriftEvery && !trials_.is_about_to_judge(now)) return {};
  drift_checked_at_ = now;
  // There is one after a failure that could not be recorded either.
  if (auto done = finish_interrupted(); !done) return done;
  const auto drift = check_drift(parts_.actuator, parts_.journal, parts_.clock);
  if (!drift) return std::unexpected(drift.error());
  for (const CededKnob& ceded : drift->ceded)
    log("ceded knob=" + ankus::quoted(to_text(ceded.knob)) +
        " found=" + ankus::quoted(ceded.found));
  for (const HeldKnob& gone : drift->gone) log("gone knob=" + ankus::quoted(to_text(gone.knob)));
  if (*drift == Drift{}) return {};
  end_trial_of(*drift, now);
  after_change();
  return {};
}

Result<void> Controller::undo_unconfirmed(MonotonicTime now) {
  const auto over = expired(parts_.journal, parts_.clock);
  if (!over) return std::unexpected(over.error());
  if (!*over) {
    undo_retry_ = {};
    said_not_undone_.clear();
    return {};
  }
  if (!undo_retry_.is_due(now)) return {};
  const auto undone = undo_expired(parts_.actuator, parts_.journal, parts_.clock);
  if (!undone) return std::unexpected(undone.error());
  const auto controls = parts_.journal.controls();
  if (!controls) return std::unexpected(controls.error());
  if (controls->confirmation) {  // what could not be undone or recorded goes on waiting
    // Without steps nothing was tried: a look whether it can be read again costs little.
    if (*undone && !(*undone)->steps.empty()) undo_retry_.failed(now);
    std::string left = *undone ? join((*undone)->degraded, ", ") : "";
    if (left != std::exchange(said_not_undone_, left) && !left.empty())
      log("confirmation expired: plan " + (*over)->plan +
          " is tried again, not undone yet: " + left);
    return {};
  }
  disarm_deadman(parts_.options);  // it comes after us, and would wait for our lock
  if ((*over)->on_trial && trials_.is_written()) (void)trials_.failed("no verdict in time", now);
  trials_.abandon();
  if (not_undone_ == (*over)->plan) not_undone_.reset();
  log("confirmation expired: undo of " + (*over)->plan);
  // Else `resume` would apply them again, and nobody would have to confirm it.
  restore_former((*over)->plan);
  after_change();
  return {};
}

/// Plans, keeps the memberships up to date, and in mode enforce applies.
Result<void> Controller::act() {
  auto plan = make(policies_);
  if (!plan) return std::unexpected(plan.error());
  last_plan_ = *plan;
  const auto controls = parts_.journal.controls();
  if (!controls) return std::unexpected(controls.error());
  if (auto done = tend_membership(*plan); !done) log("membership: " + done.error().text);

  const Plan structure = structure_of(*plan);
  waiting_ = mode() == Mode::enforce ? too_large(*plan) : "";
  if (structure.actions.empty()) return {};
  if (mode() == Mode::enforce && may_act(*controls) && !failed_plans_.contains(id_of(structure)) &&
      waiting_.empty() && cooled_down()) {
    enforce(*plan, parts_.clock.monotonic());
  } else if (mode() != Mode::observe) {
    const bool is_news =
        note(Notice::waiting, structure,
             "would take " + std::to_string(plan->actions.size()) + " actions on " +
                 devices_line(*plan) + (waiting_.empty() ? "" : "; " + waiting_),
             id_of(*plan));
    if (is_news && !waiting_.empty()) log("not applied: " + waiting_);
  }
  return {};
}

bool Controller::may_act(const Controls& controls) const {
  return !controls.paused && !controls.hold && !controls.confirmation && controls.degraded.empty();
}

/// What nobody wants any more goes, whatever it would do to the mice. What stands is written once
/// there is something to compare it with; what must prove itself becomes a trial. One at a time.
void Controller::enforce(const Plan& plan, MonotonicTime now) {
  if (trials_.under_way() || not_undone_) return;
  Parted parts = parted(plan);
  const VerifyRule& rule = policies_.policy.verify;
  const auto is_removal = [&](const Action& action) { return gives_back(snapshot_.held, action); };
  Plan unwanted;
  std::ranges::copy_if(parts.experiment.actions, std::back_inserter(unwanted.actions), is_removal);
  std::erase_if(parts.experiment.actions, is_removal);
  if (!unwanted.actions.empty() && withdraw(unwanted, now)) return;
  const Unwanted trees = unwanted_of(parts.standing, is_removal);
  if (!structure_of(trees.removals).actions.empty() && withdraw(trees.removals, now)) return;
  if (!structure_of(trees.rest).actions.empty() && carry_out_standing(trees.rest, now)) return;
  if (parts.experiment.actions.empty()) return;
  trials_.look_for_signs(parts.experiment, rule, snapshot_, now);
  const Sifted sifted = trials_.to_be_tried(parts.experiment, now);
  if (sifted.why) note(Notice::not_tried, parts.experiment, "not tried now: " + *sifted.why);
  if (sifted.free.actions.empty()) return;
  if (auto begun = trials_.propose(sifted.free, rule, snapshot_, now); !begun) return;
  log("trial plan=" + id_of(sifted.free) + " phase=before");
}

/// True: something was written, or will be once there is a baseline.
bool Controller::carry_out_standing(const Plan& wanted, MonotonicTime now) {
  const Sifted sifted = trials_.to_stand(wanted, now);
  if (sifted.why) note(Notice::not_applied, wanted, "not applied now: " + *sifted.why);
  const Plan& plan = sifted.free;
  const Plan structure = structure_of(plan);
  if (structure.actions.empty() || failed_plans_.contains(id_of(structure))) return false;
  const VerifyRule& rule = policies_.policy.verify;
  if (!trials_.baseline_is_fresh(now) && trials_.take_baseline(rule, snapshot_, now)) return true;
  if (!carry_out_now(plan, true)) return false;
  (void)trials_.adopt(plan, rule, now);
  return true;
}

/// Gives back what nobody wants any more. No verdict brings that back, so there is none.
bool Controller::withdraw(const Plan& plan, MonotonicTime now) {
  if (failed_plans_.contains(id_of(structure_of(plan))) || !carry_out_now(plan)) return false;
  trials_.abandon();  // what was measured, was measured with it
  // What comes and goes at the loop's pace must not drive the loop.
  trials_.withdrawn(plan, policies_.policy.verify, now);
  remember_trials(now);
  return true;
}

bool Controller::carry_out_now(const Plan& plan, bool to_be_judged) {
  const auto applied = carry_out(plan, {.by = "ankusd",
                                        .audit_required = policies_.policy.audit_required,
                                        .to_be_judged = to_be_judged});
  if (!applied) {
    log("not applied plan=" + id_of(plan) + " reason=" + ankus::quoted(applied.error().text));
  } else if (applied->failure) {
    log("failed plan=" + id_of(plan) + " reason=" + ankus::quoted(applied->failure->text));
  } else {
    log("applied plan=" + id_of(plan) + " actions=" + std::to_string(plan.actions.size()));
    failed_plans_.clear();
    notices_.forget_the_last();
    return true;
  }
  const Error& why = applied ? *applied->failure : applied.error();
  if (why.kind != ErrorKind::busy) failed_plans_.insert(id_of(structure_of(plan)));
  return false;
}

/// Rows follow the workloads and leases are renewed, without a transaction of their own, for as
/// long as the table is held; a pause leaves the rows as they are and renews what stands.
Result<void> Controller::tend_membership(const Plan& plan) {
  const auto held = parts_.journal.held();
  if (!held) return std::unexpected(held.error());
  const auto row =
      std::ranges::find_if(*held, [](const HeldKnob& h) { return is_membership(h.knob); });
  if (row == held->end()) return {};
  const auto controls = parts_.journal.controls();
  if (!controls) return std::unexpected(controls.error());
  const std::vector<Knob> knob{knob::Membership{}};
  const auto now = parts_.actuator.read(knob);
  if (!now[0]) return std::unexpected(now[0].error());
  Action renewal{.knob = knob[0], .before = *now[0], .after = *now[0], .reason = row->reason};
  const auto wanted = std::ranges::find_if(
      plan.actions, [](const Action& action) { return is_membership(action.knob); });
  if (wanted != plan.actions.end() && std::holds_alternative<Members>(wanted->after) &&
      !controls->paused)
    renewal.after = wanted->after;
  if (!std::holds_alternative<Members>(renewal.after)) return {};
  const auto written = parts_.actuator.write({&renewal, 1});
  if (!written[0]) return std::unexpected(written[0].error());
  if (renewal.after == renewal.before) return {};
  HeldKnob changed = *row;
  changed.written = renewal.after;
  return parts_.journal.change_held({.hold = {changed}});
}

bool Controller::cooled_down() const {
  return !acted_ || parts_.clock.monotonic() - acted_at_ >= policies_.policy.guard.cooldown;
}

std::string Controller::too_large(const Plan& plan) const {
  const std::size_t actions = structure_of(plan).actions.size();
  const std::size_t most = policies_.policy.guard.actions_per_plan;
  if (actions <= most) return {};
  return "plan " + id_of(plan) + " has " + std::to_string(actions) +
         " actions, guard.actions_per_plan allows " + std::to_string(most) +
         ": look at `ankusctl plan`, then `ankusctl apply`";
}

Result<Applied> Controller::carry_out(const Plan& plan, const ApplyOptions& options) {
  acted_ = true;
  acted_at_ = parts_.clock.monotonic();
  auto applied = ankus::apply(plan, parts_.actuator, parts_.journal, parts_.clock, options);
  if (applied) after_change();
  return applied;
}

/// The sensors follow what is in force now: the classifier sees the uplink's packets itself, and
/// what is held must go on being fed after us.
void Controller::after_change() {
  plan_due_ = true;
  parts_.observer.forget_queues();
  if (auto done = look(); !done) log("look: " + done.error().text);
  tend_pins();
}

/// What an earlier daemon has pinned counts each packet beside us until ours takes its place.
void Controller::tend_pins() {
  const auto held = parts_.journal.held();
  const auto controls = parts_.journal.controls();
  if (held && held->empty()) {
    // What waits may have given all back: the dead man's switch needs the pins to take it again.
    if (controls && !keeps_all_runs(*controls)) remove_pins(parts_.options.bpf_dir);
  } else if (held && !classified_devices(*held).empty()) {
    if (auto done = parts_.observer.persist(); !done)
      log("the sensors would not outlive the daemon: " + done.error().text);
    else
      remove_pins_of_other_versions(parts_.options.bpf_dir);
  } else if (held && controls && !keeps_all_runs(*controls)) {
    unpin_all(sensor_pins(parts_.options.bpf_dir));  // nobody's packets need a class
  }
}

void Controller::note_start() {
  audit("start", "",
        "ankusd " + std::string(kVersion) + ", mode " + std::string(to_text(mode())) + ": " +
            report::policy_names(policies_.sources));
}

Result<void> Controller::reload(const std::string& by) {
  plan_due_ = true;
  auto loaded = load_policies(parts_.options.policies, parts_.options.config_dir);
  if (!loaded) return std::unexpected(loaded.error());
  policies_ = std::move(*loaded);
  former_.reset();
  trials_.forget_withdrawals();
  if (!trials_.is_written()) trials_.abandon();
  failed_plans_.clear();
  const std::string names = report::policy_names(policies_.sources);
  audit("command", "", "reload by " + by + ": " + names);
  log("policies loaded: " + names);
  return {};
}

Result<Controller::ApplyReply> Controller::apply(const ApplyRequest& request) {
  const auto controls = parts_.journal.controls();
  if (!controls) return std::unexpected(controls.error());
  if (mode() == Mode::observe)
    return fail(ErrorKind::unsupported,
                "the daemon only observes (mode observe); start it with --mode advise or enforce");
  if (auto may = may_apply(*controls, Applies::a_change); !may) return std::unexpected(may.error());

  const LoadedPolicies former = policies_;
  if (request.policies) policies_ = *request.policies;
  const auto restore = [&] {
    policies_ = former;
    if (auto done = look(); !done) log("look: " + done.error().text);
  };
  auto plan = this->plan();
  if (!plan) {
    restore();
    return std::unexpected(plan.error());
  }
  ApplyReply reply{.refusals = plan->refusals};
  if (plan->actions.empty()) {
    if (request.policies && request.confirm_within) {
      restore();
      return fail(ErrorKind::refused,
                  "under these policies nothing changes now, so there is nothing to confirm; "
                  "without --confirm-within they take the place of those in force");
    }
    reply.applied.plan = id_of(*plan);
    if (request.policies) former_.reset();
    return reply;
  }
  if (request.confirm_within) {
    auto armed = arm_deadman(parts_.options, *request.confirm_within);
    if (!armed) {
      restore();
      return with_context("nothing was applied", armed.error());
    }
    reply.deadman = *armed;
  }
  auto applied = carry_out(*plan, {.by = request.by,
                                   .audit_required = policies_.policy.audit_required,
                                   .confirm_within = request.confirm_within,
                                   .to_be_judged = true});
  if (!applied || applied->failure) {
    if (request.confirm_within) disarm_deadman(parts_.options);
    restore();
  }
  if (!applied) return std::unexpected(applied.error());
  reply.applied = std::move(*applied);
  const bool done = !reply.applied.failure && reply.applied.run != 0;
  // The table of workloads alone is daily work, and ends no trial.
  const bool structural = done && !structure_of(*plan).actions.empty();
  if (structural) {
    reply.trial = trials_.adopt(*plan, policies_.policy.verify, parts_.clock.monotonic());
    not_undone_.reset();
    former_.reset();
  }
  // A verdict on a plan of other policies must not bring back those before them.
  if (request.policies && !reply.applied.failure) former_.reset();
  if (done && request.policies && (request.confirm_within || (structural && trials_.under_way())))
    former_ = Former{.policies = former, .plan = reply.applied.plan};
  trials_.forget_withdrawals();
  failed_plans_.clear();
  if (auto forgot = forget_judged(); !forgot) log("controls: " + forgot.error().text);
  return reply;
}

Result<std::string> Controller::confirm(const std::string& by) {
  auto plan = ankus::confirm(parts_.journal, parts_.clock, by);
  if (!plan) return plan;
  disarm_deadman(parts_.options);
  settle_former(*plan);
  after_change();  // pins that were kept for the switch may go
  return plan;
}

Result<Undone> Controller::rollback(const std::string& id, const std::string& by) {
  auto undone = ankus::undo(parts_.actuator, parts_.journal, parts_.clock, {.by = by, .id = id});
  if (!undone) return undone;
  trials_.abandon();
  if (id.empty() || not_undone_ == id) not_undone_.reset();
  if (former_ && (id.empty() || id == former_->plan)) restore_former(former_->plan);
  disarm_if_settled();
  after_change();
  return undone;
}

Result<void> Controller::pause(const std::string& by) {
  plan_due_ = true;
  auto controls = parts_.journal.controls();
  if (!controls) return std::unexpected(controls.error());
  controls->paused = true;
  controls->paused_by = by;
  audit("command", "", "pause by " + by);
  return parts_.journal.set_controls(*controls);
}

Result<void> Controller::resume(const std::string& by) {
  plan_due_ = true;
  auto controls = parts_.journal.controls();
  if (!controls) return std::unexpected(controls.error());
  controls->paused = false;
  controls->paused_by.clear();
  controls->hold.reset();
  failed_plans_.clear();
  acted_ = false;  // a person has asked: the cool-down is over
  audit("command", "", "resume by " + by);
  return parts_.journal.set_controls(*controls);
}

Result<const WorkloadState*> find_workload(const Snapshot& snapshot, const std::string& text) {
  const WorkloadState* found = nullptr;
  for (const WorkloadState& state : snapshot.workloads)
    if (std::to_string(state.workload.id) == text) return &state;
  for (const WorkloadState& state : snapshot.workloads) {
    if (state.workload.name != text) continue;
    if (found != nullptr)
      return fail(ErrorKind::invalid,
                  "two workloads are named " + ankus::quoted(text) + ": give the id");
    found = &state;
  }
  if (found == nullptr) return fail(ErrorKind::gone, "no workload is named " + ankus::quoted(text));
  return found;
}

Result<std::string> Controller::set_opted_out(const std::string& workload, bool opted_out) {
  const auto named = find_workload(snapshot_, workload);
  if (!named) return std::unexpected(named.error());
  const WorkloadState* found = *named;
  plan_due_ = true;
  if (!trials_.is_written()) trials_.abandon();
  const std::string name = found->workload.name;
  const WorkloadIdentity identity = found->workload.identity;
  if (opted_out) {
    if (auto done = parts_.journal.set_opted_out(opt_out_key(identity), true); !done)
      return std::unexpected(done.error());
  } else {  // by whichever key it was
    const auto keys = parts_.journal.opted_out();
    if (!keys) return std::unexpected(keys.error());
    for (const std::string& key : *keys)
      if (names_workload(key, identity))
        if (auto done = parts_.journal.set_opted_out(key, false); !done)
          return std::unexpected(done.error());
  }
  audit("command", "", (opted_out ? "opt-out of " : "opt-in of ") + name);
  return name;
}

void Controller::remember_footprints() {
  std::map<std::string, Footprint> by_label;
  for (const WorkloadState& state : snapshot_.workloads)
    if (state.footprint.weight != Weight::unknown && !state.footprint.learnt &&
        !state.workload.label.empty())
      by_label[state.workload.label] = state.footprint;
  const std::vector<std::pair<std::string, Footprint>> rows(by_label.begin(), by_label.end());
  (void)parts_.journal.remember(rows);  // status shows why history cannot be written
}

}  // namespace ankus
