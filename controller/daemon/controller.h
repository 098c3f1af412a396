// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "act/drift.h"
#include "act/transaction.h"
#include "act/undo.h"
#include "daemon/effect_probe.h"
#include "daemon/notices.h"
#include "daemon/observer.h"
#include "daemon/options.h"
#include "daemon/policies.h"
#include "daemon/retry.h"
#include "daemon/trials.h"
#include "journal/journal.h"
#include "verify/steering_guard.h"

namespace ankus {

/// The loop's brain: sense -> model -> policy -> plan -> act, and what people ask for in between.
/// Knows what is in force only from the journal, so a restart goes on where it was.
class Controller {
 public:
  /// What it works with; main() owns all of it.
  struct Parts {
    const Options& options;
    Observer& observer;
    Actuator& actuator;
    Journal& journal;
    const Clock& clock;
  };
  Controller(Parts parts, LoadedPolicies policies);

  /// Brings what an earlier run left half done to its before or its after. To be called first.
  Result<void> recover();
  /// One turn of the loop.
  Result<void> tick();
  /// Puts into history that the daemon runs, and with what.
  void note_start();
  /// Replaces the policies as a whole, or not at all.
  Result<void> reload(const std::string& by);

  /// What would be done now, under the policies in force. Nothing is written.
  Result<Plan> plan();
  /// The same under other policies.
  Result<Plan> plan_of(const LoadedPolicies& policies);

  /// Somebody has looked at a plan and may apply it soon: measures what its effect will be compared
  /// with.
  void expect_apply();

  struct ApplyRequest {
    std::string by;
    std::optional<nanoseconds> confirm_within;
    std::optional<LoadedPolicies> policies;  ///< these instead of those in force, from now on
  };
  struct ApplyReply {
    Applied applied;
    std::vector<Refusal> refusals;
    std::string deadman;  ///< what was armed, for people
    std::string trial;    ///< if and when its effect is judged, for people
  };
  Result<ApplyReply> apply(const ApplyRequest& request);
  Result<std::string> confirm(const std::string& by);
  Result<Undone> rollback(const std::string& id, const std::string& by);
  Result<void> pause(const std::string& by);
  Result<void> resume(const std::string& by);
  /// `workload` is a name or an id; its name is returned.
  Result<std::string> set_opted_out(const std::string& workload, bool opted_out);

  Mode mode() const;
  const LoadedPolicies& policies() const { return policies_; }
  /// As of the last tick, with opt-outs.
  const Snapshot& snapshot() const { return snapshot_; }
  const std::vector<Refusal>& refusals() const { return last_plan_.refusals; }
  const Plan& last_plan() const { return last_plan_; }
  /// Why a plan waits for a person: it has more actions than the policy allows, the table of
  /// workloads, which is daily work, not counted. Else empty.
  std::string too_large(const Plan& plan) const;
  /// Why the plan of now waits for a person, in mode enforce; else empty.
  const std::string& waiting() const { return waiting_; }
  const Trials& trials() const { return trials_; }
  EffectProbe& probe() { return probe_; }
  /// Lines for the log since the last call.
  std::vector<std::string> take_log();
  /// Keeps the footprints that were learnt, by label.
  void remember_footprints();

 private:
  Result<void> finish_interrupted();
  Result<void> look();
  void look_at_queues();
  Result<Plan> make(const LoadedPolicies& policies);
  Result<Applied> carry_out(const Plan& plan, const ApplyOptions& options);
  Result<void> act();
  bool may_act(const Controls& controls) const;
  void enforce(const Plan& plan, MonotonicTime now);
  bool carry_out_standing(const Plan& wanted, MonotonicTime now);
  bool withdraw(const Plan& plan, MonotonicTime now);
  bool carry_out_now(const Plan& plan, bool to_be_judged = false);
  std::optional<Plan> as_wanted_now(const Plan& plan);
  void turn_trial(MonotonicTime now);
  void conclude(Judged judged);
  Result<void> look_for_drift(MonotonicTime now);
  void end_trial_of(const Drift& drift, MonotonicTime now);
  std::string undo_trial(const std::string& plan, const std::string& undone, nanoseconds left_alone,
                         MonotonicTime now);
  Result<std::string> take_back(const std::string& plan);
  void take_back_at_last(MonotonicTime now);
  void guard_steering(MonotonicTime now);
  bool steers() const;
  std::string undo_steering();
  std::optional<unsigned> ordinary_drops() const;
  void undone_by_verdict(const std::string& plan);
  void disarm_if_settled();
  void tend_pins();
  void settle_former(const std::string& plan);
  void restore_former(const std::string& plan);
  Result<void> recall();
  Result<void> end_cut_off_trials();
  Result<void> undo_unconfirmed(MonotonicTime now);
  Result<void> forget_judged();
  void remember_trials(MonotonicTime now);
  Result<void> tend_membership(const Plan& plan);
  void after_change();
  bool cooled_down() const;
  void log(std::string line) { log_.push_back(std::move(line)); }
  bool note(Notice notice, const Plan& plan, const std::string& text, const std::string& id = "");
  void audit(const std::string& kind, const std::string& plan, const std::string& text);

  Parts parts_;
  LoadedPolicies policies_;
  EffectProbe probe_;
  Trials trials_;
  SteeringGuard guard_;
  Snapshot snapshot_;
  Plan last_plan_;
  std::string waiting_;
  Notices notices_;
  std::set<std::string> failed_plans_;  ///< ids: not tried again until something else is done
  /// Those before `apply POLICY`, until its plan is confirmed and judged.
  struct Former {
    LoadedPolicies policies;
    std::string plan;
  };
  std::optional<Former> former_;
  /// A plan that is to go after its trial, but nothing could be written yet.
  std::optional<std::string> not_undone_;
  MonotonicTime not_undone_tried_at_;
  Experiments::Records remembered_trials_;    ///< as the journal has them, or is to have them
  std::optional<unsigned> remembered_drops_;  ///< per second without steering, likewise
  Retry undo_retry_;                          ///< of a plan that nobody confirmed in time
  std::string said_not_undone_;               ///< what of it was last said to be left
  bool plan_due_ = true;
  std::uint64_t planned_on_ = 0;  ///< signature of the snapshot of the last plan
  MonotonicTime planned_at_;
  MonotonicTime acted_at_, drift_checked_at_, remembered_at_;
  bool acted_ = false;
  std::vector<std::string> log_;
};

/// By its number or its name. Error{gone} if there is none; Error{invalid} if two have the name. A
/// number goes before names: whoever starts a workload may call it "17".
Result<const WorkloadState*> find_workload(const Snapshot& snapshot, const std::string& text);

/// A workload's key in the journal's list of those that are left alone: its cgroup, as long as it
/// has one. Its devices may change meanwhile.
std::string opt_out_key(const WorkloadIdentity& identity);
/// If a key of that list is the workload's: also one from before it had a cgroup, and those that
/// earlier versions made.
bool names_workload(const std::string& key, const WorkloadIdentity& identity);

}  // namespace ankus
