// SPDX-License-Identifier: Apache-2.0
#include "verify/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

namespace ankus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> kObject{"bandwidth of eth0 (ifindex 2)"};

MonotonicTime at(nanoseconds since_boot) { return {since_boot}; }

Verdict verdict_of(Effect effect) { return {.effect = effect, .reason = "as the test wants"}; }

Proposal proposal(Trial trial = Trial::experiment, VerifyRule rule = {}) {
  return {.id = "p-1", .trial = trial, .objects = kObject, .rule = rule};
}

/// Through all phases from `now` on; returns what became of it and when.
std::pair<Conclusion, MonotonicTime> run(Experiments& experiments, const Proposal& one,
                                         Effect effect, MonotonicTime now) {
  EXPECT_TRUE(experiments.begin(one, now));
  if (one.trial == Trial::experiment) now = now + one.rule.within;
  EXPECT_EQ(experiments.due(now), Due::write);
  EXPECT_TRUE(experiments.may_write(std::nullopt, now));
  experiments.written(now);
  now = now + one.rule.settle;
  EXPECT_EQ(experiments.due(now), Due::nothing);
  now = now + one.rule.within;
  EXPECT_EQ(experiments.due(now), Due::judge);
  return {experiments.conclude(verdict_of(effect), now), now};
}

TEST(Experiments, GoThroughTheirPhasesInTime) {
  Experiments experiments;
  const VerifyRule rule;
  ASSERT_TRUE(experiments.begin(proposal(), at(seconds(100))));
  EXPECT_EQ(experiments.due(at(seconds(109))), Due::nothing);
  EXPECT_EQ(experiments.running()->phase, Phase::before);
  EXPECT_EQ(experiments.due(at(seconds(110))), Due::write);
  EXPECT_EQ(experiments.due(at(seconds(111))), Due::write);  // until it is answered
  ASSERT_TRUE(experiments.may_write(std::nullopt, at(seconds(111))));
  experiments.written(at(seconds(112)));
  EXPECT_EQ(experiments.due(at(seconds(113))), Due::nothing);
  EXPECT_EQ(experiments.running()->phase, Phase::settling);
  EXPECT_EQ(experiments.due(at(seconds(114))), Due::nothing);
  EXPECT_EQ(experiments.running()->phase, Phase::after);
  EXPECT_EQ(experiments.due(at(seconds(123))), Due::nothing);
  EXPECT_EQ(experiments.due(at(seconds(124))), Due::judge);
  EXPECT_TRUE(experiments.conclude(verdict_of(Effect::helped), at(seconds(124))).keep);
  EXPECT_FALSE(experiments.running());
  EXPECT_EQ(experiments.due(at(seconds(125))), Due::nothing);
}

TEST(Experiments, ALateLoopStillMeasuresAWholeWindow) {
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(), at({})));
  ASSERT_EQ(experiments.due(at(seconds(50))), Due::write);
  ASSERT_TRUE(experiments.may_write(std::nullopt, at(seconds(50))));
  experiments.written(at(seconds(50)));
  EXPECT_EQ(experiments.due(at(seconds(90))), Due::nothing);  // the window begins only now
  EXPECT_EQ(experiments.due(at(seconds(99))), Due::nothing);
  EXPECT_EQ(experiments.due(at(seconds(100))), Due::judge);
}

TEST(Experiments, MustHelpToBeKept) {
  for (const auto& [effect, keep] : {std::pair{Effect::helped, true},
                                     {Effect::no_effect, false},
                                     {Effect::harmed, false},
                                     {Effect::inconclusive, false}}) {
    Experiments experiments;
    EXPECT_EQ(run(experiments, proposal(), effect, at({})).first.keep, keep) << to_text(effect);
  }
}

TEST(Experiments, ThePolicyMayKeepTheInconclusive) {
  Experiments experiments;
  VerifyRule rule{.inconclusive = VerifyRule::Inconclusive::keep};
  EXPECT_TRUE(
      run(experiments, proposal(Trial::experiment, rule), Effect::inconclusive, at({})).first.keep);
}

