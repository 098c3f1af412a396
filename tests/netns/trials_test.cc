// SPDX-License-Identifier: Apache-2.0
// The loop with its verdict, on real kernels and real traffic: what is tried, kept, and taken back.
#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "gmock/gmock.h"
#include "netns/daemon_support.h"

namespace ankus {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kVerify = "[verify]\nwithin = \"4s\"\nsettle = \"100ms\"\n";
const std::string kEnforce = "mode = \"enforce\"\n";
/// On a rate that the demo's mice fill by themselves.
const std::string kHarmful = "[link.uplink]\nrate = \"100 Mbit\"\n" + kVerify + R"(
[[rule]]
name = "mice starve"
match = { footprint = "light" }
bandwidth = { device = "uplink", guarantee = "1%", limit = "1%", priority = 7 }

[[rule]]
name = "elephants first"
match = { footprint = "heavy" }
bandwidth = { device = "uplink", guarantee = "80%", limit = "100%", priority = 0 }
)";
const std::string kRpsRule = R"(
[[rule]]
name = "receive on the other CPU"
rps = { device = "v-web", cpus = "1" }
)";
const std::string kRps = kEnforce + kVerify + kRpsRule;
/// Windows in which one busy second more or less does not matter.
const std::string kRpsOnTrial =
    kEnforce + "[verify]\nwithin = \"8s\"\nsettle = \"100ms\"\n" + kRpsRule;

class TrialsOnKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
  }
  void begin(const std::string& narrow = "none") {
    host_.emplace("--bridged --narrow " + narrow +
                  " --rate 50mbit --containers 'web:light backup:heavy'");
    before_ = host_->snapshot();
  }
  using Load = DaemonLab::Load;
  /// Hidden: what else runs on this machine must not keep the gate closed.
  Process start_with_queues(Load load = Load::hidden) {
    Process daemon(host_->seeing_queues("exec " + host_->ankusd(), load), host_->file("log"));
    EXPECT_TRUE(eventually(seconds(30), [&] { return host_->ctl("status").code == 0; }))
        << host_->log();
    return daemon;
  }
  /// The RPS masks of v-web's queues.
  std::string rps() const {
    return run("unshare --mount sh -c 'mount -t sysfs sysfs /sys && "
               "cat /sys/class/net/v-web/queues/rx-*/rps_cpus'")
        .output;
  }
  /// A client of the lab's traffic in `container`, for a minute at most.
  Process client(const std::string& container, const std::string& arguments) const {
    std::vector<std::string> command{std::string(ANKUS_SOURCE_DIR) + "/tests/lab/lab", "exec",
                                     host_->lab().name(), container, kTraffic};
    std::istringstream in(arguments + " --to 10.77.0.2:5000 --seconds 60");
    for (std::string word; in >> word;) command.push_back(word);
    return Process(command, host_->file("traffic"));
  }
  void serve() const {
    const CommandResult served = run("ANKUS_TRAFFIC=" + kTraffic + " " + ANKUS_SOURCE_DIR +
                                     "/tests/lab/lab serve --name " + host_->lab().name());
    ASSERT_EQ(served.code, 0) << served.output;
  }
  std::string trial() const { return host_->json("status").value("trial", ""); }
  nlohmann::json verdict() const {
    return host_->json("status").value("verdict", nlohmann::json::object());
  }
  std::string history() const { return host_->ctl("history").output; }
  void succeed(const std::string& arguments) const {
    const CommandResult result = host_->ctl(arguments);
    EXPECT_EQ(result.code, 0) << arguments << ": " << result.output;
  }
  bool is_tried(const std::string& masks) const {
    return eventually(seconds(90), [&] { return rps() != masks; });
  }
  std::string classes() const { return run("tc class show dev up0 | sort").output; }
  std::string weight(const std::string& device) const {
    const auto reply = host_->json("workloads");
    for (const auto& row : reply["workloads"])
      if (row.value("device", "") == device) return row.value("weight", "");
    return "";
  }
  /// The structure of the plan: rows of workloads come and go.
  std::string wanted() const {
    std::string text;
    const auto plan = host_->json("plan");
    for (const auto& action : plan["actions"])
      if (action["knob"] != "workloads' classes") text += action["knob"].get<std::string>() + "\n";
    return text;
  }

  struct Running {
    Process daemon, mice, bulk;
  };
  /// A daemon whose mice-first policy is in force, and which has seen who is a mouse.
  Running with_a_good_policy() {
    begin();
    host_->write_policy(mice_first(kVerify, "100 Mbit"));
    Running running{.daemon = host_->start(), .mice = {}, .bulk = {}};
    succeed("apply");
    serve();
    running.mice = client("web", "mice");
    running.bulk = client("backup", "bulk --flows 2");
    EXPECT_TRUE(eventually(seconds(20), [&] {
      return weight("v-web") == "light" && weight("v-backup") == "heavy";
    })) << host_->ctl("workloads").output;
    return running;
  }

  const std::string kTraffic = std::string(ANKUS_BINARY_DIR) + "/tests/lab/ankus-traffic";
  std::optional<DaemonLab> host_;
  std::string before_;
};

