// SPDX-License-Identifier: Apache-2.0
// Server and clients against each other over loopback: what is counted is what was sent.
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <cstring>
#include <numeric>
#include <set>
#include <thread>

#include "lab/traffic_bulk.h"
#include "lab/traffic_mice.h"
#include "lab/traffic_replay.h"
#include "lab/traffic_server.h"
#include "lab/traffic_wire.h"

namespace ankus::traffic {

namespace {

constexpr std::uint16_t port = 5000;

// Nothing of these tests leaves a network namespace of their own, with only a loopback in it.
Result<> enter_own_network() {
  static bool entered = false;
  if (entered) return {};
  if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
    return fail_errno("unshare(CLONE_NEWNET), with and without CLONE_NEWUSER");
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return fail_errno("lo up");
  entered = true;
  return {};
}

class Loopback : public testing::Test {
 protected:
  void SetUp() override {
    if (auto entered = enter_own_network(); !entered) GTEST_SKIP() << entered.error().text;
    auto server = Server::open({.port = port, .udp = true, .congestion = ""});
    ASSERT_TRUE(server) << server.error().text;
    server_ = std::move(*server);
    thread_ = std::jthread([this](std::stop_token token) {
      while (!token.stop_requested()) (void)server_->run_until(monotonic_now() + milliseconds(20));
    });
  }
  void TearDown() override {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

  Dial to(std::string host, Transport transport = Transport::tcp) const {
    return {.to = *parse_endpoint(host + ":" + std::to_string(port)),
            .transport = transport,
            .congestion = ""};
  }

  std::unique_ptr<Server> server_;
  std::jthread thread_;
};

}  // namespace

TEST_F(Loopback, StampsOfBothEndsAreTheWaysThere) {
  for (const Transport transport : {Transport::tcp, Transport::udp}) {
    const auto report = run_mice({.dial = to("127.0.0.1", transport),
                                  .connections = 2,
                                  .rate = 500,
                                  .bytes = 20'000,
                                  .stamps = true,
                                  .timing = {.seconds = 0.2}});
    ASSERT_TRUE(report) << report.error().text;
    ASSERT_EQ(report->there.size(), report->samples.size());
    ASSERT_EQ(report->back.size(), report->samples.size());
    for (std::size_t i = 0; i < report->samples.size(); ++i) {
      EXPECT_GT(report->there[i].count(), 0);
      EXPECT_GT(report->back[i].count(), 0);
      EXPECT_LE(report->there[i] + report->back[i], report->samples[i])
          << "the rest is the server's and the wait for our turn to send";
    }
  }
}

TEST_F(Loopback, EachMouseIsAnsweredOverEachTransportAndFamily) {
  for (const char* host : {"127.0.0.1", "[::1]"})
    for (const Transport transport : {Transport::tcp, Transport::udp})
      for (const MouseLife life : {MouseLife::keep_alive, MouseLife::per_request}) {
        const auto report = run_mice({.dial = to(host, transport),
                                      .connections = 4,
                                      .rate = 500,
                                      .life = life,
                                      .timing = {.seconds = 0.2}});
        ASSERT_TRUE(report) << report.error().text;
        EXPECT_GT(report->requests, 50u);
        EXPECT_EQ(report->latency.count, report->requests);
        EXPECT_EQ(report->errors + report->unanswered, 0u);
        EXPECT_GT(report->latency.p50, nanoseconds(0));
      }
}

TEST_F(Loopback, ASlowServerIsSlowUntilItIsNotAnyMore) {
  for (const Transport transport : {Transport::tcp, Transport::udp}) {
    const auto median = [&] {
      const auto report = run_mice({.dial = to("127.0.0.1", transport),
                                    .connections = 2,
                                    .rate = 50,
                                    .timing = {.seconds = 0.4}});
      return report ? report->latency.p50 : nanoseconds(-1);
    };
    server_->slow_down(milliseconds(5));
    EXPECT_GE(median(), milliseconds(5));
    server_->slow_down(nanoseconds(0));
    EXPECT_LT(median(), milliseconds(5));
  }
}

TEST_F(Loopback, AMouseMayBeLargerThanASocketBuffer) {
  const auto report = run_mice({.dial = to("127.0.0.1"),
                                .connections = 2,
                                .rate = 20,
                                .bytes = 3'000'000,
                                .timing = {.seconds = 0.3}});
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->errors + report->unanswered, 0u);
}

TEST_F(Loopback, ReplayTruthHoldsTheDrawnSizesAndDistinctPorts) {
  const SizeTable hadoop = *find_size_table("hadoop");
  const auto flows = run_replay(
      {.dial = to("127.0.0.1"), .table = hadoop, .flows = 50, .seed = 5, .timeout_seconds = 20});
  ASSERT_TRUE(flows) << flows.error().text;
  ASSERT_EQ(flows->size(), 50u);
  const auto sizes = draw_sizes(hadoop, 50, 5);
  std::uint64_t sent = 0;
  for (const FlowTruth& flow : *flows) {
    sent += flow.bytes;
    EXPECT_LT(flow.start, flow.end);
    EXPECT_TRUE(to_text(flow.local).starts_with("127.0.0.1:"));
  }
  EXPECT_EQ(sent, std::accumulate(sizes.begin(), sizes.end(), 0ull));
  const auto json = to_json(*flows, 100'000);
  EXPECT_EQ(
      json["bytes_below"].get<std::uint64_t>() + json["bytes_at_or_above"].get<std::uint64_t>(),
      sent);
}

TEST_F(Loopback, BulkCountsBothDirectionsAndRestartsFlows) {
  for (const Direction direction : {Direction::upload, Direction::download}) {
    const auto report = run_bulk({.dial = to("127.0.0.1"),
                                  .flows = 2,
                                  .bytes_per_flow = 100'000,
                                  .direction = direction,
                                  .timing = {.seconds = 0.2}});
    ASSERT_TRUE(report) << report.error().text;
    EXPECT_GT(report->flows_finished, 2u);
    EXPECT_EQ(report->errors, 0u);
    // Each finished flow moved its bytes, and the two unfinished ones at most theirs.
    EXPECT_GE(report->bytes, (report->flows_finished - 2) * 100'000);
    EXPECT_LE(report->bytes, (report->flows_finished + 3) * 100'100);
  }
}

TEST_F(Loopback, BulkSaysWhatEachFlowMoved) {
  for (const Direction direction : {Direction::upload, Direction::download}) {
    const auto report = run_bulk(
        {.dial = to("127.0.0.1"), .flows = 3, .direction = direction, .timing = {.seconds = 0.2}});
    ASSERT_TRUE(report) << report.error().text;
    std::set<std::string> locals;
    std::uint64_t bytes = 0;
    for (const FlowMoved& flow : report->moved) {
      EXPECT_TRUE(flow.local.starts_with("127.0.0.1:")) << flow.local;
      locals.insert(flow.local);
      bytes += flow.bytes;
    }
    EXPECT_EQ(locals.size(), 3u) << "each flow has a port of its own";
    EXPECT_EQ(report->moved.size(), 3u);
    EXPECT_GE(bytes, report->bytes) << "the measured time is a part of the whole";
  }
}

TEST_F(Loopback, TheServerCountsDatagrams) {
  const auto report = run_bulk({.dial = to("127.0.0.1", Transport::udp),
                                .flows = 2,
                                .udp_rate = {20'000'000},
                                .timing = {.seconds = 0.2}});
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_LE(report->bytes, report->datagrams_sent * 1400);
  EXPECT_GE(report->bytes, report->datagrams_sent * 1400 * 8 / 10);
}

TEST_F(Loopback, DatagramsComeFromThePortsThatWereAskedFor) {
  BulkOptions options{.dial = to("127.0.0.1", Transport::udp),
                      .udp_rate = {20'000'000},
                      .from_ports = {20'001, 20'003},
                      .timing = {.seconds = 0.1}};
  const auto report = run_bulk(options);
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->flows_started, 2u);
  auto taken = options.dial;
  taken.from_port = 20'003;
  const auto other = dial(taken);
  ASSERT_TRUE(other) << other.error().text;
  const auto refused = run_bulk(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text, "bind to port 20003: Address already in use");
}

TEST_F(Loopback, AStrangersBytesEndTheConnectionAndHarmNobody) {
  auto fd = dial(to("127.0.0.1"));
  ASSERT_TRUE(fd);
  pollfd ready{.fd = fd->get(), .events = POLLOUT};
  ASSERT_EQ(poll(&ready, 1, 2000), 1);
  const std::string text = "GET / HTTP/1.1\r\nHost: somewhere.example\r\nAccept: */*\r\n\r\n";
  ASSERT_EQ(send(fd->get(), text.data(), text.size(), MSG_NOSIGNAL), ssize_t(text.size()));
  ready.events = POLLIN;
  ASSERT_EQ(poll(&ready, 1, 2000), 1);
  char byte;
  EXPECT_LE(recv(fd->get(), &byte, 1, 0), 0);
  EXPECT_TRUE(run_mice({.dial = to("127.0.0.1"), .connections = 1, .timing = {.seconds = 0.1}}));
}

TEST(Traffic, NobodyListeningIsAnErrorThatSaysSo) {
  if (auto entered = enter_own_network(); !entered) GTEST_SKIP() << entered.error().text;
  const Dial nobody{.to = *parse_endpoint("127.0.0.1:" + std::to_string(port)), .congestion = ""};
  const auto bulk = run_bulk({.dial = nobody, .timing = {.seconds = 0.1}});
  ASSERT_FALSE(bulk);
  EXPECT_NE(bulk.error().text.find("Connection refused"), std::string::npos) << bulk.error().text;
  const auto mice = run_mice(
      {.dial = nobody, .rate = 500, .life = MouseLife::per_request, .timing = {.seconds = 0.1}});
  ASSERT_FALSE(mice);
  EXPECT_NE(mice.error().text.find("Connection refused"), std::string::npos) << mice.error().text;
  EXPECT_FALSE(run_replay(
      {.dial = nobody, .table = *find_size_table("hadoop"), .flows = 1, .timeout_seconds = 1}));
}

TEST(Traffic, AStartInThePastIsRefused) {
  const auto schedule = make_schedule({.start_epoch_ns = 1'700'000'000'000'000'000});
  ASSERT_FALSE(schedule);
  EXPECT_EQ(schedule.error().kind, ErrorKind::invalid);
}

}  // namespace ankus::traffic
