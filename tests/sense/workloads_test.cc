// SPDX-License-Identifier: Apache-2.0
#include "sense/workloads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake/temp_tree.h"

namespace ankus {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint64_t kHost = 4026531840, kPod = 4026532001, kOther = 4026532002;
const std::string kIdA(64, 'a'), kIdB(64, 'b');

Link veth(std::uint32_t ifindex, std::int32_t nsid) {
  return {.device = {.name = "veth" + std::to_string(ifindex), .ifindex = ifindex},
          .kind = "veth",
          .peer_ifindex = 2,
          .link_netnsid = nsid};
}

Link tap(std::uint32_t ifindex) {
  return {.device = {.name = "tap" + std::to_string(ifindex), .ifindex = ifindex},
          .kind = "tun",
          .tap = true};
}

struct Evidence : WorkloadEvidence {
  Evidence() { own_netns = kHost; }
  Evidence& cgroup(std::string path, std::uint64_t id, std::vector<std::int32_t> pids = {},
                   std::uint64_t netns = kHost) {
    for (const std::int32_t pid : pids) netns_of[pid] = netns;
    cgroups.push_back({.path = std::move(path), .id = id, .processes = std::move(pids)});
    return *this;
  }
};

using Owners = std::vector<CgroupOwner>;

TEST(WorkloadJoin, AContainerIsItsCgroupItsNamespaceAndItsVeth) {
  Evidence evidence;
  evidence.cgroup("system.slice/docker-" + kIdA + ".scope", 50, {700, 701}, kPod)
      .cgroup("system.slice/docker-" + kIdA + ".scope/inner", 51, {702}, kPod);
  evidence.number_of[kPod] = 3;
  evidence.links = {veth(9, 3), veth(10, -1)};
  const auto joined = join_workloads(evidence);
  EXPECT_THAT(joined.workloads,
              ElementsAre(WorkloadSighting{
                  .kind = WorkloadKind::container,
                  .identity = {.cgroup_id = 50, .netns_inode = kPod, .ifindex = 9},
                  .device = evidence.links[0].device,
                  .main_pid = 700,
                  .cgroup = {.role = CgroupRole::container, .runtime = "docker", .id = kIdA}}));
  EXPECT_EQ(joined.owners, (Owners{{50, 0}, {51, 0}}));
}

TEST(WorkloadJoin, TheContainersOfAPodAreOneWorkloadThatGoesByThePod) {
  const std::string pod = "kubepods.slice/kubepods-pod1_2.slice";
  Evidence evidence;
  evidence.cgroup("kubepods.slice", 39)
      .cgroup(pod, 40)
      .cgroup(pod + "/cri-containerd-" + kIdA + ".scope", 41, {500}, kPod)
      .cgroup(pod + "/cri-containerd-" + kIdB + ".scope", 42, {501}, kPod);
  evidence.number_of[kPod] = 0;
  evidence.links = {veth(9, 0)};
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(1));
  EXPECT_EQ(joined.workloads[0].identity.cgroup_id, 40u);
  EXPECT_EQ(joined.owners, (Owners{{40, 0}, {41, 0}, {42, 0}}));
}

TEST(WorkloadJoin, APodHasItsOtherContainersByAge) {
  const std::string pod = "kubepods.slice/kubepods-pod1_2.slice", idC(64, 'c');
  Evidence evidence;
  evidence.cgroup(pod, 40)
      .cgroup(pod + "/cri-containerd-" + kIdA + ".scope", 43, {502}, kPod)
      .cgroup(pod + "/cri-containerd-" + kIdB + ".scope", 42, {501}, kPod)
      .cgroup(pod + "/cri-containerd-" + idC + ".scope", 41, {500}, kPod);
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(1));
  EXPECT_EQ(joined.workloads[0].cgroup.id, idC);
  EXPECT_THAT(joined.workloads[0].others,
              ElementsAre(Field(&CgroupName::id, kIdB), Field(&CgroupName::id, kIdA)));
}

TEST(WorkloadJoin, ContainersOfAHostNetworkPodAreKnownByTheirOwnCgroups) {
  const std::string pod = "kubepods.slice/kubepods-pod1_2.slice";
  Evidence evidence;
  evidence.cgroup(pod, 40)
      .cgroup(pod + "/cri-containerd-" + kIdA + ".scope", 41, {500})
      .cgroup(pod + "/cri-containerd-" + kIdB + ".scope", 42, {501});
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(2));
  EXPECT_EQ(joined.workloads[0].identity, (WorkloadIdentity{.cgroup_id = 41}));
  EXPECT_EQ(joined.workloads[1].identity, (WorkloadIdentity{.cgroup_id = 42}));
  EXPECT_FALSE(joined.workloads[0].device);
}

