// SPDX-License-Identifier: Apache-2.0
// What doctor and status tell of a real host: programs of others, and what the sensors lack.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/netlink.h>

#include <algorithm>
#include <vector>

#include "kernel/bpf.h"
#include "kernel/netlink.h"
#include "kernel/tc.h"
#include "netns/daemon_support.h"

namespace ankus {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAreArray;

class DoctorOnThisHost : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
    host_.emplace();
  }
  /// What doctor says under `name`, nothing if there is no such line.
  std::string says(const std::string& name) const {
    const auto report = host_->json("doctor");
    for (const auto& check : report["checks"])
      if (check.value("name", "") == name)
        return check.value("state", "?") + ": " + check.value("text", "");
    return "";
  }
  std::optional<DaemonLab> host_;
};

/// A program of somebody else's, which returns `verdict` for each packet.
UniqueFd load_foreign(bpf_prog_type type, const char* name, int verdict) {
  const bpf_insn code[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict},
      {.code = BPF_JMP | BPF_EXIT}};
  UniqueFd program(bpf_prog_load(type, name, "GPL", code, std::size(code), nullptr));
  EXPECT_TRUE(program) << name << ": " << std::strerror(errno);
  return program;
}

constexpr int kNextProgram = -1;  // TCX_NEXT, and TC_ACT_UNSPEC of a filter

std::string text_of(const std::string& hook, const std::string& name, const UniqueFd& program) {
  return hook + " " + name + " (id " + std::to_string(bpf::program_id(program.get()).value()) + ")";
}

void add_clsact_filter(std::uint32_t ifindex, const UniqueFd& program, const std::string& name) {
  ASSERT_EQ(run("tc qdisc add dev up0 clsact").code, 0);
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  ASSERT_TRUE(socket) << socket.error().text;
  const NetlinkMessage request =
      tc::add_bpf_filter(ifindex, tc::kClsactIngress, 1, 1, program.get(), name);
  const auto results = socket->transact({&request, 1});
  ASSERT_TRUE(results[0]) << results[0].error().text;
}

TEST_F(DoctorOnThisHost, NamesTheProgramsOfOthersAndNoneOfOurs) {
  Process daemon = host_->start();
  ASSERT_EQ(host_->ctl("apply").code, 0);  // with a classifier of ours beside the sensors
  EXPECT_EQ(says("programs on up0"), "") << "ours are not named";

  const std::uint32_t up0 = host_->lab().ifindex("up0");
  const UniqueFd xdp = load_foreign(BPF_PROG_TYPE_XDP, "cil_xdp_entry", XDP_PASS);
  const UniqueFd filter = load_foreign(BPF_PROG_TYPE_SCHED_CLS, "cil_filter", kNextProgram);
  ASSERT_EQ(bpf_xdp_attach(static_cast<int>(up0), xdp.get(), XDP_FLAGS_SKB_MODE, nullptr), 0);
  if (run("tc qdisc show dev up0").output.find("clsact") == std::string::npos) {
    add_clsact_filter(up0, filter, "cil_filter");
    EXPECT_THAT(says("programs on up0"),
                HasSubstr(text_of("clsact ingress", "cil_filter", filter)));
  }
  EXPECT_THAT(
      says("programs on up0"),
      AllOf(HasSubstr("ok: others': "),
            HasSubstr(text_of("XDP in the stack", "cil_xdp_entry", xdp)), Not(HasSubstr("ankus"))));

  const UniqueFd tcx = load_foreign(BPF_PROG_TYPE_SCHED_CLS, "cil_to_netdev", kNextProgram);
  {
    const auto link = bpf::attach_tcx(tcx.get(), up0, bpf::TcxHook::egress);
    if (!link) GTEST_SKIP() << "tcx, from 6.6 on: " << link.error().text;
    EXPECT_THAT(
        says("programs on up0"),
        AllOf(HasSubstr(text_of("tcx egress", "cil_to_netdev", tcx)), Not(HasSubstr("ankus"))));

    // A second daemon has other programs; those that the first left pinned are ours as well.
    daemon.kill_now();
    daemon = host_->start();
    EXPECT_THAT(
        says("programs on up0"),
        AllOf(HasSubstr(text_of("tcx egress", "cil_to_netdev", tcx)), Not(HasSubstr("ankus"))));
  }
  EXPECT_THAT(says("programs on up0"), Not(HasSubstr("cil_to_netdev"))) << "it is gone";
  EXPECT_EQ(host_->ctl("rollback --all").code, 0);
}

TEST_F(DoctorOnThisHost, NamesAForeignRootQdisc) {
  const Process daemon = host_->start();
  ASSERT_EQ(run("tc qdisc replace dev up0 root handle 5: pfifo limit 100").code, 0);
  host_->let_turns_pass(2);
  EXPECT_THAT(says("device up0"), HasSubstr("warn: its root qdisc is pfifo 5:"));
}

/// Lines about the latency sensor.
std::vector<std::string> of_latency(const nlohmann::json& reply) {
  std::vector<std::string> lines;
  for (const auto& line : reply["downgrades"])
    if (line.is_string() && line.get<std::string>().starts_with("latency"))
      lines.push_back(line.get<std::string>());
  return lines;
}

TEST_F(DoctorOnThisHost, StatusTellsWhatTheLatencySensorLacksBeforeAnyWindow) {
  const Process daemon = host_->start();
  const auto before = of_latency(host_->json("status"));
  EXPECT_EQ(before.empty(),
            bpf::has_tracepoint("tcp_sendmsg_locked") && bpf::has_tracepoint("sk_data_ready"));
  EXPECT_FALSE(host_->json("latency").contains("left_s")) << "no window is open";
  const std::string doctor = host_->ctl("doctor").output;
  for (const std::string& line : before)
    EXPECT_THAT(doctor, HasSubstr(line.substr(0, line.find(','))));
  ASSERT_EQ(host_->ctl("latency --for 100ms").code, 0);
  EXPECT_THAT(of_latency(host_->json("latency")), UnorderedElementsAreArray(before));
}

}  // namespace
}  // namespace ankus
