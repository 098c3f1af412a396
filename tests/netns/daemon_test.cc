// SPDX-License-Identifier: Apache-2.0
// The daemon and its command line from end to end, on real kernels: what people are promised in
// docs/operating.md.
#include <bpf/bpf.h>
#include <linux/ethtool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <regex>
#include <sstream>
#include <thread>

#include "base/text.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "netns/daemon_support.h"
#include "netns/vm_at_tap.h"

namespace ankus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAreArray;

class Daemon : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
    host_.emplace();
    before_ = host_->snapshot();
  }

  void succeed(const std::string& arguments) const {
    const CommandResult result = host_->ctl(arguments);
    EXPECT_EQ(result.code, 0) << arguments << ": " << result.output;
  }
  void fail_with(int code, const std::string& arguments, const std::string& words) const {
    const CommandResult result = host_->ctl(arguments);
    EXPECT_EQ(result.code, code) << arguments << ": " << result.output;
    EXPECT_THAT(result.output, HasSubstr(words)) << arguments;
  }
  /// Starts a daemon that has applied its policies.
  Process applied(const std::string& how = "") {
    Process daemon = host_->start();
    succeed("apply" + how);
    EXPECT_NE(host_->snapshot(), before_);
    return daemon;
  }
  void expect_undone() const {
    EXPECT_EQ(host_->snapshot(), before_);
    EXPECT_NE(access(host_->lab().pin_dir().c_str(), F_OK), 0) << "pins are left";
  }
  void send_mice_and_an_elephant() const {
    const Lab& lab = host_->lab();
    EXPECT_NE(send_tcp(lab.container("web"), lab.server(), "10.77.0.2", 7001, 20'000), 0);
    EXPECT_NE(send_tcp(lab.container("backup"), lab.server(), "10.77.0.2", 7002, 3'000'000), 0);
  }

  /// A policy that wants nothing.
  std::string no_rules() const {
    const std::string path = host_->file("nothing.toml");
    std::ofstream(path) << "mode = \"advise\"\n";
    return path;
  }

  std::optional<DaemonLab> host_;
  std::string before_;
};

/// BPF programs that hang somewhere: whoever holds or has pinned them.
std::size_t links_in_kernel() {
  std::size_t count = 0;
  for (std::uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0; ++count) {
  }
  return count;
}

/// Workloads with a row in the pinned table: an array, whose empty rows are zero.
std::size_t rows_of_members(const DaemonLab& host) {
  const std::string text =
      run("bpftool --json map dump pinned $(find " + host.lab().pin_dir() + " -name ankus_members)")
          .output;
  const auto rows = nlohmann::json::parse(text, nullptr, false);
  EXPECT_TRUE(rows.is_array()) << text;
  return static_cast<std::size_t>(std::ranges::count_if(rows, [](const auto& row) {
    return row.contains("formatted") && row["formatted"]["value"].value("lease_until", 0U) != 0;
  }));
}

/// What each SIOCETHTOOL of an strace does is in the line before it (preload/ethtool_commands.cc);
/// one of which nothing is said counts as a write.
class EthtoolCommands {
 public:
  bool is_write(const std::string& line) {
    static const std::regex kCommand("^(\\d+) +write\\(-1, \"ethtool (0x[0-9a-f]+) "),
        kIoctl("^(\\d+) +ioctl\\(\\d+, SIOCETHTOOL");
    std::smatch match;
    if (std::regex_search(line, match, kCommand))
      said_[match[1]] = std::stoul(match[2], nullptr, 16);
    if (!std::regex_search(line, match, kIoctl)) return false;
    const auto said = said_.find(match[1]);
    const bool writes = said == said_.end() || !reads(said->second);
    if (said != said_.end()) said_.erase(said);
    return writes;
  }

 private:
  static bool reads(unsigned long command) {
    constexpr std::array<unsigned long, 7> kReads{
        ETHTOOL_GDRVINFO,   ETHTOOL_GRXRINGS, ETHTOOL_GRSSH, ETHTOOL_GLINKSETTINGS,
        ETHTOOL_GSSET_INFO, ETHTOOL_GSTRINGS, ETHTOOL_GSTATS};
    return std::ranges::find(kReads, command) != kReads.end();
  }
  std::map<std::string, unsigned long> said_;  ///< by process
};

/// The lines of an strace that change something of the host.
std::vector<std::string> writes_in(const std::string& trace_file) {
  static const std::regex kWrites(
      "nlmsg_type=(RTM_(NEW|DEL|SET|CHANGE)[A-Z]*)"
      "|openat\\([^,]*, \"/(sys/(?!fs/bpf)|proc/sys|proc/irq)[^\"]*\", [A-Z_|]*O_(WRONLY|RDWR)"
      "|BPF_OBJ_PIN"
      "|sched_setaffinity\\(");
  std::vector<std::string> found;
  std::ifstream in(trace_file);
  EthtoolCommands ethtool;
  for (std::string line; std::getline(in, line);)
    if (ethtool.is_write(line) || std::regex_search(line, kWrites)) found.push_back(line);
  return found;
}

/// What strace needs to show all that writes_in() looks for.
std::string strace(const std::string& trace_file) {
  return "strace -f -E LD_PRELOAD=" ETHTOOL_COMMANDS
         " -e trace=sendto,sendmsg,sendmmsg,write,openat,bpf,ioctl,sched_setaffinity -o " +
         trace_file + " ";
}

TEST_F(Daemon, ADryRunChangesNothing) {
  host_->write_policy(mice_first() +
                      "\n[[rule]]\nname = \"receive on one CPU\"\n"
                      "rps = { device = \"v-web\", cpus = \"0\" }\n");
  const std::string trace = host_->file("trace");
  const auto traced = [&](const std::string& options) {
    return run(join(host_->seeing_queues(strace(trace) + host_->ankusd(options)), " "));
  };
  const CommandResult dry = traced("--once --dry-run --observe 2s --mode enforce");
  EXPECT_EQ(dry.code, 0) << dry.output;
  EXPECT_THAT(dry.output, HasSubstr("root qdisc of up0"));
  EXPECT_THAT(dry.output, HasSubstr("rule \"mice first\""));
  EXPECT_THAT(dry.output, HasSubstr("rule \"receive on one CPU\""));
  EXPECT_THAT(dry.output, HasSubstr("Nothing was changed"));
  expect_undone();
  EXPECT_THAT(writes_in(trace), IsEmpty());
  EXPECT_EQ(run("grep -c SIOCETHTOOL " + trace).code, 0) << "queues were looked at";

  // That the tracer sees a write when there is one:
  const CommandResult wet = traced("--once --observe 1ms --mode enforce");
  EXPECT_EQ(wet.code, 0) << wet.output;
  EXPECT_THAT(writes_in(trace), Contains(HasSubstr("RTM_NEWQDISC")));
  EXPECT_THAT(writes_in(trace), Contains(HasSubstr("rps_cpus")));
  EXPECT_NE(host_->snapshot(), before_);
}

// What is in force classifies by the pinned maps, daemon or not.
TEST_F(Daemon, ADryRunOfAnotherPolicyLeavesThePinnedMapsAlone) {
  applied().kill_now();
  const auto settings = [&] {
    return run("for map in ankus_config ankus_devices ankus_members ankus_cgroups; do "
               "bpftool --json map dump pinned $(find " +
               host_->lab().pin_dir() + " -name $map) || echo failed; done")
        .output;
  };
  const std::string before = settings();
  EXPECT_THAT(before, Not(HasSubstr("failed")));
  host_->write_policy(mice_first("[fast]\nwindow = \"3s\"\n[probation]\nprove = \"9s\"\n"));
  const CommandResult dry = run(host_->ankusd("--once --dry-run --observe 1s --mode enforce"));
  EXPECT_EQ(dry.code, 0) << dry.output;
  EXPECT_THAT(dry.output, HasSubstr("Nothing was changed"));
  EXPECT_EQ(settings(), before);
  const CommandResult undone = run(host_->ankusd("--rollback"));
  EXPECT_EQ(undone.code, 0) << undone.output;
  expect_undone();
}

TEST_F(Daemon, TheTracerSeesWritesThatALabCannotTakeFromTheDaemon) {
  const std::string trace = host_->file("trace");
  const auto writes_of = [&](const std::string& command) {
    (void)run(strace(trace) + command);
    return writes_in(trace);
  };
  EXPECT_THAT(writes_of("taskset -p -c 0 $$"), Contains(HasSubstr("sched_setaffinity")));
  EXPECT_THAT(writes_of("ethtool -N v-web rx-flow-hash tcp4 sd"),
              Contains(HasSubstr("SIOCETHTOOL")))
      << "which veths refuse";
  EXPECT_THAT(writes_of("ethtool -x v-web"), IsEmpty()) << "asks only";
  EXPECT_EQ(run("grep -c SIOCETHTOOL " + trace).code, 0);

  std::ofstream(trace) << "7 sendmmsg(3, [{msg_iov=[{iov_base=[{nlmsg_type=RTM_NEWQDISC,\n";
  EXPECT_THAT(writes_in(trace), SizeIs(1));
  std::ofstream(trace) << "7 ioctl(9, SIOCETHTOOL, 0x7ffd22136ca0) = 0\n";
  EXPECT_THAT(writes_in(trace), SizeIs(1)) << "nobody said what it does";
}

TEST_F(Daemon, ADryRunOfAPolicyJudgesNoWorkload) {
  const auto with_calm = [](const std::string& calm) {
    return mice_first("[footprint]\nwindow = \"1s\"\ncalm = \"" + calm + "\"\n");
  };
  host_->write_policy(with_calm("60s"));
  const std::string impatient = host_->file("impatient.toml");
  std::ofstream(impatient) << with_calm("1s");
  const Process daemon = host_->start();
  const auto weight = [&] {
    const auto all = host_->json("workloads")["workloads"];
    const auto backup = std::ranges::find_if(
        all, [](const auto& row) { return row.value("device", "") == "v-backup"; });
    return backup == all.end() ? "none" : backup->value("weight", "?");
  };
  const Lab& lab = host_->lab();
  EXPECT_NE(send_tcp(lab.container("backup"), lab.server(), "10.77.0.2", 7002, 30'000'000), 0);
  ASSERT_TRUE(eventually(seconds(10), [&] { return weight() == "heavy"; })) << weight();
  for (int turns = 0; turns < 9; ++turns) {  // an elephant is one for 5 s more
    host_->let_turns_pass(1);
    succeed("plan " + impatient);
    const std::string now = weight();  // mixed, while a connection's last packets count as slow
    ASSERT_TRUE(now == "heavy" || now == "mixed") << now << " after " << turns + 1 << " turns";
  }
}

TEST_F(Daemon, ATreeThatNobodyAsksForAnyMoreStillGivesClasses) {
  const Process daemon = applied();
  host_->write_policy("mode = \"advise\"\n");
  succeed("reload");
  host_->let_turns_pass(2);
  const auto direct = [] {
    const std::string text = run("tc -s qdisc show dev up0").output;
    const auto at = text.find("direct_packets_stat ");
    return at == std::string::npos ? "none" : text.substr(at, text.find(' ', at + 20) - at);
  };
  const std::string before = direct();
  const std::uint64_t probation = class_bytes("f");
  const Lab& lab = host_->lab();
  ASSERT_NE(send_udp(lab.container("backup"), lab.server(), "10.77.0.2", 7001, 20, 1'000, 0), 0);
  EXPECT_GT(class_bytes("f"), probation + 15'000);
  EXPECT_EQ(direct(), before);
}

TEST_F(Daemon, RollbackLeavesNothingAndHoldsUntilResume) {
  const Process daemon = applied();
  succeed("rollback --all");
  expect_undone();
  EXPECT_EQ(host_->state(), "held");
  fail_with(1, "apply", "`ankusctl resume` first");
  host_->let_turns_pass(1);
  expect_undone();
  succeed("resume");
  succeed("apply");
  EXPECT_NE(host_->snapshot(), before_);
}

TEST_F(Daemon, UndoesWhatNobodyConfirms) {
  const Process daemon = applied(" --confirm-within 1s");
  EXPECT_EQ(host_->state(), "pending_confirmation");
  EXPECT_TRUE(host_->comes_back_to(before_, seconds(30)));
  EXPECT_EQ(host_->state(), "held");
  fail_with(1, "confirm", "no plan waits for a confirmation");
}

TEST_F(Daemon, APauseDoesNotStopADeadline) {
  const Process daemon = applied(" --confirm-within 5s");
  succeed("pause");
  const auto state = host_->json("status")["state"];
  EXPECT_EQ(state.value("name", ""), "paused");
  EXPECT_GT(state.value("deadline_s", 0.0), 0);
  EXPECT_TRUE(host_->comes_back_to(before_, seconds(30)));
  EXPECT_FALSE(host_->json("status")["state"].contains("deadline_s"));
}

TEST_F(Daemon, TheDeadMansSwitchUndoesWithoutTheDaemon) {
  Process daemon = applied(" --confirm-within 1s");
  daemon.kill_now();
  EXPECT_TRUE(host_->comes_back_to(before_, seconds(30)));
  EXPECT_TRUE(eventually(seconds(30), [&] {
    return access(host_->lab().pin_dir().c_str(), F_OK) != 0;
  })) << "pins are left";
}

TEST_F(Daemon, OnceInEnforceDoesNoMoreThanTheGuardAllows) {
  host_->write_policy(mice_first("[guard]\nactions_per_plan = 3\n"));
  const CommandResult once = run(host_->ankusd("--once --observe 1ms --mode enforce"));
  EXPECT_EQ(once.code, 1) << once.output;
  EXPECT_THAT(once.output, HasSubstr("guard.actions_per_plan allows 3"));
  EXPECT_EQ(host_->snapshot(), before_);
}

TEST_F(Daemon, InAnotherNamespaceNothingIsUndoneOrForgotten) {
  applied().kill_now();
  const std::string tuned = host_->snapshot();
  const std::string beyond = "timeout 20 nsenter --net=/run/netns/" + host_->lab().server() + " ";
  for (const char* how : {"--rollback", "--rollback --pending", "", "--once --observe 1ms"}) {
    const CommandResult refused = run(beyond + host_->ankusd(how));
    EXPECT_EQ(refused.code, 1) << how;
    EXPECT_THAT(refused.output, HasSubstr("in another network namespace (")) << how;
  }
  EXPECT_EQ(host_->snapshot(), tuned);
  EXPECT_EQ(run(host_->ankusd("--rollback")).code, 0);
  expect_undone();
}

TEST_F(Daemon, WhatWentWithItsNamespaceIsForgottenWhenAPersonSaysSo) {
  applied().kill_now();
  const CommandResult forgotten = run("nsenter --net=/run/netns/" + host_->lab().server() + " " +
                                      host_->ankusd("--rollback --namespace-gone"));
  EXPECT_EQ(forgotten.code, 0) << forgotten.output;
  EXPECT_THAT(forgotten.output, HasSubstr("gone"));
  EXPECT_THAT(run(host_->ankusd("--rollback")).output, HasSubstr("nothing of Ankus is in force"));
}

/// Of the uplink, without the pins, which stay while a plan waits for its confirmation.
std::string tree() { return run("tc qdisc show dev up0; tc class show dev up0 | sort").output; }

TEST_F(Daemon, UndoesARemovalThatNobodyConfirms) {
  const std::string untouched = tree();
  const Process daemon = applied();
  const std::string tuned = tree();
  const auto held = host_->knobs("held");
  const std::size_t rows = rows_of_members(*host_);
  succeed("apply " + no_rules() + " --confirm-within 2s");
  EXPECT_EQ(tree(), untouched) << "all is given back";
  EXPECT_TRUE(eventually(seconds(30), [&] { return tree() == tuned; })) << host_->log();
  EXPECT_EQ(host_->state(), "held");
  EXPECT_THAT(host_->knobs("held"), UnorderedElementsAreArray(held));
  const std::uint64_t fast = class_bytes("11");
  send_mice_and_an_elephant();
  EXPECT_GT(class_bytes("11"), fast + 2'000'000) << "the classifier is back, too";
  succeed("resume");
  succeed("apply " + host_->policy_file());
  EXPECT_TRUE(eventually(seconds(30), [&] { return rows_of_members(*host_) == rows; }))
      << "the table is filled again";
  succeed("rollback --all");
  expect_undone();
}

TEST_F(Daemon, TheDeadMansSwitchUndoesARemovalWithoutTheDaemon) {
  const std::string untouched = tree();
  Process daemon = applied();
  const std::string tuned = tree();
  succeed("apply " + no_rules() + " --confirm-within 2s");
  EXPECT_EQ(tree(), untouched);
  daemon.kill_now();
  EXPECT_TRUE(eventually(seconds(30), [&] { return tree() == tuned; }));
  const Process successor = host_->start();
  host_->let_turns_pass(1);
  EXPECT_EQ(tree(), tuned);
  EXPECT_EQ(host_->state(), "held");
  succeed("rollback --all");
  expect_undone();
}

// The pins stay as long as a verdict may take the removal back, and no longer.
TEST_F(Daemon, APolicyThatWantsNothingLeavesNothingBehind) {
  const Process daemon = applied();
  succeed("apply " + no_rules());
  EXPECT_TRUE(eventually(seconds(30), [&] {
    return access(host_->lab().pin_dir().c_str(), F_OK) != 0;
  })) << host_->log();
  expect_undone();
}

// Only the table of workloads differs between the two policies.
TEST_F(Daemon, PoliciesThatNobodyConfirmsGoWhateverTheyChange) {
  const auto first_for = [](const std::string& names) {
    std::string text = mice_first();
    const std::string light = R"(footprint = "light")";
    return text.replace(text.find(light), light.size(), "name = \"" + names + "\"");
  };
  host_->write_policy(first_for("nobody*"));
  std::ofstream(host_->file("everybody.toml")) << first_for("*");
  const Process daemon = applied();
  const auto policies = host_->json("status")["policies"];
  const auto plan = host_->json("plan " + host_->file("everybody.toml"));
  ASSERT_EQ(plan["actions"].size(), 1U) << plan;
  ASSERT_EQ(plan["actions"][0]["knob"], "workloads' classes");
  succeed("apply " + host_->file("everybody.toml") + " --confirm-within 2s");
  EXPECT_NE(host_->json("status")["policies"], policies);
  EXPECT_TRUE(eventually(seconds(30), [&] {
    return host_->json("status")["policies"] == policies;
  })) << host_->log();
  EXPECT_EQ(host_->state(), "held");

  succeed("resume");
  fail_with(1, "apply " + host_->policy_file() + " --confirm-within 2s", "nothing to confirm");
}

TEST_F(Daemon, WhatIsConfirmedStays) {
  Process daemon = applied(" --confirm-within 1s");
  succeed("confirm");
  const std::string tuned = host_->snapshot();
  host_->let_turns_pass(3);
  EXPECT_EQ(host_->state(), "idle");
  EXPECT_EQ(host_->snapshot(), tuned);
  // A switch that has no systemd to stop it finds nothing to do once it gets the lock.
  daemon.kill_now();
  EXPECT_TRUE(eventually(seconds(30), [&] {
    return run("pgrep -f -- '[-]-pending --state-dir " + host_->state_dir() + "'").code != 0;
  }));
  EXPECT_EQ(host_->snapshot(), tuned);
}

TEST_F(Daemon, DeathChangesNothingAndASuccessorAdopts) {
  Process daemon = applied();
  const std::string tuned = host_->snapshot();
  const auto held = host_->knobs("held");
  const std::size_t links = links_in_kernel();
  daemon.kill_now();
  EXPECT_EQ(host_->snapshot(), tuned);
  const std::uint64_t fast = class_bytes("11"), other = class_bytes("f") + class_bytes("10");
  send_mice_and_an_elephant();
  EXPECT_GT(class_bytes("11"), fast + 2'000'000) << "the elephant's packets are classed as fast";
  EXPECT_GT(class_bytes("f") + class_bytes("10"), other + 20'000);

  Process successor = host_->start();
  EXPECT_EQ(host_->knobs("held"), held);
  for (const auto& action : host_->json("plan")["actions"])
    EXPECT_EQ(action["knob"], "workloads' classes") << "these follow the workloads";
  host_->let_turns_pass(1);
  EXPECT_EQ(host_->snapshot(), tuned);
  EXPECT_TRUE(eventually(seconds(20), [&] { return links_in_kernel() == links; }))
      << "each packet is counted once, and not by " << links_in_kernel() << " links, " << links
      << " before";
  successor.signal(SIGTERM);
  EXPECT_EQ(successor.wait(), 0);
  EXPECT_EQ(host_->snapshot(), tuned);
  const std::uint64_t then = class_bytes("11");
  send_mice_and_an_elephant();
  EXPECT_GT(class_bytes("11"), then + 2'000'000) << "still classed after a stop";
}

TEST_F(Daemon, WhatAFormerVersionPinnedGoes) {
  const std::string former = host_->lab().pin_dir() + "/maps-v1";
  const CommandResult pinned = run("mkdir -p " + former + " && bpftool map create " + former +
                                   "/ankus_flows type array key 4 value 4 entries 1 name former");
  ASSERT_EQ(pinned.code, 0) << pinned.output;
  const Process daemon = applied();
  EXPECT_NE(access(former.c_str(), F_OK), 0);
  succeed("rollback --all");
  expect_undone();
}

TEST_F(Daemon, RollsBackWithoutADaemon) {
  applied().kill_now();
  const CommandResult undone = run(host_->ankusd("--rollback"));
  EXPECT_EQ(undone.code, 0) << undone.output;
  expect_undone();
  const CommandResult again = run(host_->ankusd("--rollback"));
  EXPECT_EQ(again.code, 0) << again.output;
  EXPECT_THAT(again.output, HasSubstr("nothing of Ankus is in force"));
}

TEST_F(Daemon, RollsBackWithoutAHistory) {
  applied().kill_now();
  std::filesystem::remove_all(host_->state_dir());
  const CommandResult undone = run(host_->ankusd("--rollback"));
  EXPECT_EQ(undone.code, 0) << undone.output;
  expect_undone();
}

TEST_F(Daemon, RollsBackWithAReadOnlyHistory) {
  applied().kill_now();
  const std::string state = host_->state_dir();
  ASSERT_EQ(mount(state.c_str(), state.c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(mount(nullptr, state.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const CommandResult undone = run(host_->ankusd("--rollback"));
  EXPECT_EQ(undone.code, 0) << undone.output;
  EXPECT_THAT(undone.output, HasSubstr("note: history cannot be written"));
  expect_undone();
}

/// A disk of 1 MB without a free byte on the state directory; what is in there already is kept.
void fill_up(const std::string& state_dir) {
  const std::string aside = state_dir + ".aside";
  std::filesystem::copy(state_dir, aside);
  ASSERT_EQ(mount("ankus-full", state_dir.c_str(), "tmpfs", 0, "size=1m"), 0);
  std::filesystem::copy(aside, state_dir);
  (void)run("cat /dev/zero > " + state_dir + "/filler");  // until it is full
}

TEST_F(Daemon, RollsBackWithAFullDisk) {
  applied().kill_now();
  fill_up(host_->state_dir());
  const CommandResult undone = run(host_->ankusd("--rollback"));
  EXPECT_EQ(undone.code, 0) << undone.output;
  EXPECT_THAT(undone.output, HasSubstr("note: history cannot be written"));
  expect_undone();
}

TEST_F(Daemon, CedesAClassThatSomebodyElseChanges) {
  const Process daemon = applied();
  ASSERT_EQ(run("tc class change dev up0 parent 7a8c:1 classid 7a8c:11 htb rate 50mbit ceil "
                "100mbit prio 3")
                .code,
            0);
  ASSERT_TRUE(eventually(seconds(30), [&] { return !host_->json("status")["ceded"].empty(); }));
  EXPECT_THAT(host_->knobs("ceded"), Contains("class 7a8c:11 on up0"));
  EXPECT_THAT(host_->knobs("held"), Not(Contains("class 7a8c:11 on up0")));
  const auto theirs = [] { return run("tc class show dev up0 | grep 'htb 7a8c:11 '").output; };
  EXPECT_THAT(theirs(), HasSubstr("rate 50Mbit"));
  host_->let_turns_pass(1);
  EXPECT_THAT(theirs(), HasSubstr("rate 50Mbit"));
  EXPECT_THAT(host_->json("plan")["actions"], IsEmpty()) << "it is left alone";

  const CommandResult undone = host_->ctl("rollback --all");
  EXPECT_EQ(undone.code, 0) << undone.output;
  EXPECT_THAT(undone.output, HasSubstr("somebody else's"));
  EXPECT_THAT(theirs(), HasSubstr("rate 50Mbit")) << "undo does not take it with its root";
  EXPECT_THAT(host_->json("status")["held"], Not(IsEmpty())) << "the rest of the tree is said";
}

TEST_F(Daemon, NeverDeletesARootThatSomebodyElsePut) {
  const Process daemon = applied();
  ASSERT_EQ(
      run("tc qdisc replace dev up0 root handle 5: tbf rate 100mbit burst 64k limit 100000").code,
      0);
  ASSERT_TRUE(eventually(seconds(30), [&] { return !host_->json("status")["ceded"].empty(); }));
  EXPECT_THAT(host_->knobs("ceded"), Contains("root qdisc of up0"));
  succeed("rollback --all");
  EXPECT_THAT(run("tc qdisc show dev up0").output, HasSubstr("qdisc tbf 5: root"));
  EXPECT_THAT(host_->json("status")["held"], IsEmpty());
  ASSERT_EQ(run("tc qdisc del dev up0 root").code, 0);
  expect_undone();
}

TEST_F(Daemon, LeavesARootAloneThatWasThereBefore) {
  host_.reset();
  host_.emplace("--bridged --narrow here --containers 'web:light backup:heavy'");
  before_ = host_->snapshot();
  const Process daemon = host_->start();
  const auto plan = host_->json("plan");
  EXPECT_THAT(plan["actions"], IsEmpty());
  ASSERT_THAT(plan["refusals"], Not(IsEmpty()));
  EXPECT_THAT(plan["refusals"][0].dump(), HasSubstr("tbf 77:"));
  EXPECT_EQ(host_->json("apply").value("state", "?"), "unchanged");
  expect_undone();
}

TEST_F(Daemon, RefusesASecondDaemon) {
  const Process daemon = host_->start();
  const CommandResult second = run(host_->ankusd());
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.output, HasSubstr("another Ankus (pid " + std::to_string(daemon.pid()) + ")"));
  for (const char* other : {"--once --observe 1ms", "--rollback"})
    EXPECT_EQ(run(host_->ankusd(other)).code, 1) << other;
  succeed("status");
}

TEST_F(Daemon, AnswersNobodyWithoutTheRight) {
  const Process daemon = host_->start();
  const std::string nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups ";
  // Even a socket whose mode lets everybody in asks who it is.
  for (const mode_t mode : {0660, 0666}) {
    ASSERT_EQ(chmod(host_->socket().c_str(), mode), 0);
    ASSERT_EQ(chmod(host_->runtime_dir().c_str(), 0755), 0);
    for (const char* verb : {"status", "apply", "rollback --all"}) {
      const CommandResult refused = run(nobody + host_->ankusctl(verb));
      EXPECT_EQ(refused.code, 4) << verb << ": " << refused.output;
      EXPECT_THAT(refused.output, HasSubstr("ankus")) << "names the group";
    }
  }
  EXPECT_EQ(host_->snapshot(), before_);
}

TEST_F(Daemon, LivesOnWhenADeviceVanishes) {
  Process daemon = applied();
  ASSERT_EQ(run("ip link del up0").code, 0);
  const std::string without = host_->snapshot();
  ASSERT_TRUE(eventually(seconds(30), [&] {
    const auto held = host_->knobs("held");
    return std::ranges::none_of(held, [](const auto& k) { return k.ends_with(" up0"); });
  })) << "nothing is held of a device that is gone";
  EXPECT_TRUE(daemon.runs());
  EXPECT_THAT(host_->ctl("history").output, HasSubstr("root qdisc of up0 vanished"));
  succeed("rollback --all");
  EXPECT_THAT(host_->json("status")["held"], IsEmpty());
  EXPECT_NE(access(host_->lab().pin_dir().c_str(), F_OK), 0) << "pins are left";
}

TEST_F(Daemon, AppliesNothingThatItCannotAudit) {
  fill_up(host_->state_dir());
  const Process daemon = host_->start();
  fail_with(1, "apply", "nothing was applied, because history cannot be written");
  EXPECT_EQ(host_->snapshot(), before_);
  EXPECT_FALSE(host_->json("status").value("history_ok", true));
  host_->write_policy(mice_first("[audit]\nrequired = false\n"));
  succeed("reload");
  succeed("apply");
  EXPECT_NE(host_->snapshot(), before_);
  succeed("rollback --all");
  expect_undone();
}

TEST_F(Daemon, ABadPolicyLeavesTheOldOnesInForce) {
  const Process daemon = host_->start();
  const auto good = host_->json("status")["policies"];
  host_->write_policy(mice_first("mod = \"enforce\"\n"));
  fail_with(2, "reload", host_->policy_file() + ":1:");
  EXPECT_EQ(host_->json("status")["policies"], good);
  EXPECT_THAT(host_->json("plan")["actions"], SizeIs(10)) << "the old rules";

  host_->write_policy(mice_first());
  ASSERT_EQ(chmod(host_->policy_file().c_str(), 0666), 0);
  fail_with(2, "reload", host_->policy_file());
  ASSERT_EQ(chmod(host_->policy_file().c_str(), 0644), 0);
  ASSERT_EQ(chown(host_->policy_file().c_str(), 65534, 0), 0);
  fail_with(2, "reload", host_->policy_file());
  ASSERT_EQ(chown(host_->policy_file().c_str(), 0, 0), 0);
  succeed("reload");
  const std::string link =
      std::filesystem::path(host_->policy_file()).replace_filename("20-l.toml");
  ASSERT_EQ(symlink(host_->policy_file().c_str(), link.c_str()), 0);
  fail_with(2, "reload", link);
  EXPECT_EQ(host_->json("status")["policies"], good);
  const std::string history = host_->ctl("history").output;
  EXPECT_THAT(history,
              HasSubstr("ankusd " + std::string(kVersion) + ", mode advise: 10-mice.toml"));
  EXPECT_THAT(history, HasSubstr("reload by root: 10-mice.toml"));
}

TEST_F(Daemon, EnforcesByItselfUnlessPaused) {
  const std::string enforce = "mode = \"enforce\"\n";
  host_->write_policy(mice_first(enforce));
  const Process daemon = host_->start();
  ASSERT_TRUE(eventually(seconds(30), [&] { return host_->snapshot() != before_; }));
  EXPECT_THAT(host_->json("plan")["actions"], IsEmpty());

  succeed("pause");
  host_->write_policy(mice_first(enforce, "100 Mbit"));
  succeed("reload");
  const auto root_rate = [] { return run("tc class show dev up0 | grep 'htb 7a8c:1 '").output; };
  host_->let_turns_pass(1);
  EXPECT_THAT(root_rate(), HasSubstr("rate 200Mbit"));
  EXPECT_EQ(host_->state(), "paused");
  fail_with(1, "apply", "paused by root");
  succeed("resume");
  EXPECT_TRUE(eventually(seconds(30), [&] {
    return root_rate().find("rate 100Mbit") != std::string::npos;
  })) << root_rate();
  host_->let_turns_pass(1);
  EXPECT_THAT(root_rate(), HasSubstr("rate 100Mbit")) << "kept, not taken back";
  EXPECT_THAT(host_->json("plan")["actions"], IsEmpty()) << host_->log();
}

TEST_F(Daemon, APlanThatIsTooLargeWaitsForAPerson) {
  host_->write_policy(mice_first("mode = \"enforce\"\nguard.actions_per_plan = 1\n"));
  const Process daemon = host_->start();
  ASSERT_TRUE(eventually(seconds(30), [&] { return host_->json("status").contains("waiting"); }));
  const std::string waiting = host_->json("status")["waiting"];
  EXPECT_THAT(waiting, HasSubstr("guard.actions_per_plan allows 1: look at `ankusctl plan`"));
  EXPECT_THAT(waiting, HasSubstr("plan " + host_->json("plan").value("id", "?") + " has "));
  host_->let_turns_pass(2);
  EXPECT_EQ(host_->snapshot(), before_);
  succeed("apply");
  EXPECT_NE(host_->snapshot(), before_);
  EXPECT_TRUE(eventually(seconds(30), [&] { return !host_->json("status").contains("waiting"); }));
}

TEST_F(Daemon, AWorkloadThatOptsOutLosesItsRow) {
  const Process daemon = applied();
  const auto workloads = host_->json("workloads")["workloads"];
  const auto web = std::ranges::find_if(
      workloads, [](const auto& w) { return w.value("device", "") == "v-web"; });
  ASSERT_NE(web, workloads.end());
  const std::string id = std::to_string(web->value("id", 0));
  const std::size_t rows = rows_of_members(*host_);
  EXPECT_GE(rows, 3U) << "two containers, and nobody";
  succeed("opt-out " + id);
  EXPECT_TRUE(eventually(seconds(30), [&] { return rows_of_members(*host_) == rows - 1; }))
      << rows_of_members(*host_) << " of " << rows;
  succeed("opt-in " + id);
  EXPECT_TRUE(eventually(seconds(30), [&] { return rows_of_members(*host_) == rows; }));
}

TEST_F(Daemon, DeathAtAnyMomentOfAnApplyIsUndoneExactly) {
  std::mt19937 random(testing::UnitTest::GetInstance()->random_seed());
  std::uniform_int_distribution<int> delay(0, 45'000);
  int untouched = 0, complete = 0, between = 0;
  for (int round = 0; round < 20; ++round) {
    Process daemon = host_->start();
    std::thread client([&] { (void)host_->ctl("apply"); });
    std::this_thread::sleep_for(std::chrono::microseconds(delay(random)));  // the moment of death
    daemon.kill_now();
    client.join();
    const std::string found = host_->snapshot();
    const bool classified = found.find("htb 7a8c:11 ") != std::string::npos;
    ++(found.find("htb 7a8c:") == std::string::npos ? untouched : classified ? complete : between);
    if (round % 2 == 0) {
      const Process successor = host_->start();
      succeed("rollback --all");
      ASSERT_EQ(host_->snapshot(), before_) << "round " << round << ", died at:\n" << found;
      succeed("resume");
    } else {
      const CommandResult undone = run(host_->ankusd("--rollback"));
      ASSERT_EQ(undone.code, 0) << undone.output;
      ASSERT_EQ(host_->snapshot(), before_) << "round " << round << ", died at:\n" << found;
      std::filesystem::remove_all(host_->runtime_dir());  // with its hold
      ASSERT_EQ(mkdir(host_->runtime_dir().c_str(), 0755), 0);
    }
  }
  std::cerr << "died before the first write " << untouched << " times, with a part of the tree "
            << between << ", with all classes " << complete << '\n';
  EXPECT_LT(untouched, 20) << "no death came late enough to prove anything";
}

// Its TCP is not this kernel's.
TEST_F(Daemon, AVmsRoundTripsAreSeenAtItsTap) {
  host_.emplace("--routed --containers 'web:light'");
  const auto vm = VmAtTap::make();
  if (!vm) GTEST_SKIP() << "no /dev/net/tun (CONFIG_TUN)";
  const Process daemon = host_->start();
  ASSERT_TRUE(eventually(seconds(20), [&] {
    const auto reply = host_->json("workloads");
    return std::ranges::any_of(reply["workloads"], [](const auto& row) {
      return row.value("kind", "") == "vm" && row.value("device", "") == "tap9";
    });
  })) << host_->ctl("workloads").output;
  std::atomic<bool> over = false;
  std::thread guest([&] {
    for (std::uint16_t port = 20'000; !over; ++port) {
      vm->send_to_closed_port(port);
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
  const auto reply = host_->json("latency --for 2s --one-in 1");
  over = true;
  guest.join();
  const auto trip = std::ranges::find_if(reply["segments"], [](const auto& segment) {
    return segment.value("segment", "") == "round-trip";
  });
  ASSERT_NE(trip, reply["segments"].end()) << reply;
  EXPECT_GT(trip->value("measured", 0), 10) << *trip;
  EXPECT_LT(trip->value("p50_ns", 0.0), 50e6) << *trip;
}

}  // namespace
}  // namespace ankus
