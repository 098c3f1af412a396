// SPDX-License-Identifier: Apache-2.0
#include "sense/vms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake/temp_tree.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

TEST(VmName, IsReadFromTheCommandLine) {
  EXPECT_EQ(vm_name_in(Words{"qemu", "-name", "guest=web,debug-threads=on", "-m", "1"}), "web");
  EXPECT_EQ(vm_name_in(Words{"qemu", "-name", "debug-threads=on,guest=web"}), "web");
  EXPECT_EQ(vm_name_in(Words{"qemu", "-name", "web,process=q"}), "web");
  EXPECT_EQ(vm_name_in(Words{"firecracker", "--id", "fc1"}), "fc1");
  EXPECT_EQ(vm_name_in(Words{"firecracker", "--id=fc1"}), "fc1");
  EXPECT_EQ(vm_name_in(Words{"qemu", "-name"}), "");
  EXPECT_EQ(vm_name_in(Words{"qemu", "-m", "1"}), "");
  EXPECT_EQ(vm_name_in(Words{}), "");
}

struct TapHoldersTest : ::testing::Test {
  void holds(int pid, const std::string& device, int start_time = 5) {
    const std::string root = std::to_string(pid);
    tree.remove(root + "/fd/3");
    tree.link(root + "/fd/3", "/dev/net/tun");
    tree.file(root + "/fdinfo/3", "pos:\t0\niff:\t" + device + "\n");
    started(pid, start_time);
  }
  void started(int pid, int start_time) {
    tree.file(std::to_string(pid) + "/stat", std::to_string(pid) +
                                                 " (q) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 " +
                                                 std::to_string(start_time) + " 0");
  }
  static Link tap(std::uint32_t ifindex, std::string name, bool is_tap = true) {
    return {.device = {.name = std::move(name), .ifindex = ifindex}, .kind = "tun", .tap = is_tap};
  }

  TempTree tree;
  TapHolders holders{Procfs{.root = tree.root}};
};

TEST_F(TapHoldersTest, FindsTheProcessThatHasTheTapOpen) {
  holds(70, "tap1");
  holds(71, "tun0");
  tree.directory("72/fd");
  const std::vector links{tap(4, "tap1"), tap(5, "tun0", false), tap(6, "tap2")};
  EXPECT_THAT(holders.find(links, std::vector{70, 71, 72, 99}),
              ElementsAre(TapHolder{.ifindex = 4, .pid = 70}));
}

TEST_F(TapHoldersTest, RemembersAHolderWithoutReadingItsFilesAgain) {
  holds(70, "tap1");
  const std::vector links{tap(4, "tap1")};
  ASSERT_THAT(holders.find(links, std::vector{70}), ElementsAre(TapHolder{4, 70}));
  tree.remove("70/fd");
  EXPECT_THAT(holders.find(links, std::vector{70}), ElementsAre(TapHolder{4, 70}));
}

TEST_F(TapHoldersTest, WhoHasHandedATapOverHoldsItNoLonger) {
  holds(70, "vnet0");  // libvirtd makes it
  started(71, 5);
  tree.directory("71/fd");
  const std::vector links{tap(4, "vnet0")};
  const std::vector processes{70, 71};
  ASSERT_THAT(holders.find(links, processes), ElementsAre(TapHolder{4, 70}));
  holds(71, "vnet0");
  tree.remove("70/fd/3");
  tree.remove("70/fdinfo/3");
  EXPECT_THAT(holders.find(links, processes), ElementsAre(TapHolder{4, 71}));
}

TEST_F(TapHoldersTest, AnOpenFileThatIsAnotherTapsByNowIsNoHold) {
  holds(70, "vnet0");
  const std::vector links{tap(4, "vnet0"), tap(5, "vnet1")};
  ASSERT_THAT(holders.find(links, std::vector{70, 71}), ElementsAre(TapHolder{4, 70}));
  holds(70, "vnet1");  // the same descriptor, for the next machine
  holds(71, "vnet0");
  const auto found = holders.find(links, std::vector{70, 71});
  EXPECT_THAT(found, ::testing::Contains(TapHolder{4, 71}));
  EXPECT_THAT(found, ::testing::Not(::testing::Contains(TapHolder{4, 70})));
}

TEST_F(TapHoldersTest, OfSeveralTheOneInAMachinesCgroupIsTheHolder) {
  holds(70, "vnet0");
  holds(71, "vnet0");
  const std::vector<Cgroup> cgroups{
      {.path = "system.slice/libvirtd.service", .processes = {70}},
      {.path = "machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator",
       .processes = {71}}};
  const auto processes = machines_first(std::vector{70, 71, 72}, cgroups);
  EXPECT_THAT(processes, ElementsAre(71, 70, 72));
  EXPECT_THAT(holders.find(std::vector{tap(4, "vnet0")}, processes), ElementsAre(TapHolder{4, 71}));
}

TEST_F(TapHoldersTest, ASuccessorWithTheSamePidIsNotTheHolder) {
  holds(70, "tap1", 5);
  const std::vector links{tap(4, "tap1")};
  ASSERT_THAT(holders.find(links, std::vector{70}), ElementsAre(TapHolder{4, 70}));
  tree.remove("70");
  started(70, 6);
  EXPECT_THAT(holders.find(links, std::vector{70}), IsEmpty());
}

TEST_F(TapHoldersTest, LooksEverMoreRarelyForATapThatNobodyHolds) {
  const std::vector links{tap(4, "tap1")};
  // Searches at the calls 1, 2, 4, 8: a holder that comes after the fourth is seen at the eighth.
  for (int call = 1; call <= 4; ++call)
    EXPECT_THAT(holders.find(links, std::vector{70}), IsEmpty());
  holds(70, "tap1");
  for (int call = 5; call <= 7; ++call)
    EXPECT_THAT(holders.find(links, std::vector{70}), IsEmpty()) << call;
  EXPECT_THAT(holders.find(links, std::vector{70}), ElementsAre(TapHolder{4, 70}));
}

TEST_F(TapHoldersTest, ANewTapIsLookedForAtOnce) {
  for (int call = 1; call <= 5; ++call) holders.find(std::vector{tap(4, "tap1")}, std::vector{70});
  holds(70, "tap2");
  EXPECT_THAT(holders.find(std::vector{tap(4, "tap1"), tap(5, "tap2")}, std::vector{70}),
              ElementsAre(TapHolder{5, 70}));
}

}  // namespace
}  // namespace ankus
