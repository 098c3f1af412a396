// SPDX-License-Identifier: Apache-2.0
// Interrupts of real devices: `tests/vm/run --smp 4 --nic KIND` (nic0), and an NVMe disk for those
// that the kernel manages itself.
#include <gmock/gmock.h>
#include <net/if.h>

#include <filesystem>
#include <map>

#include "act/drift.h"
#include "act/transaction.h"
#include "act/undo.h"
#include "base/text.h"
#include "fake/fake_clock.h"
#include "fake/fake_journal.h"
#include "kernel/sysfs.h"
#include "sense/queues.h"
#include "vm/any_device.h"
#include "vm/hardware.h"
#include "vm/support.h"

namespace ankus {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Device device_named(const std::string& name) {
  return {.name = name,
          .ifindex = if_nametoindex(name.c_str()),
          .netns_cookie = own_netns_cookie().value()};
}

std::vector<DeviceIrq> irqs_of(const std::string& device) {
  const auto irqs = Sysfs().device_irqs(device);
  EXPECT_TRUE(irqs) << irqs.error().text;
  return irqs.value_or(std::vector<DeviceIrq>());
}

std::string file_of(const DeviceIrq& irq, const std::string& file = "smp_affinity") {
  return "/proc/irq/" + std::to_string(irq.number) + "/" + file;
}

/// The mask of each of the device's interrupts, to the byte.
std::map<std::string, std::string> masks_of(const Sysfs& sysfs, const std::string& device) {
  std::map<std::string, std::string> all;
  for (const DeviceIrq& irq : sysfs.device_irqs(device).value_or(std::vector<DeviceIrq>()))
    all[irq.name] = text_of(file_of(irq));
  return all;
}

class IrqsOnKernel : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!in_the_vm()) GTEST_SKIP() << "needs the VM lab (tests/vm/run): it moves interrupts";
    ANKUS_SKIP_WITHOUT("smp4", text_of("/sys/devices/system/cpu/online") == "0-3\n", "--smp 4");
    ANKUS_SKIP_WITHOUT("nic", if_nametoindex("nic0") != 0, "--nic KIND");
    nic_ = device_named("nic0");
    originals_ = masks();
  }
  void TearDown() override {
    if (nic_.ifindex == 0) return;
    for (const DeviceIrq& irq : irqs_of("nic0"))
      if (const auto mask = originals_.find(irq.name); mask != originals_.end())
        (void)write_setting_file(file_of(irq), trim(mask->second));
  }

  static std::map<std::string, std::string> masks() { return masks_of(Sysfs(), "nic0"); }
  knob::IrqAffinity knob(const std::string& irq) const { return {nic_, irq}; }
  /// One that brings packets.
  DeviceIrq busy_irq() const {
    for (const DeviceIrq& irq : irqs_of("nic0"))
      for (const char* kind : {"input.0", "-rx-0", "TxRx-0", "rxtx-0"})
        if (irq.name.ends_with(kind)) return irq;
    ADD_FAILURE() << "nic0 has no receive queue's interrupt";
    return {};
  }
  Setting read(const Knob& knob) {
    const auto setting = knobs_.read(knob);
    EXPECT_TRUE(setting) << setting.error().text;
    return setting.value_or(Absent{});
  }
  void write(const Knob& knob, const Setting& before, const Setting& after) {
    const auto done = knobs_.write(knob, before, after);
    EXPECT_TRUE(done) << done.error().text;
  }
  /// Packets from nic0's peer, until `holds` does.
  static bool with_packets(const std::function<bool()>& holds) {
    return eventually([&] {
      (void)run(
          "ip netns exec wire bash -c 'for i in 1 2 3 4; do echo x "
          ">/dev/udp/10.99.0.1/9; done'");
      return holds();
    });
  }

  Device nic_;
  std::map<std::string, std::string> originals_;
  OneKnob knobs_;
};

