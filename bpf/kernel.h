/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few kernel structures that are read, with the fields that are read: CO-RE finds the real
 * offsets in the running kernel's BTF. */
#ifndef ANKUS_KERNEL_H
#define ANKUS_KERNEL_H

#include <linux/types.h>

#define KERNEL __attribute__((preserve_access_index))

struct ns_common {
  unsigned int inum;
} KERNEL;
struct net {
  struct ns_common ns;
  __u64 net_cookie;
} KERNEL;
typedef struct {
  struct net *net;
} possible_net_t;

struct sk_buff;
struct Qdisc {
  void *enqueue; /* 0: a device without a queue */
  unsigned int flags;
} KERNEL;
#define TCQ_F_CAN_BYPASS 4
struct netdev_queue {
  struct Qdisc *qdisc;
} KERNEL;

struct rtnl_link_ops {
  const char *kind;
} KERNEL;
struct net_device {
  possible_net_t nd_net;
  int ifindex;
  unsigned int flags;
  struct netdev_queue *_tx;
  const struct rtnl_link_ops *rtnl_link_ops;
} KERNEL;
#define IFF_LOOPBACK 8

struct kernfs_node {
  __u64 id;
} KERNEL;
struct cgroup {
  struct kernfs_node *kn;
} KERNEL;
struct sock_cgroup_data {
  struct cgroup *cgroup;
} KERNEL;
struct in6_addr {
  __u8 bytes[16];
}; /* copied whole */
struct sock_common {
  __be32 skc_daddr, skc_rcv_saddr;
  __be16 skc_dport;
  __u16 skc_num; /* host order */
  unsigned short skc_family;
  volatile unsigned char skc_state;
  possible_net_t skc_net;
  struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
} KERNEL;
struct sk_buff_head {
  struct sk_buff *prev; /* the last one */
  __u32 qlen;
} KERNEL;
struct sock {
  struct sock_common __sk_common;
  struct sock_cgroup_data sk_cgrp_data;
  struct sk_buff_head sk_receive_queue;
  __u16 sk_protocol;
  int sk_wmem_queued;
} KERNEL;

struct sk_buff {
  struct sk_buff *next;
  struct net_device *dev;
  struct sock *sk;
  unsigned int len;
  int skb_iif;
  __u32 hash; /* of the flow, 0: nobody has computed it */
  __u16 queue_mapping;
  unsigned long _nfct;
  __be16 protocol;
  __u16 network_header;
  __u16 mac_header;
  unsigned char *head, *data;
} KERNEL;

struct udp_sock {
  struct sk_buff_head reader_queue;
} KERNEL;
/* include/linux/tcp.h; numbers of RFC 4898 where it has them. */
struct tcp_rack {
  __u64 mstamp; /* when the packet was sent whose acknowledgement was the last RTT sample */
  __u32 rtt_us;
} KERNEL;
struct tcp_sock {
  __u32 segs_out;
  __u64 bytes_sent, bytes_retrans, bytes_acked, bytes_received;
  __u32 packets_out, total_retrans, delivered;
  __u32 snd_nxt, snd_una, write_seq, copied_seq, rcv_nxt;
  __u32 snd_wnd, rcv_wnd, snd_cwnd, mss_cache;
  __u32 srtt_us; /* times 8 */
  struct tcp_rack rack;
} KERNEL;

struct nf_hook_state {
  __u8 hook;
  __u8 pf;
  struct net_device *in, *out;
} KERNEL;

/* net/netfilter/nf_conntrack_tuple.h; copied whole, the layout has not changed since 2.6.20. */
struct nf_conntrack_tuple {
  __u32 source[4];
  __be16 source_port;
  __u16 l3num;
  __u32 target[4];
  __be16 target_port;
  __u8 protonum;
  __u8 dir;
};
struct nf_conntrack_tuple_hash {
  struct nf_conntrack_tuple tuple;
} KERNEL;
struct nf_conntrack_zone {
  __u16 id;
} KERNEL;
enum nf_ct_ext_id { NF_CT_EXT_ACCT = 3 };
struct nf_ct_ext {
  __u8 offset[9];
} KERNEL;
/* Their values change from kernel to kernel (include/net/dropreason-core.h). */
enum skb_drop_reason {
  SKB_DROP_REASON_NO_SOCKET = 3,
  SKB_DROP_REASON_SOCKET_FILTER = 5,
  SKB_DROP_REASON_SOCKET_RCVBUFF = 6,
  SKB_DROP_REASON_NETFILTER_DROP = 8,
  SKB_DROP_REASON_XFRM_POLICY = 11,
  SKB_DROP_REASON_BPF_CGROUP_EGRESS = 38,
  SKB_DROP_REASON_NEIGH_CREATEFAIL = 40,
  SKB_DROP_REASON_NEIGH_FAILED = 41,
  SKB_DROP_REASON_NEIGH_QUEUEFULL = 42,
  SKB_DROP_REASON_NEIGH_DEAD = 43,
};
struct ip_ct_tcp {
  __u8 state;
} KERNEL;
union nf_conntrack_proto {
  struct ip_ct_tcp tcp;
} KERNEL;
struct nf_conn {
  struct nf_conntrack_zone zone;
  struct nf_conntrack_tuple_hash tuplehash[2];
  unsigned long status;
  possible_net_t ct_net;
  struct nf_ct_ext *ext;
  union nf_conntrack_proto proto;
} KERNEL;

#define IPS_SEEN_REPLY (1 << 1)
#define IPS_NAT_MASK ((1 << 4) | (1 << 5)) /* IPS_SRC_NAT | IPS_DST_NAT */

#define NFPROTO_IPV4 2

#endif
