// SPDX-License-Identifier: Apache-2.0
#include "daemon/trials.h"

#include <gmock/gmock.h>

#include <cmath>

#include "daemon/effect_probe.h"

namespace ankus {
namespace {

using std::chrono::microseconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const Device kVeth{.name = "v-web", .ifindex = 7, .netns_cookie = 1};
constexpr VerifyRule kRule{.within = seconds(4), .settle = milliseconds(100)};

Action rps(std::uint32_t queue = 0) {
  return {.knob = knob::RpsMask{kVeth, queue}, .before = CpuSet{}, .after = CpuSet{{0, 1}}};
}
Action root() { return {.knob = knob::RootQdisc{kVeth}, .before = Absent{}, .after = HtbRoot{}}; }
Plan plan_of(std::vector<Action> actions) { return {.actions = std::move(actions)}; }

/// A host with one light workload, whose way in takes `waiting` on average, and a clock.
class TrialsOf : public testing::Test {
 protected:
  Look look() {
    ++looks_;
    Look look{.at = now_};
    if (packets_ > 0)
      look.latency.segments.push_back({.workload = 1,
                                       .segment = LatencySegment::host_in,
                                       .histogram = waited_,
                                       .coverage = {.measured = counted_, .packets = counted_}});
    look.workloads.push_back(
        {.workload = 1, .name = "web", .weight = Weight::light, .moved = {counted_ * 500}});
    look.host.softnet_drops = 0;
    return look;
  }
  /// A second in which the workload's packets come in, and the turn at its end.
  TrialStep turn(nanoseconds after = seconds(1)) {
    now_ = now_ + after;
    for (int i = 0; i < packets_; ++i) {
      const double rank = (i + 0.5) / packets_;
      waited_.add(
          nanoseconds(std::llround(-std::log(1 - rank) * static_cast<double>(waiting_.count()))));
    }
    counted_ += static_cast<std::uint64_t>(packets_);
    return trials_.step({}, now_);
  }
  /// Turns until there is something to do.
  TrialStep next(int most = 20) {
    for (int i = 0; i < most; ++i)
      if (TrialStep step = turn(); step.kind != TrialStep::Kind::nothing) return step;
    return {};
  }
  void take_baseline() {
    ASSERT_TRUE(trials_.take_baseline(kRule, {}, now_));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(turn().kind, TrialStep::Kind::nothing);
    ASSERT_TRUE(trials_.baseline_is_fresh(now_));
  }
  Judged verdict_of(const Plan& plan, nanoseconds waiting_after) {
    EXPECT_TRUE(trials_.propose(plan, kRule, {}, now_));
    EXPECT_EQ(next().kind, TrialStep::Kind::write);
    trials_.written(now_);
    waiting_ = waiting_after;
    const TrialStep step = next();
    EXPECT_EQ(step.kind, TrialStep::Kind::judged);
    return step.judged.value_or(Judged{});
  }

