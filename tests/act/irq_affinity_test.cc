// SPDX-License-Identifier: Apache-2.0
// Interrupts of a device with a made-up /sys and /proc, by the real actuator; `lo` is the device
// that every namespace has.
#include <gmock/gmock.h>

#include "act/drift.h"
#include "act/kernel_actuator.h"
#include "act/transaction.h"
#include "act/undo.h"
#include "fake/fake_clock.h"
#include "fake/fake_journal.h"
#include "fake/temp_tree.h"
#include "kernel/rtnetlink.h"

namespace ankus {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class IrqAffinityTest : public ::testing::Test {
 protected:
  IrqAffinityTest() {
    tree.file("devices/system/cpu/online", "0-3\n");
    tree.file("irq/default_smp_affinity", "f\n");
    tree.file("class/net/lo/flags", "0x1003\n");
    for (const int queue : {0, 1}) add_irq(40 + queue, "lo-rx-" + std::to_string(queue), "3");
  }
  void add_irq(int number, const std::string& name, const std::string& cpus) const {
    const std::string text = std::to_string(number);
    tree.file("class/net/lo/device/msi_irqs/" + text, "msix\n");
    tree.file("kernel/irq/" + text + "/actions", name + "\n");
    tree.file("irq/" + text + "/smp_affinity_list", cpus);
  }
  /// As free_irq() does it: the vectors stay, with their CPUs.
  void link_down() const {
    tree.file("class/net/lo/flags", "0x1002\n");
    for (const char* number : {"40", "41"})
      tree.file(std::string("kernel/irq/") + number + "/actions", "\n");
  }
  void link_up() const {
    tree.file("class/net/lo/flags", "0x1003\n");
    tree.file("kernel/irq/40/actions", "lo-rx-0\n");
    tree.file("kernel/irq/41/actions", "lo-rx-1\n");
  }
  std::string cpus_of(int number) const {
    return read_file_head(tree.root + "/irq/" + std::to_string(number) + "/smp_affinity_list")
        .value_or("(unreadable)");
  }
  void apply(const std::string& irq, const CpuSet& cpus) {
    apply(knob::IrqAffinity{device, irq}, cpus);
  }
  void apply(const Knob& knob, const CpuSet& cpus) {
    const auto before = actuator.read({&knob, 1});
    ASSERT_TRUE(before[0]) << before[0].error().text;
    const Plan plan{
        .actions = {{.knob = knob, .before = *before[0], .after = cpus, .reason = "test"}}};
    const auto applied = ankus::apply(plan, actuator, journal, clock, {.by = "test"});
    ASSERT_TRUE(applied) << applied.error().text;
    ASSERT_FALSE(applied->failure) << applied->failure->text;
  }