TEST(Experiments, StandingActionsStayUnlessTheyHarm) {
  for (const auto& [effect, keep] : {std::pair{Effect::helped, true},
                                     {Effect::no_effect, true},
                                     {Effect::harmed, false},
                                     {Effect::inconclusive, true}}) {
    Experiments experiments;
    EXPECT_EQ(run(experiments, proposal(Trial::standing), effect, at({})).first.keep, keep)
        << to_text(effect);
  }
}

TEST(Experiments, StandingActionsMustHelpIfThePolicySaysSo) {
  const VerifyRule rule{.require = VerifyRule::Require::better};
  Experiments experiments;
  EXPECT_FALSE(
      run(experiments, proposal(Trial::standing, rule), Effect::no_effect, at({})).first.keep);
}

TEST(Experiments, AStandingActionWaitsForNoBaseline) {
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(Trial::standing), at(seconds(5))));
  EXPECT_EQ(experiments.due(at(seconds(5))), Due::write);
  EXPECT_TRUE(experiments.may_write("no light workload is there", at(seconds(5))));
}

TEST(Experiments, OnlyOneAtATime) {
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(), at({})));
  Proposal other = proposal();
  other.objects = {"RSS table of eth1 (ifindex 3)"};
  const auto begun = experiments.begin(other, at(seconds(1)));
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().kind, ErrorKind::busy);
  EXPECT_THAT(begun.error().text, HasSubstr("experiment p-1 is under way (before)"));
}

TEST(Experiments, WithoutABaselineNothingIsWritten) {
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(), at({})));
  ASSERT_EQ(experiments.due(at(seconds(10))), Due::write);
  EXPECT_FALSE(experiments.may_write("web: 3 packets measured", at(seconds(10))));
  EXPECT_FALSE(experiments.running());
  EXPECT_EQ(experiments.records().at(kObject.front()).failures, 0u);
  EXPECT_THAT(*experiments.refusal(kObject, at(seconds(11))), HasSubstr("3 packets measured"));
  EXPECT_EQ(experiments.refusal(kObject, at(seconds(20))), std::nullopt);
}

TEST(Experiments, AStandingWishOnAQuietHostIsMeasuredLessAndLess) {
  const VerifyRule rule{.within = seconds(10), .back_off = seconds(600)};
  Experiments experiments;
  int windows = 0;
  for (nanoseconds now{}; now < seconds(3600); now += seconds(5)) {
    if (experiments.due(at(now)) == Due::write) {
      EXPECT_FALSE(experiments.may_write("no sign", at(now)));
      ++windows;
    } else if (!experiments.running()) {
      (void)experiments.begin(proposal(Trial::experiment, rule), at(now));
    }
  }
  // After 10 s, 20, 40, ... 600 and then each ten minutes; a window each.
  EXPECT_LE(windows, 12);
  EXPECT_GE(windows, 10);
  EXPECT_EQ(experiments.records().at(kObject.front()).failures, 0u);
}

TEST(Experiments, ASignShortensTheWaitOnce) {
  Experiments experiments;
  MonotonicTime now = at({});
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(experiments.begin(proposal(), now));
    now = now + seconds(10);
    ASSERT_EQ(experiments.due(now), Due::write);
    ASSERT_FALSE(experiments.may_write("no sign", now));
    if (i < 4) now = now + wait_after_unfit(static_cast<unsigned>(i) + 1, {});
  }
  ASSERT_TRUE(experiments.refusal(kObject, now));
  EXPECT_TRUE(experiments.waits_for_signs(kObject, now));
  experiments.hasten(kObject, now);
  EXPECT_EQ(experiments.refusal(kObject, now), std::nullopt);
  EXPECT_FALSE(experiments.waits_for_signs(kObject, now));
  // In vain: the next wait is longer, and is not shortened by what comes and goes.
  ASSERT_TRUE(experiments.begin(proposal(), now));
  ASSERT_EQ(experiments.due(now + seconds(10)), Due::write);
  ASSERT_FALSE(experiments.may_write("no sign", now + seconds(10)));
  EXPECT_FALSE(experiments.waits_for_signs(kObject, now + seconds(11)));
  experiments.hasten(kObject, now + seconds(11));
  EXPECT_TRUE(experiments.refusal(kObject, now + seconds(11)));
}

