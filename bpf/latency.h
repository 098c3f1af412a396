/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The latency sensor's wire structs and decisions: what bpf/latency.bpf.c counts, sense/latency.cc
 * reads and tests/sense/latency_decide_test.cc tries. Times are CLOCK_MONOTONIC ns. */
#ifndef ANKUS_LATENCY_H
#define ANKUS_LATENCY_H

#include "bpf/decide.h"

#define ANKUS_HISTOGRAM_BUCKETS 256
#define ANKUS_ONE 65536U /* so many parts is one packet; sampling goes down to 1 in so many */

/* Where a packet was last seen. "Device" is the host's side of a workload's device. */
enum ankus_point {
  ANKUS_AT_NOTHING,
  ANKUS_AT_UPLINK_IN,     /* netif_receive_skb of an uplink */
  ANKUS_AT_IFB,           /* net_dev_queue of the ifb behind it */
  ANKUS_AT_IFB_LEFT,
  ANKUS_AT_DEVICE_IN,     /* net_dev_queue of the device: to the workload */
  ANKUS_AT_SOCKET,        /* tcp_probe, or sk_data_ready where the kernel has it */
  ANKUS_AT_CONTAINER_OUT, /* net_dev_queue in another namespace, the last before the host's */
  ANKUS_AT_DEVICE_OUT,    /* netif_receive_skb of the device: from the workload */
  ANKUS_AT_UPLINK_OUT,    /* net_dev_queue of an uplink, in front of its qdisc */
  ANKUS_POINTS
};

enum ankus_segment {
  ANKUS_SEGMENT_HOST_IN,        /* uplink in to device in: routing, netfilter, the ifb's queue */
  ANKUS_SEGMENT_IFB,            /* the ifb's qdisc alone */
  ANKUS_SEGMENT_STACK_IN,       /* device in to socket */
  ANKUS_SEGMENT_READ,           /* socket to skb_copy_datagram_iovec: waits for the application */
  ANKUS_SEGMENT_STACK_AND_READ, /* device in to read, where the socket's probe saw nothing */
  ANKUS_SEGMENT_IN,             /* uplink in to socket, all of the receive path */
  ANKUS_SEGMENT_IN_AND_READ,    /* uplink in to read, where the socket's probe saw nothing */
  ANKUS_SEGMENT_SEND,           /* tcp_sendmsg_locked to the first device: TCP's own queue */
  ANKUS_SEGMENT_CONTAINER_OUT,  /* container out to device out: the veth pair and the backlog */
  ANKUS_SEGMENT_HOST_OUT,       /* device out to uplink out: routing, netfilter */
  ANKUS_SEGMENT_QDISC,          /* uplink out to qdisc_dequeue (net_dev_start_xmit without one) */
  ANKUS_SEGMENT_OUT,            /* container out (or device out) to the same: all of the path */
  ANKUS_SEGMENT_ROUND_TRIP, /* a VM's TCP: device out to the device in of what acknowledges it */
  ANKUS_SEGMENTS
};

struct ankus_latency_key {
  __u32 workload; /* 0 = nobody known */
  __u32 segment;
};

/* What one workload's packets did in one segment; only ever grows while a window is open. */
struct ankus_latency_row {
  __u64 counts[ANKUS_HISTOGRAM_BUCKETS]; /* see ankus_latency_bucket() */
  __u64 begun;    /* entered the segment and were sampled: what there was to measure */
  __u64 dropped;  /* of those, the kernel has freed as lost: nothing to measure */
  __u64 split;    /* of those, cut up inside a qdisc: not measured, as they go on as other packets */
  __u64 merged;   /* of those, about so many travel on inside another one: GRO, the socket's queue */
  __u64 sum;
  __u64 max;
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_latency_row) == 2096, "layout");

/* Per CPU and workload: all that came to the end of a segment whose beginning does not know the owner,
 * each as the share of ANKUS_ONE that was sampled then. */
struct ankus_latency_passed {
  __u64 host_in, container_out;
  __u64 window;
};

#define ANKUS_MARKS 16384 /* a power of two */

/* How many addresses of each hash are in the tables: most packets are not sampled, and one look here
 * says so. Others with the same hash are looked up in vain. */
