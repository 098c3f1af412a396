/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The device sensor's body: what a packet at a workload's device or at an uplink means. The hook
 * that includes it defines load() and packet_cgroup(). */
#ifndef ANKUS_PACKET_H
#define ANKUS_PACKET_H

#include "bpf/flow.h"

#include <bpf/bpf_endian.h>

#define ANKUS_P_IP 0x0800
#define ANKUS_P_IPV6 0x86DD
#define ANKUS_SMALL_FRAME 256 /* layer 3: ARP, spanning tree, LLDP */

/* The cgroup of the local socket that sends the packet, 0 if none does. */
static __always_inline __u64 packet_cgroup(void *context);

/* By which receive queue, and with which hash, the NIC brought a packet. */
struct arrival {
  __u32 hash;     /* 0: none */
  __u32 queue;    /* counted from 1, 0: not told */
  __u32 segments; /* on the wire: the host merges them (GRO) */
};
static __always_inline void load_arrival(void *context, struct arrival *arrival);

struct packet {
  void *context;
  const struct ankus_device *device;
  struct ankus_flow_key key;
  int direction; /* 0: from a to b */
  __u32 ifindex, from_ifindex;
  __u32 link_header; /* bytes of it in front of layer 3, where the hook shows it */
  int direct;        /* the headers can be read where they are */
  __u32 length;      /* layer 3 */
  __u32 now;
  int begins, ends; /* TCP: a SYN, a FIN or RST */
};

/* Reads from the network header on; 0 = read. */
static __always_inline int load(struct packet *p, __u32 offset, void *to, __u32 length);

/* Skips IPv6 extension headers; returns the transport header's offset, 0 for a later fragment. */
static __always_inline __u32 skip_extensions(struct packet *p, __u8 *next) {
  __u32 offset = 40;
  __u8 header[4];
  int i;

  for (i = 0; i < 4; i++) {
    if (*next != 0 && *next != 43 && *next != 60 && *next != 44) return offset;
    if (load(p, offset, header, sizeof header)) return 0;
    if (*next == 44) { /* fragment: 8 bytes; ports only in the first */
      if (bpf_ntohs(*(__be16 *)(header + 2)) & 0xfff8) {
        *next = header[0];
        return 0;
      }
      offset += 8;
    } else {
      offset += ((__u32)header[1] + 1) * 8;
    }
    *next = header[0];
  }
  return offset;
}

static __always_inline int parse(struct packet *p, __be16 protocol) {
  __u64 source[2] = {}, target[2] = {};
  __be16 ports[2] = {};
  __u32 transport = 0;
  __u8 header[20];
  __u8 next;

  if (protocol == bpf_htons(ANKUS_P_IP)) {
    if (load(p, 0, header, 20)) return 0;
    next = header[9];
    if (!(bpf_ntohs(*(__be16 *)(header + 6)) & 0x1fff)) transport = (header[0] & 15) * 4;
    ((__u32 *)source)[2] = ((__u32 *)target)[2] = bpf_htonl(0xffff);
    ((__u32 *)source)[3] = *(__u32 *)(header + 12);
    ((__u32 *)target)[3] = *(__u32 *)(header + 16);
    p->key.family = 4;
  } else if (protocol == bpf_htons(ANKUS_P_IPV6)) {
    if (load(p, 6, &next, 1) || load(p, 8, source, 16) || load(p, 24, target, 16))
      return 0;
    transport = skip_extensions(p, &next);
    p->key.family = 6;
  } else {
    return 0;
  }
  if (transport && (next == 6 || next == 17 || next == 132 || next == 136 || next == 33))
    if (load(p, transport, ports, sizeof ports)) return 0;
  if (transport && next == 6) {
    __u8 flags = 0;
    if (load(p, transport + 13, &flags, 1)) return 0;
    p->begins = flags & 2;
    p->ends = flags & 5;
  }
  p->key.protocol = next;
  p->key.zone = 0;
  p->direction = ankus_canonical(&p->key, source, ports[0], target, ports[1]);
  return 1;
}

static __always_inline struct ankus_flow *flow_of(struct packet *p) {
  return bpf_map_lookup_elem(&ankus_flows, &p->key);
}

static __always_inline void count_here(struct packet *p, struct ankus_flow *flow) {
  if (p->ends) mark_ended(&p->key, flow);
  if (p->begins) flow->flags &= ~ANKUS_FLOW_ENDED;
  if (flow->flags & (ANKUS_FLOW_CT | ANKUS_FLOW_ALIAS)) return;
  if (flow->count_if == p->ifindex) count_packet(&p->key, flow, p->direction, p->length, p->now);
}

/* Is the flow's owner still where its packets are counted? */
static __always_inline int owner_is_there(const struct ankus_flow *flow) {
  const struct ankus_device *device = device_at(flow->count_if);
  return device && device->role == ANKUS_ROLE_WORKLOAD && device->owner == flow->owner;
}

