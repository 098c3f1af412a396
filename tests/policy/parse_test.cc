// SPDX-License-Identifier: Apache-2.0
#include "policy/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/example_host.h"

namespace ankus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> errors_of(std::string_view text) {
  std::vector<std::string> lines;
  for (const PolicyError& error : parse_policy(text, "p.toml").errors)
    lines.push_back(to_text(error));
  return lines;
}

TEST(ParsePolicy, AnEmptyFileIsAllDefaults) {
  const ParsedPolicy parsed = parse_policy("", "p.toml");
  EXPECT_THAT(parsed.errors, IsEmpty());
  EXPECT_EQ(parsed.policy, Policy{});
  EXPECT_EQ(parsed.policy.mode, Mode::advise);
  EXPECT_TRUE(parsed.policy.audit_required);
}

TEST(ParsePolicy, ReadsEachKey) {
  const ParsedPolicy parsed = parse_policy(R"(
mode = "enforce"
[link.eth0]
rate = "10 Gbit"
bottleneck = "beyond"
shape_to = "97%"
download = "200 Mbit"
download_share = "90%"
single_lock = "accept"
single_lock_pps = 300000
[fast]
share = "5%"
floor = "128 KB"
window = "200ms"
hold = "2s"
[elephant]
bytes = "20 MB"
rate = "20%"
for = "2s"
calm = "10s"
[admission]
share = "15%"
burst = "10ms"
hold = "3s"
[probation]
guarantee = "5%"
prove = "300ms"
[footprint]
window = "20s"
heavy_rate = "30%"
calm = "1m"
[guard]
cooldown = "1m"
actions_per_plan = 30
protect = { devices = ["wg*", "tun?"], cpus = "0-1,4" }
[audit]
required = false
[verify]
watch = "light latency p99.9"
require = "better by 15%"
veto = "heavy throughput -30%"
within = "20s"
settle = "3s"
samples = 1000
coverage = "90%"
inconclusive = "keep"
back_off = "1m"
longest_back_off = "2h"
[[rule]]
name = "one"
match = { footprint = "heavy", kind = "vm", name = "build-*", label = "vm:*" }
bandwidth = { device = "eth0", guarantee = "20%", limit = "80%", priority = 6, queue = "1 MB" }
vhost = { cpus = "4-7" }
[[rule]]
name = "two"
receive = { device = "uplink", balance = "apart", min_gain = "30%", busy = "50%", elephant_queues = "2-3", user_table = "take" }
rps = { device = "veth*", cpus = "all", avoid = "light" }
xps = { device = "tap?", cpus = "numa-local" }
irq = { device = "eth1", cpus = "2-3,5", avoid = "light" }
napi = { device = "uplink", cpus = "numa-local" }
[[rule]]
name = "three"
receive = { device = "eth0" }
)",
                                           "p.toml");
  ASSERT_THAT(parsed.errors, IsEmpty());
  const Policy expected{
      .mode = Mode::enforce,
      .links = {{.name = "eth0",
                 .rate = BitRate{10'000'000'000},
                 .bottleneck = Bottleneck::beyond,
                 .shape_to = *parse_share("97%"),
                 .download = BitRate{200'000'000},
                 .download_share = *parse_share("90%"),
                 .accept_single_lock = true,
                 .single_lock_pps = 300'000}},
      .fast = {.share = *parse_share("5%"),
               .floor = {128'000},
               .window = milliseconds(200),
               .hold = seconds(2)},
      .elephant = {.bytes = {20'000'000},
                   .rate = *parse_share("20%"),
                   .held = seconds(2),
                   .calm = seconds(10)},
      .admission = {.share = *parse_share("15%"), .burst = milliseconds(10), .hold = seconds(3)},
      .probation = {.guarantee = *parse_share("5%"), .prove = milliseconds(300)},
      .footprint = {.window = seconds(20), .heavy_rate = *parse_share("30%"), .calm = seconds(60)},
      .rules = {{.name = "one",
                 .match = {.footprint = Weight::heavy,
                           .kind = WorkloadKind::vm,
                           .name = "build-*",
                           .label = "vm:*"},
                 .bandwidth = Bandwidth{.device = "eth0",
                                        .guarantee = *parse_share("20%"),
                                        .limit = *parse_share("80%"),
                                        .priority = 6,
                                        .queue = Bytes{1'000'000}},
                 .vhost = Steering{.cpus = Steering::Cpus::list, .list = {{4, 5, 6, 7}}}},
                {.name = "two",
                 .receive = Receive{.device = "uplink",
                                    .balance = Receive::Balance::apart,
                                    .min_gain = *parse_share("30%"),
                                    .busy = *parse_share("50%"),
                                    .elephant_queues = {2, 3},
                                    .take_user_table = true},
                 .rps = Steering{.device = "veth*", .avoid_light = true},
                 .xps = Steering{.device = "tap?", .cpus = Steering::Cpus::numa_local},
                 .irq = Steering{.device = "eth1",
                                 .cpus = Steering::Cpus::list,
                                 .list = {{2, 3, 5}},
                                 .avoid_light = true},
                 .napi = Steering{.device = "uplink", .cpus = Steering::Cpus::numa_local}},
                {.name = "three", .receive = Receive{.device = "eth0"}}},
      .guard = {.cooldown = seconds(60),
                .actions_per_plan = 30,
                .protected_devices = {"wg*", "tun?"},
                .protected_cpus = {{0, 1, 4}}},
      .audit_required = false,
      .verify = {.quantile = parse_share("99.9%")->of_one,
                 .require = VerifyRule::Require::better,
                 .margin = *parse_share("15%"),
                 .veto = *parse_share("30%"),
                 .within = seconds(20),
                 .settle = seconds(3),
                 .samples = 1000,
                 .coverage = *parse_share("90%"),
                 .inconclusive = VerifyRule::Inconclusive::keep,
                 .back_off = seconds(60),
                 .longest_back_off = seconds(7200)}};
  EXPECT_EQ(parsed.policy, expected);
}

TEST(ParsePolicy, RangesIncludeTheirEnds) {
  EXPECT_THAT(errors_of(R"(
[link.a]
rate = "100 Kbit"
bottleneck = "beyond"
shape_to = "50%"
[link.b]
rate = "1000 Gbit"
download = "1000 Gbit"
download_share = "100%"
single_lock_pps = 1000
[fast]
share = "0.01%"
floor = "1500 B"
window = "10s"
hold = "10ms"
[elephant]
bytes = "100 KB"
rate = "0.1%"
for = "100ms"
calm = "1h"
[admission]
share = "100%"
burst = "1s"
[probation]
guarantee = "1%"
prove = "1m"
[footprint]
window = "1s"
heavy_rate = "0.1%"
calm = "24h"
[guard]
cooldown = "1s"
actions_per_plan = 10000
[verify]
watch = "light latency p50"
require = "not worse by 100%"
veto = "heavy throughput -90%"
within = "10m"
settle = "100ms"
samples = 100
coverage = "100%"
back_off = "24h"
longest_back_off = "168h"
[[rule]]
name = "all there is"
bandwidth = { device = "a", guarantee = "99%", limit = "99%", priority = 7, queue = "72 KB" }
)"),
              IsEmpty());
}

struct Bad {
  const char* text;
  const char* error;
};

// The exact text, since it is what the operator works with.
constexpr Bad kBad[] = {
    {"[[rule]]\nname = \"mice first\"\n  bandwith = { device = \"eth0\" }",
     "p.toml:3:3: rule \"mice first\": bandwith: unknown key; did you mean \"bandwidth\"? Allowed "
     "here: name, match, bandwidth, receive, rps, xps, irq, vhost, napi"},
    {"[link.eth0]\nrate = 200",
     "p.toml:2:8: link.eth0.rate: 200 has no unit; write for example \"200 Mbit\" (units: bit, "
     "Kbit, Mbit, Gbit)"},
    {"[link.eth0]\nrate = \"200\"",
     "p.toml:2:8: link.eth0.rate: \"200\" has no unit; write for example \"200 Mbit\" (units: bit, "
     "Kbit, Mbit, Gbit)"},
    {"[link.eth0]\nrate = \"200 MB\"",
     "p.toml:2:8: link.eth0.rate: \"200 MB\" is not a rate; write for example \"200 Mbit\" (units: "
     "bit, Kbit, Mbit, Gbit)"},
    {"[link.eth0]\nrate = true",
     "p.toml:2:8: link.eth0.rate: true is not a rate; write for example \"200 Mbit\" (units: bit, "
     "Kbit, Mbit, Gbit)"},
    {"[link.eth0]\nrate = [\"1 Gbit\"]",
     "p.toml:2:8: link.eth0.rate: a list is not a rate; write for example \"200 Mbit\" (units: "
     "bit, Kbit, Mbit, Gbit)"},
    {"[link.eth0]\nrate = \"1 Kbit\"",
     "p.toml:2:8: link.eth0.rate: \"1 Kbit\" is out of range; from 100 Kbit to 1000 Gbit"},
    {"[link.eth0]\nbottleneck = \"byond\"",
     "p.toml:2:14: link.eth0.bottleneck: \"byond\" is not possible; did you mean \"beyond\"? "
     "Allowed: here, beyond"},
    {"[link.eth0]\nbottleneck = 1",
     "p.toml:2:14: link.eth0.bottleneck: 1 is not possible; allowed: here, beyond"},
    {"[link.eth0]\nbottleneck = \"beyond\"",
     "p.toml:2:14: link.eth0.bottleneck: \"beyond\" needs the link's rate, for example rate = "
     "\"200 Mbit\": Ankus must send a little less than the narrow place behind the device lets "
     "through, and what a driver reports is the device's own rate"},
    {"[link.eth0]\nshape_to = \"98%\"",
     "p.toml:2:12: link.eth0.shape_to: has no effect unless bottleneck = \"beyond\"; remove one or "
     "add the other"},
    {"[link.eth0]\ndownload_share = \"90%\"",
     "p.toml:2:18: link.eth0.download_share: has no effect without download = \"...\"; remove one "
     "or add the other"},
    {"[link]\neth0 = \"1 Gbit\"",
     "p.toml:2:8: link.eth0: \"1 Gbit\" is not a table; write for example [link.eth0] and below it "
     "rate = \"1 Gbit\""},
    {"[link.\"eth*\"]\nrate = \"1 Gbit\"",
     "p.toml:1:1: link.eth*: \"eth*\" must be one device's name or \"uplink\"; * and ? are not "
     "possible here"},
    {"[link.a-name-that-is-too-long]\n",
     "p.toml:1:1: link.a-name-that-is-too-long: \"a-name-that-is-too-long\" cannot be a device's "
     "name (at most 15 characters, no blanks, / or :)"},
    {"[fast]\nshare = \"nan%\"",
     "p.toml:2:9: fast.share: \"nan%\" is not a share; write for example \"10%\" (units: %)"},
    {"[fast]\nshare = 0.025",
     "p.toml:2:9: fast.share: 0.025 has no unit; write for example \"10%\" (units: %)"},
    {"[fast]\nwindow = \"1h\"",
     "p.toml:2:10: fast.window: \"1h\" is out of range; from 10ms to 10s"},
    {"[audit]\nrequired = \"yes\"",
     "p.toml:2:12: audit.required: \"yes\" is not true or false (without quotes)"},
    {"mode = \"enforced\"",
     "p.toml:1:8: mode: \"enforced\" is not possible; did you mean \"enforce\"? Allowed: observe, "
     "advise, enforce"},
    {"mod = \"observe\"",
     "p.toml:1:1: mod: unknown key; did you mean \"mode\"? Allowed here: mode, link, fast, "
     "elephant, admission, probation, footprint, rule, guard, audit, verify"},
    {"[guard]\ncolour = 1",
     "p.toml:2:1: guard.colour: unknown key; allowed here: cooldown, actions_per_plan, protect"},
    {"[guard]\nactions_per_minute = 60",
     "p.toml:2:1: guard.actions_per_minute: is now named \"actions_per_plan\""},
    {"[guard]\nprotect = { cpus = \"3-1\" }",
     "p.toml:2:20: guard.protect.cpus: \"3-1\" is not a list of CPUs such as \"0-3,8\""},
    {"[guard]\nprotect = { devices = \"wg*\" }",
     "p.toml:2:23: guard.protect.devices: \"wg*\" is not a list; write for example [\"wg*\", "
     "\"eth3\"]"},
    {"[guard]\nprotect = { devices = [\"wg*\", 3] }",
     "p.toml:2:31: guard.protect.devices: 3 is not a device's name or pattern such as \"wg*\""},
    {"[guard]\nactions_per_plan = \"60\"",
     "p.toml:2:20: guard.actions_per_plan: \"60\" is not a whole number; from 1 to 10000 is "
     "possible"},
    {"fast = 3", "p.toml:1:8: fast: 3 is not a table; write for example [fast]"},
    {"[verify]\nwatch = \"heavy latency p99\"",
     "p.toml:2:9: verify.watch: \"heavy latency p99\" is not possible; write for example \"light "
     "latency p99\" (from p50 to p99.9)"},
    {"[verify]\nwatch = \"light latency p100\"",
     "p.toml:2:9: verify.watch: \"light latency p100\" is not possible; write for example \"light "
     "latency p99\" (from p50 to p99.9)"},
    {"[verify]\nwatch = 99",
     "p.toml:2:9: verify.watch: 99 is not text; needed is what is judged, such as \"light latency "
     "p99\""},
    {"[verify]\nrequire = \"10%\"",
     "p.toml:2:11: verify.require: \"10%\" is not possible; write something such as \"not worse by "
     "10%\" or \"better by 10%\""},
    {"[verify]\nrequire = \"better by 10\"",
     "p.toml:2:11: verify.require: \"better by 10\" is not possible; write something such as \"not "
     "worse by 10%\" or \"better by 10%\""},
    {"[verify]\nrequire = \"not worse by 0.5%\"",
     "p.toml:2:11: verify.require: \"not worse by 0.5%\" is out of range; from 1% to 100%"},
    {"[verify]\nveto = \"heavy throughput +20%\"",
     "p.toml:2:8: verify.veto: \"heavy throughput +20%\" is not possible; write for example "
     "\"heavy "
     "throughput -20%\""},
    {"[verify]\nveto = \"heavy throughput -95%\"",
     "p.toml:2:8: verify.veto: \"heavy throughput -95%\" is out of range; from -1% to -90%"},
    {"[verify]\nwithin = \"1s\"",
     "p.toml:2:10: verify.within: \"1s\" is out of range; from 4s to 10m"},
    {"[verify]\ninconclusive = \"kepe\"",
     "p.toml:2:16: verify.inconclusive: \"kepe\" is not possible; allowed: undo, keep"},
    {"[verify]\nlongest_back_off = \"1m\"",
     "p.toml:2:20: verify.longest_back_off: back_off, 10m, is longer than longest_back_off, 1m"},
    {"[verify]\nsettel = \"1s\"",
     "p.toml:2:1: verify.settel: unknown key; did you mean \"settle\"? Allowed here: watch, "
     "require, "
     "veto, within, settle, samples, coverage, inconclusive, back_off, longest_back_off"},
    {"[[rule]]\nname = \"r\"",
     "p.toml:1:1: rule \"r\": does nothing; it needs one of bandwidth, receive, rps, xps, irq, "
     "vhost, "
     "napi, for example bandwidth = { device = \"uplink\", guarantee = \"20%\" }"},
    {"[[rule]]\nbandwidth = { device = \"eth0\", guarantee = \"20%\" }",
     "p.toml:1:1: rule 1: name: is missing; give the rule a name for people, which the plan shows"},
    {"[[rule]]\nname = \"r\"\nbandwidth = { guarantee = \"20%\" }",
     "p.toml:3:13: rule \"r\": bandwidth.device: is missing; write for example device = "
     "\"uplink\""},
    {"[[rule]]\nname = \"r\"\nbandwidth = { device = \"eth0\" }",
     "p.toml:3:13: rule \"r\": bandwidth.guarantee: is missing; write for example guarantee = "
     "\"20%\" (0% is possible)"},
    {"[[rule]]\nname = \"r\"\nbandwidth = { device = \"eth0\", guarantee = \"50%\", limit = "
     "\"40%\" }",
     "p.toml:3:44: rule \"r\": bandwidth.guarantee: 50% is more than the limit, 40%"},
    {"[[rule]]\nname = \"r\"\nbandwidth = { device = \"eth0\", guarantee = \"5%\", priority = 8 }",
     "p.toml:3:61: rule \"r\": bandwidth.priority: 8 is out of range; from 0 to 7"},
    {"[[rule]]\nname = \"r\"\nmatch = { footprint = \"mixed\" }\nbandwidth = { device = \"eth0\", "
     "guarantee = \"5%\" }",
     "p.toml:3:23: rule \"r\": match.footprint: \"mixed\" is not possible; allowed: light, heavy"},
    {"[[rule]]\nname = \"r\"\nmatch = { kind = \"pod\" }\nbandwidth = { device = \"eth0\", "
     "guarantee = \"5%\" }",
     "p.toml:3:18: rule \"r\": match.kind: \"pod\" is not possible; allowed: container, vm, "
     "service"},
    {"[[rule]]\nname = \"a\"\nmatch = { kind = \"vm\" }\nbandwidth = { device = \"eth0\", "
     "guarantee "
     "= \"5%\" }\n[[rule]]\nname = \"a\"\nbandwidth = { device = \"eth0\", guarantee = \"5%\" }",
     "p.toml:6:8: rule \"a\": name: is the name of the rule at line 1 already; each rule needs a "
     "name of its own"},
    {"[[rule]]\nname = \"a\"\nmatch = { kind = \"vm\" }\nbandwidth = { device = \"eth0\", "
     "guarantee "
     "= \"60%\" }\n[[rule]]\nname = \"b\"\nbandwidth = { device = \"eth0\", guarantee = \"40%\" }",
     "p.toml:7:13: rule \"b\": bandwidth: the guarantees on eth0 add up to 110%: \"a\" 60%, \"b\" "
     "40%, probation 10%; at most 100% is there"},
    {"rule = 3", "p.toml:1:8: rule: must be written [[rule]], once for each rule"},
    {"[rule]\nname = \"a\"", "p.toml:1:1: rule: must be written [[rule]], once for each rule"},
};

TEST(ParsePolicy, SaysWhereWhatAndWhatWouldBeRight) {
  for (const Bad& bad : kBad) EXPECT_THAT(errors_of(bad.text), ElementsAre(bad.error)) << bad.text;
}

/// What is wrong with one block of an otherwise empty rule.
struct BadBlock {
  const char* block;
  const char* error;  ///< without `p.toml:3:COLUMN: rule "r": `
};
const BadBlock kBadBlocks[] = {
    {"receive = 1",
     "receive: 1 is not a table; write for example receive = { device = \"uplink\", balance = "
     "\"load\" }"},
    {"receive = { balance = \"load\" }",
     "receive.device: is missing; write for example device = \"uplink\""},
    {"receive = { device = \"eth*\" }",
     "receive.device: \"eth*\" must be one device's name or \"uplink\"; * and ? are not possible "
     "here"},
    {"receive = { device = \"eth0\", balance = \"loads\" }",
     "receive.balance: \"loads\" is not possible; did you mean \"load\"? Allowed: load, apart"},
    {"receive = { device = \"eth0\", min_gain = 25 }",
     "receive.min_gain: 25 has no unit; write for example \"10%\" (units: %)"},
    {"receive = { device = \"eth0\", busy = \"120%\" }",
     "receive.busy: \"120%\" is out of range; from 0% to 100%"},
    {"receive = { device = \"eth0\", balance = \"apart\" }",
     "receive.elephant_queues: is missing: balance = \"apart\" needs queues that elephants have to "
     "themselves, for example elephant_queues = \"2-3\""},
    {"receive = { device = \"eth0\", elephant_queues = \"2-3\" }",
     "receive.elephant_queues: has no effect unless balance = \"apart\"; remove one or add the "
     "other"},
    {"receive = { device = \"eth0\", balance = \"apart\", elephant_queues = \"last\" }",
     "receive.elephant_queues: \"last\" is not a list of queues such as \"0-3,8\""},
    {"receive = { device = \"eth0\", user_table = \"keep\" }",
     "receive.user_table: \"keep\" is not possible; allowed: honour, take"},
    {"receive = { device = \"eth0\", min_gian = \"25%\" }",
     "receive.min_gian: unknown key; did you mean \"min_gain\"? Allowed here: device, balance, "
     "min_gain, busy, elephant_queues, user_table"},
    {"rps = { device = \"veth*\" }",
     "rps.cpus: is missing; write for example cpus = \"numa-local\" (allowed: all, numa-local, or "
     "a "
     "list such as \"2-5\")"},
    {"rps = { device = \"a b\", cpus = \"all\" }",
     "rps.device: \"a b\" cannot be a device's name (at most 15 characters, no blanks, / or :)"},
    {"xps = { device = \"eth0\", cpus = \"nuam-local\" }",
     "xps.cpus: \"nuam-local\" is not possible; did you mean \"numa-local\"? Allowed: all, "
     "numa-local, or a list such as \"2-5\""},
    {"irq = { device = \"eth0\", cpus = \"3-1\" }",
     "irq.cpus: \"3-1\" is not possible; allowed: all, numa-local, or a list such as \"2-5\""},
    {"irq = { device = \"eth?\", cpus = \"all\" }",
     "irq.device: \"eth?\" must be one device's name or \"uplink\"; * and ? are not possible here"},
    {"irq = { device = \"eth0\", cpus = \"all\", avoid = \"heavy\" }",
     "irq.avoid: \"heavy\" is not possible; allowed: light"},
    {"vhost = { device = \"tap0\", cpus = \"all\" }",
     "vhost.device: unknown key; allowed here: cpus, avoid"},
    {"napi = { device = \"eth0\", cpus = 3 }",
     "napi.cpus: 3 is not text; needed is a list of CPUs such as \"2-5\", \"numa-local\" or "
     "\"all\""},
    {"recieve = { device = \"eth0\" }",
     "recieve: unknown key; did you mean \"receive\"? Allowed here: name, match, bandwidth, "
     "receive, "
     "rps, xps, irq, vhost, napi"},
    {"match = { footprint = \"heavy\" }\nreceive = { device = \"eth0\" }",
     "match: receive is about all that a device receives, whoever it is for; give it a rule of its "
     "own without match"},
    {"match = { kind = \"vm\" }\nirq = { device = \"eth0\", cpus = \"all\" }",
     "match: irq is about all that a device receives, whoever it is for; give it a rule of its own "
     "without match"},
    {"match = { kind = \"container\" }\nvhost = { cpus = \"all\" }",
     "match: only VMs have vhost threads: vhost never applies with kind = \"container\""},
};

TEST(ParsePolicy, SaysWhatIsWrongWithABlock) {
  for (const BadBlock& bad : kBadBlocks) {
    const auto errors =
        parse_policy("[[rule]]\nname = \"r\"\n" + std::string(bad.block), "p.toml").errors;
    ASSERT_EQ(errors.size(), 1u) << bad.block;
    EXPECT_EQ(errors[0].line, 3) << bad.block;
    EXPECT_EQ(errors[0].key + ": " + errors[0].text, "rule \"r\": " + std::string(bad.error));
  }
}

TEST(Rule, InOneLine) {
  const auto lines = [](std::string_view blocks) {
    return to_text(parse_policy("[[rule]]\nname = \"r\"\n" + std::string(blocks), "p.toml")
                       .policy.rules.at(0));
  };
  EXPECT_EQ(
      lines("bandwidth = { device = \"eth0\", guarantee = \"20%\" }\nvhost = { cpus = \"4-7\" }"),
      "\"r\" on eth0: guarantee 20%, limit 100%, priority 3; vhost threads: CPUs 4-7");
  EXPECT_EQ(
      lines("receive = { device = \"eth0\", balance = \"apart\", elephant_queues = \"2-3\" }"),
      "\"r\" receive queues of eth0: by load, elephants on queues 2-3, from 85% busy and for 25% "
      "gain");
  EXPECT_EQ(lines("rps = { device = \"veth*\", cpus = \"numa-local\", avoid = \"light\" }"),
            "\"r\" rps of veth*: NUMA-local CPUs but those of light workloads");
}

TEST(ParsePolicy, ARuleThatNeverAppliesIsAnError) {
  const std::string rule = "[[rule]]\nname = \"a\"\nvhost = { cpus = \"1\" }\n";
  EXPECT_THAT(
      errors_of(rule + "[[rule]]\nname = \"b\"\nvhost = { cpus = \"2\" }"),
      ElementsAre("p.toml:6:9: rule \"b\": vhost: never applies: rule \"a\" has the same match "
                  "and comes first"));
  const std::string rps = "[[rule]]\nname = \"a\"\nrps = { device = \"veth*\", cpus = \"1\" }\n";
  EXPECT_THAT(
      errors_of(rps + "[[rule]]\nname = \"b\"\nrps = { device = \"veth*\", cpus = \"2\" }"),
      ElementsAre("p.toml:6:7: rule \"b\": rps: never applies: rule \"a\" has the same match "
                  "and the same device and comes first"));
  EXPECT_THAT(errors_of(rps + "[[rule]]\nname = \"b\"\nmatch = { footprint = \"heavy\" }\n"
                              "rps = { device = \"veth*\", cpus = \"2\" }"),
              IsEmpty());
}

TEST(ParsePolicy, ReportsAllErrorsInTheOrderOfTheirLines) {
  const auto errors = parse_policy(
                          "mode = 1\n[zoo]\n[link.eth0]\nrate = 200\n[fast]\nhold = 3\n"
                          "[[rule]]\nname = \"a\"\nfoo = 1\nbandwidth = { device = 1 }\n",
                          "p.toml")
                          .errors;
  std::vector<int> lines;
  for (const PolicyError& error : errors) lines.push_back(error.line);
  EXPECT_THAT(lines, ElementsAre(1, 2, 4, 6, 9, 10, 10));
}

TEST(ParsePolicy, SyntaxErrorsHaveTheirPlace) {
  const auto errors = parse_policy("mode = \"advise\"\n[link.eth0\nrate = 1\n", "p.toml").errors;
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].line, 2);
  EXPECT_THAT(errors[0].text, HasSubstr("not TOML: "));
}

TEST(ParsePolicy, RefusesMoreThanSixteenBlocksPerDevice) {
  const auto rules = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += "[[rule]]\nname = \"r" + std::to_string(i) + "\"\nmatch = { name = \"w" +
              std::to_string(i) + "\" }\nbandwidth = { device = \"eth0\", guarantee = \"1%\" }\n";
    return text;
  };
  EXPECT_THAT(errors_of(rules(16)), IsEmpty());
  EXPECT_THAT(errors_of(rules(17)),
              ElementsAre("p.toml:68:13: rule \"r16\": bandwidth: 17 bandwidth blocks for eth0; at "
                          "most 16 are possible"));
}

