// SPDX-License-Identifier: Apache-2.0
#include "kernel/tc.h"

#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include <algorithm>

namespace ankus::tc {
namespace {

constexpr std::uint64_t kTickNs = 64;  // PSCHED_SHIFT is 6
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

tcmsg header(std::uint32_t ifindex, std::uint32_t parent, std::uint32_t handle,
             std::uint32_t info = 0) {
  tcmsg message{};
  message.tcm_family = AF_UNSPEC;
  message.tcm_ifindex = static_cast<int>(ifindex);
  message.tcm_parent = parent;
  message.tcm_handle = handle;
  message.tcm_info = info;
  return message;
}

std::uint32_t filter_info(std::uint16_t priority, std::uint16_t protocol) {
  return static_cast<std::uint32_t>(priority) << 16 | htons(protocol);
}

tc_ratespec ratespec(std::uint64_t rate) {
  tc_ratespec spec{};
  spec.rate = static_cast<std::uint32_t>(std::min<std::uint64_t>(rate, 0xffffffff));
  spec.linklayer = TC_LINKLAYER_ETHERNET;  // else the kernel asks for a rate table of the old kind
  return spec;
}

/// The attribute of `type`, empty if there is none.
std::span<const std::byte> find(const std::vector<NetlinkAttribute>& attributes,
                                std::uint16_t type) {
  for (const NetlinkAttribute& attribute : attributes)
    if (attribute.type == type) return attribute.payload;
  return {};
}

struct Parsed {
  tcmsg header;
  std::string kind;
  std::span<const std::byte> options;
};
std::optional<Parsed> parse(std::span<const std::byte> message, std::uint16_t type) {
  const auto body = body_of<tcmsg>(message);
  if (!body || type_of(message) != type) return std::nullopt;
  const auto attributes = attributes_of(message, sizeof(tcmsg));
  return Parsed{.header = *body,
                .kind = text_in(find(attributes, TCA_KIND)),
                .options = find(attributes, TCA_OPTIONS)};
}

HtbQdisc htb_qdisc(std::span<const std::byte> options) {
  const auto attributes = attributes_in(options);
  HtbQdisc htb;
  if (const auto init = value_in<tc_htb_glob>(find(attributes, TCA_HTB_INIT)))
    htb.default_minor = init->defcls;
  htb.direct_packets = value_in<std::uint32_t>(find(attributes, TCA_HTB_DIRECT_QLEN)).value_or(0);
  return htb;
}

std::uint32_t mirred_target(std::span<const std::byte> u32_options) {
  for (const NetlinkAttribute& action :
       attributes_in(find(attributes_in(u32_options), TCA_U32_ACT))) {
    const auto attributes = attributes_in(action.payload);
    if (text_in(find(attributes, TCA_ACT_KIND)) != "mirred") continue;
    const auto parameters = value_in<tc_mirred>(
        find(attributes_in(find(attributes, TCA_ACT_OPTIONS)), TCA_MIRRED_PARMS));
    if (parameters && parameters->eaction == TCA_EGRESS_REDIR) return parameters->ifindex;
  }
  return 0;
}

}  // namespace

std::uint32_t burst_ticks(std::uint64_t bytes, std::uint64_t rate) {
  if (rate == 0) return 0;
  const unsigned __int128 ns = static_cast<unsigned __int128>(bytes) * kNsPerSecond / rate;
  return static_cast<std::uint32_t>(
      std::min<unsigned __int128>((ns + kTickNs - 1) / kTickNs, 0xffffffffU));
}

std::uint64_t burst_bytes(std::uint32_t ticks, std::uint64_t rate) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(ticks) * kTickNs * rate /
                                    kNsPerSecond);
}

