// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fake/fate.h"
#include "journal/journal.h"

namespace ankus {

/// A journal in memory. Plain data, so that a test can copy it and look into it.
class FakeJournal final : public Journal {
 public:
  std::vector<Run> run_list;
  std::vector<HeldKnob> held_list;
  std::vector<CededKnob> ceded_list;
  Controls control;
  std::set<std::string> opted;
  std::vector<PastEvent> past;
  std::map<std::string, Footprint> learnt;
  RunId last_run = 0;
  WorkloadNumbers numbers;
  std::vector<TriedObject> tried_list;
  std::optional<std::string> history_broken;

  Result<RunId> begin(const Intent& intent) override {
    run_list.push_back({.id = ++last_run,
                        .plan = intent.plan,
                        .purpose = intent.purpose,
                        .by = intent.by,
                        .steps = intent.steps});
    for (RunStep& step : run_list.back().steps) forget_rows(step.action);
    if (intent.controls) control = with_run(*intent.controls, last_run);
    return last_run;
  }
  Result<void> close(const Closing& closing) override {
    for (Run& run : run_list)
      if (run.id == closing.run) {
        run.state = closing.state;
        for (std::size_t i = 0; i < run.steps.size(); ++i) {
          run.steps[i].outcome = closing.steps[i].outcome;
          run.steps[i].text = closing.steps[i].text;
        }
      }
    (void)change_held(closing.change);  // cannot fail here
    if (closing.controls) control = with_run(*closing.controls, closing.run);
    std::erase_if(run_list, [&](const Run& run) {
      const bool undid_nothing =
          run.purpose == Purpose::undo && std::ranges::all_of(run.steps, [](const RunStep& s) {
            return s.outcome == Outcome::failed;
          });
      return run.state != RunState::open && (undid_nothing || !keeps_all_runs(control)) &&
             std::ranges::none_of(held_list, [&](const HeldKnob& h) { return h.run == run.id; });
    });
    return {};
  }
  Result<std::vector<Run>> runs() override { return run_list; }
  Result<std::vector<HeldKnob>> held() override { return held_list; }
  Result<std::vector<CededKnob>> ceded() override { return ceded_list; }
  Result<void> change_held(const HeldChange& change) override {
    for (const Knob& knob : change.drop)
      std::erase_if(held_list, [&](const HeldKnob& h) { return h.knob == knob; });
    for (HeldKnob hold : change.hold) {
      forget_rows(hold.original);
      forget_rows(hold.written);
      const auto known = std::ranges::find(held_list, hold.knob, &HeldKnob::knob);
      if (known == held_list.end())
        held_list.push_back(std::move(hold));
      else
        *known = std::move(hold);
    }
    for (const CededKnob& cede : change.cede) {
      std::erase_if(ceded_list, [&](const CededKnob& c) { return c.knob == cede.knob; });
      ceded_list.push_back(cede);
    }
    return {};
  }
  Result<Controls> controls() override { return control; }
  Result<void> set_controls(const Controls& controls) override {
    control = controls;
    return {};
  }
  Result<std::vector<std::string>> opted_out() override {
    return std::vector<std::string>(opted.begin(), opted.end());
  }
  Result<void> set_opted_out(const std::string& key, bool opted_out) override {
    if (opted_out)
      opted.insert(key);
    else
      opted.erase(key);
    return {};
  }
  Result<WorkloadNumbers> workload_numbers() override { return numbers; }
  Result<void> keep_workload_numbers(const WorkloadNumbers& changed) override {
    if (changed.maps != numbers.maps) numbers = {.maps = changed.maps};
    for (const NumberedWorkload& row : changed.rows) {
      const auto place =
          std::ranges::lower_bound(numbers.rows, row.number, {}, &NumberedWorkload::number);
      if (place != numbers.rows.end() && place->number == row.number)
        *place = row;
      else
        numbers.rows.insert(place, row);
    }
    return {};
  }
  Result<std::vector<TriedObject>> tried() override { return tried_list; }
  Result<void> keep_tried(std::span<const TriedObject> tried) override {
    tried_list.assign(tried.begin(), tried.end());
    return {};
  }
  Result<void> record(std::span<const Event> events) override {
    if (history_broken) return fail(ErrorKind::refused, *history_broken);
    for (const Event& event : events)
      past.push_back({.number = static_cast<std::int64_t>(past.size()) + 1, .event = event});
    return {};
  }
  std::optional<std::string> history_problem() override { return history_broken; }
  Result<std::vector<PastEvent>> events(std::size_t limit, const std::string& id) override {
    std::vector<PastEvent> found;
    for (const PastEvent& p : past)
      if (id.empty() || p.event.plan == id || p.event.action == id ||
          p.event.plan == "undo of " + id)
        found.push_back(p);
    if (found.size() > limit) found.erase(found.begin(), found.end() - static_cast<long>(limit));
    return found;
  }
  Result<void> remember(std::span<const std::pair<std::string, Footprint>> footprints) override {
    for (const auto& [label, footprint] : footprints) learnt[label] = footprint;
    return {};
  }
  Result<std::vector<std::pair<std::string, Footprint>>> footprints() override {
    std::vector<std::pair<std::string, Footprint>> all(learnt.begin(), learnt.end());
    for (auto& [label, footprint] : all) footprint.learnt = true;
    return all;
  }

