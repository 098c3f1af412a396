// SPDX-License-Identifier: Apache-2.0
#include "sense/threads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake/temp_tree.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr MonotonicTime kStart{seconds(100)};
constexpr std::uint64_t kKernelThread = 0x00200040, kWorker = 0x00404040;

CpuSet cpus(std::string_view list) { return cpu_list_from_text(list).value(); }

std::string stat_text(std::int32_t tid, const std::string& name, std::uint64_t flags,
                      std::uint64_t ticks, std::uint64_t started) {
  return std::to_string(tid) + " (" + name + ") S 2 0 0 0 -1 " + std::to_string(flags) +
         " 0 0 0 0 0 " + std::to_string(ticks) + " 0 0 20 0 1 0 " + std::to_string(started) +
         " 0 0 18446744073709551615 0 0\n";
}

TEST(ThreadStatText, IsReadBehindAnyName) {
  EXPECT_EQ(parse_thread_stat("900 (a) b (c) S 2 0 0 0 -1 2097216 0 0 0 0 3 40 0 0 20 0 1 0 123 0 "
                              "0 184467 0 0\n"),
            (ThreadStat{.name = "a) b (c", .flags = 2097216, .ticks = 43, .started = 123}));
  EXPECT_FALSE(parse_thread_stat("900 (vhost-1) S 2 0"));
  EXPECT_FALSE(parse_thread_stat(") S 1 ("));
  EXPECT_FALSE(parse_thread_stat(""));
}

TEST(VcpuName, IsWhatVmmsGive) {
  for (const char* name : {"CPU 0/KVM", "CPU 11/TCG", "fc_vcpu 3", "vcpu0", "crosvm_vcpu1"})
    EXPECT_TRUE(is_vcpu_name(name)) << name;
  for (const char* name : {"qemu-system-x86", "IO mon_iothread", "CPU x", "vhost-12"})
    EXPECT_FALSE(is_vcpu_name(name)) << name;
}

class NetThreadsTest : public ::testing::Test {
 protected:
  NetThreadsTest() {
    tree.file("sys/devices/system/cpu/online", "0-7\n");
    tree.file("cgroup/cpuset.cpus.effective", "0-7\n");
    tree.file("cgroup/machine.slice/vm.scope/cpuset.cpus.effective", "0-3\n");
  }

  struct Thread {
    std::int32_t tid = 0;
    std::string name;
    std::uint64_t flags = 0x00400040;
    std::string affinity = "0-3";
    std::string cgroup = "/machine.slice/vm.scope";
    std::uint64_t ticks = 0;
    std::uint64_t started = 500;
  };
  /// A thread as /proc/TID shows it, and in the list of `process` if that is given.
  void thread(const Thread& t, std::int32_t process = 0) const {
    const std::string own = "proc/" + std::to_string(t.tid);
    for (const std::string& at : {own, process == 0 ? own
                                                    : "proc/" + std::to_string(process) + "/task/" +
                                                          std::to_string(t.tid)}) {
      tree.file(at + "/stat", stat_text(t.tid, t.name, t.flags, t.ticks, t.started));
      tree.file(at + "/status", "Name:\t" + t.name + "\nCpus_allowed_list:\t" + t.affinity + "\n");
      tree.file(at + "/cgroup", "0::" + t.cgroup + "\n");
    }
  }
  void qemu(std::int32_t pid) const {
    thread({.tid = pid, .name = "qemu-system-x86"}, pid);
    thread({.tid = pid + 1, .name = "CPU 0/KVM", .affinity = "2"}, pid);
    thread({.tid = pid + 2, .name = "CPU 1/KVM", .affinity = "3"}, pid);
  }
  void kernel_children(const std::string& list) const { tree.file("proc/2/task/2/children", list); }
  static Workload vm(WorkloadId id, std::int32_t pid) {
    return {.id = id,
            .kind = WorkloadKind::vm,
            .device = Device{.name = "tap" + std::to_string(id), .ifindex = id},
            .main_pid = pid};
  }
  static Link link(const std::string& name) { return {.device = {.name = name, .ifindex = 9}}; }

  std::vector<NetThread> read(const std::vector<Workload>& workloads, MonotonicTime now = kStart,
                              const std::vector<Link>& links = {}) {
    return threads.read(workloads, links, now);
  }

  TempTree tree;
  NetThreads threads{{.proc = {.root = tree.root + "/proc"},
                      .sys = {.root = tree.root + "/sys"},
                      .cgroup = tree.root + "/cgroup"}};
};

TEST_F(NetThreadsTest, AVhostWorkerIsAThreadOfItsVmmSince64) {
  qemu(700);
  thread({.tid = 710, .name = "vhost-700", .flags = kWorker, .affinity = "1", .started = 777}, 700);
  EXPECT_THAT(read({vm(3, 700)}), ElementsAre(NetThread{.kind = NetThread::Kind::vhost,
                                                        .tid = 710,
                                                        .started = 777,
                                                        .name = "vhost-700",
                                                        .workload = 3,
                                                        .device = vm(3, 700).device.value(),
                                                        .affinity = cpus("1"),
                                                        .allowed = cpus("0-3"),
                                                        .vcpus = cpus("2-3")}));
}

