/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The conntrack sensor: one body under two attachments.
 *   trampolines (ANKUS_TRAMPOLINES): fexit/nf_conntrack_in, fentry/__nf_conntrack_confirm and
 *     fentry/nf_conntrack_free, where the kernel allows them (Debian 12: module BTF, CAP_SYS_ADMIN);
 *   else: a BPF_PROG_TYPE_NETFILTER link at POST_ROUTING and LOCAL_IN (from 6.4), after source NAT.
 * Both see a connection with its final tuples before its first packet reaches the uplink's qdisc.
 * Handlers are idempotent where conntrack does the accounting: they copy its cumulative counters. */
#include "bpf/flow.h"
#include "bpf/socket.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* A connection's two tuples as keys, and which way its original direction runs in each. With NAT,
 * `plain` is read only where it is needed: nearly all packets are of a connection that is known. */
struct connection {
  struct nf_conn *ct;
  struct ankus_flow_key plain;      /* of the original tuple: what the initiator believes */
  struct ankus_flow_key translated; /* of the reply tuple, with NAT */
  int plain_original, translated_original; /* direction of original traffic in each key */
  int nat, seen_reply, ended, whole;
  __u16 zone;
  /* The key under which the connection is filed, see wire_key(). A copy and no pointer to one of
   * the above: the verifier would follow each pointer's path to the end by itself. */
  struct ankus_flow_key key;
  int original, is_translated;
};

static __always_inline void address(__u64 *to, const __u32 *from, int v4) {
  __u32 *words = (__u32 *)to;

  words[0] = v4 ? 0 : from[0];
  words[1] = v4 ? 0 : from[1];
  words[2] = v4 ? bpf_htonl(0xffff) : from[2];
  words[3] = v4 ? from[0] : from[3];
}

/* Returns the direction of the tuple's own traffic in `key`. Global, to be verified once. */
__noinline int ankus_key_of(struct ankus_flow_key *key, const struct nf_conntrack_tuple *tuple) {
  __u64 source[2], target[2];
  int v4;

  if (!key || !tuple) return 0;
  v4 = tuple->l3num == NFPROTO_IPV4;
  address(source, tuple->source, v4);
  address(target, tuple->target, v4);
  key->protocol = tuple->protonum;
  key->family = v4 ? 4 : 6;
  key->zone = 0;
  return ankus_canonical(key, source, tuple->source_port, target, tuple->target_port);
}

static __always_inline int has_ports(__u8 protocol) {
  return protocol == 6 || protocol == 17 || protocol == 132 || protocol == 136 || protocol == 33;
}

/* Fills in what a known connection is found by, from c->ct. Global for the sake of the callers' stack. */
__noinline int ankus_read_connection(struct connection *c) {
  struct nf_conntrack_tuple tuple;
  unsigned long status;
  struct nf_conn *ct;

  if (!c) return 0;
  ct = c->ct;
  status = BPF_CORE_READ(ct, status);
  c->nat = !!(status & IPS_NAT_MASK);
  c->seen_reply = !!(status & IPS_SEEN_REPLY);
  if (c->nat ? bpf_core_read(&tuple, sizeof tuple, &ct->tuplehash[1].tuple)
             : bpf_core_read(&tuple, sizeof tuple, &ct->tuplehash[0].tuple))
    return 0;
  if (!has_ports(tuple.protonum)) return 0;
  if (c->nat) c->translated_original = !ankus_key_of(&c->translated, &tuple);
  else c->plain_original = ankus_key_of(&c->plain, &tuple);
  c->ended = 0;
  if (tuple.protonum == 6) {
    __u8 state = BPF_CORE_READ(ct, proto.tcp.state);
    c->ended = state == 7 /* TCP_CONNTRACK_TIME_WAIT */ || state == 8 /* CLOSE */;
  }
  return 1;
}

/* Fills in the rest. Global, likewise. */
__noinline int ankus_read_rest(struct connection *c) {
  struct nf_conntrack_tuple tuple;
  struct nf_conn *ct;

  if (!c || c->whole) return 0;
  ct = c->ct;
  c->whole = 1;
  c->zone = bpf_core_field_exists(ct->zone) ? BPF_CORE_READ(ct, zone.id) : 0;
  if (c->nat && bpf_core_read(&tuple, sizeof tuple, &ct->tuplehash[0].tuple) == 0)
    c->plain_original = ankus_key_of(&c->plain, &tuple);
  return 0;
}

static __always_inline struct ankus_flow *flow_if_of(const struct ankus_flow_key *key, __u64 ct) {
  struct ankus_flow *flow = bpf_map_lookup_elem(&ankus_flows, key);
  return flow && (flow->flags & ANKUS_FLOW_CT) && flow->ct == ct ? flow : 0;
}

