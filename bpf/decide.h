/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The decisions, as pure functions without maps or helpers: the same code runs in GoogleTest
 * (tests/sense/decide_test.cc) and in the kernel. */
#ifndef ANKUS_DECIDE_H
#define ANKUS_DECIDE_H

#include "bpf/wire.h"

/* 1 if time a is at or after b; right across the wrap of 32-bit jiffies. */
static inline int ankus_reached(__u32 a, __u32 b) { return (__s32)(a - b) >= 0; }

/* Is `until` (0 = never set) still ahead? */
static inline int ankus_holds(__u32 until, __u32 now) { return until != 0 && !ankus_reached(now, until); }

/* The same of a deadline that nobody clears: it was set at most `length` ahead (by a CPU that may be a
 * tick or two further). One that lies long behind looks as if it were ahead again after 2^31
 * jiffies, which with HZ=1000 is 25 days. */
static inline int ankus_holds_still(__u32 until, __u32 now, __u32 length) {
  return until != 0 && until - now - 1 < length + 2;
}

/* A deadline `length` from now, never the 0 that means "never". */
static inline __u32 ankus_until(__u32 now, __u32 length) {
  __u32 until = now + length;
  return until ? until : 1;
}

/* Adds one packet to the running window of `direction` and says whether the flow is fast now: more
 * than `threshold` bytes within `window`, and for `hold` after. Two CPUs that start a window at
 * once may lose each other's packet; a flow is nearly always on one. */
static inline int ankus_fast_after(struct ankus_flow *flow, int direction, __u32 now, __u32 length,
                                   __u32 window, __u32 threshold, __u32 hold) {
  __u32 *start = &flow->fast_start[direction & 1];
  __u32 *bytes = &flow->fast_bytes[direction & 1];
  __u32 *until = &flow->fast_until[direction & 1];

  if (now - *start >= window) {
    *start = now;
    *bytes = 0;
  }
  if (__sync_fetch_and_add(bytes, length) + length > threshold) *until = ankus_until(now, hold);
  return ankus_holds_still(*until, now, hold);
}

enum ankus_change { ANKUS_NO_CHANGE, ANKUS_BEGINS, ANKUS_ENDS };

/* Elephant or not, after `total` bytes in all and `length` more just now. It begins when it has
 * moved elephant_bytes since it was last a mouse, or elephant_rate_bytes within elephant_window;
 * it ends when no such window was half full for elephant_calm. The caller sets the flag (once, by
 * compare-and-swap) and says so in an event. */
static inline enum ankus_change ankus_elephant_after(struct ankus_flow *flow, __u64 total, __u32 now,
                                                     __u64 length, const struct ankus_config *rule) {
  __u64 in_window;

  if (now - flow->rate_start >= rule->elephant_window) {
    flow->rate_start = now;
    flow->rate_bytes = 0;
  }
  in_window = __sync_fetch_and_add(&flow->rate_bytes, length) + length;
  if (in_window >= rule->elephant_rate_bytes / 2) flow->busy_at = now;

  if (!(flow->flags & ANKUS_FLOW_ELEPHANT)) {
    if (in_window >= rule->elephant_rate_bytes) return ANKUS_BEGINS;
    if (total >= flow->elephant_base && total - flow->elephant_base >= rule->elephant_bytes)
      return ANKUS_BEGINS;
    return ANKUS_NO_CHANGE;
  }
  if (ankus_reached(now, flow->busy_at + rule->elephant_calm)) return ANKUS_ENDS;
  return ANKUS_NO_CHANGE;
}

/* Takes `length` bytes from a workload's admission bucket. 1 = the workload is over its share of
 * the slow classes, now and for `hold`: so one transfer split over many slow flows gains nothing. */
static inline int ankus_over_admission(struct ankus_bucket *bucket, int side, __u32 now, __u32 length,
                                       __u32 per_jiffy, __u32 burst, __u32 hold) {
  __s32 *tokens = &bucket->tokens[side & 1];
  __u32 *filled_at = &bucket->filled_at[side & 1];
  __u32 *over_until = &bucket->over_until[side & 1];

  if (ankus_holds_still(*over_until, now, hold)) return 1;
  /* Not now, and not ahead of us: another CPU may be a tick further, or have begun a hold. */
  if (*filled_at - now > hold + 2) {
    __u64 gain = (__u64)(now - *filled_at) * per_jiffy;
    __s64 filled = (__s64)*tokens + (gain < burst ? (__s64)gain : (__s64)burst);
    *filled_at = now;
    *tokens = filled > (__s64)burst ? (__s32)burst : (__s32)filled;
  }
  if (__sync_fetch_and_add(tokens, -(__s32)length) - (__s32)length >= 0) return 0;
  *over_until = ankus_until(now, hold);
  *filled_at = *over_until; /* it fills from then on: else each hold would end with a burst */
  *tokens = 0;
  return 1;
}

#define ANKUS_LONGEST_LEASE (1U << 17) /* jiffies: 131 s with HZ=1000, 22 minutes with 100 */

/* Is a membership's lease over? One that a daemon left behind which is long dead is, too. */
static inline int ankus_lease_is_over(__u32 until, __u32 now) {
  return !ankus_holds_still(until, now, ANKUS_LONGEST_LEASE);
}

/* Has a flow that was not fast lived long enough to be called slow? In ages that fit 32 bits: after
 * 2^32 jiffies it must prove itself once more. */
static inline int ankus_is_proven(__u32 created, __u32 now, __u32 prove) {
  __u32 age = now - created;
  return age >= prove && age + 16 > age; /* not of one made by a CPU whose clock is a tick further */
}

enum ankus_verdict { ANKUS_SLOW, ANKUS_FAST, ANKUS_PROBATION };

/* The class of a packet before admission: fast flows by their speed whoever owns them; slow flows
 * of light workloads at once; those of others only when proven, that is `prove` old without having
 * been fast. Not knowing the owner counts as not light. */
static inline enum ankus_verdict ankus_verdict_of(int fast, __u32 weight, int proven) {
  if (fast) return ANKUS_FAST;
  if (weight == ANKUS_LIGHT || proven) return ANKUS_SLOW;
  return ANKUS_PROBATION;
}

/* The class of a slow packet whose owner is over admission. A heavy workload's are its elephants,
 * however many flows they are cut into: they are held as elephants are. A mixed one's may be mice. */
static inline enum ankus_verdict ankus_verdict_over_admission(__u32 weight) {
  return weight == ANKUS_HEAVY ? ANKUS_FAST : ANKUS_PROBATION;
}

/* Sorts the two ends of a packet into `key`: 0 if the source became end a, 1 if it became b. Any
 * total order will do as long as both directions agree. */
static inline int ankus_canonical(struct ankus_flow_key *key, const __u64 *source, __be16 source_port,
                                  const __u64 *target, __be16 target_port) {
  int swap = source[0] != target[0]   ? source[0] > target[0]
             : source[1] != target[1] ? source[1] > target[1]
                                      : source_port > target_port;
  const __u64 *a = swap ? target : source, *b = swap ? source : target;

  key->a[0] = a[0], key->a[1] = a[1];
  key->b[0] = b[0], key->b[1] = b[1];
  key->a_port = swap ? target_port : source_port;
  key->b_port = swap ? source_port : target_port;
  return swap;
}

#endif
