// SPDX-License-Identifier: Apache-2.0
#include "ctl/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/handle.h"

namespace ankus::ctl {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

HttpReply reply(int status, std::string body) {
  return {.status = status,
          .headers = {{"ankus-api", "1"}, {"ankus-version", "0.1.0"}},
          .body = std::move(body)};
}
HttpReply error(int status) { return reply(status, R"({"error":{"kind":"k","text":"because"}})"); }

TEST(Answer, HasTheExitCodeOfTheStatus) {
  const Command command{.verb = Verb::apply};
  for (const auto& [status, code] :
       std::vector<std::pair<int, ExitCode>>{{400, ExitCode::failed},
                                             {403, ExitCode::not_permitted},
                                             {404, ExitCode::failed},
                                             {409, ExitCode::failed},
                                             {422, ExitCode::usage},
                                             {500, ExitCode::failed},
                                             {503, ExitCode::failed}})
    EXPECT_EQ(answer_of(command, error(status), {}),
              (Answer{.code = code, .err = "ankusctl: because\n"}))
        << status;
}

TEST(Answer, ShowsEachErrorOfAPolicyOnItsLine) {
  const std::string long_one = "a.toml:3:1: " + std::string(900, 'x');
  const std::string text = "a.toml:1:8: \x1b[2J\n" + long_one + "\n" + long_one;
  const json body{{"error", {{"kind", "bad_policy"}, {"text", text}}}};
  EXPECT_EQ(
      answer_of({.verb = Verb::reload}, reply(422, body.dump()), {}),
      (Answer{.code = ExitCode::usage,
              .err = "ankusctl: a.toml:1:8: \\x1b[2J\n" + long_one + "\n" + long_one + "\n"}));
}

TEST(Answer, NothingToDoIsNoFailure) {
  EXPECT_EQ(answer_of({.verb = Verb::apply}, reply(200, R"({"state":"unchanged"})"), {}),
            (Answer{.out = "nothing to do\n"}));
}

TEST(Answer, ThatAllIsRefusedHasACodeOfItsOwn) {
  const std::string refusals = R"("refusals":[{"what":"shape eth0","why":"no rate"}])";
  const auto code = [&](Verb verb, const std::string& state) {
    return answer_of({.verb = verb}, reply(200, R"({"state":")" + state + "\"," + refusals + "}"),
                     {})
        .code;
  };
  EXPECT_EQ(code(Verb::apply, "unchanged"), ExitCode::refused);
  EXPECT_EQ(code(Verb::apply, "applied"), ExitCode::ok);
  EXPECT_EQ(code(Verb::plan, ""), ExitCode::ok);
}

TEST(Answer, ShowsWhatWasTriedBesideTheError) {
  const Answer answer = answer_of({.verb = Verb::apply},
                                  reply(500, R"({"error":{"kind":"failed","text":"class: busy"},
                     "actions":[{"id":"a-1","knob":"k","outcome":"undone"}]})"),
                                  {});
  EXPECT_EQ(answer.code, ExitCode::failed);
  EXPECT_EQ(answer.err, "ankusctl: class: busy\n");
  EXPECT_EQ(answer.out, "ID   OUTCOME  WHAT  TEXT\na-1  undone   k\n\n");
}

TEST(Answer, AsJsonIsTheReplyEvenIfItIsAnError) {
  const Answer answer = answer_of({.verb = Verb::status, .json = true}, error(404), {});
  EXPECT_EQ(answer.out,
            "{\n  \"error\": {\n    \"kind\": \"k\",\n    \"text\": \"because\"\n  }\n}\n");
  EXPECT_EQ(answer.err, "ankusctl: because\n");
  EXPECT_EQ(answer.code, ExitCode::failed);
}

TEST(Answer, RefusesADaemonOfAnotherVersion) {
  HttpReply newer = reply(200, "{}");
  newer.headers["ankus-api"] = "2";
  newer.headers["ankus-version"] = "3.0.0";
  const Answer answer = answer_of({.verb = Verb::status}, newer, {});
  EXPECT_EQ(answer.code, ExitCode::incompatible);
  EXPECT_THAT(answer.err, HasSubstr("ankusd 3.0.0 speaks version 2 of the messages"));
  EXPECT_THAT(answer.err, HasSubstr("speaks 1;"));
}

