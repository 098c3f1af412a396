// SPDX-License-Identifier: Apache-2.0
// What the host adds to a container's packets, against delays that the test itself makes.
#include "sense/latency.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "kernel/netlink.h"
#include "netns/support.h"
#include "netns/vm_at_tap.h"
#include "sense/flow_table.h"

namespace ankus {
namespace {

using std::chrono::microseconds;
using Segment = LatencySegment;

constexpr WorkloadId kWeb = 1, kBackup = 2;
constexpr const char* kTwo = " --containers 'web:light backup:heavy'";

/// The sensor on a lab's host, with two containers whose owners are 1 and 2.
class Measured {
 public:
  explicit Measured(const Lab& lab, std::uint32_t max_packets = 16384) {
    auto programs = Programs::load({.max_flows = 1024});
    EXPECT_TRUE(programs) << programs.error().text;
    programs_ = std::make_unique<Programs>(std::move(*programs));
    auto table = FlowTable::open(*programs_);
    EXPECT_TRUE(table) << table.error().text;
    table_ = std::make_unique<FlowTable>(std::move(*table));
    EXPECT_TRUE(table_->set_device({.ifindex = lab.ifindex("up0"), .uplink = true}));
    EXPECT_TRUE(table_->set_device({.ifindex = lab.ifindex("v-web"), .owner = kWeb}));
    EXPECT_TRUE(table_->set_device({.ifindex = lab.ifindex("v-backup"), .owner = kBackup}));
    auto sensor = LatencySensor::open(
        *programs_, {.max_packets = max_packets, .netns_cookie = own_netns_cookie().value_or(0)});
    EXPECT_TRUE(sensor) << sensor.error().text;
    sensor_ = std::make_unique<LatencySensor>(std::move(*sensor));
  }

  LatencySensor& sensor() { return *sensor_; }
  const FlowTable& table() const { return *table_; }
  void begin(std::uint32_t one_in = 1, nanoseconds length = seconds(60)) {
    const auto done = sensor_->begin(length, one_in);
    EXPECT_TRUE(done) << done.error().text;
  }
  LatencyReading reading() const {
    const auto reading = sensor_->read();
    EXPECT_TRUE(reading);
    return *reading;
  }
  std::uint64_t on_the_way() const {
    const auto packets = sensor_->on_the_way();
    EXPECT_TRUE(packets);
    return packets.value_or(0);
  }
  SegmentLatency of(Segment segment, WorkloadId workload = kWeb) const {
    for (const SegmentLatency& found : reading().segments)
      if (found.workload == workload && found.segment == segment) return found;
    return {.workload = workload, .segment = segment};
  }

 private:
  std::unique_ptr<Programs> programs_;
  std::unique_ptr<FlowTable> table_;
  std::unique_ptr<LatencySensor> sensor_;
};

std::string describe(const LatencyReading& reading) {
  std::string text;
  for (const SegmentLatency& s : reading.segments)
    text += "  " + std::to_string(s.workload) + " " + info_of(s.segment).name + ": " +
            std::to_string(s.coverage.measured) + " of " + std::to_string(s.coverage.packets) +
            ", dropped " + std::to_string(s.dropped) + ", merged " + std::to_string(s.merged) +
            ", split " + std::to_string(s.split) + ", p50 " +
            to_text(quantile(s.histogram, 0.5).value_or(nanoseconds(0))) + ", max " +
            to_text(s.max) + "\n";
  text += "  sampled " + std::to_string(reading.sampled) + ", no room " +
          std::to_string(reading.no_room) + ", vanished " + std::to_string(reading.vanished) +
          ", events " + std::to_string(reading.cost.events) + " of " +
          to_text(reading.cost.per_event) + "\n";
  return text;
}

/// A datagram socket in a namespace, bound and, if there is a peer, connected.
UniqueFd datagrams(const std::string& ns, const std::string& own, std::uint16_t port,
                   const std::string& peer = {}, std::uint16_t peer_port = 0) {
  UniqueFd fd;
  in_namespace(ns, [&] {
    const bool v6 = own.find(':') != std::string::npos;
    const auto fill = [&](sockaddr_storage& storage, const std::string& text,
                          std::uint16_t number) {
      if (v6) {
        auto* to = reinterpret_cast<sockaddr_in6*>(&storage);
        to->sin6_family = AF_INET6;
        to->sin6_port = htons(number);
        inet_pton(AF_INET6, text.c_str(), &to->sin6_addr);
        return socklen_t{sizeof *to};
      }
      auto* to = reinterpret_cast<sockaddr_in*>(&storage);
      to->sin_family = AF_INET;
      to->sin_port = htons(number);
      inet_pton(AF_INET, text.c_str(), &to->sin_addr);
      return socklen_t{sizeof *to};
    };
    fd.reset(socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_storage address{};
    socklen_t length = fill(address, own, port);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0) << own;
    if (peer.empty()) return;
    length = fill(address, peer, peer_port);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0) << peer;
  });
  return fd;
}

/// Sends `count` datagrams at once.
void burst(int fd, int count, std::size_t size) {
  const std::vector<char> data(size, 'b');
  for (int i = 0; i < count; ++i)
    EXPECT_EQ(send(fd, data.data(), data.size(), 0), static_cast<ssize_t>(data.size()));
}
int receive(int fd, int count) {
  std::array<char, 2048> buffer;
  int got = 0;
  while (got < count && recv(fd, buffer.data(), buffer.size(), 0) > 0) ++got;
  return got;
}

class Latency : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
  }
};

