// SPDX-License-Identifier: Apache-2.0
#include "daemon/control_server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/handle.h"

namespace ankus {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Groups that each Debian has, so that the test changes no group database.
constexpr const char* kReaders = "games";
constexpr const char* kChangers = "mail";
constexpr uid_t kNobody = 65534;

UniqueFd connect_to(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fd.reset();
  return fd;
}

std::string get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: ankus\r\n\r\n";
}
std::string post(const std::string& path, const std::string& body) {
  return "POST " + path +
         " HTTP/1.1\r\nHost: ankus\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

/// One client's side of a connection, driven by the test's own loop.
struct Client {
  UniqueFd fd;
  std::string to_send;
  std::string received;
  bool closed = false;

  void step() {
    if (!to_send.empty()) {
      const ssize_t sent = ::send(fd.get(), to_send.data(), to_send.size(), MSG_NOSIGNAL);
      if (sent > 0) to_send.erase(0, static_cast<std::size_t>(sent));
      if (sent < 0 && errno != EAGAIN) to_send.clear();
    }
    char block[65536];
    for (;;) {
      const ssize_t got = ::recv(fd.get(), block, sizeof block, 0);
      if (got > 0) {
        received.append(block, static_cast<std::size_t>(got));
        continue;
      }
      if (got == 0 || errno != EAGAIN) closed = true;
      return;
    }
  }
  int status() const { return received.size() < 12 ? 0 : std::stoi(received.substr(9, 3)); }
  json body() const {
    const auto start = received.find("\r\n\r\n");
    if (start == std::string::npos) return nullptr;
    return json::parse(received.substr(start + 4), nullptr, false);
  }
};

class ControlServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/ankus-socket-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name;
    ASSERT_EQ(::chmod(name.c_str(), 0755), 0);
    options.path = directory + "/control.sock";
    options.read_group = kReaders;
    options.change_group = kChangers;
  }
  void TearDown() override {
    server.reset();
    std::filesystem::remove_all(directory);
  }

  void start() {
    auto listening = ControlServer::listen(options, [this](const Request& request) {
      requests.push_back(request);
      return answer;
    });
    ASSERT_TRUE(listening) << listening.error().text;
    server = std::move(*listening);
  }

  /// The daemon's loop: waits on the server's epoll and on `fd` for at most what both need.
  void turn(int fd) {
    int wait = 50;
    if (const auto most = server->timeout()) wait = std::min<int>(wait, most->count());
    pollfd fds[] = {{.fd = server->epoll_fd(), .events = POLLIN, .revents = 0},
                    {.fd = fd, .events = POLLIN, .revents = 0}};
    (void)::poll(fds, 2, wait);
    server->run();
  }

  Client talk(const std::string& request) {
    Client client{.fd = connect_to(options.path), .to_send = request};
    EXPECT_TRUE(client.fd);
    for (int turns = 0; turns < 2000 && !client.closed; ++turns) {
      client.step();
      if (!client.closed) turn(client.fd.get());
    }
    EXPECT_TRUE(client.closed);
    return client;
  }

  /// Sends `request` from a child with this identity; the status of the reply, 0 if it could not
  /// even connect.
  int status_for(uid_t uid, std::vector<gid_t> groups, const std::string& request) {
    int pipe_ends[2];
    EXPECT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    UniqueFd from_child(pipe_ends[0]), to_parent(pipe_ends[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgroups(groups.size(), groups.data()) != 0 ||
          ::setresgid(kNobody, kNobody, kNobody) || ::setresuid(uid, uid, uid) != 0)
        ::_exit(2);
      Client client{.fd = connect_to(options.path), .to_send = request};
      while (client.fd && !client.closed) {
        pollfd wait{.fd = client.fd.get(), .events = POLLIN, .revents = 0};
        client.step();
        if (!client.closed) (void)::poll(&wait, 1, 50);
      }
      const int status = client.status();
      (void)!::write(to_parent.get(), &status, sizeof status);
      ::_exit(0);
    }
    to_parent.reset();
    int status = -1;
    EXPECT_EQ(::fcntl(from_child.get(), F_SETFL, O_NONBLOCK), 0);
    for (int turns = 0; turns < 2000; ++turns) {
      const ssize_t got = ::read(from_child.get(), &status, sizeof status);
      if (got >= 0 || errno != EAGAIN) break;
      turn(from_child.get());
    }
    int result = 0;
    EXPECT_EQ(::waitpid(child, &result, 0), child);
    EXPECT_EQ(result, 0);
    return status;
  }

  std::string directory;
  ControlServer::Options options;
  std::unique_ptr<ControlServer> server;
  std::vector<Request> requests;
  Reply answer{.body = {{"state", "fine"}}};
};