TEST(Answer, RefusesAStranger) {
  const Answer answer =
      answer_of({.verb = Verb::status, .socket = "/s"}, {.status = 200, .body = "{}"}, {});
  EXPECT_EQ(answer.code, ExitCode::incompatible);
  EXPECT_EQ(answer.err, "ankusctl: what answers on /s is not ankusd\n");
}

TEST(Answer, SurvivesABodyThatIsNotAsDocumented) {
  EXPECT_EQ(answer_of({.verb = Verb::status}, reply(200, "[1"), {}).code, ExitCode::failed);
  EXPECT_EQ(answer_of({.verb = Verb::status}, reply(200, "17"), {}).code, ExitCode::failed);
  EXPECT_EQ(answer_of({.verb = Verb::status}, reply(500, R"({"error":17})"), {}).err,
            "ankusctl: ankusd answers with status 500 and no reason\n");
}

TEST(Answer, OfDoctorFailsIfACheckFails) {
  const Command doctor{.verb = Verb::doctor};
  EXPECT_EQ(answer_of(doctor, reply(200, R"({"checks":[{"state":"warn"}]})"), {}).code,
            ExitCode::ok);
  EXPECT_EQ(
      answer_of(doctor, reply(200, R"({"checks":[{"state":"ok"},{"state":"fail"}]})"), {}).code,
      ExitCode::failed);
}

TEST(Answer, IsCsvWhereThatIsAskedFor) {
  const HttpReply tcp = reply(200, R"({"total": 2, "flows": [{"workload": "a", "local": "h:1"},
                                                             {"workload": "a", "local": "h:2"}]})");
  const Answer all = answer_of({.verb = Verb::tcp, .csv = true}, tcp, {});
  EXPECT_THAT(all.out, StartsWith("workload,workload_id,local,remote,"));
  EXPECT_THAT(all.out, HasSubstr("\na,,h:2,"));
  const Answer one = answer_of({.verb = Verb::tcp, .what = "a", .limit = 1, .csv = true}, tcp, {});
  EXPECT_THAT(one.out, HasSubstr("\na,,h:1,"));
  EXPECT_THAT(one.out, Not(HasSubstr("h:2")));
  EXPECT_THAT(answer_of({.verb = Verb::latency, .csv = true}, reply(200, "{}"), {}).out,
              StartsWith("workload,workload_id,direction,segment,"));
}

/// Answers so many requests, one after the other, and remembers what was asked.
class FakeDaemon {
 public:
  FakeDaemon(const std::string& path, std::vector<std::string> bodies, int status = 200)
      : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    thread_ = std::thread([this, bodies = std::move(bodies), status] {
      for (const std::string& body : bodies) {
        const UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
        if (!peer) return;
        char block[4096];
        const ssize_t got = ::recv(peer.get(), block, sizeof block, 0);
        const std::string request(block, got > 0 ? static_cast<std::size_t>(got) : 0);
        requests.push_back(request.substr(0, request.find(" HTTP")));
        const std::string text =
            "HTTP/1.1 " + std::to_string(status) +
            " x\r\nAnkus-Api: 1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
            body;
        EXPECT_EQ(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
      }
    });
  }
  /// Those that were not asked for are not waited for.
  void end() {
    (void)::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }
  ~FakeDaemon() { end(); }

  std::vector<std::string> requests;  ///< to be read after end()

 private:
  UniqueFd listener_;
  std::thread thread_;
};

class RunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/ankus-run-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  std::string file(const std::string& text, const std::string& name = "policy.toml") {
    const std::string path = directory + "/" + name;
    std::ofstream(path) << text;
    EXPECT_EQ(::chmod(path.c_str(), 0644), 0);
    return path;
  }
  ExitCode run_it(const Command& command) { return run(command, {}, false, out, err); }

  std::string directory;
  std::ostringstream out, err;
};

TEST_F(RunTest, CheckNeedsNoDaemon) {
  const std::string path = file(
      "[[rule]]\nname = \"mice first\"\nmatch = { footprint = \"light\" }\n"
      "bandwidth = { device = \"eth0\", guarantee = \"60%\" }\n");
  EXPECT_EQ(run_it({.verb = Verb::check, .socket = "/nonexistent", .policies = {path}}),
            ExitCode::ok)
      << err.str();
  EXPECT_EQ(out.str(), path +
                           ": good: mode advise, 0 links, 1 rule\n"
                           "  \"mice first\" on eth0: guarantee 60%, limit 100%, priority 3\n");
}