 private:
  /// As the real one: of Members only the digest is kept.
  static void forget_rows(Setting& setting) {
    if (auto* members = std::get_if<Members>(&setting))
      *members = Members{.digest = digest_of(*members)};
  }
  static void forget_rows(Action& action) {
    forget_rows(action.before);
    forget_rows(action.after);
  }
};

/// Another journal, whose writes can fail or be the process's last.
class FaultyJournal final : public Journal {
 public:
  explicit FaultyJournal(Journal& inner) : inner_(inner) {}

  Fate* fate = nullptr;
  std::optional<int> fail_at;  ///< the n-th write to held from now fails, and has no effect
  bool for_good = false;       ///< and so do all after it

  Result<RunId> begin(const Intent& intent) override {
    return held_write<RunId>([&] { return inner_.begin(intent); });
  }
  Result<void> close(const Closing& closing) override {
    return held_write<void>([&] { return inner_.close(closing); });
  }
  Result<void> change_held(const HeldChange& change) override {
    return held_write<void>([&] { return inner_.change_held(change); });
  }
  Result<void> set_controls(const Controls& controls) override {
    return held_write<void>([&] { return inner_.set_controls(controls); });
  }
  Result<void> record(std::span<const Event> events) override {
    return written<void>([&] { return inner_.record(events); });
  }

  Result<std::vector<Run>> runs() override { return inner_.runs(); }
  Result<std::vector<HeldKnob>> held() override { return inner_.held(); }
  Result<std::vector<CededKnob>> ceded() override { return inner_.ceded(); }
  Result<Controls> controls() override { return inner_.controls(); }
  Result<std::vector<std::string>> opted_out() override { return inner_.opted_out(); }
  Result<void> set_opted_out(const std::string& key, bool out) override {
    return inner_.set_opted_out(key, out);
  }
  Result<WorkloadNumbers> workload_numbers() override { return inner_.workload_numbers(); }
  Result<void> keep_workload_numbers(const WorkloadNumbers& changed) override {
    return held_write<void>([&] { return inner_.keep_workload_numbers(changed); });
  }
  Result<std::vector<TriedObject>> tried() override { return inner_.tried(); }
  Result<void> keep_tried(std::span<const TriedObject> tried) override {
    return held_write<void>([&] { return inner_.keep_tried(tried); });
  }
  std::optional<std::string> history_problem() override { return inner_.history_problem(); }
  Result<std::vector<PastEvent>> events(std::size_t limit, const std::string& id) override {
    return inner_.events(limit, id);
  }
  Result<void> remember(std::span<const std::pair<std::string, Footprint>> f) override {
    return inner_.remember(f);
  }
  Result<std::vector<std::pair<std::string, Footprint>>> footprints() override {
    return inner_.footprints();
  }

 private:
  template <class T, class Write>
  Result<T> written(Write write) {
    if (fate == nullptr) return write();
    const bool happens = fate->write_happens();
    Result<T> result = happens ? write() : Result<T>(fail(ErrorKind::refused, "dead"));
    if (fate->dead) return fail(ErrorKind::refused, "the process is dead");
    return result;
  }
  template <class T, class Write>
  Result<T> held_write(Write write) {
    if (fail_at && (*fail_at)-- <= 0) {
      if (!for_good) fail_at.reset();
      return fail_errno("held.db", ENOSPC);
    }
    return written<T>(write);
  }

  Journal& inner_;
};

}  // namespace ankus