TEST_F(ControlServerTest, GivesTheHandlerAWholeRequestAndSendsItsReply) {
  start();
  const Client client = talk(post("/v1/apply", R"({"confirm_within_ms":60000})"));
  EXPECT_EQ(client.status(), 200);
  EXPECT_EQ(client.body(), (json{{"state", "fine"}}));
  EXPECT_THAT(client.received, HasSubstr("Ankus-Api: 1\r\n"));
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].verb, api::Verb::apply);
  EXPECT_EQ(requests[0].body, (json{{"confirm_within_ms", 60000}}));
  EXPECT_EQ(requests[0].caller.uid, ::getuid());
  EXPECT_EQ(requests[0].caller.pid, ::getpid());
  EXPECT_EQ(talk(get("/v1/history?limit=no%20way")).status(), 200);
  EXPECT_EQ(requests.at(1).query.at("limit"), "no way");
}

TEST_F(ControlServerTest, EveryRouteReachesItsVerb) {
  start();
  for (const api::Route& route : api::kRoutes) {
    requests.clear();
    const std::string path = std::string(route.path) + (route.path.ends_with('/') ? "p-1" : "");
    const Client client = talk(route.method == "GET" ? get(path) : post(path, ""));
    EXPECT_EQ(client.status(), 200) << path;
    ASSERT_EQ(requests.size(), 1u) << path;
    EXPECT_EQ(requests[0].verb, route.verb) << path;
    EXPECT_EQ(requests[0].id, route.path.ends_with('/') ? "p-1" : "") << path;
    EXPECT_EQ(requests[0].body, json::object()) << path;
  }
}

TEST_F(ControlServerTest, SendsMetricsAsText) {
  answer = {.text = "ankus_flows 3\n"};
  start();
  const Client client = talk(get("/metrics"));
  EXPECT_THAT(client.received, HasSubstr("Content-Type: text/plain"));
  EXPECT_THAT(client.received, ::testing::EndsWith("\r\n\r\nankus_flows 3\n"));
}

TEST_F(ControlServerTest, ReplacesBytesThatAreNoUtf8) {
  answer.body = {{"name", "web\xff"}};
  start();
  EXPECT_EQ(talk(get("/v1/status")).body(), (json{{"name", "web\xef\xbf\xbd"}}));
}

TEST_F(ControlServerTest, PermitsByUserAndGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become other users";
  start();
  const gid_t readers = ::getgrnam(kReaders)->gr_gid;
  const gid_t changers = ::getgrnam(kChangers)->gr_gid;
  const std::string read = get("/v1/status"), change = post("/v1/pause", "{}");

  EXPECT_EQ(status_for(0, {}, read), 200);
  EXPECT_EQ(status_for(0, {}, change), 200);
  EXPECT_EQ(status_for(kNobody, {readers}, read), 200);
  EXPECT_EQ(status_for(kNobody, {readers}, change), 403);
  EXPECT_EQ(status_for(kNobody, {readers, changers}, read), 200);
  EXPECT_EQ(status_for(kNobody, {readers, changers}, change), 200);
  // The file's mode stops everybody else before a byte is exchanged ...
  EXPECT_EQ(status_for(kNobody, {}, read), 0);
  // ... and if somebody opens it up, the check of each request still stands.
  ASSERT_EQ(::chmod(options.path.c_str(), 0666), 0);
  EXPECT_EQ(status_for(kNobody, {}, read), 403);
  EXPECT_EQ(status_for(kNobody, {}, change), 403);
  EXPECT_EQ(status_for(kNobody, {changers}, change), 200);
  EXPECT_EQ(requests.size(), 6u) << "a refused request reached the handler";
}

