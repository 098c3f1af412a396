/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What crosses a BPF map, declared once: included by the kernel side and by controller/sense.
 * All times are the low 32 bits of jiffies (compare by signed difference, they wrap after 198 days
 * at 250 Hz); user space learns the tick length at start and never guesses it. */
#ifndef ANKUS_WIRE_H
#define ANKUS_WIRE_H

#include <linux/types.h>

#ifdef __cplusplus
#define ANKUS_STATIC_ASSERT static_assert
extern "C" {
#else
#define ANKUS_STATIC_ASSERT _Static_assert
#endif

/* Bumped whenever a layout below changes: pinned maps of another version are not reused. */
#define ANKUS_WIRE_VERSION 6

#define ANKUS_MAX_WORKLOADS 4096
#define ANKUS_MAX_DEVICES 8192
#define ANKUS_RSS_ENTRIES 4096 /* of all devices' indirection tables together */

/* A flow as the wire beyond the uplink sees it (after NAT), both directions in one entry: the end
 * that sorts first is a. Zone is conntrack's, and 0 for what crosses an uplink, where tuples are
 * unique whatever zone they came from. Protocols without ports have port 0. */
struct ankus_flow_key {
  __u64 a[2], b[2]; /* addresses in network order, IPv4 as ::ffff:a.b.c.d */
  __be16 a_port, b_port;
  __u8 protocol;
  __u8 family; /* 4 or 6 */
  __u16 zone;
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_flow_key) == 40, "no holes in a hash key");

enum ankus_flow_flag {
  ANKUS_FLOW_CT = 1,           /* counted by the conntrack sensor; else by the device `count_if` */
  ANKUS_FLOW_ALIAS = 2,        /* the inner side of a flow that another entry reports */
  ANKUS_FLOW_LOCAL_IS_B = 4,   /* which end is the owner's */
  ANKUS_FLOW_OWNER_DEVICE = 8, /* owner known by its device, which also counts its usage */
  ANKUS_FLOW_ELEPHANT = 16,
  ANKUS_FLOW_OTHER_SEEN = 32,  /* the inner side has been found, or there is no NAT */
  ANKUS_FLOW_AGGREGATE = 64,   /* stands for all flows of an owner over its quota */
  ANKUS_FLOW_ACCT = 128,       /* counters are conntrack's own, exact */
  ANKUS_FLOW_OWNER_TRIED = 256, /* the dear ways to find the owner were tried once */
  ANKUS_FLOW_ENDED = 512,       /* TCP has closed: its place may be given to another at once */
  ANKUS_FLOW_NO_ACCT = 1024     /* conntrack keeps no counters of it, see read_accounting() */
};

struct ankus_flow {
  __u64 bytes[2]; /* [0] a to b, [1] b to a; layer 3 */
  __u64 packets[2];
  __u64 ct;            /* address of the nf_conn: an identity, never dereferenced by user space */
  __u64 elephant_base; /* bytes when it last became a mouse */
  __u64 rate_bytes;    /* of the running window of the elephant rule */
  __u32 rate_start;
  __u32 busy_at;       /* when a window of that rule was last at least half full */
  __u32 created, seen;
  __u32 fast_start[2], fast_bytes[2]; /* the running window of the fast rule, per direction */
  __u32 fast_until[2];                /* 0 = never was */
  __u32 owner;
  __u32 count_if; /* the device that counts it while conntrack does not */
  __u32 flags;
  __u32 iif; /* device it came from when its owner was last looked up */
  struct ankus_flow_key inner; /* before NAT, sorted by itself; protocol 0 where there is no NAT */
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_flow) == 152, "layout");

enum ankus_device_role { ANKUS_ROLE_UPLINK = 1, ANKUS_ROLE_WORKLOAD = 2 };
enum ankus_device_flag {
  ANKUS_DEVICE_IFB = 1,             /* carries what an uplink receives */
  ANKUS_DEVICE_INGRESS_ON_IFB = 2,  /* an ifb sees what this uplink receives: do not look twice */
  ANKUS_DEVICE_GUEST = 4            /* a VM's tap: what is behind it has no socket in this kernel */
};

