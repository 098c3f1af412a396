// SPDX-License-Identifier: Apache-2.0
// RPS and XPS on the host side of a veth: written, read back, put back, and seen by the sensor.
#include "sense/queues.h"

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act/drift.h"
#include "act/kernel_actuator.h"
#include "act/transaction.h"
#include "act/undo.h"
#include "fake/fake_clock.h"
#include "fake/fake_journal.h"
#include "netns/support.h"

namespace ankus {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class QueuesOnKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces";
    lab_.emplace("--bridged --containers 'web:light'");
    // /sys/class/net shows the devices of the namespace that mounted it.
    sysfs_.root = "/run/ankus-test-sys-" + lab_->name();
    mkdir(sysfs_.root.c_str(), 0700);
    ASSERT_EQ(mount("sysfs", sysfs_.root.c_str(), "sysfs", 0, nullptr), 0);
    ASSERT_EQ(run("ip link add q0 numtxqueues 4 numrxqueues 4 type veth peer name q1 "
                  "numtxqueues 4 numrxqueues 4")
                  .code,
              0);
    veth_ = {
        .name = "q0", .ifindex = lab_->ifindex("q0"), .netns_cookie = own_netns_cookie().value()};
    auto actuator = KernelActuator::open({.sysfs = sysfs_});
    ASSERT_TRUE(actuator) << actuator.error().text;
    actuator_.emplace(std::move(*actuator));
  }
  void TearDown() override {
    if (!lab_) return;
    (void)umount2(sysfs_.root.c_str(), MNT_DETACH);
    (void)rmdir(sysfs_.root.c_str());
  }
  Setting read(const Knob& knob) {
    const auto found = actuator_->read({&knob, 1});
    EXPECT_TRUE(found[0]) << found[0].error().text;
    return found[0].value_or(Absent{});
  }
  std::string state() const {
    return run("grep -H . " + sysfs_.root + "/class/net/q0/queues/*/*ps_cpus").output;
  }

  std::optional<Lab> lab_;
  Sysfs sysfs_;
  Device veth_;
  std::optional<KernelActuator> actuator_;
  FakeJournal journal_;
  FakeClock clock_;
};

TEST_F(QueuesOnKernel, RpsAndXpsAreReadBackAndUndone) {
  const std::string before = state();
  const std::vector<std::pair<Knob, CpuSet>> wanted{{knob::RpsMask{veth_, 0}, {{0, 1}}},
                                                    {knob::RpsMask{veth_, 3}, {{1}}},
                                                    {knob::XpsMask{veth_, 0}, {{0}}},
                                                    {knob::XpsMask{veth_, 2}, {{1}}}};
  Plan plan;
  for (const auto& [knob, cpus] : wanted)
    plan.actions.push_back({.knob = knob, .before = read(knob), .after = cpus, .reason = "test"});
  const auto applied = apply(plan, *actuator_, journal_, clock_, {});
  ASSERT_TRUE(applied) << applied.error().text;
  ASSERT_FALSE(applied->failure) << applied->failure->text;
  for (const auto& [knob, cpus] : wanted) EXPECT_EQ(read(knob), Setting(cpus)) << to_text(knob);
  EXPECT_NE(state(), before);

  auto sensor = QueueSensor::open(sysfs_);
  ASSERT_TRUE(sensor);
  const auto seen = sensor->look({&veth_, 1}, {seconds(1)});
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].driver, "veth");
  EXPECT_EQ(seen[0].table, std::nullopt);
  EXPECT_THAT(seen[0].irqs, SizeIs(0));
  ASSERT_THAT(seen[0].receive, SizeIs(4));
  EXPECT_EQ(seen[0].receive[3].rps, CpuSet{{1}});
  ASSERT_THAT(seen[0].transmit, SizeIs(4));
  EXPECT_EQ(seen[0].transmit[2].xps, CpuSet{{1}});

  const auto undone = undo(*actuator_, journal_, clock_, {.hold = Hold::no});
  ASSERT_TRUE(undone);
  EXPECT_THAT(undone->degraded, SizeIs(0));
  EXPECT_EQ(state(), before);
}

TEST_F(QueuesOnKernel, ADeviceThatWasRenamedKeepsWhatWasSetAndIsUndone) {
  const auto tree = [&](const std::string& name) {
    return run("cd " + sysfs_.root + "/class/net/" + name +
               " && grep -H . queues/*/*ps_cpus; tc qdisc show dev " + name +
               " | sed 's/ dev .*//'")
        .output;
  };
  const std::string before = tree("q0");
  Plan plan;
  plan.actions.push_back({.knob = knob::RootQdisc{veth_},
                          .before = Absent{},
                          .after = HtbRoot{.handle = make_handle(kOurMajor, 0),
                                           .default_minor = 0x0f,
                                           .direct_packets = 1000},
                          .reason = "test"});
  for (const Knob& knob : {Knob(knob::RpsMask{veth_, 1}), Knob(knob::XpsMask{veth_, 1})})
    plan.actions.push_back(
        {.knob = knob, .before = read(knob), .after = CpuSet{{1}}, .reason = "test"});
  const auto applied = apply(plan, *actuator_, journal_, clock_, {});
  ASSERT_TRUE(applied) << applied.error().text;
  ASSERT_FALSE(applied->failure) << applied->failure->text;
  ASSERT_EQ(run("ip link set q0 name wan0").code, 0);
  EXPECT_EQ(check_drift(*actuator_, journal_, clock_), Drift{});
  EXPECT_NE(tree("wan0"), before);
  const auto undone = undo(*actuator_, journal_, clock_, {.hold = Hold::no});
  ASSERT_TRUE(undone) << undone.error().text;
  EXPECT_THAT(undone->degraded, SizeIs(0));
  EXPECT_EQ(tree("wan0"), before);
}

TEST_F(QueuesOnKernel, AVethHasNoTableAndAQueueThatIsNotThereIsGone) {
  EXPECT_EQ(read(knob::RssTable{veth_}), Setting(Absent{}));
  const Knob missing = knob::RpsMask{veth_, 9};
  const auto found = actuator_->read({&missing, 1});
  ASSERT_FALSE(found[0]);
  EXPECT_EQ(found[0].error().kind, ErrorKind::gone);
  const Action write{.knob = knob::RssTable{veth_}, .before = Absent{}, .after = Indirection{{0}}};
  const auto written = actuator_->write({&write, 1});
  ASSERT_FALSE(written[0]);
  EXPECT_THAT(written[0].error().text, HasSubstr("cannot go from"));
}

}  // namespace
}  // namespace ankus
