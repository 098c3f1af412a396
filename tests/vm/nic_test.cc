// SPDX-License-Identifier: Apache-2.0
// Receive queues on real NIC queues and MSI-X interrupts: `tests/vm/run --smp 4 --nic KIND`.
#include <gmock/gmock.h>
#include <net/if.h>
#include <unistd.h>

#include <numeric>
#include <random>

#include "act/drift.h"
#include "act/kernel_actuator.h"
#include "act/transaction.h"
#include "act/undo.h"
#include "fake/fake_clock.h"
#include "fake/fake_journal.h"
#include "netns/support.h"
#include "sense/attachments.h"
#include "sense/bucket_counts.h"
#include "sense/queues.h"
#include "vm/fake_vm.h"
#include "vm/found_threads.h"
#include "vm/hardware.h"
#include "vm/nic_wire.h"

namespace ankus {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::uint64_t sum(const std::vector<std::uint64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

class Nic : public testing::Test {
 protected:
  void SetUp() override {
    ANKUS_SKIP_WITHOUT("nic", if_nametoindex("nic0") != 0, "--nic KIND");
    wire_.emplace();
    auto actuator = KernelActuator::open({});
    ASSERT_TRUE(actuator) << actuator.error().text;
    actuator_.emplace(std::move(*actuator));
    nic_ = wire_->device();
  }
  void TearDown() override {
    if (wire_)
      (void)run("ethtool -L nic0 combined 4; ethtool -X nic0 default; ip link set nic0 up");
  }

  bool is(const std::string& driver) const { return wire_->driver() == driver; }
  knob::RssTable table_knob() const { return {nic_}; }

  Setting read(const Knob& knob) {
    auto found = actuator_->read({&knob, 1});
    EXPECT_TRUE(found[0]) << to_text(knob) << ": " << found[0].error().text;
    return found[0].value_or(Absent{});
  }
  Indirection table() {
    const Setting found = read(table_knob());
    EXPECT_TRUE(std::holds_alternative<Indirection>(found)) << to_text(found);
    return std::holds_alternative<Indirection>(found) ? std::get<Indirection>(found)
                                                      : Indirection{};
  }
  /// The entries in turn for each of `queues`.
  static Indirection in_turn(const std::vector<std::uint32_t>& queues) {
    Indirection table;
    for (std::size_t i = 0; i < 128; ++i) table.queues.push_back(queues[i % queues.size()]);
    return table;
  }
  Result<Applied> apply(const std::vector<std::pair<Knob, Setting>>& wanted) {
    Plan plan;
    for (const auto& [knob, setting] : wanted)
      plan.actions.push_back(
          {.knob = knob, .before = read(knob), .after = setting, .reason = "test"});
    clock_.advance(seconds(1));
    return ankus::apply(plan, *actuator_, journal_, clock_, {});
  }
  void apply_table(const Indirection& table) {
    const auto applied = apply({{table_knob(), table}});
    ASSERT_TRUE(applied) << applied.error().text;
    ASSERT_FALSE(applied->failure) << applied->failure->text;
  }
  void undo_all() {
    const auto undone = undo(*actuator_, journal_, clock_, {.hold = Hold::no});
    ASSERT_TRUE(undone) << undone.error().text;
    EXPECT_THAT(undone->degraded, SizeIs(0));
    EXPECT_THAT(journal_.held_list, SizeIs(0));
  }
  Drift drift() {
    clock_.advance(seconds(1));
    auto drift = check_drift(*actuator_, journal_, clock_);
    EXPECT_TRUE(drift);
    return drift.value_or(Drift{});
  }
  /// All that the knobs of this file can change, as the kernel's own files and ethtool show it.
  static std::string state() {
    return run("ethtool -x nic0; grep -H . /sys/class/net/nic0/queues/*/*ps_cpus; grep -H . "
               "/proc/irq/*/smp_affinity")
        .output;
  }
  /// The threads of a VM and of nic0's queues, for as long as it lives.
  struct Threads {
    Threads() {
      EXPECT_EQ(run("modprobe -a tun vhost_net && mkdir /sys/fs/cgroup/ankus-nic-test").code, 0);
      vm.emplace(FakeVm::Options{.cgroup = "/sys/fs/cgroup/ankus-nic-test"});
      EXPECT_EQ(vm->error, "");
      EXPECT_EQ(run("ip link set tap0 up; echo 1 > /sys/class/net/nic0/threaded").code, 0);
      for (const NetThread& thread : found_threads()) {
        knobs.push_back({thread.tid, thread.started, thread.name});
        masks += " /proc/" + std::to_string(thread.tid) + "/status";
      }
    }
    ~Threads() {
      EXPECT_EQ(run("echo 0 > /sys/class/net/nic0/threaded").code, 0);
      vm.reset();
      EXPECT_EQ(run("for i in 1 2 3 4 5 6 7 8; do rmdir /sys/fs/cgroup/ankus-nic-test && break; "
                    "sleep 0.5; done 2>/dev/null")
                    .code,
                0);
    }
    std::string state() const { return run("grep _allowed_list" + masks).output; }

    std::optional<FakeVm> vm;
    std::vector<knob::ThreadAffinity> knobs;
    std::string masks;
  };
  std::vector<std::string> irqs() const {
    std::vector<std::string> names;
    const auto irqs = Sysfs{}.device_irqs("nic0");
    EXPECT_TRUE(irqs);
    if (irqs)
      for (const DeviceIrq& irq : *irqs) names.push_back(irq.name);
    return names;
  }

  std::optional<Wire> wire_;
  std::optional<KernelActuator> actuator_;
  FakeJournal journal_;
  FakeClock clock_;
  Device nic_;
};

TEST_F(Nic, TrafficFollowsTheTable) {
  if (is("vmxnet3")) GTEST_SKIP() << "it does not here: see ANicThatLies";
  for (const auto& [queues, weights] :
       {std::pair<std::vector<std::uint32_t>, std::vector<double>>{{0, 1}, {.5, .5, 0, 0}},
        {{3}, {0, 0, 0, 1}},
        {{0, 1, 2, 3, 3, 3, 3, 3}, {.125, .125, .125, .625}}}) {
    apply_table(in_turn(queues));
    EXPECT_EQ(table().queues, in_turn(queues).queues);
    const auto brought = wire_->send(20);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      // 64 flows do not spread evenly over the entries; what gets nothing must get nothing.
      const double share = static_cast<double>(brought[i]) / static_cast<double>(sum(brought));
      EXPECT_NEAR(share, weights[i], weights[i] == 0 ? 0.02 : 0.2) << "queue " << i;
    }
  }
  undo_all();
  EXPECT_TRUE(table().is_default);
}

TEST_F(Nic, ANicThatLies) {
  if (!is("vmxnet3")) GTEST_SKIP() << "only QEMU's vmxnet3 does";
  apply_table(in_turn({3}));  // accepted, and read back as written
  EXPECT_EQ(table().queues, in_turn({3}).queues);
  undo_all();
}

TEST_F(Nic, RandomPlansWithTrafficAreUndoneToTheByte) {
  const Threads threads;
  ASSERT_GE(threads.knobs.size(), 5U) << "a worker, and a thread for each queue";
  const auto all = [&] { return state() + threads.state(); };
  const std::string before = all();
  Wire::Background traffic(*wire_);
  std::mt19937 dice(20261121);
  const auto below = [&](std::uint32_t n) {
    return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(dice);
  };
  const auto some_cpus = [&](bool may_be_none) {
    CpuSet set;
    while (set.empty()) {
      for (std::uint32_t cpu = 0; cpu < 4; ++cpu)
        if (below(2) == 0) set.cpus.push_back(cpu);
      if (may_be_none) break;
    }
    return set;
  };
  const std::vector<std::string> interrupts = irqs();
  ASSERT_GE(interrupts.size(), 4U);
  std::size_t writes = 0;
  for (int plan = 0; plan < 8; ++plan) {
    std::vector<std::pair<Knob, Setting>> wanted;
    Indirection random;
    for (int i = 0; i < 128; ++i) random.queues.push_back(below(4));
    if (below(4) != 0) wanted.emplace_back(table_knob(), random);
    for (std::uint32_t queue = 0; queue < 4; ++queue) {
      if (below(2) == 0) wanted.emplace_back(knob::RpsMask{nic_, queue}, some_cpus(true));
      if (below(2) == 0) wanted.emplace_back(knob::XpsMask{nic_, queue}, some_cpus(true));
    }
    for (const std::string& irq : interrupts)
      if (below(3) == 0) wanted.emplace_back(knob::IrqAffinity{nic_, irq}, some_cpus(false));
    for (const knob::ThreadAffinity& thread : threads.knobs)
      if (below(2) == 0) wanted.emplace_back(thread, some_cpus(false));
    const auto applied = apply(wanted);
    ASSERT_TRUE(applied) << applied.error().text;
    ASSERT_FALSE(applied->failure) << applied->failure->text;
    writes += applied->steps.size();
    for (const auto& [knob, setting] : wanted)
      EXPECT_TRUE(same_setting(read(knob), setting)) << to_text(knob);
    EXPECT_EQ(drift(), Drift{});
    if (below(3) == 0) {
      undo_all();
      EXPECT_EQ(all(), before) << "after plan " << plan;
    }
  }
  EXPECT_GT(writes, 40U);
  undo_all();
  EXPECT_EQ(all(), before);
}

TEST_F(Nic, AWrongTableIsRefusedWithItsReason) {
  const auto error = [&](const Indirection& wanted) {
    const auto applied = apply({{table_knob(), wanted}});
    EXPECT_TRUE(applied && applied->failure);
    return applied && applied->failure ? applied->failure->text : std::string();
  };
  Indirection wrong = in_turn({0, 1});
  wrong.queues.pop_back();
  EXPECT_THAT(error(wrong), HasSubstr("has 128 entries, not 127"));
  wrong = in_turn({0});
  wrong.queues[9] = 4;
  EXPECT_THAT(error(wrong), HasSubstr("entry 9 is for queue 4, but there are 4"));
  EXPECT_TRUE(table().is_default);
}

TEST_F(Nic, ATableThatWasPutBackForbidsNothing) {
  if (!is("virtio_net")) GTEST_SKIP() << "igb's own table is none that the kernel makes";
  apply_table(in_turn({3}));
  EXPECT_NE(run("ethtool -L nic0 combined 2").code, 0) << "queue 3 is in use";
  undo_all();
  EXPECT_EQ(run("ethtool -L nic0 combined 2").code, 0);
}

TEST_F(Nic, ATableLivesThroughALinkThatGoesDown) {
  if (is("vmxnet3")) GTEST_SKIP() << "not among what this is about";
  apply_table(in_turn({1, 2}));
  ASSERT_EQ(run("ip link set nic0 down && ip link set nic0 up").code, 0);
  wait_for_carrier();
  EXPECT_EQ(drift(), Drift{});
  undo_all();
}

TEST_F(Nic, FewerQueuesEndTheTable) {
  if (is("vmxnet3")) GTEST_SKIP() << "its number of queues cannot be changed";
  apply_table(in_turn({1, 0}));
  ASSERT_EQ(run("ethtool -L nic0 combined 2").code, 0);
  const Drift seen = drift();
  if (is("igb")) {
    // The driver makes its own table anew without a word. Once that is no fight.
    EXPECT_THAT(seen.back, SizeIs(1));
    EXPECT_THAT(journal_.held_list, SizeIs(0));
  } else {
    EXPECT_EQ(seen, Drift{}) << "a table that names no missing queue is kept";
    undo_all();  // to what the default is by now, not to the one of four queues
  }
  EXPECT_TRUE(table().is_default);
  EXPECT_THAT(table().queues, Each(testing::Lt(2U)));
}

TEST_F(Nic, ADriverThatIsBoundAnewIsAnotherDevice) {
  if (is("vmxnet3")) GTEST_SKIP() << "not among what this is about";
  apply_table(in_turn({2}));
  const auto rebound = run(R"(set -e
    function_of=$(readlink -f /sys/class/net/nic0/device)
    [ -e $function_of/vendor ] && [ -e $function_of/config ] || function_of=$(dirname $function_of)
    driver=$(readlink -f $function_of/driver); id=$(basename $function_of)
    echo $id > $driver/unbind; echo $id > $driver/bind
    for d in /sys/class/net/*; do
      [ $(basename $(readlink -f $d/device 2>/dev/null) 2>/dev/null) = lo ] || n=$(basename $d)
      case $(readlink -f $d/device) in $function_of*) ip link set $(basename $d) name nic0;; esac
    done
    ip addr add 10.99.0.1/24 dev nic0; ip link set nic0 up
    ip neigh replace 10.99.0.2 lladdr 52:54:00:00:00:02 dev nic0)");
  ASSERT_EQ(rebound.code, 0) << rebound.output;
  wait_for_carrier();
  const Drift seen = drift();
  EXPECT_THAT(seen.gone, SizeIs(1));
  EXPECT_THAT(journal_.held_list, SizeIs(0));
  nic_ = wire_->device();
  EXPECT_TRUE(table().is_default);
}

TEST_F(Nic, TheSensorSeesQueuesTablesInterruptsAndRates) {
  auto sensor = QueueSensor::open();
  ASSERT_TRUE(sensor) << sensor.error().text;
  const std::vector<Device> devices{nic_};
  (void)sensor->look(devices, {seconds(10)});
  if (!is("vmxnet3")) (void)wire_->send(20);
  const auto seen = sensor->look(devices, {seconds(12)});
  ASSERT_THAT(seen, SizeIs(1));
  const DeviceQueues& queues = seen[0];
  EXPECT_EQ(queues.driver, wire_->driver());
  EXPECT_THAT(queues.receive, SizeIs(4));
  ASSERT_TRUE(queues.table);
  EXPECT_THAT(queues.table->queues, SizeIs(128));
  EXPECT_TRUE(queues.table_is_default);
  for (std::uint32_t queue = 0; queue < 4; ++queue) {
    const auto irq = std::ranges::find(queues.irqs, std::optional(queue), &QueueIrq::receive_queue);
    ASSERT_NE(irq, queues.irqs.end()) << queue;
    EXPECT_FALSE(irq->affinity.empty());
    EXPECT_FALSE(irq->managed);
    if (is("vmxnet3")) continue;
    EXPECT_GT(irq->per_second, 0) << irq->name;
    EXPECT_GT(queues.receive[queue].packets_per_second, 10) << queue;
  }
}

/// Counts nic0's packets by entry of its table.
class NicBuckets : public Nic, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Nic::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto programs = Programs::load({.max_flows = 1024});
    ASSERT_TRUE(programs) << programs.error().text;
    programs_.emplace(std::move(*programs));
    auto flows = FlowTable::open(*programs_);
    ASSERT_TRUE(flows);
    flows_.emplace(std::move(*flows));
    ASSERT_TRUE(
        flows_->set_timing({.elephant_bytes = {20'000}, .netns_cookie = nic_.netns_cookie}));
    counts_.emplace(programs_->map("ankus_rss"));
    ASSERT_TRUE(flows_->set_device({.ifindex = nic_.ifindex,
                                    .uplink = true,
                                    .fast_bytes = {64'000},
                                    .table_rows = counts_->rows_for(nic_, 128)}));
    attachments_.emplace(*programs_);
    if (GetParam()) {
      ASSERT_TRUE(attachments_->watch_by_tracepoints());
    }
    const auto watched = attachments_->watch_uplink(nic_.ifindex, true);
    ASSERT_TRUE(watched) << watched.error().text;
    auto sensor = QueueSensor::open();
    ASSERT_TRUE(sensor);
    sensor_.emplace(std::move(*sensor));
  }
  DeviceQueues look() {
    now_ = now_ + seconds(1);
    auto seen = sensor_->look({&nic_, 1}, now_);
    EXPECT_THAT(seen, SizeIs(1));
    counts_->measure(seen, now_);
    return seen.empty() ? DeviceQueues{} : std::move(seen[0]);
  }

  std::optional<Programs> programs_;
  std::optional<FlowTable> flows_;
  std::optional<BucketCounts> counts_;
  std::optional<Attachments> attachments_;
  std::optional<QueueSensor> sensor_;
  MonotonicTime now_{seconds(10)};
};

TEST_P(NicBuckets, AgreeWithTheQueuesThatTheirPacketsCameBy) {
  if (is("vmxnet3")) GTEST_SKIP() << "it does not here: see DoNotBelieveANicThatLies";
  for (const auto& queues : {std::vector<std::uint32_t>{0, 1, 2, 3}, {3}, {2, 2, 2, 1}}) {
    apply_table(in_turn(queues));
    (void)look();
    const auto brought = wire_->send(20);
    const DeviceQueues seen = look();
    EXPECT_THAT(counts_->downgrades(), SizeIs(0));
    ASSERT_THAT(seen.buckets, SizeIs(128));
    std::vector<double> of_queue(4), elephants(4);
    for (std::size_t i = 0; i < 128; ++i) {
      of_queue[seen.table->queues[i]] += seen.buckets[i].packets_per_second;
      elephants[seen.table->queues[i]] += seen.buckets[i].elephant_packets_per_second;
    }
    for (std::size_t queue = 0; queue < 4; ++queue) {
      EXPECT_NEAR(of_queue[queue], static_cast<double>(brought[queue]), 30) << "queue " << queue;
      EXPECT_NEAR(seen.receive[queue].packets_per_second, of_queue[queue], 30);
      EXPECT_EQ(elephants[queue], 0) << "20 packets of 92 bytes are no elephant";
    }
  }
}

TEST_P(NicBuckets, TellElephantsPackets) {
  if (is("vmxnet3")) GTEST_SKIP() << "it does not here: see DoNotBelieveANicThatLies";
  (void)wire_->send(230);  // of 92 bytes: 21 KB in each flow
  (void)look();
  (void)wire_->send(10);
  const DeviceQueues seen = look();
  double packets = 0, elephants = 0;
  for (const BucketLoad& load : seen.buckets) {
    packets += load.packets_per_second;
    elephants += load.elephant_packets_per_second;
  }
  EXPECT_NEAR(packets, 640, 30);
  EXPECT_NEAR(elephants, 640, 30);
}

TEST_P(NicBuckets, AreUnknownWithoutHashes) {
  if (!is("virtio_net")) GTEST_SKIP() << "only virtio's hashes can be switched off and on";
  ASSERT_EQ(run("ethtool -K nic0 rxhash off").code, 0);
  (void)look();
  (void)wire_->send(10);
  EXPECT_THAT(look().buckets, SizeIs(0));
  ASSERT_THAT(counts_->downgrades(), SizeIs(1));
  EXPECT_THAT(counts_->downgrades()[0], HasSubstr("nic0: "));
  EXPECT_THAT(counts_->downgrades()[0], HasSubstr("without the hash"));
}

TEST_P(NicBuckets, DoNotBelieveANicThatLies) {
  if (!is("vmxnet3")) GTEST_SKIP() << "only QEMU's vmxnet3 does";
  apply_table(in_turn({3}));
  (void)look();
  {
    Wire::Background traffic(*wire_);
    std::this_thread::sleep_for(seconds(1));
  }
  const DeviceQueues seen = look();
  EXPECT_THAT(seen.buckets, SizeIs(0));
  EXPECT_THAT(counts_->downgrades(), SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(, NicBuckets, testing::Bool(), [](const auto& instance) {
  return instance.param ? "ByTracepoint" : "ByTheBestHook";
});

}  // namespace
}  // namespace ankus
