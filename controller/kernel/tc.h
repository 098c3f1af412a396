// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "kernel/netlink.h"

/// Traffic control messages (tc(8), rtnetlink(7)) as values. Handles are raw 32-bit numbers, rates
/// bytes per second, as the kernel has them.
namespace ankus::tc {

inline constexpr std::uint32_t kRoot = 0xffffffff;    // TC_H_ROOT
inline constexpr std::uint32_t kClsact = 0xfffffff1;  // TC_H_CLSACT
inline constexpr std::uint32_t kClsactHandle = 0xffff0000;
inline constexpr std::uint32_t kClsactIngress = 0xfffffff2;  // TC_H_CLSACT with TC_H_MIN_INGRESS
inline constexpr std::uint32_t kClsactEgress = 0xfffffff3;

struct HtbQdisc {
  std::uint32_t default_minor = 0;
  std::uint32_t direct_packets = 0;
  bool operator==(const HtbQdisc&) const = default;
};
struct FifoQdisc {
  std::uint32_t limit = 0;  ///< bytes for bfifo, packets for pfifo
  bool operator==(const FifoQdisc&) const = default;
};
/// A qdisc with as much of its options as Ankus makes itself.
struct Qdisc {
  std::uint32_t ifindex = 0, handle = 0, parent = 0;
  std::string kind;
  std::variant<std::monostate, HtbQdisc, FifoQdisc> options;
  bool operator==(const Qdisc&) const = default;
};

/// What a qdisc has thrown away, and what waits in it now.
struct QdiscQueue {
  std::uint32_t ifindex = 0, parent = 0;
  std::uint32_t drops = 0;    ///< packets; wraps around
  std::uint32_t backlog = 0;  ///< bytes
  bool operator==(const QdiscQueue&) const = default;
};

struct HtbClass {
  std::uint64_t rate = 0, ceil = 0;     ///< bytes per second
  std::uint32_t burst = 0, cburst = 0;  ///< ticks of 64 ns at rate and ceil, see burst_ticks()
  std::uint32_t priority = 0, quantum = 0;
  bool operator==(const HtbClass&) const = default;
};
struct Class {
  std::uint32_t ifindex = 0, handle = 0, parent = 0;
  std::string kind;
  std::optional<HtbClass> htb;
  bool operator==(const Class&) const = default;
};

struct Filter {
  std::uint32_t ifindex = 0, parent = 0, handle = 0;
  std::uint16_t priority = 0, protocol = 0;  ///< protocol in host byte order
  std::string kind;
  std::uint32_t program_id = 0;        ///< of a bpf filter
  std::uint32_t redirect_ifindex = 0;  ///< of a u32 filter whose first action is mirred
  bool operator==(const Filter&) const = default;
};

/// HTB keeps a burst as the time it takes at the class's rate, in ticks of 64 ns
/// (PSCHED_TICKS2NS, include/net/pkt_sched.h); both roundings together lose less than one tick.
std::uint32_t burst_ticks(std::uint64_t bytes, std::uint64_t rate);
std::uint64_t burst_bytes(std::uint32_t ticks, std::uint64_t rate);

NetlinkMessage add_htb(std::uint32_t ifindex, std::uint32_t handle, const HtbQdisc& options);
NetlinkMessage add_bfifo(std::uint32_t ifindex, std::uint32_t parent, std::uint32_t handle,
                         std::uint32_t limit);
/// Changing the limit keeps the queue (sch_fifo.c).
NetlinkMessage change_bfifo(std::uint32_t ifindex, std::uint32_t parent, std::uint32_t handle,
                            std::uint32_t limit);
NetlinkMessage add_clsact(std::uint32_t ifindex);
NetlinkMessage delete_qdisc(std::uint32_t ifindex, std::uint32_t parent, std::uint32_t handle);
/// Makes the class, or changes it where `exists`. HTB accepts a change of parent and ignores it.
NetlinkMessage put_htb_class(std::uint32_t ifindex, std::uint32_t handle, std::uint32_t parent,
                             const HtbClass& options, bool exists);
NetlinkMessage delete_class(std::uint32_t ifindex, std::uint32_t handle);
/// A cls_bpf filter in direct-action mode for all protocols.
NetlinkMessage add_bpf_filter(std::uint32_t ifindex, std::uint32_t parent, std::uint16_t priority,
                              std::uint32_t handle, int program, const std::string& name);
/// Takes the place of that filter in one step (cls_bpf swaps the program under RCU).
NetlinkMessage replace_bpf_filter(std::uint32_t ifindex, std::uint32_t parent,
                                  std::uint16_t priority, std::uint32_t handle, int program,
                                  const std::string& name);
/// A u32 filter that sends every packet to the transmit side of another device (mirred).
NetlinkMessage add_redirect_filter(std::uint32_t ifindex, std::uint32_t parent,
                                   std::uint16_t priority, std::uint32_t to_ifindex);
/// All filters of one priority.
NetlinkMessage delete_filters(std::uint32_t ifindex, std::uint32_t parent, std::uint16_t priority);

NetlinkMessage qdisc_dump(std::uint32_t ifindex);
NetlinkMessage class_dump(std::uint32_t ifindex);
NetlinkMessage filter_dump(std::uint32_t ifindex, std::uint32_t parent);

NetlinkMessage add_ifb(const std::string& name, std::uint32_t ifindex);
NetlinkMessage delete_link(std::uint32_t ifindex);

std::optional<Qdisc> parse_qdisc(std::span<const std::byte> message);
/// Of a dumped qdisc (TCA_STATS2, gen_stats(9)).
std::optional<QdiscQueue> parse_qdisc_queue(std::span<const std::byte> message);
std::optional<Class> parse_class(std::span<const std::byte> message);
std::optional<Filter> parse_filter(std::span<const std::byte> message);

}  // namespace ankus::tc