TEST(ParsePolicy, RefusesARuleThatNeverApplies) {
  EXPECT_THAT(errors_of("[[rule]]\nname = \"a\"\nbandwidth = { device = \"eth0\", guarantee = "
                        "\"5%\" }\n[[rule]]\nname = \"b\"\nbandwidth = { device = \"eth0\", "
                        "guarantee = \"5%\" }\n"),
              ElementsAre("p.toml:6:13: rule \"b\": bandwidth: never applies: rule \"a\" has the "
                          "same match and the same device and comes first"));
}

TEST(ParsePolicy, DevicesMustHaveTheSameMatches) {
  const std::string eth0 =
      "[[rule]]\nname = \"a\"\nmatch = { footprint = \"light\" }\nbandwidth = { device = "
      "\"eth0\", guarantee = \"5%\" }\n";
  const std::string same =
      "[[rule]]\nname = \"b\"\nmatch = { footprint = \"light\" }\nbandwidth = { device = "
      "\"eth1\", guarantee = \"50%\" }\n";
  const std::string other =
      "[[rule]]\nname = \"b\"\nmatch = { kind = \"vm\" }\nbandwidth = { device = \"eth1\", "
      "guarantee = \"5%\" }\n";
  EXPECT_THAT(errors_of(eth0 + same), IsEmpty());
  EXPECT_THAT(errors_of(eth0 + other),
              ElementsAre("p.toml:8:13: rule \"b\": bandwidth: the rules for eth1 must have the "
                          "same matches in the same order as those for eth0, since a workload's "
                          "class is the same on all devices"));
}