TEST(Experiments, AWriteEndsTheWaitingForSigns) {
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(), at({})));
  ASSERT_EQ(experiments.due(at(seconds(10))), Due::write);
  ASSERT_FALSE(experiments.may_write("no sign", at(seconds(10))));
  EXPECT_EQ(experiments.records().at(kObject.front()).unfit, 1u);
  experiments.hasten(kObject, at(seconds(11)));
  const MonotonicTime end = run(experiments, proposal(), Effect::helped, at(seconds(30))).second;
  EXPECT_EQ(experiments.records().at(kObject.front()).unfit, 0u);
  // And all begins anew: a sign may shorten the next wait.
  ASSERT_TRUE(experiments.begin(proposal(), end + seconds(600)));
  ASSERT_EQ(experiments.due(end + seconds(610)), Due::write);
  ASSERT_FALSE(experiments.may_write("no sign", end + seconds(610)));
  EXPECT_TRUE(experiments.waits_for_signs(kObject, end + seconds(611)));
}

TEST(Experiments, NoSignHastensWhatHasFailed) {
  Experiments experiments;
  const MonotonicTime end = run(experiments, proposal(), Effect::harmed, at({})).second;
  EXPECT_FALSE(experiments.waits_for_signs(kObject, end));
  experiments.hasten(kObject, end);
  EXPECT_TRUE(experiments.refusal(kObject, end + seconds(599)));
}

TEST(Experiments, EachFailureDoublesTheWait) {
  const VerifyRule rule{.back_off = seconds(60), .longest_back_off = seconds(1000)};
  Experiments experiments;
  MonotonicTime now = at({});
  for (const int wait : {60, 120, 240, 480, 960, 1000, 1000}) {
    const auto [conclusion, end] =
        run(experiments, proposal(Trial::experiment, rule), Effect::no_effect, now);
    EXPECT_EQ(conclusion.back_off, seconds(wait));
    EXPECT_THAT(*experiments.refusal(kObject, end + (seconds(wait) - nanoseconds(1))),
                HasSubstr("left alone"));
    EXPECT_EQ(experiments.refusal(kObject, end + seconds(wait)), std::nullopt);
    now = end + seconds(wait);
  }
}

TEST(Experiments, AWriteThatFailedIsAFailure) {
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(), at({})));
  ASSERT_EQ(experiments.due(at(seconds(10))), Due::write);
  const Conclusion conclusion = experiments.give_up("class 7a8c:10: EBUSY", at(seconds(10)));
  EXPECT_FALSE(conclusion.keep);
  EXPECT_EQ(conclusion.back_off, seconds(600));
  EXPECT_THAT(*experiments.refusal(kObject, at(seconds(11))), HasSubstr("EBUSY"));
}

TEST(Experiments, WhatWasKeptForAWaitIsForgiven) {
  const VerifyRule rule{.back_off = seconds(60)};
  Experiments experiments;
  const auto trial = proposal(Trial::experiment, rule);
  MonotonicTime now = run(experiments, trial, Effect::harmed, at({})).second + seconds(60);
  now = run(experiments, trial, Effect::helped, now).second;
  EXPECT_EQ(experiments.records().at(kObject.front()).failures, 1u);
  now = now + seconds(60 + 60);
  experiments.withdrawn(kObject, rule, now);
  EXPECT_EQ(experiments.records().at(kObject.front()).failures, 0u);
  EXPECT_EQ(experiments.refusal(kObject, now + seconds(60)), std::nullopt);
}

