// SPDX-License-Identifier: Apache-2.0
#include "ctl/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace ankus::ctl {
namespace {

using ::testing::HasSubstr;

Command parsed(const std::vector<std::string>& arguments, const std::string& socket = "") {
  const auto result = parse_command(arguments, socket);
  if (const auto* answer = std::get_if<Answer>(&result)) {
    ADD_FAILURE() << answer->err << answer->out;
    return {};
  }
  return std::get<Command>(result);
}
Answer answered(const std::vector<std::string>& arguments) {
  const auto result = parse_command(arguments, "");
  if (const auto* answer = std::get_if<Answer>(&result)) return *answer;
  ADD_FAILURE() << "it was accepted";
  return {};
}

TEST(Command, TakesOptionsBeforeAndBehindTheVerb) {
  const Command expected{.verb = Verb::status, .socket = "/s", .json = true};
  EXPECT_EQ(parsed({"--json", "--socket", "/s", "status"}), expected);
  EXPECT_EQ(parsed({"status", "--json", "--socket=/s"}), expected);
}

TEST(Command, TakesTheSocketFromTheEnvironmentUnlessToldOtherwise) {
  EXPECT_EQ(parsed({"status"}).socket, "/run/ankus/control.sock");
  EXPECT_EQ(parsed({"status"}, "/env").socket, "/env");
  EXPECT_EQ(parsed({"status", "--socket", "/s"}, "/env").socket, "/s");
}

TEST(Command, KnowsEachVerb) {
  EXPECT_EQ(parsed({"check", "p.toml"}).policies, std::vector<std::string>{"p.toml"});
  EXPECT_EQ(parsed({"check", "a.toml", "b.toml", "--json"}),
            (Command{.verb = Verb::check, .json = true, .policies = {"a.toml", "b.toml"}}));
  EXPECT_EQ(parsed({"plan"}).policy, std::nullopt);
  EXPECT_EQ(parsed({"apply", "p.toml", "--confirm-within", "60s"}),
            (Command{.verb = Verb::apply, .policy = "p.toml", .confirm_within = seconds(60)}));
  EXPECT_EQ(parsed({"rollback", "p-1"}), (Command{.verb = Verb::rollback, .what = "p-1"}));
  EXPECT_EQ(parsed({"rollback", "--all"}), (Command{.verb = Verb::rollback, .all = true}));
  EXPECT_EQ(parsed({"flows", "-n", "5"}), (Command{.verb = Verb::flows, .limit = 5}));
  EXPECT_EQ(parsed({"opt-out", "web-1"}), (Command{.verb = Verb::opt_out, .what = "web-1"}));
  EXPECT_EQ(parsed({"watch", "--interval", "250ms", "--times", "3"}),
            (Command{.verb = Verb::watch, .interval = milliseconds(250), .times = 3}));
  EXPECT_EQ(parsed({"opt-in", "w"}).verb, Verb::opt_in);
  EXPECT_EQ(parsed({"latency", "web-1", "--for", "10s", "--one-in", "1", "--csv"}),
            (Command{.verb = Verb::latency,
                     .what = "web-1",
                     .window = seconds(10),
                     .one_in = 1,
                     .csv = true}));
  EXPECT_EQ(parsed({"tcp", "10.0.0.7:443", "-n", "5", "--csv"}),
            (Command{.verb = Verb::tcp, .what = "10.0.0.7:443", .limit = 5, .csv = true}));
  for (const auto& [name, verb] :
       std::vector<std::pair<std::string, Verb>>{{"workloads", Verb::workloads},
                                                 {"confirm", Verb::confirm},
                                                 {"pause", Verb::pause},
                                                 {"resume", Verb::resume},
                                                 {"reload", Verb::reload},
                                                 {"doctor", Verb::doctor},
                                                 {"queues", Verb::queues},
                                                 {"latency", Verb::latency},
                                                 {"tcp", Verb::tcp},
                                                 {"history", Verb::history}})
    EXPECT_EQ(parsed({name}).verb, verb) << name;
}

TEST(Command, EndsMistakesWithTheUsageCode) {
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{},
                                             {"frob"},
                                             {"check"},
                                             {"explain"},
                                             {"status", "extra"},
                                             {"status", "--frob"},
                                             {"flows", "-n", "0"},
                                             {"rollback"},
                                             {"rollback", "p-1", "--all"},
                                             {"apply", "--confirm-within", "soon"},
                                             {"apply", "--confirm-within", "60"},
                                             {"apply", "--confirm-within", "0s"},
                                             {"apply", "--confirm-within", "999ms"},
                                             {"apply", "--confirm-within", "25h"},
                                             {"latency", "--for", "99ms"},
                                             {"latency", "--for", "61s"},
                                             {"latency", "--one-in", "0"},
                                             {"queues", "eth0"},
                                             {"queues", "--csv"}}) {
    const Answer answer = answered(wrong);
    EXPECT_EQ(answer.code, ExitCode::usage) << ::testing::PrintToString(wrong);
    EXPECT_THAT(answer.err, ::testing::StartsWith("ankusctl: "));
    EXPECT_EQ(answer.out, "");
  }
  EXPECT_THAT(answered({"rollback"}).err, HasSubstr("give the ID of a plan or an action"));
  EXPECT_THAT(answered({"apply", "--confirm-within", "60"}).err, HasSubstr("--confirm-within"));
  EXPECT_THAT(answered({"latency", "--for", "61s"}).err,
              HasSubstr("--for: give a duration of 100ms to 1m"));
}

