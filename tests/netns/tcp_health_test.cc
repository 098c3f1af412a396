// SPDX-License-Identifier: Apache-2.0
// The statistics of TCP connections, against a known sender and against `ss`.
#include "sense/tcp_health.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "netns/daemon_support.h"
#include "netns/support.h"

namespace ankus {
namespace {

constexpr WorkloadId kWeb = 1, kServer = 2;
constexpr const char* kOne = "--routed --containers 'web:light'";

std::uint64_t netns_inode(const std::string& ns) {
  struct stat status{};
  EXPECT_EQ(stat(("/run/netns/" + ns).c_str(), &status), 0) << ns;
  return status.st_ino;
}

class Watched {
 public:
  explicit Watched(const Lab& lab, std::uint32_t one_in = 1) {
    auto programs = Programs::load({.max_flows = 1024});
    EXPECT_TRUE(programs) << programs.error().text;
    programs_ = std::make_unique<Programs>(std::move(*programs));
    auto sensor = TcpSensor::open(*programs_);
    EXPECT_TRUE(sensor) << sensor.error().text;
    sensor_ = std::make_unique<TcpSensor>(std::move(*sensor));
    EXPECT_TRUE(sensor_->set_namespace(netns_inode(lab.container("web")), kWeb));
    EXPECT_TRUE(sensor_->set_namespace(netns_inode(lab.server()), kServer));
    const auto done = sensor_->start(one_in);
    EXPECT_TRUE(done) << done.error().text;
  }
  TcpReading reading() const {
    const auto reading = sensor_->read();
    EXPECT_TRUE(reading) << reading.error().text;
    return reading.value_or(TcpReading{});
  }
  std::optional<TcpFlow> flow(std::uint16_t remote_port, WorkloadId owner = kWeb) const {
    for (const TcpFlow& flow : reading().flows)
      if (flow.owner == owner && flow.remote.port == remote_port) return flow;
    return std::nullopt;
  }
  TcpTotals totals(WorkloadId workload = kWeb) const {
    const auto all = sensor_->totals();
    EXPECT_TRUE(all) << all.error().text;
    if (all)
      for (const TcpTotals& totals : *all)
        if (totals.workload == workload) return totals;
    return {};
  }
  const TcpSensor& sensor() const { return *sensor_; }

 private:
  std::unique_ptr<Programs> programs_;
  std::unique_ptr<TcpSensor> sensor_;
};

/// A connection from the container to the server that the test itself moves bytes on.
struct Connection {
  UniqueFd listener, client, server;