NetlinkMessage add_htb(std::uint32_t ifindex, std::uint32_t handle, const HtbQdisc& options) {
  auto message =
      netlink_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, header(ifindex, kRoot, handle));
  put_text(message, TCA_KIND, "htb");
  const std::size_t nest = begin_nest(message, TCA_OPTIONS);
  tc_htb_glob init{};
  init.version = 3;  // the dump says 0x30011, the request must say 3 (sch_htb.c)
  init.rate2quantum = 10;
  init.defcls = options.default_minor;
  put_value(message, TCA_HTB_INIT, init);
  put_value(message, TCA_HTB_DIRECT_QLEN, options.direct_packets);
  end_nest(message, nest);
  return message;
}

namespace {
NetlinkMessage bfifo(std::uint16_t flags, std::uint32_t ifindex, std::uint32_t parent,
                     std::uint32_t handle, std::uint32_t limit) {
  auto message = netlink_message(RTM_NEWQDISC, flags, header(ifindex, parent, handle));
  put_text(message, TCA_KIND, "bfifo");
  put_value(message, TCA_OPTIONS, tc_fifo_qopt{limit});
  return message;
}
}  // namespace

NetlinkMessage add_bfifo(std::uint32_t ifindex, std::uint32_t parent, std::uint32_t handle,
                         std::uint32_t limit) {
  return bfifo(NLM_F_CREATE | NLM_F_EXCL, ifindex, parent, handle, limit);
}
NetlinkMessage change_bfifo(std::uint32_t ifindex, std::uint32_t parent, std::uint32_t handle,
                            std::uint32_t limit) {
  return bfifo(0, ifindex, parent, handle, limit);
}

NetlinkMessage add_clsact(std::uint32_t ifindex) {
  auto message = netlink_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL,
                                 header(ifindex, kClsact, kClsactHandle));
  put_text(message, TCA_KIND, "clsact");
  return message;
}

NetlinkMessage delete_qdisc(std::uint32_t ifindex, std::uint32_t parent, std::uint32_t handle) {
  return netlink_message(RTM_DELQDISC, 0, header(ifindex, parent, handle));
}

NetlinkMessage put_htb_class(std::uint32_t ifindex, std::uint32_t handle, std::uint32_t parent,
                             const HtbClass& options, bool exists) {
  const std::uint16_t flags = exists ? 0 : NLM_F_CREATE | NLM_F_EXCL;
  auto message = netlink_message(RTM_NEWTCLASS, flags, header(ifindex, parent, handle));
  put_text(message, TCA_KIND, "htb");
  const std::size_t nest = begin_nest(message, TCA_OPTIONS);
  tc_htb_opt parameters{};
  parameters.rate = ratespec(options.rate);
  parameters.ceil = ratespec(options.ceil);
  parameters.buffer = options.burst;
  parameters.cbuffer = options.cburst;
  parameters.quantum = options.quantum;
  parameters.prio = options.priority;
  put_value(message, TCA_HTB_PARMS, parameters);
  if (options.rate > 0xffffffff) put_value(message, TCA_HTB_RATE64, options.rate);
  if (options.ceil > 0xffffffff) put_value(message, TCA_HTB_CEIL64, options.ceil);
  end_nest(message, nest);
  return message;
}

NetlinkMessage delete_class(std::uint32_t ifindex, std::uint32_t handle) {
  return netlink_message(RTM_DELTCLASS, 0, header(ifindex, 0, handle));
}

namespace {
NetlinkMessage bpf_filter(std::uint16_t flags, std::uint32_t ifindex, std::uint32_t parent,
                          std::uint16_t priority, std::uint32_t handle, int program,
                          const std::string& name) {
  auto message = netlink_message(RTM_NEWTFILTER, flags,
                                 header(ifindex, parent, handle, filter_info(priority, ETH_P_ALL)));
  put_text(message, TCA_KIND, "bpf");
  const std::size_t nest = begin_nest(message, TCA_OPTIONS);
  put_value(message, TCA_BPF_FD, static_cast<std::uint32_t>(program));
  put_text(message, TCA_BPF_NAME, name);
  put_value(message, TCA_BPF_FLAGS, static_cast<std::uint32_t>(TCA_BPF_FLAG_ACT_DIRECT));
  end_nest(message, nest);
  return message;
}
}  // namespace