TEST(Experiments, WhatIsWithdrawnAtOnceCountsAsFailed) {
  const VerifyRule rule{.back_off = seconds(60)};
  Experiments experiments;
  MonotonicTime now = at({});
  for (const unsigned failures : {1U, 2U, 3U}) {
    now = run(experiments, proposal(Trial::experiment, rule), Effect::helped, now).second;
    experiments.withdrawn(kObject, rule, now + seconds(1));
    EXPECT_EQ(experiments.records().at(kObject.front()).failures, failures);
    now = now + seconds(1) + wait_after(failures, rule);
  }
}

TEST(Experiments, WhatHarmsAfterItsTrialIsLeftAloneAndMoreSoEachTime) {
  const VerifyRule rule{.back_off = seconds(60)};
  Experiments experiments;
  MonotonicTime now =
      run(experiments, proposal(Trial::experiment, rule), Effect::helped, at({})).second;
  now = now + seconds(5);
  const nanoseconds first = experiments.harmed(kObject, rule, "packets are lost", now);
  EXPECT_GE(first, seconds(60));
  EXPECT_THAT(experiments.refusal(kObject, now + seconds(59)).value_or(""),
              testing::HasSubstr("packets are lost"));
  EXPECT_EQ(experiments.refusal(kObject, now + first), std::nullopt);
  EXPECT_GT(experiments.harmed(kObject, rule, "again", now + first), first);
}

TEST(Experiments, HarmEndsTheTrialUnderWay) {
  const VerifyRule rule{.back_off = seconds(60)};
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(Trial::experiment, rule), at({})).has_value());
  (void)experiments.harmed(kObject, rule, "packets are lost", at(seconds(1)));
  EXPECT_FALSE(experiments.running());
}

TEST(Experiments, ObjectsAreADevicesTreeOrASingleKnob) {
  const Device eth0{.name = "eth0", .ifindex = 2, .netns_cookie = 1};
  const std::vector<Action> actions{
      {.knob = knob::TcClass{.device = eth0, .handle = make_handle(kOurMajor, 0x10)}},
      {.knob = knob::RootQdisc{.device = eth0}},
      {.knob = knob::Membership{}}};
  EXPECT_THAT(objects_of(actions), ElementsAre("bandwidth of eth0 (ifindex 2)"))
      << "what one device's tree did must not keep another's from the table that they share";
}

TEST(Experiments, OneWhoseKnobsSomebodyTookAwayHasNotFailedAndWaitsAllTheSame) {
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(), at({})));
  ASSERT_EQ(experiments.due(at(seconds(10))), Due::write);
  ASSERT_TRUE(experiments.may_write(std::nullopt, at(seconds(10))));
  experiments.written(at(seconds(10)));
  EXPECT_EQ(experiments.interrupted("RPS vanished", at(seconds(15))), VerifyRule{}.back_off);
  EXPECT_FALSE(experiments.running());
  EXPECT_EQ(experiments.records().at(kObject.front()).failures, 0u);
  EXPECT_THAT(experiments.refusal(kObject, at(seconds(614))).value_or(""),
              HasSubstr("RPS vanished"));
  EXPECT_EQ(experiments.refusal(kObject, at(seconds(615))), std::nullopt);
}

TEST(Experiments, WhatStandsAndIsInterruptedIsLeftAsItIs) {
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(Trial::standing), at({})));
  ASSERT_EQ(experiments.due(at({})), Due::write);
  experiments.written(at({}));
  EXPECT_EQ(experiments.interrupted("a class vanished", at(seconds(5))), nanoseconds(0));
  EXPECT_TRUE(experiments.records().empty());
  EXPECT_FALSE(experiments.running());
}

// --- it cannot oscillate
// ---------------------------------------------------------------------------