TEST_F(NetThreadsTest, AndAKernelThreadBeforeOrByChoice) {
  qemu(700);
  thread({.tid = 710, .name = "vhost-700", .flags = kKernelThread, .affinity = "0-7"});
  thread({.tid = 711, .name = "vhost-999", .flags = kKernelThread});
  kernel_children("3 710 711 ");
  const auto found = read({vm(3, 700)});
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].tid, 710);
  EXPECT_EQ(found[0].workload, 3u);
  EXPECT_EQ(found[0].affinity, cpus("0-7"));
  EXPECT_EQ(found[0].vcpus, cpus("2-3"));
}

TEST_F(NetThreadsTest, KernelThreadsAreFoundWhereNobodyListsThem) {
  qemu(700);
  thread({.tid = 710, .name = "vhost-700", .flags = kKernelThread});
  EXPECT_THAT(read({vm(3, 700)}), ElementsAre(Field(&NetThread::tid, 710)));
}

TEST_F(NetThreadsTest, AKernelWorkerIsNamedAfterTheThreadThatOwnsTheDevice) {
  qemu(700);
  thread({.tid = 705, .name = "IO thread"}, 700);
  thread({.tid = 710, .name = "vhost-705", .flags = kKernelThread});
  EXPECT_THAT(read({vm(3, 700)}), ElementsAre(Field(&NetThread::tid, 710)));
}

TEST_F(NetThreadsTest, TwoDevicesOfOneVmHaveTwoWorkersOfOneName) {
  qemu(700);
  thread({.tid = 710, .name = "vhost-700", .flags = kWorker}, 700);
  thread({.tid = 711, .name = "vhost-700", .flags = kWorker}, 700);
  // A second tap makes the VM a second workload, and nothing tells which thread is whose.
  const auto found = read({vm(3, 700), vm(4, 700)});
  EXPECT_THAT(found, ElementsAre(Field(&NetThread::tid, 710), Field(&NetThread::tid, 711)));
  EXPECT_THAT(found, ::testing::Each(Field(&NetThread::workload, 3u)));
  EXPECT_THAT(found, ::testing::Each(Field(&NetThread::other_workloads, ElementsAre(4u))));
  EXPECT_THAT(read({vm(4, 700)}), ::testing::Each(Field(&NetThread::workload, 4u)))
      << "the first tap went";
}

TEST_F(NetThreadsTest, AVmmMayHaveWorkersOfBothForms) {
  qemu(700);
  thread({.tid = 710, .name = "vhost-700", .flags = kWorker}, 700);
  thread({.tid = 20, .name = "vhost-700", .flags = kKernelThread});
  kernel_children("3 20 ");
  tree.link("proc/700/fd/9", "/dev/vhost-net");
  EXPECT_THAT(read({vm(3, 700)}), ElementsAre(Field(&NetThread::tid, 710)))
      << "one device, and its worker is there";
  tree.link("proc/700/fd/10", "/dev/vhost-net");
  EXPECT_THAT(read({vm(3, 700)}, kStart + seconds(6)),
              ElementsAre(Field(&NetThread::tid, 20), Field(&NetThread::tid, 710)));
}

TEST_F(NetThreadsTest, WhoOnlyHasTheNameIsNoWorker) {
  qemu(700);
  thread({.tid = 710, .name = "vhost-700"}, 700);
  thread({.tid = 711, .name = "iou-wrk-700", .flags = kWorker}, 700);
  thread({.tid = 712, .name = "vhost-700"});
  thread({.tid = 713, .name = "vhost-", .flags = kKernelThread});
  thread({.tid = 714, .name = "napi/tap3-1"});
  tree.file("sys/class/net/tap3/threaded", "1\n");
  EXPECT_THAT(read({vm(3, 700)}, kStart, {link("tap3")}), IsEmpty());
}

TEST_F(NetThreadsTest, AVmmThatNamesNoThreadsRunsItsCpusOnAnyOfThem) {
  thread({.tid = 700, .name = "qemu-system-x86", .affinity = "0-1"}, 700);
  thread({.tid = 701, .name = "qemu-system-x86", .affinity = "5"}, 700);
  thread({.tid = 710, .name = "vhost-700", .flags = kWorker, .affinity = "7"}, 700);
  EXPECT_THAT(read({vm(3, 700)}), ElementsAre(Field(&NetThread::vcpus, cpus("0-1,5"))));
}

TEST_F(NetThreadsTest, WithoutACpusetAllOnlineCpusAreAllowed) {
  qemu(700);
  tree.file("sys/devices/system/cpu/online", "0-5\n");
  tree.remove("cgroup/cpuset.cpus.effective");
  thread({.tid = 710, .name = "vhost-700", .flags = kWorker, .cgroup = "/other"}, 700);
  EXPECT_THAT(read({vm(3, 700)}), ElementsAre(Field(&NetThread::allowed, cpus("0-5"))));
}

