// SPDX-License-Identifier: Apache-2.0
#include "policy/parse_rules.h"

#include <map>

#include "policy/cross_check.h"

namespace ankus {
namespace {

constexpr std::string_view kRuleKeys[] = {"name", "match", "bandwidth", "receive", "rps",
                                          "xps",  "irq",   "vhost",     "napi"};
constexpr Keys kBlocks = Keys(kRuleKeys).subspan(2);
constexpr std::string_view kMatchKeys[] = {"footprint", "kind", "name", "label"};
constexpr std::string_view kBandwidthKeys[] = {"device", "guarantee", "limit", "priority", "queue"};
constexpr std::string_view kReceiveKeys[] = {"device", "balance",         "min_gain",
                                             "busy",   "elephant_queues", "user_table"};
constexpr std::string_view kSteeringKeys[] = {"device", "cpus", "avoid"};
constexpr std::string_view kVhostKeys[] = {"cpus", "avoid"};

enum class Glob { refused, allowed };

void read_device(const Section& section, Glob glob, std::string& into) {
  if (section.read_text("device", "a device's name or \"uplink\"", into)) {
    std::string plain = into;
    if (glob == Glob::allowed) std::erase_if(plain, [](char c) { return c == '*' || c == '?'; });
    const bool only_wildcards = plain.empty() && !into.empty();
    const std::string fault = only_wildcards ? "" : device_name_fault(plain);
    if (fault.empty()) return;
    section.fault(*section.find("device"), "device", quoted(into) + " " + fault);
    into.clear();
  } else if (!section.find("device")) {
    section.fault("device", "is missing; write for example device = \"uplink\"");
  }
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
  read_device(section, Glob::refused, bandwidth.device);
  const bool guaranteed = section.read("guarantee", kShare, Share{0}, kAll, bandwidth.guarantee);
  if (!section.find("guarantee"))
    section.fault("guarantee",
                  "is missing; write for example guarantee = \"20%\" (0% is possible)");
  section.read("limit", kShare, Share{0.01}, kAll, bandwidth.limit);
  section.read_number("priority", 0, 7, bandwidth.priority);
  section.read("queue", kSize, kShortestQueue, Bytes{1'000'000'000}, bandwidth.queue);
  if (guaranteed && bandwidth.limit < bandwidth.guarantee)
    section.fault(
        *section.find("guarantee"), "guarantee",
        to_text(bandwidth.guarantee) + " is more than the limit, " + to_text(bandwidth.limit));
}

void read_receive(const Section& section, Receive& receive) {
  using Balance = Receive::Balance;
  read_device(section, Glob::refused, receive.device);
  static constexpr std::string_view kBalances[] = {"load", "apart"};
  receive.balance = static_cast<Balance>(section.read_word("balance", kBalances).value_or(0));
  section.read("min_gain", kShare, Share{0.01}, kAll, receive.min_gain);
  section.read("busy", kShare, Share{0}, kAll, receive.busy);
  static constexpr std::string_view kUserTables[] = {"honour", "take"};
  receive.take_user_table = section.read_word("user_table", kUserTables) == 1;
  CpuSet queues;  // written like a list of CPUs, and as strictly checked
  section.read_cpus("elephant_queues", "queues", queues);
  receive.elephant_queues = std::move(queues.cpus);

  const toml::node* named = section.find("elephant_queues");
  if (receive.balance == Balance::apart && !named)
    section.fault("elephant_queues",
                  "is missing: balance = \"apart\" needs queues that elephants have to themselves, "
                  "for example elephant_queues = \"2-3\"");
  if (receive.balance == Balance::load && named)
    section.fault(*named, "elephant_queues",
                  "has no effect unless balance = \"apart\"; remove one or add the other");
}

void read_cpus(const Section& section, Steering& steering) {
  static constexpr std::string_view kWords[] = {"all", "numa-local"};
  static constexpr std::string_view kAllowed = "all, numa-local, or a list such as \"2-5\"";
  std::string text;
  if (!section.read_text("cpus", "a list of CPUs such as \"2-5\", \"numa-local\" or \"all\"",
                         text)) {
    if (!section.find("cpus"))
      section.fault("cpus", "is missing; write for example cpus = \"numa-local\" (allowed: " +
                                std::string(kAllowed) + ")");
    return;
  }
  const auto word = std::ranges::find(kWords, text);
  if (word != std::end(kWords)) {
    steering.cpus = word == std::begin(kWords) ? Steering::Cpus::all : Steering::Cpus::numa_local;
  } else if (Result<CpuSet> list = cpu_list_from_text(text)) {
    steering.cpus = Steering::Cpus::list;
    steering.list = *std::move(list);
  } else {
    const std::string_view meant = nearest(text, kWords);
    section.fault(*section.find("cpus"), "cpus",
                  quoted(text) + " is not possible; " +
                      (meant.empty() ? "a" : "did you mean " + quoted(meant) + "? A") +
                      "llowed: " + std::string(kAllowed));
  }
}

void read_steering(const Section& section, Steering& steering) {
  read_cpus(section, steering);
  static constexpr std::string_view kAvoid[] = {"light"};
  steering.avoid_light = section.read_word("avoid", kAvoid).has_value();
}

void read_queues_steering(const Section& section, Steering& steering) {
  read_device(section, Glob::allowed, steering.device);
  read_steering(section, steering);
}

void read_irq_steering(const Section& section, Steering& steering) {
  read_device(section, Glob::refused, steering.device);
  read_steering(section, steering);
}

/// Where a rule stands in the file, for errors that concern several rules.
struct RulePlace {
  toml::source_position at;
  std::string named;  ///< `rule "mice first"`
  std::map<std::string_view, toml::source_position> blocks;
};

/// One rule's blocks, each read if it is there.
class Blocks {
 public:
  Blocks(const Section& section, RulePlace& place) : section_(section), place_(place) {}

  template <class T>
  void read(std::string_view key, std::string_view example, Keys keys,
            void (*read)(const Section&, T&), std::optional<T>& into) const {
    const toml::table* table =
        section_.table(key, std::string(key) + " = { " + std::string(example) + " }");
    if (!table) return;
    place_.blocks[key] = table->source().begin;
    Section below = section_.below(*table, key);
    below.allow(keys);
    read(below, into.emplace());
  }

 private:
  const Section& section_;
  RulePlace& place_;
};

/// A block about a device as a whole has no use for a match.
void check_match(const Section& section, const Rule& rule) {
  const toml::node* match = section.find("match");
  if (!match || rule.match == Match{}) return;
  if (rule.receive || rule.irq)
    section.fault(*match, "match",
                  std::string(rule.receive ? "receive" : "irq") +
                      " is about all that a device receives, whoever it is for; give it a rule of "
                      "its own without match");
  if (rule.vhost && rule.match.kind && *rule.match.kind != WorkloadKind::vm)
    section.fault(*match, "match",
                  "only VMs have vhost threads: vhost never applies with kind = " +
                      quoted(to_text(*rule.match.kind)));
}

RulePlace read_rule(const toml::table& table, std::size_t number, Rule& rule, Report& report) {
  const auto* name = table.get_as<std::string>("name");
  RulePlace place{.at = table.source().begin,
                  .named = name && !trim(name->get()).empty() ? "rule " + quoted(name->get())
                                                              : "rule " + std::to_string(number)};
  Section section(table, place.named + ": ", report);
  section.allow(kRuleKeys);
  if (!section.read_text("name", "a name for people, which the plan shows", rule.name) &&
      !section.find("name"))
    section.fault("name", "is missing; give the rule a name for people, which the plan shows");
  if (const toml::table* match = section.table("match", "match = { footprint = \"light\" }")) {
    Section below = section.below(*match, "match");
    below.allow(kMatchKeys);
    read_match(below, rule.match);
  }
  static constexpr std::string_view kBandwidth = "device = \"uplink\", guarantee = \"20%\"";
  static constexpr std::string_view kQueues = "device = \"veth*\", cpus = \"numa-local\"";
  const Blocks blocks(section, place);
  blocks.read("bandwidth", kBandwidth, kBandwidthKeys, read_bandwidth, rule.bandwidth);
  blocks.read("receive", "device = \"uplink\", balance = \"load\"", kReceiveKeys, read_receive,
              rule.receive);
  blocks.read("rps", kQueues, kSteeringKeys, read_queues_steering, rule.rps);
  blocks.read("xps", kQueues, kSteeringKeys, read_queues_steering, rule.xps);
  blocks.read("irq", "device = \"uplink\", cpus = \"numa-local\"", kSteeringKeys, read_irq_steering,
              rule.irq);
  blocks.read("vhost", "cpus = \"numa-local\"", kVhostKeys, read_steering, rule.vhost);
  blocks.read("napi", "device = \"uplink\", cpus = \"numa-local\"", kSteeringKeys,
              read_queues_steering, rule.napi);
  check_match(section, rule);

  // What is there and wrong, or nearly there, has its own error.
  const bool meant = std::ranges::any_of(table, [&](const auto& entry) {
    return contains(kBlocks, entry.first.str()) || !nearest(entry.first.str(), kBlocks).empty();
  });
  if (!meant)
    report.add(place.at, place.named,
               "does nothing; it needs one of " + list_text(kBlocks) +
                   ", for example bandwidth = { " + std::string(kBandwidth) + " }");
  return place;
}

}  // namespace

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
  for (const toml::node& entry : *list) {
    Rule rule;
    places.push_back(read_rule(*entry.as_table(), places.size() + 1, rule, report));
    const auto same = std::ranges::find(policy.rules, rule.name, &Rule::name);
    if (!rule.name.empty() && same != policy.rules.end())
      report.add(entry.as_table()->get("name")->source().begin, places.back().named + ": name",
                 "is the name of the rule at line " +
                     std::to_string(
                         places[static_cast<std::size_t>(same - policy.rules.begin())].at.line) +
                     " already; each rule needs a name of its own");
    policy.rules.push_back(std::move(rule));
  }
  for (Contradiction& found : cross_check(policy)) {
    const RulePlace& place = places[found.rule];
    const auto block = place.blocks.find(found.block);
    report.add(block == place.blocks.end() ? place.at : block->second,
               place.named + ": " + std::string(found.block), std::move(found.text));
  }
}

}  // namespace ankus
