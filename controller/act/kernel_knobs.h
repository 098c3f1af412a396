// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "kernel/bpf.h"
#include "kernel/ethtool.h"
#include "kernel/irqbalance.h"
#include "kernel/procfs.h"
#include "kernel/sysfs.h"
#include "kernel/tc.h"
#include "model/knob.h"

/// How each kind of knob is read and written; one file per kind (knob_*.cc). None of them knows
/// what a plan, an undo or a dry run is.
namespace ankus {

struct IrqMemory {
  std::map<knob::IrqAffinity, DeviceIrq> numbers;  ///< where found last: to be looked at first
  std::map<std::uint32_t, std::string> lists;      ///< by number, as read or written last
};

/// What the daemon lends to the knobs. Without programs (`ankusd --rollback`) classifiers can be
/// read and taken off, not put on.
struct KernelHandles {
  int classifier_program = -1;
  std::string pin_dir;  ///< below a bpffs mount
  int members_fd = -1, devices_fd = -1;
  std::function<std::uint32_t()> lease_end;  ///< in jiffies, for rows that are written now
  std::shared_ptr<Ethtool> ethtool;          ///< opened by the actuator
  Sysfs sysfs;                               ///< of the namespace that the devices live in
  Procfs procfs;
  std::string cgroup = "/sys/fs/cgroup";  ///< "" is: no cgroup v2 on this host
  Irqbalance irqbalance;
  std::shared_ptr<IrqMemory> irqs;  ///< made by the actuator
  /// A person says so of all but the caller's: what was set on their devices is gone with them.
  bool other_namespaces_gone = false;
  /// What to wait with while an interrupt moves; empty: a few milliseconds.
  std::function<void()> while_irqs_settle;
};

/// One reading of the kernel: dumps are made once for each device and kept while this lives.
class KernelView {
 public:
  KernelView(NetlinkSocket& socket, const KernelHandles& handles)
      : socket_(&socket), handles_(&handles) {}

  /// Error{gone} if the device of that number is not there any more, Error{refused} if it is one of
  /// another namespace, of which nothing is known here.
  Result<void> check(const Device& device);
  Result<const std::vector<tc::Qdisc>*> qdiscs(std::uint32_t ifindex);
  Result<const std::vector<tc::Class>*> classes(std::uint32_t ifindex);
  Result<std::vector<tc::Filter>> filters(std::uint32_t ifindex, std::uint32_t parent);
  /// 0 if there is no device of that name.
  Result<std::uint32_t> ifindex_of(const std::string& name);
  Result<std::string> kind_of(std::uint32_t ifindex);
  const KernelHandles& handles() const { return *handles_; }

 private:
  Result<void> read_links();

  struct KnownLink {
    std::uint32_t ifindex = 0;
    std::string kind;
  };
  NetlinkSocket* socket_;
  const KernelHandles* handles_;
  std::map<std::uint32_t, std::vector<tc::Qdisc>> qdiscs_;
  std::map<std::uint32_t, std::vector<tc::Class>> classes_;
  std::map<std::string, KnownLink> links_;
  bool links_read_ = false;
  std::uint64_t netns_cookie_ = 0;
};

/// How a setting is written: as a message that goes out with its neighbours, or by a call.
using Step = std::variant<NetlinkMessage, std::function<Result<void>()>>;

Result<Setting> read_knob(const knob::Ifb&, KernelView&);
Result<Setting> read_knob(const knob::RootQdisc&, KernelView&);
Result<Setting> read_knob(const knob::TcClass&, KernelView&);
Result<Setting> read_knob(const knob::LeafQdisc&, KernelView&);
Result<Setting> read_knob(const knob::Clsact&, KernelView&);
Result<Setting> read_knob(const knob::Classifier&, KernelView&);
Result<Setting> read_knob(const knob::IngressRedirect&, KernelView&);
Result<Setting> read_knob(const knob::Membership&, KernelView&);
Result<Setting> read_knob(const knob::RssTable&, KernelView&);
Result<Setting> read_knob(const knob::RpsMask&, KernelView&);
Result<Setting> read_knob(const knob::XpsMask&, KernelView&);
Result<Setting> read_knob(const knob::IrqAffinity&, KernelView&);
Result<Setting> read_knob(const knob::ThreadAffinity&, KernelView&);
Result<Setting> read_knob(const knob::IrqbalanceBans&, KernelView&);

/// The step from `before`, which is known to be in force, to `after`. Error{invalid} for a pair
/// that this kind of knob cannot have.
Result<Step> step_of(const knob::Ifb&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::RootQdisc&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::TcClass&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::LeafQdisc&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::Clsact&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::Classifier&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::IngressRedirect&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::Membership&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::RssTable&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::RpsMask&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::XpsMask&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::IrqAffinity&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::ThreadAffinity&, const Setting& before, const Setting& after,
                     const KernelHandles&);
Result<Step> step_of(const knob::IrqbalanceBans&, const Setting& before, const Setting& after,
                     const KernelHandles&);

/// Lets the pinned tcx link of `device` run the program of `handles`.
Result<void> renew_tcx_classifier(const Device& device, const KernelHandles& handles);

/// Actuator::as_kept for a knob that cannot be left without CPUs.
Setting kept_of(const knob::IrqAffinity&, const Setting&, const KernelHandles&);
Setting kept_of(const knob::ThreadAffinity&, const Setting&, const KernelHandles&);

/// What a device is called now.
std::string name_now(const Device& device);

/// The error of step_of for a pair of settings that makes no sense.
std::unexpected<Error> no_step(const Knob& knob, const Setting& before, const Setting& after);

/// Filters of ours carry this priority ("pref" in tc(8)), far from 1 where everybody begins.
inline constexpr std::uint16_t kOurPriority = kOurMajor;

}  // namespace ankus
