// SPDX-License-Identifier: Apache-2.0
#include "ctl/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace ankus::ctl {
namespace {

using ::testing::HasSubstr;

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

TEST(Answer, NothingToDoIsNoFailure) {
  EXPECT_EQ(answer_of({.verb = Verb::apply}, reply(200, R"({"state":"unchanged"})"), {}),
            (Answer{.out = "nothing to do\n"}));
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

class RunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/ankus-run-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  std::string file(const std::string& text) {
    const std::string path = directory + "/policy.toml";
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
  EXPECT_EQ(run_it({.verb = Verb::check, .socket = "/nonexistent", .policy = path}), ExitCode::ok)
      << err.str();
  EXPECT_EQ(out.str(), path +
                           ": good: mode advise, 0 links, 1 rule\n"
                           "  \"mice first\" on eth0: guarantee 60%, limit 100%, priority 3\n");
}

TEST_F(RunTest, CheckSaysWhereAPolicyIsWrong) {
  const std::string path = file("[link.eth0]\nrate = 200\n");
  EXPECT_EQ(run_it({.verb = Verb::check, .policy = path}), ExitCode::usage);
  EXPECT_EQ(out.str(), "");
  EXPECT_THAT(err.str(), HasSubstr(path + ":2:"));
  EXPECT_THAT(err.str(), HasSubstr("link.eth0.rate"));
}

TEST_F(RunTest, CheckAsJsonListsTheErrors) {
  const std::string path = file("[link.eth0]\nrate = 200\n");
  EXPECT_EQ(run_it({.verb = Verb::check, .json = true, .policy = path}), ExitCode::usage);
  EXPECT_THAT(out.str(), HasSubstr("\"line\": 2"));
  EXPECT_THAT(out.str(), HasSubstr("\"ok\": false"));
}

TEST_F(RunTest, APolicyFileThatOthersMayWriteIsNotSent) {
  const std::string path = file("");
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  EXPECT_EQ(run_it({.verb = Verb::apply, .socket = "/nonexistent", .policy = path}),
            ExitCode::usage);
  EXPECT_THAT(err.str(), HasSubstr("can be written by others"));
}

TEST_F(RunTest, SaysThatNoDaemonAnswers) {
  EXPECT_EQ(run_it({.verb = Verb::status, .socket = directory + "/none"}), ExitCode::unreachable);
  EXPECT_THAT(err.str(), HasSubstr("systemctl start ankusd"));
  EXPECT_EQ(run_it({.verb = Verb::watch, .socket = directory + "/none"}), ExitCode::unreachable);
}

}  // namespace
}  // namespace ankus::ctl