// 8 Mbit/s: a datagram of 1,000 bytes is on the wire for 1.04 ms, so the last of twenty waits for
// the other nineteen, less the two that the bucket lets pass.
TEST_F(Latency, TheWaitInTheUplinksQueueIsTheQdiscs) {
  Lab lab("--routed" + std::string(kTwo));
  ASSERT_EQ(run("tc qdisc add dev up0 root tbf rate 8mbit burst 2200 limit 100000").code, 0);
  Measured measured(lab);
  const UniqueFd server = datagrams(lab.server(), "10.77.0.2", 7001);
  const UniqueFd client = datagrams(lab.container("web"), "0.0.0.0", 7000, "10.77.0.2", 7001);
  measured.begin();
  burst(client.get(), 20, 1000);
  ASSERT_EQ(receive(server.get(), 20), 20);
  measured.sensor().end();

  const SegmentLatency qdisc = measured.of(Segment::qdisc), host = measured.of(Segment::host_out),
                       all = measured.of(Segment::out);
  const std::string text = describe(measured.reading());
  EXPECT_EQ(qdisc.coverage, (Coverage{.measured = 20, .packets = 20})) << text;
  EXPECT_GT(qdisc.max, milliseconds(15)) << text;
  EXPECT_LT(qdisc.max, milliseconds(100)) << text;
  EXPECT_GT(*quantile(qdisc.histogram, 0.5), milliseconds(6)) << text;
  EXPECT_EQ(host.coverage, qdisc.coverage) << text;
  EXPECT_LT(*quantile(host.histogram, 0.5), milliseconds(1)) << "not the host's fault\n" << text;
  EXPECT_EQ(all.coverage, qdisc.coverage) << text;
  EXPECT_GE(all.sum, qdisc.sum) << text;
  EXPECT_LT(measured.on_the_way(), 5U) << "none of ours, but neighbours' may be\n" << text;
}

TEST_F(Latency, AReaderThatSleepsIsNotThePathsFault) {
  Lab lab("--routed" + std::string(kTwo));
  Measured measured(lab);
  const std::string web = lab.value("LAB_C_web_ADDR4");
  const UniqueFd client = datagrams(lab.container("web"), web, 7000, "10.77.0.2", 7001);
  const UniqueFd server = datagrams(lab.server(), "10.77.0.2", 7001);
  measured.begin();
  burst(client.get(), 1, 10);  // opens the way back through NAT
  std::array<char, 64> buffer;
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  ASSERT_EQ(recvfrom(server.get(), buffer.data(), buffer.size(), 0,
                     reinterpret_cast<sockaddr*>(&peer), &length),
            10);
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(sendto(server.get(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&peer), length), 6);
  std::this_thread::sleep_for(milliseconds(80));  // the known wait
  ASSERT_EQ(receive(client.get(), 5), 5);
  measured.sensor().end();

  const std::string text = describe(measured.reading());
  const SegmentLatency path = measured.of(Segment::host_in), read = measured.of(Segment::read),
                       both = measured.of(Segment::stack_and_read);
  EXPECT_EQ(path.coverage, (Coverage{.measured = 5, .packets = 5})) << text;
  EXPECT_LT(*quantile(path.histogram, 0.5), milliseconds(20)) << text;
  EXPECT_EQ(read.coverage.measured + both.coverage.measured, 5U) << text;
  Histogram waits = read.histogram;
  waits += both.histogram;
  EXPECT_GT(*quantile(waits, 0.01), milliseconds(60)) << "a bucket is up to a quarter wide\n"
                                                      << text;
  EXPECT_LT(*quantile(waits, 0.5), milliseconds(300)) << text;
}

