// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sense/programs.h"

namespace ankus {

/// The links by which the sensors see packets. Only links: watching adds no qdisc and no filter.
/// They go with this object unless they are pinned.
class Attachments {
 public:
  /// Where the device sensor hangs.
  enum class DeviceForm { none, tcx, tracepoint };

  explicit Attachments(const Programs& programs) : programs_(&programs) {}

  /// Attaches conntrack's sensor in the caller's network namespace, in the place of one that an
  /// earlier process has pinned below `pinned`: netfilter has room for one of its priority.
  Result<void> watch_conntrack(const std::string& pinned = {});
  /// Both directions or, after a failure, none.
  Result<void> watch_workload(std::uint32_t ifindex);
  /// An uplink, both directions; without `egress` when the classifier hangs there itself.
  Result<void> watch_uplink(std::uint32_t ifindex, bool egress);
  void forget(std::uint32_t ifindex);
  /// Watches devices by tracepoints from now on: what attaching a tcx link falls back to.
  Result<void> watch_by_tracepoints();

  /// Pins every link below `directory` so that it outlives the process, and takes the place of
  /// those pinned there before, by whatever process: two would count each packet twice.
  Result<void> pin(const std::string& directory);
  /// Has a link come or gone since this was asked last? Then what is pinned is not what is watched.
  bool take_changed() { return std::exchange(changed_, false); }

  DeviceForm device_form() const { return form_; }
  bool conntrack() const { return links_.contains("conntrack-0"); }
  const std::vector<std::string>& downgrades() const { return downgrades_; }

 private:
  Result<void> attach(const std::string& name, Result<UniqueFd> link);
  void keep(const std::string& name, UniqueFd link);
  void drop(const std::string& name);
  Result<void> attach_device(std::uint32_t ifindex, const std::string& program, bpf::TcxHook hook);

  const Programs* programs_;
  std::map<std::string, UniqueFd>
      links_;                     ///< "conntrack-0", "tcx-IFINDEX-ingress", "tracepoint-..."
  std::set<std::string> pinned_;  ///< of links_, since they were attached
  bool changed_ = false;
  DeviceForm form_ = DeviceForm::none;
  std::vector<std::string> downgrades_;
};

/// Where the links are pinned; "" without a BPF directory.
std::string sensor_pins(const std::string& bpf_dir);

/// The programs that links pinned in `directory` run: an earlier daemon's, until it is our turn.
std::set<std::uint32_t> programs_pinned_in(const std::string& directory);

/// Unpins all links below `directory`: what they watched is unwatched once nobody holds an fd.
void unpin_all(const std::string& directory);

}  // namespace ankus