TEST(WorkloadJoin, AnotherVethOfTheSameNamespaceIsKnownByItself) {
  Evidence evidence;
  evidence.cgroup("docker/" + kIdA, 50, {700}, kPod);
  evidence.number_of[kPod] = 3;
  evidence.links = {veth(9, 3), veth(12, 3)};
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(2));
  EXPECT_EQ(joined.workloads[1].identity, (WorkloadIdentity{.netns_inode = kPod, .ifindex = 12}));
  EXPECT_EQ(joined.owners, (Owners{{50, 0}})) << "a cgroup has one owner";
}

TEST(WorkloadJoin, ANamedNamespaceWithoutProcessesIsAWorkload) {
  Evidence evidence;
  evidence.named = {{.name = "web", .inode = kPod}, {.name = "self", .inode = kHost}};
  evidence.number_of[kPod] = 1;
  evidence.links = {veth(9, 1)};
  EXPECT_THAT(join_workloads(evidence).workloads,
              ElementsAre(AllOf(Field(&WorkloadSighting::namespace_name, "web"),
                                Field(&WorkloadSighting::main_pid, 0))));
}

TEST(WorkloadJoin, AProcessOfASessionInANamespaceIsAWorkloadWithoutACgroup) {
  Evidence evidence;
  evidence.cgroup("", 1, {10, 700});
  evidence.netns_of[700] = kPod;
  evidence.number_of[kPod] = 1;
  evidence.links = {veth(9, 1)};
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(1));
  EXPECT_EQ(joined.workloads[0].identity, (WorkloadIdentity{.netns_inode = kPod, .ifindex = 9}));
  EXPECT_EQ(joined.workloads[0].main_pid, 700);
  EXPECT_THAT(joined.owners, IsEmpty());
}

TEST(WorkloadJoin, ACgroupOfNoKnownRuntimeCountsIfItsProcessesShareANamespace) {
  Evidence evidence;
  evidence.cgroup("lab/c1", 60, {700, 701}, kPod).cgroup("lab/c2", 61, {800, 801}, kOther);
  evidence.netns_of[801] = kHost;  // not all of c2 is in there
  evidence.number_of[kPod] = 1;
  evidence.number_of[kOther] = 2;
  evidence.links = {veth(9, 1), veth(10, 2)};
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(2));
  EXPECT_EQ(joined.workloads[0].identity.cgroup_id, 60u);
  EXPECT_EQ(joined.workloads[1].identity.cgroup_id, 0u);
}

TEST(WorkloadJoin, AServiceIsKnownByItsUnit) {
  Evidence evidence;
  evidence.cgroup("system.slice", 2)
      .cgroup("system.slice/db.service", 3, {20})
      .cgroup("system.slice/db.service/worker", 4, {21})
      .cgroup("system.slice/done.service", 5)
      .cgroup("user.slice/session-1.scope", 6, {30});
  const auto joined = join_workloads(evidence);
  EXPECT_THAT(joined.workloads, ElementsAre(WorkloadSighting{
                                    .kind = WorkloadKind::service,
                                    .identity = {.cgroup_id = 3},
                                    .main_pid = 20,
                                    .cgroup = {.role = CgroupRole::service, .id = "db.service"}}));
  EXPECT_EQ(joined.owners, (Owners{{3, 0}, {4, 0}}));
}

TEST(WorkloadJoin, AServiceWithSandboxedProcessesStaysAService) {
  Evidence evidence;
  evidence.cgroup("system.slice/browser.service", 3, {20, 21});
  evidence.netns_of[21] = kPod;
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(1));
  EXPECT_EQ(joined.workloads[0].identity, (WorkloadIdentity{.cgroup_id = 3}));
}

TEST(WorkloadJoin, AServiceWithAPrivateNetworkSendsNothingHere) {
  Evidence evidence;
  evidence.cgroup("system.slice/quiet.service", 3, {20}, kPod);
  EXPECT_THAT(join_workloads(evidence).workloads, IsEmpty());
}

TEST(WorkloadJoin, AHeldTapIsAVmAndOthersAreNot) {
  Evidence evidence;
  evidence.cgroup("system.slice/vmm.service", 3, {90});
  evidence.links = {tap(7), tap(8)};
  evidence.taps = {{.ifindex = 7, .pid = 90}};
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(2));
  EXPECT_EQ(joined.workloads[0].kind, WorkloadKind::service);
  EXPECT_EQ(joined.workloads[1].kind, WorkloadKind::vm);
  EXPECT_EQ(joined.workloads[1].identity, (WorkloadIdentity{.ifindex = 7}));
}

