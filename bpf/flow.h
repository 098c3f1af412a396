/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every hook does with a flow's entry: make it, count into it, tell user space once. */
#ifndef ANKUS_FLOW_H
#define ANKUS_FLOW_H

#include "bpf/maps.h"

static __always_inline void tell_of(__u32 kind, const struct ankus_flow_key *key, __u32 owner, __u64 bytes,
                                    __u64 bytes_back) {
  struct ankus_event *event = bpf_ringbuf_reserve(&ankus_events, sizeof *event, 0);

  if (!event) {
    count(ANKUS_COUNT_EVENT_LOST);
    return;
  }
  event->kind = kind;
  event->owner = owner;
  event->at_ns = bpf_ktime_get_ns();
  event->key = *key;
  event->bytes[0] = bytes;
  event->bytes[1] = bytes_back;
  bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

static __always_inline void tell(__u32 kind, const struct ankus_flow_key *key,
                                 const struct ankus_flow *flow) {
  tell_of(kind, key, flow->owner, flow->bytes[0], flow->bytes[1]);
}

/* Says once that a flow became an elephant or a mouse again, on whichever CPU was first. */
static __always_inline void judge_elephant(const struct ankus_flow_key *key, struct ankus_flow *flow,
                                           __u32 now, __u64 length, const struct ankus_config *rule) {
  __u64 total = flow->bytes[0] + flow->bytes[1];
  enum ankus_change change = ankus_elephant_after(flow, total, now, length, rule);
  __u32 flags = flow->flags;

  if (change == ANKUS_NO_CHANGE) return;
  if (__sync_val_compare_and_swap(&flow->flags, flags, flags ^ ANKUS_FLOW_ELEPHANT) != flags) return;
  if (change == ANKUS_ENDS) flow->elephant_base = total;
  tell(change == ANKUS_BEGINS ? ANKUS_ELEPHANT_BEGINS : ANKUS_ELEPHANT_ENDS, key, flow);
}

/* Adds to the owner's usage. `transmitted`: from the owner. */
static __always_inline void use(__u32 owner, int transmitted, __u64 length, __u64 packets) {
  struct ankus_usage *usage = bpf_map_lookup_elem(&ankus_usage, &owner);

  if (!usage) return;
  if (transmitted) {
    usage->transmitted_bytes += length;
    usage->transmitted_packets += packets;
  } else {
    usage->received_bytes += length;
    usage->received_packets += packets;
  }
}

static __always_inline void use_elephant(__u32 owner, __u64 length) {
  struct ankus_usage *usage = bpf_map_lookup_elem(&ankus_usage, &owner);
  if (usage) usage->elephant_bytes += length;
}

/* Is traffic in `direction` (0: a to b) from the flow's owner? */
static __always_inline int from_owner(const struct ankus_flow *flow, int direction) {
  return direction == !!(flow->flags & ANKUS_FLOW_LOCAL_IS_B);
}

/* What was just counted into a flow. */
struct ankus_moved {
  __u64 length, packets;
  __u32 now;
  int direction;
};

/* A global function: the verifier goes through it once, not once for each way that leads here
 * (inlined, the conntrack program took it 220,000 steps and over a second). */
__noinline int ankus_counted(const struct ankus_flow_key *key, struct ankus_flow *flow,
                             const struct ankus_moved *moved) {
  const struct ankus_config *rule = config();

  if (!key || !flow || !moved || !rule) return 0;
  if (!(flow->flags & ANKUS_FLOW_OWNER_DEVICE))
    use(flow->owner, from_owner(flow, moved->direction), moved->length, moved->packets);
  judge_elephant(key, flow, moved->now, moved->length, rule);
  if (flow->flags & ANKUS_FLOW_ELEPHANT) use_elephant(flow->owner, moved->length);
  return 0;
}

static __always_inline void count_packet(const struct ankus_flow_key *key, struct ankus_flow *flow,
                                         int direction, __u64 length, __u32 now) {
  struct ankus_moved moved = {.length = length, .packets = 1, .now = now, .direction = direction};

  __sync_fetch_and_add(&flow->bytes[direction & 1], length);
  __sync_fetch_and_add(&flow->packets[direction & 1], 1);
  ankus_counted(key, flow, &moved);
}

static __always_inline void mark_ended(const struct ankus_flow_key *key, struct ankus_flow *flow) {
  if (flow->flags & ANKUS_FLOW_ENDED) return;
  flow->flags |= ANKUS_FLOW_ENDED;
  (void)bpf_map_push_elem(&ankus_ended, key, BPF_EXIST); /* full: the oldest goes, and is swept later */
}

static __always_inline void leave_quota(__u32 owner) {
  struct ankus_bucket *bucket = bpf_map_lookup_elem(&ankus_buckets, &owner);
  if (bucket && bucket->live_flows) __sync_fetch_and_add(&bucket->live_flows, -1);
}

/* Gives the place of the flow that ended first to another; 0 if it may still send its last packets,
 * or none has ended. */
__noinline int ankus_make_room(__u32 now) {
  const struct ankus_config *rule = config();
  struct ankus_flow_key key;
  struct ankus_flow *flow;
  __u32 owner;
  int i;

  if (!rule) return 0;
  for (i = 0; i < 8; i++) {
    if (bpf_map_pop_elem(&ankus_ended, &key)) return 0;
    flow = bpf_map_lookup_elem(&ankus_flows, &key);
    if (!flow || !(flow->flags & ANKUS_FLOW_ENDED)) continue; /* swept, or the key's next flow */
    if (!ankus_reached(now, flow->seen + rule->last_packets)) {
      (void)bpf_map_push_elem(&ankus_ended, &key, 0);
      return 0;
    }
    owner = flow->owner;
    if (flow->flags & ANKUS_FLOW_ELEPHANT) tell(ANKUS_ELEPHANT_ENDS, &key, flow);
    if (bpf_map_delete_elem(&ankus_flows, &key)) continue;
    leave_quota(owner);
    return 1;
  }
  return 0;
}

/* Wakes user space, at most once a tick, to sweep out what has ended. */
static __always_inline void tell_full(const struct ankus_flow_key *key, __u32 owner, __u32 now) {
  __u32 zero = 0;
  struct ankus_pressure *pressure = bpf_map_lookup_elem(&ankus_pressure, &zero);

  count(ANKUS_COUNT_MAP_FULL);
  if (!pressure || pressure->told_at == now) return;
  pressure->told_at = now;
  tell_of(ANKUS_TABLE_FULL, key, owner, 0, 0);
}

enum { ANKUS_NO_ROOM = 1 };

/* Puts a fresh entry into the table, unless another CPU has just done it. Over the owner's quota its
 * further flows share one entry, and `key` becomes that one's. Global, to be verified once. */
__noinline int ankus_insert_flow(struct ankus_flow_key *key, __u32 owner, __u32 flags, __u32 ifindex,
                                 __u32 now) {
  const struct ankus_config *rule = config();
  struct ankus_bucket *bucket = bpf_map_lookup_elem(&ankus_buckets, &owner);
  struct ankus_flow fresh = {
      .created = now,
      .seen = now,
      .rate_start = now,
      .busy_at = now,
      .fast_start = {now, now},
      .owner = owner,
      .count_if = ifindex,
      .flags = flags,
  };
  struct ankus_flow_key own; /* 6.1 takes no argument of a global function for a map's key */
  int error; /* an int: before 6.4 the upper half of what the helper returns is not to be trusted */

  if (!key || !rule || !bucket) return 0;
  own = *key;
  if (bucket->live_flows >= rule->flows_per_owner) {
    count(ANKUS_COUNT_OVER_QUOTA);
    __builtin_memset(&own, 0, sizeof own);
    own.a[0] = owner;
    *key = own;
    fresh.flags |= ANKUS_FLOW_AGGREGATE;
  }
  error = (int)bpf_map_update_elem(&ankus_flows, &own, &fresh, BPF_NOEXIST);
  if (error == 0) __sync_fetch_and_add(&bucket->live_flows, 1);
  else if (error == -7 /* E2BIG */ || error == -12 /* ENOMEM */) return ANKUS_NO_ROOM;
  else if (error == -16 /* EBUSY */) count(ANKUS_COUNT_MAP_BUSY);
  return 0;
}

/* Makes an entry, or finds the one that another CPU has just made; with no room at all there is
 * none, and the flow is unknown. */
static __always_inline struct ankus_flow *make_flow(struct ankus_flow_key *key, __u32 owner, __u32 flags,
                                                    __u32 ifindex, __u32 now) {
  struct ankus_usage *usage = bpf_map_lookup_elem(&ankus_usage, &owner);

  if (usage) usage->new_flows += 1;
  if (ankus_insert_flow(key, owner, flags, ifindex, now) == ANKUS_NO_ROOM &&
      (!ankus_make_room(now) || ankus_insert_flow(key, owner, flags, ifindex, now) == ANKUS_NO_ROOM)) {
    tell_full(key, owner, now);
    return 0;
  }
  return bpf_map_lookup_elem(&ankus_flows, key);
}

/* Gives a flow to `owner`; its place in the quota moves with it. Global, to be verified once. */
__noinline int ankus_give_to(struct ankus_flow *flow, __u32 owner, int local_is_b, __u32 flags) {
  struct ankus_bucket *bucket;
  __u32 former;

  if (!flow) return 0;
  former = flow->owner;
  if (former != owner) {
    leave_quota(former);
    bucket = bpf_map_lookup_elem(&ankus_buckets, &owner);
    if (bucket) __sync_fetch_and_add(&bucket->live_flows, 1);
  }
  flow->owner = owner;
  flow->flags = (flow->flags & ~(ANKUS_FLOW_LOCAL_IS_B | ANKUS_FLOW_OWNER_DEVICE)) | flags |
                (local_is_b ? ANKUS_FLOW_LOCAL_IS_B : 0);
  return 0;
}

/* A connection that reuses the tuple of an ended one starts from nothing. */
static __always_inline void begin_again(struct ankus_flow *flow, __u32 now) {
  flow->bytes[0] = flow->bytes[1] = 0;
  flow->packets[0] = flow->packets[1] = 0;
  flow->elephant_base = 0;
  flow->rate_start = now;
  flow->rate_bytes = 0;
  flow->busy_at = now;
  flow->created = now;
  flow->fast_start[0] = flow->fast_start[1] = now;
  flow->fast_bytes[0] = flow->fast_bytes[1] = 0;
  flow->fast_until[0] = flow->fast_until[1] = 0;
  flow->flags &= ~ANKUS_FLOW_ELEPHANT;
}

#endif