NetlinkMessage add_bpf_filter(std::uint32_t ifindex, std::uint32_t parent, std::uint16_t priority,
                              std::uint32_t handle, int program, const std::string& name) {
  return bpf_filter(NLM_F_CREATE | NLM_F_EXCL, ifindex, parent, priority, handle, program, name);
}
NetlinkMessage replace_bpf_filter(std::uint32_t ifindex, std::uint32_t parent,
                                  std::uint16_t priority, std::uint32_t handle, int program,
                                  const std::string& name) {
  return bpf_filter(NLM_F_REPLACE, ifindex, parent, priority, handle, program, name);
}

NetlinkMessage add_redirect_filter(std::uint32_t ifindex, std::uint32_t parent,
                                   std::uint16_t priority, std::uint32_t to_ifindex) {
  auto message = netlink_message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
                                 header(ifindex, parent, 0, filter_info(priority, ETH_P_ALL)));
  put_text(message, TCA_KIND, "u32");
  const std::size_t options = begin_nest(message, TCA_OPTIONS);
  // One key whose mask is 0: every packet. tc_u32_sel ends in a flexible array, hence bytes.
  tc_u32_sel selector{};
  selector.flags = TC_U32_TERMINAL;
  selector.nkeys = 1;
  std::vector<std::byte> match(sizeof(tc_u32_sel) + sizeof(tc_u32_key));
  std::memcpy(match.data(), &selector, sizeof selector);
  put_attribute(message, TCA_U32_SEL, match);
  const std::size_t actions = begin_nest(message, TCA_U32_ACT);
  const std::size_t first = begin_nest(message, 1);
  put_text(message, TCA_ACT_KIND, "mirred");
  const std::size_t parameters = begin_nest(message, TCA_ACT_OPTIONS);
  tc_mirred mirred{};
  mirred.action = TC_ACT_STOLEN;
  mirred.eaction = TCA_EGRESS_REDIR;
  mirred.ifindex = to_ifindex;
  put_value(message, TCA_MIRRED_PARMS, mirred);
  end_nest(message, parameters);
  end_nest(message, first);
  end_nest(message, actions);
  end_nest(message, options);
  return message;
}

NetlinkMessage delete_filters(std::uint32_t ifindex, std::uint32_t parent, std::uint16_t priority) {
  return netlink_message(RTM_DELTFILTER, 0,
                         header(ifindex, parent, 0, filter_info(priority, ETH_P_ALL)));
}

NetlinkMessage qdisc_dump(std::uint32_t ifindex) {
  // Without TCA_DUMP_INVISIBLE: an explicit qdisc is what matters here.
  return netlink_message(RTM_GETQDISC, NLM_F_DUMP, header(ifindex, 0, 0));
}
NetlinkMessage class_dump(std::uint32_t ifindex) {
  return netlink_message(RTM_GETTCLASS, NLM_F_DUMP, header(ifindex, 0, 0));
}
NetlinkMessage filter_dump(std::uint32_t ifindex, std::uint32_t parent) {
  return netlink_message(RTM_GETTFILTER, NLM_F_DUMP, header(ifindex, parent, 0));
}

NetlinkMessage add_ifb(const std::string& name, std::uint32_t ifindex) {
  ifinfomsg body{};
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = static_cast<int>(ifindex);
  body.ifi_flags = IFF_UP;
  body.ifi_change = IFF_UP;
  auto message = netlink_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body);
  put_text(message, IFLA_IFNAME, name);
  put_value(message, IFLA_NUM_TX_QUEUES, std::uint32_t{1});
  put_value(message, IFLA_NUM_RX_QUEUES, std::uint32_t{1});
  const std::size_t info = begin_nest(message, IFLA_LINKINFO);
  put_text(message, IFLA_INFO_KIND, "ifb");
  end_nest(message, info);
  return message;
}