/* A packet at the host side of a workload's device: its owner is beyond doubt. */
static __always_inline void at_workload(struct packet *p, __be16 protocol, int from_workload,
                                        const struct ankus_config *rule) {
  __u32 owner = p->device->owner;
  struct ankus_flow *flow;
  int local_is_b;

  count(ANKUS_COUNT_HIT_WORKLOAD);
  use(owner, from_workload, p->length, 1);
  if (!parse(p, protocol)) {
    count(ANKUS_COUNT_UNPARSED);
    return;
  }
  local_is_b = from_workload ? p->direction : !p->direction;
  flow = flow_of(p);
  if (!flow) {
    flow = make_flow(&p->key, owner,
                     ANKUS_FLOW_OWNER_DEVICE | (local_is_b ? ANKUS_FLOW_LOCAL_IS_B : 0), p->ifindex, p->now);
    if (!flow) return;
    count(ANKUS_COUNT_OWNER_BY_DEVICE);
  } else if (flow->owner != owner && !(flow->flags & ANKUS_FLOW_AGGREGATE)) {
    if (!flow->owner) {
      ankus_give_to(flow, owner, local_is_b, ANKUS_FLOW_OWNER_DEVICE);
      if (!flow->count_if) flow->count_if = p->ifindex;
    } else if (from_workload && !!(flow->flags & ANKUS_FLOW_LOCAL_IS_B) == local_is_b &&
               !owner_is_there(flow)) {
      /* The same end at another device: the address has moved to a new workload, or (as long as the
       * former is there) somebody sends in another's name. The other end of a flow between two
       * workloads is neither: such a flow belongs to the one seen first. */
      ankus_give_to(flow, owner, local_is_b, ANKUS_FLOW_OWNER_DEVICE);
      begin_again(flow, p->now);
      flow->count_if = p->ifindex;
    }
  }
  flow->seen = p->now;
  count_here(p, flow);
}

/* At the uplink a masquerading host has hidden the owner. What is left, in the order of trust: the
 * device it came from (unless that is a bridge), the local socket's cgroup. Conntrack's sensor has
 * normally answered before. */
static __always_inline void find_owner_at_uplink(struct packet *p, struct ankus_flow *flow, int leaving) {
  const struct ankus_device *from = leaving && p->from_ifindex ? device_at(p->from_ifindex) : 0;
  __u64 cgroup;
  __u32 *service;

  flow->iif = p->from_ifindex;
  if (from && from->role == ANKUS_ROLE_WORKLOAD) {
    /* Conntrack has said whose a connection is when it began. */
    if (flow->owner == from->owner || (flow->owner && flow->flags & ANKUS_FLOW_CT) || owner_is_there(flow)) return;
    ankus_give_to(flow, from->owner, p->direction, ANKUS_FLOW_OWNER_DEVICE);
    count(ANKUS_COUNT_OWNER_BY_DEVICE);
    return;
  }
  if (flow->owner || (flow->flags & ANKUS_FLOW_OWNER_TRIED) || !leaving) return;
  flow->flags |= ANKUS_FLOW_OWNER_TRIED;
  cgroup = packet_cgroup(p->context);
  service = cgroup ? bpf_map_lookup_elem(&ankus_cgroups, &cgroup) : 0;
  if (service) {
    ankus_give_to(flow, *service, p->direction, 0);
    count(ANKUS_COUNT_OWNER_BY_CGROUP);
  } else {
    count(ANKUS_COUNT_NO_OWNER);
  }
}

/* 1 = more than `bucket`'s owner may put into the mice's class. */
static __always_inline int over_admission(const struct packet *p, struct ankus_bucket *bucket, int may_be_light,
                                          const struct ankus_config *rule) {
  return ankus_over_admission(bucket, !!(p->device->flags & ANKUS_DEVICE_IFB), p->now, p->length,
                              p->device->admission_per_jiffy,
                              may_be_light ? p->device->admission_burst : p->device->admission_burst_others,
                              rule->admission_hold);
}