TEST(WorkloadJoin, LibvirtsScopeIsTheVmsAndNoWorkloadBesides) {
  Evidence evidence;
  evidence.cgroup("machine.slice/machine-qemu\\x2d1\\x2dweb.scope", 5)
      .cgroup("machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator", 6, {90});
  evidence.links = {tap(7), tap(8)};
  evidence.taps = {{.ifindex = 7, .pid = 90}, {.ifindex = 8, .pid = 90}};
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(2));
  EXPECT_EQ(joined.workloads[0].identity, (WorkloadIdentity{.cgroup_id = 5, .ifindex = 7}));
  EXPECT_EQ(joined.workloads[1].identity, (WorkloadIdentity{.ifindex = 8}));
  EXPECT_EQ(joined.owners, (Owners{{5, 0}, {6, 0}}));
}

TEST(WorkloadJoin, AVethIntoANamespaceThatNobodyCanNameIsStillAWorkload) {
  Evidence evidence;
  evidence.links = {veth(9, 4)};
  EXPECT_THAT(join_workloads(evidence).workloads,
              ElementsAre(Field(&WorkloadSighting::identity, WorkloadIdentity{.ifindex = 9})));
}

TEST(WorkloadJoin, AnUplinkIsNobodys) {
  Evidence evidence;
  evidence.named = {{.name = "outside", .inode = kPod}};
  evidence.number_of[kPod] = 1;
  evidence.links = {veth(9, 1), tap(7)};
  for (Link& link : evidence.links) link.has_default_route = true;
  evidence.taps = {{.ifindex = 7, .pid = 90}};
  EXPECT_THAT(join_workloads(evidence).workloads, IsEmpty());
}

TEST(WorkloadJoin, ANamespaceWithoutANumberHasNoDevice) {
  Evidence evidence;
  evidence.cgroup("docker/" + kIdA, 50, {700}, kPod);
  evidence.number_of[kPod] = -1;
  evidence.links = {veth(9, -1)};
  const auto joined = join_workloads(evidence);
  ASSERT_THAT(joined.workloads, SizeIs(1)) << "a container with macvlan or none at all";
  EXPECT_FALSE(joined.workloads[0].device);
}

// ---- Names ----

TEST(WorkloadNames, OfDockerAreNameAndImage) {
  EXPECT_EQ(parse_docker_config(R"({"Name":"/admiring_bose","Path":"/usr/bin/python3","Config":
              {"Image":"python:3","Labels":{}}})"),
            (RuntimeFacts{.names = {.name = "admiring_bose", .label = "image:python:3 python3"}}));
  EXPECT_EQ(parse_docker_config(R"({"Name":"/shop-db-1","Config":{"Image":"postgres","Labels":
              {"com.docker.compose.project":"shop","com.docker.compose.service":"db"}}})"),
            (RuntimeFacts{.names = {.name = "shop-db-1", .label = "compose:shop/db"}}));
}

TEST(WorkloadNames, OfKubernetesComeBackWithTheNextPod) {
  EXPECT_EQ(parse_containerd_config(R"({"annotations":{
              "io.kubernetes.cri.container-type":"container",
              "io.kubernetes.cri.container-name":"web",
              "io.kubernetes.cri.sandbox-name":"web-6c5-xk2lp",
              "io.kubernetes.cri.sandbox-namespace":"shop"}})"),
            (RuntimeFacts{.names = {.name = "shop/web-6c5-xk2lp/web", .label = "k8s:shop/web"}}));
}

TEST(WorkloadNames, ASandboxHasNoLabelSinceAllAreAlike) {
  EXPECT_EQ(parse_containerd_config(R"({"annotations":{
              "io.kubernetes.cri.container-type":"sandbox",
              "io.kubernetes.cri.sandbox-name":"web-6c5-xk2lp",
              "io.kubernetes.cri.sandbox-namespace":"shop"}})"),
            (RuntimeFacts{.names = {.name = "shop/web-6c5-xk2lp/pause"}, .sandbox = true}));
}

TEST(WorkloadNames, NonsenseIsNoName) {
  for (const char* json : {"", "null", "[]", "{", "{}", R"({"Name":7,"Config":[]})",
                           R"({"annotations":"x"})", "\xff\xfe"}) {
    EXPECT_EQ(parse_docker_config(json), std::nullopt) << json;
    EXPECT_EQ(parse_containerd_config(json), std::nullopt) << json;
  }
  EXPECT_EQ(parse_docker_config(std::string(1'000'000, '[')), std::nullopt);
}