struct ankus_latency_marks {
  __u64 base; /* its own address */
  __u32 slots[ANKUS_MARKS];
};
static inline __u32 ankus_mark_slot(__u64 address) {
  return (__u32)(address * 0x9e3779b97f4a7c15ULL >> 50); /* Fibonacci hashing: the high 14 bits */
}

/* The first probes of a packet do not know whose it is. What has sampled packets of a workload to be
 * spared told at the device is remembered for the next: by namespace, and for what an uplink
 * receives by the hash that the NIC (or the sender on this host) has computed of its flow. */
#define ANKUS_LEARNED 4096 /* a power of two; another with the same slot takes its place */
struct ankus_latency_namespace {
  __u64 cookie;
  __u32 owner;
  __u32 pad;
};

/* A sampled packet on its way, under the address of its sk_buff. The address is reused at once,
 * and not every way to free one has a tracepoint, so the packet's `print` is compared. */
struct ankus_latency_packet {
  __u64 at;    /* when it was at `point` */
  __u64 first; /* when it was seen first */
  __u64 print;
  __u32 owner;
  __u32 window;
  __u64 source; /* until the owner is known: the cookie of the container's namespace, or the flow's hash */
  __u64 waited; /* in the ifb (while in it: since when), or in TCP's own queue before it was sent */
  __u32 length; /* TCP: of the payload, when it was at `point` */
  __u8 point;
  __u8 flags;
  __u8 pad[2];
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_latency_packet) == 56, "layout");

enum ankus_packet_flag {
  ANKUS_PACKET_NO_QUEUE = 1, /* the qdisc never cuts packets up: if it is freed, that was to send it */
  ANKUS_PACKET_WHOLE = 2,    /* `first` is where the segment that covers all of the path begins */
  ANKUS_PACKET_ALIAS = 4,    /* under the address of its data, which a raw socket's clone shares */
  ANKUS_PACKET_ONLY_SEND = 8, /* not sampled for its own sake */
  ANKUS_PACKET_DATAGRAM = 16, /* UDP: if it is freed at its end, that is since it was read */
  ANKUS_PACKET_STREAM = 32    /* TCP: if it is freed at a device's end, a VM's reader has taken it */
};

/* What is read from a packet's headers. */
struct ankus_headers {
  __u64 network; /* address of the network header */
  __u64 print;
  __u32 v6;
  __u32 protocol;
  __u32 payload;  /* TCP: has some; else 1 */
  __u32 sequence; /* TCP: of the first byte, host order */
  __u32 length;   /* TCP: of the payload; of a GSO packet too large for IP's own field 0 */
  __u32 echo;     /* an ICMP echo reply */
  __u32 tcp_header; /* its length */
  __u32 pad;
};

#define ANKUS_INTERRUPTED 1048576 /* ns; in emulation one takes 100 us */

/* One row; written by user space only. */
struct ankus_latency_config {
  __u32 until;  /* jiffies; 0 = no window is open. Not reached: sample. Works if user space dies */
  __u32 shift;  /* 1 of 2^shift packets is sampled */
  __u32 window; /* number of the window: packets of an earlier one are not reported */
  __u32 spare; /* of workloads to be spared, 1 of 2^(shift + spare) */
  __u64 netns_cookie; /* the host's */
};

/* Per CPU, of one window. */
struct ankus_latency_cost {
  __u64 events;  /* times that a program ran */
  __u64 next;    /* the event that is measured next: 1 of 256, at random, as each packet passes the
                  * same probes in the same order */
  __u64 timed;   /* of those, measured */
  __u64 time;    /* ns in all measured ones, one clock read included: about what the kernel's own
                  * dispatch takes, which cannot be measured here */
  __u64 interrupted; /* measured, and longer than any can take: others ran meanwhile; not in `time` */
  __u64 sampled; /* packets chosen */
  __u64 no_room; /* of those, the table had no place for; or there was none for a row */
  __u64 reused;  /* entries of packets that had vanished without a tracepoint */
};

/* A byte written by tcp_sendmsg_locked that no packet has carried yet; one at a time per socket. */
struct ankus_latency_send {
  __u64 at;
  __u32 sequence;
  __u32 window;
};

/* A connection as the device sees it, and the byte whose acknowledgement it waits for; one at a time. */
struct ankus_trip_key {
  __u64 local[2], remote[2]; /* the workload's end first; IPv4 as ::ffff:a.b.c.d */
  __be16 local_port, remote_port;
  __u32 ifindex;
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_trip_key) == 40, "no holes in a hash key");
struct ankus_trip {
  __u64 at;
  __u32 expected; /* acknowledgement number */
  __u32 window;
};