  explicit Connection(const Lab& lab, std::uint16_t port, bool v6 = false) {
    sockaddr_storage address{};
    socklen_t length = 0;
    if (v6) {
      auto* to = reinterpret_cast<sockaddr_in6*>(&address);
      to->sin6_family = AF_INET6;
      to->sin6_port = htons(port);
      inet_pton(AF_INET6, "fd77::2", &to->sin6_addr);
      length = sizeof *to;
    } else {
      auto* to = reinterpret_cast<sockaddr_in*>(&address);
      to->sin_family = AF_INET;
      to->sin_port = htons(port);
      inet_pton(AF_INET, "10.77.0.2", &to->sin_addr);
      length = sizeof *to;
    }
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    const auto make = [&] {
      UniqueFd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      return fd;
    };
    in_namespace(lab.server(), [&] {
      listener = make();
      EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
      EXPECT_EQ(listen(listener.get(), 1), 0);
    });
    in_namespace(lab.container("web"), [&] {
      client = make();
      EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    });
    server.reset(accept(listener.get(), nullptr, nullptr));
    EXPECT_TRUE(server);
    setsockopt(server.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
};

void write_all(int fd, std::size_t bytes) {
  const std::vector<char> data(bytes, 'w');
  std::size_t sent = 0;
  while (sent < bytes) {
    const ssize_t now = send(fd, data.data() + sent, bytes - sent, MSG_NOSIGNAL);
    if (now <= 0) break;
    sent += static_cast<std::size_t>(now);
  }
  EXPECT_EQ(sent, bytes);
}
void read_all(int fd, std::size_t bytes) {
  std::vector<char> data(65536);
  std::size_t got = 0;
  while (got < bytes) {
    const ssize_t now = recv(fd, data.data(), std::min(data.size(), bytes - got), 0);
    if (now <= 0) break;
    got += static_cast<std::size_t>(now);
  }
  EXPECT_EQ(got, bytes);
}

/// "key:value" of the connection to `port` in `ss -tinm`; empty if it is not there.
std::string of_ss(const Lab& lab, std::uint16_t port, const std::string& key) {
  const std::string text = run("nsenter --net=/run/netns/" + lab.container("web") +
                               " ss -tinmH dport = :" + std::to_string(port))
                               .output;
  const auto at = text.find(" " + key + ":");
  if (at == std::string::npos) return {};
  const auto from = at + key.size() + 2;
  return text.substr(from, text.find_first_of(" \n", from) - from);
}

class TcpHealthOf : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
  }
};

TEST_F(TcpHealthOf, AKnownSenderIsCountedToTheByte) {
  for (const bool v6 : {false, true}) {
    Lab lab(kOne);
    Watched watched(lab);
    Connection connection(lab, 7001, v6);
    write_all(connection.client.get(), 300'000);
    read_all(connection.server.get(), 300'000);
    write_all(connection.server.get(), 70'000);
    read_all(connection.client.get(), 50'000);  // 20,000 stay unread
    // The last acknowledgement is on its way while the reader returns: until it is there.
    std::optional<TcpFlow> flow;
    for (int i = 0; i < 1000; ++i) {
      flow = watched.flow(7001);
      if (flow && flow->flight_packets == 0 && flow->received.count == 70'000) break;
      std::this_thread::sleep_for(milliseconds(5));
    }
    ASSERT_TRUE(flow);
    EXPECT_TRUE(flow->established);
    EXPECT_EQ(flow->written.count, 300'000U);
    EXPECT_EQ(flow->sent.count - flow->retransmitted.count, 300'000U);
    EXPECT_NEAR(static_cast<double>(flow->acknowledged.count), 300'000, 1) << "its SYN is a byte";
    EXPECT_EQ(flow->received.count, 70'000U);
    EXPECT_EQ(flow->read.count, 50'000U);
    EXPECT_EQ(flow->send_queue.count, 0U);
    EXPECT_GT(flow->send_queue_max.count, 10'000U);
    EXPECT_LE(flow->send_queue_max.count, 300'000U);
    EXPECT_GT(flow->rtt_samples, 2U);
    EXPECT_GT(flow->rtt_sum, nanoseconds(0));
    EXPECT_LT(flow->rtt_sum / static_cast<std::int64_t>(flow->rtt_samples), milliseconds(200));
    ASSERT_TRUE(flow->duration);
    EXPECT_LT(*flow->duration, seconds(60));

    EXPECT_EQ(watched.totals().opened, 1U);
    EXPECT_EQ(watched.totals().sent, flow->sent);
    EXPECT_EQ(watched.totals().received.count, 70'000U);
    EXPECT_EQ(watched.totals().closed, 0U);
  }
}

TEST_F(TcpHealthOf, WorkloadsAloneAreWhatTheyAreBesideConnections) {
  Lab lab(kOne);
  Watched watched(lab);
  std::vector<Connection> connections;
  for (std::uint16_t port = 7001; port < 7101; ++port) {  // more than are visited at a stretch
    connections.emplace_back(lab, port);
    write_all(connections.back().client.get(), 1000);
    read_all(connections.back().server.get(), 1000);
  }
  EXPECT_EQ(watched.totals().opened, 100U);
  EXPECT_EQ(watched.totals().sent.count - watched.totals().retransmitted.count, 100'000U);
  EXPECT_EQ(watched.reading().flows.size(), 200U);
  std::vector<TcpTotals> beside = watched.reading().totals;
  std::erase_if(beside, [](const TcpTotals& t) { return t.workload != kWeb; });
  ASSERT_EQ(beside.size(), 1U);
  EXPECT_EQ(beside.front(), watched.totals());
}

TEST_F(TcpHealthOf, WhatSsShowsIsWhatWeShow) {
  Lab lab(kOne);
  Watched watched(lab);
  Connection connection(lab, 7001);
  write_all(connection.client.get(), 500'000);
  read_all(connection.server.get(), 500'000);
  for (int i = 0; i < 1000 && watched.flow(7001)->flight_packets != 0; ++i)
    std::this_thread::sleep_for(milliseconds(5));
  const auto flow = watched.flow(7001);
  ASSERT_TRUE(flow);
  ASSERT_NE(of_ss(lab, 7001, "mss"), "") << "no ss here?";
  EXPECT_EQ(std::to_string(flow->mss.count), of_ss(lab, 7001, "mss"));
  EXPECT_EQ(std::to_string(flow->congestion_window), of_ss(lab, 7001, "cwnd"));
  EXPECT_EQ(std::to_string(flow->sent.count), of_ss(lab, 7001, "bytes_sent"));
  EXPECT_EQ(std::to_string(flow->acknowledged.count), of_ss(lab, 7001, "bytes_acked"));
  EXPECT_EQ(std::to_string(flow->segments_sent), of_ss(lab, 7001, "segs_out"));
  if (const std::string window = of_ss(lab, 7001, "snd_wnd"); !window.empty()) {
    EXPECT_EQ(std::to_string(flow->peer_window.count), window);
  }
  const std::string rtt = of_ss(lab, 7001, "rtt");  // "0.052/0.021", ms
  EXPECT_NEAR(std::stod(rtt), static_cast<double>(flow->smoothed_rtt.count()) / 1e6, 0.0011) << rtt;
}

TEST_F(TcpHealthOf, ASenderWithoutAnAnswerTimesOut) {
  Lab lab(kOne);
  Watched watched(lab);
  Connection connection(lab, 7001);
  ASSERT_EQ(run("nft add table ip lost; nft add chain ip lost c '{ type filter hook forward "
                "priority 0; }'; nft add rule ip lost c oifname up0 drop")
                .code,
            0);
  write_all(connection.client.get(), 5000);
  std::optional<TcpFlow> flow;
  for (int i = 0; i < 2000; ++i) {
    flow = watched.flow(7001);
    if (flow && flow->timeouts >= 2) break;
    std::this_thread::sleep_for(milliseconds(5));
  }
  ASSERT_TRUE(flow);
  EXPECT_GE(flow->timeouts, 2U);
  EXPECT_EQ(flow->fast_retransmits, 0U);
  EXPECT_GE(flow->retransmits, 2U);
  EXPECT_EQ(flow->send_queue.count, 5000U) << "written, and nobody has acknowledged it";
  EXPECT_GE(flow->flight_packets, 1U);
  EXPECT_EQ(flow->written.count, 5000U);
  EXPECT_GE(watched.totals().timeouts, 2U);
  EXPECT_GE(watched.totals().retransmits, 2U);
}

TEST_F(TcpHealthOf, ALostPacketAmongOthersIsRepairedFast) {
  Lab lab(kOne);
  Watched watched(lab);
  // Each 40th packet: with 30 in flight three duplicates come soon.
  ASSERT_EQ(run("nft add table ip drop40; nft add chain ip drop40 c '{ type filter hook forward "
                "priority 0; }'; nft add rule ip drop40 c oifname up0 meta length '> 500' numgen "
                "inc mod 40 == 39 drop")
                .code,
            0);
  Connection connection(lab, 7001);
  std::thread reader([&] { read_all(connection.server.get(), 3'000'000); });
  write_all(connection.client.get(), 3'000'000);
  reader.join();
  const auto flow = watched.flow(7001);
  ASSERT_TRUE(flow);
  EXPECT_GT(flow->fast_retransmits, 0U);
  EXPECT_GT(flow->retransmits, 0U);
  EXPECT_EQ(std::to_string(flow->retransmitted.count), of_ss(lab, 7001, "bytes_retrans"));
  EXPECT_EQ(flow->written.count, 3'000'000U);
}

TEST_F(TcpHealthOf, TotalsOutliveTheirConnections) {
  Lab lab(kOne);
  Watched watched(lab, 16);
  for (int i = 0; i < 5; ++i)
    ASSERT_NE(send_tcp(lab.container("web"), lab.server(), "10.77.0.2", 7001, 100'000), 0);
  TcpTotals totals;
  for (int i = 0; i < 1000; ++i) {
    totals = watched.totals();
    if (totals.closed == 5) break;
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(totals.opened, 5U);
  EXPECT_EQ(totals.closed, 5U);
  EXPECT_EQ(totals.sent.count - totals.retransmitted.count, 500'000U);
  EXPECT_EQ(watched.totals(kServer).received.count, 500'005U) << "each FIN is a byte";
}

TEST_F(TcpHealthOf, AReusedNumberInheritsNothing) {
  Lab lab(kOne);
  Watched watched(lab);
  const Connection of_the_former(lab, 7001);
  write_all(of_the_former.client.get(), 50'000);
  read_all(of_the_former.server.get(), 50'000);
  ASSERT_TRUE(watched.sensor().forget_workloads({kWeb}));
  EXPECT_EQ(watched.totals().sent.count, 0U);
  EXPECT_NE(watched.totals(kServer).received.count, 0U) << "others keep theirs";

  ASSERT_NE(send_tcp(lab.container("web"), lab.server(), "10.77.0.2", 7002, 10'000), 0);
  ASSERT_TRUE(eventually(seconds(5), [&] { return watched.totals().closed == 1; }));
  EXPECT_EQ(watched.totals().opened, 1U);
  EXPECT_EQ(watched.totals().sent.count - watched.totals().retransmitted.count, 10'000U);
}

TEST_F(TcpHealthOf, AnOlderConnectionIsCountedFromNowOn) {
  Lab lab(kOne);
  Connection connection(lab, 7001);
  write_all(connection.client.get(), 200'000);
  read_all(connection.server.get(), 200'000);
  Watched watched(lab);
  EXPECT_FALSE(watched.flow(7001)) << "nothing has come yet";
  write_all(connection.server.get(), 100);
  read_all(connection.client.get(), 100);
  write_all(connection.client.get(), 3000);
  read_all(connection.server.get(), 3000);
  const auto flow = watched.flow(7001);
  ASSERT_TRUE(flow);
  EXPECT_FALSE(flow->duration) << "nobody saw it begin";
  EXPECT_EQ(flow->written.count, 203'000U) << "the socket knows";
  EXPECT_EQ(watched.totals().sent.count, 3000U) << "what is older is no part of any window";
  EXPECT_EQ(watched.totals().opened, 0U);
}

TEST_F(TcpHealthOf, LoopbackIsNoNetwork) {
  Lab lab(kOne);
  Watched watched(lab);
  ASSERT_NE(send_tcp(lab.container("web"), lab.container("web"), "127.0.0.1", 7001, 100'000), 0);
  EXPECT_EQ(watched.totals().opened, 0U);
  for (const TcpFlow& flow : watched.reading().flows)  // others are this machine's
    EXPECT_NE(flow.owner, kWeb) << to_text(flow.remote);
}

}  // namespace
}  // namespace ankus
