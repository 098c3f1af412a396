// SPDX-License-Identifier: Apache-2.0
#include "kernel/procfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "fake/temp_tree.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::string_view_literals;

struct ProcfsTest : ::testing::Test {
  TempTree tree;
  Procfs proc{.root = tree.root};
};

TEST_F(ProcfsTest, ListsProcessesByNumberOnly) {
  for (const char* name : {"10", "9", "self", "1x", "sys", "-3", "0", "99999999999"})
    tree.directory(name);
  EXPECT_EQ(proc.processes(), (std::vector<std::int32_t>{9, 10}));
}

TEST_F(ProcfsTest, ReadsTheNamespaceNumberFromTheLink) {
  tree.link("7/ns/net", "net:[4026532175]");
  tree.link("8/ns/net", "/tmp");
  tree.link("self/ns/net", "net:[4026531840]");
  EXPECT_EQ(proc.netns_inode(7), 4026532175u);
  EXPECT_EQ(proc.own_netns_inode(), 4026531840u);
  EXPECT_THAT(proc.netns_inode(8).error().text, HasSubstr("8/ns/net: holds no net:[NUMBER]"));
}

TEST_F(ProcfsTest, AnEndedProcessIsGone) {
  EXPECT_EQ(proc.netns_inode(7).error().kind, ErrorKind::gone);
  EXPECT_EQ(proc.comm(7).error().kind, ErrorKind::gone);
  EXPECT_EQ(proc.start_time(7).error().kind, ErrorKind::gone);
  EXPECT_EQ(proc.tun_files(7).error().kind, ErrorKind::gone);
}

TEST_F(ProcfsTest, FindsTheStartTimeBehindANameWithBlanksAndParentheses) {
  tree.file("7/stat",
            "7 (a) (b c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 10 0\n");
  EXPECT_EQ(proc.start_time(7), 987654u);
  tree.file("8/stat", "8 (short) S 1 2 3");
  EXPECT_THAT(proc.start_time(8).error().text, HasSubstr("field 22"));
  tree.file("9/stat", "");
  EXPECT_FALSE(proc.start_time(9));
}

TEST_F(ProcfsTest, ReadsNamesAndArguments) {
  tree.file("7/comm", "nginx\n");
  tree.link("7/exe", "/usr/sbin/nginx (deleted)");
  tree.file("7/cmdline", "nginx\0-g\0\0daemon off;\0"sv);
  tree.file("8/cmdline", "");
  EXPECT_EQ(proc.comm(7), "nginx");
  EXPECT_EQ(proc.executable(7), "nginx");
  EXPECT_THAT(*proc.command_line(7), ElementsAre("nginx", "-g", "", "daemon off;"));
  EXPECT_THAT(*proc.command_line(8), IsEmpty());
}

TEST_F(ProcfsTest, ReadsTheV2CgroupOfAHybridHost) {
  tree.file("7/cgroup", "4:memory:/x\n1:name=systemd:/y\n0::/system.slice/web.service\n");
  tree.file("8/cgroup", "4:memory:/x\n");
  EXPECT_EQ(proc.cgroup(7), "/system.slice/web.service");
  EXPECT_FALSE(proc.cgroup(8));
}

TEST_F(ProcfsTest, FindsTheTapsThatAProcessHolds) {
  tree.link("7/fd/0", "/dev/null");
  tree.link("7/fd/9", "/dev/net/tun");
  tree.link("7/fd/10", "/dev/net/tun");
  tree.link("7/fd/11", "/dev/net/tun");
  tree.file("7/fdinfo/9", "pos:\t0\nflags:\t0100002\nmnt_id:\t23\niff:\ttap3\n");
  tree.file("7/fdinfo/10", "pos:\t0\niff:\ttap1\n");
  tree.file("7/fdinfo/11", "pos:\t0\niff:\ttap3\n");
  EXPECT_THAT(*proc.tun_files(7),
              ElementsAre(TunFile{10, "tap1"}, TunFile{11, "tap3"}, TunFile{9, "tap3"}));
  EXPECT_EQ(proc.tun_device(7, 10), "tap1");
  EXPECT_EQ(proc.tun_device(7, 0), "");
  EXPECT_EQ(proc.tun_device(8, 10), "");
}

TEST_F(ProcfsTest, ReadsNoMoreOfAFileThanAskedFor) {
  tree.file("big", std::string(100'000, 'x'));
  EXPECT_EQ(read_file_head(tree.root + "/big", 5000)->size(), 5000u);
}

TEST(ProcessList, LeavesOutOtherPidNamespacesAndNonsense) {
  EXPECT_THAT(parse_process_list("12\n0\n7\n-4\nabc\n\n"), ElementsAre(7, 12));
}

TEST(RealProcfs, AgreesWithTheKernelAboutThisProcess) {
  const Procfs proc;
  EXPECT_EQ(proc.netns_inode(::getpid()).value(), proc.own_netns_inode().value());
  EXPECT_TRUE(proc.start_time(::getpid()));
  EXPECT_THAT(*proc.processes(), ::testing::Contains(::getpid()));
}

}  // namespace
}  // namespace ankus
