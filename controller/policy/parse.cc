// SPDX-License-Identifier: Apache-2.0
#include "policy/parse.h"

// The only file that sees toml++ (header-only; without exceptions a failed parse is a value).
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <concepts>
#include <functional>
#include <span>

#include "base/cpu_set.h"
#include "base/text.h"
#include "policy/cross_check.h"
#include "policy/source_check.h"

namespace ankus {
namespace {

using Keys = std::span<const std::string_view>;

constexpr std::string_view kTopKeys[] = {"mode",      "link",      "fast",      "elephant",
                                         "admission", "probation", "footprint", "rule",
                                         "guard",     "audit",     "verify"};
constexpr std::string_view kLinkKeys[] = {"rate",           "bottleneck",     "shape_to",
                                          "download",       "download_share", "single_lock",
                                          "single_lock_pps"};
constexpr std::string_view kFastKeys[] = {"share", "floor", "window", "hold"};
constexpr std::string_view kElephantKeys[] = {"bytes", "rate", "for", "calm"};
constexpr std::string_view kAdmissionKeys[] = {"share", "burst", "hold"};
constexpr std::string_view kProbationKeys[] = {"guarantee", "prove"};
constexpr std::string_view kFootprintKeys[] = {"window", "heavy_rate", "calm"};
constexpr std::string_view kRuleKeys[] = {"name", "match", "bandwidth"};
constexpr std::string_view kMatchKeys[] = {"footprint", "kind", "name", "label"};
constexpr std::string_view kBandwidthKeys[] = {"device", "guarantee", "limit", "priority", "queue"};
constexpr std::string_view kGuardKeys[] = {"cooldown", "actions_per_minute", "protect"};
constexpr std::string_view kProtectKeys[] = {"devices", "cpus"};
constexpr std::string_view kAuditKeys[] = {"required"};
constexpr std::string_view kVerifyKeys[] = {
    "watch",   "require",  "veto",         "within",   "settle",
    "samples", "coverage", "inconclusive", "back_off", "longest_back_off"};

// Known words of later versions: they deserve better than "unknown key".
constexpr std::string_view kLaterRuleKeys[] = {"receive", "rps", "xps", "irq", "vhost"};

constexpr std::size_t kMaxRules = 256;
constexpr BitRate kLeastRate{100'000}, kMostRate{1'000'000'000'000};

bool contains(Keys keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

std::string list_text(Keys words) {
  std::string text;
  for (const std::string_view word : words) text += (text.empty() ? "" : ", ") + std::string(word);
  return text;
}

/// "200", "true", `"text"` or "a table": what stands there instead of what is needed.
std::string found_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return quoted(text->get());
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  if (const auto* number = node.as_floating_point()) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.6g", number->get());
    return buffer;
  }
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  return "a date or time";
}

/// A quantity with a unit: what it is called, how it is written, how it is read.
template <class T>
struct Quantity {
  std::string_view noun, example, units;
  Result<T> (*parse)(std::string_view);
};
constexpr Quantity<BitRate> kRate{.noun = "rate",
                                  .example = "200 Mbit",
                                  .units = "bit, Kbit, Mbit, Gbit",
                                  .parse = parse_bit_rate};
constexpr Quantity<Bytes> kSize{.noun = "size",
                                .example = "64 KB",
                                .units = "B, KB, MB, GB, KiB, MiB, GiB",
                                .parse = parse_bytes};
constexpr Quantity<Share> kShare{
    .noun = "share", .example = "10%", .units = "%", .parse = parse_share};
constexpr Quantity<nanoseconds> kDuration{.noun = "duration",
                                          .example = "100ms",
                                          .units = "ns, us, ms, s, m, h",
                                          .parse = parse_duration};

bool is_bare_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::string device_name_fault(std::string_view name) {
  if (name.empty()) return "is empty; a device's name or \"uplink\" is needed";
  if (name.find_first_of("*?") != std::string_view::npos)
    return "must be one device's name or \"uplink\"; * and ? are not possible here";
  if (name.size() > 15 || name == "." || name == ".." ||
      name.find_first_of("/: \t\r\n") != std::string_view::npos)
    return "cannot be a device's name (at most 15 characters, no blanks, / or :)";
  return {};
}

/// Collects errors and remembers where in the file things stand.
class Report {
 public:
  explicit Report(std::string_view file) : file_(file) {}

