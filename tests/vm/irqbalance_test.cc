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

#include "act/transaction.h"
#include "act/undo.h"
#include "fake/fake_journal.h"
#include "kernel/sysfs.h"
#include "plan/plan.h"
#include "policy/evaluate.h"
#include "sense/links.h"
#include "sense/queues.h"
#include "sense/topology.h"
#include "vm/hardware.h"
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
    ANKUS_SKIP_WITHOUT("irqbalance", access(program_.c_str(), X_OK) == 0,
                       "irqbalance (tests/vm/get-irqbalance): " << program_);
    ANKUS_SKIP_WITHOUT("nic", if_nametoindex("nic0") != 0, "--nic KIND");
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
    (void)eventually([&] {
      if (!setting) setting = knobs_.read(knob::IrqbalanceBans{});
      return setting || setting.error().kind != ErrorKind::busy;
    });
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

TEST_F(IrqbalanceOnKernel, IsGoneWhenItEndsOrIsKilled) {
  const auto is_gone = [&] {
    const auto setting = knobs_.read(knob::IrqbalanceBans{});
    return !setting && setting.error().kind == ErrorKind::gone;
  };
  EXPECT_TRUE(is_gone());
  start();
  EXPECT_FALSE(is_gone());
  stop(SIGKILL);
  EXPECT_THAT(read_directory(kDirectory).value(), SizeIs(1)) << "the socket's file stays";
  EXPECT_TRUE(is_gone());
  const auto done = knobs_.write(knob::IrqbalanceBans{}, BannedIrqs{}, BannedIrqs{.irqs = irqs_});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::gone);
}

/// What the daemon sees of the host, as far as a rule for interrupts needs it.
Snapshot host_now() {
  Snapshot snapshot{.at = SystemClock().monotonic()};
  snapshot.host.topology = TopologyReader({.cgroup = "/sys/fs/cgroup"}).read(snapshot.at).value();
  snapshot.links = LinkReader::open()->read(snapshot.at).value();
  std::vector<Device> devices;
  for (const Link& link : snapshot.links)
    if (link.device.name == "nic0") devices.push_back(link.device);
  snapshot.queues = QueueSensor::open()->look(devices, snapshot.at);
  return snapshot;
}

Plan plan_now(const Policy& policy, KernelActuator& actuator, FakeJournal& journal) {
  Snapshot snapshot = host_now();
  snapshot.held = journal.held_list;
  const Desired desired = evaluate(snapshot, policy);
  std::vector<Knob> knobs;
  for (const Wish& wish : desired.wishes) knobs.push_back(wish.knob);
  auto readings = actuator.read(knobs);
  std::map<Knob, Result<Setting>> current;
  for (std::size_t i = 0; i < knobs.size(); ++i) current.emplace(knobs[i], std::move(readings[i]));
  return make_plan(
      {.current = current, .desired = desired, .held = journal.held_list, .ceded = {}});
}

TEST_F(IrqbalanceOnKernel, KeepsItsOwnBansWhileARulePlacesInterruptsAndHasThemAgainAfterwards) {
  set_all_masks();
  start({"--banirq=0", "--banirq=9", "--banirq=" + std::to_string(irqs_[1])});
  const Setting original = read();
  EXPECT_EQ(original, Setting(BannedIrqs{.irqs = {0, 9, irqs_[1]}}));

  auto actuator = KernelActuator::open({});
  ASSERT_TRUE(actuator) << actuator.error().text;
  FakeJournal journal;
  const SystemClock clock;
  const Policy policy{.rules = {Rule{.name = "nic0", .irq = Steering{.device = "nic0"}}}};
  const Plan plan = plan_now(policy, *actuator, journal);
  ASSERT_GE(plan.actions.size(), 5u);
  EXPECT_EQ(plan.actions[0].knob, Knob(knob::IrqbalanceBans{}));
  const auto applied = apply(plan, *actuator, journal, clock, {.by = "test"});
  ASSERT_TRUE(applied) << applied.error().text;
  ASSERT_FALSE(applied->failure) << applied->failure->text;

  const auto now = std::get<BannedIrqs>(read()).irqs;
  EXPECT_GT(now.size(), 4u);
  EXPECT_THAT(now, ::testing::IsSupersetOf({0u, 9u, irqs_[1]}));
  EXPECT_TRUE(plan_now(policy, *actuator, journal).actions.empty()) << "the next turn's plan";

  const auto undone = undo(*actuator, journal, clock, {.by = "test"});
  ASSERT_TRUE(undone) << undone.error().text;
  EXPECT_EQ(read(), original);
  for (const std::uint32_t irq : irqs_) EXPECT_EQ(mask(irq), "0-3\n") << irq;
}

TEST_F(IrqbalanceOnKernel, OneThatIsStoppedHoldsNobodyUp) {
  start();
  kill(pid_, SIGSTOP);
  const auto before = std::chrono::steady_clock::now();
  const auto setting = knobs_.read(knob::IrqbalanceBans{});
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(1900));
  ASSERT_FALSE(setting);
  EXPECT_EQ(setting.error().kind, ErrorKind::busy);
  const auto again = std::chrono::steady_clock::now();
  for (int turn = 0; turn < 5; ++turn) EXPECT_FALSE(knobs_.read(knob::IrqbalanceBans{}));
  EXPECT_LT(std::chrono::steady_clock::now() - again, milliseconds(900)) << "it is waited for once";
  kill(pid_, SIGCONT);
  EXPECT_EQ(read(), Setting(BannedIrqs{})) << "it died of its answer, to which nobody listened";
}

TEST_F(IrqbalanceOnKernel, OutlivesAnAskerThatIsKilledBeforeTheAnswer) {
  start();
  kill(pid_, SIGSTOP);
  const pid_t asker = fork();
  if (asker == 0) {
    (void)Irqbalance{.patience = milliseconds(20)}.setup();
    raise(SIGKILL);
  }
  waitpid(asker, nullptr, 0);
  kill(pid_, SIGCONT);
  EXPECT_EQ(read(), Setting(BannedIrqs{}));
  EXPECT_EQ(waitpid(pid_, nullptr, WNOHANG), 0) << "it died of its answer";
}

}  // namespace
}  // namespace ankus
