// SPDX-License-Identifier: Apache-2.0
#include "ctl/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "base/handle.h"

namespace ankus::ctl {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string_view bytes) {
  const auto reply = parse_http_reply(bytes);
  return reply ? "parsed" : reply.error().text;
}

TEST(HttpRequest, HasALengthIfItHasABody) {
  EXPECT_EQ(http_request("GET", "/v1/status", ""),
            "GET /v1/status HTTP/1.1\r\nHost: ankus\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(http_request("POST", "/v1/pause", "{}"),
            "POST /v1/pause HTTP/1.1\r\nHost: ankus\r\nConnection: close\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
}

TEST(HttpReply, IsParsedByItsLength) {
  const auto reply =
      parse_http_reply("HTTP/1.1 404 Not Found\r\nAnkus-Api: 1\r\nContent-Length: 2\r\n\r\n{}xx");
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, (HttpReply{.status = 404,
                               .headers = {{"ankus-api", "1"}, {"content-length", "2"}},
                               .body = "{}"}));
}

TEST(HttpReply, IsParsedToTheEndWithoutALength) {
  const auto reply = parse_http_reply("HTTP/1.0 200 OK\r\n\r\nall of it");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "all of it");
}

TEST(HttpReply, IsParsedFromChunks) {
  const auto reply = parse_http_reply(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "4;x=y\r\nab\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "ab\r\n0123456789");
}

TEST(HttpReply, MayFollowAContinue) {
  const auto reply = parse_http_reply("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "x");
}

TEST(HttpReply, CutAnywhereIsAnError) {
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n";
  const std::string counted = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  for (const std::string& whole : {chunked, counted}) {
    EXPECT_EQ(error_of(whole), "parsed");
    for (std::size_t length = 0; length < whole.size(); ++length)
      EXPECT_NE(error_of(whole.substr(0, length)), "parsed") << whole.substr(0, length);
  }
}

TEST(HttpReply, ThatMakesNoSenseIsAnError) {
  EXPECT_EQ(error_of("SSH-2.0-OpenSSH\r\n"), "what answers does not speak HTTP");
  EXPECT_EQ(error_of("HTTP/1.1 abc OK\r\n\r\n"), "the reply has no status");
  EXPECT_EQ(error_of("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
            "the reply has a header without a colon");
  EXPECT_EQ(error_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx"),
            "the reply ends within a chunk");
  EXPECT_EQ(error_of("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
            "the reply is shorter than it says");
}

TEST(PercentEncoding, LeavesNothingThatEndsAPath) {
  EXPECT_EQ(percent_encoded("web-1_a.b~c"), "web-1_a.b~c");
  EXPECT_EQ(percent_encoded("a/b?c d\r\n\xc3\xa9"), "a%2Fb%3Fc%20d%0D%0A%C3%A9");
}

class CallTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/ankus-call-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name;
    path = directory + "/socket";
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  UniqueFd bound() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  std::string directory, path;
};

TEST_F(CallTest, TellsHowToStartADaemonThatIsNotThere) {
  const auto missing = call(path, "x", seconds(1));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().failure, CallFailure::no_daemon);
  EXPECT_THAT(missing.error().text, HasSubstr("systemctl start ankusd"));
  const UniqueFd stale = bound();  // bound, but nobody listens: as after a crash
  const auto refused = call(path, "x", seconds(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().failure, CallFailure::no_daemon);
}

TEST_F(CallTest, GivesUpOnADaemonThatDoesNotAnswer) {
  const UniqueFd listener = bound();
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const auto reply = call(path, "x", seconds(1));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().failure, CallFailure::broken);
  EXPECT_EQ(reply.error().text, "ankusd did not answer within 1 s");
}

TEST_F(CallTest, ReadsTheAnswerOfAServerThatHangsUpEarly) {
  const UniqueFd listener = bound();
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  std::thread server([&] {
    const UniqueFd peer(::accept(listener.get(), nullptr, nullptr));
    char first;
    EXPECT_EQ(::recv(peer.get(), &first, 1, 0), 1);
    const std::string reply = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}";
    EXPECT_EQ(::send(peer.get(), reply.data(), reply.size(), 0),
              static_cast<ssize_t>(reply.size()));
  });
  const auto reply = call(path, std::string(4 << 20, 'x'), seconds(10));
  server.join();
  ASSERT_TRUE(reply) << reply.error().text;
  EXPECT_EQ(reply->status, 413);
}

TEST_F(CallTest, SaysThatTheDaemonHungUp) {
  const UniqueFd listener = bound();
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  std::thread server([&] {
    const UniqueFd peer(::accept(listener.get(), nullptr, nullptr));
    char block[100];
    EXPECT_EQ(::recv(peer.get(), block, sizeof block, 0), 4);
  });
  const auto reply = call(path, "1234", seconds(10));
  server.join();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().text, "ankusd hung up without an answer");
}

}  // namespace
}  // namespace ankus::ctl