TEST_F(ControlServerTest, AGroupThatDoesNotExistPermitsNobody) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become other users";
  options.read_group = options.change_group = "no-such-group";
  start();
  ASSERT_EQ(::chmod(options.path.c_str(), 0666), 0);
  EXPECT_EQ(status_for(kNobody, {0}, get("/v1/status")), 403);
  EXPECT_EQ(status_for(0, {}, get("/v1/status")), 200);
}

TEST_F(ControlServerTest, TheSocketFileIsForOwnerAndGroupOnly) {
  start();
  struct stat status{};
  ASSERT_EQ(::lstat(options.path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give the socket to a group";
  EXPECT_EQ(status.st_mode & 07777, 0660u);
  EXPECT_EQ(status.st_gid, ::getgrnam(kReaders)->gr_gid);
}

TEST_F(ControlServerTest, RefusesABodyThatIsNestedTooDeeply) {
  start();
  const auto nested = [](std::size_t levels) {
    return post("/v1/opt-out",
                "{\"workload\":" + std::string(levels, '[') + std::string(levels, ']') + "}");
  };
  EXPECT_EQ(talk(nested(3)).status(), 200);  // the handler's matter
  const Client deep = talk(nested(50'000));
  EXPECT_EQ(deep.status(), 400);
  EXPECT_EQ(deep.body()["error"]["text"], "the request's body is nested too deeply");
  EXPECT_EQ(requests.size(), 1u);
}

TEST_F(ControlServerTest, NamesUnknownPathsAndMethods) {
  start();
  EXPECT_EQ(talk(get("/v2/status")).body()["error"]["kind"], "not_found");
  EXPECT_EQ(talk(get("/v1/explain/")).status(), 404);
  const Client client = talk(post("/v1/status", "{}"));
  EXPECT_EQ(client.status(), 405);
  EXPECT_EQ(client.body()["error"]["text"], "/v1/status does not know the method POST; use GET");
  EXPECT_TRUE(requests.empty());
}

TEST_F(ControlServerTest, RefusesWhatIsNotAJsonObject) {
  start();
  for (const std::string body : {"{\"a\":", "[1]", "17", "\xff", "{\"a\":1}}", "{'a':1}"}) {
    const Client client = talk(post("/v1/apply", body));
    EXPECT_EQ(client.status(), 400) << body;
    EXPECT_EQ(client.body()["error"]["kind"], "bad_request") << body;
  }
  EXPECT_EQ(talk(post("/v1/apply", std::string(60'000, '['))).status(), 400);
  EXPECT_TRUE(requests.empty());
}

TEST_F(ControlServerTest, RefusesFieldsThatTheRouteDoesNotKnow) {
  start();
  // Ignored, this would apply the loaded policies, and nobody would have to confirm it.
  const Client client = talk(post("/v1/apply", R"({"confirm_within":20000,"polcy_text":"x"})"));
  EXPECT_EQ(client.status(), 400);
  EXPECT_EQ(client.body()["error"]["kind"], "bad_request");
  EXPECT_EQ(client.body()["error"]["text"],
            "unknown field \"confirm_within\": POST /v1/apply knows confirm_within_ms, "
            "policy_text, policy_file");
  for (const api::Route& route : api::kRoutes) {
    if (route.method != "POST") continue;
    EXPECT_EQ(talk(post(std::string(route.path), R"({"nonsense":1})")).status(), 400) << route.path;
  }
  EXPECT_EQ(talk(post("/v1/apply?confirm_within_ms=20000", "{}")).status(), 400);
  EXPECT_TRUE(requests.empty());
}

TEST_F(ControlServerTest, RefusesALargeBody) {
  start();
  const std::string fits =
      "{\"policy_text\":\"" + std::string(options.body_limit - 18, 'x') + "\"}";
  ASSERT_EQ(fits.size(), options.body_limit);
  EXPECT_EQ(talk(post("/v1/apply", fits)).status(), 200);
  const Client announced = talk(post("/v1/apply", fits + " "));
  EXPECT_EQ(announced.status(), 413);
  EXPECT_EQ(announced.body()["error"]["kind"], "too_large");

  std::string chunked =
      "POST /v1/apply HTTP/1.1\r\nHost: ankus\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t i = 0; i <= options.body_limit / 0x4000; ++i)
    chunked += "4000\r\n" + std::string(0x4000, ' ') + "\r\n";
  EXPECT_EQ(talk(chunked + "0\r\n\r\n").status(), 413);
  EXPECT_EQ(requests.size(), 1u);
}

TEST_F(ControlServerTest, TakesTheLargestPolicyHoweverItIsEscaped) {
  start();
  const std::string policy(64 * 1024, '"');
  const Client client = talk(post("/v1/apply", json{{"policy_text", policy}}.dump()));
  EXPECT_EQ(client.status(), 200);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].body["policy_text"], policy);
}

TEST_F(ControlServerTest, HangsUpOnABodyWithoutEnd) {
  start();
  std::string endless =
      "POST /v1/apply HTTP/1.1\r\nHost: ankus\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 1000; ++i) endless += "4000\r\n" + std::string(0x4000, ' ') + "\r\n";
  EXPECT_EQ(talk(endless).status(), 0);
  EXPECT_EQ(talk(get("/v1/status")).status(), 200);
}

TEST_F(ControlServerTest, SurvivesWhatIsNotHttp) {
  start();
  for (const std::string& noise :
       {std::string("\0\0\0\0\r\n\r\n", 8), std::string("GET\r\n\r\n"), std::string(100'000, 'A'),
        std::string("GET /v1/status HTTP/9.9\r\n\r\n"),
        std::string("POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}"),
        "GET /" + std::string(40'000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    Client client{.fd = connect_to(options.path), .to_send = noise};
    for (int turns = 0; turns < 50 && !client.closed; ++turns) {
      client.step();
      turn(client.fd.get());
    }
    EXPECT_NE(client.status(), 200) << noise.substr(0, 40);
  }
  EXPECT_TRUE(requests.empty());
  EXPECT_EQ(talk(get("/v1/status")).status(), 200);
}

TEST_F(ControlServerTest, AClientThatNeverReadsBlocksNobody) {
  answer.body = {{"text", std::string(4 << 20, 'x')}};
  start();
  Client deaf{.fd = connect_to(options.path)};
  const std::string request = get("/v1/status");
  ASSERT_EQ(::send(deaf.fd.get(), request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  for (int turns = 0; turns < 20; ++turns) turn(-1);
  ASSERT_EQ(requests.size(), 1u);
  const Client other = talk(get("/v1/status"));
  EXPECT_EQ(other.body()["text"].get_ref<const std::string&>().size(), 4u << 20);
}

TEST_F(ControlServerTest, HangsUpOnATrickle) {
  options.total_limit = milliseconds(200);
  start();
  Client slow{.fd = connect_to(options.path), .to_send = "GET /v1/sta"};
  const SystemClock clock;
  const MonotonicTime start_time = clock.monotonic();
  while (!slow.closed && clock.monotonic() - start_time < seconds(10)) {
    slow.step();
    if (slow.to_send.empty()) slow.to_send = "x";
    turn(slow.fd.get());
  }
  EXPECT_TRUE(slow.closed);
  EXPECT_GE(clock.monotonic() - start_time, milliseconds(200));
  EXPECT_LT(clock.monotonic() - start_time, seconds(5));
}

TEST_F(ControlServerTest, HangsUpOnSilence) {
  options.idle_limit = seconds(1);
  start();
  Client silent{.fd = connect_to(options.path)};
  const SystemClock clock;
  const MonotonicTime start_time = clock.monotonic();
  while (!silent.closed && clock.monotonic() - start_time < seconds(10)) {
    silent.step();
    turn(silent.fd.get());
  }
  EXPECT_TRUE(silent.closed);
  EXPECT_LT(clock.monotonic() - start_time, seconds(5));
}

TEST_F(ControlServerTest, ServesAHundredClientsAtOnce) {
  start();
  std::vector<Client> clients;
  for (int i = 0; i < 100; ++i)
    clients.push_back({.fd = connect_to(options.path), .to_send = get("/v1/status")});
  for (const Client& client : clients) ASSERT_TRUE(client.fd);
  std::size_t served = 0;
  for (int turns = 0; turns < 2000 && served < clients.size(); ++turns) {
    turn(-1);
    served = 0;
    for (Client& client : clients) {
      if (!client.closed) client.step();
      served += client.closed && client.status() == 200;
    }
  }
  EXPECT_EQ(served, clients.size());
}

TEST_F(ControlServerTest, IdleClientsDelayOthersOnlyUntilTheirLimit) {
  options.idle_limit = seconds(1);
  start();
  std::vector<Client> idle;
  for (unsigned i = 0; i < options.clients; ++i) idle.push_back({.fd = connect_to(options.path)});
  EXPECT_EQ(talk(get("/v1/status")).status(), 200);
}

TEST_F(ControlServerTest, ReplacesASocketFileThatNobodyAnswersOn) {
  start();
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(options.path)) << "a clean end removes the file";
  {
    // As after kill -9: a bound socket whose process is gone.
    UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, options.path.data(), options.path.size());
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ASSERT_TRUE(std::filesystem::exists(options.path));
  start();
  EXPECT_EQ(talk(get("/v1/status")).status(), 200);
}

TEST_F(ControlServerTest, RefusesASecondDaemonAndLeavesTheFirstAlone) {
  start();
  const auto second = ControlServer::listen(options, [](const Request&) { return Reply{}; });
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().text, HasSubstr("another daemon"));
  EXPECT_EQ(talk(get("/v1/status")).status(), 200);
}

TEST_F(ControlServerTest, RefusesAPathOnWhichAStrangerAnswers) {
  UniqueFd stranger(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, options.path.data(), options.path.size());
  ASSERT_EQ(::bind(stranger.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(stranger.get(), 1), 0);
  const auto server = ControlServer::listen(options, [](const Request&) { return Reply{}; });
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().text, HasSubstr("another daemon answers there"));
}

TEST_F(ControlServerTest, NeverRemovesAFileThatIsNoSocket) {
  std::ofstream(options.path) << "precious";
  const auto server = ControlServer::listen(options, [](const Request&) { return Reply{}; });
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().text, HasSubstr("not a socket"));
  EXPECT_TRUE(std::filesystem::is_regular_file(options.path));
}

TEST_F(ControlServerTest, SaysThatItsDirectoryIsMissing) {
  options.path = directory + "/none/control.sock";
  const auto server = ControlServer::listen(options, [](const Request&) { return Reply{}; });
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().text, HasSubstr("its directory does not exist"));
}

TEST_F(ControlServerTest, RefusesAPathThatDoesNotFit) {
  options.path = directory + "/" + std::string(120, 'x');
  const auto server = ControlServer::listen(options, [](const Request&) { return Reply{}; });
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().text, HasSubstr("a path of 1 to 107 bytes"));
}

TEST_F(ControlServerTest, LeavesTheSocketOfASuccessor) {
  start();
  ASSERT_EQ(::rename(options.path.c_str(), (options.path + ".old").c_str()), 0);
  UniqueFd successor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, options.path.data(), options.path.size());
  ASSERT_EQ(::bind(successor.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            0);
  server.reset();
  EXPECT_TRUE(std::filesystem::exists(options.path));
}

}  // namespace
}  // namespace ankus
