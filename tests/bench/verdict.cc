// SPDX-License-Identifier: Apache-2.0
// Is the verdict right? Labelled experiments, simulated or recorded, and the confusion matrix.
#include "verify/verdict.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/text.h"
#include "bench/benchmarks.h"
#include "bench/figure.h"
#include "bench/queue_model.h"
#include "model/json.h"
#include "verify/samples_json.h"

namespace ankus::bench {
namespace {

using std::chrono::microseconds;

constexpr std::size_t kEffects = 4;

struct Labelled {
  std::string label;    ///< row of the matrix
  std::string variant;  ///< what exactly, for people
  Effect truth = Effect::no_effect;
  bool or_inconclusive = false;  ///< right too: nothing is credited and nothing charged
  std::optional<Effect> said;    ///< by the daemon that measured it
  Samples before, after;
};

/// Scenes of one seed: chosen within ranges, not around one point.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}
  double between(double low, double high) {
    return low + (high - low) * (static_cast<double>(random_() >> 11) * 0x1p-53);
  }
  /// As likely between 1 and 2 as between 10 and 20.
  double scale(double low, double high) { return std::exp(between(std::log(low), std::log(high))); }
  unsigned whole(unsigned low, unsigned high) {
    return low + static_cast<unsigned>(random_() % (high - low + 1));
  }
  nanoseconds time(nanoseconds low, nanoseconds high) {
    return nanoseconds(
        std::llround(scale(static_cast<double>(low.count()), static_cast<double>(high.count()))));
  }

