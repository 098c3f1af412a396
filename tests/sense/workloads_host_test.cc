// SPDX-License-Identifier: Apache-2.0
// The inventory on this kernel: real namespaces, veths, taps and cgroups, all of this test's name.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sense/links.h"
#include "sense/workloads.h"

namespace ankus {
namespace {

using ::testing::IsEmpty;

const std::string kName = "ankus-workloads-test";
const std::string kHostSide = kName + "-host";  // the namespace that plays the host
const std::string kInner = kName + "-c1";

bool run(const std::string& command) { return ::system((command + " 2>/dev/null").c_str()) == 0; }

std::uint64_t inode_of(const std::string& path) {
  struct stat facts{};
  return ::stat(path.c_str(), &facts) == 0 ? facts.st_ino : 0;
}

/// Enters a namespace while it lives; everything opened meanwhile stays there.
class InNamespace {
 public:
  explicit InNamespace(const std::string& name)
      : before_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    const UniqueFd there(::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(::setns(there.get(), CLONE_NEWNET), 0);
  }
  ~InNamespace() { EXPECT_EQ(::setns(before_.get(), CLONE_NEWNET), 0); }

 private:
  UniqueFd before_;
};

/// A sleeping process in a namespace and, if given, in a cgroup.
class Sleeper {
 public:
  Sleeper(const std::string& network, const std::string& cgroup) {
    int ready[2];
    EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    pid = ::fork();
    if (pid == 0) {
      const int there = ::open(("/run/netns/" + network).c_str(), O_RDONLY | O_CLOEXEC);
      bool fine = ::setns(there, CLONE_NEWNET) == 0;
      if (!cgroup.empty()) {
        std::ofstream procs(cgroup + "/cgroup.procs");
        fine = fine && static_cast<bool>(procs << ::getpid() << std::flush);
      }
      const char answer = fine ? 'y' : 'n';
      (void)!::write(ready[1], &answer, 1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char answer = 'n';
    EXPECT_EQ(::read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    ::close(ready[0]);
  }
  ~Sleeper() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  pid_t pid = -1;
};

class WorkloadsOnThisHost : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: makes network namespaces";
    clean();
    if (!run("ip netns add " + kHostSide) || !run("ip netns add " + kInner))
      GTEST_SKIP() << "needs CAP_NET_ADMIN: `ip netns add` failed";
    const auto mount = find_cgroup2_mount();
    if (!mount) GTEST_SKIP() << "needs cgroup v2: " << mount.error().text;
    cgroup_root_ = *mount;
    ASSERT_TRUE(run("ip -n " + kHostSide + " link add awt0 type veth peer name eth0 netns " +
                    kInner + " && ip -n " + kHostSide + " link set awt0 up"));
    roots_ = host_roots();
    // Only what this test makes: other tests' cgroups on the same machine are none of its business.
    roots_.cgroup = cgroup_root_ + "/" + kName;
    std::filesystem::create_directory(roots_.cgroup);
  }
  void TearDown() override { clean(); }

  static void clean() {
    run("ip netns del " + kHostSide);
    run("ip netns del " + kInner);
    const auto mount = find_cgroup2_mount();
    if (!mount) return;
    const std::string top = *mount + "/" + kName;
    run("find " + top + " -depth -type d -exec rmdir {} +");
  }

  /// A link dump and a scan as the daemon makes them, in the host's place. The process's main
  /// thread is the one that the tests run on, so /proc/self follows it.
  std::vector<Workload> scan(WorkloadInventory& inventory, LinkReader& links) {
    const auto read = links.read(MonotonicTime{seconds(1)});
    EXPECT_TRUE(read) << read.error().text;
    auto found = inventory.scan(*read, MonotonicTime{seconds(1)});
    EXPECT_TRUE(found) << found.error().text;
    return found ? found->workloads : std::vector<Workload>{};
  }

  std::string cgroup_root_;
  WorkloadRoots roots_;
};

TEST_F(WorkloadsOnThisHost, ANamedNamespaceBehindAVethIsFoundByItsNumber) {
  const InNamespace there(kHostSide);
  auto links = LinkReader::open();
  auto inventory = WorkloadInventory::open(roots_);
  ASSERT_TRUE(links && inventory);
  const auto workloads = scan(*inventory, *links);
  ASSERT_EQ(workloads.size(), 1u);
  EXPECT_EQ(workloads[0].name, kInner);
  EXPECT_EQ(workloads[0].label, "netns:" + kInner);
  EXPECT_EQ(workloads[0].kind, WorkloadKind::container);
  ASSERT_TRUE(workloads[0].device);
  EXPECT_EQ(workloads[0].device->name, "awt0");
  EXPECT_EQ(workloads[0].device->netns_cookie, own_netns_cookie().value());
  EXPECT_EQ(workloads[0].identity.netns_inode, inode_of("/run/netns/" + kInner));
}

TEST_F(WorkloadsOnThisHost, AContainersCgroupIsJoinedWithItsVeth) {
  const std::string id(64, 'c');
  const std::string cgroup = roots_.cgroup + "/docker-" + id + ".scope";
  std::filesystem::create_directory(cgroup);
  const Sleeper container(kInner, cgroup);
  // Runtimes do not name their namespaces; this takes away the name only.
  ASSERT_TRUE(run("ip netns del " + kInner));
  const InNamespace there(kHostSide);
  auto links = LinkReader::open();
  auto inventory = WorkloadInventory::open(roots_);
  ASSERT_TRUE(links && inventory);
  const auto workloads = scan(*inventory, *links);
  ASSERT_EQ(workloads.size(), 1u);
  EXPECT_EQ(workloads[0].identity.cgroup_id, inode_of(cgroup));
  EXPECT_EQ(workloads[0].main_pid, container.pid);
  ASSERT_TRUE(workloads[0].device);
  EXPECT_EQ(workloads[0].device->name, "awt0");
  EXPECT_THAT(workloads[0].name, ::testing::StartsWith("cccccccccccc "));
}

TEST_F(WorkloadsOnThisHost, AVethWhoseOtherEndNobodyNamesIsStillAWorkload) {
  const InNamespace there(kHostSide);
  auto links = LinkReader::open();
  roots_.named_namespaces = "/nowhere";
  auto inventory = WorkloadInventory::open(roots_);
  ASSERT_TRUE(links && inventory);
  const auto workloads = scan(*inventory, *links);
  ASSERT_EQ(workloads.size(), 1u);
  EXPECT_EQ(workloads[0].name, "veth awt0");
}

TEST_F(WorkloadsOnThisHost, TheVethOfTheDefaultRouteIsNoWorkload) {
  ASSERT_TRUE(run("ip -n " + kInner + " link set eth0 up && ip -n " + kHostSide +
                  " addr add 10.213.0.1/24 dev awt0 && ip -n " + kHostSide +
                  " route add default via 10.213.0.2"));
  const InNamespace there(kHostSide);
  auto links = LinkReader::open();
  auto inventory = WorkloadInventory::open(roots_);
  ASSERT_TRUE(links && inventory);
  EXPECT_THAT(scan(*inventory, *links), IsEmpty());
}

TEST_F(WorkloadsOnThisHost, EventsTellOfCgroupsProcessesAndLinks) {
  const InNamespace there(kHostSide);
  auto links = LinkReader::open();
  auto inventory = WorkloadInventory::open(roots_);
  ASSERT_TRUE(links && inventory);
  scan(*inventory, *links);
  const auto told = [&] {
    std::vector<pollfd> waiting;
    for (const int fd : inventory->fds()) waiting.push_back({.fd = fd, .events = POLLIN});
    // An upper bound only: kernfs reports from a kernel worker.
    const bool readable = ::poll(waiting.data(), waiting.size(), 2000) > 0;
    return inventory->changed_since_last().value() && readable;
  };
  (void)inventory->changed_since_last();

  const std::string cgroup = roots_.cgroup + "/web.service";
  std::filesystem::create_directory(cgroup);
  EXPECT_TRUE(told()) << "a cgroup";
  scan(*inventory, *links);
  {
    const Sleeper service(kHostSide, cgroup);
    EXPECT_TRUE(told()) << "a process in it";
    const auto workloads = scan(*inventory, *links);
    EXPECT_TRUE(std::ranges::any_of(workloads, [](const Workload& workload) {
      return workload.name == "web.service" && workload.kind == WorkloadKind::service &&
             !workload.device;
    }));
  }
  EXPECT_TRUE(told()) << "its end";
  while (inventory->changed_since_last().value()) continue;
  ASSERT_TRUE(run("ip -n " + kHostSide + " link set awt0 down"));
  EXPECT_TRUE(told()) << "a link";
}

/// So little room for news that a few links' do not fit.
void starve(int netlink_fd) {
  const int least = 1;
  ASSERT_EQ(::setsockopt(netlink_fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
}

bool make_veths(int count) {
  std::string batch;
  for (int i = 1; i <= count; ++i)
    batch += "link add awt" + std::to_string(i) + " type veth peer name eth" + std::to_string(i) +
             " netns " + kInner + "\n";
  return run("printf '" + batch + "' | ip -n " + kHostSide + " -batch -");
}

TEST_F(WorkloadsOnThisHost, NewsThatFoundNoRoomIsAnOverrunAndTheNextScanFindsAll) {
  const InNamespace there(kHostSide);
  auto links = LinkReader::open();
  auto inventory = WorkloadInventory::open(roots_);
  auto news = NetlinkSocket::open(NETLINK_ROUTE, RTMGRP_LINK);
  ASSERT_TRUE(links && inventory && news);
  EXPECT_EQ(scan(*inventory, *links).size(), 1u);
  while (inventory->changed_since_last().value()) continue;
  starve(news->fd());
  starve(inventory->fds().front());  // its link news

  constexpr int kVeths = 40;
  ASSERT_TRUE(make_veths(kVeths));
  const auto told = news->receive_notifications();
  ASSERT_TRUE(told) << told.error().text;
  EXPECT_TRUE(told->overrun);
  EXPECT_LT(told->messages.size(), std::size_t{kVeths}) << "not all of them fitted";
  EXPECT_FALSE(news->receive_notifications().value().tell_of_change()) << "said once";

  const auto changed = inventory->changed_since_last();
  ASSERT_TRUE(changed) << changed.error().text;
  EXPECT_TRUE(*changed);
  EXPECT_EQ(scan(*inventory, *links).size(), std::size_t{kVeths} + 1);
}

TEST_F(WorkloadsOnThisHost, ACgroupThatEndsLeavesNoWatchBehind) {
  auto tree = CgroupTree::open(roots_.cgroup);
  ASSERT_TRUE(tree && tree->read());
  const auto watches = [&] {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(tree->fd()));
    std::size_t count = 0;
    for (std::string line; std::getline(info, line);) count += line.starts_with("inotify wd:");
    return count;
  };
  const std::size_t before = watches();
  std::filesystem::create_directory(roots_.cgroup + "/short-lived");
  ASSERT_TRUE(tree->read());
  EXPECT_EQ(watches(), before + 2);
  std::filesystem::remove(roots_.cgroup + "/short-lived");
  ASSERT_TRUE(tree->read());
  EXPECT_EQ(watches(), before) << "kernfs ends no watch by itself";
}

TEST_F(WorkloadsOnThisHost, AnOpenTapIsAVm) {
  const InNamespace there(kHostSide);
  const UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!tap) GTEST_SKIP() << "needs /dev/net/tun: " << std::strerror(errno);
  ifreq request{};
  std::string("awtap0").copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  ASSERT_EQ(::ioctl(tap.get(), TUNSETIFF, &request), 0) << std::strerror(errno);
  auto links = LinkReader::open();
  roots_.cgroup.clear();  // all processes, this one among them
  auto inventory = WorkloadInventory::open(roots_);
  ASSERT_TRUE(links && inventory);
  const auto workloads = scan(*inventory, *links);
  const auto vm = std::ranges::find(workloads, WorkloadKind::vm, &Workload::kind);
  ASSERT_NE(vm, workloads.end());
  EXPECT_EQ(vm->main_pid, ::getpid());
  EXPECT_EQ(vm->device->name, "awtap0");
}

TEST_F(WorkloadsOnThisHost, AScanIsCheap) {
  const InNamespace there(kHostSide);
  auto links = LinkReader::open();
  roots_.cgroup = cgroup_root_;
  auto inventory = WorkloadInventory::open(roots_);
  ASSERT_TRUE(links && inventory);
  scan(*inventory, *links);
  const SystemClock clock;
  const MonotonicTime start = clock.monotonic();
  for (int i = 0; i < 20; ++i) scan(*inventory, *links);
  const nanoseconds each = (clock.monotonic() - start) / 20;
  RecordProperty("scan", to_text(each));
  std::printf("one scan with its link dump: %s\n", to_text(each).c_str());
  EXPECT_LT(each, milliseconds(200)) << "100 times what was measured on an idle machine";
}

}  // namespace
}  // namespace ankus
