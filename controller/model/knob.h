// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/cpu_set.h"
#include "base/result.h"
#include "base/units.h"
#include "model/device.h"
#include "model/workload.h"

namespace ankus {

/// A traffic control handle, "major:minor" in hex (tc(8)). `0` is the kernel's default qdisc.
struct TcHandle {
  std::uint32_t value = 0;
  constexpr std::uint16_t major() const { return static_cast<std::uint16_t>(value >> 16); }
  constexpr std::uint16_t minor() const { return static_cast<std::uint16_t>(value & 0xffff); }
  auto operator<=>(const TcHandle&) const = default;
};
constexpr TcHandle make_handle(std::uint16_t major, std::uint16_t minor) {
  return {static_cast<std::uint32_t>(major) << 16 | minor};
}
std::string to_text(TcHandle handle);

/// Everything Ankus makes carries this major number, so that it knows its own at a glance. tc gives
/// automatic handles from 8000: upwards and people use small ones; 7a8c: is neither.
inline constexpr std::uint16_t kOurMajor = 0x7a8c;
/// The leaf qdisc below class kOurMajor:MINOR has the handle kOurLeafBase+MINOR: (MINOR < 0x100).
inline constexpr std::uint16_t kOurLeafBase = 0x7b00;

/// Which thing can be set. A knob names its object so that a successor cannot pass for it.
namespace knob {
/// An ifb device of our own, for shaping what a device receives.
struct Ifb {
  std::string name;
  auto operator<=>(const Ifb&) const = default;
};
/// The qdisc at the root of a device's transmit side.
struct RootQdisc {
  Device device;
  auto operator<=>(const RootQdisc&) const = default;
};
/// A class of that root qdisc.
struct TcClass {
  Device device;
  TcHandle handle;
  auto operator<=>(const TcClass&) const = default;
};
/// The qdisc below a class.
struct LeafQdisc {
  Device device;
  TcHandle parent;
  auto operator<=>(const LeafQdisc&) const = default;
};
/// The device's clsact qdisc (tc-bpf(8)): where programs and filters hang before kernel 6.6, and
/// where the redirect to an ifb hangs on any kernel.
struct Clsact {
  Device device;
  auto operator<=>(const Clsact&) const = default;
};
/// Ankus's program that gives each packet leaving `device` its class.
struct Classifier {
  Device device;
  auto operator<=>(const Classifier&) const = default;
};
/// The filter that sends what `device` receives through an ifb.
struct IngressRedirect {
  Device device;
  auto operator<=>(const IngressRedirect&) const = default;
};
/// Which classes each workload's traffic gets: the whole table is one knob, kept in a BPF map.
struct Membership {
  auto operator<=>(const Membership&) const = default;
};
/// The indirection table of a NIC's receive side scaling: which receive queue each hash value goes
/// to (Documentation/networking/scaling.rst).
struct RssTable {
  Device device;
  auto operator<=>(const RssTable&) const = default;
};
/// The CPUs among which a receive queue's packets are spread in software (rps_cpus).
struct RpsMask {
  Device device;
  std::uint32_t queue = 0;
  auto operator<=>(const RpsMask&) const = default;
};
/// The CPUs whose packets use a transmit queue (xps_cpus).
struct XpsMask {
  Device device;
  std::uint32_t queue = 0;
  auto operator<=>(const XpsMask&) const = default;
};
/// The CPUs that serve an interrupt of a device (smp_affinity). Known by its name there: numbers
/// change with each hot-plug and, for some drivers, each time the link comes up.
struct IrqAffinity {
  Device device;
  std::string irq;  ///< the action's name in /proc/interrupts: "virtio0-input.1", "eth0-rx-1"
  auto operator<=>(const IrqAffinity&) const = default;
};
/// The CPUs that a thread may run on (sched_setaffinity(2)): a vhost worker, a NAPI thread.
struct ThreadAffinity {
  std::int32_t tid = 0;
  std::uint64_t started = 0;  ///< field 22 of proc(5)'s stat: a reused tid has another
  std::string name;           ///< "vhost-1234", for people
  auto operator<=>(const ThreadAffinity&) const = default;
};
/// The interrupts that irqbalance(1) leaves alone, as its own socket says.
struct IrqbalanceBans {
  auto operator<=>(const IrqbalanceBans&) const = default;
};
}  // namespace knob

using Knob = std::variant<knob::Ifb, knob::RootQdisc, knob::TcClass, knob::LeafQdisc, knob::Clsact,
                          knob::Classifier, knob::IngressRedirect, knob::Membership, knob::RssTable,
                          knob::RpsMask, knob::XpsMask, knob::IrqAffinity, knob::ThreadAffinity,
                          knob::IrqbalanceBans>;

/// The thing does not exist, or is what the kernel makes by itself (a default root qdisc).
struct Absent {
  auto operator<=>(const Absent&) const = default;
};
/// Somebody else's thing. Read, shown, never written.
struct Foreign {
  std::string what;  ///< "tbf 1:" or "clsact with 2 filters of others"
  auto operator<=>(const Foreign&) const = default;
};
struct IfbDevice {
  std::uint32_t ifindex = 0;  ///< chosen by the plan, so that later actions can name it
  auto operator<=>(const IfbDevice&) const = default;
};
/// A hierarchical token bucket qdisc (tc-htb(8)).
struct HtbRoot {
  TcHandle handle;
  std::uint16_t default_minor =
      0;  ///< class of packets that carry none; fixed for the qdisc's life
  std::uint32_t direct_packets = 0;  ///< direct_qlen: queue of packets that bypass all classes
  auto operator<=>(const HtbRoot&) const = default;
};
struct HtbClass {
  TcHandle parent;
  BitRate rate, ceil;
  Bytes burst, cburst;  ///< the kernel keeps them in ticks of 64 ns: read back to within one tick
  std::uint32_t priority = 0;  ///< 0 is served first, 7 last
  Bytes quantum;
  auto operator<=>(const HtbClass&) const = default;
};
/// A plain byte-limited queue (tc-pfifo(8)).
struct ByteFifo {
  TcHandle handle;
  Bytes limit;
  auto operator<=>(const ByteFifo&) const = default;
};
/// A clsact qdisc of our own.
struct ClsactQdisc {
  auto operator<=>(const ClsactQdisc&) const = default;
};
/// Ankus's classifier program is attached.
struct ClassifierProgram {
  enum class Hook { tcx, clsact };
  Hook hook = Hook::tcx;
  std::uint16_t major = kOurMajor;  ///< of the tree whose classes it gives
  auto operator<=>(const ClassifierProgram&) const = default;
};
struct RedirectTo {
  std::uint32_t ifindex = 0;
  auto operator<=>(const RedirectTo&) const = default;
};
/// The classes of one workload's traffic (minor numbers below kOurMajor).
struct Member {
  WorkloadId workload = 0;
  std::uint16_t slow_class = 0;  ///< of its flows that are known and not fast
  std::uint16_t fast_class = 0;  ///< of its flows that are fast now
  Weight weight = Weight::unknown;
  auto operator<=>(const Member&) const = default;
};
/// All workloads' classes. The journal keeps its digest, not its rows.
struct Members {
  std::vector<Member> rows;  ///< sorted by workload
  std::uint64_t digest = 0;  ///< read from the journal: of the rows, which are then left out
  auto operator<=>(const Members&) const = default;
};
/// Never 0 where there are rows; 0 where there are none.
std::uint64_t digest_of(const Members& members);

/// The receive queue of each entry of an indirection table.
struct Indirection {
  std::vector<std::uint32_t> queues;
  /// Read: all queues in turn, as the driver makes it. Written: whatever the driver's table is by
  /// then, since the number of queues may have changed.
  bool is_default = false;
  auto operator<=>(const Indirection&) const = default;
};
/// What irqbalance was told to leave alone. As a wish: these besides what others told it.
struct BannedIrqs {
  std::vector<std::uint32_t> irqs;  ///< ascending
  auto operator<=>(const BannedIrqs&) const = default;
};
/// If irqbalance can be told so: it reads 500 bytes of a command, which names all of them.
bool can_be_told(const BannedIrqs& bans);

/// The CPUs of an interrupt that nobody has asked for: those that the kernel gives to new ones, or
/// that the driver proposes. As good as the same ones that somebody asked for.
struct DefaultCpus {
  CpuSet cpus;
  auto operator<=>(const DefaultCpus&) const = default;
};
/// The CPUs of a thread, as they read. The kernel cuts what was asked for to the thread's cpuset,
/// and since 6.2 gives it back when the cpuset widens.
struct ThreadCpus {
  CpuSet cpus;
  CpuSet within;  ///< the cpuset's that are online
  /// Nobody asked for less than there is. Written: neither do we, now or when the cpuset widens.
  bool is_all() const { return !within.empty() && without(within, cpus).empty(); }
  auto operator<=>(const ThreadCpus&) const = default;
};

/// To what a knob is set. A CpuSet is one of CPUs' masks or lists.
using Setting = std::variant<Absent, Foreign, IfbDevice, HtbRoot, HtbClass, ByteFifo, ClsactQdisc,
                             ClassifierProgram, RedirectTo, Members, Indirection, CpuSet,
                             DefaultCpus, ThreadCpus, BannedIrqs>;

// One line for people: "class 7a8c:10 on eth0" and
// "rate 120 Mbit ceil 200 Mbit burst 15 KB priority 0 below 7a8c:1".
std::string to_text(const Knob& knob);
std::string to_text(const Setting& setting);

/// If the kernel cannot tell them apart: equal, but an HtbClass's bursts may differ by one tick of
/// 64 ns, Members of which only the digest is known are compared by it, one default Indirection is
/// as good as another, and so is all that a thread's cpuset allows; of the CPUs that were asked for
/// a thread has those that are in its cpuset.
bool same_setting(const Setting& a, const Setting& b);

/// If the kernel can turn any setting of this kind into another without removing it first.
bool changes_in_place(const Setting& setting);

/// The device a knob is on; nullptr for those that are on none.
const Device* device_of(const Knob& knob);

}  // namespace ankus