/* The class (minor number) of a packet of `flow` on a device with a tree. */
static __always_inline __u16 class_of(struct packet *p, struct ankus_flow *flow, int fast,
                                      const struct ankus_config *rule) {
  __u32 owner = flow ? flow->owner : 0, nobody = 0;
  const struct ankus_member *member = bpf_map_lookup_elem(&ankus_members, &owner);
  struct ankus_bucket *bucket = bpf_map_lookup_elem(&ankus_buckets, &owner);
  enum ankus_verdict verdict;
  __u32 weight = ANKUS_UNKNOWN;
  int proven = 0, may_be_light = 0;
  __u16 class = 0;

  if (member && owner) {
    int empty = !member->slow_class && !member->fast_class; /* opted out, or not yet judged */
    int expired = !empty && ankus_lease_is_over(member->lease_until, p->now);
    if (expired) count(ANKUS_COUNT_LEASE_EXPIRED);
    if (empty || expired) member = bpf_map_lookup_elem(&ankus_members, &nobody);
    else weight = member->weight;
    /* One that is new is not known yet, and may be mice. */
    may_be_light = !empty && !expired && (weight == ANKUS_LIGHT || weight == ANKUS_UNKNOWN);
  }
  if (!member || !bucket) return p->device->probation_class;
  if (flow && !(flow->flags & ANKUS_FLOW_AGGREGATE))
    proven = ankus_is_proven(flow->created, p->now, rule->prove);
  verdict = ankus_verdict_of(fast, flow ? weight : ANKUS_UNKNOWN, proven);
  if (verdict == ANKUS_SLOW && over_admission(p, bucket, may_be_light, rule))
    verdict = ankus_verdict_over_admission(weight);
  if (verdict == ANKUS_SLOW) class = member->slow_class;
  if (verdict == ANKUS_FAST) class = member->fast_class;
  count(!class ? ANKUS_COUNT_CLASS_PROBATION : verdict == ANKUS_SLOW ? ANKUS_COUNT_CLASS_SLOW : ANKUS_COUNT_CLASS_FAST);
  return class ? class : p->device->probation_class;
}

/* The class of what is not IP, or is cut short. ARP and the like are small and few, and nothing
 * works without them; what is large, or too much in all, may be anybody's bulk. */
static __always_inline __u16 class_of_unparsed(struct packet *p, const struct ankus_config *rule) {
  __u32 nobody = 0;
  const struct ankus_member *member = bpf_map_lookup_elem(&ankus_members, &nobody);
  struct ankus_bucket *bucket = bpf_map_lookup_elem(&ankus_buckets, &nobody);

  if (!member || !member->slow_class || !bucket || p->length > ANKUS_SMALL_FRAME ||
      over_admission(p, bucket, 0, rule))
    return p->device->probation_class;
  return member->slow_class;
}

/* What arrives passes no tree of ours but the ifb's, and takes nothing from what may be sent. */
static __always_inline int passes_tree(const struct packet *p, int leaving) {
  return p->device->major && (leaving || (p->device->flags & ANKUS_DEVICE_IFB));
}

/* Files what an uplink receives under its entry of the NIC's indirection table. */
static __always_inline void count_arrival(struct packet *p, const struct ankus_flow *flow) {
  struct ankus_rss_entry *entry;
  struct arrival arrival = {};
  __u32 row;

  load_arrival(p->context, &arrival);
  if (!arrival.segments) arrival.segments = 1;
  row = p->device->rss_first + (arrival.hash & (p->device->rss_size - 1));
  entry = bpf_map_lookup_elem(&ankus_rss, &row);
  if (!entry) return;
  if (!arrival.hash) {
    entry->unhashed += arrival.segments; /* row 0: the hash is 0 */
    return;
  }
  entry->packets += arrival.segments;
  if (flow && (flow->flags & ANKUS_FLOW_ELEPHANT)) entry->elephant_packets += arrival.segments;
  entry->queues += (__u64)arrival.queue * arrival.segments;
}

/* An uplink's packet whose flow is looked after at the ifb that it goes to next. */
static __always_inline void only_count_arrival(struct packet *p, __be16 protocol) {
  if (p->device->rss_size) count_arrival(p, parse(p, protocol) ? flow_of(p) : 0);
}

/* A packet at an uplink, or at the ifb behind it. Returns its class as skb->priority wants it
 * (HTB obeys a priority that names one of its classes before any filter), 0 for none. */
static __always_inline __u32 at_uplink(struct packet *p, __be16 protocol, int leaving,
                                       const struct ankus_config *rule) {
  struct ankus_flow *flow;
  int fast;

  count(ANKUS_COUNT_HIT_UPLINK);
  if (!parse(p, protocol)) {
    count(ANKUS_COUNT_UNPARSED);
    if (!passes_tree(p, leaving)) return 0;
    return (__u32)p->device->major << 16 | class_of_unparsed(p, rule);
  }
  flow = flow_of(p);
  if (!flow) {
    flow = make_flow(&p->key, 0, (leaving ? p->direction : !p->direction) ? ANKUS_FLOW_LOCAL_IS_B : 0,
                     p->ifindex, p->now);
    if (flow) find_owner_at_uplink(p, flow, leaving);
  } else if (leaving && flow->iif != p->from_ifindex) {
    find_owner_at_uplink(p, flow, leaving);
  }
  fast = 0;
  if (flow) {
    flow->seen = p->now;
    count_here(p, flow);
    fast = ankus_fast_after(flow, p->direction, p->now, p->length, rule->fast_window, p->device->fast_bytes,
                            rule->fast_hold);
  }
  if (!leaving && p->device->rss_size) count_arrival(p, flow);
  if (!passes_tree(p, leaving)) return 0;
  return (__u32)p->device->major << 16 | class_of(p, flow, fast, rule);
}

#endif
