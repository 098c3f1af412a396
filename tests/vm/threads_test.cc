// SPDX-License-Identifier: Apache-2.0
// vhost workers and NAPI threads as real kernels make them: found, pinned, put back.
#include "sense/threads.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "kernel/sysfs.h"
#include "vm/fake_vm.h"
#include "vm/found_threads.h"
#include "vm/hardware.h"
#include "vm/support.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::string kCgroup = "/sys/fs/cgroup/ankus-threads-test";

class ThreadsOnKernel : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!in_the_vm()) GTEST_SKIP() << "needs the VM lab (tests/vm/run): it moves threads";
    ASSERT_EQ(run("modprobe -a tun vhost_net veth").code, 0);
    std::filesystem::create_directory(kCgroup);
    set_cpuset("0-3");
    ANKUS_SKIP_WITHOUT("smp4", text_of("/sys/devices/system/cpu/online") == "0-3\n", "--smp 4");
  }
  void TearDown() override {
    vm_.reset();
    if (!in_the_vm()) return;
    EXPECT_TRUE(eventually([] { return rmdir(kCgroup.c_str()) == 0; }));
  }

  static void set_cpuset(const std::string& list) {
    const auto done = write_setting_file(kCgroup + "/cpuset.cpus", list);
    ASSERT_TRUE(done) << done.error().text;
  }
  void start(FakeVm::Options options = {}) {
    options.cgroup = kCgroup;
    vm_.emplace(options);
    ASSERT_EQ(vm_->error, "");
    ASSERT_EQ(run("ip link set " + options.tap + " up").code, 0);
  }
  knob::ThreadAffinity worker() {
    const auto threads = found_threads();
    if (threads.size() != 1) {
      ADD_FAILURE() << threads.size() << " workers";
      return {};
    }
    return {.tid = threads[0].tid, .started = threads[0].started, .name = threads[0].name};
  }
  static Setting all_of(std::string_view list) { return ThreadCpus{cpus(list), cpus(list)}; }
  CpuSet pin(const Knob& knob) {
    const Setting found = read(knob);
    const auto* thread = std::get_if<ThreadCpus>(&found);
    EXPECT_TRUE(thread != nullptr && !thread->is_all()) << to_text(found);
    return thread == nullptr ? CpuSet{} : thread->cpus;
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
  static bool workers_are_kernel_threads() { return kernel_version() < std::pair(6, 4); }

  std::optional<FakeVm> vm_;
  OneKnob knobs_;
};

TEST_F(ThreadsOnKernel, AVhostWorkerIsFoundThroughItsTap) {
  start({.vcpu = cpus("2")});
  const auto threads = found_threads();
  ASSERT_THAT(threads, SizeIs(1));
  const NetThread& worker = threads[0];
  EXPECT_EQ(worker.name, "vhost-" + std::to_string(vm_->pid));
  EXPECT_EQ(worker.device.name, "tap0");
  EXPECT_NE(worker.workload, 0u);
  EXPECT_EQ(worker.affinity, cpus("0-3"));
  EXPECT_EQ(worker.allowed, cpus("0-3"));
  EXPECT_EQ(worker.vcpus, cpus("2"));
  const std::string inside =
      "/proc/" + std::to_string(vm_->pid) + "/task/" + std::to_string(worker.tid);
  EXPECT_EQ(std::filesystem::exists(inside), !workers_are_kernel_threads());
}

TEST_F(ThreadsOnKernel, AWorkerThatWasAskedForAsAKernelThreadIsFound) {
  if (!std::filesystem::exists("/sys/module/vhost/parameters/fork_from_owner_default"))
    GTEST_SKIP() << "this kernel has no VHOST_SET_FORK_FROM_OWNER";
  start({.worker = FakeVm::Worker::kernel_thread});
  const auto threads = found_threads();
  ASSERT_THAT(threads, SizeIs(1));
  EXPECT_EQ(threads[0].name, "vhost-" + std::to_string(vm_->pid));
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string(vm_->pid) + "/task/" +
                                       std::to_string(threads[0].tid)));
  const knob::ThreadAffinity knob{threads[0].tid, threads[0].started, threads[0].name};
  write(knob, cpus("0-3"), cpus("3"));
  EXPECT_EQ(pin(knob), cpus("3"));
}