  void add(const toml::source_position& at, std::string key, std::string text) {
    errors_.push_back({.file = file_,
                       .line = static_cast<int>(at.line),
                       .column = static_cast<int>(at.column),
                       .key = std::move(key),
                       .text = std::move(text)});
  }
  std::vector<PolicyError> in_order() && {
    std::ranges::stable_sort(errors_, [](const PolicyError& a, const PolicyError& b) {
      return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return std::move(errors_);
  }

 private:
  std::string file_;
  std::vector<PolicyError> errors_;
};

/// One table of the file, read key by key into fields that keep their default if the key is absent
/// or wrong.
class Section {
 public:
  Section(const toml::table& table, std::string prefix, Report& report)
      : table_(table), prefix_(std::move(prefix)), report_(report) {}

  void allow(Keys keys, Keys later = {}) {
    for (const auto& [key, node] : table_) {
      (void)node;  // only the names are looked at
      const std::string_view name = key.str();
      if (contains(keys, name)) continue;
      if (contains(later, name)) {
        report_.add(key.source().begin, named(name), "not supported by this version; remove it");
        continue;
      }
      const std::string_view meant = nearest(name, keys);
      report_.add(key.source().begin, named(name),
                  "unknown key; " + (meant.empty() ? "" : "did you mean " + quoted(meant) + "? ") +
                      (meant.empty() ? "allowed here: " : "Allowed here: ") + list_text(keys));
    }
  }

  const toml::node* find(std::string_view key) const { return table_.get(key); }

  void fault(const toml::node& at, std::string_view key, std::string text) const {
    report_.add(at.source().begin, named(key), std::move(text));
  }
  void fault(std::string_view key, std::string text) const {
    report_.add(table_.source().begin, named(key), std::move(text));
  }

  template <class T>
  bool read(std::string_view key, const Quantity<T>& quantity, T least, T most, T& into) const {
    const toml::node* node = find(key);
    if (!node) return false;
    const auto* text = node->as_string();
    const std::string how = "write for example \"" + std::string(quantity.example) +
                            "\" (units: " + std::string(quantity.units) + ")";
    if (node->is_number() || (text && is_bare_number(trim(text->get())))) {
      fault(*node, key, found_text(*node) + " has no unit; " + how);
      return false;
    }
    const Result<T> value =
        text ? quantity.parse(text->get()) : Result<T>(fail(ErrorKind::invalid, ""));
    if (!value) {
      fault(*node, key, found_text(*node) + " is not a " + std::string(quantity.noun) + "; " + how);
      return false;
    }
    if (*value < least || most < *value) {
      fault(
          *node, key,
          found_text(*node) + " is out of range; from " + to_text(least) + " to " + to_text(most));
      return false;
    }
    into = *value;
    return true;
  }
  template <class T>
  void read(std::string_view key, const Quantity<T>& quantity, T least, T most,
            std::optional<T>& into) const {
    T value{};
    if (read(key, quantity, least, most, value)) into = value;
  }

  template <std::unsigned_integral T>
  void read_number(std::string_view key, std::int64_t least, std::int64_t most, T& into) const {
    const toml::node* node = find(key);
    if (!node) return;
    const std::string range = "from " + std::to_string(least) + " to " + std::to_string(most);
    const auto* number = node->as_integer();
    if (!number)
      fault(*node, key, found_text(*node) + " is not a whole number; " + range + " is possible");
    else if (number->get() < least || number->get() > most)
      fault(*node, key, found_text(*node) + " is out of range; " + range);
    else
      into = static_cast<T>(number->get());
  }

  void read_flag(std::string_view key, bool& into) const {
    const toml::node* node = find(key);
    if (!node) return;
    if (const auto* flag = node->as_boolean())
      into = flag->get();
    else
      fault(*node, key, found_text(*node) + " is not true or false (without quotes)");
  }

  /// `what` is needed where something that is not text stands: "a pattern such as ...".
  bool read_text(std::string_view key, std::string_view what, std::string& into) const {
    const toml::node* node = find(key);
    if (!node) return false;
    const auto* text = node->as_string();
    if (!text) {
      fault(*node, key, found_text(*node) + " is not text; needed is " + std::string(what));
      return false;
    }
    if (trim(text->get()).empty()) {
      fault(*node, key, "is empty; needed is " + std::string(what));
      return false;
    }
    into = text->get();
    return true;
  }

  /// The index of the word among `words`.
  std::optional<std::size_t> read_word(std::string_view key, Keys words) const {
    const toml::node* node = find(key);
    if (!node) return std::nullopt;
    const auto* text = node->as_string();
    if (text) {
      const auto found = std::ranges::find(words, std::string_view(text->get()));
      if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
    }
    const std::string_view meant = text ? nearest(text->get(), words) : std::string_view();
    fault(*node, key,
          found_text(*node) + " is not possible; " +
              (meant.empty() ? "a" : "did you mean " + quoted(meant) + "? A") +
              "llowed: " + list_text(words));
    return std::nullopt;
  }

  /// The table below `key`, if there is one and it is a table.
  const toml::table* table(std::string_view key, std::string_view example) const {
    const toml::node* node = find(key);
    if (!node) return nullptr;
    if (const toml::table* table = node->as_table()) return table;
    fault(*node, key,
          found_text(*node) + " is not a table; write for example " + std::string(example));
    return nullptr;
  }
  Section below(const toml::table& table, std::string_view key) const {
    return Section(table, named(key) + ".", report_);
  }

 private:
  std::string named(std::string_view key) const { return prefix_ + printable(key, 60); }

  const toml::table& table_;
  std::string prefix_;
  Report& report_;
};

constexpr Share kAll{1.0};

LinkPolicy read_link(const Section& section, std::string_view name) {
  LinkPolicy link{.name = std::string(name)};
  section.read("rate", kRate, kLeastRate, kMostRate, link.rate);
  section.read("download", kRate, kLeastRate, kMostRate, link.download);
  static constexpr std::string_view kBottlenecks[] = {"here", "beyond"};
  link.bottleneck =
      static_cast<Bottleneck>(section.read_word("bottleneck", kBottlenecks).value_or(0));
  section.read("shape_to", kShare, Share{0.5}, kAll, link.shape_to);
  section.read("download_share", kShare, Share{0.5}, kAll, link.download_share);
  static constexpr std::string_view kSingleLock[] = {"refuse", "accept"};
  link.accept_single_lock = section.read_word("single_lock", kSingleLock) == 1;
  section.read_number("single_lock_pps", 1'000, 100'000'000, link.single_lock_pps);

  if (link.bottleneck == Bottleneck::beyond && !section.find("rate"))
    section.fault(*section.find("bottleneck"), "bottleneck",
                  "\"beyond\" needs the link's rate, for example rate = \"200 Mbit\": Ankus must "
                  "send a little less than the narrow place behind the device lets through, and "
                  "what a driver reports is the device's own rate");
  if (link.bottleneck == Bottleneck::here && section.find("shape_to"))
    section.fault(*section.find("shape_to"), "shape_to",
                  "has no effect unless bottleneck = \"beyond\"; remove one or add the other");
  if (!section.find("download") && section.find("download_share"))
    section.fault(*section.find("download_share"), "download_share",
                  "has no effect without download = \"...\"; remove one or add the other");
  return link;
}

void read_links(const Section& top, Policy& policy) {
  const toml::table* links = top.table("link", "[link.eth0]");
  if (!links) return;
  const Section section = top.below(*links, "link");
  for (const auto& [key, node] : *links) {
    const std::string_view name = key.str();
    (void)node;  // table() looks it up again and reports what it is instead
    const toml::table* table = section.table(name, "[link.eth0] and below it rate = \"1 Gbit\"");
    if (!table) continue;
    if (const std::string fault = device_name_fault(name); !fault.empty()) {
      section.fault(*table, name, quoted(name) + " " + fault);
      continue;
    }
    Section link = section.below(*table, name);
    link.allow(kLinkKeys);
    policy.links.push_back(read_link(link, name));
  }
}

void read_fast(const Section& section, FastRule& fast) {
  section.read("share", kShare, Share{0.0001}, kAll, fast.share);
  section.read("floor", kSize, Bytes{1'500}, Bytes{1'000'000'000}, fast.floor);
  section.read<nanoseconds>("window", kDuration, milliseconds(10), seconds(10), fast.window);
  section.read<nanoseconds>("hold", kDuration, milliseconds(10), seconds(600), fast.hold);
}

void read_elephant(const Section& section, ElephantRule& elephant) {
  section.read("bytes", kSize, Bytes{100'000}, Bytes{1'000'000'000'000}, elephant.bytes);
  section.read("rate", kShare, Share{0.001}, kAll, elephant.rate);
  section.read<nanoseconds>("for", kDuration, milliseconds(100), seconds(600), elephant.held);
  section.read<nanoseconds>("calm", kDuration, milliseconds(100), seconds(3600), elephant.calm);
}

void read_admission(const Section& section, AdmissionRule& admission) {
  section.read("share", kShare, Share{0.001}, kAll, admission.share);
  section.read<nanoseconds>("burst", kDuration, milliseconds(1), seconds(1), admission.burst);
  section.read<nanoseconds>("hold", kDuration, milliseconds(10), seconds(600), admission.hold);
}

void read_probation(const Section& section, ProbationRule& probation) {
  section.read("guarantee", kShare, Share{0.01}, Share{0.9}, probation.guarantee);
  section.read<nanoseconds>("prove", kDuration, milliseconds(10), seconds(60), probation.prove);
}

void read_footprint(const Section& section, FootprintRule& footprint) {
  section.read<nanoseconds>("window", kDuration, seconds(1), seconds(600), footprint.window);
  section.read("heavy_rate", kShare, Share{0.001}, kAll, footprint.heavy_rate);
  section.read<nanoseconds>("calm", kDuration, seconds(1), seconds(86'400), footprint.calm);
}

void read_guard(const Section& section, Guard& guard) {
  section.read<nanoseconds>("cooldown", kDuration, seconds(1), seconds(86'400), guard.cooldown);
  section.read_number("actions_per_minute", 1, 10'000, guard.actions_per_minute);
  const toml::table* table = section.table("protect", "protect = { devices = [\"wg*\"] }");
  if (!table) return;
  Section protect = section.below(*table, "protect");
  protect.allow(kProtectKeys);
  if (protect.read_text("cpus", "a list of CPUs such as \"0-3,8\"", guard.protected_cpus) &&
      !cpu_list_from_text(guard.protected_cpus))
    protect.fault(*protect.find("cpus"), "cpus",
                  quoted(guard.protected_cpus) + " is not a list of CPUs such as \"0-3,8\"");
  const toml::node* devices = protect.find("devices");
  if (!devices) return;
  const toml::array* list = devices->as_array();
  if (!list) {
    protect.fault(*devices, "devices",
                  found_text(*devices) + " is not a list; write for example [\"wg*\", \"eth3\"]");
    return;
  }
  for (const toml::node& entry : *list) {
    const auto* text = entry.as_string();
    if (text && !trim(text->get()).empty())
      guard.protected_devices.push_back(text->get());
    else
      protect.fault(entry, "devices",
                    found_text(entry) + " is not a device's name or pattern such as \"wg*\"");
  }
}

/// The quantity behind a phrase: "10%" of "not worse by 10%"; nothing if the text begins otherwise.
std::optional<Share> share_after(std::string_view text, std::string_view phrase) {
  const std::vector<std::string_view> words = split_words(text), start = split_words(phrase);
  if (words.size() != start.size() + 1 ||
      !std::ranges::equal(std::span(words).first(start.size()), start))
    return std::nullopt;
  const Result<Share> share = parse_share(words.back());
  return share ? std::optional(*share) : std::nullopt;
}

/// 0.99 of "p99"; from p50 to p99.9.
std::optional<double> percentile_of(std::string_view word) {
  if (!word.starts_with('p')) return std::nullopt;
  const Result<Share> share = parse_share(std::string(word.substr(1)) + "%");
  if (!share || *share < Share{0.5} || Share{0.999 + 1e-9} < *share) return std::nullopt;
  return share->of_one;
}

void read_watch(const Section& section, VerifyRule& rule) {
  std::string text;
  if (!section.read_text("watch", "what is judged, such as \"light latency p99\"", text)) return;
  const std::vector<std::string_view> words = split_words(text);
  const auto percentile = words.size() == 3 && words[0] == "light" && words[1] == "latency"
                              ? percentile_of(words[2])
                              : std::nullopt;
  if (percentile)
    rule.quantile = *percentile;
  else
    section.fault(*section.find("watch"), "watch",
                  quoted(text) +
                      " is not possible; write for example \"light latency p99\" (from "
                      "p50 to p99.9)");
}

void read_require(const Section& section, VerifyRule& rule) {
  static constexpr std::string_view kWhat = "such as \"not worse by 10%\" or \"better by 10%\"";
  std::string text;
  if (!section.read_text("require", "what must hold, " + std::string(kWhat), text)) return;
  const auto worse = share_after(text, "not worse by"), better = share_after(text, "better by");
  const auto margin = worse ? worse : better;
  if (!margin) {
    section.fault(*section.find("require"), "require",
                  quoted(text) + " is not possible; write something " + std::string(kWhat));
  } else if (*margin < Share{0.01} || Share{1.0} < *margin) {
    section.fault(*section.find("require"), "require",
                  quoted(text) + " is out of range; from 1% to 100%");
  } else {
    rule.margin = *margin;
    rule.require = worse ? VerifyRule::Require::not_worse : VerifyRule::Require::better;
  }
}

void read_veto(const Section& section, VerifyRule& rule) {
  static constexpr std::string_view kWhat = "\"heavy throughput -20%\"";
  std::string text;
  if (!section.read_text("veto", "what forbids an action, such as " + std::string(kWhat), text))
    return;
  const std::size_t minus = text.rfind('-');
  const auto loss =
      minus == std::string::npos
          ? std::nullopt
          : share_after(text.substr(0, minus) + " " + text.substr(minus + 1), "heavy throughput");
  if (!loss)
    section.fault(*section.find("veto"), "veto",
                  quoted(text) + " is not possible; write for example " + std::string(kWhat));
  else if (*loss < Share{0.01} || Share{0.9} < *loss)
    section.fault(*section.find("veto"), "veto",
                  quoted(text) + " is out of range; from -1% to -90%");
  else
    rule.veto = *loss;
}

void read_verify(const Section& section, VerifyRule& rule) {
  read_watch(section, rule);
  read_require(section, rule);
  read_veto(section, rule);
  section.read<nanoseconds>("within", kDuration, seconds(4), seconds(600), rule.within);
  section.read<nanoseconds>("settle", kDuration, milliseconds(100), seconds(600), rule.settle);
  section.read_number("samples", 100, 100'000'000, rule.samples);
  section.read("coverage", kShare, Share{0.01}, kAll, rule.coverage);
  static constexpr std::string_view kInconclusive[] = {"undo", "keep"};
  if (const auto word = section.read_word("inconclusive", kInconclusive))
    rule.inconclusive = static_cast<VerifyRule::Inconclusive>(*word);
  section.read<nanoseconds>("back_off", kDuration, seconds(1), seconds(86'400), rule.back_off);
  section.read<nanoseconds>("longest_back_off", kDuration, seconds(1), seconds(7 * 86'400),
                            rule.longest_back_off);
  if (rule.longest_back_off < rule.back_off)
    section.fault(
        section.find("back_off") ? *section.find("back_off") : *section.find("longest_back_off"),
        section.find("back_off") ? "back_off" : "longest_back_off",
        "back_off, " + to_text(rule.back_off) + ", is longer than longest_back_off, " +
            to_text(rule.longest_back_off));
}

void read_match(const Section& section, Match& match) {
  static constexpr std::string_view kFootprints[] = {"light", "heavy"};
  if (const auto word = section.read_word("footprint", kFootprints))
    match.footprint = weight_from_text(kFootprints[*word]);
  static constexpr std::string_view kKinds[] = {"container", "vm", "service"};
  if (const auto word = section.read_word("kind", kKinds))
    match.kind = workload_kind_from_text(kKinds[*word]);
  section.read_text("name", "a pattern such as \"web-*\"", match.name);
  section.read_text("label", "a pattern such as \"k8s:shop/*\"", match.label);
}

void read_bandwidth(const Section& section, Bandwidth& bandwidth) {
  if (section.read_text("device", "a device's name or \"uplink\"", bandwidth.device)) {
    if (const std::string fault = device_name_fault(bandwidth.device); !fault.empty()) {
      section.fault(*section.find("device"), "device", quoted(bandwidth.device) + " " + fault);
      bandwidth.device.clear();
    }
  } else if (!section.find("device")) {
    section.fault("device", "is missing; write for example device = \"uplink\"");
  }
  const bool guaranteed = section.read("guarantee", kShare, Share{0}, kAll, bandwidth.guarantee);
  if (!section.find("guarantee"))
    section.fault("guarantee",
                  "is missing; write for example guarantee = \"20%\" (0% is possible)");
  section.read("limit", kShare, Share{0.01}, kAll, bandwidth.limit);
  section.read_number("priority", 0, 7, bandwidth.priority);
  section.read("queue", kSize, Bytes{64'000}, Bytes{1'000'000'000}, bandwidth.queue);
  if (guaranteed && bandwidth.limit < bandwidth.guarantee)
    section.fault(
        *section.find("guarantee"), "guarantee",
        to_text(bandwidth.guarantee) + " is more than the limit, " + to_text(bandwidth.limit));
}

/// Where a rule stands in the file, for errors that concern several rules.
struct RulePlace {
  toml::source_position at;
  std::string named;  ///< `rule "mice first"`
};

RulePlace read_rule(const toml::table& table, std::size_t number, Rule& rule, Report& report) {
  const auto* name = table.get_as<std::string>("name");
  const std::string named = name && !trim(name->get()).empty() ? "rule " + quoted(name->get())
                                                               : "rule " + std::to_string(number);
  Section section(table, named + ": ", report);
  section.allow(kRuleKeys, kLaterRuleKeys);
  if (!section.read_text("name", "a name for people, which the plan shows", rule.name) &&
      !section.find("name"))
    section.fault("name", "is missing; give the rule a name for people, which the plan shows");
  if (const toml::table* match = section.table("match", "match = { footprint = \"light\" }")) {
    Section below = section.below(*match, "match");
    below.allow(kMatchKeys);
    read_match(below, rule.match);
  }
  static constexpr std::string_view kExample =
      "bandwidth = { device = \"uplink\", guarantee = \"20%\" }";
  if (const toml::table* bandwidth = section.table("bandwidth", kExample)) {
    Section below = section.below(*bandwidth, "bandwidth");
    below.allow(kBandwidthKeys);
    read_bandwidth(below, rule.bandwidth);
    return {.at = bandwidth->source().begin, .named = named};
  }
  const bool later = std::ranges::any_of(kLaterRuleKeys,
                                         [&](std::string_view key) { return table.contains(key); });
  const bool misspelt = std::ranges::any_of(table, [&](const auto& entry) {
    return nearest(entry.first.str(), kRuleKeys) == "bandwidth";
  });
  if (!section.find("bandwidth") && !later && !misspelt)
    section.fault("bandwidth", "is missing, so that the rule does nothing; write for example " +
                                   std::string(kExample));
  return {.at = table.source().begin, .named = named};
}

void read_rules(const Section& top, Policy& policy, Report& report) {
  const toml::node* node = top.find("rule");
  if (!node) return;
  const toml::array* list = node->as_array();
  if (!list || !std::ranges::all_of(*list, [](const toml::node& n) { return n.is_table(); })) {
    top.fault(*node, "rule", "must be written [[rule]], once for each rule");
    return;
  }
  if (list->size() > kMaxRules) {
    top.fault(*list->get(kMaxRules), "rule",
              std::to_string(list->size()) + " rules; at most " + std::to_string(kMaxRules) +
                  " are possible");
    return;
  }
  std::vector<RulePlace> places;
  std::vector<toml::source_position> starts;
  for (const toml::node& entry : *list) {
    Rule rule;
    places.push_back(read_rule(*entry.as_table(), places.size() + 1, rule, report));
    starts.push_back(entry.source().begin);
    const auto same = std::ranges::find(policy.rules, rule.name, &Rule::name);
    if (!rule.name.empty() && same != policy.rules.end())
      report.add(
          entry.as_table()->get("name")->source().begin, places.back().named + ": name",
          "is the name of the rule at line " +
              std::to_string(starts[static_cast<std::size_t>(same - policy.rules.begin())].line) +
              " already; each rule needs a name of its own");
    policy.rules.push_back(std::move(rule));
  }
  for (Contradiction& found : cross_check(policy))
    report.add(places[found.rule].at, places[found.rule].named + ": bandwidth",
               std::move(found.text));
}

template <class T>
void read_block(const Section& top, std::string_view key, Keys keys,
                void (*read)(const Section&, T&), T& into) {
  const toml::table* table = top.table(key, "[" + std::string(key) + "]");
  if (!table) return;
  Section section = top.below(*table, key);
  section.allow(keys);
  read(section, into);
}

Policy read_policy(const toml::table& table, Report& report) {
  Policy policy;
  Section top(table, "", report);
  top.allow(kTopKeys);
  static constexpr std::string_view kModes[] = {"observe", "advise", "enforce"};
  if (const auto word = top.read_word("mode", kModes)) policy.mode = static_cast<Mode>(*word);
  read_links(top, policy);
  read_block(top, "fast", kFastKeys, read_fast, policy.fast);
  read_block(top, "elephant", kElephantKeys, read_elephant, policy.elephant);
  read_block(top, "admission", kAdmissionKeys, read_admission, policy.admission);
  read_block(top, "probation", kProbationKeys, read_probation, policy.probation);
  read_block(top, "footprint", kFootprintKeys, read_footprint, policy.footprint);
  read_block(top, "guard", kGuardKeys, read_guard, policy.guard);
  read_block(top, "verify", kVerifyKeys, read_verify, policy.verify);
  read_block<bool>(
      top, "audit", kAuditKeys,
      [](const Section& section, bool& required) { section.read_flag("required", required); },
      policy.audit_required);
  read_rules(top, policy, report);
  return policy;
}

}  // namespace

std::string to_text(const PolicyError& error) {
  return printable(error.file, 4096) + ":" + std::to_string(error.line) + ":" +
         std::to_string(error.column) + ": " + (error.key.empty() ? "" : error.key + ": ") +
         error.text;
}

ParsedPolicy parse_policy(std::string_view text, std::string_view file) {
  if (const auto fault = check_source(text))
    return {.errors = {{.file = std::string(file),
                        .line = fault->line,
                        .column = fault->column,
                        .text = fault->text}}};
  const toml::parse_result parsed = toml::parse(text);
  Report report(file);
  if (!parsed) {
    report.add(parsed.error().source().begin, "",
               "not TOML: " + printable(parsed.error().description(), 400));
    return {.errors = std::move(report).in_order()};
  }
  Policy policy = read_policy(parsed.table(), report);
  return {.policy = std::move(policy), .errors = std::move(report).in_order()};
}

}  // namespace ankus