// ---- The inventory on literal trees ----

struct InventoryTest : ::testing::Test {
  InventoryTest() {
    tree.link("proc/self/ns/net", "net:[4026531840]");
    tree.directory("cgroup");
    tree.directory("netns");
  }
  void process(int pid, const std::string& comm, const std::string& executable,
               std::uint64_t netns = kHost) {
    const std::string root = "proc/" + std::to_string(pid);
    tree.link(root + "/ns/net", "net:[" + std::to_string(netns) + "]");
    tree.file(root + "/comm", comm + "\n");
    tree.link(root + "/exe", executable);
  }
  WorkloadInventory open(WorkloadId last = 4095) {
    return std::move(
        WorkloadInventory::open({.proc = {.root = tree.root + "/proc"},
                                 .cgroup = tree.root + "/cgroup",
                                 .named_namespaces = tree.root + "/netns",
                                 .runtimes = {.docker = tree.root + "/docker",
                                              .containerd = tree.root + "/containerd"}},
                                WorkloadIds(1, last))
            .value());
  }
  static std::vector<Workload> scan(WorkloadInventory& inventory) {
    auto found = inventory.scan({}, MonotonicTime{seconds(1)});
    EXPECT_TRUE(found) << found.error().text;
    return found ? found->workloads : std::vector<Workload>{};
  }

  TempTree tree;
};

TEST_F(InventoryTest, NamesServicesAndContainers) {
  process(20, "postgres", "/usr/lib/postgresql/15/bin/postgres");
  process(30, "gunicorn: web", "/usr/bin/python3.11");
  process(40, "sh", "/bin/dash");
  tree.file("cgroup/system.slice/db.service/cgroup.procs", "20\n");
  tree.file("cgroup/system.slice/docker-" + kIdA + ".scope/cgroup.procs", "30\n");
  tree.file("cgroup/system.slice/docker-" + kIdB + ".scope/cgroup.procs", "40\n");
  tree.file("docker/" + kIdB + "/config.v2.json",
            R"({"Name":"/cache","Path":"redis-server","Config":{"Image":"redis:7"}})");
  auto inventory = open();
  const auto workloads = scan(inventory);
  ASSERT_THAT(workloads, SizeIs(3));
  EXPECT_EQ(workloads[0].name, "db.service");
  EXPECT_EQ(workloads[0].label, "unit:db.service");
  EXPECT_EQ(workloads[0].main_pid, 20);
  EXPECT_EQ(workloads[1].name, "aaaaaaaaaaaa python3.11 gunicorn: web");
  EXPECT_EQ(workloads[1].label, "exe:python3.11 gunicorn: web");
  EXPECT_EQ(workloads[2].name, "cache");
  EXPECT_EQ(workloads[2].label, "image:redis:7 redis-server");
  EXPECT_EQ(scan(inventory), workloads) << "a second look changes nothing";
}

TEST_F(InventoryTest, APodIsNamedAfterItsContainerAndNotAfterItsSandbox) {
  process(30, "pause", "/pause", kPod);
  const std::string pod = "cgroup/kubepods.slice/kubepods-pod1_2.slice";
  const auto container = [&](const std::string& id, const std::string& pid,
                             const std::string& more) {
    tree.file(pod + "/cri-containerd-" + id + ".scope/cgroup.procs", pid + "\n");
    tree.file("containerd/k8s.io/" + id + "/config.json",
              R"({"annotations":{"io.kubernetes.cri.sandbox-name":"web-6c5-xk2lp",
                  "io.kubernetes.cri.sandbox-namespace":"shop",)" +
                  more + "}}");
  };
  container(kIdA, "30", R"("io.kubernetes.cri.container-type":"sandbox")");
  auto inventory = open();
  auto workloads = scan(inventory);
  ASSERT_THAT(workloads, SizeIs(1));
  EXPECT_EQ(workloads[0].name, "shop/web-6c5-xk2lp/pause");
  EXPECT_EQ(workloads[0].label, "");

  process(31, "nginx", "/usr/sbin/nginx", kPod);
  container(kIdB, "31", R"("io.kubernetes.cri.container-type":"container",
                           "io.kubernetes.cri.container-name":"web")");
  workloads = scan(inventory);
  ASSERT_THAT(workloads, SizeIs(1));
  EXPECT_EQ(workloads[0].name, "shop/web-6c5-xk2lp/web");
  EXPECT_EQ(workloads[0].label, "k8s:shop/web");
}

