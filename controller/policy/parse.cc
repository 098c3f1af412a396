// SPDX-License-Identifier: Apache-2.0
#include "policy/parse.h"

#include <algorithm>

#include "base/cpu_set.h"
#include "base/text.h"
#include "policy/parse_rules.h"
#include "policy/section.h"
#include "policy/source_check.h"

namespace ankus {
namespace {

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
constexpr std::string_view kGuardKeys[] = {"cooldown", "actions_per_plan", "protect"};
// Nothing was ever counted by the minute.
constexpr Renamed kRenamedGuardKeys[] = {
    {.before = "actions_per_minute", .now = "actions_per_plan"}};
constexpr std::string_view kProtectKeys[] = {"devices", "cpus"};
constexpr std::string_view kAuditKeys[] = {"required"};
constexpr std::string_view kVerifyKeys[] = {
    "watch",   "require",  "veto",         "within",   "settle",
    "samples", "coverage", "inconclusive", "back_off", "longest_back_off"};

constexpr BitRate kLeastRate{100'000}, kMostRate{1'000'000'000'000};

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
  section.read_number("actions_per_plan", 1, 10'000, guard.actions_per_plan);
  const toml::table* table = section.table("protect", "protect = { devices = [\"wg*\"] }");
  if (!table) return;
  Section protect = section.below(*table, "protect");
  protect.allow(kProtectKeys);
  protect.read_cpus("cpus", "CPUs", guard.protected_cpus);
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

template <class T>
void read_block(const Section& top, std::string_view key, Keys keys,
                void (*read)(const Section&, T&), T& into, std::span<const Renamed> renamed = {}) {
  const toml::table* table = top.table(key, "[" + std::string(key) + "]");
  if (!table) return;
  Section section = top.below(*table, key);
  section.allow(keys, renamed);
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
  read_block(top, "guard", kGuardKeys, read_guard, policy.guard, kRenamedGuardKeys);
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
