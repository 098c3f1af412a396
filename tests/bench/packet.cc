// SPDX-License-Identifier: Apache-2.0
// What a packet pays: each tc program beside an empty one, by BPF_PROG_TEST_RUN.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <array>
#include <cstring>

#include "bench/benchmarks.h"
#include "bench/figure.h"
#include "bench/watched_host.h"
#include "bpf/wire.h"

namespace ankus::bench {
namespace {

constexpr std::uint32_t kManyFlows = 65'536;
using Packet = std::array<std::byte, 1000>;

/// A TCP segment of flow number `flow`, from a container to one server.
Packet segment_of(std::uint32_t flow) {
  Packet packet{};
  ethhdr ethernet{};
  ethernet.h_proto = htons(ETH_P_IP);
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.ttl = 64;
  ip.protocol = IPPROTO_TCP;
  ip.tot_len = htons(static_cast<std::uint16_t>(packet.size() - sizeof ethernet));
  ip.saddr = htonl(0x0a4d0a0b + (flow >> 15));
  ip.daddr = htonl(0x0a4d0002);
  tcphdr tcp{};
  tcp.source = htons(static_cast<std::uint16_t>(20'000 + (flow & 0x7fff)));
  tcp.dest = htons(5000);
  tcp.doff = 5;
  tcp.ack = 1;
  std::byte* at = packet.data();
  const auto put = [&](const auto& header) {
    std::memcpy(at, &header, sizeof header);
    at += sizeof header;
  };
  put(ethernet);
  put(ip);
  put(tcp);
  return packet;
}

/// Nanoseconds of one run, as the kernel measures them over `repeat` runs.
Result<double> run(int program, const Packet& packet, std::uint32_t ifindex, std::uint32_t iif,
                   int repeat) {
  __sk_buff context{};
  context.ifindex = ifindex;
  context.ingress_ifindex = iif;
  std::array<std::byte, 2048> out;
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = packet.data();
  options.data_size_in = packet.size();
  options.data_out = out.data();
  options.data_size_out = out.size();
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  options.repeat = repeat;
  if (bpf_prog_test_run_opts(program, &options) != 0) return fail_errno("BPF_PROG_TEST_RUN");
  return static_cast<double>(options.duration);
}

/// What every program at this hook costs: "pass on", and nothing else.
Result<UniqueFd> load_empty() {
  const std::array<bpf_insn, 2> code{
      bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K,
               .dst_reg = BPF_REG_0,
               .src_reg = 0,
               .off = 0,
               .imm = -1},
      bpf_insn{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  UniqueFd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "ankus_empty", "Dual BSD/GPL",
                                 code.data(), code.size(), nullptr));
  if (!program) return fail_errno("load the empty program");
  return program;
}

struct Costs {
  double hot = 0, spread = 0;
};

class PacketBench {
 public:
  PacketBench(const WatchedHost& host, int empty, int rounds)
      : host_(host), empty_(empty), rounds_(rounds) {}

  Result<void> measure(const std::string& name, std::uint32_t ifindex, std::uint32_t iif) {
    const int program = host_.programs->program(name);
    if (program < 0) return fail(ErrorKind::unsupported, name + " is not loaded");
    for (const std::uint32_t flows : {1U, 1024U, kManyFlows})
      if (auto done = measure(name, program, ifindex, iif, flows); !done)
        return with_context(name, done.error());
    return {};
  }

 private:
  /// One pass over the flows, one run for each: what the caches do not hold is paid.
  Result<double> pass(int program, std::uint32_t ifindex, std::uint32_t iif,
                      std::uint32_t flows) const {
    double sum = 0;
    const int repeat = flows == 1 ? 200'000 : 1;
    // Not in order of their making: neighbours would share cache lines of the map.
    for (std::uint32_t i = 0; i < flows; ++i) {
      const auto cost = run(program, segment_of((i * 40'503U) % flows), ifindex, iif, repeat);
      if (!cost) return cost;
      sum += *cost;
    }
    return sum / flows;
  }

  Result<void> measure(const std::string& name, int program, std::uint32_t ifindex,
                       std::uint32_t iif, std::uint32_t flows) const {
    std::vector<double> added, ratios, ours, nothing;
    if (auto warm = pass(program, ifindex, iif, flows); !warm) return std::unexpected(warm.error());
    const int rounds = flows == kManyFlows ? std::min(rounds_, 3) : rounds_;
    for (int round = 0; round < rounds; ++round) {
      const auto theirs = pass(empty_, ifindex, iif, flows);
      const auto own = pass(program, ifindex, iif, flows);
      if (!theirs || !own) return std::unexpected(theirs ? own.error() : theirs.error());
      added.push_back(*own - *theirs);
      ratios.push_back(*own / *theirs);
      ours.push_back(*own);
      nothing.push_back(*theirs);
    }
    print({.name = "packet/" + name.substr(std::strlen("ankus_")) + "_" + std::to_string(flows) +
                   "_flows",
           .measured = median(added),
           .unit = "ns added to an empty program",
           .detail = {{"program_ns", median(ours)},
                      {"empty_ns", median(nothing)},
                      {"ratio", median(ratios)},
                      {"added_ns", added}}});
    return {};
  }

  const WatchedHost& host_;
  int empty_, rounds_;
};

}  // namespace

Result<void> run_packet(const PacketOptions& options) {
  FlowTiming timing;
  timing.flows_per_owner = 2 * kManyFlows;
  auto host = open_host({.max_flows = 2 * kManyFlows, .timing = timing, .attach = false});
  if (!host) return std::unexpected(host.error());
  auto empty = load_empty();
  if (!empty) return std::unexpected(empty.error());
  const bpf::Map<std::uint32_t, ankus_member> members(host->programs->map("ankus_members"));
  const auto now = host->programs->jiffies();
  if (!now) return std::unexpected(now.error());
  const ankus_member web{.slow_class = 0x10,
                         .fast_class = 0x11,
                         .weight = ANKUS_MIXED,
                         .lease_until = *now + Programs::to_jiffies(seconds(600))};
  if (auto done = members.update(kWeb, web); !done) return done;

  PacketBench bench(*host, empty->get(), options.rounds);
  if (auto done = bench.measure("ankus_workload_sends", host->web.ifindex, host->web.ifindex);
      !done)
    return done;
  if (auto done = bench.measure("ankus_uplink_sends", host->up0.ifindex, host->web.ifindex); !done)
    return done;
  if (auto done = host->set_uplink(kOurMajor, {200'000'000}); !done) return done;
  if (auto done = bench.measure("ankus_uplink_classifies", host->up0.ifindex, host->web.ifindex);
      !done)
    return done;

  const auto counters = host->table->counters();
  const auto flows = host->table->flows();
  if (!counters || !flows) return fail(ErrorKind::refused, "read the flow table");
  // A program that looked away would be cheap, and the figures above worth nothing.
  if (flows->size() < kManyFlows || (*counters)[ANKUS_COUNT_HIT_UPLINK] < 2 * kManyFlows ||
      (*counters)[ANKUS_COUNT_CLASS_SLOW] + (*counters)[ANKUS_COUNT_CLASS_FAST] +
              (*counters)[ANKUS_COUNT_CLASS_PROBATION] <
          kManyFlows)
    return fail(ErrorKind::refused,
                "the programs did not count the packets: " + std::to_string(flows->size()) +
                    " flows, " + std::to_string((*counters)[ANKUS_COUNT_HIT_UPLINK]) + " hits");
  return {};
}

}  // namespace ankus::bench
