// SPDX-License-Identifier: Apache-2.0
// Each knob on the real kernel: written, read back, and put back so that nothing is left of it.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "act/kernel_actuator.h"
#include "kernel/netlink.h"
#include "netns/support.h"
#include "sense/attachments.h"
#include "sense/flow_table.h"

namespace ankus {
namespace {

class ActuatorOnKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
    lab_.emplace("--bridged --containers 'web:light backup:heavy'");
    auto programs = Programs::load({.max_flows = 1024, .pin_dir = lab_->pin_dir()});
    ASSERT_TRUE(programs) << programs.error().text;
    programs_.emplace(std::move(*programs));
    auto table = FlowTable::open(*programs_);
    ASSERT_TRUE(table);
    table_.emplace(std::move(*table));
    ASSERT_TRUE(table_->set_timing({.prove = milliseconds(50)}));
    up0_ = {
        .name = "up0", .ifindex = lab_->ifindex("up0"), .netns_cookie = own_netns_cookie().value()};
    for (const std::uint32_t ifindex : {up0_.ifindex, kIfb})
      ASSERT_TRUE(table_->set_device({.ifindex = ifindex,
                                      .uplink = true,
                                      .ifb = ifindex == kIfb,
                                      .fast_bytes = {64'000},
                                      .admission = {20'000'000},
                                      .admission_burst = {125'000},
                                      .admission_burst_others = {125'000},
                                      .probation_class = 0x0f}));
    handles_ = {.classifier_program = programs_->program("ankus_uplink_classifies"),
                .pin_dir = lab_->pin_dir(),
                .members_fd = programs_->map("ankus_members"),
                .devices_fd = programs_->map("ankus_devices"),
                .lease_end = [this] {
                  return programs_->jiffies().value() + Programs::to_jiffies(seconds(60));
                }};
    auto actuator = KernelActuator::open(handles_);
    ASSERT_TRUE(actuator);
    actuator_.emplace(std::move(*actuator));
  }

  static constexpr std::uint32_t kIfb = 4711;

  static HtbClass htb_class(std::uint16_t parent, std::uint64_t mbit, std::uint64_t ceil,
                            std::uint32_t priority) {
    return {.parent = make_handle(kOurMajor, parent),
            .rate = {mbit * 1'000'000},
            .ceil = {ceil * 1'000'000},
            .burst = {16'000},
            .cburst = {16'000},
            .priority = priority,
            .quantum = {60'000}};
  }

  /// A tree on `device`, its classifier last.
  std::vector<Action> tree(const Device& device, ClassifierProgram::Hook hook) const {
    std::vector<Action> actions;
    const auto add = [&](Knob knob, Setting setting) {
      actions.push_back({.knob = std::move(knob),
                         .before = Absent{},
                         .after = std::move(setting),
                         .reason = "test"});
    };
    add(knob::RootQdisc{device},
        HtbRoot{
            .handle = make_handle(kOurMajor, 0), .default_minor = 0x0f, .direct_packets = 1000});
    add(knob::TcClass{device, make_handle(kOurMajor, 1)}, htb_class(0, 200, 200, 0));
    for (const auto& [minor, mbit, priority] :
         {std::tuple(0x0f, 20, 4), {0x10, 120, 0}, {0x11, 40, 7}}) {
      const auto handle = make_handle(kOurMajor, static_cast<std::uint16_t>(minor));
      add(knob::TcClass{device, handle}, htb_class(1, static_cast<std::uint64_t>(mbit), 200,
                                                   static_cast<std::uint32_t>(priority)));
      add(knob::LeafQdisc{device, handle},
          ByteFifo{.handle = make_handle(static_cast<std::uint16_t>(kOurLeafBase + minor), 0),
                   .limit = {64'000}});
    }
    if (hook == ClassifierProgram::Hook::clsact) add(knob::Clsact{device}, ClsactQdisc{});
    add(knob::Classifier{device}, ClassifierProgram{.hook = hook});
    return actions;
  }

  std::vector<Action> download() const {
    Device ifb{.name = "ankus-ifb0", .ifindex = kIfb, .netns_cookie = up0_.netns_cookie};
    std::vector<Action> actions{
        {.knob = knob::Ifb{"ankus-ifb0"}, .before = Absent{}, .after = IfbDevice{kIfb}}};
    for (Action& action :
         tree(ifb, tcx_works_ ? ClassifierProgram::Hook::tcx : ClassifierProgram::Hook::clsact))
      actions.push_back(std::move(action));
    actions.push_back({.knob = knob::Clsact{up0_}, .before = Absent{}, .after = ClsactQdisc{}});
    actions.push_back(
        {.knob = knob::IngressRedirect{up0_}, .before = Absent{}, .after = RedirectTo{kIfb}});
    return actions;
  }

  /// A tree on up0 and who is in which class, in force.
  std::vector<Action> classify(Members members) {
    auto actions =
        tree(up0_, tcx_works_ ? ClassifierProgram::Hook::tcx : ClassifierProgram::Hook::clsact);
    actions.push_back(
        {.knob = knob::Membership{}, .before = Absent{}, .after = std::move(members)});
    write(actions);
    return actions;
  }
  /// The container `name` of the lab is workload `owner`, and what it sends is seen.
  void watch(Attachments& attachments, const std::string& name, std::uint32_t owner) {
    const std::uint32_t ifindex = lab_->ifindex("v-" + name);
    ASSERT_TRUE(table_->set_device({.ifindex = ifindex, .owner = owner}));
    ASSERT_TRUE(attachments.watch_workload(ifindex));
  }
  /// web is workload 1, backup 2, and their flows are seen before NAT.
  void watch_both(Attachments& attachments) {
    watch(attachments, "web", 1);
    watch(attachments, "backup", 2);
    ASSERT_TRUE(attachments.watch_conntrack());
  }
  static Member member(std::uint32_t owner, Weight weight = Weight::unknown) {
    return {.workload = owner, .slow_class = 0x10, .fast_class = 0x11, .weight = weight};
  }
  /// What up0 admits to the mice's class: 64 KB of a flow; in sum 1 MB/s, these at once.
  void admit(std::uint64_t burst, std::uint64_t burst_others) {
    ASSERT_TRUE(table_->set_device({.ifindex = up0_.ifindex,
                                    .uplink = true,
                                    .fast_bytes = {64'000},
                                    .admission = {1'000'000},
                                    .admission_burst = {burst},
                                    .admission_burst_others = {burst_others},
                                    .probation_class = 0x0f}));
  }

  void write(const std::vector<Action>& actions) {
    const auto results = actuator_->write(actions);
    for (std::size_t i = 0; i < results.size(); ++i)
      ASSERT_TRUE(results[i]) << to_text(actions[i].knob) << ": " << results[i].error().text;
    ASSERT_EQ(results.size(), actions.size());
  }
  void expect_in_force(const std::vector<Action>& actions) {
    std::vector<Knob> knobs;
    for (const Action& action : actions) knobs.push_back(action.knob);
    const auto settings = actuator_->read(knobs);
    for (std::size_t i = 0; i < actions.size(); ++i) {
      ASSERT_TRUE(settings[i]) << to_text(knobs[i]) << ": " << settings[i].error().text;
      EXPECT_EQ(to_text(*settings[i]), to_text(actions[i].after)) << to_text(knobs[i]);
    }
  }
  static std::vector<Action> undone(const std::vector<Action>& actions) {
    std::vector<Action> inverses;
    for (auto it = actions.rbegin(); it != actions.rend(); ++it) inverses.push_back(inverse(*it));
    return inverses;
  }
  /// Bytes that class `minor` of `device` has sent.
  static std::uint64_t sent(const std::string& device, const std::string& minor) {
    const std::string text = run("tc -s class show dev " + device).output;
    const auto at = text.find("class htb 7a8c:" + minor + " ");
    const auto bytes = text.find("Sent ", at);
    return at == std::string::npos || bytes == std::string::npos
               ? 0
               : std::stoull(text.substr(bytes + 5));
  }

  std::optional<Lab> lab_;
  std::optional<Programs> programs_;
  std::optional<FlowTable> table_;
  Device up0_;
  KernelHandles handles_;
  std::optional<KernelActuator> actuator_;
  const bool tcx_works_ = [] {
    int major = 0, minor = 0;
    std::sscanf(run("uname -r").output.c_str(), "%d.%d", &major, &minor);
    return std::pair(major, minor) >= std::pair(6, 6);
  }();
};

TEST_F(ActuatorOnKernel, ATreeIsReadBackAsWrittenAndLeavesNothing) {
  const std::string before = host_state(*lab_);
  const auto actions =
      tree(up0_, tcx_works_ ? ClassifierProgram::Hook::tcx : ClassifierProgram::Hook::clsact);
  write(actions);
  expect_in_force(actions);
  EXPECT_NE(host_state(*lab_), before);
  write(undone(actions));
  EXPECT_EQ(host_state(*lab_), before);
}

TEST_F(ActuatorOnKernel, TheFilterFormOfTheClassifierToo) {
  const std::string before = host_state(*lab_);
  const auto actions = tree(up0_, ClassifierProgram::Hook::clsact);
  write(actions);
  expect_in_force(actions);
  write(undone(actions));
  EXPECT_EQ(host_state(*lab_), before);
}

TEST_F(ActuatorOnKernel, DownloadsThroughAnIfb) {
  const std::string before = host_state(*lab_);
  const auto actions = download();
  write(actions);
  expect_in_force(actions);
  ASSERT_NE(send_tcp(lab_->container("web"), lab_->server(), "10.77.0.2", 7001, 100'000), 0);
  EXPECT_GT(sent("ankus-ifb0", "f") + sent("ankus-ifb0", "10") + sent("ankus-ifb0", "11"), 1'000U)
      << "the acknowledgements came through it";
  write(undone(actions));
  EXPECT_EQ(host_state(*lab_), before);
}

TEST_F(ActuatorOnKernel, ARefusedClassStopsTheBatchAndTheRestIsNotTried) {
  auto actions = tree(up0_, ClassifierProgram::Hook::clsact);
  // HTB takes a class below an unknown parent without a word (read-back notices); another tree's
  // number it refuses.
  std::get<knob::TcClass>(actions[4].knob).handle = make_handle(0x1234, 0x10);
  const auto results = actuator_->write(actions);
  ASSERT_EQ(results.size(), 5U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(results[i]);
  EXPECT_FALSE(results[4]);
  actions.resize(4);
  write(undone(actions));
}

TEST_F(ActuatorOnKernel, AForeignRootIsSeenAsForeign) {
  ASSERT_EQ(run("tc qdisc add dev up0 root handle 5: tbf rate 100mbit burst 64k limit 100000").code,
            0);
  const std::vector<Knob> knobs{knob::RootQdisc{up0_}};
  const auto read = actuator_->read(knobs);
  ASSERT_TRUE(read[0]);
  EXPECT_EQ(*read[0], Setting(Foreign{"tbf 5:"}));
}

TEST_F(ActuatorOnKernel, AVanishedDeviceIsGone) {
  const std::vector<Knob> knobs{knob::RootQdisc{
      {.name = "up0", .ifindex = up0_.ifindex + 77, .netns_cookie = up0_.netns_cookie}}};
  const auto read = actuator_->read(knobs);
  ASSERT_FALSE(read[0]);
  EXPECT_EQ(read[0].error().kind, ErrorKind::gone);
}

// It may be there, and what was set on it in force.
TEST_F(ActuatorOnKernel, ADeviceOfAnotherNamespaceIsNotGoneUnlessAPersonSaysSo) {
  Device elsewhere = up0_;
  elsewhere.netns_cookie += 1;
  const std::vector<Knob> knobs{knob::RootQdisc{elsewhere}};
  const auto read = actuator_->read(knobs);
  ASSERT_FALSE(read[0]);
  EXPECT_EQ(read[0].error().kind, ErrorKind::refused);
  handles_.other_namespaces_gone = true;
  auto told = KernelActuator::open(handles_);
  ASSERT_TRUE(told);
  const auto gone = told->read(knobs);
  ASSERT_FALSE(gone[0]);
  EXPECT_EQ(gone[0].error().kind, ErrorKind::gone);
}

TEST_F(ActuatorOnKernel, AClsactWithOthersFiltersIsNotOurs) {
  write({{.knob = knob::Clsact{up0_}, .before = Absent{}, .after = ClsactQdisc{}}});
  ASSERT_EQ(run("tc filter add dev up0 ingress prio 7 protocol ip u32 match u32 0 0").code, 0);
  const std::vector<Knob> knobs{knob::Clsact{up0_}};
  EXPECT_EQ(*actuator_->read(knobs)[0], Setting(Foreign{"clsact with filters of others"}));
}

TEST_F(ActuatorOnKernel, MasqueradedPacketsGetTheClassOfTheirOwnerAndSpeed) {
  Attachments attachments(*programs_);
  watch_both(attachments);
  const auto actions = classify({{member(0), member(1, Weight::light), member(2, Weight::heavy)}});
  expect_in_force(actions);

  // A light workload's small flow is in the light class from its first packet.
  std::uint64_t slow = sent("up0", "10"), probation = sent("up0", "f");
  ASSERT_NE(send_tcp(lab_->container("web"), lab_->server(), "10.77.0.2", 7001, 20'000), 0);
  EXPECT_GT(sent("up0", "10"), slow + 20'000);
  EXPECT_LT(sent("up0", "f"), probation + 2'000);

  // A heavy workload's new flow starts in probation and is fast after 64 KB.
  slow = sent("up0", "10");
  ASSERT_NE(send_tcp(lab_->container("backup"), lab_->server(), "10.77.0.2", 7002, 5'000'000), 0);
  EXPECT_GT(sent("up0", "11"), 4'500'000U);
  EXPECT_GT(sent("up0", "f"), probation + 10'000);
  EXPECT_LT(sent("up0", "10"), slow + 2'000);

  write(undone(actions));
}

TEST_F(ActuatorOnKernel, WhatAWorkloadReceivesTakesNothingFromWhatItMaySend) {
  Attachments attachments(*programs_);
  admit(125'000, 125'000);
  watch(attachments, "web", 1);
  ASSERT_TRUE(attachments.watch_uplink(up0_.ifindex, false));
  ASSERT_TRUE(attachments.watch_conntrack());
  const auto actions = classify({{member(0), member(1, Weight::light)}});

  const std::uint64_t slow = sent("up0", "10"), probation = sent("up0", "f");
  for (const std::uint16_t port : {7001, 7002})  // 80 KB each way: both ways would be too many
    ASSERT_NE(send_udp(lab_->container("web"), lab_->server(), "10.77.0.2", port, 40, 1'000, 40),
              0);
  EXPECT_GT(sent("up0", "10"), slow + 80'000);
  EXPECT_LT(sent("up0", "f"), probation + 2'000);

  write(undone(actions));
}

constexpr std::uint16_t kExperimental = 0x88b5;  ///< IEEE 802's for local experiments

/// Sends `count` frames of a protocol that nobody knows, `size` bytes after the Ethernet header.
void send_frames(std::uint32_t ifindex, int count, std::size_t size) {
  const UniqueFd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_TRUE(socket);
  sockaddr_ll to{.sll_family = AF_PACKET,
                 .sll_protocol = htons(kExperimental),
                 .sll_ifindex = static_cast<int>(ifindex),
                 .sll_halen = ETH_ALEN,
                 .sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
  const std::string frame(size, 'x');
  for (int i = 0; i < count; ++i)
    ASSERT_EQ(::sendto(socket.get(), frame.data(), frame.size(), 0,
                       reinterpret_cast<const sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(frame.size()));
}

TEST_F(ActuatorOnKernel, WhatIsNotIpIsAMouseOnlyIfItIsSmallAndSeldom) {
  admit(125'000, 20'000);
  const auto actions = classify({{member(0)}});

  send_frames(up0_.ifindex, 30, 1'400);
  EXPECT_GT(sent("up0", "f"), 40'000U);
  EXPECT_LT(sent("up0", "10"), 2'000U);
  const std::uint64_t probation = sent("up0", "f");
  send_frames(up0_.ifindex, 30, 100);
  EXPECT_GT(sent("up0", "10"), 3'000U);
  EXPECT_LT(sent("up0", "f"), probation + 2'000);
  send_frames(up0_.ifindex, 2'000, 200);  // 400 KB, of which 20 KB and 125 KB/s may be mice
  EXPECT_LT(sent("up0", "10"), 200'000U);
  EXPECT_GT(sent("up0", "f"), probation + 50'000);
  write(undone(actions));
}

TEST_F(ActuatorOnKernel, OnlyWhatMayBeMicePutsMuchIntoTheirClassAtOnce) {
  Attachments attachments(*programs_);
  admit(64'000, 3'100);
  watch_both(attachments);
  const auto actions = classify({{member(0), member(1), member(2, Weight::heavy)}});

  for (const bool is_new : {true, false}) {
    const auto send = [&](int count) {
      return send_udp(lab_->container(is_new ? "web" : "backup"), lab_->server(), "10.77.0.2", 7001,
                      count, 1'000, 0, 30'000);
    };
    ASSERT_NE(send(1), 0);
    usleep(200'000);  // proven after 50 ms
    const std::uint64_t slow = sent("up0", "10");
    ASSERT_NE(send(20), 0);
    if (is_new)
      EXPECT_GT(sent("up0", "10"), slow + 20'000);
    else
      EXPECT_LT(sent("up0", "10"), slow + 8'000);
  }
  write(undone(actions));
}

// Cut into flows each of which is slow: the rule's limit holds them all the same.
TEST_F(ActuatorOnKernel, AHeavyWorkloadsManySlowFlowsAreInItsElephantsClass) {
  Attachments attachments(*programs_);
  admit(64'000, 3'100);
  watch_both(attachments);
  const auto actions = classify({{member(0), member(1, Weight::mixed), member(2, Weight::heavy)}});

  for (const auto& [name, expected] : {std::pair("web", "f"), {"backup", "11"}}) {
    const auto send = [&](std::uint16_t port, int count) {
      return send_udp(lab_->container(name), lab_->server(), "10.77.0.2", port, count, 1'000, 0,
                      30'000);
    };
    for (std::uint16_t port = 7001; port < 7004; ++port) ASSERT_NE(send(port, 1), 0);
    usleep(200'000);  // proven after 50 ms
    const std::uint64_t then = sent("up0", expected);
    for (std::uint16_t port = 7001; port < 7004; ++port) ASSERT_NE(send(port, 20), 0);
    EXPECT_GT(sent("up0", expected), then + 50'000) << name;
  }
  write(undone(actions));
}

}  // namespace
}  // namespace ankus