static __always_inline void choose(struct connection *c, int translated, __u16 zone) {
  c->is_translated = translated;
  c->key = translated ? c->translated : c->plain;
  c->key.zone = zone;
  c->original = translated ? c->translated_original : c->plain_original;
}

/* The entry of a connection that is known already, under either tuple; c->key becomes its key. */
static __always_inline struct ankus_flow *find_flow(struct connection *c) {
  __u64 ct = (__u64)(unsigned long)c->ct;
  struct ankus_flow *flow;

  choose(c, c->nat, 0);
  flow = flow_if_of(&c->key, ct);
  if (flow) return flow;
  ankus_read_rest(c);
  if (c->zone) {
    c->key.zone = c->zone;
    flow = flow_if_of(&c->key, ct);
    if (flow) return flow;
  }
  if (!c->nat) return 0;
  choose(c, 0, 0);
  flow = flow_if_of(&c->key, ct);
  if (flow || !c->zone) return flow;
  c->key.zone = c->zone;
  return flow_if_of(&c->key, ct);
}

static __always_inline int is_uplink(const struct ankus_device *device) {
  return device && device->role == ANKUS_ROLE_UPLINK;
}
static __always_inline int is_workload(const struct ankus_device *device) {
  return device && device->role == ANKUS_ROLE_WORKLOAD;
}

/* Chooses the key that the wire beyond the uplink shows: of the side that faces it. */
static __always_inline void wire_key(struct connection *c, int reply, const struct ankus_device *in,
                                     const struct ankus_device *out) {
  int outward_original = is_uplink(out) ? !reply : is_uplink(in) ? reply : 1;

  choose(c, c->nat && outward_original, is_uplink(in) || is_uplink(out) ? 0 : c->zone);
}

/* With NAT the workload's device has already filed the connection under what the workload sees:
 * that entry names the owner (a bridge hides the device from us) and becomes an alias of ours. */
__noinline int ankus_adopt_inner(const struct connection *c, struct ankus_flow *flow) {
  struct ankus_flow_key inner_key = {};
  struct ankus_flow *inner;
  int inner_original, owner_sends_original;

  if (!c || !flow) return 0;
  inner_key = c->is_translated ? c->plain : c->translated;
  inner_original = c->is_translated ? c->plain_original : c->translated_original;
  inner_key.zone = 0;
  inner = bpf_map_lookup_elem(&ankus_flows, &inner_key);
  flow->inner = inner_key;
  if (!inner || (inner->flags & ANKUS_FLOW_CT)) return 0;
  if (!inner->owner || !(inner->flags & ANKUS_FLOW_OWNER_DEVICE)) return 0;
  owner_sends_original = !!(inner->flags & ANKUS_FLOW_LOCAL_IS_B) == inner_original;
  ankus_give_to(flow, inner->owner, owner_sends_original ? c->original : !c->original, ANKUS_FLOW_OWNER_DEVICE);
  inner->flags |= ANKUS_FLOW_ALIAS;
  flow->flags |= ANKUS_FLOW_OTHER_SEEN;
  count(ANKUS_COUNT_OWNER_BY_INNER);
  return 0;
}

static __always_inline void find_owner(struct sk_buff *skb, struct connection *c, struct ankus_flow *flow,
                                       const struct ankus_device *in, const struct ankus_device *out,
                                       int direction) {
  __u64 cgroup;
  __u32 *service;

  if (is_workload(in)) {
    ankus_give_to(flow, in->owner, direction, ANKUS_FLOW_OWNER_DEVICE);
    count(ANKUS_COUNT_OWNER_BY_DEVICE);
  } else if (is_workload(out)) {
    ankus_give_to(flow, out->owner, !direction, ANKUS_FLOW_OWNER_DEVICE);
    count(ANKUS_COUNT_OWNER_BY_DEVICE);
  } else if ((cgroup = cgroup_of(skb)) && (service = bpf_map_lookup_elem(&ankus_cgroups, &cgroup))) {
    ankus_give_to(flow, *service, direction, 0);
    count(ANKUS_COUNT_OWNER_BY_CGROUP);
  } else {
    count(ANKUS_COUNT_NO_OWNER);
  }
}

/* Conntrack's own counters, if net.netfilter.nf_conntrack_acct was on when the connection began (they
 * are never added later): {packets, bytes} of the original and the reply direction. */