  TempTree tree;
  FakeClock clock;
  FakeJournal journal;
  Device device{.name = "lo", .ifindex = 1, .netns_cookie = own_netns_cookie().value()};
  KernelActuator actuator = std::move(*KernelActuator::open(
      {.sysfs = {.root = tree.root}, .procfs = {.root = tree.root}, .cgroup = {}}));
};

TEST_F(IrqAffinityTest, AFormerListThatShowsWhileAnInterruptMovesIsNotBelieved) {
  const auto shows = [&](const char* cpus) { tree.file("irq/41/smp_affinity_list", cpus); };
  int pauses = 0;
  auto patient = KernelActuator::open({.sysfs = {.root = tree.root},
                                       .procfs = {.root = tree.root},
                                       .cgroup = {},
                                       .while_irqs_settle = [&] { ++pauses, shows("2\n"); }});
  const Knob irq = knob::IrqAffinity{device, "lo-rx-1"};
  const auto read = [&] { return to_text(*patient->read({&irq, 1})[0]); };
  EXPECT_EQ(read(), to_text(Setting(CpuSet{{3}})));
  EXPECT_EQ(pauses, 0) << "nothing is known that it differs from";
  shows("2\n");
  EXPECT_EQ(read(), to_text(Setting(CpuSet{{2}})));
  EXPECT_EQ(pauses, 1);
  shows("3\n");
  EXPECT_EQ(read(), to_text(Setting(CpuSet{{2}})));
}

TEST_F(IrqAffinityTest, OfALinkThatIsDownAreStillHeldAndGivenBackOnceItIsUp) {
  apply("lo-rx-1", {{2}});
  ASSERT_EQ(cpus_of(41), "2");
  link_down();
  EXPECT_EQ(check_drift(actuator, journal, clock), Drift{});
  auto undone = undo(actuator, journal, clock, {.hold = Hold::no});
  ASSERT_TRUE(undone);
  ASSERT_EQ(undone->degraded.size(), 1u);
  EXPECT_THAT(undone->steps[0].text, HasSubstr("lo is down"));
  EXPECT_EQ(journal.held()->size(), 1u);
  link_up();
  undone = undo(actuator, journal, clock, {.hold = Hold::no});
  ASSERT_TRUE(undone);
  EXPECT_THAT(undone->degraded, IsEmpty());
  EXPECT_EQ(cpus_of(41), "3");
  EXPECT_THAT(*journal.held(), IsEmpty());
}

TEST_F(IrqAffinityTest, ThatTheDeviceHasNoMoreAreGone) {
  apply("lo-rx-1", {{2}});
  tree.file("kernel/irq/41/actions", "\n");  // up, with fewer queues
  EXPECT_EQ(check_drift(actuator, journal, clock)->gone.size(), 1u);
  apply("lo-rx-0", {{2}});
  tree.file("class/net/lo/flags", "0x1002\n");
  tree.remove("class/net/lo/device/msi_irqs/40");  // some drivers give back the vectors as well
  tree.remove("class/net/lo/device/msi_irqs/41");
  EXPECT_EQ(check_drift(actuator, journal, clock)->gone.size(), 1u);
}

TEST_F(IrqAffinityTest, AreFollowedWhenTheirNumbersChangeAndElseNotLookedForAgain) {
  apply("lo-rx-1", {{2}});
  add_irq(39, "lo-rx-1", "1");  // who looks at all of them finds this one first
  EXPECT_EQ(check_drift(actuator, journal, clock), Drift{});
  tree.remove("class/net/lo/device/msi_irqs/39");
  add_irq(40, "lo-rx-1", "2");
  add_irq(41, "lo-rx-0", "1");
  EXPECT_EQ(check_drift(actuator, journal, clock), Drift{});
  apply("lo-rx-0", {{3}});
  EXPECT_EQ(cpus_of(41), "3");
}

TEST_F(IrqAffinityTest, OfCpusThatWentOfflineAreGivenBackAsTheKernelWould) {
  tree.file("class/net/lo/queues/rx-0/rps_cpus", "a");
  const Knob irq = knob::IrqAffinity{device, "lo-rx-0"}, rps = knob::RpsMask{device, 0};
  EXPECT_EQ(actuator.as_kept(irq, CpuSet{{3}}), Setting(CpuSet{{3}}));
  tree.file("devices/system/cpu/online", "0-2\n");
  tree.file("irq/default_smp_affinity", "c\n");
  EXPECT_EQ(actuator.as_kept(irq, CpuSet{{3}}), Setting(DefaultCpus{{{2}}}));
  EXPECT_EQ(actuator.as_kept(irq, CpuSet{{1, 3}}), Setting(CpuSet{{1, 3}})) << "taken as it is";
  EXPECT_EQ(actuator.as_kept(rps, CpuSet{{1, 3}}), Setting(CpuSet{{1}}));
  EXPECT_EQ(actuator.as_kept(rps, CpuSet{{3}}), Setting(CpuSet{}));
}

// `lo` is a device that was eth9 when it was steered.
TEST_F(IrqAffinityTest, OfADeviceThatWasRenamedAreItsOwnUnderAnyName) {
  tree.file("class/net/lo/queues/rx-0/rps_cpus", "1");
  tree.file("kernel/irq/41/actions", "eth9-rx-1\n");  // named when its link came up
  device.name = "eth9";
  const Knob rps = knob::RpsMask{device, 0};
  apply("eth9-rx-0", {{2}});
  apply("eth9-rx-1", {{2}});
  apply(rps, {{1}});
  EXPECT_EQ(check_drift(actuator, journal, clock), Drift{});
  const auto undone = undo(actuator, journal, clock, {.hold = Hold::no});
  ASSERT_TRUE(undone);
  EXPECT_THAT(undone->degraded, IsEmpty());
  EXPECT_EQ(cpus_of(40), "3");
  EXPECT_EQ(cpus_of(41), "3");
  EXPECT_EQ(read_file_head(tree.root + "/class/net/lo/queues/rx-0/rps_cpus").value_or(""), "1");
  EXPECT_THAT(*journal.held(), IsEmpty());
}

TEST_F(IrqAffinityTest, OfASuccessorAreAnothers) {
  apply("lo-rx-1", {{2}});
  const Knob successors = knob::IrqAffinity{{"lo", 4242, device.netns_cookie}, "lo-rx-1"};
  const auto found = actuator.read({&successors, 1});
  ASSERT_FALSE(found[0]);
  EXPECT_EQ(found[0].error().kind, ErrorKind::gone);
}

}  // namespace
}  // namespace ankus