NetlinkMessage delete_link(std::uint32_t ifindex) {
  ifinfomsg body{};
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = static_cast<int>(ifindex);
  return netlink_message(RTM_DELLINK, 0, body);
}

std::optional<Qdisc> parse_qdisc(std::span<const std::byte> message) {
  const auto parsed = parse(message, RTM_NEWQDISC);
  if (!parsed) return std::nullopt;
  Qdisc qdisc{.ifindex = static_cast<std::uint32_t>(parsed->header.tcm_ifindex),
              .handle = parsed->header.tcm_handle,
              .parent = parsed->header.tcm_parent,
              .kind = parsed->kind};
  if (qdisc.kind == "htb") qdisc.options = htb_qdisc(parsed->options);
  if (qdisc.kind == "bfifo" || qdisc.kind == "pfifo")
    if (const auto fifo = value_in<tc_fifo_qopt>(parsed->options))
      qdisc.options = FifoQdisc{fifo->limit};
  return qdisc;
}

std::optional<QdiscQueue> parse_qdisc_queue(std::span<const std::byte> message) {
  const auto body = body_of<tcmsg>(message);
  if (!body || type_of(message) != RTM_NEWQDISC) return std::nullopt;
  const auto statistics = find(attributes_of(message, sizeof(tcmsg)), TCA_STATS2);
  const auto queue = value_in<gnet_stats_queue>(find(attributes_in(statistics), TCA_STATS_QUEUE));
  if (!queue) return std::nullopt;
  return QdiscQueue{.ifindex = static_cast<std::uint32_t>(body->tcm_ifindex),
                    .parent = body->tcm_parent,
                    .drops = queue->drops,
                    .backlog = queue->backlog};
}

std::optional<Class> parse_class(std::span<const std::byte> message) {
  const auto parsed = parse(message, RTM_NEWTCLASS);
  if (!parsed) return std::nullopt;
  Class result{.ifindex = static_cast<std::uint32_t>(parsed->header.tcm_ifindex),
               .handle = parsed->header.tcm_handle,
               .parent = parsed->header.tcm_parent,
               .kind = parsed->kind};
  const auto attributes = attributes_in(parsed->options);
  const auto parameters = value_in<tc_htb_opt>(find(attributes, TCA_HTB_PARMS));
  if (result.kind != "htb" || !parameters) return result;
  result.htb = HtbClass{
      .rate =
          value_in<std::uint64_t>(find(attributes, TCA_HTB_RATE64)).value_or(parameters->rate.rate),
      .ceil =
          value_in<std::uint64_t>(find(attributes, TCA_HTB_CEIL64)).value_or(parameters->ceil.rate),
      .burst = parameters->buffer,
      .cburst = parameters->cbuffer,
      .priority = parameters->prio,
      .quantum = parameters->quantum};
  return result;
}

std::optional<Filter> parse_filter(std::span<const std::byte> message) {
  const auto parsed = parse(message, RTM_NEWTFILTER);
  if (!parsed) return std::nullopt;
  Filter filter{.ifindex = static_cast<std::uint32_t>(parsed->header.tcm_ifindex),
                .parent = parsed->header.tcm_parent,
                .handle = parsed->header.tcm_handle,
                .priority = static_cast<std::uint16_t>(parsed->header.tcm_info >> 16),
                .protocol = ntohs(static_cast<std::uint16_t>(parsed->header.tcm_info)),
                .kind = parsed->kind};
  if (filter.kind == "bpf")
    filter.program_id =
        value_in<std::uint32_t>(find(attributes_in(parsed->options), TCA_BPF_ID)).value_or(0);
  if (filter.kind == "u32") filter.redirect_ifindex = mirred_target(parsed->options);
  return filter;
}

}  // namespace ankus::tc