static __always_inline int read_accounting(struct nf_conn *ct, __u64 counters[4]) {
  struct nf_ct_ext *ext = BPF_CORE_READ(ct, ext);
  __u8 offset = 0;
  int id = bpf_core_enum_value(enum nf_ct_ext_id, NF_CT_EXT_ACCT);

  if (!ext) return 0;
  if (bpf_probe_read_kernel(&offset, sizeof offset, (__u8 *)ext + bpf_core_field_offset(ext->offset) + id) || !offset)
    return 0;
  return bpf_probe_read_kernel(counters, 4 * sizeof *counters, (__u8 *)ext + offset) == 0;
}

/* Puts a cumulative value in place and returns by how much it grew; a CPU that comes late with an
 * older value does not set it back. */
static __always_inline __u64 raise_to(__u64 *value, __u64 now) {
  __u64 before = __sync_lock_test_and_set(value, now);

  if (before <= now) return now - before;
  (void)__sync_lock_test_and_set(value, before);
  return 0;
}

static __always_inline void copy_direction(const struct ankus_flow_key *key, struct ankus_flow *flow,
                                           const __u64 *counters, int direction, __u32 now) {
  struct ankus_moved moved = {.now = now, .direction = direction};

  moved.packets = raise_to(&flow->packets[direction & 1], counters[0]);
  moved.length = raise_to(&flow->bytes[direction & 1], counters[1]);
  if (moved.length) ankus_counted(key, flow, &moved);
}

/* Takes over conntrack's own counters; 0 if it keeps none for this connection. Global for the sake of
 * the callers' stack. */
__noinline int ankus_copy_accounting(const struct connection *c, struct ankus_flow *flow, __u32 now) {
  __u64 counters[4];
  int original;

  if (!c || !flow || flow->flags & (ANKUS_FLOW_NO_ACCT | ANKUS_FLOW_AGGREGATE)) return 0;
  if (!read_accounting(c->ct, counters)) {
    flow->flags |= ANKUS_FLOW_NO_ACCT;
    return 0;
  }
  original = c->original & 1;
  copy_direction(&c->key, flow, counters, original, now);
  copy_direction(&c->key, flow, counters + 2, !original, now);
  return 1;
}

/* An entry of an ended connection starts from nothing. Its owner goes too, unless the workload's own
 * device files this connection under this very key and has just said whose it is. */
__noinline int ankus_forget_former(struct ankus_flow *flow, int nat, __u32 now) {
  if (!flow) return 0;
  if (flow->flags & ANKUS_FLOW_CT && (nat || !(flow->flags & ANKUS_FLOW_OWNER_DEVICE))) {
    ankus_give_to(flow, 0, 0, 0);
    __builtin_memset(&flow->inner, 0, sizeof flow->inner);
  }
  begin_again(flow, now);
  flow->flags &= ~(ANKUS_FLOW_ALIAS | ANKUS_FLOW_ACCT | ANKUS_FLOW_NO_ACCT | ANKUS_FLOW_OTHER_SEEN |
                   ANKUS_FLOW_OWNER_TRIED | ANKUS_FLOW_ENDED);
  return 0;
}

/* Files a connection under c->key. */
static __always_inline struct ankus_flow *begin_flow(struct connection *c, __u32 now) {
  struct ankus_flow *flow = bpf_map_lookup_elem(&ankus_flows, &c->key);

  if (flow) ankus_forget_former(flow, c->nat, now); /* an older one's, or made at a device just before */
  else flow = make_flow(&c->key, 0, 0, 0, now);
  if (!flow || (flow->flags & ANKUS_FLOW_AGGREGATE)) return flow;
  flow->ct = (__u64)(unsigned long)c->ct;
  flow->flags |= ANKUS_FLOW_CT | (c->nat ? 0 : ANKUS_FLOW_OTHER_SEEN);
  return flow;
}

/* Conntrack reuses an nf_conn's memory at once: the same address and the same tuple may be a new
 * connection. One that has not seen a reply, where we have counted some, is. */
static __always_inline int is_successor(const struct connection *c, const struct ankus_flow *flow) {
  return !c->seen_reply && flow->packets[!(c->original & 1)] != 0;
}