 private:
  std::mt19937_64 random_;
};

/// The load that mice offer, as a share of the link; what a class for them is measured by.
double offered(const Scene& scene) {
  double bytes = 0;
  for (const Mice& mice : scene.mice)
    if (mice.by_the_uplink)
      bytes += mice.connections * mice.packet_bytes /
               std::chrono::duration<double>(mice.pause + mice.service + mice.other_side +
                                             scene.round_trip)
                   .count();
  return bytes / static_cast<double>(scene.rate.bytes_per_second());
}

/// A loaded host: elephants fill the uplink, two or three light workloads suffer, some have a
/// control group beside them.
Scene loaded(Chance& chance, std::uint64_t seed) {
  Scene scene{.seed = seed,
              .rate = {static_cast<std::uint64_t>(chance.scale(50e6, 400e6))},
              .queue = chance.time(milliseconds(20), milliseconds(100))};
  const unsigned watched = chance.whole(1, 3), control = chance.whole(0, 1);
  for (unsigned w = 0; w < watched + control; ++w)
    scene.mice.push_back({.connections = chance.whole(24, 96),
                          .pause = chance.time(milliseconds(60), milliseconds(250)),
                          .packet_bytes = chance.whole(100, 1400),
                          .service = chance.time(microseconds(50), microseconds(600)),
                          .other_side = chance.time(microseconds(100), milliseconds(10)),
                          .by_the_uplink = w < watched});
  scene.elephants = {.flows = chance.whole(2, 12),
                     .round_trip = chance.time(milliseconds(1), milliseconds(20))};
  scene.stall = chance.time(microseconds(200), milliseconds(3));
  scene.round_trip = chance.time(microseconds(200), milliseconds(30));
  // Mice that fill the link themselves are elephants.
  const double fill = offered(scene) / 0.1;
  if (fill > 1)
    scene.rate.bits_per_second =
        static_cast<std::uint64_t>(static_cast<double>(scene.rate.bits_per_second) * fill);
  return scene;
}
Scene quiet(Chance& chance, std::uint64_t seed) {
  Scene scene = loaded(chance, seed);
  scene.elephants.flows = 0;
  return scene;
}
/// Elephants that come and go by themselves.
Scene bursty(Chance& chance, std::uint64_t seed) {
  Scene scene = loaded(chance, seed);
  scene.elephants.on = chance.time(milliseconds(200), seconds(3));
  scene.elephants.off = chance.time(milliseconds(200), seconds(3));
  return scene;
}

/// The narrow place is behind the host, which sends ten times as fast.
Scene beyond(Chance& chance, std::uint64_t seed) {
  Scene scene = loaded(chance, seed);
  scene.narrow_beyond = true;
  return scene;
}
constexpr Side kUnshaped{.uplink = 10};
constexpr Side kShaped{.discipline = Discipline::mice_first, .uplink = 0.95};
Side with_other_side(Side side, double factor) {
  side.other_side_factor = factor;
  return side;
}

struct Variant {
  const char* label;
  const char* name;
  Effect truth;
  std::function<Scene(Chance&, std::uint64_t)> scene;
  /// The load falls by itself, and the path gets quicker by that alone: it cannot be known what the
  /// action did.
  bool or_inconclusive = false;
};

Scene with(Scene scene, Side before, Side after) {
  scene.before = before;
  scene.after = after;
  return scene;
}

const std::vector<Variant>& variants() {
  using enum Discipline;
  static const std::vector<Variant> all{
      {"good", "elephants yield", Effect::helped,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {.discipline = fifo}, {.discipline = mice_first});
       }},
      {"good", "elephants yield, the narrow place behind the host", Effect::helped,
       [](Chance& c, std::uint64_t s) { return with(beyond(c, s), kUnshaped, kShaped); }},
      {"bad", "mice starved by elephants first", Effect::harmed,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {.discipline = fifo}, {.discipline = elephants_first});
       }},
      {"bad", "mice in a class that is too small", Effect::harmed,
       [](Chance& c, std::uint64_t s) {
         const Scene scene = loaded(c, s);
         return with(scene, {.discipline = mice_first},
                     {.discipline = mice_limited, .limit = offered(scene) * c.between(0.2, 0.7)});
       }},
      {"bad", "protection taken away", Effect::harmed,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {.discipline = mice_first}, {.discipline = fifo});
       }},
      {"bad", "elephants throttled to death", Effect::harmed,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {.discipline = fifo},
                     {.discipline = elephants_limited, .limit = c.scale(0.02, 0.3)});
       }},
      {"bad", "protection taken away, the narrow place behind the host", Effect::harmed,
       [](Chance& c, std::uint64_t s) { return with(beyond(c, s), kShaped, kUnshaped); }},
      {"no effect", "nothing changed under load", Effect::no_effect,
       [](Chance& c, std::uint64_t s) { return with(loaded(c, s), {}, {}); }},
      {"no effect", "elephants yield where there are none", Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(quiet(c, s), {.discipline = fifo}, {.discipline = mice_first});
       }},
      {"no effect", "nothing changed, protected mice", Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {.discipline = mice_first}, {.discipline = mice_first});
       }},
      {"no effect", "nothing changed, elephants come and go", Effect::no_effect,
       [](Chance& c, std::uint64_t s) { return with(bursty(c, s), {}, {}); }},
      {"no effect", "nothing changed, the narrow place behind the host", Effect::no_effect,
       [](Chance& c, std::uint64_t s) { return with(beyond(c, s), kUnshaped, kUnshaped); }},
      {"confounded", "nothing changed, the application slows down", Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {}, {.service_factor = c.scale(3, 20)});
       }},
      {"confounded", "no elephants, the application slows down", Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(quiet(c, s), {}, {.service_factor = c.scale(3, 20)});
       },
       true},
      {"confounded", "nothing changed, the elephants stop by themselves", Effect::no_effect,
       [](Chance& c, std::uint64_t s) { return with(loaded(c, s), {}, {.elephants_stop = true}); },
       true},
      {"confounded", "elephants yield, the application slows down", Effect::helped,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {.discipline = fifo},
                     {.discipline = mice_first, .service_factor = c.scale(2, 8)});
       }},
      {"confounded", "protection taken away, the application speeds up", Effect::harmed,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {.discipline = mice_first, .service_factor = c.scale(2, 8)},
                     {.discipline = fifo});
       }},
      {"confounded", "nothing changed, the other side slows down", Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {}, with_other_side({}, c.scale(3, 20)));
       },
       true},
      {"confounded", "nothing changed, the other side speeds up", Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), with_other_side({}, c.scale(3, 20)), {});
       },
       true},
      {"confounded", "no elephants, the other side slows down", Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(quiet(c, s), {}, with_other_side({}, c.scale(3, 20)));
       },
       true},
      {"confounded", "no elephants, the other side speeds up", Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(quiet(c, s), with_other_side({}, c.scale(3, 20)), {});
       },
       true},
      {"confounded", "elephants come and go, the other side slows down", Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(bursty(c, s), {}, with_other_side({}, c.scale(3, 20)));
       },
       true},
      {"confounded", "behind the host: nothing changed, the other side slows down",
       Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(beyond(c, s), kUnshaped, with_other_side(kUnshaped, c.scale(3, 20)));
       },
       true},
      {"confounded", "behind the host: nothing changed, the other side speeds up",
       Effect::no_effect,
       [](Chance& c, std::uint64_t s) {
         return with(beyond(c, s), with_other_side(kUnshaped, c.scale(3, 20)), kUnshaped);
       },
       true},
      {"confounded", "elephants yield, the other side slows down", Effect::helped,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), {.discipline = fifo},
                     with_other_side({.discipline = mice_first}, c.scale(3, 20)));
       }},
      {"confounded", "protection taken away, the other side speeds up", Effect::harmed,
       [](Chance& c, std::uint64_t s) {
         return with(loaded(c, s), with_other_side({.discipline = mice_first}, c.scale(3, 20)),
                     {.discipline = fifo});
       }},
      // What the one takes the other gives: that the whole became no quicker is all that is known.
      {"confounded", "behind the host: elephants yield, the other side slows down", Effect::helped,
       [](Chance& c, std::uint64_t s) {
         return with(beyond(c, s), kUnshaped, with_other_side(kShaped, c.scale(3, 20)));
       },
       true},
      {"confounded", "behind the host: protection taken away, the other side speeds up",
       Effect::harmed,
       [](Chance& c, std::uint64_t s) {
         return with(beyond(c, s), with_other_side(kShaped, c.scale(3, 20)), kUnshaped);
       },
       true},
  };
  return all;
}

