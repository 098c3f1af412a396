// SPDX-License-Identifier: Apache-2.0
#include "daemon/doctor.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>

#include "fake/temp_tree.h"

namespace ankus {
namespace {

using State = Check::State;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint32_t kEth0 = 2;

/// A host on which nothing is wrong.
Findings healthy() {
  Link eth0;
  eth0.device = {.name = "eth0", .ifindex = kEth0, .netns_cookie = 1};
  eth0.up = true;
  eth0.has_default_route = true;
  eth0.speed = BitRate{10'000'000'000};
  eth0.root_kind = "fq_codel";
  return {.host = {.kernel_release = "6.12.30", .tcx = true, .htb = true, .ifb = true},
          .links = {eth0},
          .programs_of_others = {},
          .conntrack = SensorState{"conntrack", SensorState::State::on, "fexit/nf_conntrack_in"},
          .conntrack_seen = true,
          .conntrack_accounts = true,
          .bpf_dir = "/sys/fs/bpf/ankus"};
}

Check named(const std::string& name, const Findings& findings) {
  const auto checks = examine(findings);
  const auto found = std::ranges::find(checks, name, &Check::name);
  if (found == checks.end()) {
    ADD_FAILURE() << "no check " << name;
    return {};
  }
  EXPECT_EQ(std::ranges::count(checks, name, &Check::name), 1) << name;
  return *found;
}
Check eth0_of(const Findings& findings) { return named("device eth0", findings); }

TEST(Doctor, FindsNothingOnAHealthyHost) {
  EXPECT_THAT(examine(healthy()),
              Each(AllOf(Field(&Check::state, State::ok), Field(&Check::remedy, ""))));
}

TEST(Doctor, WarnsOfAKernelThatAnkusIsNotTestedOn) {
  Findings findings = healthy();
  for (const char* old : {"5.15.0-91-generic", "6.0.19"}) {
    findings.host.kernel_release = old;
    const Check check = named("kernel", findings);
    EXPECT_EQ(check.state, State::warn) << old;
    EXPECT_THAT(check.text, AllOf(HasSubstr(old), HasSubstr("older than 6.1")));
    EXPECT_NE(check.remedy, "");
  }
  for (const char* fine : {"6.1.0-18-amd64", "6.10.3", "7.0.1"}) {
    findings.host.kernel_release = fine;
    EXPECT_EQ(named("kernel", findings).state, State::ok) << fine;
  }
}

TEST(Doctor, SaysWhatIsLostWithoutTcx) {
  Findings findings = healthy();
  findings.host.tcx = false;
  const Check check = named("tcx", findings);
  EXPECT_EQ(check.state, State::warn);
  EXPECT_THAT(check.text, AllOf(HasSubstr("6.6"), HasSubstr("tracepoints"), HasSubstr("clsact")));
}

TEST(Doctor, SaysWhyConntrackDoesNotTellTheOwners) {
  Findings findings = healthy();
  findings.conntrack_seen = false;
  Check check = named("conntrack", findings);
  EXPECT_EQ(check.state, State::warn);
  EXPECT_THAT(check.text, HasSubstr("no nftables or iptables rule of this namespace uses"));

  findings.conntrack->state = SensorState::State::failed;
  findings.conntrack->detail = "no function nf_conntrack_in";
  check = named("conntrack", findings);
  EXPECT_EQ(check.state, State::warn);
  EXPECT_THAT(check.text, AllOf(HasSubstr("no function nf_conntrack_in"),
                                HasSubstr("behind a bridge and NAT stay unknown")));
  EXPECT_THAT(check.remedy, HasSubstr("modprobe nf_conntrack"));

  findings.conntrack.reset();
  EXPECT_EQ(named("conntrack", findings).state, State::off);
}

TEST(Doctor, SaysWhoCountsTheBytes) {
  Findings findings = healthy();
  EXPECT_THAT(named("accounting", findings).text, HasSubstr("conntrack counts bytes itself"));
  findings.conntrack_accounts = false;
  EXPECT_THAT(named("accounting", findings).text, HasSubstr("nf_conntrack_acct is 0"));
}

TEST(Doctor, FailsWithoutHtbAndWarnsWithoutIfb) {
  Findings findings = healthy();
  findings.host.htb = false;
  findings.host.ifb = false;
  const Check htb = named("htb", findings), ifb = named("ifb", findings);
  EXPECT_EQ(htb.state, State::fail);
  EXPECT_THAT(htb.text, HasSubstr("CONFIG_NET_SCH_HTB"));
  EXPECT_THAT(htb.remedy, HasSubstr("sch_htb"));
  EXPECT_EQ(ifb.state, State::warn);
  EXPECT_THAT(ifb.text, HasSubstr("download cannot be used"));
}

TEST(Doctor, FailsWhereProgramsCouldNotOutliveTheDaemon) {
  Findings findings = healthy();
  for (const auto& [is, words] :
       {std::pair(Findings::BpfDir::missing, "/sys/fs/bpf is not there"),
        {Findings::BpfDir::elsewhere, "/sys/fs/bpf is not a BPF file system"}}) {
    findings.bpf_dir_is = is;
    const Check check = named("bpffs", findings);
    EXPECT_EQ(check.state, State::fail);
    EXPECT_THAT(check.text, HasSubstr(words));
    EXPECT_EQ(check.remedy, "mount -t bpf bpf /sys/fs/bpf");
  }
}

TEST(Doctor, SeesWhereTheBpfDirectoryIs) {
  const TempTree tree;
  EXPECT_EQ(bpf_dir_is(tree.root + "/bpf/ankus"), Findings::BpfDir::missing);
  EXPECT_EQ(bpf_dir_is(tree.root + "/ankus"), Findings::BpfDir::elsewhere);
  EXPECT_EQ(bpf_dir_is(tree.root), Findings::BpfDir::elsewhere);
}

TEST(Doctor, NamesARootQdiscThatIsInUse) {
  Findings findings = healthy();
  Link& eth0 = findings.links[0];
  eth0.root_kind = "tbf";
  eth0.root_handle = {0x00770000};
  const Check foreign = eth0_of(findings);
  EXPECT_EQ(foreign.state, State::warn);
  EXPECT_THAT(foreign.text, AllOf(HasSubstr("tbf 77:"), HasSubstr("leaves alone")));
  EXPECT_THAT(foreign.remedy, HasSubstr("tc qdisc del dev eth0 root"));

  eth0.root_kind = "htb";
  eth0.root_handle = {std::uint32_t{kOurMajor} << 16};
  EXPECT_EQ(eth0_of(findings).state, State::ok);
  EXPECT_THAT(eth0_of(findings).text, HasSubstr("htb of ours"));
  eth0.root_kind = "fq_codel";
  eth0.root_handle = {0};
  EXPECT_THAT(eth0_of(findings).text, HasSubstr("fq_codel (the kernel's default)"));
}

TEST(Doctor, WarnsThatManyTransmitQueuesWouldHaveOneLock) {
  Findings findings = healthy();
  findings.links[0].root_kind = "mq";
  findings.links[0].transmit_queues = 8;
  const Check mq = eth0_of(findings);
  EXPECT_EQ(mq.state, State::warn);
  EXPECT_THAT(mq.text, AllOf(HasSubstr("root qdisc mq"), HasSubstr("8 transmit queues"),
                             HasSubstr("one lock")));
  EXPECT_THAT(mq.remedy, HasSubstr("single_lock"));
  findings.links[0].root_kind = "noqueue";
  EXPECT_EQ(eth0_of(findings).state, State::warn) << "as many queues, whatever hangs there";
}

TEST(Doctor, SaysThatADeviceIsDownHasNoSpeedOrAClsactOfOthers) {
  Findings findings = healthy();
  findings.links[0].speed.reset();
  findings.links[0].foreign_clsact = true;
  const Check check = eth0_of(findings);
  EXPECT_EQ(check.state, State::ok);
  EXPECT_THAT(check.text,
              AllOf(HasSubstr("policy must state its rate"), HasSubstr("others use its clsact")));
  findings.links[0].up = false;
  EXPECT_EQ(eth0_of(findings).state, State::warn);
  EXPECT_EQ(eth0_of(findings).remedy, "ip link set eth0 up");
}

TEST(Doctor, NamesTheProgramsOfOthersAsFacts) {
  Findings findings = healthy();
  (*findings.programs_of_others)[kEth0] = {{"XDP in the driver", 41, "cil_xdp_entry"},
                                           {"tcx ingress", 42, "cil_from_netdev"},
                                           {"tcx egress", 43, ""}};
  const Check check = named("programs on eth0", findings);
  EXPECT_EQ(check.state, State::ok) << "they are no reason to refuse anything";
  EXPECT_EQ(check.remedy, "");
  EXPECT_THAT(check.text, AllOf(HasSubstr("XDP in the driver cil_xdp_entry (id 41), "
                                          "tcx ingress cil_from_netdev (id 42), "
                                          "tcx egress a program without a name (id 43)"),
                                HasSubstr("leaves them alone")));
}

TEST(Doctor, SaysSoWhereProgramsCannotBeListed) {
  Findings findings = healthy();
  EXPECT_THAT(examine(findings), Not(Contains(Field(&Check::name, HasSubstr("programs")))));
  findings.programs_of_others = fail_errno("list the programs of a tcx hook", EPERM);
  const Check check = named("programs", findings);
  EXPECT_EQ(check.state, State::warn);
  EXPECT_THAT(check.text, HasSubstr("list the programs of a tcx hook: Operation not permitted"));
}

TEST(Doctor, LooksAtTheDevicesOfDefaultRoutesOnly) {
  Findings findings = healthy();
  findings.links[0].has_default_route = false;
  const auto checks = examine(findings);
  EXPECT_THAT(checks, Not(Contains(Field(&Check::name, "device eth0"))));
  EXPECT_EQ(named("uplink", findings).state, State::warn);
}

TEST(Doctor, SaysWhatAFullDiskStops) {
  Findings findings = healthy();
  findings.history_problem = "history.db: database or disk is full";
  const Check check = named("history", findings);
  EXPECT_EQ(check.state, State::warn);
  EXPECT_THAT(check.text, AllOf(HasSubstr("disk is full"), HasSubstr("undo does not need it")));
  EXPECT_THAT(check.remedy, HasSubstr("required = false"));
}

TEST(Doctor, RepeatsEachDowngrade) {
  Findings findings = healthy();
  findings.downgrades = {"one", "two"};
  const auto checks = examine(findings);
  for (const char* line : {"one", "two"})
    EXPECT_THAT(checks, Contains(AllOf(Field(&Check::name, "downgrade"), Field(&Check::text, line),
                                       Field(&Check::state, State::warn))));
}

TEST(Doctor, ReportsARemedyOnlyWhereThereIsOne) {
  const auto report = doctor_report("6.12.30", {{"a", State::ok, "fine", ""},
                                                {"b", State::fail, "broken", "mend it"},
                                                {"c", State::warn, "less", ""},
                                                {"d", State::off, "not asked for", ""}});
  EXPECT_EQ(report, nlohmann::json::parse(R"({"kernel": "6.12.30", "checks": [
      {"name": "a", "state": "ok", "text": "fine"},
      {"name": "b", "state": "fail", "text": "broken", "remedy": "mend it"},
      {"name": "c", "state": "warn", "text": "less"},
      {"name": "d", "state": "off", "text": "not asked for"}]})"));
}

}  // namespace
}  // namespace ankus