TEST_F(ThreadsOnKernel, AWorkerIsPinnedAndPutBackWhilePacketsMove) {
  start();
  const Knob knob = worker();
  const std::string status =
      "/proc/" + std::to_string(std::get<knob::ThreadAffinity>(knob).tid) + "/status";
  const auto masks = [&] { return run("grep -E '^(Cpus|Mems)_allowed' " + status).output; };
  const std::string before = masks();
  EXPECT_EQ(read(knob), all_of("0-3"));
  for (const char* list : {"1", "2-3", "0,3", "3"}) {
    write(knob, read(knob), cpus(list));
    EXPECT_EQ(pin(knob), cpus(list));
    const std::uint64_t sent = vm_->sent();
    EXPECT_TRUE(eventually([&] { return vm_->sent() > sent + 1000; })) << "packets stand still";
  }
  write(knob, cpus("3"), all_of("0-3"));
  EXPECT_EQ(masks(), before);
}

TEST_F(ThreadsOnKernel, AWorkerThatWasPutBackFollowsItsCpusetAsIfNothingHadBeen) {
  start();
  set_cpuset("0-1");
  const Knob knob = worker();
  const Setting original = read(knob);
  EXPECT_EQ(original, all_of("0-1"));
  write(knob, original, cpus("1"));
  write(knob, cpus("1"), original);
  EXPECT_EQ(read(knob), original);
  set_cpuset("0-3");
  EXPECT_EQ(read(knob), all_of("0-3")) << "and was not confined by the undo";

  write(knob, read(knob), cpus("2"));
  set_cpuset("0-2");
  write(knob, read(knob), original);
  EXPECT_EQ(read(knob), all_of("0-2")) << "the cpuset changed under the pin";
  set_cpuset("0-3");
  write(knob, read(knob), cpus("0-3"));
  set_cpuset("0-1");
  set_cpuset("0-3");
  EXPECT_EQ(read(knob), all_of("0-3")) << "all of a cpuset is no pin";
}

TEST_F(ThreadsOnKernel, AMaskOfBeforeIsPutBackAlsoIfTheCpusetIsNarrowerNow) {
  start();
  const Knob knob = worker();
  write(knob, read(knob), cpus("0-2"));
  const Setting original = read(knob);
  write(knob, original, cpus("1"));
  set_cpuset("0-1");
  write(knob, read(knob), original);
  EXPECT_TRUE(same_setting(read(knob), original)) << to_text(read(knob));
  set_cpuset("0-3");
  // Older ones keep no thread's own mask (OldKernelsForgetAPinWhenTheCpusetChanges).
  EXPECT_EQ(read(knob), kernel_version() < std::pair(6, 2) ? all_of("0-3") : original);
}

TEST_F(ThreadsOnKernel, ACpuThatWasOfflineWhenItWasReadIsNotLost) {
  start();
  const Knob knob = worker();
  ASSERT_TRUE(write_setting_file("/sys/devices/system/cpu/cpu3/online", "0"));
  const Setting original = read(knob);
  write(knob, original, cpus("1"));
  write(knob, cpus("1"), original);
  const Setting back = read(knob);
  ASSERT_TRUE(write_setting_file("/sys/devices/system/cpu/cpu3/online", "1"));
  EXPECT_TRUE(same_setting(back, original)) << to_text(back);
  EXPECT_TRUE(eventually([&] { return read(knob) == all_of("0-3"); })) << to_text(read(knob));
}