TEST_F(NetThreadsTest, TheNearestCpusetAboveCounts) {
  qemu(700);
  thread({.tid = 710,
          .name = "vhost-700",
          .flags = kWorker,
          .cgroup = "/machine.slice/vm.scope/libvirt/emulator"},
         700);
  EXPECT_THAT(read({vm(3, 700)}), ElementsAre(Field(&NetThread::allowed, cpus("0-3"))));
}

TEST_F(NetThreadsTest, NapiThreadsBelongToTheDeviceThatIsPolledByThem) {
  tree.file("sys/class/net/eth0/threaded", "1\n");
  tree.file("sys/class/net/eth1/threaded", "0\n");
  thread({.tid = 20, .name = "napi/eth0-65", .flags = kKernelThread, .cgroup = "/"});
  thread({.tid = 21, .name = "napi/eth0-66", .flags = kKernelThread, .cgroup = "/"});
  thread({.tid = 22, .name = "napi/eth1-67", .flags = kKernelThread, .cgroup = "/"});
  thread({.tid = 23, .name = "napi/eth0-1-68", .flags = kKernelThread, .cgroup = "/"});
  const auto found = read({}, kStart, {link("eth0"), link("eth1")});
  EXPECT_THAT(found, ElementsAre(Field(&NetThread::tid, 20), Field(&NetThread::tid, 21)));
  EXPECT_EQ(found.at(0).kind, NetThread::Kind::napi);
  EXPECT_EQ(found.at(0).device.name, "eth0");
  EXPECT_EQ(found.at(0).allowed, cpus("0-7"));
}

TEST_F(NetThreadsTest, BusyIsTheCpuTimeBetweenTwoReadings) {
  qemu(700);
  const Thread worker{.tid = 710, .name = "vhost-700", .flags = kWorker, .ticks = 1000};
  thread(worker, 700);
  EXPECT_EQ(read({vm(3, 700)}).at(0).busy, Share{0}) << "nothing to compare with";
  Thread later = worker;
  later.ticks += 45;  // of 1/100 s
  later.affinity = "2";
  thread(later, 700);
  const auto found = read({vm(3, 700)}, kStart + seconds(1));
  EXPECT_DOUBLE_EQ(found.at(0).busy.of_one, 0.45);
  EXPECT_EQ(found.at(0).affinity, cpus("2"));
  later.ticks += 1;
  thread(later, 700);
  EXPECT_DOUBLE_EQ(read({vm(3, 700)}, kStart + milliseconds(1050)).at(0).busy.of_one, 0.45)
      << "too soon to tell";
}

TEST_F(NetThreadsTest, AThreadOfTheSameNumberIsAnother) {
  qemu(700);
  thread({.tid = 710, .name = "vhost-700", .flags = kWorker, .ticks = 90, .started = 5}, 700);
  read({vm(3, 700)});
  thread({.tid = 710, .name = "bash", .ticks = 100, .started = 6});
  tree.remove("proc/700/task/710");
  EXPECT_THAT(read({vm(3, 700)}, kStart + seconds(1)), IsEmpty());
  thread({.tid = 710, .name = "vhost-700", .flags = kWorker, .ticks = 1, .started = 7}, 700);
  const auto found = read({vm(3, 700)}, kStart + seconds(6));
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].started, 7u);
  EXPECT_EQ(found[0].busy, Share{0});
}

TEST_F(NetThreadsTest, ANewVmIsSearchedAtOnceAndANewWorkerWithinFiveSeconds) {
  qemu(700);
  EXPECT_THAT(read({vm(3, 700)}), IsEmpty());
  thread({.tid = 710, .name = "vhost-700", .flags = kWorker}, 700);
  EXPECT_THAT(read({vm(3, 700)}, kStart + milliseconds(4900)), IsEmpty());
  qemu(800);
  thread({.tid = 810, .name = "vhost-800", .flags = kWorker}, 800);
  EXPECT_THAT(read({vm(3, 700), vm(4, 800)}, kStart + milliseconds(4950)), SizeIs(2));
  thread({.tid = 811, .name = "vhost-800", .flags = kWorker}, 800);
  EXPECT_THAT(read({vm(3, 700), vm(4, 800)}, kStart + milliseconds(9900)), SizeIs(2));
  EXPECT_THAT(read({vm(3, 700), vm(4, 800)}, kStart + milliseconds(9960)), SizeIs(3));
}

TEST_F(NetThreadsTest, OfAVmThatIsGoneNothingIsLeft) {
  qemu(700);
  thread({.tid = 710, .name = "vhost-700", .flags = kWorker}, 700);
  EXPECT_THAT(read({vm(3, 700)}), SizeIs(1));
  EXPECT_THAT(read({}, kStart + seconds(1)), IsEmpty());
}

}  // namespace
}  // namespace ankus
