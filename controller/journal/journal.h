// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/held.h"
#include "model/plan.h"
#include "model/workload.h"

namespace ankus {

/// What a run is for.
enum class Purpose { apply, undo };
std::string_view to_text(Purpose purpose);
std::optional<Purpose> purpose_from_text(std::string_view text);

/// What became of one step.
enum class Outcome {
  pending,  ///< intended; not known to have happened
  done,     ///< written and read back
  skipped,  ///< nothing to do, or not reached
  failed,   ///< the kernel refused it, or it reads back as something else
  undone,   ///< written, then taken back
  gone,     ///< its object vanished
  ceded,    ///< somebody else has it now
};
std::string_view to_text(Outcome outcome);
std::optional<Outcome> outcome_from_text(std::string_view text);

enum class RunState {
  open,    ///< intents are recorded, outcomes are not: interrupted, if no one is at it
  done,    ///< in the after state
  undone,  ///< in the before state
};
std::string_view to_text(RunState state);
std::optional<RunState> run_state_from_text(std::string_view text);

/// One action as the journal keeps it.
struct RunStep {
  std::string id;  ///< id_of(action)
  Action action;
  Outcome outcome = Outcome::pending;
  std::string text;  ///< why, where that is not plain

  bool operator==(const RunStep&) const = default;
};

/// A plan being carried out, or an undo.
struct Run {
  RunId id = 0;
  std::string plan;  ///< id of the plan; of an undo: "undo of p-..." or "undo of all"
  Purpose purpose = Purpose::apply;
  RunState state = RunState::open;
  std::string by;  ///< who asked for it
  BootTime begun;
  std::vector<RunStep> steps;

  bool operator==(const Run&) const = default;
};

/// A plan in force that is undone at the deadline unless somebody confirms it.
struct Confirmation {
  RunId run = 0;
  std::string plan;
  BootTime deadline;
  std::string by;
  bool on_trial = false;  ///< a verdict confirms it or undoes it, and nobody else

  bool operator==(const Confirmation&) const = default;
};

/// A plan in force whose verdict is still to come.
struct Unjudged {
  RunId run = 0;
  std::string plan;

  bool operator==(const Unjudged&) const = default;
};

/// What decides whether anything may be written.
struct Controls {
  bool paused = false;  ///< by `ankusctl pause`
  std::string paused_by;
  std::optional<std::string> hold;  ///< why nothing is applied until `ankusctl resume`
  std::optional<Confirmation> confirmation;
  std::optional<Unjudged> unjudged;
  std::vector<std::string> degraded;  ///< what could neither be set nor undone

  bool operator==(const Controls&) const = default;
};

/// What is recorded before the first write.
struct Intent {
  std::string plan;
  Purpose purpose = Purpose::apply;
  std::string by;
  std::vector<RunStep> steps;
  /// Written along with it, if present; run 0 of what waits in it stands for this run.
  std::optional<Controls> controls;
};

/// A change of what is held, taken as one.
struct HeldChange {
  std::vector<HeldKnob> hold;  ///< new ones go last; known ones keep their place
  std::vector<Knob> drop;
  std::vector<CededKnob> cede;
};

/// What is recorded after the last write.
struct Closing {
  RunId run = 0;
  RunState state = RunState::done;
  std::vector<RunStep> steps;  ///< all of the run's, with their outcomes
  HeldChange change;
  std::optional<Controls> controls;
};

/// A line of history, for people. The journal adds the time.
struct Event {
  std::string kind;  ///< "plan", "intent", "done", "failed", "undone", "ceded", "verdict", ...
  std::string plan, action;
  std::string text;
  std::string json;  ///< details for machines; may be empty, and is forgotten first

  bool operator==(const Event&) const = default;
};
struct PastEvent {
  std::int64_t number = 0;
  WallTime time;
  BootTime boot_time;
  std::string boot_id;
  Event event;

  bool operator==(const PastEvent&) const = default;
};

/// One of the three seams: what must survive the process. *Held* is what is in force and how to
/// take it back; it must work or nothing is written. *History* is for people and may fail. Each
/// function is one transaction: it happened as a whole or not at all.
class Journal {
 public:
  virtual ~Journal() = default;

  // Held.
  virtual Result<RunId> begin(const Intent& intent) = 0;
  virtual Result<void> close(const Closing& closing) = 0;
  /// Those that are open, and those of which something is still in force; oldest first. While a
  /// plan waits for its confirmation or verdict, all since but undos that undid nothing: one that
  /// only gave back can be undone.
  virtual Result<std::vector<Run>> runs() = 0;
  /// In the order in which they were taken.
  virtual Result<std::vector<HeldKnob>> held() = 0;
  /// Those whose time is over too: they count fights.
  virtual Result<std::vector<CededKnob>> ceded() = 0;
  virtual Result<void> change_held(const HeldChange& change) = 0;
  virtual Result<Controls> controls() = 0;
  virtual Result<void> set_controls(const Controls& controls) = 0;
  /// Workloads that must not be acted upon, by a key that the caller makes from their identity.
  virtual Result<std::vector<std::string>> opted_out() = 0;
  virtual Result<void> set_opted_out(const std::string& key, bool opted_out) = 0;
  /// What the numbers in the BPF maps stand for, as far as it was kept.
  virtual Result<WorkloadNumbers> workload_numbers() = 0;
  /// Each row replaces the one of its number, all others stay; but if `changed` is of other maps
  /// than what was kept, nothing stays.
  virtual Result<void> keep_workload_numbers(const WorkloadNumbers& changed) = 0;

  /// What was learnt by trying, and that instead of it.
  virtual Result<std::vector<TriedObject>> tried() = 0;
  virtual Result<void> keep_tried(std::span<const TriedObject> tried) = 0;

  // History.
  virtual Result<void> record(std::span<const Event> events) = 0;
  /// Why history cannot be written or read now; none if it can.
  virtual std::optional<std::string> history_problem() = 0;
  /// The newest `limit` events, oldest first. If `id` is not empty: those of that plan or action,
  /// and of what undid it; the plan's newest details are with them, and no others.
  virtual Result<std::vector<PastEvent>> events(std::size_t limit, const std::string& id) = 0;
  /// Remembers footprints by the workloads' labels.
  virtual Result<void> remember(std::span<const std::pair<std::string, Footprint>> footprints) = 0;
  /// What was remembered, marked as learnt.
  virtual Result<std::vector<std::pair<std::string, Footprint>>> footprints() = 0;
};

/// `controls` with run 0 of what waits in it replaced by `run`.
Controls with_run(Controls controls, RunId run);

/// If close() must not forget runs of which nothing is held: the plan that waits may have given
/// back all that it touched, and what it was before belongs to the plans before it.
bool keeps_all_runs(const Controls& controls);

}  // namespace ankus