/* One packet of one connection. `in`, `out`: ifindex of the devices, 0 if none or not known yet. */
static __always_inline void visit(struct sk_buff *skb, __u32 in_ifindex, __u32 out_ifindex, int again) {
  unsigned long nfct = skb->_nfct;
  int reply = (nfct & 7) >= 3, direction;
  const struct ankus_config *rule = config();
  const struct ankus_device *in, *out;
  struct ankus_flow *flow;
  struct connection c = {};
  __u32 now;
#ifdef ANKUS_TRAMPOLINES
  struct nf_conn *ct; /* CO-RE relocates the whole expression: c.ct would be taken for a kernel type */
#endif

  count(ANKUS_COUNT_HIT_CONNTRACK);
  if (!rule || nfct <= 7 || (nfct & 7) == 7 /* IP_CT_UNTRACKED */) return;
  c.ct = (struct nf_conn *)(nfct & ~7UL);
  if (!ankus_read_connection(&c)) return;
#ifdef ANKUS_TRAMPOLINES
  ct = c.ct;
  if (rule->netns_cookie && BPF_CORE_READ(ct, ct_net.net, net_cookie) != rule->netns_cookie) return;
#endif
  now = now_jiffies();
  flow = find_flow(&c);
  if (flow && is_successor(&c, flow)) flow = 0;
  if (!flow || !flow->owner || !(flow->flags & ANKUS_FLOW_OTHER_SEEN)) {
    ankus_read_rest(&c);
    in = device_at(in_ifindex);
    out = device_at(out_ifindex);
    if (!flow) {
      wire_key(&c, reply, in, out);
      flow = begin_flow(&c, now);
      if (!flow) return;
    }
    direction = reply ? !c.original : c.original;
    if (c.nat) ankus_adopt_inner(&c, flow);
    if (!flow->owner) find_owner(skb, &c, flow, in, out, direction);
  }
  flow->seen = now;
  if (c.ended) mark_ended(&c.key, flow);
  direction = reply ? !c.original : c.original;
  if (ankus_copy_accounting(&c, flow, now)) flow->flags |= ANKUS_FLOW_ACCT;
  else if (!again) count_packet(&c.key, flow, direction, skb->len, now);
}

#ifdef ANKUS_TRAMPOLINES

/* After conntrack has looked at a packet. The first of a connection is left to confirm: its tuples
 * are not final here (source NAT comes later). Loopback packets come twice. */
SEC("fexit/nf_conntrack_in")
int BPF_PROG(ankus_conntrack_in, struct sk_buff *skb, const struct nf_hook_state *state, unsigned int verdict) {
  unsigned long nfct = skb->_nfct;
  struct net_device *in = state->in;
  __u32 ifindex = in ? in->ifindex : 0;

  if (verdict != 1 /* NF_ACCEPT */ || nfct <= 7) return 0;
  if (!(BPF_CORE_READ((struct nf_conn *)(nfct & ~7UL), status) & (1 << 3) /* IPS_CONFIRMED */)) return 0;
  visit(skb, ifindex, 0, ifindex == 1);
  return 0;
}

/* Just before a connection enters the table: its tuples are final. */
SEC("fentry/__nf_conntrack_confirm")
int BPF_PROG(ankus_conntrack_confirm, struct sk_buff *skb) {
  struct net_device *dev = skb->dev;
  visit(skb, skb->skb_iif, dev ? dev->ifindex : 0, 0);
  return 0;
}

/* A connection ends: timeout, `conntrack -F`, end of its namespace. */
SEC("fentry/nf_conntrack_free")
int BPF_PROG(ankus_conntrack_free, struct nf_conn *ct) {
  struct connection c = {};
  struct ankus_flow *flow;
  __u32 owner;

  count(ANKUS_COUNT_HIT_FREE);
  c.ct = ct;
  if (!ankus_read_connection(&c)) return 0;
  flow = find_flow(&c);
  if (!flow) return 0;
  (void)ankus_copy_accounting(&c, flow, now_jiffies()); /* 0: nothing more to learn */
  if (flow->flags & ANKUS_FLOW_ELEPHANT) tell(ANKUS_ELEPHANT_ENDS, &c.key, flow);
  owner = flow->owner;
  if (bpf_map_delete_elem(&ankus_flows, &c.key) == 0) leave_quota(owner);
  return 0;
}

#else

struct bpf_nf_ctx {
  const struct nf_hook_state *state;
  struct sk_buff *skb;
};

/* Attached at POST_ROUTING and LOCAL_IN of IPv4 and IPv6, priority 300: after all NAT. */
SEC("netfilter")
int ankus_conntrack_link(struct bpf_nf_ctx *ctx) {
  const struct nf_hook_state *state = ctx->state;
  struct sk_buff *skb = ctx->skb;
  struct net_device *in = state->in, *out = state->out;
  __u32 in_ifindex = in ? in->ifindex : 0, out_ifindex = out ? out->ifindex : 0;
  int local_in = state->hook == 1 /* NF_INET_LOCAL_IN */;

  if (!local_in && skb->sk == 0 && skb->skb_iif) in_ifindex = skb->skb_iif;
  visit(skb, in_ifindex, local_in ? 0 : out_ifindex, local_in && in_ifindex == 1);
  return 1; /* NF_ACCEPT */
}

#endif
