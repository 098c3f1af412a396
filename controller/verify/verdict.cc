// SPDX-License-Identifier: Apache-2.0
#include "verify/verdict.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <map>
#include <set>

#include "base/text.h"
#include "verify/distribution.h"
#include "verify/fitness.h"

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
/// The busiest are judged; each further comparison makes all of them blunter.
constexpr std::size_t kMostJudged = 16;
/// The rest of the distribution may not pay for the watched percentile: so large a share of the
/// packets that is slower is harm, unless the percentile became better.
constexpr double kMuchSlower = 0.1;
/// Guards count as risen only from here on: several times, a handful, one chance in a thousand.
constexpr double kGuardRisk = 0.001;
constexpr std::uint64_t kGuardTimes = 3, kGuardLeast = 10;
/// Where the queue is, the elephants know. They are measured rarely, but the median of what waits
/// in a queue is many times that of what does not. It has moved if that took (or gave back) at
/// least such a share of what the round trips changed by; TCP leaves only a part of its queue to
/// the qdisc.
constexpr double kQueueTimes = 3, kQueueShare = 0.05;
constexpr std::uint64_t kQueuePackets = 20;
/// A path is not judged without the segment in which it waits: where one segment has the packets
/// that the policy asks for, the others need only such a part of them; their bounds know how few
/// they are.
constexpr std::uint64_t kPart = 3;
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

/// What is judged of a workload.
enum class Path { on_host, round_trip };
bool belongs(const SegmentSamples& segment, Path path) {
  return path == Path::on_host ? is_on_host(segment.kind) : segment.kind == SegmentKind::round_trip;
}

/// The first lack among the path's segments that have anything at all; "" if one at least is fit.
std::string lack_of(const LightSamples& light, const VerifyRule& rule, Path path) {
  std::string first = path == Path::on_host ? "no segment of its path was measured"
                                            : "TCP has measured no round trip";
  for (const SegmentSamples& segment : light.segments) {
    if (!belongs(segment, path)) continue;
    std::string lack = lack_of(segment, rule);
    if (lack.empty()) return {};
    first = segment.name + ": " + lack;
  }
  return first;
}

