// SPDX-License-Identifier: Apache-2.0
#include "sense/cgroups.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "fake/temp_tree.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;

const std::string kId(64, 'a');

TEST(CgroupNames, AreRecognisedForEachRuntime) {
  struct Case {
    std::string path, unit, runtime, id, pod;
    CgroupRole role;
  };
  const std::string kube = "kubepods.slice/kubepods-burstable.slice/";
  const std::string pod = kube + "kubepods-burstable-pod0f1e_22.slice";
  const std::vector<Case> cases{
      {"system.slice/docker-" + kId + ".scope", "", "docker", kId, "", CgroupRole::container},
      {"docker/" + kId, "", "docker", kId, "", CgroupRole::container},
      {"docker/" + kId + "/inner/docker/" + kId, "docker/" + kId, "docker", kId, "",
       CgroupRole::container},
      {pod + "/cri-containerd-" + kId + ".scope", "", "containerd", kId, pod,
       CgroupRole::container},
      {pod + "/crio-" + kId + ".scope/container", pod + "/crio-" + kId + ".scope", "cri-o", kId,
       pod, CgroupRole::container},
      {"kubepods/besteffort/pod77/" + kId, "", "cri", kId, "kubepods/besteffort/pod77",
       CgroupRole::container},
      {"user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope", "",
       "podman", kId, "", CgroupRole::container},
      {"machine.slice/machine-web\\x2d1.scope/payload", "machine.slice/machine-web\\x2d1.scope",
       "nspawn", "web-1", "", CgroupRole::container},
      {"machine.slice/systemd-nspawn@db.service", "", "nspawn", "db", "", CgroupRole::container},
      {"lxc.payload.c1/init.scope", "lxc.payload.c1", "lxc", "c1", "", CgroupRole::container},
      {"machine.slice/machine-qemu\\x2d3\\x2dvm.scope/libvirt/emulator",
       "machine.slice/machine-qemu\\x2d3\\x2dvm.scope", "qemu", "qemu-3-vm", "",
       CgroupRole::machine},
      {"system.slice/system-getty.slice/getty@tty1.service", "", "", "getty@tty1.service", "",
       CgroupRole::service},
      {"system.slice/web.service/worker.service", "system.slice/web.service", "", "web.service", "",
       CgroupRole::service},
      {"system.slice/run-r12.scope", "", "", "run-r12.scope", "", CgroupRole::service}};
  for (const Case& c : cases)
    EXPECT_EQ(unit_of(c.path),
              (CgroupUnit{.path = c.unit.empty() ? c.path : c.unit,
                          .name = {.role = c.role, .runtime = c.runtime, .id = c.id},
                          .pod_path = c.pod}))
        << c.path;
}

TEST(CgroupNames, LoginSessionsSlicesAndHelpersAreNobodys) {
  const std::vector<std::string> paths{"",
                                       "init.scope",
                                       "user.slice/session-3.scope",
                                       "system.slice",
                                       "machine.slice/libpod-conmon-" + kId + ".scope",
                                       "docker/short",
                                       "somewhere/" + kId};
  for (const std::string& path : paths) EXPECT_EQ(unit_of(path), CgroupUnit{}) << path;
}

TEST(CgroupNames, AScopeThatOnlyLooksLikeAContainersIsAService) {
  EXPECT_EQ(unit_of("docker-" + kId.substr(1) + ".scope").name.role, CgroupRole::service);
}

TEST(CgroupNames, APodsUidHasItsDashesBack) {
  EXPECT_EQ(classify_cgroup("kubepods-pod0f1e_22.slice", "kubepods.slice"),
            (CgroupName{.role = CgroupRole::pod, .runtime = "cri", .id = "0f1e-22"}));
}

TEST(CgroupNames, ABrokenEscapeIsLeftAsItIs) {
  EXPECT_EQ(classify_cgroup("a\\x2.service", "").id, "a\\x2.service");
  EXPECT_EQ(classify_cgroup("a\\x", "").id, "");
  EXPECT_EQ(classify_cgroup("a\\xzz.service", "").id, "a\\xzz.service");
}

struct CgroupTreeTest : ::testing::Test {
  TempTree tree;
  CgroupTree cgroups = std::move(CgroupTree::open(tree.root).value());
};

TEST_F(CgroupTreeTest, ReadsParentsBeforeChildrenWithTheirProcesses) {
  tree.file("cgroup.procs", "1\n");
  tree.file("b/cgroup.procs", "30\n4\n");
  tree.file("a/x/cgroup.procs", "");
  const auto found = cgroups.read();
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_THAT(*found, ElementsAre(Field(&Cgroup::path, ""), Field(&Cgroup::path, "a"),
                                  Field(&Cgroup::path, "a/x"), Field(&Cgroup::path, "b")));
  EXPECT_THAT((*found)[3].processes, ElementsAre(4, 30));
  EXPECT_NE((*found)[3].id, (*found)[2].id);
}