TEST_F(InventoryTest, KnowsTheCpusThatACpusetLeaves) {
  process(20, "postgres", "/bin/postgres");
  process(30, "web", "/bin/web");
  process(40, "web", "/bin/web");
  tree.file("cgroup/cpuset.cpus.effective", "0-7\n");
  tree.file("cgroup/system.slice/db.service/cgroup.procs", "20\n");
  tree.file("cgroup/system.slice/db.service/cpuset.cpus.effective", "2-3\n");
  tree.file("cgroup/system.slice/docker-" + kIdA + ".scope/cgroup.procs", "30\n");
  tree.file("cgroup/system.slice/docker-" + kIdA + ".scope/cpuset.cpus.effective", "0-7\n");
  tree.file("cgroup/part/cpuset.cpus.effective", "4\n");
  tree.file("cgroup/part/docker-" + kIdB + ".scope/cgroup.procs", "40\n");
  auto inventory = open();
  const auto workloads = scan(inventory);
  ASSERT_THAT(workloads, SizeIs(3));
  for (const Workload& workload : workloads) {
    const std::string expected = workload.name == "db.service" ? "2-3"
                                 : workload.main_pid == 40     ? "4"
                                                               : "none";
    EXPECT_EQ(to_text(workload.cpus), expected) << workload.name;
  }
}

TEST_F(InventoryTest, HostileNamesAreHarmless) {
  process(20, "\x1b[2J\nroot", "/bin/\x1b]0;owned\x07");
  tree.file("cgroup/docker/" + kIdA + "/cgroup.procs", "20\n");
  tree.file("cgroup/x\n\x1b[31m.service/cgroup.procs", "20\n");
  process(21, "redis", "/bin/redis");
  tree.file("cgroup/docker/" + kIdB + "/cgroup.procs", "21\n");
  tree.file("docker/" + kIdB + "/config.v2.json", R"({"Name":"/\u001b[2J\u0000\n)" +
                                                      std::string(4096, 'n') +
                                                      R"(","Config":{"Image":"\u202e\n\r"}})");
  auto inventory = open();
  const auto workloads = scan(inventory);
  ASSERT_THAT(workloads, SizeIs(3));
  for (const Workload& workload : workloads)
    for (const std::string& text : {workload.name, workload.label}) {
      EXPECT_LE(text.size(), 100u) << text;
      EXPECT_FALSE(text.empty());
      EXPECT_TRUE(std::ranges::none_of(text, [](unsigned char c) { return c < ' ' || c == 127; }))
          << text;
    }
}

TEST_F(InventoryTest, CountsWhatItHasNoNumberFor) {
  for (int i = 20; i < 25; ++i) {
    process(i, "x", "/x");
    tree.file("cgroup/s" + std::to_string(i) + ".service/cgroup.procs", std::to_string(i));
  }
  auto inventory = open(3);
  const auto found = inventory.scan({}, MonotonicTime{seconds(1)});
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_THAT(found->workloads, SizeIs(3));
  EXPECT_EQ(found->without_number, 2u);
  EXPECT_THAT(found->owners, SizeIs(3));
}

TEST_F(InventoryTest, AProcessThatEndsBetweenTwoReadsIsLeftOut) {
  tree.file("cgroup/gone.service/cgroup.procs", "99\n");
  auto inventory = open();
  EXPECT_THAT(scan(inventory), IsEmpty());
}

TEST_F(InventoryTest, SaysThatACgroupCame) {
  auto inventory = open();
  EXPECT_THAT(scan(inventory), IsEmpty());
  ASSERT_TRUE(inventory.changed_since_last());
  process(20, "x", "/x");
  tree.file("cgroup/new.service/cgroup.procs", "20\n");
  EXPECT_EQ(inventory.changed_since_last(), true);
  EXPECT_THAT(scan(inventory), SizeIs(1));
}

TEST_F(InventoryTest, SaysThatANamedNamespaceCame) {
  auto inventory = open();
  scan(inventory);
  ASSERT_TRUE(inventory.changed_since_last());
  tree.file("netns/web", "");
  EXPECT_EQ(inventory.changed_since_last(), true);
}

TEST_F(InventoryTest, WithoutItsOwnNamespaceItSaysSo) {
  tree.remove("proc/self");
  auto inventory = open();
  const auto found = inventory.scan({}, MonotonicTime{seconds(1)});
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().text, HasSubstr("own network namespace"));
}

}  // namespace
}  // namespace ankus
