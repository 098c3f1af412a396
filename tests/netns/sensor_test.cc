// SPDX-License-Identifier: Apache-2.0
// A flow finds its owner: behind NAT, bridges, with and without conntrack, in each form of the
// sensors that this kernel has.
#include <netinet/in.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "kernel/netlink.h"
#include "netns/support.h"
#include "sense/attachments.h"
#include "sense/flow_table.h"

namespace ankus {
namespace {

constexpr WorkloadId kWeb = 1, kBackup = 2;

/// The sensors on a lab's host, with two containers whose owners are 1 and 2.
class Watched {
 public:
  enum class Devices { best, tracepoints };

  explicit Watched(const Lab& lab, Devices devices, FlowTiming timing = {},
                   std::uint32_t max_flows = 4096, bool conntrack = true) {
    auto programs = Programs::load({.max_flows = max_flows});
    EXPECT_TRUE(programs) << programs.error().text;
    programs_ = std::make_unique<Programs>(std::move(*programs));
    auto table = FlowTable::open(*programs_);
    EXPECT_TRUE(table) << table.error().text;
    table_ = std::make_unique<FlowTable>(std::move(*table));
    attachments_ = std::make_unique<Attachments>(*programs_);
    const auto cookie = own_netns_cookie();
    timing.netns_cookie = cookie.value_or(0);
    EXPECT_TRUE(table_->set_timing(timing));
    const std::uint32_t uplink = lab.ifindex("up0"), web = lab.ifindex("v-web"),
                        backup = lab.ifindex("v-backup");
    EXPECT_TRUE(table_->set_device({.ifindex = uplink, .uplink = true, .fast_bytes = {64'000}}));
    EXPECT_TRUE(table_->set_device({.ifindex = web, .owner = kWeb}));
    EXPECT_TRUE(table_->set_device({.ifindex = backup, .owner = kBackup}));
    if (devices == Devices::tracepoints) {
      EXPECT_TRUE(attachments_->watch_by_tracepoints());
    }
    for (const std::uint32_t device : {web, backup})
      EXPECT_TRUE(attachments_->watch_workload(device));
    EXPECT_TRUE(attachments_->watch_uplink(uplink, true));
    if (conntrack) {
      auto done = attachments_->watch_conntrack();
      EXPECT_TRUE(done) << testing::PrintToString(programs_->downgrades);
    }
  }

  FlowTable& table() { return *table_; }
  Programs& programs() { return *programs_; }

  /// `remote_port` where there are several: a local port may be used towards each of them.
  std::optional<Flow> flow(std::uint16_t local_port, std::uint8_t protocol = IPPROTO_TCP,
                           std::uint16_t remote_port = 0) const {
    const auto flows = table_->flows();
    if (!flows) return std::nullopt;
    std::optional<Flow> found;
    for (const Flow& flow : *flows)
      if (flow.local.port == local_port && flow.protocol == protocol &&
          (remote_port == 0 || flow.remote.port == remote_port)) {
        EXPECT_FALSE(found) << "one connection, two entries";
        found = flow;
      }
    return found;
  }

 private:
  std::unique_ptr<Programs> programs_;
  std::unique_ptr<FlowTable> table_;
  std::unique_ptr<Attachments> attachments_;
};

/// "bytes=N" of a direction in the line of `conntrack -L` that has `sport=PORT`: 0 original, 1
/// reply.
std::uint64_t conntrack_bytes(std::uint16_t port, const std::string& family, int direction) {
  const std::string list = run("conntrack -L -f " + family).output;
  const auto at = list.find("sport=" + std::to_string(port) + " ");
  if (at == std::string::npos) return 0;
  auto bytes = list.find("bytes=", at);
  if (direction == 1 && bytes != std::string::npos) bytes = list.find("bytes=", bytes + 1);
  return bytes == std::string::npos ? 0 : std::stoull(list.substr(bytes + 6));
}

struct Case {
  std::string name, options, server;
  Watched::Devices devices;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Sensor : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
  }
  std::string family() const {
    return GetParam().server.find(':') != std::string::npos ? "ipv6" : "ipv4";
  }
};

TEST_P(Sensor, AMasqueradedFlowFindsItsOwnerAndItsBytesAreConntracks) {
  Lab lab(GetParam().options + " --containers 'web:light backup:heavy'");
  ASSERT_EQ(run("sysctl -qw net.netfilter.nf_conntrack_acct=1").code, 0);
  Watched watched(lab, GetParam().devices);

  const std::uint16_t small =
      send_tcp(lab.container("web"), lab.server(), GetParam().server, 7001, 50'000);
  const std::uint16_t large =
      send_tcp(lab.container("backup"), lab.server(), GetParam().server, 7002, 20'000'000);
  const std::uint16_t datagrams =
      send_udp(lab.container("web"), lab.server(), GetParam().server, 7003, 20, 500, 5);
  ASSERT_NE(small, 0);
  ASSERT_NE(large, 0);
  ASSERT_NE(datagrams, 0);

  const auto mouse = watched.flow(small), elephant = watched.flow(large),
             udp = watched.flow(datagrams, IPPROTO_UDP);
  ASSERT_TRUE(mouse && elephant && udp);
  EXPECT_EQ(mouse->owner, kWeb);
  EXPECT_EQ(elephant->owner, kBackup);
  EXPECT_EQ(udp->owner, kWeb);
  EXPECT_NE(mouse->local.address, mouse->wire_local.address)
      << "masqueraded, so inside and outside differ";
  EXPECT_TRUE(elephant->elephant);
  EXPECT_FALSE(mouse->elephant);
  for (const auto& [flow, port] :
       {std::pair(*mouse, small), {*elephant, large}, {*udp, datagrams}}) {
    EXPECT_TRUE(flow.conntracked);
    EXPECT_EQ(flow.transmitted.count, conntrack_bytes(port, family(), 0)) << to_text(flow.local);
    EXPECT_EQ(flow.received.count, conntrack_bytes(port, family(), 1)) << to_text(flow.local);
    EXPECT_GT(flow.transmitted.count, 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Nat, Sensor,
    testing::Values(
        Case{"RoutedV4", "--routed", "10.77.0.2", Watched::Devices::best},
        Case{"BridgedV4", "--bridged", "10.77.0.2", Watched::Devices::best},
        Case{"BridgedV6", "--bridged", "fd77::2", Watched::Devices::best},
        Case{"RoutedV6", "--routed", "fd77::2", Watched::Devices::best},
        Case{"BridgedV4Tracepoints", "--bridged", "10.77.0.2", Watched::Devices::tracepoints},
        Case{"RoutedV6Tracepoints", "--routed", "fd77::2", Watched::Devices::tracepoints}),
    [](const auto& info) { return info.param.name; });

class SensorAlone : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
  }
};

TEST_F(SensorAlone, WithoutAccountingItCountsByItself) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best);
  const std::uint16_t port =
      send_tcp(lab.container("web"), lab.server(), "10.77.0.2", 7001, 1'000'000);
  ASSERT_NE(port, 0);
  const auto flow = watched.flow(port);
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->owner, kWeb);
  EXPECT_GT(flow->transmitted.count, 1'000'000U);
  EXPECT_LT(flow->transmitted.count, 1'100'000U) << "each packet counted once";
}

TEST_F(SensorAlone, WithoutConntrackTheDevicesKnow) {
  for (const auto devices : {Watched::Devices::best, Watched::Devices::tracepoints}) {
    Lab lab("--bridged --no-nat --containers 'web:light backup:heavy'");
    Watched watched(lab, devices);
    const std::uint16_t port =
        send_tcp(lab.container("backup"), lab.server(), "10.77.0.2", 7001, 12'000'000);
    ASSERT_NE(port, 0);
    const auto flow = watched.flow(port);
    ASSERT_TRUE(flow);
    EXPECT_EQ(flow->owner, kBackup);
    EXPECT_FALSE(flow->conntracked);
    EXPECT_TRUE(flow->elephant);
    EXPECT_GT(flow->transmitted.count, 12'000'000U);
    EXPECT_LT(flow->transmitted.count, 13'000'000U)
        << "each packet counted once, though two devices see it";
  }
}

TEST_F(SensorAlone, AFlowFromOutsideBelongsToTheContainerThatServesIt) {
  Lab lab("--bridged --no-nat --conntrack --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best);
  ASSERT_NE(
      send_tcp(lab.server(), lab.container("web"), lab.value("LAB_C_web_ADDR4"), 8080, 300'000), 0);
  const auto flow = watched.flow(8080);
  ASSERT_TRUE(flow) << "the owner's end is the local one";
  EXPECT_EQ(flow->owner, kWeb);
  EXPECT_GT(flow->received.count, 300'000U);
  EXPECT_LT(flow->transmitted.count, 100'000U);
}

TEST_F(SensorAlone, AForwardedPortFindsTheContainerBehindIt) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  const std::string web = lab.value("LAB_C_web_ADDR4");
  ASSERT_EQ(
      run("nft add chain ip ankuslab pre '{ type nat hook prerouting priority dstnat; }'").code, 0);
  ASSERT_EQ(
      run("nft add rule ip ankuslab pre iifname up0 tcp dport 8081 dnat to " + web + ":8080").code,
      0);
  Watched watched(lab, Watched::Devices::best);
  ASSERT_NE(send_tcp(lab.server(), lab.container("web"), web, 8080, 300'000, {"10.77.0.1", 8081}),
            0);
  const auto flow = watched.flow(8080);
  ASSERT_TRUE(flow) << "known by the container's own port";
  EXPECT_EQ(flow->owner, kWeb);
  EXPECT_EQ(flow->wire_local.port, 8081);
  EXPECT_GT(flow->received.count, 300'000U);
  EXPECT_LT(flow->transmitted.count, 100'000U);
}

TEST_F(SensorAlone, TrafficBetweenContainersIsCountedOnce) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best);
  const std::uint16_t port = send_tcp(lab.container("web"), lab.container("backup"),
                                      lab.value("LAB_C_backup_ADDR4"), 7001, 400'000);
  ASSERT_NE(port, 0);
  const auto flow = watched.flow(port);
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->owner, kWeb) << "the one seen first";
  EXPECT_GT(flow->transmitted.count, 400'000U);
  EXPECT_LT(flow->transmitted.count, 450'000U);
  const auto web = watched.table().usage(kWeb), backup = watched.table().usage(kBackup);
  ASSERT_TRUE(web && backup);
  EXPECT_GT(web->transmitted.count, 400'000U);
  EXPECT_GT(backup->received.count, 400'000U) << "both have used the network";
}

TEST_F(SensorAlone, AHostServiceIsKnownByItsCgroup) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best);
  const std::string cgroup = lab.value("LAB_CGROUP") + "/service";
  ASSERT_EQ(run("mkdir " + cgroup).code, 0);
  const auto id = std::stoull(run("stat -c %i " + cgroup).output);
  ASSERT_TRUE(watched.table().set_cgroup(id, 7));
  // A shell in that cgroup, in the host's namespace, says hello to the server over UDP.
  ASSERT_EQ(run("bash -c 'echo $$ > " + cgroup +
                "/cgroup.procs; for i in 1 2 3; do echo hello > /dev/udp/10.77.0.2/7009; done'")
                .code,
            0);
  const auto flows = watched.table().flows();
  ASSERT_TRUE(flows);
  int found = 0;
  for (const Flow& flow : *flows)
    if (flow.remote.port == 7009) {
      ++found;
      EXPECT_EQ(flow.owner, 7U);
    }
  EXPECT_GT(found, 0);
}

TEST_F(SensorAlone, AConnectionThatReusesATupleStartsFromNothing) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  ASSERT_EQ(run("sysctl -qw net.netfilter.nf_conntrack_acct=1").code, 0);
  Watched watched(lab, Watched::Devices::best);
  const std::string from = "nsenter --net=/run/netns/" + lab.container("web") + " ";
  const auto send = [&](int count) {
    in_namespace(lab.container("web"), [&] {
      for (int i = 0; i < count; ++i)
        (void)run(from + "bash -c 'echo hello > /dev/udp/10.77.0.2/7009'");
    });
  };
  const std::uint16_t port =
      send_udp(lab.container("web"), lab.server(), "10.77.0.2", 7003, 100, 200, 0);
  ASSERT_NE(port, 0);
  const auto before = watched.flow(port, IPPROTO_UDP);
  ASSERT_TRUE(before);
  EXPECT_EQ(before->packets_out, 100U);
  ASSERT_EQ(run("conntrack -F").code, 0);
  send(1);  // takes the freed nf_conn's memory: must not inherit its counters
  const auto flows = watched.table().flows();
  ASSERT_TRUE(flows);
  for (const Flow& flow : *flows)
    if (flow.remote.port == 7009) {
      EXPECT_EQ(flow.packets_out, 1U);
    }
}

TEST_F(SensorAlone, AMasqueradedTupleThatAnotherContainerTakesOverIsItsOwn) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best);
  constexpr std::uint16_t kPort = 40'001;
  ASSERT_EQ(send_udp(lab.container("web"), lab.server(), "10.77.0.2", 7003, 30, 200, 10, kPort),
            kPort);
  const auto first = watched.flow(kPort, IPPROTO_UDP);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->owner, kWeb);
  ASSERT_EQ(run("conntrack -F").code, 0);
  // The masquerade keeps a free port: on the wire this connection looks like the one before.
  ASSERT_EQ(send_udp(lab.container("backup"), lab.server(), "10.77.0.2", 7003, 5, 200, 1, kPort),
            kPort);
  const auto second = watched.flow(kPort, IPPROTO_UDP);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->owner, kBackup);
  EXPECT_EQ(second->packets_out, 5U) << "and inherits nothing";
}

TEST_F(SensorAlone, AFullMapIsCountedAndNeverAMouse) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best, {}, 8);
  for (int i = 0; i < 12; ++i)
    ASSERT_NE(send_udp(lab.container("web"), lab.server(), "10.77.0.2",
                       static_cast<std::uint16_t>(7100 + i), 1, 100, 0),
              0);
  int told = 0;
  watched.table().read_events(
      [&](const FlowEvent& event) { told += event.kind == FlowEvent::Kind::table_full; });
  EXPECT_GT(told, 0);
  const auto counters = watched.table().counters();
  ASSERT_TRUE(counters);
  EXPECT_GT((*counters)[ANKUS_COUNT_MAP_FULL], 0U) << testing::PrintToString(*counters);
  EXPECT_LE(watched.table().flows()->size(), 8U);
}

// Nobody sweeps: who ends first goes first.
TEST_F(SensorAlone, InAFullTableEndedConnectionsGiveTheirPlacesToNewOnes) {
  Lab lab("--routed --no-nat --conntrack --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best, {}, 24);
  for (int i = 0; i < 60; ++i) {
    const auto remote_port = static_cast<std::uint16_t>(7100 + i);
    const std::uint16_t port =
        send_tcp(lab.container("web"), lab.server(), "10.77.0.2", remote_port, 1'000);
    ASSERT_NE(port, 0);
    EXPECT_TRUE(watched.flow(port, IPPROTO_TCP, remote_port)) << i;
    usleep(5'000);  // an ended one keeps its place for 20 ms
  }
  EXPECT_EQ((*watched.table().counters())[ANKUS_COUNT_MAP_FULL], 0U);
}

TEST_F(SensorAlone, ConnectionsThatHaveClosedAreSweptWithoutAnIdleTime) {
  Lab lab("--routed --no-nat --conntrack --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best);
  for (int i = 0; i < 10; ++i)
    ASSERT_NE(send_tcp(lab.container("web"), lab.server(), "10.77.0.2",
                       static_cast<std::uint16_t>(7100 + i), 1'000),
              0);
  usleep(30'000);  // a few ticks of the kernel's clock
  EXPECT_GE(watched.table().sweep(seconds(60), milliseconds(10), nullptr).value_or(0), 10U);
}

TEST_F(SensorAlone, OneTenantsFlowsDoNotTakeAnothersRoom) {
  Lab lab("--routed --containers 'web:light backup:heavy'");
  FlowTiming timing;
  timing.flows_per_owner = 10;
  Watched watched(lab, Watched::Devices::best, timing, 64);
  for (int i = 0; i < 40; ++i)
    ASSERT_NE(send_udp(lab.container("backup"), lab.server(), "10.77.0.2",
                       static_cast<std::uint16_t>(7100 + i), 1, 100, 0),
              0);
  const std::uint16_t port =
      send_tcp(lab.container("web"), lab.server(), "10.77.0.2", 7001, 10'000);
  ASSERT_NE(port, 0);
  const auto flow = watched.flow(port);
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->owner, kWeb);
  const auto counters = watched.table().counters();
  EXPECT_GT((*counters)[ANKUS_COUNT_OVER_QUOTA], 0U);
  EXPECT_EQ((*counters)[ANKUS_COUNT_MAP_FULL], 0U);
}

// CAP_NET_RAW, which containers have by default, is enough; this one has taken the address.
TEST_F(SensorAlone, WhoSendsInANeighboursNameDoesNotTakeItsFlow) {
  Lab lab("--routed --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best);
  const std::uint16_t port =
      send_udp(lab.container("web"), lab.server(), "10.77.0.2", 7001, 20, 100, 0);
  const auto before = watched.flow(port, IPPROTO_UDP);
  ASSERT_TRUE(before);
  ASSERT_EQ(before->owner, kWeb);
  const CommandResult taken =
      run("in='nsenter --net=/run/netns/" + lab.container("backup") +
          "'; web=$(nsenter --net=/run/netns/" + lab.container("web") +
          " ip -4 -o address show scope global | sed 's/.*inet //; s,/.*,,'); "
          "route=$($in ip -4 route show default); $in ip address add $web/32 dev lo && "
          "$in ip route replace $route src $web");
  ASSERT_EQ(taken.code, 0) << taken.output;
  ASSERT_EQ(send_udp(lab.container("backup"), lab.server(), "10.77.0.2", 7001, 1, 100, 0, port),
            port);
  const auto after = watched.flow(port, IPPROTO_UDP);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->owner, kWeb);
  EXPECT_GE(after->transmitted.count, before->transmitted.count) << "not begun anew";
}

TEST_F(SensorAlone, OnsetsAreToldOnce) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  FlowTiming timing;
  timing.elephant_bytes = {1'000'000};
  Watched watched(lab, Watched::Devices::best, timing);
  const std::uint16_t port =
      send_tcp(lab.container("backup"), lab.server(), "10.77.0.2", 7001, 5'000'000);
  ASSERT_NE(port, 0);
  int begun = 0;
  watched.table().read_events([&](const FlowEvent& event) {
    if (event.kind != FlowEvent::Kind::elephant_begins) return;
    ++begun;
    EXPECT_EQ(event.owner, kBackup);
    EXPECT_GE(event.flow.transmitted.count + event.flow.received.count, 1'000'000U);
    EXPECT_LT(event.flow.transmitted.count, 1'200'000U)
        << "said at the packet that crossed the line";
  });
  EXPECT_EQ(begun, 1);
}

TEST_F(SensorAlone, SweepingGivesRoomBack) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best);
  const std::uint16_t port =
      send_tcp(lab.container("web"), lab.server(), "10.77.0.2", 7001, 10'000);
  ASSERT_TRUE(watched.flow(port));
  usleep(50'000);  // flows must be idle for more than a few ticks of the kernel's own clock
  const auto swept = watched.table().sweep(milliseconds(20), milliseconds(20), nullptr);
  ASSERT_TRUE(swept);
  EXPECT_GT(*swept, 0U);
  EXPECT_FALSE(watched.flow(port));
}

TEST_F(SensorAlone, HooksAreKnownToFireNotOnlyToBeAttached) {
  Lab lab("--bridged --containers 'web:light backup:heavy'");
  Watched watched(lab, Watched::Devices::best);
  ASSERT_NE(send_tcp(lab.container("web"), lab.server(), "10.77.0.2", 7001, 10'000), 0);
  const auto counters = watched.table().counters();
  ASSERT_TRUE(counters);
  EXPECT_GT((*counters)[ANKUS_COUNT_HIT_CONNTRACK], 0U);
  EXPECT_GT((*counters)[ANKUS_COUNT_HIT_WORKLOAD], 0U);
  EXPECT_GT((*counters)[ANKUS_COUNT_HIT_UPLINK], 0U);
}

}  // namespace
}  // namespace ankus
