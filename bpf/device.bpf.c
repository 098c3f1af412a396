/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The device sensor as tc programs: tcx links from 6.6, cls_bpf filters below. They pass every
 * packet on to whoever comes after them. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "bpf/packet.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PASS_ON -1 /* TCX_NEXT, and TC_ACT_UNSPEC for cls_bpf */

/* From the linear part, where headers nearly always are: it saves three helper calls a packet. */
static __always_inline int load(struct packet *p, __u32 offset, void *to, __u32 length) {
  struct __sk_buff *skb = p->context;
  void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
  __u32 at = p->link_header + offset;

  if (p->direct && at <= 256 && data + at + length <= end) {
    __builtin_memcpy(to, data + at, length);
    return 0;
  }
  return (int)bpf_skb_load_bytes_relative(skb, offset, to, length, BPF_HDR_START_NET);
}

/* tc programs see the link layer's header first, also at ingress. Is IP where it is expected? */
static __always_inline int finds_ip(const struct packet *p, const struct __sk_buff *skb) {
  const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

  data += p->link_header;
  return data + 1 <= end && *data >> 4 == (skb->protocol == bpf_htons(ANKUS_P_IP) ? 4 : 6);
}

static __always_inline __u64 packet_cgroup(void *context) { return bpf_skb_cgroup_id(context); }

static __always_inline void load_arrival(void *context, struct arrival *arrival) {
  const struct __sk_buff *skb = context;

  arrival->hash = skb->hash;
  arrival->queue = skb->queue_mapping; /* on receive: counted from 1 (skb_record_rx_queue) */
  arrival->segments = skb->gso_segs;
}

static __always_inline int begin(struct packet *p, struct __sk_buff *skb, __u32 role) {
  p->context = skb;
  p->ifindex = skb->ifindex;
  p->device = device_at(skb->ifindex);
  if (!p->device || p->device->role != role) return 0;
  p->from_ifindex = skb->ingress_ifindex;
  p->link_header = p->device->header_bytes & 15;
  p->direct = finds_ip(p, skb);
  p->length = skb->len > p->link_header ? skb->len - p->link_header : 0;
  p->now = now_jiffies();
  return 1;
}

static __always_inline int workload_packet(struct __sk_buff *skb, int from_workload) {
  const struct ankus_config *rule = config();
  struct packet p = {};

  if (rule && begin(&p, skb, ANKUS_ROLE_WORKLOAD)) at_workload(&p, (__be16)skb->protocol, from_workload, rule);
  return PASS_ON;
}

/* What the host receives from the workload's device the workload has sent. */
SEC("tc")
int ankus_workload_sends(struct __sk_buff *skb) { return workload_packet(skb, 1); }
SEC("tc")
int ankus_workload_receives(struct __sk_buff *skb) { return workload_packet(skb, 0); }

/* Only watches: where a tree is in force the classifier below sees the packet anyway. */
SEC("tc")
int ankus_uplink_sends(struct __sk_buff *skb) {
  const struct ankus_config *rule = config();
  struct packet p = {};

  if (rule && begin(&p, skb, ANKUS_ROLE_UPLINK) && !p.device->major)
    (void)at_uplink(&p, (__be16)skb->protocol, 1, rule);
  return PASS_ON;
}

/* Watches and gives the class. A program of its own: one cannot be attached twice to a device. */
SEC("tc")
int ankus_uplink_classifies(struct __sk_buff *skb) {
  const struct ankus_config *rule = config();
  struct packet p = {};

  if (!rule || !begin(&p, skb, ANKUS_ROLE_UPLINK) || !p.device->major) return PASS_ON;
  /* What leaves an ifb has arrived at its uplink. */
  skb->priority = at_uplink(&p, (__be16)skb->protocol, !(p.device->flags & ANKUS_DEVICE_IFB), rule);
  return PASS_ON;
}

SEC("tc")
int ankus_uplink_receives(struct __sk_buff *skb) {
  const struct ankus_config *rule = config();
  struct packet p = {};

  if (!rule || !begin(&p, skb, ANKUS_ROLE_UPLINK)) return PASS_ON;
  if (p.device->flags & ANKUS_DEVICE_INGRESS_ON_IFB) only_count_arrival(&p, (__be16)skb->protocol);
  else (void)at_uplink(&p, (__be16)skb->protocol, 0, rule);
  return PASS_ON;
}

/* Run by user space (BPF_PROG_TEST_RUN) to read the clock of all durations above. */
SEC("tc")
int ankus_read_jiffies(struct __sk_buff *skb) { return (int)now_jiffies(); }
