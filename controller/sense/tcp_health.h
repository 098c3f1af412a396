// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bpf/tcp_health.h"
#include "kernel/bpf.h"
#include "model/tcp_health.h"
#include "sense/programs.h"

namespace ankus {

/// How TCP fares on this host's connections in all network namespaces (kernel side:
/// bpf/tcp_health.bpf.c). Connections within one host address or loopback are left out.
///
/// Whose a connection is: the workload of the cgroup that made its socket (FlowTable::set_cgroup),
/// else that of its network namespace (set_namespace).
class TcpSensor {
 public:
  /// Fails if the connections cannot be listed; a tracepoint that this kernel lacks is a downgrade.
  static Result<TcpSensor> open(const Programs& programs);

  /// One line for each statistic that is missing, with the reason.
  const std::vector<std::string>& downgrades() const { return downgrades_; }

  /// Attaches. Connections that are older become known when they next receive a packet that is
  /// sampled.
  Result<void> start(std::uint32_t one_in);
  /// Of so many packets received, one is looked at for RTT and send queue; rounded up to a power of
  /// two. 1 while somebody watches a flow, 16 is cheap.
  Result<void> sample(std::uint32_t one_in) const;
  void stop();

  /// `inode` of /proc/PID/ns/net.
  Result<void> set_namespace(std::uint64_t inode, WorkloadId owner) const;
  Result<void> forget_namespace(std::uint64_t inode) const;

  /// Before others have these numbers: what was counted of them is nobody's.
  Result<void> forget_workloads(const std::set<WorkloadId>& numbers) const;

  /// Workloads and connections.
  Result<TcpReading> read() const;
  /// The workloads alone, by workload, which is cheaper: still every known socket is looked at.
  Result<std::vector<TcpTotals>> totals() const;

 private:
  /// What `program` writes of all known sockets.
  Result<std::vector<std::byte>> visit(const char* program, std::size_t at_once) const;
  Result<std::vector<TcpTotals>> read_rows() const;

  std::optional<bpf::Object> object_;
  std::vector<std::string> programs_;
  std::vector<UniqueFd> links_;
  std::vector<std::string> downgrades_;
  bpf::Map<std::uint32_t, ankus_tcp_row> rows_;
  bpf::Map<std::uint32_t, std::uint32_t> spaces_;
  bpf::Map<std::uint32_t, ankus_tcp_config> config_;
};

/// A connection's record as a value for people.
TcpFlow tcp_flow_of(const ankus_tcp_record& record);

}  // namespace ankus