TEST_F(TrialsOnKernel, WithoutASignNothingIsTriedAndHistorySaysWhy) {
  begin();
  const std::string masks = rps();
  host_->write_policy(kRps);
  const Process daemon = start_with_queues();
  ASSERT_THAT(wanted(), HasSubstr("RPS")) << host_->ctl("plan").output;
  ASSERT_TRUE(eventually(seconds(15), [&] {
    return history().find("is not tried") != std::string::npos;
  })) << host_->log();
  const std::string id = [&] {
    const auto entries = host_->json("history")["entries"];
    for (const auto& entry : entries)
      if (entry.value("text", "").find("is not tried") != std::string::npos)
        return entry.value("plan", "");
    return std::string();
  }();
  EXPECT_THAT(host_->ctl("explain " + id).output, HasSubstr("is not tried")) << id;
  EXPECT_EQ(rps(), masks);
  EXPECT_EQ(host_->snapshot(), before_);
  EXPECT_THAT(host_->json("status")["held"], IsEmpty());
}

TEST_F(TrialsOnKernel, AHarmfulPolicyIsUndoneByItself) {
  const Running running = with_a_good_policy();
  ASSERT_FALSE(HasFailure());
  std::ofstream(host_->file("harmful.toml")) << kHarmful;
  const std::string good = classes();
  succeed("plan " + host_->file("harmful.toml"));  // somebody looks, and decides
  host_->let_turns_pass(5);
  const auto applied = host_->json("apply " + host_->file("harmful.toml"));
  EXPECT_THAT(applied["note_lines"].dump(), HasSubstr("is judged")) << applied;
  EXPECT_NE(classes(), good);
  EXPECT_THAT(trial(), HasSubstr(applied.value("plan", "?")));
  ASSERT_TRUE(eventually(seconds(15), [&] {
    return verdict().value("plan", "") == applied["plan"];
  })) << host_->log();
  EXPECT_EQ(verdict().value("verdict", ""), "harmed") << verdict();
  EXPECT_EQ(classes(), good);
  EXPECT_EQ(wanted(), "") << "the policies are those before, too";
  EXPECT_THAT(host_->ctl("explain " + applied.value("plan", "?")).output,
              HasSubstr("undone, and left alone for"));
  const std::string action = applied["actions"][0].value("id", "?");
  EXPECT_EQ(host_->json("explain " + action)["judged"].value("plan", ""), applied["plan"])
      << "an action is judged with its plan";
}

// The verdict on the first plan must not bring back the policies from before it.
TEST_F(TrialsOnKernel, PoliciesThatSomebodyAppliesDuringATrialStayWhateverTheVerdict) {
  const Running running = with_a_good_policy();
  ASSERT_FALSE(HasFailure());
  std::ofstream(host_->file("harmful.toml")) << kHarmful;
  std::ofstream(host_->file("later.toml")) << kHarmful;
  succeed("plan " + host_->file("harmful.toml"));
  host_->let_turns_pass(5);
  const auto applied = host_->json("apply " + host_->file("harmful.toml"));
  ASSERT_THAT(trial(), HasSubstr(applied.value("plan", "?"))) << applied;
  succeed("apply " + host_->file("later.toml"));
  ASSERT_TRUE(eventually(seconds(15), [&] {
    return verdict().value("plan", "") == applied["plan"];
  })) << host_->log();
  EXPECT_EQ(verdict().value("verdict", ""), "harmed") << verdict();
  EXPECT_THAT(host_->json("status").dump(), HasSubstr("later.toml"));
}

