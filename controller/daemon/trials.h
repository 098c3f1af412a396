// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/wholes.h"
#include "model/snapshot.h"
#include "verify/experiment.h"
#include "verify/gate.h"
#include "verify/verdict.h"
#include "verify/window.h"

namespace ankus {

/// What measures for a trial: an EffectProbe, in a test a fake.
struct Eyes {
  std::function<Result<void>(nanoseconds length, MonotonicTime)> begin;
  std::function<Result<Look>(const Snapshot&, MonotonicTime)> look;
  std::function<void()> end;
  /// What can be read without a window.
  std::function<HostTotals(const Snapshot&)> host;
};

/// A verdict, what it was made of, and what followed.
struct Judged {
  Proposal proposal;
  Plan plan;
  Samples before, after;
  Verdict verdict;
  Conclusion conclusion;
  WallTime at;  ///< for people; set by the controller
};

/// What the controller has to do now for the trial that is under way.
struct TrialStep {
  enum class Kind {
    nothing,
    write,   ///< `plan`, or replan(); then written(), failed(), not_written() or abandon()
    drop,    ///< nothing was written: `text` says what was missing
    judged,  ///< `judged` says whether to keep it or to undo it
  };
  Kind kind = Kind::nothing;
  Plan plan;  ///< that is to be written, or was dropped
  std::string text;
  std::optional<Judged> judged;
};

/// A trial that ended before its verdict.
struct Interrupted {
  std::string plan;
  bool undo = false;       ///< nothing has shown that what is left of it helps
  nanoseconds left_alone;  ///< if it is undone
};

/// Measures what an action does to the mice: baseline, write, settle, the window after, verdict.
/// Knows when, and with which samples; the controller writes and undoes.
class Trials {
 public:
  explicit Trials(Eyes eyes) : eyes_(std::move(eyes)) {}

  bool under_way() const { return experiments_.running().has_value(); }
  /// The one that is under way is in force.
  bool is_written() const;
  /// "baseline of p-... for another 8s", for status; empty if none is under way.
  std::string status(MonotonicTime now) const;
  /// Why nothing may be tried at the plan's objects now.
  std::optional<std::string> refusal(const Plan& plan, MonotonicTime now) const;
  /// The same, but only what earlier failures forbid.
  std::optional<std::string> back_off(const Plan& plan, MonotonicTime now) const;
  /// What of a plan may be tried now: what waits must not keep the rest from being tried.
  Sifted to_be_tried(const Plan& plan, MonotonicTime now) const;
  /// What of it may stand now: all but what has failed before.
  Sifted to_stand(const Plan& plan, MonotonicTime now) const;

  /// What is wanted, and was measured in vain, may be measured sooner if the host's own counters
  /// come to show a sign. To be asked whenever it is still wanted.
  void look_for_signs(const Plan& plan, const VerifyRule& rule, const Snapshot& snapshot,
                      MonotonicTime now);

  /// Measures a baseline so that a plan that is written soon can be judged. False if it cannot be
  /// measured; true while it is.
  bool take_baseline(const VerifyRule& rule, const Snapshot& snapshot, MonotonicTime now);

  /// A plan that is to prove itself: its baseline is measured, then the gate decides.
  Result<void> propose(Plan plan, const VerifyRule& rule, const Snapshot& snapshot,
                       MonotonicTime now);
  /// A plan that was written already (by hand, or since it stands): judged by what was measured
  /// before; not at all if nothing was. Returns what a person should know.
  std::string adopt(const Plan& plan, const VerifyRule& rule, MonotonicTime now);
  /// Settings that were ours are taken back since nobody wants them any more.
  void withdrawn(const Plan& plan, const VerifyRule& rule, MonotonicTime now);
  /// Settings of ours were taken back since they did harm, on trial or not. For how long they are
  /// left alone.
  nanoseconds harmed(const Plan& plan, const VerifyRule& rule, const std::string& why,
                     MonotonicTime now);
  /// What is held now; what was kept and is not among it is forgotten in time.
  void still_in_force(std::span<const HeldKnob> held, const VerifyRule& rule, MonotonicTime now);
  /// A person has changed what is wanted.
  void forget_withdrawals() { experiments_.forget_withdrawals(); }

  /// What was learnt, to outlive the process; while a trial is written, as if no verdict came.
  Experiments::Records records() const;
  void remember(Experiments::Records records) { experiments_.remember(std::move(records)); }

  /// One turn, after the snapshot was taken.
  TrialStep step(const Snapshot& snapshot, MonotonicTime now);
  /// What is due to be written, planned for anew: the same knobs, from where they are by now.
  void replan(const Plan& plan);
  void written(MonotonicTime now);
  Conclusion failed(const std::string& why, MonotonicTime now);
  /// It is not to be written after all, and nobody has failed.
  void not_written(const std::string& why, MonotonicTime now);
  /// Of what is on trial and in force.
  bool tries(const Knob& knob) const;
  bool is_about_to_judge(MonotonicTime now) const;
  /// A part of what is on trial was changed by somebody else, or vanished: no verdict, no failure.
  Interrupted interrupted(const std::string& why, MonotonicTime now);
  /// Somebody undid or replaced what is being tried. What was measured before it says nothing of
  /// what comes now.
  void abandon();
  /// Whether what was measured last says something of now.
  bool baseline_is_fresh(MonotonicTime now) const;

  /// The last verdict, as the controller gave it back.
  const std::optional<Judged>& last() const { return last_; }
  void remember(Judged judged) { last_ = std::move(judged); }

 private:
  void begin_window(nanoseconds length, const Snapshot& snapshot, MonotonicTime now);
  void end_window();
  void add_look(const Snapshot& snapshot, MonotonicTime now);
  TrialStep write_or_drop(MonotonicTime now);
  TrialStep judge_now(MonotonicTime now);

  Eyes eyes_;
  Experiments experiments_;
  std::optional<Plan> plan_;            ///< to be written, or written and tried
  std::optional<SampleWindow> window_;  ///< open: each turn adds a look
  std::optional<MonotonicTime> window_ends_, looked_at_;
  Samples before_;
  std::optional<MonotonicTime> before_at_;
  std::optional<Judged> last_;
  std::optional<Look> signs_seen_at_;  ///< the host's counters, while signs are looked for
  bool had_sign_ = false;
};

/// A setting that chooses CPUs, queues or threads: kept only if it helped.
bool must_prove_itself(const Knob& knob);
/// Which part of a plan must prove itself and which stands.
struct Parted {
  Plan standing, experiment;
};
Parted parted(const Plan& plan);
/// By what a plan's effect is judged: a tree's by round trips too, since it may move the queue from
/// behind the host into it.
Lever lever_of(const Plan& plan);

}  // namespace ankus
