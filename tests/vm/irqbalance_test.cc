// SPDX-License-Identifier: Apache-2.0
// The real irqbalance, asked to leave a NIC's interrupts alone and given them back. Never on this
// machine: it moves all interrupts that it finds.
#include "kernel/irqbalance.h"

#include <gmock/gmock.h>
#include <net/if.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "kernel/sysfs.h"
#include "sense/topology.h"
#include "vm/support.h"

namespace ankus {
namespace {

using ::testing::SizeIs;

const std::string kDirectory = "/run/irqbalance";

class IrqbalanceOnKernel : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* given = std::getenv("ANKUS_IRQBALANCE");
    program_ = given != nullptr ? given : "/usr/sbin/irqbalance";
    if (!in_the_vm()) GTEST_SKIP() << "needs the VM lab (tests/vm/run): it moves interrupts";
    if (access(program_.c_str(), X_OK) != 0) GTEST_SKIP() << "no irqbalance: " << program_;
    if (if_nametoindex("nic0") == 0) GTEST_SKIP() << "needs --nic KIND";
    const auto irqs = Sysfs().device_irqs("nic0").value();
    for (const DeviceIrq& irq : irqs) irqs_.push_back(irq.number);
    ASSERT_GE(irqs_.size(), 4u);
    std::filesystem::create_directory(kDirectory);
  }
  void TearDown() override { stop(SIGTERM); }

  /// A round each second, so that it is obeyed soon.
  void start(std::vector<std::string> options = {}) {
    std::vector<std::string> words{program_, "--foreground", "--interval=1"};
    words.insert(words.end(), options.begin(), options.end());
    pid_ = fork();
    if (pid_ == 0) {
      std::vector<char*> arguments;
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      execv(program_.c_str(), arguments.data());
      _exit(127);
    }
    ASSERT_TRUE(eventually([] {
      const auto setup = Irqbalance{}.setup();
      return setup && *setup;
    })) << "irqbalance does not answer";
  }
  void stop(int signal) {
    if (pid_ > 0) {
      kill(pid_, signal);
      waitpid(pid_, nullptr, 0);
    }
    pid_ = -1;
  }

  static std::string mask(std::uint32_t irq) {
    return text_of("/proc/irq/" + std::to_string(irq) + "/smp_affinity_list");
  }
  void set_all_masks() {
    for (const std::uint32_t irq : irqs_) {
      const auto done =
          write_setting_file("/proc/irq/" + std::to_string(irq) + "/smp_affinity_list", "0-3");
      ASSERT_TRUE(done) << done.error().text;
    }
  }
  /// It places all interrupts anew, of which it has a say in.
  void let_it_place() { kill(pid_, SIGHUP); }
  bool moved(std::uint32_t irq) { return mask(irq) != "0-3\n"; }

  Setting read() {
    auto setting = knobs_.read(knob::IrqbalanceBans{});
    // It may be in the middle of a round.
    for (int i = 0; i < 20 && !setting && setting.error().kind == ErrorKind::busy; ++i)
      setting = knobs_.read(knob::IrqbalanceBans{});
    EXPECT_TRUE(setting) << setting.error().text;
    return setting.value_or(Absent{});
  }
  void write(const Setting& before, const Setting& after) {
    const auto done = knobs_.write(knob::IrqbalanceBans{}, before, after);
    EXPECT_TRUE(done) << done.error().text;
  }

  std::string program_;
  std::vector<std::uint32_t> irqs_;
  pid_t pid_ = -1;
  OneKnob knobs_;
};

TEST_F(IrqbalanceOnKernel, MovesTheNicUntilItIsAskedNotToAndGetsItBack) {
  set_all_masks();
  start();
  const Setting original = read();
  EXPECT_EQ(original, Setting(BannedIrqs{}));
  let_it_place();
  for (const std::uint32_t irq : irqs_)
    EXPECT_TRUE(eventually([&] { return moved(irq); })) << irq << " is its to move";

  // All but one are ours now; that one tells when it has placed its own.
  BannedIrqs ours{.irqs = {irqs_.begin() + 1, irqs_.end()}};
  write(original, ours);
  EXPECT_EQ(read(), Setting(ours));
  set_all_masks();
  for (int round = 0; round < 2; ++round) {
    let_it_place();
    EXPECT_TRUE(eventually([&] { return moved(irqs_.front()); })) << "round " << round;
    for (const std::uint32_t irq : ours.irqs)
      EXPECT_FALSE(moved(irq)) << irq << " was not left alone";
    set_all_masks();
  }

  write(ours, original);
  EXPECT_EQ(read(), original);
  set_all_masks();
  let_it_place();
  for (const std::uint32_t irq : irqs_)
    EXPECT_TRUE(eventually([&] { return moved(irq); })) << irq << " was not given back";
}

TEST_F(IrqbalanceOnKernel, GetsBackExactlyTheBansThatItHad) {
  start({"--banirq=" + std::to_string(irqs_[2]), "--banirq=" + std::to_string(irqs_[0])});
  const Setting original = read();
  EXPECT_EQ(original, Setting(BannedIrqs{.irqs = {irqs_[0], irqs_[2]}}));
  const BannedIrqs ours{.irqs = irqs_};
  write(original, ours);
  EXPECT_EQ(read(), Setting(ours));
  write(ours, original);
  EXPECT_EQ(read(), original);
}

TEST_F(IrqbalanceOnKernel, IsFoundByItsAbstractSocketToo) {
  std::filesystem::remove_all(kDirectory);
  start();
  EXPECT_EQ(read(), Setting(BannedIrqs{}));
  write(BannedIrqs{}, BannedIrqs{.irqs = irqs_});
  EXPECT_EQ(read(), Setting(BannedIrqs{.irqs = irqs_}));
}

TEST_F(IrqbalanceOnKernel, IsAbsentWhenItEndsOrIsKilled) {
  EXPECT_EQ(read(), Setting(Absent{}));
  start();
  TopologyReader topology({.cgroup = "/sys/fs/cgroup"});
  const MonotonicTime now = SystemClock().monotonic();
  EXPECT_TRUE(topology.read(now)->irqbalance);
  stop(SIGKILL);
  EXPECT_THAT(read_directory(kDirectory).value(), SizeIs(1)) << "the socket's file stays";
  EXPECT_EQ(read(), Setting(Absent{}));
  EXPECT_FALSE(topology.read(now + seconds(11))->irqbalance);
  const auto done = knobs_.write(knob::IrqbalanceBans{}, BannedIrqs{}, BannedIrqs{.irqs = irqs_});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::gone);
}

TEST_F(IrqbalanceOnKernel, OneThatIsStoppedHoldsNobodyUp) {
  start();
  kill(pid_, SIGSTOP);
  const auto before = std::chrono::steady_clock::now();
  const auto setting = knobs_.read(knob::IrqbalanceBans{});
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(1900));
  ASSERT_FALSE(setting);
  EXPECT_EQ(setting.error().kind, ErrorKind::busy);
  kill(pid_, SIGCONT);
  EXPECT_EQ(read(), Setting(BannedIrqs{})) << "it died of its answer, to which nobody listened";
}

}  // namespace
}  // namespace ankus