TEST_F(TrialsOnKernel, WhatIsOnTrialDoesNotOutliveTheDaemon) {
  begin("here");  // a queue on the host: what its mice wait there is a sign
  const std::string masks = rps();
  host_->write_policy(kRpsOnTrial);
  serve();
  const Process mice = client("web", "mice"), bulk = client("backup", "bulk --flows 4");
  Process daemon = start_with_queues();
  ASSERT_TRUE(is_tried(masks)) << host_->log() << history();
  EXPECT_EQ(host_->state(), "idle") << "it is nothing for a person to confirm";
  const CommandResult confirmed = host_->ctl("confirm");
  EXPECT_EQ(confirmed.code, 1) << confirmed.output;
  EXPECT_THAT(confirmed.output, HasSubstr("on trial"));
  daemon.kill_now();
  EXPECT_NE(rps(), masks) << "death changes nothing by itself";
  EXPECT_TRUE(eventually(seconds(40), [&] { return rps() == masks; }))
      << "the dead man's switch undoes it";
  EXPECT_EQ(run(host_->ankusd("--rollback")).code, 0);
}

TEST_F(TrialsOnKernel, ARestartDuringATrialUndoesItAndRemembersThatItFailed) {
  begin("here");
  const std::string masks = rps();
  host_->write_policy(kRpsOnTrial);
  serve();
  const Process mice = client("web", "mice"), bulk = client("backup", "bulk --flows 4");
  Process daemon = start_with_queues();
  ASSERT_TRUE(is_tried(masks)) << host_->log() << history();
  daemon.signal(SIGTERM);
  EXPECT_EQ(daemon.wait(), 0);
  EXPECT_NE(rps(), masks) << "nothing changes on exit";
  const Process successor = start_with_queues();
  EXPECT_EQ(rps(), masks);
  EXPECT_EQ(host_->state(), "idle") << "and nothing is held";
  EXPECT_THAT(history(), HasSubstr("never judged: the daemon ended before the verdict; undone"));
  EXPECT_TRUE(eventually(seconds(30), [&] {
    return history().find("after 1 failure (the daemon ended before the verdict)") !=
           std::string::npos;
  })) << history();
}

// A trial that somebody else has changed says nothing of ours, and is nobody's failure.
TEST_F(TrialsOnKernel, WhatSomebodyChangesDuringItsTrialIsNotJudged) {
  begin("here");
  const auto mask_of = [](const std::string& device) {
    return run("unshare --mount sh -c 'mount -t sysfs sysfs /sys && cat /sys/class/net/" + device +
               "/queues/rx-0/rps_cpus'")
        .output;
  };
  const std::string web = mask_of("v-web"), backup = mask_of("v-backup");
  host_->write_policy(kRpsOnTrial +
                      "[[rule]]\nname = \"and of the other\"\n"
                      "rps = { device = \"v-backup\", cpus = \"1\" }\n"
                      "[guard]\ncooldown = \"1s\"\n");
  serve();
  const Process mice = client("web", "mice"), bulk = client("backup", "bulk --flows 4");
  const Process daemon = start_with_queues();
  ASSERT_TRUE(eventually(seconds(90), [&] { return mask_of("v-web") != web; })) << host_->log();
  EXPECT_NE(mask_of("v-backup"), backup);
  run("unshare --mount sh -c 'mount -t sysfs sysfs /sys && "
      "echo 0 > /sys/class/net/v-web/queues/rx-0/rps_cpus'");
  EXPECT_TRUE(eventually(seconds(10), [&] { return mask_of("v-backup") == backup; }))
      << "the rest goes, too: " << host_->log();
  EXPECT_THAT(history(), HasSubstr("never judged: RPS"));
  EXPECT_EQ(verdict(), nlohmann::json::object());
  EXPECT_EQ(trial(), "");
  EXPECT_EQ(host_->state(), "idle");
  EXPECT_TRUE(eventually(seconds(15), [&] {
    return history().find("not tried now") != std::string::npos;
  })) << history();
  EXPECT_THAT(history(), Not(HasSubstr("failure"))) << history();
}

/// Sends small datagrams from `container` from CPU 0, as fast as it can, until it goes.
class Flood {
 public:
  explicit Flood(const std::string& container)
      : thread_([this, container] { in_namespace(container, [this] { send_all(); }); }) {}
  ~Flood() {
    over_ = true;
    thread_.join();
  }

