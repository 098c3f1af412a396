// SPDX-License-Identifier: Apache-2.0
// What new queues get by net.core.rps_default_mask is nobody's choice for one of them: a rule
// begins from it, and a rollback goes back to it.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "netns/daemon_support.h"

namespace ankus {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kDefaultMask = "/proc/sys/net/core/rps_default_mask";

/// CPU 0, of the namespace that this test is in (all of them before Linux 6.4), until it goes.
class DefaultMask {
 public:
  DefaultMask() : before_(run("cat " + kDefaultMask).output) { write("1"); }
  ~DefaultMask() { write(before_); }
  DefaultMask(const DefaultMask&) = delete;
  DefaultMask& operator=(const DefaultMask&) = delete;

 private:
  static void write(const std::string& mask) {
    std::ofstream file(kDefaultMask);
    EXPECT_TRUE(file << mask << std::flush) << mask;
  }
  std::string before_;
};

class RpsDefaultOnKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) GTEST_SKIP() << "needs two CPUs";
    if (access(kDefaultMask.c_str(), F_OK) != 0)
      GTEST_SKIP() << "this kernel has no net.core.rps_default_mask (6.3 and later have it)";
    host_.emplace();
    mask_.emplace();
    ASSERT_EQ(run("ip link add r0 numrxqueues 2 type veth peer name r1").code, 0);
    host_->write_policy(
        "mode = \"advise\"\n[[rule]]\nname = \"on the other CPU\"\n"
        "rps = { device = \"r0\", cpus = \"1\" }\n");
  }
  /// In a mount namespace of its own: sysfs shows the devices of the namespace that mounts it.
  static std::string in_sysfs(const std::string& command) {
    return run("unshare --mount sh -c 'mount -t sysfs sysfs /sys && cd /sys/class/net/r0/queues "
               "&& " +
               command + "'")
        .output;
  }
  /// To the byte: of the queues, and for those to come.
  static std::string masks() {
    return in_sysfs("cat rx-*/rps_cpus") + run("cat " + kDefaultMask).output;
  }
  Process start() const {
    Process daemon(host_->seeing_queues("exec " + host_->ankusd()), host_->file("log"));
    EXPECT_TRUE(eventually(std::chrono::seconds(30), [&] {
      return host_->ctl("status").code == 0;
    })) << host_->log();
    return daemon;
  }

  std::optional<DaemonLab> host_;
  std::optional<DefaultMask> mask_;  // goes first, while the namespace is still entered
};

TEST_F(RpsDefaultOnKernel, ARuleBeginsFromItAndARollbackGoesBackToItToTheByte) {
  const std::string before = masks();
  ASSERT_EQ(in_sysfs("grep -L 1 rx-*/rps_cpus"), "") << "new queues get it: " << before;
  const Process daemon = start();
  const auto plan = host_->json("plan");
  EXPECT_THAT(plan["refusals"], IsEmpty());
  EXPECT_THAT(plan["actions"], SizeIs(2)) << plan;
  const CommandResult applied = host_->ctl("apply");
  EXPECT_EQ(applied.code, 0) << applied.output;
  EXPECT_EQ(in_sysfs("grep -L 2 rx-*/rps_cpus"), "") << masks();
  const CommandResult undone = host_->ctl("rollback --all");
  EXPECT_EQ(undone.code, 0) << undone.output;
  EXPECT_EQ(masks(), before);
}

TEST_F(RpsDefaultOnKernel, AnyOtherMaskIsSomebodysAndIsHonoured) {
  (void)in_sysfs("echo 3 > rx-0/rps_cpus");
  const std::string before = masks();
  const Process daemon = start();
  EXPECT_THAT(host_->json("plan")["refusals"].dump(),
              HasSubstr("somebody else has set receive queue 0 to CPUs 0-1"));
  (void)host_->ctl("apply");
  const CommandResult undone = host_->ctl("rollback --all");
  EXPECT_EQ(undone.code, 0) << undone.output;
  EXPECT_EQ(masks(), before);
}

}  // namespace
}  // namespace ankus