TEST(Command, HelpNamesEachExitCode) {
  const Answer help = answered({"--help"});
  EXPECT_EQ(help.code, ExitCode::ok);
  for (const char* text : {"0 done", "1 failed", "2 usage", "3 no daemon", "4 not permitted",
                           "5 the daemon is too old", "6 apply did nothing"})
    EXPECT_THAT(help.out, HasSubstr(text));
}

TEST(Command, IsInTheTableOfModesIfHelpNamesIt) {
  std::ifstream file(std::string(ANKUS_SOURCE_DIR) + "/docs/operating.md");
  std::string table;
  for (std::string line; std::getline(file, line) && !line.starts_with("States, as");)
    if (line.starts_with("| ")) table += " " + line.substr(1, line.find('|', 1)) + "\n";
  std::ranges::replace(table, ',', ' ');
  const std::string help = answered({"--help"}).out;
  std::istringstream lines(help.substr(help.find("Subcommands:")));
  std::string line;
  std::getline(lines, line);
  std::size_t verbs = 0;
  for (; std::getline(lines, line) && line.starts_with("  ") && line[2] != ' '; ++verbs) {
    const std::string verb = line.substr(2, line.find(' ', 2) - 2);
    EXPECT_THAT(table, HasSubstr(" " + verb + " ")) << verb;
  }
  EXPECT_EQ(verbs, 20u);
}

TEST(Call, OfEachCommandIsARouteOfTheApi) {
  EXPECT_EQ(call_of({.verb = Verb::status}, ""), (Call{.method = "GET", .target = "/v1/status"}));
  EXPECT_EQ(call_of({.verb = Verb::flows, .limit = 5}, ""),
            (Call{.method = "GET", .target = "/v1/flows?limit=5"}));
  EXPECT_EQ(call_of({.verb = Verb::history}, ""), (Call{.method = "GET", .target = "/v1/history"}));
  EXPECT_EQ(call_of({.verb = Verb::explain, .what = "a/../b"}, ""),
            (Call{.method = "GET", .target = "/v1/explain/a%2F..%2Fb"}));
  EXPECT_EQ(call_of({.verb = Verb::plan}, ""), (Call{.method = "GET", .target = "/v1/plan"}));
  EXPECT_EQ(call_of({.verb = Verb::rollback, .all = true}, ""),
            (Call{.method = "POST", .target = "/v1/rollback", .body = R"({"all":true})"}));
  EXPECT_EQ(call_of({.verb = Verb::rollback, .what = "p-1"}, ""),
            (Call{.method = "POST", .target = "/v1/rollback", .body = R"({"id":"p-1"})"}));
  EXPECT_EQ(call_of({.verb = Verb::pause}, ""),
            (Call{.method = "POST", .target = "/v1/pause", .body = "{}"}));
  EXPECT_EQ(call_of({.verb = Verb::opt_in, .what = "web\xff"}, "").body,
            "{\"workload\":\"web\xef\xbf\xbd\"}");
}

TEST(Call, OfLatencyAndTcpIsForAllWorkloads) {
  EXPECT_EQ(call_of({.verb = Verb::queues}, ""), (Call{.method = "GET", .target = "/v1/queues"}));
  const Call latency = call_of(
      {.verb = Verb::latency, .what = "web", .window = milliseconds(1500), .one_in = 4}, "");
  EXPECT_EQ(latency.target, "/v1/latency");
  EXPECT_EQ(nlohmann::json::parse(latency.body),
            (nlohmann::json{{"window_ms", 1500}, {"one_in", 4}}));
  EXPECT_EQ(call_of({.verb = Verb::tcp}, "").target, "/v1/tcp");
  EXPECT_EQ(call_of({.verb = Verb::tcp, .limit = 5}, "").target, "/v1/tcp?limit=5");
  // The daemon cuts before ankusctl picks out what is asked for.
  EXPECT_EQ(call_of({.verb = Verb::tcp, .what = "web", .limit = 5}, "").target,
            "/v1/tcp?limit=10000");
}

TEST(Call, CarriesThePolicysTextAndName) {
  const Call call = call_of(
      {.verb = Verb::apply, .policy = "p.toml", .confirm_within = seconds(60)}, "x = \"1\"\n");
  EXPECT_EQ(call.target, "/v1/apply");
  EXPECT_EQ(nlohmann::json::parse(call.body), (nlohmann::json{{"policy_text", "x = \"1\"\n"},
                                                              {"policy_file", "p.toml"},
                                                              {"confirm_within_ms", 60000}}));
}

}  // namespace
}  // namespace ankus::ctl