/// Of what a lever is judged by.
std::string lack_of(const LightSamples& light, const VerifyRule& rule, Lever lever) {
  std::string lack = lack_of(light, rule, Path::on_host);
  if (lever == Lever::bandwidth && lack_of(light, rule, Path::round_trip).empty()) return {};
  return lack;
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

/// One workload's path: what is common to both windows, compared.
class OnePath {
 public:
  OnePath(const LightSamples& before, const LightSamples& after, Path path, const VerifyRule& rule,
          double risk)
      : path_(path), rule_(rule), risk_(risk) {
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
  /// All of the path, if one of its segments is fit; else nothing.
  void pair_up(const LightSamples& before, const LightSamples& after) {
    if (!pair_up(before, after, rule_)) return;
    VerifyRule part = rule_;
    part.samples = rule_.samples / kPart;
    segments_.clear();
    (void)pair_up(before, after, part);
  }

  /// The segments that are fit by `rule`; false if none is.
  bool pair_up(const LightSamples& before, const LightSamples& after, const VerifyRule& rule) {
    result_.coverage_before = result_.coverage_after = Share{1.0};
    std::string lacking = "no segment of its path was measured";
    for (const SegmentSamples& one : after.segments) {
      if (!belongs(one, path_)) continue;
      const SegmentSamples* other = segment_of(before, one);
      std::string lack = other == nullptr ? "not measured before" : lack_of(*other, rule);
      if (!lack.empty() && other != nullptr) lack = "before: " + lack;
      if (lack.empty()) lack = lack_of(one, rule);
      if (!lack.empty()) {
        lacking = one.name + ": " + lack;
        continue;
      }
      segments_.push_back({.before = other, .after = &one});
      result_.coverage_before = std::min(result_.coverage_before, share_of(other->coverage));
      result_.coverage_after = std::min(result_.coverage_after, share_of(one.coverage));
    }
    if (segments_.empty()) result_.reason = lacking;
    return !segments_.empty();
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
    return quantile_name(rule_.quantile) +
           (path_ == Path::on_host ? " of its path " : " of its round trips ") + text_of(c.before) +
           " before, " + text_of(c.after) + " after";
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

  Path path_;
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
    if (segment.kind != SegmentKind::application) most = std::max(most, total(pooled(segment)));
  return most;
}

struct Pair {
  const LightSamples *before, *after;
};

/// Workloads that can be compared, those with the most packets first and at most kMostJudged.
std::vector<Pair> comparable(const std::vector<LightSamples>& before,
                             const std::vector<LightSamples>& after, const VerifyRule& rule,
                             Lever lever) {
  std::vector<Pair> pairs;
  for (const LightSamples& was : before) {
    const LightSamples* is = find(after, was.workload);
    if (is != nullptr && lack_of(was, rule, lever).empty() && lack_of(*is, rule, lever).empty())
      pairs.push_back({.before = &was, .after = is});
  }
  std::ranges::stable_sort(pairs, std::greater{}, [](const Pair& pair) {
    return std::min(packets_of(*pair.before), packets_of(*pair.after));
  });
  if (pairs.size() > kMostJudged) pairs.resize(kMostJudged);
  return pairs;
}

/// How much longer, and how much shorter, the elephants wait on this host: where a queue has come
/// to, and where one has gone from. None: nobody saw them, before or after.
struct QueueMove {
  bool known = false;
  nanoseconds longer{}, shorter{};
  std::string numbers_longer, numbers_shorter;
};

QueueMove queue_move(const Samples& before, const Samples& after) {
  QueueMove move;
  for (const HeavySamples& is : after.heavy) {
    const auto was = std::ranges::find(before.heavy, is.workload, &HeavySamples::workload);
    if (was == before.heavy.end()) continue;
    for (const SegmentSamples& now : is.segments) {
      const auto then = std::ranges::find(was->segments, now.name, &SegmentSamples::name);
      if (then == was->segments.end() || total(pooled(*then)) < kQueuePackets ||
          total(pooled(now)) < kQueuePackets)
        continue;
      move.known = true;
      const nanoseconds old = *quantile(pooled(*then), 0.5), young = *quantile(pooled(now), 0.5);
      const std::string numbers = is.name + " waits " + measured(old) + " before, " +
                                  measured(young) + " after (" + now.name + ", median)";
      if (young - old > move.longer && longer(young, old, kQueueTimes) &&
          lead_of_slower(then->slices, now.slices, 1 / kQueueTimes, kGuardRisk).excess > 0) {
        move.longer = young - old;
        move.numbers_longer = numbers;
      }
      if (old - young > move.shorter && longer(old, young, kQueueTimes) &&
          lead_of_quicker(then->slices, now.slices, kQueueTimes, kGuardRisk).excess > 0) {
        move.shorter = old - young;
        move.numbers_shorter = numbers;
      }
    }
  }
  return move;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double sum_of(const std::vector<double>& values) {
  return mean_of(values) * static_cast<double>(values.size());
}

bool rose(const std::vector<double>& before, const std::vector<double>& after) {
  return sum_of(after) >= static_cast<double>(kGuardLeast) &&
         mean_of(after) >= mean_of(before) * static_cast<double>(kGuardTimes);
}

/// Events that come in swarms are compared slice by slice: a single swarm is no rise.
bool swarms_rose(const std::vector<double>& before, const std::vector<double>& after) {
  return rose(before, after) && mean_fell(after, before, kGuardRisk);
}

/// The same of what must be seen in windows of few slices, too: at least half of those after have
/// more than any before.
bool rose_for_good(const std::vector<double>& before, const std::vector<double>& after) {
  const double most = before.empty() ? 0 : std::ranges::max(before);
  const auto above = std::ranges::count_if(after, [&](double count) { return count > most; });
  return rose(before, after) && static_cast<std::size_t>(above) * 2 >= after.size();
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
    if (is_on_host(segment.kind)) {
      for (const std::uint64_t count : segment.lost) part.bad += count;
      part.all = std::max(part.all, total(pooled(segment)));
    }
  part.all += part.bad;
  return part;
}
std::vector<double> repeated_by_slice(const LightSamples& light) {
  return {light.repeated.begin(), light.repeated.end()};
}
std::vector<double> lost_by_slice(const LightSamples& light) {
  std::vector<double> sums;
  for (const SegmentSamples& segment : light.segments) {
    if (!is_on_host(segment.kind)) continue;
    sums.resize(std::max(sums.size(), segment.lost.size()));
    for (std::size_t i = 0; i < segment.lost.size(); ++i)
      sums[i] += static_cast<double>(segment.lost[i]);
  }
  return sums;
}
/// Half of what would be a veto by itself, and beyond chance: packets sent again are the network's
/// doing, never the other side's application's.
bool half_starved(const LightSamples& before, const LightSamples& after) {
  return repeated(after).share() >= kStarved / 2 &&
         swarms_rose(repeated_by_slice(before), repeated_by_slice(after));
}

/// A round trip ends with the other side's answer, which carries the acknowledgement: by itself it
/// tells nothing of the network. It is believed where something else says that a queue has moved
/// between this host and what is behind it, which is what only the round trip sees the whole of.
Comparison joined(Comparison host, Comparison trip, const QueueMove& queue, const Pair& pair) {
  const nanoseconds change = std::chrono::abs(trip.after.value - trip.before.value);
  const auto part =
      nanoseconds(static_cast<std::int64_t>(static_cast<double>(change.count()) * kQueueShare));
  const bool came = queue.longer > part, went = queue.shorter > part;
  const auto because = [&](Comparison one, const std::string& why) {
    one.reason += "; " + why;
    return one;
  };
  const auto with = [&](Comparison one, Effect effect, const std::string& why) {
    one.effect = effect;
    return because(std::move(one), why);
  };
  switch (trip.effect) {
    case Effect::harmed:
      if (went)
        return because(trip, "the queue is not on this host any more: " + queue.numbers_shorter);
      if (half_starved(*pair.before, *pair.after))
        return because(trip, "and it sends " + percent(repeated(*pair.after).share()) +
                                 " of its packets again, " +
                                 percent(repeated(*pair.before).share()) + " before");
      if (host.effect == Effect::harmed && !came) return host;
      if (host.effect == Effect::helped && queue.known) return host;
      return with(trip, Effect::inconclusive,
                  "but nothing tells the network from a slower other side");
    case Effect::helped:
      if (came) return because(trip, "the queue is on this host now: " + queue.numbers_longer);
      if (host.effect == Effect::harmed || host.effect == Effect::helped) return host;
      return with(trip, Effect::inconclusive,
                  "but nothing tells the network from a quicker other side");
    case Effect::no_effect:
    case Effect::inconclusive: break;
  }
  // Round trips contain the path on this host, where nothing else saw enough of it.
  if (trip.effect == Effect::no_effect && host.effect == Effect::inconclusive) return trip;
  // The queue has moved, and the whole, which other things change too, does not show it.
  if (host.effect == Effect::harmed && came)
    return with(trip, Effect::inconclusive,
                "what waits on this host now waited behind it: " + queue.numbers_longer);
  if (host.effect == Effect::helped && went)
    return with(trip, Effect::inconclusive,
                "what waited on this host waits behind it now: " + queue.numbers_shorter);
  return host;
}

/// The comparisons of one pair: their number decides how blunt each is.
class Comparer {
 public:
  Comparer(const VerifyRule& rule, Lever lever, std::size_t pairs)
      : rule_(rule),
        lever_(lever),
        risk_(kRisk / static_cast<double>(std::max<std::size_t>(1, pairs)) / 2 /
              (lever == Lever::bandwidth ? 2 : 1)) {}

  Comparison of(const Pair& pair, const Background& background, const QueueMove& queue) const {
    const bool has_trips = lever_ == Lever::bandwidth && fit(pair, Path::round_trip);
    Comparison trip;
    if (has_trips) trip = path_of(pair, Path::round_trip).judged({}, rule_.margin.of_one);
    Comparison host = path_of(pair, Path::on_host).judged(background, rule_.margin.of_one);
    if (!has_trips) return host;
    return joined(std::move(host), std::move(trip), queue, pair);
  }
  Comparison of_control(const Pair& pair) const {
    Comparison one = path_of(pair, Path::on_host).judged({}, 0);
    one.control = true;
    return one;
  }

 private:
  bool fit(const Pair& pair, Path path) const {
    return lack_of(*pair.before, rule_, path).empty() && lack_of(*pair.after, rule_, path).empty();
  }
  OnePath path_of(const Pair& pair, Path path) const {
    return {*pair.before, *pair.after, path, rule_, risk_};
  }

  const VerifyRule& rule_;
  Lever lever_;
  double risk_;
};

std::vector<Comparison> control_group(const Samples& before, const Samples& after,
                                      const VerifyRule& rule) {
  std::vector<Comparison> all;
  const auto pairs = comparable(before.control, after.control, rule, Lever::receive);
  const Comparer compare(rule, Lever::receive, pairs.size());
  for (const Pair& pair : pairs) all.push_back(compare.of_control(pair));
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

/// Bytes per second of these heavy workloads together, of each slice in which all wanted to send.
std::vector<double> rates_of(const Samples& window, const std::set<WorkloadId>& workloads) {
  std::vector<const HeavySamples*> chosen;
  for (const HeavySamples& heavy : window.heavy)
    if (workloads.contains(heavy.workload)) chosen.push_back(&heavy);
  std::size_t slices = std::numeric_limits<std::size_t>::max();
  for (const HeavySamples* heavy : chosen) slices = std::min(slices, heavy->slices.size());
  std::vector<double> rates;
  for (std::size_t i = 0; i < slices && !chosen.empty(); ++i) {
    const bool all_want = std::ranges::all_of(chosen, [&](const HeavySamples* heavy) {
      return heavy->slices[i].wanting && heavy->slices[i].length > nanoseconds::zero();
    });
    if (!all_want) continue;
    double rate = 0;
    for (const HeavySamples* heavy : chosen)
      rate +=
          static_cast<double>(heavy->slices[i].moved.count) / seconds_of(heavy->slices[i].length);
    rates.push_back(rate);
  }
  return rates;
}

/// Comparable: of those that wanted to send before and after. That one has ended is no loss, nor
/// does it make up for what another loses.
struct HeavyRates {
  std::vector<double> before, after;
};
HeavyRates heavy_rates(const Samples& before, const Samples& after) {
  std::map<WorkloadId, std::size_t> wanted;  // slices, in the window with fewer of them
  for (const HeavySamples& heavy : before.heavy) {
    const auto later = std::ranges::find(after.heavy, heavy.workload, &HeavySamples::workload);
    if (later == after.heavy.end()) continue;
    wanted[heavy.workload] = static_cast<std::size_t>(
        std::min(std::ranges::count_if(heavy.slices, &HeavySlice::wanting),
                 std::ranges::count_if(later->slices, &HeavySlice::wanting)));
  }
  std::set<WorkloadId> chosen;
  for (const auto& [workload, slices] : wanted)
    if (slices >= kLeastSlices) chosen.insert(workload);
  while (!chosen.empty()) {
    HeavyRates rates{.before = rates_of(before, chosen), .after = rates_of(after, chosen)};
    if (rates.before.size() >= kLeastSlices && rates.after.size() >= kLeastSlices) return rates;
    // They do not want at the same time: without the one that wants least.
    chosen.erase(std::ranges::min_element(chosen, {}, [&](WorkloadId id) { return wanted[id]; }));
  }
  return {};
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

std::string times_rule(const std::string& what) {
  return what + " " + std::to_string(kGuardTimes) + " times";
}
std::string in_window(double count, const Samples& window) {
  return std::to_string(std::llround(count)) + " in " + to_text(window.length);
}

void add_heavy_vetoes(const Samples& before, const Samples& after, const VerifyRule& rule,
                      std::vector<Finding>& vetoes) {
  const auto [was, is] = heavy_rates(before, after);
  if (was.empty()) return;
  if (mean_of(is) < mean_of(was) * (1 - rule.veto.of_one) && mean_fell(was, is, kGuardRisk))
    vetoes.push_back({.rule = "heavy throughput -" + to_text(rule.veto),
                      .numbers = measured(mean_of(was)) + " before, " + measured(mean_of(is)) +
                                 " after, in the seconds in which it wanted to send"});
  // A rise of timeouts that costs nothing is no harm: shorter queues drop sooner.
  if (mean_of(is) >= mean_of(was) * (1 - rule.veto.of_one / 2)) return;
  const std::vector<double> stopped = heavy_timeouts(before), stops = heavy_timeouts(after);
  if (swarms_rose(stopped, stops))
    vetoes.push_back({.rule = times_rule("heavy retransmission timeouts"),
                      .numbers = in_window(sum_of(stopped), before) + " before, " +
                                 in_window(sum_of(stops), after) + " after"});
}

/// One kind of trouble of a light workload.
struct Starving {
  const char* what;
  Part (*part)(const LightSamples&);
  std::vector<double> (*by_slice)(const LightSamples&);
};
constexpr Starving kStarving[] = {{"packets sent again", repeated, repeated_by_slice},
                                  {"packets lost on the path", lost, lost_by_slice}};

/// There is a place on this host that hardly any of its packets has passed. TCP then tries again
/// ever more seldom, which looks like few swarms.
bool is_blocked(const LightSamples& light) {
  constexpr std::uint64_t kHardlyAny = 10;  // one in so many
  return std::ranges::any_of(light.segments, [](const SegmentSamples& segment) {
    std::uint64_t came = segment.coverage.packets;
    for (const std::uint64_t count : segment.lost) came += count;
    return is_on_host(segment.kind) && came > total(pooled(segment)) * kHardlyAny;
  });
}

void add_light_vetoes(const Samples& before, const Samples& after, std::vector<Finding>& vetoes) {
  for (const LightSamples& light : after.watched) {
    const LightSamples* earlier = find(before.watched, light.workload);
    if (earlier == nullptr) continue;
    for (const Starving& kind : kStarving) {
      const Part old = kind.part(*earlier), now = kind.part(light);
      if (now.bad >= kGuardLeast && now.share() >= kStarved &&
          now.share() >= old.share() * static_cast<double>(kGuardTimes) &&
          (is_blocked(light) || rose_for_good(kind.by_slice(*earlier), kind.by_slice(light))))
        vetoes.push_back({.rule = times_rule("light " + std::string(kind.what)),
                          .numbers = light.name + ": " + percent(old.share()) + " before, " +
                                     percent(now.share()) + " after"});
    }
  }
}

void add_host_vetoes(const Samples& before, const Samples& after, std::vector<Finding>& vetoes) {
  using Slices = std::optional<std::vector<std::uint64_t>>;
  const auto guard = [&](const std::string& what, const Slices& old, const Slices& now) {
    if (!old || !now) return;
    const std::vector<double> had(old->begin(), old->end()), has(now->begin(), now->end());
    if (rose_for_good(had, has))
      vetoes.push_back({.rule = times_rule(what),
                        .numbers = in_window(sum_of(had), before) + " before, " +
                                   in_window(sum_of(has), after) + " after"});
  };
  guard("packets dropped before the stack (softnet)", before.host.softnet_drops,
        after.host.softnet_drops);
  guard("softirq out of its budget (squeezes)", before.host.softnet_squeezes,
        after.host.softnet_squeezes);
}

std::vector<Finding> vetoes_of(const Samples& before, const Samples& after,
                               const VerifyRule& rule) {
  std::vector<Finding> vetoes;
  add_heavy_vetoes(before, after, rule, vetoes);
  add_light_vetoes(before, after, vetoes);
  add_host_vetoes(before, after, vetoes);
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

std::vector<std::string> rules_of(const VerifyRule& rule, Lever lever, std::size_t judged,
                                  bool control) {
  const std::string name = quantile_name(rule.quantile), margin = to_text(rule.margin);
  std::vector<std::string> rules{
      "watched: " + name + " of the path on this host of " + std::to_string(judged) +
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
  if (lever == Lever::bandwidth)
    rules.push_back(
        "round trips, of which the other side's application is a part, count where the elephants' "
        "queue came to this host or went from it; longer ones also where " +
        percent(kStarved / 2) + " of the packets were sent again");
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

std::optional<std::string> unfit(const Samples& window, const VerifyRule& rule, Lever lever) {
  if (window.watched.empty()) return "no light workload is there to be watched";
  std::string first;
  for (const LightSamples& light : window.watched) {
    std::string lack = lack_of(light, rule, lever);
    if (lack.empty()) return std::nullopt;
    if (first.empty()) first = light.name + ": " + lack;
  }
  return first;
}

Verdict judge(const Samples& before, const Samples& after, const VerifyRule& rule, Lever lever) {
  const std::vector<Pair> pairs = comparable(before.watched, after.watched, rule, lever);
  Verdict verdict{.comparisons = control_group(before, after, rule),
                  .vetoes = vetoes_of(before, after, rule)};
  const Background background = background_of(verdict.comparisons);
  verdict.rules = rules_of(rule, lever, pairs.size(), !verdict.comparisons.empty());

  std::vector<Comparison> judged;
  const Comparer compare(rule, lever, pairs.size());
  const QueueMove queue = queue_move(before, after);
  for (const Pair& pair : pairs) judged.push_back(compare.of(pair, background, queue));
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
    if (!lack_of(was, rule, lever).empty()) continue;
    ++fit_before;
    const LightSamples* is = find(after.watched, was.workload);
    const std::string lack = is == nullptr ? "it is gone" : lack_of(*is, rule, lever);
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
                         ? "before: " + unfit(before, rule, lever).value_or("nothing to compare")
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