TEST_F(IrqsOnKernel, AreWrittenReadBackAndPutBackToTheByte) {
  ASSERT_THAT(originals_, Not(IsEmpty()));
  std::map<std::string, Setting> before;
  for (const auto& [irq, mask] : originals_) before[irq] = read(knob(irq));
  for (const char* list : {"1", "2-3", "0,2", "3"})
    for (const auto& [irq, mask] : originals_) {
      write(knob(irq), read(knob(irq)), cpus(list));
      EXPECT_TRUE(same_setting(read(knob(irq)), cpus(list))) << irq;
    }
  for (const auto& [irq, setting] : before) write(knob(irq), cpus("3"), setting);
  EXPECT_EQ(masks(), originals_);
}

TEST_F(IrqsOnKernel, ThatNobodyHasSetReadSoAlsoAfterTheKernelHasSetThemBack) {
  const auto all_are_nobodys = [&] {
    for (const DeviceIrq& irq : irqs_of("nic0"))
      EXPECT_TRUE(std::holds_alternative<DefaultCpus>(read(knob(irq.name))))
          << irq.name << ": " << to_text(read(knob(irq.name)));
  };
  all_are_nobodys();
  const DeviceIrq irq = busy_irq();
  write(knob(irq.name), read(knob(irq.name)), cpus("3"));
  EXPECT_EQ(read(knob(irq.name)), Setting(cpus("3")));
  // One that has not fired there yet keeps the mask.
  ASSERT_TRUE(
      with_packets([&] { return text_of(file_of(irq, "effective_affinity_list")) == "3\n"; }));
  ASSERT_TRUE(write_setting_file("/sys/devices/system/cpu/cpu3/online", "0"));
  const Setting without_cpu = read(knob(irq.name));
  EXPECT_TRUE(write_setting_file("/sys/devices/system/cpu/cpu3/online", "1"));
  // All that are left, or what virtio's driver then proposes.
  EXPECT_TRUE(std::holds_alternative<DefaultCpus>(without_cpu)) << to_text(without_cpu);
  write(knob(irq.name), read(knob(irq.name)), cpus("3"));
  if (run("ethtool -L nic0 combined 2 && ethtool -L nic0 combined 4").code != 0) return;  // vmxnet3
  all_are_nobodys();
}

TEST_F(IrqsOnKernel, TakeEffectWithTheNextInterrupt) {
  const DeviceIrq irq = busy_irq();
  write(knob(irq.name), read(knob(irq.name)), cpus("3"));
  EXPECT_TRUE(
      with_packets([&] { return text_of(file_of(irq, "effective_affinity_list")) == "3\n"; }));
}