struct Cell {
  std::array<std::size_t, kEffects> counts{};
  std::size_t right = 0, all = 0;
  void add(Effect effect, bool is_right) {
    ++counts[static_cast<std::size_t>(effect)];
    right += is_right;
    ++all;
  }
};

/// Rows in the order in which they came.
using Rows = std::vector<std::pair<std::string, Cell>>;
Cell& row_of(Rows& rows, const std::string& name) {
  for (auto& [known, cell] : rows)
    if (known == name) return cell;
  return rows.emplace_back(name, Cell{}).second;
}

void print_rows(const Rows& rows) {
  char line[200];
  std::snprintf(line, sizeof line, "%-62s %7s %7s %9s %12s %8s\n", "", "helped", "harmed",
                "no_effect", "inconclusive", "right");
  std::cerr << line;
  for (const auto& [name, cell] : rows) {
    std::snprintf(line, sizeof line, "%-62s %7zu %7zu %9zu %12zu %7.2f%%\n", name.c_str(),
                  cell.counts[0], cell.counts[1], cell.counts[2], cell.counts[3],
                  100.0 * static_cast<double>(cell.right) / static_cast<double>(cell.all));
    std::cerr << line;
  }
}

class Tally {
 public:
  explicit Tally(bool verbose) : verbose_(verbose) {}

  void add(const Labelled& one, const VerifyRule& rule, const std::string& which) {
    const Verdict verdict = judge(one.before, one.after, rule);
    const bool right = verdict.effect == one.truth ||
                       (one.or_inconclusive && verdict.effect == Effect::inconclusive);
    if (one.said) {
      ++said_;
      as_said_ += *one.said == verdict.effect;
    }
    row_of(classes_, one.label).add(verdict.effect, right);
    row_of(variants_, one.label + ": " + one.variant + " (" + std::string(to_text(one.truth)) +
                          (one.or_inconclusive ? " or inconclusive)" : ")"))
        .add(verdict.effect, right);
    if (right) return;
    if (verbose_ || ++shown_ <= 20)
      std::cerr << "wrong: " << one.label << ", " << one.variant << ", " << which << ": "
                << to_text(verdict.effect) << " and not " << to_text(one.truth) << ": "
                << verdict.reason << "\n";
  }