/// An echo request by a raw socket, as ping sends it, and its answer: the round trips that came
/// back.
int ping(const std::string& ns, const std::string& address, int count) {
  int answered = 0;
  in_namespace(ns, [&] {
    const bool v6 = address.find(':') != std::string::npos;
    const UniqueFd fd(
        socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC,
               v6 ? static_cast<int>(IPPROTO_ICMPV6) : static_cast<int>(IPPROTO_ICMP)));
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_storage to{};
    socklen_t length = 0;
    if (v6) {
      auto* at = reinterpret_cast<sockaddr_in6*>(&to);
      at->sin6_family = AF_INET6;
      inet_pton(AF_INET6, address.c_str(), &at->sin6_addr);
      length = sizeof *at;
    } else {
      auto* at = reinterpret_cast<sockaddr_in*>(&to);
      at->sin_family = AF_INET;
      inet_pton(AF_INET, address.c_str(), &at->sin_addr);
      length = sizeof *at;
    }
    const std::uint8_t request = v6 ? 128 : 8, answer = v6 ? 129 : 0;
    for (int i = 0; i < count; ++i) {
      std::array<std::uint8_t, 64> packet{};
      packet[0] = request;
      packet[4] = 0x12;  // id
      packet[7] = static_cast<std::uint8_t>(i);
      if (!v6) {  // the kernel sums ICMPv6 itself (RFC 3542, 3.1)
        std::uint32_t sum = 0;
        for (std::size_t k = 0; k < packet.size(); k += 2)
          sum += static_cast<std::uint32_t>(packet[k] << 8 | packet[k + 1]);
        sum = (sum & 0xffff) + (sum >> 16);
        packet[2] = static_cast<std::uint8_t>(~sum >> 8);
        packet[3] = static_cast<std::uint8_t>(~sum);
      }
      sendto(fd.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&to), length);
      std::array<std::uint8_t, 512> got;
      while (recv(fd.get(), got.data(), got.size(), 0) > 0)
        if (got[v6 ? 0 : 20] == answer) {
          ++answered;
          break;
        }
    }
  });
  return answered;
}

struct Case {
  std::string name, options, server;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class LatencyOf : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
  }
  void expect_all(const Measured& measured, std::initializer_list<Segment> segments,
                  std::uint64_t at_least) {
    for (const Segment segment : segments) {
      const SegmentLatency latency = measured.of(segment);
      EXPECT_EQ(latency.coverage.measured, latency.coverage.packets)
          << info_of(segment).name << "\n"
          << describe(measured.reading());
      EXPECT_GE(latency.coverage.measured, at_least) << info_of(segment).name << "\n"
                                                     << describe(measured.reading());
    }
  }
  /// Arrived and read: in two segments or, where nothing fires at the socket, in one.
  void expect_read(const Measured& measured, std::uint64_t at_least) {
    const Coverage read = measured.of(Segment::read).coverage,
                   both = measured.of(Segment::stack_and_read).coverage;
    EXPECT_EQ(read.measured, read.packets) << describe(measured.reading());
    EXPECT_GE(read.measured + both.measured, at_least) << describe(measured.reading());
  }
};

constexpr auto kWay = {Segment::host_in, Segment::container_out, Segment::host_out, Segment::qdisc,
                       Segment::out};

TEST_P(LatencyOf, UdpIsMeasuredPacketByPacket) {
  Lab lab(GetParam().options + kTwo);
  Measured measured(lab);
  measured.begin();
  ASSERT_NE(send_udp(lab.container("web"), lab.server(), GetParam().server, 7003, 50, 200, 50), 0);
  measured.sensor().end();
  expect_all(measured, kWay, 50);
  expect_read(measured, 50);
  EXPECT_EQ(measured.of(Segment::host_out, kBackup).coverage.packets, 0U)
      << "that one was silent\n"
      << describe(measured.reading());
}

TEST_P(LatencyOf, TcpIsMeasuredPacketByPacket) {
  Lab lab(GetParam().options + kTwo);
  Measured measured(lab);
  measured.begin();
  ASSERT_NE(send_tcp(lab.container("web"), lab.server(), GetParam().server, 7001, 3'000'000), 0);
  measured.sensor().end();
  expect_all(measured, kWay, 10);
}

TEST_P(LatencyOf, PingIsMeasuredPacketByPacket) {
  Lab lab(GetParam().options + kTwo);
  Measured measured(lab);
  measured.begin();
  ASSERT_EQ(ping(lab.container("web"), GetParam().server, 10), 10);
  measured.sensor().end();
  expect_all(measured, kWay, 10);
  expect_read(measured, 10);
}