/// A load as a function of time, and a controller that always wants to act: whenever the load is
/// high it wants the action, when it is low it wants it back. The verdict is what a naive
/// comparison of the load before and after would say, so that the load itself fools it as it likes.
using LoadAt = std::function<double(nanoseconds)>;

struct Life {
  std::vector<nanoseconds> writes;
  std::vector<nanoseconds> failures;
  unsigned kept = 0;
};

Life live(const LoadAt& load, const VerifyRule& rule, nanoseconds length, bool withdraws) {
  Experiments experiments;
  Life life;
  bool in_force = false;
  double before = 0, sum = 0;
  int count = 0;
  for (nanoseconds now{}; now < length; now += seconds(1)) {
    const MonotonicTime time{now};
    const Phase old = experiments.running() ? experiments.running()->phase : Phase::writing;
    const Due due = experiments.due(time);
    if (due == Due::write) {
      before = count > 0 ? sum / count : 0;
      if (experiments.may_write(std::nullopt, time)) {
        life.writes.push_back(now);
        in_force = true;
        experiments.written(time);
      }
    } else if (due == Due::judge) {
      const double after = count > 0 ? sum / count : 0;
      const Effect effect = after < before * 0.9   ? Effect::helped
                            : after > before * 1.1 ? Effect::harmed
                                                   : Effect::no_effect;
      if (experiments.conclude(verdict_of(effect), time).keep) {
        ++life.kept;
      } else {
        life.writes.push_back(now);
        life.failures.push_back(now);
        in_force = false;
      }
    } else if (!experiments.running()) {
      if (!in_force && load(now) > 0.5)
        (void)experiments.begin(proposal(Trial::experiment, rule), time);
      if (in_force && withdraws && load(now) <= 0.5) {
        life.writes.push_back(now);
        in_force = false;
        experiments.withdrawn(kObject, rule, time);
      }
    }
    const Phase phase = experiments.running() ? experiments.running()->phase : Phase::writing;
    if (phase != old) sum = count = 0;
    sum += load(now);
    ++count;
  }
  return life;
}

/// What the back-off series allows: each episode is at most two writes, and the next begins at the
/// earliest back_off after its end.
std::size_t most_writes(const VerifyRule& rule, nanoseconds length) {
  const nanoseconds episode = rule.within + rule.settle + rule.within;
  return 2 * (1 + static_cast<std::size_t>(length / (rule.back_off + episode)));
}
/// Failures in a row: the waits between them, back_off, twice that, ..., have to fit into the time.
std::size_t most_failures(const VerifyRule& rule, nanoseconds length) {
  std::size_t failures = 1;
  nanoseconds wait = rule.back_off;
  for (nanoseconds sum = wait; sum < length; sum += wait) {
    ++failures;
    wait = std::min(wait * 2, rule.longest_back_off);
  }
  return failures;
}

std::vector<LoadAt> adversaries(const VerifyRule& rule) {
  std::vector<LoadAt> loads;
  const auto seconds_of = [](nanoseconds time) {
    return std::chrono::duration<double>(time).count();
  };
  const double loop = seconds_of(rule.within + rule.settle + rule.within),
               wait = seconds_of(rule.back_off);
  for (const double period :
       {loop / 2, loop, 2 * loop, seconds_of(rule.within), 2 * seconds_of(rule.within), wait,
        wait + loop, 2 * (wait + loop), 3.0, 7.0, 61.0, 3600.0})
    for (const double phase : {0.0, 0.25, 0.5, 0.75}) {
      loads.push_back([=](nanoseconds now) {
        return std::fmod(seconds_of(now) / period + phase, 1) < 0.5 ? 1.0 : 0.0;
      });
      loads.push_back(
          [=](nanoseconds now) { return std::fmod(seconds_of(now) / period + phase, 1); });
    }
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8})
    loads.push_back([=](nanoseconds now) {
      std::uint64_t mixed =
          seed * 0x9e3779b97f4a7c15 + static_cast<std::uint64_t>(now / seconds(1));
      mixed = (mixed ^ mixed >> 31) * 0xbf58476d1ce4e5b9;
      return static_cast<double>((mixed ^ mixed >> 29) % 1000) / 1000;
    });
  loads.push_back([](nanoseconds) { return 1.0; });
  return loads;
}

