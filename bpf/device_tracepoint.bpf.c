/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The device sensor where there is no tcx and no clsact of ours: BTF tracepoints, which change
 * nothing. They see every device of every namespace, so the device map is asked first. */
#include "bpf/packet.h"

#include "bpf/socket.h"

#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int load(struct packet *p, __u32 offset, void *to, __u32 length) {
  struct sk_buff *skb = p->context;
  return (int)bpf_probe_read_kernel(to, length, skb->head + skb->network_header + offset);
}

static __always_inline __u64 packet_cgroup(void *context) { return cgroup_of(context); }

struct sk_buff___arrival {
  __u32 hash;
  unsigned int end; /* offset of skb_shared_info from head */
} KERNEL;
struct skb_shared_info {
  unsigned short gso_segs;
} KERNEL;

static __always_inline void load_arrival(void *context, struct arrival *arrival) {
  struct sk_buff *skb = context;
  struct sk_buff___arrival *more = context;

  arrival->hash = more->hash;
  arrival->queue = skb->queue_mapping;
  arrival->segments = BPF_CORE_READ((struct skb_shared_info *)(skb->head + more->end), gso_segs);
}

static __always_inline void see(struct sk_buff *skb, int entering) {
  const struct ankus_config *rule;
  struct packet p = {};
  struct net_device *dev = skb->dev;

  p.context = skb;
  p.ifindex = dev->ifindex;
  p.device = device_at(p.ifindex);
  if (!p.device || (rule = config()) == 0) return;
  if (rule->netns_cookie && BPF_CORE_READ(dev, nd_net.net, net_cookie) != rule->netns_cookie) return;
  if (!entering && p.device->major) return; /* the classifier in front of its qdisc has seen it */
  p.from_ifindex = skb->skb_iif;
  p.length = skb->len;
  /* skb->data is at layer 3 on receive and at the link layer header on transmit. */
  if (!entering && p.length > p.device->header_bytes) p.length -= p.device->header_bytes;
  p.now = now_jiffies();
  if (p.device->role == ANKUS_ROLE_WORKLOAD) at_workload(&p, skb->protocol, entering, rule);
  else if (entering && (p.device->flags & ANKUS_DEVICE_INGRESS_ON_IFB)) only_count_arrival(&p, skb->protocol);
  else (void)at_uplink(&p, skb->protocol, !entering, rule);
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(ankus_device_receives, struct sk_buff *skb) {
  see(skb, 1);
  return 0;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(ankus_device_sends, struct sk_buff *skb) {
  see(skb, 0);
  return 0;
}
