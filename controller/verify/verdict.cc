// SPDX-License-Identifier: Apache-2.0
#include "verify/verdict.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iterator>

#include "base/text.h"
#include "verify/distribution.h"

namespace ankus {
namespace {

constexpr std::string_view kEffects[] = {"helped", "harmed", "no_effect", "inconclusive"};

/// Of a verdict, all its comparisons together: it calls chance an effect at most once in a hundred.
constexpr double kRisk = 0.01;
/// What the sensor is good for (issue 4: within 20 us at p50). Less is no change.
constexpr nanoseconds kLeastChange = std::chrono::microseconds(20);
/// "No effect" is only said where a change by this factor is unlikely: it would lie outside bounds
/// that miss the percentile once in five times.
constexpr double kVisible = 3;
constexpr double kUnseenRisk = 0.2;
/// Slices with packets in them; fewer cannot tell chance from effect.
constexpr std::size_t kLeastSlices = 4;
/// The busiest are judged; each further comparison makes all of them blunter.
constexpr std::size_t kMostJudged = 16;
/// The rest of the distribution may not pay for the watched percentile: so large a share of the
/// packets that is slower is harm, unless the percentile became better.
constexpr double kMuchSlower = 0.1;
/// Guards count as risen only from here on: several times, a handful, one chance in a thousand.
constexpr double kGuardRisk = 0.001;
constexpr std::uint64_t kGuardTimes = 3, kGuardLeast = 10;
/// A light workload that must repeat so much of what it sends, or loses so much, is starved.
constexpr double kStarved = 0.1;

std::string percent(double share) { return std::to_string(std::lround(share * 100)) + "%"; }

std::string quantile_name(double quantile) {
  char text[16];
  std::snprintf(text, sizeof text, "p%.4g", quantile * 100);
  return text;
}

/// Three digits, as people read a measured duration.
std::string measured(nanoseconds time) {
  if (time == nanoseconds::max()) return "unbounded";
  std::int64_t step = 1;
  while (time.count() / step >= 1000) step *= 10;
  return to_text(nanoseconds((time.count() + step / 2) / step * step));
}

std::string measured(double bytes_per_second) {
  std::uint64_t step = 1;
  auto bits = static_cast<std::uint64_t>(std::llround(bytes_per_second * 8));
  while (bits / step >= 1000) step *= 10;
  return to_text(BitRate{(bits + step / 2) / step * step}) + "/s";
}

std::string text_of(const Bounded& figure) {
  return measured(figure.value) + " (" + measured(figure.low) + ".." + measured(figure.high) + ")";
}

double seconds_of(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

nanoseconds plus(nanoseconds a, nanoseconds b) {
  return a >= nanoseconds::max() - b ? nanoseconds::max() : a + b;
}
bool longer(nanoseconds a, nanoseconds b, double factor) {
  if (a == nanoseconds::max() || b == nanoseconds::max()) return b != nanoseconds::max();
  return static_cast<double>(a.count()) > static_cast<double>(b.count()) * factor;
}

Histogram pooled(const SegmentSamples& segment) {
  Histogram all;
  for (const Histogram& slice : segment.slices) all += slice;
  return all;
}

/// Why a segment's window says nothing; "" if it does.
std::string lack_of(const SegmentSamples& segment, const VerifyRule& rule) {
  const std::uint64_t packets = total(pooled(segment));
  if (packets < rule.samples)
    return std::to_string(packets) + " packets measured, " + std::to_string(rule.samples) +
           " needed";
  if (const Share covered = share_of(segment.coverage); covered < rule.coverage)
    return percent(covered.of_one) + " of the packets measured, " + percent(rule.coverage.of_one) +
           " needed";
  const auto slices = std::ranges::count_if(
      segment.slices, [](const Histogram& slice) { return total(slice) > 0; });
  if (static_cast<std::size_t>(slices) < kLeastSlices)
    return "packets in " + std::to_string(slices) + " slices, " + std::to_string(kLeastSlices) +
           " needed";
  return {};
}

/// The first lack among the path's segments that have anything at all; "" if one at least is fit.
std::string lack_of(const LightSamples& light, const VerifyRule& rule) {
  std::string first = "no segment of its path was measured";
  for (const SegmentSamples& segment : light.segments) {
    if (segment.kind != SegmentKind::path) continue;
    std::string lack = lack_of(segment, rule);
    if (lack.empty()) return {};
    first = segment.name + ": " + lack;
  }
  return first;
}

const SegmentSamples* segment_of(const LightSamples& light, const SegmentSamples& like) {
  const auto found = std::ranges::find_if(light.segments, [&](const SegmentSamples& segment) {
    return segment.name == like.name && segment.kind == like.kind;
  });
  return found == light.segments.end() ? nullptr : &*found;
}

std::optional<nanoseconds> application_wait(const LightSamples& light, double quantile_share) {
  Histogram all;
  for (const SegmentSamples& segment : light.segments)
    if (segment.kind == SegmentKind::application) all += pooled(segment);
  return quantile(all, quantile_share);
}

/// What happened to workloads that the action did not touch: factors by which the path became
/// quicker (at most 1) and slower (at least 1) without it.
struct Background {
  double quicker = 1, slower = 1;
};

struct Segments {
  const SegmentSamples *before, *after;
  QuantileBounds bounds_before, bounds_after;
};

/// One workload: what is common to both windows, compared.
class OneWorkload {
 public:
  OneWorkload(const LightSamples& before, const LightSamples& after, const VerifyRule& rule,
              double risk)
      : rule_(rule), risk_(risk) {
    result_.workload = after.workload;
    result_.name = after.name;
    result_.application_before = application_wait(before, rule.quantile);
    result_.application_after = application_wait(after, rule.quantile);
    pair_up(before, after);
    add_up();
  }

  /// `margin` of the rule, or 0 for the control group: there any movement counts.
  Comparison judged(const Background& background, double margin) {
    if (segments_.empty()) return result_;
    const double better = (1 + margin) / background.quicker,
                 worse = (1 + margin) * background.slower;
    Comparison& c = result_;
    const Segments& first = longest(&Segments::bounds_before);
    const Segments& last = longest(&Segments::bounds_after);
    const Lead quicker = lead_of_quicker(first.before->slices, first.after->slices, better, risk_);
    const Lead slower = lead_of_slower(last.before->slices, last.after->slices, 1 / worse, risk_);
    c.moved_quicker = quicker.share;
    c.moved_slower = slower.share;

    const bool is_better = longer(c.before.value, c.after.value, better) &&
                           c.before.value - c.after.value > kLeastChange;
    const bool is_worse = longer(c.after.value, c.before.value, worse) &&
                          c.after.value - c.before.value > kLeastChange;
    const bool bounds_better = longer(c.before.low, c.after.high, better);
    const bool bounds_worse = longer(c.after.low, c.before.high, worse);
    const bool much_slower = slower.excess >= kMuchSlower && !is_better && median_rose(last);
    if (much_slower || (is_worse && (bounds_worse || slower.excess > 0)))
      c.effect = Effect::harmed;
    else if (is_better && (bounds_better || quicker.excess > 0) && slower.excess <= 0)
      c.effect = Effect::helped;
    else
      c.effect = would_have_shown(background) ? Effect::no_effect : Effect::inconclusive;
    c.reason = figures() + ": " + why(c.effect, bounds_better || bounds_worse, quicker, slower);
    return c;
  }

 private:
  void pair_up(const LightSamples& before, const LightSamples& after) {
    result_.coverage_before = result_.coverage_after = Share{1.0};
    std::string lacking = "no segment of its path was measured";
    for (const SegmentSamples& one : after.segments) {
      if (one.kind != SegmentKind::path) continue;
      const SegmentSamples* other = segment_of(before, one);
      std::string lack = other == nullptr ? "not measured before" : lack_of(*other, rule_);
      if (!lack.empty() && other != nullptr) lack = "before: " + lack;
      if (lack.empty()) lack = lack_of(one, rule_);
      if (!lack.empty()) {
        lacking = one.name + ": " + lack;
        continue;
      }
      segments_.push_back({.before = other, .after = &one});
      result_.coverage_before = std::min(result_.coverage_before, share_of(other->coverage));
      result_.coverage_after = std::min(result_.coverage_after, share_of(one.coverage));
    }
    if (segments_.empty()) result_.reason = lacking;
  }

  static void add(Bounded& sum, const QuantileBounds& part) {
    sum = {.low = plus(sum.low, part.low),
           .value = plus(sum.value, part.value),
           .high = plus(sum.high, part.high)};
  }

  void add_up() {
    const double risk = risk_ / static_cast<double>(std::max<std::size_t>(1, segments_.size()));
    const auto least = [](double& worth, double part) {
      worth = worth == 0 ? part : std::min(worth, part);
    };
    for (Segments& segment : segments_) {
      segment.bounds_before = bounds_of(segment.before->slices, rule_.quantile, risk);
      segment.bounds_after = bounds_of(segment.after->slices, rule_.quantile, risk);
      add(result_.before, segment.bounds_before);
      add(result_.after, segment.bounds_after);
      least(result_.worth_before, segment.bounds_before.worth);
      least(result_.worth_after, segment.bounds_after.worth);
      result_.packets_before = std::max(result_.packets_before, total(pooled(*segment.before)));
      result_.packets_after = std::max(result_.packets_after, total(pooled(*segment.after)));
    }
  }

  const Segments& longest(QuantileBounds Segments::* window) const {
    return *std::ranges::max_element(
        segments_, {}, [&](const Segments& segment) { return (segment.*window).value; });
  }

  bool median_rose(const Segments& segment) const {
    const auto before = quantile(pooled(*segment.before), 0.5);
    const auto after = quantile(pooled(*segment.after), 0.5);
    return *after - *before > kLeastChange;
  }

  /// Neither a fall nor a rise by `kVisible` fits between the bounds, or it would be too small to
  /// count; what happened to the control group is taken off.
  bool would_have_shown(const Background& background) const {
    Bounded before, after;
    for (const Segments& segment : segments_) {
      add(before, bounds_of(segment.before->slices, rule_.quantile, kUnseenRisk));
      add(after, bounds_of(segment.after->slices, rule_.quantile, kUnseenRisk));
    }
    const auto within = [](nanoseconds high, nanoseconds low, double moved) {
      return high != nanoseconds::max() &&
             (!longer(high, low, kVisible * moved) || high - low <= kLeastChange);
    };
    const double moved = background.quicker < 1 ? background.quicker : background.slower;
    return within(after.high, before.low, moved) && within(before.high, after.low, 1 / moved);
  }

  std::string figures() const {
    const Comparison& c = result_;
    return quantile_name(rule_.quantile) + " of its path " + text_of(c.before) + " before, " +
           text_of(c.after) + " after";
  }

  static std::string why(Effect effect, bool by_bounds, const Lead& quicker, const Lead& slower) {
    switch (effect) {
      case Effect::helped:
        return by_bounds ? "quicker beyond both bounds"
                         : percent(quicker.share) + " of the packets quicker, beyond chance";
      case Effect::harmed:
        return by_bounds ? "slower beyond both bounds"
                         : percent(slower.share) + " of the packets slower, beyond chance";
      case Effect::no_effect: return "no change beyond chance";
      case Effect::inconclusive: break;
    }
    return "no change beyond chance, but a large one could have gone unseen";
  }

  const VerifyRule& rule_;
  double risk_;
  std::vector<Segments> segments_;
  Comparison result_;
};

const LightSamples* find(const std::vector<LightSamples>& all, WorkloadId workload) {
  const auto found = std::ranges::find(all, workload, &LightSamples::workload);
  return found == all.end() ? nullptr : &*found;
}

std::uint64_t packets_of(const LightSamples& light) {
  std::uint64_t most = 0;
  for (const SegmentSamples& segment : light.segments)
    if (segment.kind == SegmentKind::path) most = std::max(most, total(pooled(segment)));
  return most;
}

struct Pair {
  const LightSamples *before, *after;
};

/// Workloads that can be compared, those with the most packets first and at most kMostJudged.
std::vector<Pair> comparable(const std::vector<LightSamples>& before,
                             const std::vector<LightSamples>& after, const VerifyRule& rule) {
  std::vector<Pair> pairs;
  for (const LightSamples& was : before) {
    const LightSamples* is = find(after, was.workload);
    if (is != nullptr && lack_of(was, rule).empty() && lack_of(*is, rule).empty())
      pairs.push_back({.before = &was, .after = is});
  }
  std::ranges::stable_sort(pairs, std::greater{}, [](const Pair& pair) {
    return std::min(packets_of(*pair.before), packets_of(*pair.after));
  });
  if (pairs.size() > kMostJudged) pairs.resize(kMostJudged);
  return pairs;
}

std::vector<Comparison> control_group(const Samples& before, const Samples& after,
                                      const VerifyRule& rule) {
  std::vector<Comparison> all;
  const auto pairs = comparable(before.control, after.control, rule);
  for (const Pair& pair : pairs) {
    const double risk = kRisk / static_cast<double>(pairs.size()) / 2;
    all.push_back(OneWorkload(*pair.before, *pair.after, rule, risk).judged({}, 0));
    all.back().control = true;
  }
  return all;
}

/// Only what at least half of the control group did beyond chance, and by as much as its median.
Background background_of(const std::vector<Comparison>& control) {
  const auto movement = [&](Effect effect) {
    std::vector<double> ratios;
    for (const Comparison& one : control)
      if (one.effect == effect && one.before.value > nanoseconds::zero())
        ratios.push_back(static_cast<double>(std::max<std::int64_t>(1, one.after.value.count())) /
                         static_cast<double>(one.before.value.count()));
    if (ratios.empty() || ratios.size() * 2 < control.size()) return 1.0;
    std::ranges::sort(ratios);
    return ratios[ratios.size() / 2];
  };
  return {.quicker = std::min(1.0, movement(Effect::helped)),
          .slower = std::max(1.0, movement(Effect::harmed))};
}

/// Bytes per second of all heavy workloads together, of each slice in which one wanted to send.
std::vector<double> heavy_rates(const Samples& window) {
  std::size_t slices = 0;
  for (const HeavySamples& heavy : window.heavy) slices = std::max(slices, heavy.slices.size());
  std::vector<double> rates;
  for (std::size_t i = 0; i < slices; ++i) {
    double rate = 0;
    bool wanting = false;
    for (const HeavySamples& heavy : window.heavy) {
      if (i >= heavy.slices.size() || heavy.slices[i].length <= nanoseconds::zero()) continue;
      const HeavySlice& slice = heavy.slices[i];
      rate += static_cast<double>(slice.moved.count) / seconds_of(slice.length);
      wanting |= slice.wanting;
    }
    if (wanting) rates.push_back(rate);
  }
  return rates;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

/// Bytes per second of everything that was sampled.
double load_of(const Samples& window) {
  double bytes = 0;
  for (const auto* lights : {&window.watched, &window.control})
    for (const LightSamples& light : *lights) bytes += static_cast<double>(light.moved.count);
  for (const HeavySamples& heavy : window.heavy)
    for (const HeavySlice& slice : heavy.slices) bytes += static_cast<double>(slice.moved.count);
  return window.length > nanoseconds::zero() ? bytes / seconds_of(window.length) : 0;
}

bool guard_rose(std::uint64_t before, nanoseconds time_before, std::uint64_t after,
                nanoseconds time_after) {
  if (time_before <= nanoseconds::zero() || time_after <= nanoseconds::zero()) return false;
  const double expected =
      static_cast<double>(before) * seconds_of(time_after) / seconds_of(time_before);
  return after >= kGuardLeast &&
         static_cast<double>(after) >= expected * static_cast<double>(kGuardTimes) &&
         rate_rose(before, time_before, after, time_after, kGuardRisk);
}

/// Of all heavy workloads together, in each slice.
std::vector<double> heavy_timeouts(const Samples& window) {
  std::vector<double> sums;
  for (const HeavySamples& heavy : window.heavy) {
    sums.resize(std::max(sums.size(), heavy.slices.size()));
    for (std::size_t i = 0; i < heavy.slices.size(); ++i)
      sums[i] += static_cast<double>(heavy.slices[i].timeouts);
  }
  return sums;
}

double sum_of(const std::vector<double>& values) {
  return mean_of(values) * static_cast<double>(values.size());
}

/// Events that come in swarms are compared slice by slice: a single swarm is no rise.
bool swarms_rose(const std::vector<double>& before, const std::vector<double>& after) {
  return sum_of(after) >= static_cast<double>(kGuardLeast) &&
         mean_of(after) >= mean_of(before) * static_cast<double>(kGuardTimes) &&
         mean_fell(after, before, kGuardRisk);
}

struct Part {
  std::uint64_t bad = 0, all = 0;
  double share() const { return all > 0 ? static_cast<double>(bad) / static_cast<double>(all) : 0; }
};
Part repeated(const LightSamples& light) {
  return {.bad = light.tcp.retransmits, .all = light.tcp.packets_sent};
}
Part lost(const LightSamples& light) {
  Part part;
  for (const SegmentSamples& segment : light.segments)
    if (segment.kind == SegmentKind::path) {
      part.bad += segment.lost;
      part.all = std::max(part.all, total(pooled(segment)));
    }
  part.all += part.bad;
  return part;
}
bool starved(const Part& before, const Part& after) {
  return after.bad >= kGuardLeast && after.share() >= kStarved &&
         after.share() >= before.share() * static_cast<double>(kGuardTimes);
}

std::vector<Finding> vetoes_of(const Samples& before, const Samples& after,
                               const VerifyRule& rule) {
  std::vector<Finding> vetoes;
  const std::string times = " " + std::to_string(kGuardTimes) + " times";
  const std::vector<double> was = heavy_rates(before), is = heavy_rates(after);
  if (was.size() >= kLeastSlices && is.size() >= kLeastSlices &&
      mean_of(is) < mean_of(was) * (1 - rule.veto.of_one) && mean_fell(was, is, kGuardRisk))
    vetoes.push_back({.rule = "heavy throughput -" + to_text(rule.veto),
                      .numbers = measured(mean_of(was)) + " before, " + measured(mean_of(is)) +
                                 " after, in the seconds in which it wanted to send"});
  const std::vector<double> stops_before = heavy_timeouts(before),
                            stops_after = heavy_timeouts(after);
  const auto in = [](std::uint64_t count, nanoseconds length) {
    return std::to_string(count) + " in " + to_text(length);
  };
  const auto whole = [](double count) { return static_cast<std::uint64_t>(std::llround(count)); };
  // A rise of timeouts that costs nothing is no harm: shorter queues drop sooner.
  const bool costs = mean_of(is) < mean_of(was) * (1 - rule.veto.of_one / 2);
  if (costs && swarms_rose(stops_before, stops_after))
    vetoes.push_back({.rule = "heavy retransmission timeouts" + times,
                      .numbers = in(whole(sum_of(stops_before)), before.length) + " before, " +
                                 in(whole(sum_of(stops_after)), after.length) + " after"});
  for (const LightSamples& light : after.watched) {
    const LightSamples* earlier = find(before.watched, light.workload);
    if (earlier == nullptr) continue;
    for (const auto& [what, part] :
         {std::pair<const char*, Part (*)(const LightSamples&)>{"packets sent again", repeated},
          std::pair<const char*, Part (*)(const LightSamples&)>{"packets lost on the path", lost}})
      if (const Part old = part(*earlier), now = part(light); starved(old, now))
        vetoes.push_back({.rule = "light " + std::string(what) + times,
                          .numbers = light.name + ": " + percent(old.share()) + " before, " +
                                     percent(now.share()) + " after"});
  }
  const auto guard = [&](std::string rule_text, const std::optional<std::uint64_t>& count_before,
                         const std::optional<std::uint64_t>& count_after) {
    if (count_before && count_after &&
        guard_rose(*count_before, before.length, *count_after, after.length))
      vetoes.push_back({.rule = std::move(rule_text) + times,
                        .numbers = in(*count_before, before.length) + " before, " +
                                   in(*count_after, after.length) + " after"});
  };
  guard("packets dropped before the stack (softnet)", before.host.softnet_drops,
        after.host.softnet_drops);
  guard("softirq out of its budget (squeezes)", before.host.softnet_squeezes,
        after.host.softnet_squeezes);
  return vetoes;
}

/// Quieter or busier than before by itself?
struct Load {
  bool quieter = false, busier = false;
  std::string numbers;
};
Load load_change(const Samples& before, const Samples& after, const VerifyRule& rule) {
  const double was = load_of(before), is = load_of(after), tolerated = 1 - rule.veto.of_one;
  return {.quieter = is<was * tolerated, .busier = is * tolerated> was,
          .numbers = measured(was) + " before, " + measured(is) + " after"};
}

std::vector<std::string> rules_of(const VerifyRule& rule, std::size_t judged, bool control) {
  const std::string name = quantile_name(rule.quantile), margin = to_text(rule.margin);
  std::vector<std::string> rules{
      "watched: " + name + " of the path of " + std::to_string(judged) +
          " light workloads, waiting for the application left out; " +
          std::to_string(rule.samples) + " packets and " + to_text(rule.coverage) +
          " of them measured, before and after",
      "a change counts from " + margin + " and " + measured(kLeastChange) +
          " on, and if chance gives it at most once in " + std::to_string(std::lround(1 / kRisk)) +
          " verdicts: by the bounds of the percentile, or by the distributions' distance",
      "harmed: one workload's path became worse, or a veto; helped: one became better and none "
      "worse; no effect: a change to a " +
          std::to_string(std::lround(kVisible)) + "th or by " +
          std::to_string(std::lround(kVisible)) + " times would have shown",
      "vetoes: heavy throughput -" + to_text(rule.veto) +
          " while it wants to send, or half of that and its timeouts; softnet drops or squeezes " +
          std::to_string(kGuardTimes) +
          " times as often; a light workload that sends again or "
          "loses " +
          percent(kStarved) + " of its packets, " + std::to_string(kGuardTimes) +
          " times as much as before",
      "doubts: all traffic together fell by more than " + to_text(rule.veto) +
          " (then nothing is credited) or rose likewise (then nothing is charged)"};
  if (control) rules.push_back("what the untouched workloads did at the same time is taken off");
  return rules;
}

}  // namespace

std::string_view to_text(Effect effect) { return kEffects[static_cast<std::size_t>(effect)]; }

std::optional<Effect> effect_from_text(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kEffects); ++i)
    if (kEffects[i] == text) return static_cast<Effect>(i);
  return std::nullopt;
}

std::optional<std::string> unfit(const Samples& window, const VerifyRule& rule) {
  if (window.watched.empty()) return "no light workload is there to be watched";
  std::string first;
  for (const LightSamples& light : window.watched) {
    std::string lack = lack_of(light, rule);
    if (lack.empty()) return std::nullopt;
    if (first.empty()) first = light.name + ": " + lack;
  }
  return first;
}

Verdict judge(const Samples& before, const Samples& after, const VerifyRule& rule) {
  const std::vector<Pair> pairs = comparable(before.watched, after.watched, rule);
  Verdict verdict{.comparisons = control_group(before, after, rule),
                  .vetoes = vetoes_of(before, after, rule)};
  const Background background = background_of(verdict.comparisons);
  verdict.rules = rules_of(rule, pairs.size(), !verdict.comparisons.empty());

  std::vector<Comparison> judged;
  for (const Pair& pair : pairs) {
    const double risk = kRisk / static_cast<double>(pairs.size()) / 2;
    judged.push_back(
        OneWorkload(*pair.before, *pair.after, rule, risk).judged(background, rule.margin.of_one));
  }
  const auto count = [&](Effect effect) {
    return static_cast<std::size_t>(std::ranges::count(judged, effect, &Comparison::effect));
  };
  const auto first = [&](Effect effect) {
    const auto found = std::ranges::find(judged, effect, &Comparison::effect);
    return found->name + ": " + found->reason;
  };

  // A workload that was fit before and is not any more: starved, or simply done.
  std::size_t silent = 0, fit_before = 0;
  for (const LightSamples& was : before.watched) {
    if (!lack_of(was, rule).empty()) continue;
    ++fit_before;
    const LightSamples* is = find(after.watched, was.workload);
    const std::string lack = is == nullptr ? "it is gone" : lack_of(*is, rule);
    if (lack.empty()) continue;
    if (silent++ == 0)
      verdict.doubts.push_back(
          {.rule = "too little of a watched workload after", .numbers = was.name + ": " + lack});
  }
  const bool too_silent = silent * 2 > fit_before;
  const Load load = load_change(before, after, rule);
  if (load.quieter)
    verdict.doubts.push_back(
        {.rule = "all traffic -" + to_text(rule.veto), .numbers = load.numbers});
  if (load.busier)
    verdict.doubts.push_back({.rule = "all traffic more, likewise", .numbers = load.numbers});

  if (!verdict.vetoes.empty()) {
    verdict.effect = Effect::harmed;
    verdict.reason = verdict.vetoes.front().rule + ": " + verdict.vetoes.front().numbers;
  } else if (judged.empty()) {
    verdict.reason = fit_before == 0
                         ? "before: " + unfit(before, rule).value_or("nothing to compare")
                         : verdict.doubts.front().numbers;
  } else if (count(Effect::harmed) > 0) {
    verdict.effect = load.busier ? Effect::inconclusive : Effect::harmed;
    verdict.reason = first(Effect::harmed);
    if (load.busier) verdict.reason += "; but there was more traffic: " + load.numbers;
  } else if (count(Effect::helped) > 0) {
    verdict.effect = load.quieter || too_silent ? Effect::inconclusive : Effect::helped;
    verdict.reason = first(Effect::helped);
    if (load.quieter)
      verdict.reason += "; but there was less traffic: " + load.numbers;
    else if (too_silent)
      verdict.reason += "; but " + std::to_string(silent) + " others fell silent";
  } else if (count(Effect::no_effect) * 2 >= judged.size() && !too_silent) {
    verdict.effect = Effect::no_effect;
    verdict.reason = first(Effect::no_effect);
  } else if (too_silent) {
    verdict.reason = verdict.doubts.front().numbers;
  } else {
    verdict.reason = first(Effect::inconclusive);
  }
  std::ranges::move(judged, std::back_inserter(verdict.comparisons));
  return verdict;
}

}  // namespace ankus