INSTANTIATE_TEST_SUITE_P(Ways, LatencyOf,
                         testing::Values(Case{"RoutedV4", "--routed", "10.77.0.2"},
                                         Case{"RoutedV6", "--routed", "fd77::2"},
                                         Case{"BridgedV4", "--bridged", "10.77.0.2"},
                                         Case{"BridgedV6", "--bridged", "fd77::2"}),
                         [](const auto& info) { return info.param.name; });

TEST_F(Latency, ATableThatIsFullLowersTheCoverageAndNothingElse) {
  Lab lab("--routed" + std::string(kTwo));
  ASSERT_EQ(run("tc qdisc add dev up0 root tbf rate 8mbit burst 2200 limit 100000").code, 0);
  Measured measured(lab, 4);
  const UniqueFd server = datagrams(lab.server(), "10.77.0.2", 7001);
  const UniqueFd client = datagrams(lab.container("web"), "0.0.0.0", 7000, "10.77.0.2", 7001);
  measured.begin();
  burst(client.get(), 40, 1000);
  ASSERT_EQ(receive(server.get(), 40), 40);
  measured.sensor().end();
  const LatencyReading reading = measured.reading();
  const SegmentLatency out = measured.of(Segment::container_out);
  EXPECT_GT(reading.no_room, 0U) << describe(reading);
  EXPECT_GE(out.coverage.packets, 40U) << describe(reading);
  EXPECT_LE(out.coverage.packets, 42U) << "neighbour discovery? " << describe(reading);
  EXPECT_LT(out.coverage.measured, 40U) << describe(reading);
  EXPECT_GT(out.coverage.measured, 0U) << describe(reading);
  EXPECT_LT(measured.of(Segment::qdisc).max, milliseconds(200)) << describe(reading);
}

TEST_F(Latency, ADroppedPacketIsCountedAndLeavesNothingBehind) {
  Lab lab("--routed" + std::string(kTwo));
  ASSERT_EQ(run("tc qdisc add dev up0 root tbf rate 8mbit burst 2200 limit 5000").code, 0);
  Measured measured(lab);
  const UniqueFd server = datagrams(lab.server(), "10.77.0.2", 7001);
  const UniqueFd client = datagrams(lab.container("web"), "0.0.0.0", 7000, "10.77.0.2", 7001);
  measured.begin();
  burst(client.get(), 40, 1000);
  const int arrived = receive(server.get(), 6);
  ASSERT_EQ(arrived, 6);
  const SegmentLatency qdisc = measured.of(Segment::qdisc);
  const std::string text = describe(measured.reading());
  EXPECT_GT(qdisc.dropped, 20U) << text;
  EXPECT_EQ(qdisc.coverage.packets + qdisc.dropped, 40U) << text;
  EXPECT_LT(qdisc.max, milliseconds(50)) << text;
  EXPECT_LT(measured.on_the_way(), 5U) << "those dropped are not; neighbours' are\n" << text;
}

// Neither a row that is left out, nor one that looks well.
TEST_F(Latency, AQueueThatDropsAllIsInTheReading) {
  Lab lab("--routed" + std::string(kTwo));
  const UniqueFd server = datagrams(lab.server(), "10.77.0.2", 7001);
  const UniqueFd client = datagrams(lab.container("web"), "0.0.0.0", 7000, "10.77.0.2", 7001);
  burst(client.get(), 1, 1000);
  ASSERT_EQ(receive(server.get(), 1), 1) << "the neighbour is known";
  ASSERT_EQ(run("tc qdisc add dev up0 root blackhole").code, 0);
  Measured measured(lab);
  measured.begin();
  burst(client.get(), 20, 1000);
  measured.sensor().end();
  const SegmentLatency qdisc = measured.of(Segment::qdisc);
  EXPECT_EQ(qdisc.dropped, 20U) << describe(measured.reading());
  EXPECT_EQ(qdisc.coverage, Coverage{}) << describe(measured.reading());
}