  void show(const std::string& name) const {
    print_rows(variants_);
    print_rows(classes_);
    std::size_t right = 0, all = 0;
    for (const auto& [label, cell] : classes_) {
      right += cell.right;
      all += cell.all;
      print({.name = name + "/" + label,
             .measured = static_cast<double>(cell.right) / static_cast<double>(cell.all),
             .unit = "of the verdicts right",
             .goal = {Goal::Kind::at_least, 0.99},
             .detail = {{"experiments", cell.all},
                        {"helped", cell.counts[0]},
                        {"harmed", cell.counts[1]},
                        {"no_effect", cell.counts[2]},
                        {"inconclusive", cell.counts[3]}}});
    }
    print({.name = name + "/all",
           .measured = static_cast<double>(right) / static_cast<double>(all),
           .unit = "of the verdicts right",
           .goal = {Goal::Kind::at_least, 0.99},
           .detail = {{"experiments", all}}});
    if (said_ > 0)
      print({.name = name + "/as_the_daemon_said",
             .measured = static_cast<double>(as_said_) / static_cast<double>(said_),
             .unit = "of the verdicts are the daemon's own",
             .goal = {Goal::Kind::at_least, 1},
             .detail = {{"experiments", said_}}});
  }

 private:
  bool verbose_;
  std::size_t shown_ = 0;
  std::size_t said_ = 0, as_said_ = 0;
  Rows classes_, variants_;
};

Result<Labelled> labelled_from(const std::string& line) {
  const auto json = parse_json(line);
  if (!json) return std::unexpected(json.error());
  if (!json->is_object()) return fail(ErrorKind::invalid, "is not an object");
  Labelled one{.label = json->value("label", "recorded"), .variant = json->value("variant", "")};
  const auto truth = effect_from_text(json->value("truth", ""));
  if (!truth) return fail(ErrorKind::invalid, "\"truth\" is none of helped, harmed, no_effect");
  one.truth = *truth;
  one.or_inconclusive = json->value("or_inconclusive", false);
  one.said = effect_from_text(json->value("said", ""));
  for (const auto& [key, into] : {std::pair{"before", &one.before}, {"after", &one.after}}) {
    auto samples = samples_from_json(json->value(key, nlohmann::json::object()));
    if (!samples) return with_context(key, samples.error());
    *into = *std::move(samples);
  }
  return one;
}

Result<void> recorded(const VerdictOptions& options) {
  std::ifstream file(options.recorded);
  if (!file) return fail_errno("open " + options.recorded);
  Tally tally(options.verbose);
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (trim(line).empty()) continue;
    const auto one = labelled_from(line);
    const std::string which = options.recorded + ":" + std::to_string(number);
    if (!one) return with_context(which, one.error());
    tally.add(*one, {}, which);
  }
  tally.show("verdict/recorded");
  return {};
}

}  // namespace

Result<void> run_verdict(const VerdictOptions& options) {
  if (!options.recorded.empty()) return recorded(options);
  // The classes have different numbers of variants; each class gets at least `runs`.
  Rows sizes;
  for (const Variant& variant : variants()) row_of(sizes, variant.label).all++;
  Tally tally(options.verbose);
  std::ofstream out;
  if (!options.save.empty()) {
    out.open(options.save);
    if (!out) return fail_errno("open " + options.save);
  }
  for (std::size_t v = 0; v < variants().size(); ++v) {
    const Variant& variant = variants()[v];
    const std::size_t of_class = row_of(sizes, variant.label).all;
    for (std::size_t run = 0; run * of_class < options.runs; ++run) {
      const std::uint64_t seed = options.seed * 1'000'000 + v * 10'000 + run;
      Chance chance(seed);
      Simulated simulated = simulate(variant.scene(chance, seed));
      const Labelled one{.label = variant.label,
                         .variant = variant.name,
                         .truth = variant.truth,
                         .or_inconclusive = variant.or_inconclusive,
                         .before = std::move(simulated.before),
                         .after = std::move(simulated.after)};
      tally.add(one, {}, "seed " + std::to_string(seed));
      if (out.is_open())
        out << line_of({{"label", one.label},
                        {"variant", one.variant},
                        {"truth", to_text(one.truth)},
                        {"or_inconclusive", one.or_inconclusive},
                        {"before", to_json(one.before)},
                        {"after", to_json(one.after)}})
            << "\n";
    }
  }
  tally.show("verdict/simulated");
  return {};
}

}  // namespace ankus::bench