/* Written by user space only. */
struct ankus_device {
  __u32 role;
  __u32 owner;        /* of a workload's device */
  __u32 flags;
  __u32 header_bytes; /* link layer header in front of layer 3: 14, or 0 where there are no Ethernet frames */
  __u32 fast_bytes;   /* the fast rule's threshold per window, for this link's rate */
  __u32 admission_per_jiffy; /* bytes one workload may put into slow classes */
  __u32 admission_burst, admission_burst_others; /* of light and new workloads, and of all others */
  __u16 major;        /* of the tree on it, 0 = only watch */
  __u16 probation_class;
  __u32 rss_first, rss_size; /* of an uplink: its rows in ankus_rss; a power of two, 0 = not counted */
};

/* Per CPU and entry of an indirection table: what came with a hash that is for it; only ever grows. */
struct ankus_rss_entry {
  __u64 packets, elephant_packets;
  __u64 queues;   /* sum of the packets' receive queues, counted from 1; 0 = not told */
  __u64 unhashed; /* in a table's first row: packets that no hash came with */
};

/* Written by user space only. Row 0 is for traffic whose owner is not known and has no lease. */
struct ankus_member {
  __u16 slow_class, fast_class; /* 0: probation */
  __u32 weight;                 /* enum ankus_weight */
  __u32 lease_until;            /* after it the row counts as unknown */
};
enum ankus_weight { ANKUS_UNKNOWN = 0, ANKUS_LIGHT = 1, ANKUS_HEAVY = 2, ANKUS_MIXED = 3 };

/* Written by the kernel side (user space subtracts from live_flows when it sweeps). [0] leaving
 * the host, [1] arriving through an ifb. */
struct ankus_bucket {
  __s32 tokens[2];
  __u32 filled_at[2];
  __u32 over_until[2]; /* 0 = never was */
  __u32 live_flows;
  __u32 pad;
};

/* Per CPU and workload; only ever grows. */
struct ankus_usage {
  __u64 transmitted_bytes, received_bytes;
  __u64 transmitted_packets, received_packets;
  __u64 new_flows;
  __u64 elephant_bytes; /* of either direction, by flows while they are elephants */
};

/* One row; written by user space only. Durations in jiffies. */
struct ankus_config {
  __u32 fast_window, fast_hold, prove, admission_hold;
  __u64 elephant_bytes;
  __u64 elephant_rate_bytes; /* per elephant_window; ~0 = no rate rule */
  __u32 elephant_window, elephant_calm;
  __u32 flows_per_owner;
  __u32 last_packets; /* what still comes after a FIN would else make a flow of its own */
  __u64 netns_cookie; /* only this namespace's conntrack is counted */
};

/* One row, written by the kernel side. */
struct ankus_pressure {
  __u32 told_at; /* when user space was last told that the table is full */
};

enum ankus_event_kind { ANKUS_ELEPHANT_BEGINS = 1, ANKUS_ELEPHANT_ENDS = 2, ANKUS_TABLE_FULL = 3 };

struct ankus_event {
  __u32 kind;
  __u32 owner;
  __u64 at_ns; /* CLOCK_MONOTONIC */
  struct ankus_flow_key key;
  __u64 bytes[2];
};

enum ankus_counter {
  ANKUS_COUNT_MAP_FULL,      /* a flow found no room: unknown, in probation, never a mouse */
  ANKUS_COUNT_MAP_BUSY,      /* the hash bucket's lock was taken: as above, for this packet */
  ANKUS_COUNT_OVER_QUOTA,
  ANKUS_COUNT_EVENT_LOST,    /* ring buffer full: user space reads the map again */
  ANKUS_COUNT_NO_OWNER,      /* times that a flow's owner was looked for and nobody knew */
  ANKUS_COUNT_LEASE_EXPIRED, /* packets classed as unknown since nobody renewed the row */
  ANKUS_COUNT_UNPARSED,      /* packets that are not IP, or cut short */
  ANKUS_COUNT_HIT_CONNTRACK, /* "attached" proves nothing: each hook counts that it fires */
  ANKUS_COUNT_HIT_WORKLOAD,
  ANKUS_COUNT_HIT_UPLINK,
  ANKUS_COUNT_HIT_FREE,
  ANKUS_COUNT_CLASS_SLOW,
  ANKUS_COUNT_CLASS_FAST,
  ANKUS_COUNT_CLASS_PROBATION,
  ANKUS_COUNT_OWNER_BY_DEVICE, /* how new flows' owners were found */
  ANKUS_COUNT_OWNER_BY_INNER,
  ANKUS_COUNT_OWNER_BY_CGROUP,
  ANKUS_COUNT_OWNER_BY_LOOKUP,
  ANKUS_COUNTERS
};

#ifdef __cplusplus
}
#endif
#endif