TEST_F(RunTest, CheckSaysWhereAPolicyIsWrong) {
  const std::string path = file("[link.eth0]\nrate = 200\n");
  EXPECT_EQ(run_it({.verb = Verb::check, .policies = {path}}), ExitCode::usage);
  EXPECT_EQ(out.str(), "");
  EXPECT_THAT(err.str(), HasSubstr(path + ":2:"));
  EXPECT_THAT(err.str(), HasSubstr("link.eth0.rate"));
}

TEST_F(RunTest, CheckAsJsonListsTheErrors) {
  const std::string path = file("[link.eth0]\nrate = 200\n");
  EXPECT_EQ(run_it({.verb = Verb::check, .json = true, .policies = {path}}), ExitCode::usage);
  EXPECT_THAT(out.str(), HasSubstr("\"line\": 2"));
  EXPECT_THAT(out.str(), HasSubstr("\"ok\": false"));
}

TEST_F(RunTest, CheckReadsSeveralFilesAsOne) {
  const auto rule = [](const std::string& name, const std::string& guarantee) {
    return "[[rule]]\nname = \"" + name + "\"\nmatch = { name = \"" + name +
           "\" }\nbandwidth = { device = \"eth0\", guarantee = \"" + guarantee + "\" }\n";
  };
  const std::string a = file("mode = \"enforce\"\n" + rule("a", "60%"), "a.toml");
  const std::string b = file(rule("b", "20%"), "b.toml"), c = file(rule("c", "70%"), "c.toml");
  EXPECT_EQ(run_it({.verb = Verb::check, .policies = {a, b}}), ExitCode::ok) << err.str();
  EXPECT_THAT(out.str(), HasSubstr(b + ": good: mode advise, 0 links, 1 rule\n"));
  EXPECT_THAT(out.str(), HasSubstr("\ntogether: good: mode enforce, 0 links, 2 rules\n"));
  EXPECT_EQ(err.str(), "");
  out.str("");
  EXPECT_EQ(run_it({.verb = Verb::check, .policies = {a, c}}), ExitCode::usage);
  EXPECT_EQ(err.str(), c + ": rule \"c\": bandwidth: the guarantees on eth0 add up to 140%: \"a\" "
                           "60%, \"c\" 70%, probation 10%; at most 100% is there\n");
  EXPECT_THAT(out.str(), ::testing::Not(HasSubstr("together")));
  out.str("");
  EXPECT_EQ(run_it({.verb = Verb::check, .json = true, .policies = {a, c}}), ExitCode::usage);
  EXPECT_THAT(out.str(), HasSubstr("add up to 140%"));
}

TEST_F(RunTest, CheckAsJsonTellsWhatIsInTheFiles) {
  const std::string a = file("mode = \"enforce\"\n[link.eth0]\nrate = \"1 Gbit\"\n", "a.toml");
  const std::string b = file(
      "[[rule]]\nname = \"b\"\nbandwidth = { device = \"eth0\", guarantee = \"20%\" }\n", "b.toml");
  EXPECT_EQ(run_it({.verb = Verb::check, .json = true, .policies = {a, b}}), ExitCode::ok);
  const json reply = json::parse(out.str(), nullptr, false);
  const json rules{
      {{"name", "b"}, {"text", "\"b\" on eth0: guarantee 20%, limit 100%, priority 3"}}};
  EXPECT_EQ(reply["policies"],
            (json{{{"file", a}, {"mode", "enforce"}, {"links", {"eth0"}}, {"rules", json::array()}},
                  {{"file", b}, {"mode", "advise"}, {"links", json::array()}, {"rules", rules}}}));
  EXPECT_EQ(reply["together"], (json{{"mode", "enforce"}, {"links", {"eth0"}}, {"rules", rules}}));
}

TEST_F(RunTest, CheckGoesOnAfterAFileThatCannotBeRead) {
  const std::string bad = file("rate = 200\n"), none = directory + "/none.toml";
  EXPECT_EQ(run_it({.verb = Verb::check, .json = true, .policies = {none, bad}}), ExitCode::usage);
  const json errors = json::parse(out.str(), nullptr, false)["errors"];
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0]["file"], none);
  EXPECT_THAT(errors[0]["text"].get<std::string>(), HasSubstr("No such file"));
  EXPECT_EQ(errors[1]["file"], bad);
}