TEST_F(CgroupTreeTest, SaysThatItChangedWhenDirectoriesComeAndGo) {
  tree.directory("a");
  ASSERT_TRUE(cgroups.read());
  EXPECT_EQ(cgroups.changed(), false);
  tree.directory("a/new");
  pollfd waiting{.fd = cgroups.fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 1);
  EXPECT_EQ(cgroups.changed(), true);
  EXPECT_EQ(cgroups.changed(), false);
  ASSERT_TRUE(cgroups.read());  // now the new one is watched as well
  tree.directory("a/new/below");
  EXPECT_EQ(cgroups.changed(), true);
  tree.remove("a/new");
  EXPECT_EQ(cgroups.changed(), true);
}

TEST_F(CgroupTreeTest, HearsOfProcessesButNotOfMemoryPressure) {
  tree.file("a/cgroup.events", "populated 0\n");
  tree.file("a/memory.events", "low 0\n");
  ASSERT_TRUE(cgroups.read());
  tree.file("a/memory.events", "low 1\n");
  EXPECT_EQ(cgroups.changed(), false);
  tree.file("a/cgroup.events", "populated 1\n");
  EXPECT_EQ(cgroups.changed(), true);
}

TEST_F(CgroupTreeTest, ADirectoryThatIsMadeAgainIsWatchedAgain) {
  tree.directory("a");
  ASSERT_TRUE(cgroups.read());
  tree.remove("a");
  ASSERT_TRUE(cgroups.read());
  tree.directory("a");
  ASSERT_TRUE(cgroups.read());
  ASSERT_TRUE(cgroups.changed());
  tree.directory("a/b");
  EXPECT_EQ(cgroups.changed(), true);
}

/// Makes `count` directories below one another, by hand: no path is that long.
void nest(const std::string& top, const std::string& name, int count) {
  UniqueFd directory(::open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(::mkdirat(directory.get(), name.c_str(), 0755), 0) << std::strerror(errno);
    directory.reset(::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  const UniqueFd file(::openat(directory.get(), "cgroup.procs", O_WRONLY | O_CREAT, 0644));
  ASSERT_EQ(::write(file.get(), "77\n", 3), 3);
}

TEST_F(CgroupTreeTest, APathThatIsTooLongHidesNothing) {
  tree.file("web.service/cgroup.procs", "30\n");
  const std::string name(250, 'n');
  nest(tree.root, name, 20);
  const auto found = cgroups.read();
  ASSERT_TRUE(found) << found.error().text;
  ASSERT_EQ(found->size(), 22u);
  EXPECT_THAT(found->back(), Field(&Cgroup::path, "web.service"));
  EXPECT_THAT((*found)[20].processes, ElementsAre(77));
  EXPECT_EQ((*found)[20].path.size(), 20 * 251u - 1);
  EXPECT_EQ(cgroups.unread, 0u);
  EXPECT_EQ(cgroups.unwatched, 0u) << "a watch needs no path either";
  (void)cgroups.changed();
  tree.directory(name + "/" + name + "/new");
  EXPECT_EQ(cgroups.changed(), true);
}

TEST_F(CgroupTreeTest, WhatLiesTooDeepIsCountedAndHidesNothingElse) {
  tree.file("web.service/cgroup.procs", "30\n");
  nest(tree.root, "d", 40);
  const auto found = cgroups.read();
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found->size(), 34u) << "the root, 32 levels, and the service";
  EXPECT_THAT(found->back().processes, ElementsAre(30));
  EXPECT_EQ(cgroups.unread, 1u);
}

/// Watches of an inotify fd, as the kernel counts them.
std::size_t watches_of(int inotify) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(inotify));
  std::size_t count = 0;
  for (std::string line; std::getline(info, line);) count += line.starts_with("inotify wd:");
  return count;
}

TEST_F(CgroupTreeTest, TakesATenthOfTheWatchesAndCountsTheRest) {
  tree.file("limit", "200\n");
  for (int i = 0; i < 30; ++i)
    tree.file("tree/c" + std::to_string(i) + "/cgroup.events", "populated 0\n");
  auto limited = std::move(CgroupTree::open(tree.root + "/tree", tree.root + "/limit").value());
  ASSERT_TRUE(limited.read());
  EXPECT_LE(watches_of(limited.fd()), 20u);
  EXPECT_EQ(limited.unwatched, 21u) << "ten of 31 have two watches each";
  for (int i = 0; i < 25; ++i) tree.remove("tree/c" + std::to_string(i));
  ASSERT_TRUE(limited.read());
  ASSERT_TRUE(limited.read());
  EXPECT_EQ(limited.unwatched, 0u) << "what is gone makes room";
  tree.file("limit", "400\n");
  for (int i = 30; i < 43; ++i) tree.directory("tree/c" + std::to_string(i));
  ASSERT_TRUE(limited.read());
  EXPECT_EQ(limited.unwatched, 0u) << "a raised limit is seen";
}

TEST_F(CgroupTreeTest, WithoutItsRootItSaysSo) {
  tree.remove("");
  const auto found = cgroups.read();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::gone);
  tree.directory("");
}

}  // namespace
}  // namespace ankus
