/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few kernel structures that are read, with the fields that are read: CO-RE finds the real
 * offsets in the running kernel's BTF. */
#ifndef ANKUS_KERNEL_H
#define ANKUS_KERNEL_H

#include <linux/types.h>

#define KERNEL __attribute__((preserve_access_index))

struct net {
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

struct net_device {
  possible_net_t nd_net;
  int ifindex;
  unsigned int flags;
  struct netdev_queue *_tx;
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
struct sock_common {
  volatile unsigned char skc_state;
  possible_net_t skc_net;
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
} KERNEL;

struct sk_buff {
  struct sk_buff *next;
  struct net_device *dev;
  struct sock *sk;
  unsigned int len;
  int skb_iif;
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
struct tcp_sock {
  __u32 write_seq;
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
