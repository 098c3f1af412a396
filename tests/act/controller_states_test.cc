// SPDX-License-Identifier: Apache-2.0
// R35: all that can happen, in every order, up to a depth; from each state that is reached the
// invariants hold. The states are those of the real code on the fake kernel and journal.
#include <deque>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "act/scene.h"
#include "model/json.h"

namespace ankus {
namespace {

struct Happening {
  std::string name;
  std::function<void(Scene&)> happen;
};

/// All that distinguishes two states, times relative to now.
std::string key_of(Scene& s) {
  std::string key;
  for (const auto& [knob, setting] : s.kernel.settings) key += json_text(knob) + json_text(setting);
  for (const HeldKnob& h : s.journal.held_list)
    key += "held " + json_text(h.knob) + json_text(h.original) + json_text(h.written);
  for (const CededKnob& c : s.journal.ceded_list)
    key += "ceded " + json_text(c.knob) + (c.until > s.clock.boot() ? "now" : "over") +
           std::to_string(c.fights);
  for (const ankus::Run& run : s.journal.run_list) {
    key += "run " + run.plan + std::string(to_text(run.state));
    for (const RunStep& step : run.steps) key += std::string(to_text(step.outcome));
  }
  const Controls& c = s.journal.control;
  key += c.paused ? "paused" : "";
  key += c.hold ? "hold" : "";
  for (const std::string& object : c.degraded) key += "degraded " + object;
  if (c.confirmation) key += c.confirmation->deadline > s.clock.boot() ? "waits" : "expired";
  return key;
}

void apply_dying(Scene& s, const Plan& plan, int write, Fate::Moment moment) {
  Fate fate{.writes_left = write, .moment = moment};
  FaultyJournal journal(s.journal);
  journal.fate = s.kernel.fate = &fate;
  (void)ankus::apply(plan, s.kernel, journal, s.clock, {.confirm_within = seconds(60)});
  s.kernel.fate = nullptr;
}

Desired small_tree(Scene& s, std::uint64_t megabits) {
  Desired desired;
  wish_tree(desired, {.device = s.eth0, .minors = {0x10}, .megabits = megabits});
  return desired;
}

std::vector<Happening> all_events() {
  const auto apply_one = [](std::uint64_t megabits, bool confirm) {
    return [=](Scene& s) {
      ApplyOptions options;
      if (confirm) options.confirm_within = seconds(60);
      (void)s.apply(s.plan(small_tree(s, megabits)), options);
    };
  };
  std::vector<Happening> events{
      {"apply A", apply_one(100, false)},
      {"apply B", apply_one(50, false)},
      {"apply A, to be confirmed", apply_one(100, true)},
      {"apply B, to be confirmed", apply_one(50, true)},
      {"remove a class, to be confirmed",
       [](Scene& s) {
         Desired root_only;
         wish_tree(root_only, {.device = s.eth0, .minors = {}});
         (void)s.apply(s.plan(root_only), {.confirm_within = seconds(60)});
       }},
      {"remove all, to be confirmed",
       [](Scene& s) { (void)s.apply(s.plan({}), {.confirm_within = seconds(60)}); }},
      {"confirm", [](Scene& s) { (void)confirm(s.journal, s.clock, "x"); }},
      {"a minute passes", [](Scene& s) { s.clock.advance(seconds(61)); }},
      {"expiry", [](Scene& s) { (void)undo_expired(s.kernel, s.journal, s.clock); }},
      {"rollback", [](Scene& s) { (void)s.undo(); }},
      {"pause", [](Scene& s) { s.journal.control.paused = true; }},
      {"resume",
       [](Scene& s) {
         s.journal.control.paused = false;
         s.journal.control.hold.reset();
       }},
      {"restart", [](Scene& s) { (void)recover(s.kernel, s.journal, s.clock); }},
      {"drift", [](Scene& s) { (void)check_drift(s.kernel, s.journal, s.clock); }},
      {"admin changes the class",
       [](Scene& s) {
         const knob::TcClass light{s.eth0, make_handle(kOurMajor, 0x10)};
         if (s.kernel.settings.contains(light)) s.kernel.change(light, class_setting(1, 7));
       }},
      {"admin takes the root",
       [](Scene& s) {
         s.kernel.change(knob::RootQdisc{s.eth0}, Absent{});
         s.kernel.change(knob::RootQdisc{s.eth0}, Foreign{"fq 8001:"});
       }},
      {"admin leaves the root",
       [](Scene& s) { s.kernel.change(knob::RootQdisc{s.eth0}, Absent{}); }},
      {"rollback that fails",
       [](Scene& s) {
         s.kernel.fail_at = 1;
         s.kernel.for_good = true;
         (void)s.undo();
         s.kernel.fail_at.reset();
         s.kernel.for_good = false;
       }},
  };
  for (const int write : {1, 2, 4, 7, 8})
    events.push_back({"apply A, dies at " + std::to_string(write), [=](Scene& s) {
                        apply_dying(s, s.plan(small_tree(s, 100)), write,
                                    Fate::Moment::after_effect);
                      }});
  for (const int step : {0, 2, 4})
    events.push_back({"apply A, step fails " + std::to_string(step), [=](Scene& s) {
                        s.kernel.fail_at = step;
                        (void)s.apply(s.plan(small_tree(s, 100)));
                        s.kernel.fail_at.reset();
                      }});
  return events;
}

/// Every knob of ours that is set can be taken back: it is held, intended, or somebody else's.
std::string lost_undo(Scene& s) {
  for (const auto& [knob, setting] : s.kernel.settings) {
    if (std::holds_alternative<Foreign>(setting)) continue;
    const auto is_it = [&, &knob = knob](const auto& x) { return x.knob == knob; };
    bool known = std::ranges::any_of(s.journal.held_list, is_it) ||
                 std::ranges::any_of(s.journal.ceded_list, is_it);
    for (const ankus::Run& run : s.journal.run_list)
      if (run.state == RunState::open)
        for (const RunStep& step : run.steps) known = known || step.action.knob == knob;
    if (!known) return to_text(knob);
  }
  return {};
}

TEST(ControllerStates, NoUndoIsLostAndEachConfirmationEnds) {
  const std::vector<Happening> events = all_events();
  struct Reached {
    Scene scene;
    std::string path;
    int depth;
  };
  std::set<std::string> seen;
  std::deque<Reached> queue;
  queue.push_back({Scene{}, "start", 0});
  std::size_t waiting = 0, degraded = 0, interrupted = 0;
  while (!queue.empty()) {
    Reached now = std::move(queue.front());
    queue.pop_front();
    if (!seen.insert(key_of(now.scene)).second) continue;
    Scene& s = now.scene;
    waiting += s.journal.control.confirmation.has_value();
    degraded += !s.journal.control.degraded.empty();
    interrupted += std::ranges::any_of(
        s.journal.run_list, [](const ankus::Run& r) { return r.state == RunState::open; });
    ASSERT_EQ(lost_undo(s), "") << now.path;

    // However we came here: a restart and time end every confirmation.
    Scene later = s;
    later.clock.advance(std::chrono::minutes(2));
    ASSERT_TRUE(recover(later.kernel, later.journal, later.clock)) << now.path;
    const auto ended = undo_expired(later.kernel, later.journal, later.clock);
    ASSERT_TRUE(ended) << now.path << ": " << ended.error().text;
    ASSERT_FALSE(later.journal.control.confirmation) << now.path;
    ASSERT_EQ(lost_undo(later), "") << now.path;

    // So does time alone: the dead man's switch is the first to come.
    Scene alone = s;
    alone.clock.advance(std::chrono::minutes(2));
    const bool waited = alone.journal.control.confirmation.has_value();
    ASSERT_TRUE(undo_expired(alone.kernel, alone.journal, alone.clock)) << now.path;
    ASSERT_FALSE(alone.journal.control.confirmation) << now.path;
    ASSERT_TRUE(!waited || alone.journal.control.hold) << now.path;
    ASSERT_EQ(lost_undo(alone), "") << now.path;
    const auto found = recover(alone.kernel, alone.journal, alone.clock);
    ASSERT_TRUE(!waited || (found && found->empty())) << now.path << ": left to be adopted";

    // And a rollback leaves nothing but what is somebody else's, and the tree that it is in.
    Scene back = s;
    ASSERT_TRUE(back.undo()) << now.path;
    ASSERT_TRUE(back.journal.control.degraded.empty()) << now.path;
    ASSERT_TRUE(back.journal.control.hold) << now.path;
    const auto left = std::ranges::count_if(back.kernel.settings, [](const auto& entry) {
      return !std::holds_alternative<Foreign>(entry.second);
    });
    ASSERT_TRUE(left == 0 || !back.journal.ceded_list.empty()) << now.path;
    const auto again = back.apply(back.plan(small_tree(back, 100)));
    ASSERT_TRUE(!again || again->run == 0) << now.path << ": applied although held";

    if (now.depth == 4) continue;
    for (const Happening& event : events) {
      Reached next{s, now.path + ", " + event.name, now.depth + 1};
      event.happen(next.scene);
      queue.push_back(std::move(next));
    }
  }
  EXPECT_GT(seen.size(), 300u);
  EXPECT_GT(waiting, 20u);
  EXPECT_GT(degraded, 5u);
  EXPECT_GT(interrupted, 20u);
}

}  // namespace
}  // namespace ankus