TEST_F(RunTest, WatchAsJsonIsOneObjectALine) {
  const Command command{.verb = Verb::watch,
                        .socket = directory + "/socket",
                        .json = true,
                        .interval = milliseconds(1),
                        .times = 2};
  const std::string status = R"({"pid": 7})", workloads = R"({"workloads": [{"name": "web"}]})";
  FakeDaemon daemon(command.socket, {status, workloads, status, workloads});
  EXPECT_EQ(run_it(command), ExitCode::ok) << err.str();
  const std::string line = R"({"status":{"pid":7},"workloads":[{"name":"web"}]})"
                           "\n";
  EXPECT_EQ(out.str(), line + line);
}

TEST_F(RunTest, WatchAsJsonPrintsNoHalfALookWhenTheDaemonGoes) {
  const Command command{.verb = Verb::watch, .socket = directory + "/socket", .json = true};
  FakeDaemon daemon(command.socket, {R"({"pid": 7})"});
  EXPECT_NE(run_it(command), ExitCode::ok);
  EXPECT_EQ(out.str(), "");
  EXPECT_NE(err.str(), "");
}

// A script's copy of what the daemon said must not be empty and "ok".
TEST_F(RunTest, WhatCannotBeWrittenIsAFailure) {
  const Command command{.verb = Verb::status, .socket = directory + "/socket", .json = true};
  FakeDaemon daemon(command.socket, {R"({"pid": 7})"});
  out.setstate(std::ios::failbit);  // as of /dev/full
  EXPECT_EQ(run_it(command), ExitCode::failed);
  EXPECT_THAT(err.str(), HasSubstr("cannot be written"));
}

TEST_F(RunTest, APolicyFileThatOthersMayWriteIsNotSent) {
  const std::string path = file("");
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  EXPECT_EQ(run_it({.verb = Verb::apply, .socket = "/nonexistent", .policy = path}),
            ExitCode::usage);
  EXPECT_THAT(err.str(), HasSubstr("can be written by others"));
}

TEST_F(RunTest, LatencyWaitsUntilTheWindowIsOver) {
  const Command command{
      .verb = Verb::latency, .socket = directory + "/socket", .window = milliseconds(100)};
  FakeDaemon daemon(command.socket,
                    {R"({"measuring": true, "left_s": 0.05, "window_s": 0})",
                     R"({"measuring": true, "left_s": 0.01, "window_s": 0.06, "one_in": 16})",
                     R"({"measuring": false, "window_s": 0.1, "one_in": 16})"});
  EXPECT_EQ(run_it(command), ExitCode::ok) << err.str();
  daemon.end();
  EXPECT_EQ(daemon.requests,
            (std::vector<std::string>{"POST /v1/latency", "GET /v1/latency", "GET /v1/latency"}));
  EXPECT_THAT(out.str(), StartsWith("window 0.1s, 1 packet in 16 measured"));
}

TEST_F(RunTest, LatencyEndsWithARefusalOrNonsense) {
  const Command command{.verb = Verb::latency, .socket = directory + "/socket"};
  {
    FakeDaemon daemon(command.socket, {R"({"error":{"kind":"unsupported","text":"no tracing"}})"},
                      501);
    EXPECT_EQ(run_it(command), ExitCode::failed);
    EXPECT_EQ(err.str(), "ankusctl: no tracing\n");
  }
  std::filesystem::remove(command.socket);
  FakeDaemon daemon(command.socket, {R"({"measuring": "yes", "left_s": {}})"});
  EXPECT_EQ(run_it(command), ExitCode::ok);
}

TEST_F(RunTest, SaysThatNoDaemonAnswers) {
  EXPECT_EQ(run_it({.verb = Verb::status, .socket = directory + "/none"}), ExitCode::unreachable);
  EXPECT_THAT(err.str(), HasSubstr("systemctl start ankusd"));
  EXPECT_EQ(run_it({.verb = Verb::watch, .socket = directory + "/none"}), ExitCode::unreachable);
}

}  // namespace
}  // namespace ankus::ctl