TEST(Experiments, NoLoadMakesThemOscillate) {
  for (const VerifyRule& rule :
       {VerifyRule{}, VerifyRule{.back_off = seconds(30), .longest_back_off = seconds(3600)},
        VerifyRule{.within = seconds(4), .settle = seconds(1), .back_off = seconds(1)}}) {
    const nanoseconds length = seconds(8 * 3600);
    for (const bool withdraws : {false, true})
      for (const LoadAt& load : adversaries(rule)) {
        const Life life = live(load, rule, length, withdraws);
        EXPECT_LE(life.writes.size(), most_writes(rule, length));
        // Between two episodes lies at least one wait; within one, at least settle and the window.
        for (std::size_t i = 1; i < life.writes.size(); ++i)
          EXPECT_GE(life.writes[i] - life.writes[i - 1],
                    std::min(rule.back_off, rule.settle + rule.within));
        if (life.kept == 0) {
          EXPECT_LE(life.failures.size(), most_failures(rule, length));
          EXPECT_LE(life.writes.size(), 2 * most_failures(rule, length) + 1);
        }
      }
  }
}

TEST(Experiments, AnyVerdictsAtAllStayWithinTheSeries) {
  // Not a load but the worst liar: verdicts, withdrawals and other people at random, at any moment.
  const VerifyRule rule{.within = seconds(4), .settle = seconds(1), .back_off = seconds(20)};
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::mt19937_64 random(seed);
    Experiments experiments;
    std::size_t writes = 0;
    bool kept = false;
    const nanoseconds length = seconds(20'000);
    for (nanoseconds now{}; now < length; now += milliseconds(500)) {
      const MonotonicTime time{now};
      switch (experiments.due(time)) {
        case Due::write:
          if (random() % 4 == 0) {
            writes += 2;  // written, failed, taken back
            (void)experiments.give_up("refused", time);
          } else if (experiments.may_write(std::nullopt, time)) {
            ++writes;
            experiments.written(time);
          }
          break;
        case Due::judge:
          kept = experiments.conclude(verdict_of(static_cast<Effect>(random() % 4)), time).keep;
          writes += !kept;
          break;
        case Due::nothing:
          if (const auto& running = experiments.running()) {
            if (running->phase == Phase::before || random() % 8 != 0) break;
            ++writes;  // somebody takes a part of it away, and the rest is taken back
            (void)experiments.interrupted("changed", time);
            break;
          }
          if (kept && random() % 3 == 0) {
            kept = false;
            ++writes;
            if (random() % 2 == 0)
              experiments.withdrawn(kObject, rule, time);
            else
              experiments.still_in_force({}, rule, time);  // vanished, and is made anew
          } else if (!kept) {
            (void)experiments.begin(proposal(Trial::experiment, rule), time);
          }
          break;
      }
    }
    // give_up() may come at once, so that an episode has no length of its own.
    EXPECT_LE(writes, 2 * (1 + static_cast<std::size_t>(length / (rule.back_off + rule.within))));
  }
}

/// Objects that are remembered after a thousand were tried, each with this effect, and vanished.
std::size_t remembered_of_a_thousand(Effect effect) {
  const VerifyRule rule{.back_off = seconds(1), .longest_back_off = seconds(10)};
  Experiments experiments;
  MonotonicTime now = at({});
  for (int i = 0; i < 1000; ++i) {
    Proposal one = proposal(Trial::experiment, rule);
    one.objects = {"veth" + std::to_string(i)};
    now = run(experiments, one, effect, now).second + seconds(1);
    if (effect == Effect::helped) experiments.still_in_force({}, rule, now);
  }
  return experiments.records().size();
}