 private:
  void send_all() {
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET(0, &cpu);
    ASSERT_EQ(sched_setaffinity(0, sizeof cpu, &cpu), 0);
    const UniqueFd out(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {}, .sin_zero = {}};
    inet_pton(AF_INET, "10.77.0.2", &to.sin_addr);
    const char data[16] = {};
    while (!over_)
      (void)sendto(out.get(), data, sizeof data, 0, reinterpret_cast<const sockaddr*>(&to),
                   sizeof to);  // what does not fit is lost, as floods are
  }
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

// Chosen while all was quiet, and by hand: no verdict is to come.
TEST_F(TrialsOnKernel, SteeringThatLosesPacketsGoesWithinSeconds) {
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) GTEST_SKIP() << "needs two CPUs";
  begin();
  const std::string masks = rps();
  host_->write_policy("mode = \"advise\"\n" + kRps.substr(kEnforce.size()));
  Process daemon = start_with_queues(Load::seen);
  host_->let_turns_pass(3);  // what the host drops by itself
  succeed("apply");
  ASSERT_NE(rps(), masks);
  host_->let_turns_pass(2);
  daemon.signal(SIGTERM);
  EXPECT_EQ(daemon.wait(), 0);
  const Process successor = start_with_queues(Load::seen);
  host_->let_turns_pass(6);
  EXPECT_NE(rps(), masks) << "no loss, no reason";
  {
    const Flood one(host_->lab().container("web")), two(host_->lab().container("web"));
    EXPECT_TRUE(eventually(seconds(15), [&] { return rps() == masks; })) << host_->log();
  }
  EXPECT_THAT(history(), HasSubstr("steering harmed"));
  EXPECT_THAT(history(), HasSubstr("per second without steering")) << "known across the restart";
  EXPECT_THAT(host_->json("status")["held"], IsEmpty());
  EXPECT_EQ(host_->json("status")["state"].value("name", "?"), "idle") << "nobody has to resume";
  EXPECT_EQ(host_->snapshot(), before_);
}

TEST_F(TrialsOnKernel, RollbackByHandEndsATrialAndHolds) {
  begin();
  host_->write_policy(mice_first(kEnforce + kVerify));
  const Process daemon = host_->start();
  ASSERT_TRUE(eventually(seconds(20), [&] { return !trial().empty(); })) << host_->log();
  EXPECT_NE(host_->snapshot(), before_);
  succeed("rollback --all");
  EXPECT_EQ(trial(), "");
  EXPECT_EQ(host_->state(), "held");
  EXPECT_EQ(host_->snapshot(), before_);
  host_->let_turns_pass(6);
  EXPECT_EQ(host_->snapshot(), before_) << "nothing is applied before `resume`";
  EXPECT_FALSE(host_->json("status").contains("verdict")) << "nor judged";
  succeed("resume");
  EXPECT_TRUE(eventually(seconds(15), [&] { return host_->snapshot() != before_; }));
}

TEST_F(TrialsOnKernel, WhatNobodyConfirmsIsNotJudged) {
  begin();
  host_->write_policy(mice_first(kVerify));
  const Process daemon = host_->start();
  succeed("plan");
  host_->let_turns_pass(2);
  succeed("apply --confirm-within 1s");
  EXPECT_THAT(trial(), Not(IsEmpty()));
  EXPECT_TRUE(host_->comes_back_to(before_, seconds(10)));
  ASSERT_TRUE(eventually(seconds(5), [&] { return host_->state() == "held"; }));
  EXPECT_EQ(trial(), "");
}

TEST_F(TrialsOnKernel, WhatNobodyWantsAnyMoreGoesAtOnceAndForGood) {
  begin();
  host_->write_policy(mice_first(kEnforce + kVerify + "[guard]\ncooldown = \"1s\"\n"));
  const Process daemon = host_->start();
  ASSERT_TRUE(eventually(seconds(20), [&] { return !trial().empty(); })) << host_->log();
  ASSERT_TRUE(eventually(seconds(20), [&] { return trial().empty(); })) << host_->log();
  host_->write_policy(kEnforce + kVerify + "[guard]\ncooldown = \"1s\"\n");
  succeed("reload");
  EXPECT_TRUE(host_->comes_back_to(before_, seconds(3))) << host_->log();
  EXPECT_EQ(trial(), "") << "no verdict brings it back";
}

}  // namespace
}  // namespace ankus