TEST_F(IrqsOnKernel, OfflineCpusAloneAreRefused) {
  const DeviceIrq irq = busy_irq();
  const Setting before = read(knob(irq.name));
  ASSERT_TRUE(write_setting_file("/sys/devices/system/cpu/cpu3/online", "0"));
  const auto done = knobs_.write(knob(irq.name), before, cpus("3"));
  const auto partly = knobs_.write(knob(irq.name), before, cpus("2-3"));
  const Setting kept = read(knob(irq.name));
  EXPECT_TRUE(write_setting_file("/sys/devices/system/cpu/cpu3/online", "1"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().err, EINVAL);
  EXPECT_EQ(done.error().kind, ErrorKind::invalid);
  EXPECT_TRUE(partly) << partly.error().text;
  EXPECT_EQ(kept, Setting(cpus("2-3"))) << "the kernel remembers the one that is offline";
}

TEST_F(IrqsOnKernel, OfACpuThatWentOfflineAreGivenBackAsTheKernelWould) {
  const Knob busy = knob(busy_irq().name);
  write(busy, read(busy), cpus("3"));
  auto actuator = KernelActuator::open({});
  ASSERT_TRUE(actuator) << actuator.error().text;
  FakeJournal journal;
  const FakeClock clock;
  const Plan plan{
      .actions = {{.knob = busy, .before = read(busy), .after = cpus("2"), .reason = "test"}}};
  const auto applied = apply(plan, *actuator, journal, clock, {});
  ASSERT_TRUE(applied && !applied->failure);
  ASSERT_TRUE(write_setting_file("/sys/devices/system/cpu/cpu3/online", "0"));
  const auto undone = undo(*actuator, journal, clock, {.hold = Hold::no});
  const Setting given_back = read(busy);
  EXPECT_TRUE(write_setting_file("/sys/devices/system/cpu/cpu3/online", "1"));
  ASSERT_TRUE(undone) << undone.error().text;
  EXPECT_THAT(undone->degraded, IsEmpty());
  EXPECT_TRUE(std::holds_alternative<DefaultCpus>(given_back)) << to_text(given_back);
}

TEST_F(IrqsOnKernel, CpusThatDoNotExistAreRefused) {
  const DeviceIrq irq = busy_irq();
  const Setting before = read(knob(irq.name));
  const auto done = knobs_.write(knob(irq.name), before, cpus("2,7000"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::invalid);
  EXPECT_EQ(read(knob(irq.name)), before);
}

TEST_F(IrqsOnKernel, AreFoundByNameWhenTheirNumbersChange) {
  const auto numbers = [] {
    std::map<std::string, std::uint32_t> all;
    for (const DeviceIrq& irq : irqs_of("nic0")) all[irq.name] = irq.number;
    return all;
  };
  const auto before = numbers();
  // Vectors are given back and requested anew: by igb for each, by virtio for none.
  ASSERT_EQ(run("ip link set nic0 down && ip link set nic0 up").code, 0);
  (void)run("ethtool -L nic0 combined 2; ethtool -L nic0 combined 4");  // vmxnet3 cannot
  const auto after = numbers();
  EXPECT_THAT(after, Not(IsEmpty()));
  for (const auto& [irq, number] : after) {
    write(knob(irq), read(knob(irq)), cpus("2"));
    EXPECT_EQ(text_of("/proc/irq/" + std::to_string(number) + "/smp_affinity_list"), "2\n") << irq;
  }
  RecordProperty("numbers_changed", before == after ? "no" : "yes");
  const DeviceIrq gone{.name = "nic0-no-such-7"};
  EXPECT_EQ(knobs_.read(knob(gone.name)).error().kind, ErrorKind::gone);
  EXPECT_EQ(knobs_.write(knob(gone.name), cpus("0"), cpus("1")).error().kind, ErrorKind::gone);
}

TEST_F(IrqsOnKernel, AreStillOursWhileTheLinkIsDownAndArePutBackToTheByte) {
  auto actuator = KernelActuator::open({});
  ASSERT_TRUE(actuator) << actuator.error().text;
  FakeJournal journal;
  const FakeClock clock;
  Plan plan;
  for (const auto& [irq, mask] : originals_)
    plan.actions.push_back(
        {.knob = knob(irq), .before = read(knob(irq)), .after = cpus("2"), .reason = "test"});
  const auto applied = apply(plan, *actuator, journal, clock, {});
  ASSERT_TRUE(applied) << applied.error().text;
  ASSERT_FALSE(applied->failure) << applied->failure->text;
  ASSERT_EQ(run("ip link set nic0 down").code, 0);
  EXPECT_EQ(check_drift(*actuator, journal, clock), Drift{});
  ASSERT_EQ(run("ip link set nic0 up").code, 0);
  const auto undone = undo(*actuator, journal, clock, {.hold = Hold::no});
  ASSERT_TRUE(undone) << undone.error().text;
  EXPECT_THAT(undone->degraded, IsEmpty());
  EXPECT_EQ(masks(), originals_);
}

TEST_F(IrqsOnKernel, OfADeviceThatWasUnpluggedAreGone) {
  const std::string pci = std::filesystem::canonical("/sys/class/net/nic0/device").string();
  const bool on_virtio = pci.contains("/virtio");
  const std::string driver =
      std::filesystem::canonical("/sys/class/net/nic0/device/driver").string();
  const std::string bus_name = std::filesystem::path(pci).filename().string();
  const DeviceIrq irq = busy_irq();
  ASSERT_TRUE(write_setting_file(driver + "/unbind", bus_name)) << on_virtio;
  const auto read_gone = knobs_.read(knob(irq.name));
  const auto write_gone = knobs_.write(knob(irq.name), cpus("0"), cpus("1"));
  ASSERT_TRUE(write_setting_file(driver + "/bind", bus_name));
  // The successor has a name of the kernel's choice, and is another device.
  const std::string back =
      run("for d in /sys/class/net/*; do [ \"$(readlink -f $d/device)\" = " + pci +
          " ] && basename $d; done")
          .output;
  ASSERT_EQ(run("ip link set " + std::string(trim(back)) +
                " name nic0 && ip addr add 10.99.0.1/24 dev nic0 && ip link set nic0 up && "
                "ip neigh add 10.99.0.2 lladdr 52:54:00:00:00:02 dev nic0")
                .code,
            0)
      << back;
  ASSERT_FALSE(read_gone);
  EXPECT_EQ(read_gone.error().kind, ErrorKind::gone);
  ASSERT_FALSE(write_gone);
  EXPECT_EQ(write_gone.error().kind, ErrorKind::gone);
  EXPECT_EQ(knobs_.read(knob(irq.name)).error().kind, ErrorKind::gone) << "the same name, no more";
  nic_ = device_named("nic0");
  EXPECT_TRUE(eventually([&] { return knobs_.read(knob(busy_irq().name)).has_value(); }));
}

TEST(ManagedIrqs, AreTheKernels) {
  if (!in_the_vm()) GTEST_SKIP() << "needs the VM lab (tests/vm/run): it moves interrupts";
  ANKUS_SKIP_WITHOUT("nvme", run("grep -ls 0x010802 /sys/bus/pci/devices/*/class").code == 0,
                     "an NVMe disk");
  ASSERT_EQ(run("modprobe nvme").code, 0);
  const AsNetworkDevice disk("/sys/class/nvme/nvme0/device", "nvme0");
  DeviceIrq queue;
  ASSERT_TRUE(eventually([&] {
    const auto irqs = disk.sysfs().device_irqs("nvme0");
    if (!irqs) return false;
    const auto found = std::ranges::find(*irqs, "nvme0q1", &DeviceIrq::name);
    if (found != irqs->end()) queue = *found;
    return found != irqs->end();
  }));
  const std::string before = text_of(file_of(queue));
  const auto done = write_irq(disk.sysfs(), "nvme0", "nvme0q1", cpus("0"), cpus("1"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(done.error().text, HasSubstr("the kernel manages this interrupt's CPUs itself"));
  EXPECT_EQ(text_of(file_of(queue)), before);
  EXPECT_TRUE(write_irq(disk.sysfs(), "nvme0", "nvme0q0", cpus("0"), cpus("1"))) << "not managed";

  // A plan knows it before anything is written, and asking changes nothing.
  auto sensor = QueueSensor::open(disk.sysfs());
  ASSERT_TRUE(sensor) << sensor.error().text;
  const std::map<std::string, std::string> masks = masks_of(disk.sysfs(), "nvme0");
  const auto seen = sensor->look(std::vector{Device{.name = "nvme0"}}, SystemClock().monotonic());
  ASSERT_EQ(seen.size(), 1u);
  std::map<std::string, bool> managed;
  for (const QueueIrq& irq : seen[0].irqs) managed[irq.name] = irq.managed;
  EXPECT_GT(managed.size(), 1u);
  for (const auto& [irq, is_managed] : managed) EXPECT_EQ(is_managed, irq != "nvme0q0") << irq;
  EXPECT_EQ(masks_of(disk.sysfs(), "nvme0"), masks);
}

}  // namespace
}  // namespace ankus