enum ankus_trip_step { ANKUS_TRIP_NOTHING, ANKUS_TRIP_BEGINS, ANKUS_TRIP_ENDS, ANKUS_TRIP_VOID };

/* What a segment that leaves means for the sample (0: none runs): nothing while one runs, unless its
 * bytes are sent again, as then nobody can tell which sending is acknowledged (Karn). */
static inline enum ankus_trip_step ankus_trip_leaving(const struct ankus_trip *running, __u32 sequence,
                                                      __u32 length) {
  if (!length) return ANKUS_TRIP_NOTHING;
  if (!running) return ANKUS_TRIP_BEGINS;
  return (__s32)(sequence - running->expected) < 0 ? ANKUS_TRIP_VOID : ANKUS_TRIP_NOTHING;
}
static inline enum ankus_trip_step ankus_trip_arriving(const struct ankus_trip *running, __u32 acknowledged) {
  return running && (__s32)(acknowledged - running->expected) >= 0 ? ANKUS_TRIP_ENDS : ANKUS_TRIP_NOTHING;
}

#define ANKUS_READS 16

/* UDP copies a datagram that is in one piece without a tracepoint, but the socket is known when
 * recvmsg() ends, and its queue is first in, first out: a datagram is read when as many calls have
 * ended as there were datagrams in the queue with it. */
struct ankus_latency_reads {
  __u64 address[ANKUS_READS]; /* of sampled packets in the queue, a ring */
  __u64 at[ANKUS_READS];      /* as in their ankus_latency_packet */
  __u32 turn[ANKUS_READS];    /* the call that reads it */
  __u32 calls;
  __u32 first, last; /* of the ring; equal = empty */
  __u32 pad;
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_latency_reads) == 336, "layout");

/* Four buckets to each power of two; 0 to 3 ns have one each (model/histogram.h has the same). */
static inline __u32 ankus_latency_bucket(__u64 value) {
  __u32 octave = 0;
  __u64 rest = value;

  if (value < 4) return (__u32)value;
  if (rest >> 32) octave += 32, rest >>= 32;
  if (rest >> 16) octave += 16, rest >>= 16;
  if (rest >> 8) octave += 8, rest >>= 8;
  if (rest >> 4) octave += 4, rest >>= 4;
  if (rest >> 2) octave += 2, rest >>= 2;
  if (rest >> 1) octave += 1;
  return octave * 4 + ((__u32)(value >> (octave - 2)) & 3);
}

/* About how many packets have been merged into one that was `before` bytes long and is `now`. */
static inline __u32 ankus_merged(__u32 before, __u32 now) {
  return before && now > before ? (now - before + before / 2) / before : 0;
}

/* Is this packet one of the 1 of 2^shift? */
static inline int ankus_sampled(__u32 random, __u32 shift) {
  return shift < 32 ? (random & ((1U << shift) - 1)) == 0 : 0;
}

/* The segment that a packet at `point` is in and that has counted it as begun; ANKUS_SEGMENTS: none,
 * as nobody knows yet whose packet it is. */
static inline __u32 ankus_pending(__u32 point) {
  if (point == ANKUS_AT_DEVICE_IN) return ANKUS_SEGMENT_STACK_IN;
  if (point == ANKUS_AT_SOCKET) return ANKUS_SEGMENT_READ;
  if (point == ANKUS_AT_DEVICE_OUT) return ANKUS_SEGMENT_HOST_OUT;
  if (point == ANKUS_AT_UPLINK_OUT) return ANKUS_SEGMENT_QDISC;
  return ANKUS_SEGMENTS;
}

/* What stays the same while a packet is forwarded, masqueraded, cloned and merged by GRO: IPv4's id or
 * IPv6's flow label, the protocol, and TCP's sequence and acknowledgement numbers. `number` and
 * `number2` are 0 for what has none. */
static inline __u64 ankus_print(__u32 id, __u32 protocol, __u32 number, __u32 number2) {
  __u64 print = ((__u64)(number ^ (number2 << 16 | number2 >> 16)) << 32) | (id ^ protocol << 24);
  return print ? print : 1;
}

#endif