  MonotonicTime now_{seconds(1000)};
  nanoseconds waiting_ = milliseconds(5);
  int packets_ = 500;  ///< a second
  Histogram waited_;
  std::uint64_t counted_ = 0;
  int looks_ = 0;
  bool open_ = false;
  Trials trials_{
      {.begin = [this](nanoseconds, MonotonicTime) -> Result<void> {
         open_ = true;
         return {};
       },
       .look = [this](const Snapshot&, MonotonicTime) -> Result<Look> { return look(); },
       .end = [this] { open_ = false; },
       .host = [this](const Snapshot&) { return HostTotals{.softnet_squeezes = squeezes_}; }}};
  std::uint64_t squeezes_ = 0;
};

TEST(Parted, QueuesAndCpusMustProveThemselvesAndTheTreeStands) {
  const Plan plan = plan_of({root(), rps(), {.knob = knob::Membership{}}, rps(1)});
  const Parted parts = parted(plan);
  EXPECT_EQ(parts.standing.actions, (std::vector<Action>{root(), {.knob = knob::Membership{}}}));
  EXPECT_EQ(parts.experiment.actions, (std::vector<Action>{rps(), rps(1)}));
}

TEST(LeverOf, ATreeDecidesAndElseThePartThatIsNearestToTheWire) {
  EXPECT_EQ(lever_of(plan_of({root()})), Lever::bandwidth);
  EXPECT_EQ(lever_of(plan_of({rps()})), Lever::receive);
  EXPECT_EQ(lever_of(plan_of({{.knob = knob::RssTable{kVeth}}})), Lever::receive);
  const Action xps{.knob = knob::XpsMask{kVeth, 0}};
  EXPECT_EQ(lever_of(plan_of({xps})), Lever::cpus);
  EXPECT_EQ(lever_of(plan_of({{.knob = knob::Membership{}}, xps})), Lever::cpus);
  EXPECT_EQ(lever_of(plan_of({root(), xps})), Lever::bandwidth) << "it may move the queue here";
  EXPECT_EQ(lever_of(plan_of({rps(), {.knob = knob::Ifb{"ankus-ifb7"}}})), Lever::bandwidth);
  EXPECT_EQ(lever_of(plan_of({{.knob = knob::XpsMask{kVeth, 0}}, rps()})), Lever::receive);
}

TEST(MemoryPressure, IsTheTimeInWhichSomethingWaited) {
  EXPECT_EQ(parse_memory_pressure("some avg10=0.00 avg60=1.25 avg300=0.10 total=123456\n"
                                  "full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n"),
            microseconds(123'456));
  EXPECT_EQ(parse_memory_pressure("full avg10=0.00 total=99\n"), std::nullopt);
  EXPECT_EQ(parse_memory_pressure("some avg10=0.00 total=\n"), std::nullopt);
  EXPECT_EQ(parse_memory_pressure("some avg10=0.00 total=12x\n"), std::nullopt);
  EXPECT_EQ(parse_memory_pressure(""), std::nullopt);
}

TEST_F(TrialsOf, StatusSaysWhatIsDoneForHowLongAndWhatDecides) {
  const Plan plan = plan_of({rps()});
  ASSERT_TRUE(trials_.propose(plan, kRule, {}, now_));
  const std::string name = "plan " + id_of(plan) + ": ", stake = "; kept only if it helps";
  EXPECT_EQ(trials_.status(now_), name + "measuring before, 4s left" + stake);
  ASSERT_EQ(next().kind, TrialStep::Kind::write);
  EXPECT_EQ(trials_.status(now_), name + "being written" + stake);
  trials_.written(now_);
  EXPECT_EQ(trials_.status(now_), name + "written, settling, 1s left" + stake);
  now_ = now_ + kRule.settle;
  (void)turn();
  EXPECT_THAT(trials_.status(now_), HasSubstr("measuring after, "));
  trials_.abandon();
  EXPECT_EQ(trials_.status(now_), "");
}

TEST_F(TrialsOf, StatusSaysWhenWhatStandsIsUndone) {
  take_baseline();
  (void)trials_.adopt(plan_of({root()}), kRule, now_);
  EXPECT_THAT(trials_.status(now_), HasSubstr("; undone only if it harms"));
  VerifyRule lenient = kRule;
  lenient.inconclusive = VerifyRule::Inconclusive::keep;
  trials_.abandon();
  ASSERT_TRUE(trials_.propose(plan_of({rps()}), lenient, {}, now_));
  EXPECT_THAT(trials_.status(now_), HasSubstr("; kept if it helps, or if nothing can be said"));
}

TEST_F(TrialsOf, AQuickPathKeepsTheGateClosedAndNothingIsWritten) {
  waiting_ = microseconds(10);
  ASSERT_TRUE(trials_.propose(plan_of({rps()}), kRule, {}, now_));
  const TrialStep step = next();
  EXPECT_EQ(step.kind, TrialStep::Kind::drop);
  EXPECT_EQ(step.plan, plan_of({rps()})) << "explain finds it by its id";
  EXPECT_THAT(step.text, HasSubstr("no sign that the network path of this host is the trouble"));
  EXPECT_FALSE(trials_.under_way());
  EXPECT_FALSE(open_) << "nothing is measured any more";
  EXPECT_TRUE(trials_.refusal(plan_of({rps()}), now_)) << "not at once again";
  EXPECT_EQ(trials_.back_off(plan_of({rps()}), now_), std::nullopt) << "no failure";
}

TEST_F(TrialsOf, ANewSignOfTheHostShortensTheWaitForTheNextLook) {
  waiting_ = microseconds(10);
  const Plan plan = plan_of({rps()});
  for (int i = 0; i < 4; ++i) {  // the fourth wait is of 32 s
    ASSERT_TRUE(trials_.propose(plan, kRule, {}, now_));
    ASSERT_EQ(next().kind, TrialStep::Kind::drop);
    if (i < 3) now_ = now_ + wait_after_unfit(static_cast<unsigned>(i) + 1, kRule);
  }
  const auto look = [&](std::uint64_t squeezes) {
    now_ = now_ + seconds(5);
    squeezes_ += squeezes;
    trials_.look_for_signs(plan, kRule, {}, now_);
    return !trials_.refusal(plan, now_);
  };
  EXPECT_FALSE(look(1000));
  EXPECT_FALSE(look(1000)) << "it was there when it was measured in vain";
  EXPECT_FALSE(look(0));
  EXPECT_TRUE(look(1000));
}

TEST_F(TrialsOf, WithoutPacketsNothingIsTried) {
  packets_ = 0;
  ASSERT_TRUE(trials_.propose(plan_of({rps()}), kRule, {}, now_));
  EXPECT_EQ(next().kind, TrialStep::Kind::drop);
}

TEST_F(TrialsOf, TheShortestWindowThatAPolicyMayAskForIsEnough) {
  ASSERT_TRUE(trials_.propose(plan_of({rps()}), kRule, {}, now_));
  EXPECT_EQ(next().kind, TrialStep::Kind::write) << "four seconds, as many as a verdict needs";
  EXPECT_EQ(now_, MonotonicTime(seconds(1004)));
}

TEST_F(TrialsOf, TurnsInBetweenCutNoSlices) {
  ASSERT_TRUE(trials_.take_baseline(kRule, {}, now_));
  for (int i = 0; i < 30; ++i) (void)turn(milliseconds(50));
  EXPECT_EQ(looks_, 2) << "one to begin with, one after a second";
}

TEST_F(TrialsOf, WhatHelpsIsKept) {
  const Judged judged = verdict_of(plan_of({rps()}), microseconds(50));
  EXPECT_EQ(judged.verdict.effect, Effect::helped) << judged.verdict.reason;
  EXPECT_TRUE(judged.conclusion.keep);
  EXPECT_EQ(judged.plan, plan_of({rps()}));
  EXPECT_FALSE(open_);
  EXPECT_TRUE(trials_.baseline_is_fresh(now_)) << "what is after the one is before the next";
  EXPECT_EQ(trials_.back_off(plan_of({rps()}), now_), std::nullopt);
}

TEST_F(TrialsOf, WhatHarmsGoesAndIsLeftAloneForATime) {
  const Judged judged = verdict_of(plan_of({rps()}), milliseconds(50));
  EXPECT_EQ(judged.verdict.effect, Effect::harmed) << judged.verdict.reason;
  EXPECT_FALSE(judged.conclusion.keep);
  EXPECT_FALSE(trials_.baseline_is_fresh(now_)) << "nobody is compared with the harm";
  EXPECT_TRUE(trials_.back_off(plan_of({rps()}), now_));
  EXPECT_TRUE(trials_.back_off(plan_of({root(), rps()}), now_));
  EXPECT_EQ(trials_.back_off(plan_of({root()}), now_), std::nullopt) << "another object";
  EXPECT_FALSE(trials_.propose(plan_of({rps()}), kRule, {}, now_));
  now_ = now_ + kRule.back_off;
  EXPECT_EQ(trials_.back_off(plan_of({rps()}), now_), std::nullopt);
  EXPECT_TRUE(trials_.propose(plan_of({rps()}), kRule, {}, now_));
}

TEST_F(TrialsOf, WhatSettlesIsNotLookedAt) {
  VerifyRule slow = kRule;
  slow.settle = seconds(5);
  ASSERT_TRUE(trials_.propose(plan_of({rps()}), slow, {}, now_));
  ASSERT_EQ(next().kind, TrialStep::Kind::write);
  trials_.written(now_);
  EXPECT_TRUE(trials_.is_written());
  const int looks = looks_;
  for (int i = 0; i < 4; ++i) (void)turn();
  EXPECT_FALSE(open_);
  EXPECT_EQ(looks_, looks);
  (void)turn();
  EXPECT_TRUE(open_);
  EXPECT_EQ(looks_, looks + 1);
}

TEST_F(TrialsOf, OneRunsAtATime) {
  ASSERT_TRUE(trials_.propose(plan_of({rps()}), kRule, {}, now_));
  const auto second = trials_.propose(plan_of({rps(1)}), kRule, {}, now_);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().text, HasSubstr("is under way"));
  EXPECT_FALSE(trials_.take_baseline(kRule, {}, now_));
  EXPECT_EQ(next().plan, plan_of({rps()}));
}

TEST_F(TrialsOf, WritesThatFailAreAFailure) {
  ASSERT_TRUE(trials_.propose(plan_of({rps()}), kRule, {}, now_));
  ASSERT_EQ(next().kind, TrialStep::Kind::write);
  EXPECT_EQ(trials_.failed("the kernel says no", now_).back_off, kRule.back_off);
  EXPECT_THAT(trials_.back_off(plan_of({rps()}), now_).value_or(""),
              HasSubstr("the kernel says no"));
}

TEST_F(TrialsOf, WhatIsNotWantedAnyMoreWhenItIsDueWaitsLongerEachTime) {
  const Plan plan = plan_of({rps()});
  nanoseconds wait = kRule.within;
  for (int i = 0; i < 3; ++i, wait *= 2) {
    ASSERT_TRUE(trials_.propose(plan, kRule, {}, now_)) << i;
    ASSERT_EQ(next().kind, TrialStep::Kind::write);
    trials_.not_written("not wanted any more", now_);
    EXPECT_FALSE(trials_.under_way());
    EXPECT_FALSE(open_);
    EXPECT_THAT(trials_.refusal(plan, now_ + (wait - seconds(1))).value_or(""),
                HasSubstr("not wanted any more"));
    EXPECT_EQ(trials_.back_off(plan, now_), std::nullopt) << "no failure";
    now_ = now_ + wait;
  }
}

TEST_F(TrialsOf, WhatIsPlannedForAnewBeforeItIsWrittenIsJudgedByItsOwnId) {
  const Plan plan = plan_of({rps()});
  ASSERT_TRUE(trials_.propose(plan, kRule, {}, now_));
  ASSERT_EQ(next().kind, TrialStep::Kind::write);
  Plan moved = plan;
  moved.actions[0].before = CpuSet{{0}};  // somebody has moved it while it was measured
  ASSERT_NE(id_of(moved), id_of(plan));
  trials_.replan(moved);
  trials_.written(now_);
  const TrialStep step = next();
  ASSERT_EQ(step.kind, TrialStep::Kind::judged);
  EXPECT_EQ(step.judged->plan, moved);
  EXPECT_EQ(step.judged->proposal.id, id_of(moved));
}

TEST_F(TrialsOf, AnAdoptedPlanIsJudgedByAFreshBaseline) {
  take_baseline();
  waiting_ = milliseconds(100);
  EXPECT_THAT(trials_.adopt(plan_of({root()}), kRule, now_), HasSubstr("is judged in 5s"));
  const TrialStep step = next();
  ASSERT_EQ(step.kind, TrialStep::Kind::judged);
  EXPECT_EQ(step.judged->verdict.effect, Effect::harmed);
  EXPECT_FALSE(step.judged->conclusion.keep);
}

TEST_F(TrialsOf, WhatStandsStaysUnlessItHarms) {
  take_baseline();
  (void)trials_.adopt(plan_of({root()}), kRule, now_);
  const TrialStep step = next();
  ASSERT_EQ(step.kind, TrialStep::Kind::judged);
  EXPECT_EQ(step.judged->verdict.effect, Effect::no_effect) << step.judged->verdict.reason;
  EXPECT_TRUE(step.judged->conclusion.keep);
}

TEST_F(TrialsOf, ABaselineThatIsStillBeingMeasuredIsOne) {
  ASSERT_TRUE(trials_.take_baseline(kRule, {}, now_));
  for (int i = 0; i < 2; ++i) (void)turn();
  EXPECT_THAT(trials_.adopt(plan_of({root()}), kRule, now_), HasSubstr("is judged"));
  EXPECT_TRUE(trials_.is_written());
  EXPECT_FALSE(open_);
}

TEST_F(TrialsOf, TheBaselineOfAnExperimentServesWhoeverComesBeforeIt) {
  ASSERT_TRUE(trials_.propose(plan_of({rps()}), kRule, {}, now_));
  for (int i = 0; i < 3; ++i) (void)turn();
  EXPECT_THAT(trials_.adopt(plan_of({root()}), kRule, now_), HasSubstr("is judged"));
  EXPECT_EQ(next().judged.value_or(Judged{}).plan, plan_of({root()}));
}

TEST_F(TrialsOf, NothingIsComparedWithAStaleBaseline) {
  take_baseline();
  now_ = now_ + seconds(61);
  EXPECT_THAT(trials_.adopt(plan_of({root()}), kRule, now_), HasSubstr("not compared"));
  EXPECT_FALSE(trials_.under_way());
}

TEST_F(TrialsOf, NothingIsComparedWithoutABaseline) {
  VerifyRule strict = kRule;
  strict.require = VerifyRule::Require::better;
  EXPECT_THAT(trials_.adopt(plan_of({root()}), strict, now_), HasSubstr("not compared"));
  EXPECT_EQ(next().kind, TrialStep::Kind::nothing) << "nor undone because nothing is known";
}

TEST_F(TrialsOf, RollbackByHandEndsATrialAndIsNoFailure) {
  take_baseline();
  (void)trials_.adopt(plan_of({root()}), kRule, now_);
  trials_.abandon();
  EXPECT_THAT(trials_.status(now_), IsEmpty());
  EXPECT_EQ(next().kind, TrialStep::Kind::nothing);
  EXPECT_EQ(trials_.refusal(plan_of({root()}), now_), std::nullopt);
  EXPECT_FALSE(trials_.baseline_is_fresh(now_)) << "it was measured before what was taken back";
}

TEST_F(TrialsOf, APlanOnTopOfOneThatIsNotJudgedYetHasNoBaseline) {
  take_baseline();
  (void)trials_.adopt(plan_of({root()}), kRule, now_);
  (void)turn();
  EXPECT_THAT(trials_.adopt(plan_of({rps()}), kRule, now_), HasSubstr("not compared"))
      << "what the first one does would be charged to the second";
}

TEST_F(TrialsOf, WhatIsTakenBackTooSoonIsLeftAlone) {
  ASSERT_TRUE(verdict_of(plan_of({rps()}), microseconds(50)).conclusion.keep);
  trials_.withdrawn(plan_of({rps()}), kRule, now_ + seconds(1));
  EXPECT_THAT(trials_.back_off(plan_of({rps()}), now_ + seconds(2)).value_or(""),
              HasSubstr("no longer wanted"));
}

TEST_F(TrialsOf, WhatSomebodyTakesAwayIsNotJudgedAndHasNotFailed) {
  ASSERT_TRUE(trials_.propose(plan_of({rps(), rps(1)}), kRule, {}, now_));
  EXPECT_FALSE(trials_.tries(rps().knob)) << "not written yet";
  ASSERT_EQ(next().kind, TrialStep::Kind::write);
  trials_.written(now_);
  EXPECT_TRUE(trials_.tries(rps(1).knob));
  EXPECT_FALSE(trials_.tries(rps(2).knob));
  (void)turn();
  const Interrupted ended = trials_.interrupted("RPS vanished", now_);
  EXPECT_EQ(ended.plan, id_of(plan_of({rps(), rps(1)})));
  EXPECT_TRUE(ended.undo);
  EXPECT_EQ(ended.left_alone, kRule.back_off);
  EXPECT_FALSE(open_);
  EXPECT_EQ(next().kind, TrialStep::Kind::nothing) << "no verdict";
  EXPECT_EQ(trials_.back_off(plan_of({rps()}), now_), std::nullopt) << "no failure";
  EXPECT_TRUE(trials_.refusal(plan_of({rps()}), now_)) << "but no reason to try it all the time";
}

TEST_F(TrialsOf, WhatStandsIsNotUndoneBecauseAPartOfItVanished) {
  take_baseline();
  (void)trials_.adopt(plan_of({root()}), kRule, now_);
  EXPECT_FALSE(trials_.interrupted("a class vanished", now_).undo);
  EXPECT_FALSE(trials_.under_way());
  EXPECT_EQ(trials_.refusal(plan_of({root()}), now_), std::nullopt);
}

TEST_F(TrialsOf, AVerdictIsKnownToBeDueBeforeItIsMade) {
  ASSERT_TRUE(trials_.propose(plan_of({rps()}), kRule, {}, now_));
  ASSERT_EQ(next().kind, TrialStep::Kind::write);
  trials_.written(now_);
  while (!trials_.is_about_to_judge(now_ + seconds(1)))
    ASSERT_EQ(turn().kind, TrialStep::Kind::nothing);
  EXPECT_EQ(turn().kind, TrialStep::Kind::judged);
  EXPECT_FALSE(trials_.is_about_to_judge(now_));
}

TEST_F(TrialsOf, APersonsWindowIsLeftOpen) {
  open_ = true;  // `ankusctl latency --measure`
  trials_.abandon();
  EXPECT_TRUE(open_);
}

}  // namespace
}  // namespace ankus