TEST_F(ThreadsOnKernel, ItsShareOfACpuIsSeen) {
  start();
  NetThreads threads({.cgroup = "/sys/fs/cgroup"});
  found_threads(threads);
  EXPECT_TRUE(eventually([&] {
    const auto found = found_threads(threads);
    return found.size() == 1 && found[0].busy > Share{0.01} && found[0].busy <= Share{1};
  }));
}

TEST_F(ThreadsOnKernel, AMaskOutsideOfTheCpusetIsRefused) {
  start();
  set_cpuset("0-1");
  const Knob knob = worker();
  const auto done = knobs_.write(knob, cpus("0-1"), cpus("2-3"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::invalid);
  EXPECT_THAT(done.error().text, HasSubstr("2-3"));
  EXPECT_THAT(done.error().text, HasSubstr("cpuset"));
  EXPECT_EQ(read(knob), all_of("0-1"));
}

TEST_F(ThreadsOnKernel, AMaskThatTheCpusetCutsReadsBackCut) {
  start();
  set_cpuset("0-1");
  const Knob knob = worker();
  write(knob, cpus("0-1"), cpus("1-3"));
  EXPECT_EQ(pin(knob), cpus("1"));
  EXPECT_TRUE(same_setting(read(knob), cpus("1-3"))) << "as much of it as there is";
  EXPECT_FALSE(same_setting(read(knob), cpus("0-3")));
}

TEST_F(ThreadsOnKernel, OldKernelsForgetAPinWhenTheCpusetChanges) {
  start();
  const Knob knob = worker();
  write(knob, cpus("0-3"), cpus("2"));
  set_cpuset("1-2");
  const Setting kept = ThreadCpus{cpus("2"), cpus("1-2")}, lost = all_of("1-2");
  EXPECT_EQ(read(knob), kernel_version() < std::pair(6, 2) ? lost : kept);
}

TEST_F(ThreadsOnKernel, TheWorkerOfAVmThatEndedIsGone) {
  start();
  const Knob knob = worker();
  vm_.reset();
  EXPECT_TRUE(eventually([&] { return !knobs_.read(knob); }));
  EXPECT_EQ(knobs_.read(knob).error().kind, ErrorKind::gone);
  const auto done = knobs_.write(knob, cpus("0-3"), cpus("1"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::gone);
}

TEST_F(ThreadsOnKernel, AnotherThreadOfThatNumberIsNotTouched) {
  start();
  auto knob = worker();
  ++knob.started;
  EXPECT_EQ(knobs_.read(knob).error().kind, ErrorKind::gone);
  EXPECT_EQ(knobs_.write(knob, cpus("0-3"), cpus("1")).error().kind, ErrorKind::gone);
}

TEST_F(ThreadsOnKernel, NapiThreadsAreFoundPinnedAndPutBack) {
  ASSERT_EQ(run("ip link add napi0 type veth peer name napi1 && ethtool -K napi0 gro on && "
                "ip link set napi0 up && ip link set napi1 up && "
                "echo 1 > /sys/class/net/napi0/threaded")
                .code,
            0);
  const auto threads = found_threads();
  ASSERT_THAT(threads, SizeIs(1));
  EXPECT_EQ(threads[0].kind, NetThread::Kind::napi);
  EXPECT_EQ(threads[0].device.name, "napi0");
  const Knob knob = knob::ThreadAffinity{threads[0].tid, threads[0].started, threads[0].name};
  const Setting original = read(knob);
  EXPECT_EQ(original, all_of("0-3"));
  write(knob, original, cpus("2"));
  EXPECT_EQ(pin(knob), cpus("2"));
  write(knob, cpus("2"), original);
  EXPECT_EQ(read(knob), original);
  ASSERT_EQ(run("ip link del napi0").code, 0);
  EXPECT_TRUE(eventually([&] { return !knobs_.read(knob); }));
}

}  // namespace
}  // namespace ankus