TEST(ParsePolicy, ErrorsAreFitForATerminal) {
  const auto errors = errors_of("\"a\\u001b[31m\" = 1\nmode = \"\\u0007\"");
  ASSERT_EQ(errors.size(), 2u);
  for (const std::string& error : errors)
    for (const char c : error) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << error;
}

// Hostile input: whatever comes, an error comes back and not a signal.

TEST(ParsePolicy, SurvivesALongDottedKey) {
  std::string key = "a";
  while (key.size() < 200'000) key += ".a";
  EXPECT_THAT(errors_of(key + " = 1"), ElementsAre(HasSubstr("at most 65536")));
  EXPECT_THAT(errors_of(key.substr(0, 60'001) + " = 1"),
              ElementsAre("p.toml:1:130: more than 64 dots in one line; no key of a policy is that "
                          "long"));
  EXPECT_THAT(errors_of("[" + key.substr(0, 60'001) + "]"), ElementsAre(HasSubstr("64 dots")));
  EXPECT_THAT(errors_of("x = { " + key.substr(0, 60'001) + " = 1 }"),
              ElementsAre(HasSubstr("64 dots")));
}

TEST(ParsePolicy, SurvivesDeepNesting) {
  EXPECT_THAT(errors_of("a = " + std::string(10'000, '[')),
              ElementsAre("p.toml:1:37: arrays or tables nested more than 32 deep"));
  std::string tables = "a = ";
  for (int i = 0; i < 5'000; ++i) tables += "{b=";
  EXPECT_THAT(errors_of(tables), ElementsAre(HasSubstr("nested more than 32 deep")));
  std::string lines = "a = ";
  for (int i = 0; i < 5'000; ++i) lines += "[\n";
  EXPECT_THAT(errors_of(lines), ElementsAre(HasSubstr("nested more than 32 deep")));
}

TEST(ParsePolicy, SurvivesBinaryGarbage) {
  std::uint64_t state = 42;
  for (int round = 0; round < 200; ++round) {
    std::string garbage;
    for (int i = 0; i < 512; ++i) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      garbage += static_cast<char>(state >> 56);
    }
    EXPECT_FALSE(parse_policy(garbage, "p.toml").errors.empty());
  }
}

TEST(ParsePolicy, SurvivesEveryPrefixAndEveryLostByte) {
  const std::string whole = example::shipped("three-tiers.toml");
  ASSERT_GT(whole.size(), 500u);
  for (std::size_t length = 0; length <= whole.size(); ++length)
    (void)parse_policy(std::string_view(whole).substr(0, length), "p.toml");  // must come back
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string cut = whole;
    cut.erase(at, 1);
    for (const PolicyError& error : parse_policy(cut, "p.toml").errors) {
      EXPECT_GE(error.line, 1);
      EXPECT_GE(error.column, 1);
      EXPECT_FALSE(error.text.empty());
    }
  }
}

TEST(ParsePolicy, SurvivesThousandsOfRulesAndKeys) {
  std::string rules, keys;
  while (rules.size() < 60'000) rules += "[[rule]]\n";
  while (keys.size() < 60'000) keys += "k" + std::to_string(keys.size()) + "=1\n";
  EXPECT_THAT(errors_of(rules), ElementsAre(HasSubstr("at most 256 are possible")));
  EXPECT_GT(errors_of(keys).size(), 1'000u);
}

}  // namespace
}  // namespace ankus