TEST_F(Latency, WhatAnApplicationHasNoRoomForIsNoLossOfThePath) {
  Lab lab("--routed --no-nat" + std::string(kTwo));
  Measured measured(lab);
  const std::string web = lab.value("LAB_C_web_ADDR4");
  const UniqueFd receiver = datagrams(lab.container("web"), web, 7001);
  const int least = 1;  // the kernel makes it some 2 KB
  ASSERT_EQ(setsockopt(receiver.get(), SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
  const UniqueFd sender = datagrams(lab.server(), "10.77.0.2", 7000, web, 7001);
  measured.begin();
  burst(sender.get(), 40, 1000);
  std::this_thread::sleep_for(milliseconds(100));
  measured.sensor().end();
  const SegmentLatency stack = measured.of(Segment::stack_in);
  EXPECT_EQ(stack.dropped, 0U) << describe(measured.reading());
  EXPECT_LT(stack.coverage.packets, 10U) << "nor are they its witnesses\n"
                                         << describe(measured.reading());
  EXPECT_GT(measured.of(Segment::host_in).coverage.measured, 30U) << describe(measured.reading());
}

// A container that downloads: what is merged in the socket's queue is read as one, so `read` may
// have fewer than arrived, but the path has all.
TEST_F(Latency, ADownloadIsMeasuredUpToItsSocket) {
  Lab lab("--routed --no-nat" + std::string(kTwo));
  Measured measured(lab);
  measured.begin();
  ASSERT_NE(
      send_tcp(lab.server(), lab.container("web"), lab.value("LAB_C_web_ADDR4"), 7001, 2'000'000),
      0);
  measured.sensor().end();
  const LatencyReading reading = measured.reading();
  const SegmentLatency path = measured.of(Segment::host_in), stack = measured.of(Segment::stack_in),
                       read = measured.of(Segment::read);
  EXPECT_EQ(path.coverage.measured, path.coverage.packets) << describe(reading);
  EXPECT_GT(path.coverage.measured, 20U) << describe(reading);
  EXPECT_GT(share_of(stack.coverage).of_one, 0.95) << describe(reading);
  EXPECT_GT(read.coverage.measured, 5U) << describe(reading);
  EXPECT_LE(read.coverage.measured, read.coverage.packets) << describe(reading);
  if (bpf::has_tracepoint("tcp_sendmsg_locked")) return;
  EXPECT_FALSE(measured.sensor().downgrades().empty()) << "a segment less is said";
}

// TCP frees what it has merged without a tracepoint, and the address is used again at once: by
// packets that are not sampled, long after. None of them may take the other's time.
TEST_F(Latency, AnAddressThatIsUsedAgainIsAnotherPacket) {
  Lab lab("--routed --no-nat" + std::string(kTwo));
  Measured measured(lab);
  measured.begin(4);
  for (int i = 0; i < 3; ++i) {
    ASSERT_NE(
        send_tcp(lab.server(), lab.container("web"), lab.value("LAB_C_web_ADDR4"), 7001, 3'000'000),
        0);
    std::this_thread::sleep_for(milliseconds(400));  // what a false match would show
  }
  measured.sensor().end();
  const LatencyReading reading = measured.reading();
  EXPECT_GT(reading.vanished, 0U) << "then this test proves nothing\n" << describe(reading);
  for (const SegmentLatency& segment : reading.segments)
    EXPECT_LT(segment.max, milliseconds(350)) << info_of(segment.segment).name << "\n"
                                              << describe(reading);
}

// The uplink's queue holds what leaves for some ms, and its answer comes at once: that is the round
// trip, though nobody has asked a socket for it.
TEST_F(Latency, TheRoundTripBeyondTheDeviceNeedsNoSocket) {
  for (const std::string server : {"10.77.0.2", "fd77::2"}) {
    Lab lab("--routed" + std::string(kTwo));
    ASSERT_EQ(run("tc qdisc add dev up0 root tbf rate 20mbit burst 20000 limit 200000").code, 0);
    Measured measured(lab);
    ASSERT_TRUE(measured.table().set_device(
        {.ifindex = lab.ifindex("v-web"), .owner = kWeb, .guest = true}));
    measured.begin();
    ASSERT_NE(send_tcp(lab.container("web"), lab.server(), server, 7001, 1'000'000), 0);
    measured.sensor().end();
    const LatencyReading reading = measured.reading();
    const SegmentLatency trip = measured.of(Segment::round_trip),
                         queue = measured.of(Segment::qdisc);
    EXPECT_GT(trip.coverage.measured, 3U) << describe(reading);
    EXPECT_GT(trip.max, milliseconds(20)) << describe(reading);
    EXPECT_LT(trip.max, queue.max + milliseconds(400)) << describe(reading);
    EXPECT_GT(*quantile(trip.histogram, 0.9), *quantile(queue.histogram, 0.1)) << describe(reading);
  }
}

/// The id of this process's cgroup: the inode of its directory.
std::uint64_t own_cgroup() {
  const std::string mount =
      run("sed -n 's/^[^ ]* \\([^ ]*\\) cgroup2 .*/\\1/p' /proc/mounts | head -1").output;
  const std::string path = run("sed -n 's/^0:://p' /proc/self/cgroup").output;
  struct stat status{};
  EXPECT_EQ(
      stat((mount.substr(0, mount.find('\n')) + path.substr(0, path.find('\n'))).c_str(), &status),
      0)
      << mount << path;
  return status.st_ino;
}

TEST_F(Latency, AServiceOfTheHostIsKnownByItsCgroup) {
  Lab lab("--routed" + std::string(kTwo));
  Measured measured(lab);
  constexpr WorkloadId kService = 3;
  ASSERT_TRUE(measured.table().set_cgroup(own_cgroup(), kService));
  measured.begin();
  // Both ends run in this process's cgroup; the server's is outside the host's namespace.
  ASSERT_NE(send_udp(lab.host(), lab.server(), "10.77.0.2", 7003, 30, 200, 30), 0);
  ASSERT_NE(send_tcp(lab.host(), lab.server(), "10.77.0.2", 7001, 300'000), 0);
  measured.sensor().end();
  const LatencyReading reading = measured.reading();
  const SegmentLatency qdisc = measured.of(Segment::qdisc, kService),
                       in = measured.of(Segment::in, kService),
                       read = measured.of(Segment::read, kService),
                       both = measured.of(Segment::in_and_read, kService);
  EXPECT_GT(qdisc.coverage.measured, 40U) << describe(reading);
  EXPECT_EQ(qdisc.coverage.measured, qdisc.coverage.packets) << describe(reading);
  EXPECT_GT(in.coverage.measured, 5U) << describe(reading);
  EXPECT_GE(read.coverage.measured + both.coverage.measured, 30U) << describe(reading);
  EXPECT_EQ(measured.of(Segment::host_out).coverage.packets, 0U) << "no container took part";
}

// What an uplink receives waits in the ifb's queue: a part of its way in, and shown by itself.
TEST_F(Latency, TheIfbsQueueIsSeenOnTheWayIn) {
  Lab lab("--routed --no-nat" + std::string(kTwo));
  if (run("ip link add ifb9 type ifb").code != 0) GTEST_SKIP() << "no ifb in this kernel";
  ASSERT_EQ(run("ip link set ifb9 up && tc qdisc add dev ifb9 root tbf rate 8mbit burst 2200 limit "
                "100000 && "
                "tc qdisc add dev up0 clsact && tc filter add dev up0 ingress protocol all u32 "
                "match u32 0 0 action "
                "mirred egress "
                "redirect dev ifb9")
                .output,
            "");
  Measured measured(lab);
  ASSERT_TRUE(
      measured.table().set_device({.ifindex = lab.ifindex("ifb9"), .uplink = true, .ifb = true}));
  ASSERT_TRUE(measured.table().set_device(
      {.ifindex = lab.ifindex("up0"), .uplink = true, .ingress_on_ifb = true}));
  const std::string web = lab.value("LAB_C_web_ADDR4");
  const UniqueFd receiver = datagrams(lab.container("web"), web, 7001);
  const UniqueFd sender = datagrams(lab.server(), "10.77.0.2", 7000, web, 7001);
  measured.begin();
  burst(sender.get(), 20, 1000);
  ASSERT_EQ(receive(receiver.get(), 20), 20);
  measured.sensor().end();
  const LatencyReading reading = measured.reading();
  const SegmentLatency ifb = measured.of(Segment::ifb), way = measured.of(Segment::host_in);
  EXPECT_EQ(way.coverage, (Coverage{.measured = 20, .packets = 20})) << describe(reading);
  EXPECT_EQ(total(ifb.histogram), 20U) << describe(reading);
  EXPECT_GT(ifb.max, milliseconds(15)) << describe(reading);
  EXPECT_GE(way.sum, ifb.sum) << describe(reading);
  EXPECT_LT(way.sum - ifb.sum, milliseconds(20)) << "the rest is short\n" << describe(reading);
}

// A VM, played by the test at its tap: nobody can look into it, and what waits for it is seen all
// the same.
TEST_F(Latency, AVmsTapShowsItsWaitsAndItsRoundTrips) {
  Lab lab("--routed" + std::string(kTwo));
  const auto vm = VmAtTap::make();
  if (!vm) GTEST_SKIP() << "no /dev/net/tun (CONFIG_TUN)";
  constexpr WorkloadId kVm = 4;
  Measured measured(lab);
  ASSERT_TRUE(
      measured.table().set_device({.ifindex = lab.ifindex("tap9"), .owner = kVm, .guest = true}));
  measured.begin();
  const UniqueFd server = datagrams(lab.server(), "10.77.0.2", 7001);
  vm->send_datagram(7001);
  std::array<char, 2048> buffer;
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  ASSERT_EQ(recvfrom(server.get(), buffer.data(), buffer.size(), 0,
                     reinterpret_cast<sockaddr*>(&peer), &length),
            4);
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(sendto(server.get(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&peer), length), 6);
  vm->send_to_closed_port();
  std::this_thread::sleep_for(milliseconds(80));  // the VM is busy
  for (int got = 0; got < 3;)
    if (vm->receive() == IPPROTO_UDP) ++got;
  measured.sensor().end();
  const LatencyReading reading = measured.reading();
  const SegmentLatency taken = measured.of(Segment::stack_and_read, kVm),
                       out = measured.of(Segment::host_out, kVm),
                       trip = measured.of(Segment::round_trip, kVm);
  EXPECT_EQ(taken.coverage, (Coverage{.measured = 3, .packets = 3})) << describe(reading);
  EXPECT_GT(*quantile(taken.histogram, 0.01), milliseconds(60)) << describe(reading);
  EXPECT_EQ(out.coverage, (Coverage{.measured = 2, .packets = 2})) << describe(reading);
  EXPECT_EQ(measured.of(Segment::container_out, kVm).coverage.packets, 0U) << "none to look into";
  EXPECT_EQ(trip.coverage, (Coverage{.measured = 1, .packets = 1})) << describe(reading);
  EXPECT_LT(trip.max, milliseconds(80)) << "what the VM waits for itself is not the network's\n"
                                        << describe(reading);
}

TEST_F(Latency, WhatTcpHoldsBackIsNotTheHosts) {
  if (!bpf::has_tracepoint("tcp_sendmsg_locked"))
    GTEST_SKIP() << "no tracepoint tcp_sendmsg_locked";
  Lab lab("--routed" + std::string(kTwo));
  ASSERT_EQ(run("tc qdisc add dev up0 root tbf rate 20mbit burst 20000 limit 200000").code, 0);
  Measured measured(lab);
  measured.begin();
  ASSERT_NE(send_tcp(lab.container("web"), lab.server(), "10.77.0.2", 7001, 1'000'000), 0);
  measured.sensor().end();
  const LatencyReading reading = measured.reading();
  const SegmentLatency held = measured.of(Segment::send), way = measured.of(Segment::container_out);
  EXPECT_GT(held.coverage.measured, 2U) << describe(reading);
  EXPECT_GT(held.max, milliseconds(20)) << "the write queue waits for windows\n"
                                        << describe(reading);
  EXPECT_LT(*quantile(way.histogram, 0.5), milliseconds(1)) << describe(reading);
}

TEST_F(Latency, OneInNIsAboutThatAndSaysWhatItCosts) {
  Lab lab("--routed" + std::string(kTwo));
  Measured measured(lab);
  measured.begin(8);
  ASSERT_NE(send_udp(lab.container("web"), lab.server(), "10.77.0.2", 7003, 4000, 200, 0), 0);
  const SegmentLatency out = measured.of(Segment::container_out);
  const LatencyReading reading = measured.reading();
  EXPECT_EQ(reading.one_in, 8U);
  EXPECT_NEAR(static_cast<double>(out.coverage.measured), 500, 120) << describe(reading);
  EXPECT_NEAR(static_cast<double>(out.coverage.packets), 500, 120) << describe(reading);
  EXPECT_GT(reading.cost.events, 16'000U);
  EXPECT_GT(reading.cost.per_event.count(), 0);

  const auto said = measured.sensor().keep_within({.of_one = 0.0});
  ASSERT_TRUE(said && *said);
  EXPECT_NE((*said)->find("now 1 packet of 16"), std::string::npos) << **said;
  const auto quiet = measured.sensor().keep_within({.of_one = 1.0});
  ASSERT_TRUE(quiet);
  EXPECT_FALSE(*quiet);
}

// Elephants make nearly all packets. Those of a workload to be spared are known at their first
// probe as soon as one of them has arrived, on either way; and coverage knows what was chosen
// there.
TEST_F(Latency, PacketsOfASparedWorkloadAreSampledLess) {
  Lab lab("--routed --no-nat" + std::string(kTwo));
  Measured measured(lab);
  ASSERT_TRUE(measured.sensor().spare({kBackup}));
  ASSERT_TRUE(measured.sensor().begin(seconds(60), 1, 16));
  ASSERT_NE(send_udp(lab.container("web"), lab.server(), "10.77.0.2", 7003, 300, 200, 0), 0);
  ASSERT_NE(send_udp(lab.container("backup"), lab.server(), "10.77.0.2", 7004, 3200, 200, 0), 0);
  const SegmentLatency light = measured.of(Segment::container_out),
                       heavy = measured.of(Segment::container_out, kBackup);
  std::string text = describe(measured.reading());
  EXPECT_EQ(measured.reading().spared_one_in, 16U);
  EXPECT_GE(light.coverage.measured, 300U) << text;
  EXPECT_EQ(light.coverage.measured, light.coverage.packets) << text;
  EXPECT_NEAR(static_cast<double>(heavy.coverage.measured), 200, 70) << text;
  EXPECT_NEAR(static_cast<double>(heavy.coverage.packets),
              std::max(static_cast<double>(heavy.coverage.measured), 200.0), 5)
      << text;
  EXPECT_NEAR(static_cast<double>(measured.of(Segment::qdisc, kBackup).coverage.measured), 200, 70)
      << "decided once: no second chance at the next probe\n"
      << text;

  // By the hash that the sender's socket has given its flow.
  for (const std::string to : {"web", "backup"})
    ASSERT_NE(send_tcp(lab.server(), lab.container(to), lab.value("LAB_C_" + to + "_ADDR4"), 7001,
                       3'000'000),
              0);
  text = describe(measured.reading());
  const SegmentLatency all = measured.of(Segment::host_in),
                       few = measured.of(Segment::host_in, kBackup);
  EXPECT_EQ(all.coverage.measured, all.coverage.packets) << text;
  EXPECT_GT(few.coverage.measured, 0U) << text;
  EXPECT_LT(few.coverage.measured, all.coverage.measured / 6) << text;
  EXPECT_LT(few.coverage.packets, all.coverage.packets / 6) << text;

  ASSERT_TRUE(measured.sensor().spare({}));
  const std::uint64_t before = measured.of(Segment::container_out, kBackup).coverage.measured;
  ASSERT_NE(send_udp(lab.container("backup"), lab.server(), "10.77.0.2", 7005, 200, 200, 0), 0);
  EXPECT_GE(measured.of(Segment::container_out, kBackup).coverage.measured, before + 200);
}

TEST_F(Latency, MeasuringLessEndsWhereItNoLongerHelps) {
  Lab lab("--routed" + std::string(kTwo));
  Measured measured(lab);
  measured.begin(64);
  std::vector<std::string> said;
  std::uint16_t port = 7010;
  const auto ask = [&](Share limit) {
    EXPECT_NE(send_udp(lab.container("web"), lab.server(), "10.77.0.2", port++, 4000, 200, 0), 0);
    const auto line = measured.sensor().keep_within({.of_one = 0.0}, limit);
    EXPECT_TRUE(line);
    if (line && *line) said.push_back(**line);
  };
  for (int i = 0; i < 12; ++i) ask({.of_one = 1.0});
  ASSERT_GE(said.size(), 2U);
  EXPECT_NE(said.front().find("now 1 packet of 128"), std::string::npos) << said.front();
  EXPECT_NE(said.back().find("sampling less does not help"), std::string::npos) << said.back();
  EXPECT_LT(said.size(), 8U) << "and says so once";
  EXPECT_LT(measured.reading().one_in, 8192U) << said.back();
  EXPECT_TRUE(measured.sensor().open_window()) << "what looking costs is borne";

  ask({.of_one = 0.0});
  EXPECT_NE(said.back().find("stopped"), std::string::npos) << said.back();
  EXPECT_FALSE(measured.sensor().open_window());
}

TEST_F(Latency, AWindowEndsByItself) {
  Lab lab("--routed" + std::string(kTwo));
  Measured measured(lab);
  measured.begin(1, milliseconds(1));  // the kernel side's own clock; nobody calls end()
  ASSERT_NE(send_udp(lab.container("web"), lab.server(), "10.77.0.2", 7003, 20, 200, 0), 0);
  std::this_thread::sleep_for(milliseconds(50));  // longer than the window
  const LatencyReading early = measured.reading();
  ASSERT_NE(send_udp(lab.container("web"), lab.server(), "10.77.0.2", 7004, 200, 200, 0), 0);
  const LatencyReading later = measured.reading();
  EXPECT_EQ(early.cost.events, later.cost.events) << describe(later);
}

}  // namespace
}  // namespace ankus