TEST(Experiments, AThousandObjectsAreNotRememberedForEver) {
  EXPECT_LT(remembered_of_a_thousand(Effect::no_effect), 10u);
}

TEST(Experiments, AThousandThatWereKeptAndVanishedAreForgottenToo) {
  EXPECT_LT(remembered_of_a_thousand(Effect::helped), 10u);
}

TEST(Experiments, WhatIsKeptAndInForceIsRemembered) {
  const VerifyRule rule{.back_off = seconds(1), .longest_back_off = seconds(10)};
  Experiments experiments;
  const MonotonicTime now =
      run(experiments, proposal(Trial::experiment, rule), Effect::helped, at({})).second;
  experiments.still_in_force(kObject, rule, now + seconds(1000));
  EXPECT_TRUE(experiments.records().at(kObject.front()).kept_since);
}

TEST(Experiments, WhatVanishesAndComesBackIsNotTriedAtOnce) {
  Experiments experiments;
  const VerifyRule rule;
  MonotonicTime now = run(experiments, proposal(), Effect::harmed, at({})).second;
  now = run(experiments, proposal(), Effect::helped, now + seconds(600)).second;
  experiments.still_in_force({}, rule, now + seconds(1));
  EXPECT_EQ(experiments.records().at(kObject.front()).failures, 1u) << "nor is it forgiven";
  EXPECT_TRUE(experiments.refusal(kObject, now + seconds(599)));
}

TEST(Experiments, OneThatIsCutOffCountsAsAFailureInWhatOutlivesIt) {
  Experiments first;
  const VerifyRule rule;
  ASSERT_TRUE(first.begin(proposal(), at(seconds(100))));
  EXPECT_EQ(first.due(at(seconds(110))), Due::write);
  Experiments second;
  second.remember(first.records_if_cut_off());
  EXPECT_TRUE(first.records().empty()) << "as long as it lives, nothing has failed";
  EXPECT_THAT(second.refusal(kObject, at(seconds(120))).value_or(""),
              HasSubstr("the daemon ended"));
  // A crash in each trial makes the waits longer, as any failure does.
  MonotonicTime now = at(seconds(110)) + wait_after(1, rule);
  for (unsigned crashes = 2; crashes < 5; ++crashes) {
    ASSERT_TRUE(second.begin(proposal(), now)) << crashes;
    now = now + rule.within;
    EXPECT_EQ(second.due(now), Due::write);
    Experiments next;
    next.remember(second.records_if_cut_off());
    second = next;
    EXPECT_TRUE(second.refusal(kObject, now + (wait_after(crashes, rule) - seconds(1))));
    now = now + wait_after(crashes, rule);
  }
}

TEST(Experiments, WhatStandsIsNoFailureIfItIsCutOff) {
  Experiments experiments;
  ASSERT_TRUE(experiments.begin(proposal(Trial::standing), at(seconds(100))));
  EXPECT_TRUE(experiments.records_if_cut_off().empty());
}

TEST(Experiments, APersonMayWantBackAtOnceWhatWasWithdrawn) {
  Experiments experiments;
  const auto [kept, now] = run(experiments, proposal(), Effect::helped, at(seconds(100)));
  ASSERT_TRUE(kept.keep);
  experiments.withdrawn(kObject, {}, now + seconds(1));
  ASSERT_TRUE(experiments.refusal(kObject, now + seconds(2)));
  experiments.forget_withdrawals();
  EXPECT_FALSE(experiments.refusal(kObject, now + seconds(2)));
}

TEST(Experiments, APersonsReloadForgivesNoHarm) {
  Experiments experiments;
  const auto [undone, now] = run(experiments, proposal(), Effect::harmed, at(seconds(100)));
  ASSERT_FALSE(undone.keep);
  experiments.forget_withdrawals();
  EXPECT_TRUE(experiments.refusal(kObject, now + seconds(1)));
}

}  // namespace
}  // namespace ankus
