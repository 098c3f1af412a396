// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/plan.h"
#include "model/verify_rule.h"
#include "verify/verdict.h"

namespace ankus {

/// What is tried must prove itself; what stands (the bandwidth tree) must only not harm: a quiet
/// host is no reason to take its tree out again.
enum class Trial { experiment, standing };
std::string_view to_text(Trial trial);

/// Actions that are written, judged and undone together.
struct Proposal {
  std::string id;  ///< of the plan
  Trial trial = Trial::experiment;
  std::vector<std::string> objects;  ///< see objects_of()
  VerifyRule rule;

  bool operator==(const Proposal&) const = default;
};

/// Whether it is undone unless it helps; else only if it harms.
bool must_help(const Proposal& proposal);

/// The things that actions change, as far as trying is concerned: a device's tree is one, any
/// other knob is one each. The table of workloads is none: it is daily work. Sorted, each once.
std::vector<std::string> objects_of(std::span<const Action> actions);

enum class Phase {
  before,    ///< the baseline is being measured; nothing is written yet
  writing,   ///< the caller writes now
  settling,  ///< written; what is measured now is not looked at
  after,     ///< the window that is judged
};
std::string_view to_text(Phase phase);

/// The one that is under way.
struct Experiment {
  Proposal proposal;
  Phase phase = Phase::before;
  MonotonicTime since, until;  ///< of the phase; of `writing` no end is known

  bool operator==(const Experiment&) const = default;
};

/// What was learnt of one object.
struct ObjectRecord {
  unsigned failures = 0;        ///< in a row: undone, or wanted back too soon
  MonotonicTime free_from;      ///< nothing is begun before
  unsigned unfit = 0;           ///< in a row: measured, and then not written
  MonotonicTime measured_from;  ///< nothing is measured before, on their account
  bool hastened = false;        ///< that wait is not to be cut short (again)
  bool cut_short = false;       ///< the window under way came sooner
  std::optional<MonotonicTime> kept_since;
  std::string last;  ///< one line: what came of it

  bool operator==(const ObjectRecord&) const = default;
};

/// What the caller has to do now.
enum class Due { nothing, write, judge };

struct Conclusion {
  bool keep = false;
  std::string reason;      ///< one line
  nanoseconds back_off{};  ///< for so long nothing is begun at its objects

  bool operator==(const Conclusion&) const = default;
};

/// When may be tried what, as a value driven by time stamps; touches nothing itself.
///
///     begin ─► before ─► writing ─► settling ─► after ─► conclude ─► kept | undone, back-off
///                │ not fit, or not wanted by then: nothing is written; measured again after
///                `within`, twice that, ..., │ `back_off`, or once sooner, if a sign shows
///
/// One experiment at a time on the whole host, since two would be judged by one another's effect.
/// It cannot oscillate: whatever the verdicts are, an episode writes an object at most twice (there
/// and back), and the next one begins at the earliest `back_off` after its end. Each failure
/// doubles that wait up to `longest_back_off`; only having been kept for a whole wait takes one
/// failure off. So E failing episodes take at least back_off * (2^(E-1) - 1).
class Experiments {
 public:
  /// Why nothing may be begun at these objects now; none: it may.
  std::optional<std::string> refusal(std::span<const std::string> objects, MonotonicTime now) const;

  /// An experiment starts measuring its baseline; a standing action is due to be written at once
  /// (its baseline is whatever was measured before). An Error is the refusal.
  Result<void> begin(Proposal proposal, MonotonicTime now);

  /// Moves the phases on. Due::write and Due::judge are said until they are answered.
  Due due(MonotonicTime now);

  /// The answer to Due::write, first half: is there enough of a baseline (unfit() of verdict.h)?
  /// False: the experiment is over and nothing is to be written. Always true of standing actions.
  bool may_write(const std::optional<std::string>& unfit, MonotonicTime now);
  /// Measured, due to be written, and not to be written after all (nobody wants it any more, or
  /// somebody came first): nothing was written, so no failure; it waits as one that was not fit.
  void not_written(const std::string& why, MonotonicTime now);
  /// These wait to be measured again since nothing was found; a sign may shorten that.
  bool waits_for_signs(std::span<const std::string> objects, MonotonicTime now) const;
  /// A sign has shown: they may be measured now. At most every second of these waits is cut
  /// short, so that signs that come and go do not keep the host measured.
  void hasten(std::span<const std::string> objects, MonotonicTime now);
  /// Between the two: the same objects, planned for anew, have another id.
  void replan(std::string id);
  /// The second half: all is written. If it could not be: call give_up().
  void written(MonotonicTime now);
  /// The writes failed and were taken back, or somebody else interfered: a failure like any other.
  Conclusion give_up(std::string_view why, MonotonicTime now);

  /// A part of what was written is not in force any more, and not by us: over without a verdict,
  /// and nobody's failure. What must help is taken back by the caller, and not tried before the
  /// time that is returned: what takes it away each time must not drive the loop.
  nanoseconds interrupted(const std::string& why, MonotonicTime now);

  /// Somebody else has taken the matter into his own hands: over, and nobody's failure.
  void cancel() { running_.reset(); }

  /// The answer to Due::judge. Unless it says `keep`, the caller undoes the actions now.
  Conclusion conclude(const Verdict& verdict, MonotonicTime now);

  /// Something kept is taken back since it is no longer wanted. Too soon after it was put in place,
  /// it counts as a failure: a load that comes and goes at the loop's pace must not drive the loop.
  void withdrawn(std::span<const std::string> objects, const VerifyRule& rule, MonotonicTime now);

  /// Of what was kept only `in_force` still is: the rest vanished, was taken back by hand or is
  /// somebody else's by now. That is no failure, and is forgotten in time as all that failed is.
  void still_in_force(std::span<const std::string> in_force, const VerifyRule& rule,
                      MonotonicTime now);

  /// Something was found harmful outside of its trial, and is taken back: a failure. What is being
  /// tried just now is given up.
  nanoseconds harmed(const std::vector<std::string>& objects, const VerifyRule& rule,
                     const std::string& why, MonotonicTime now);

  /// A person has changed what is wanted: what was taken back as no longer wanted was his doing,
  /// and may come back at once.
  void forget_withdrawals();

  const std::optional<Experiment>& running() const { return running_; }
  using Records = std::map<std::string, ObjectRecord>;
  const Records& records() const { return records_; }
  /// What is to be remembered in case no verdict ever comes: a failure.
  Records records_if_cut_off() const;
  void remember(Records records) { records_ = std::move(records); }

 private:
  nanoseconds fail(const std::vector<std::string>& objects, const VerifyRule& rule,
                   const std::string& why, MonotonicTime now);
  void forget_the_old(const VerifyRule& rule, MonotonicTime now);

  std::optional<Experiment> running_;
  Records records_;
};

/// How long nothing is begun after so many failures in a row; `back_off` after none or one.
nanoseconds wait_after(unsigned failures, const VerifyRule& rule);
/// How long nothing is measured after so many windows in a row that were not fit.
nanoseconds wait_after_unfit(unsigned unfit, const VerifyRule& rule);

}  // namespace ankus
