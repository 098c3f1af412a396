/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The TCP sensor's wire structs and decisions: what bpf/tcp_health.bpf.c counts, sense/tcp_health.cc
 * reads and tests/sense/tcp_health_decide_test.cc tries. */
#ifndef ANKUS_TCP_HEALTH_H
#define ANKUS_TCP_HEALTH_H

#include "bpf/latency.h"

/* A socket's own counters, which only grow (and begin anew with a new connection). */
struct ankus_tcp_counts {
  __u64 bytes_sent; /* retransmitted ones included */
  __u64 bytes_retransmitted;
  __u64 bytes_acked;
  __u64 bytes_received;
  __u32 segments_sent; /* data, ACKs, retransmissions */
  __u32 retransmits;   /* segments */
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_tcp_counts) == 40, "layout");

/* What is kept with a socket beside what the kernel itself keeps; goes when it goes. */
struct ankus_tcp_state {
  struct ankus_tcp_counts told; /* as far as its workload's row has been told */
  __u64 established;            /* CLOCK_MONOTONIC ns; 0: before we looked */
  __u64 sample;                 /* which RTT sample was the last: tcp_rack.mstamp */
  __u64 rtt_sum;                /* us */
  __u32 rtt_samples;            /* that were seen: one for each packet received, at most */
  __u32 fast_retransmits;       /* times that it began to recover without a timeout */
  __u32 timeouts;
  __u32 send_queue_max; /* bytes written and not yet acknowledged, as seen when packets came */
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_tcp_state) == 80, "layout");

/* Of one workload, since the sensor began. */
struct ankus_tcp_row {
  struct {
    __u64 bytes_sent, bytes_retransmitted, bytes_acked, bytes_received;
    __u64 segments_sent, retransmits;
  } moved;
  __u64 fast_retransmits, timeouts;
  __u64 opened, closed;
  __u64 rtt_samples, rtt_sum; /* us */
  __u64 rtt[ANKUS_HISTOGRAM_BUCKETS]; /* ns, see ankus_latency_bucket() */
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_tcp_row) == 2144, "layout");

/* One connection as the iterator writes it. */
struct ankus_tcp_record {
  __u8 local[16], remote[16]; /* IPv4 as ::ffff:a.b.c.d */
  __u16 local_port, remote_port;
  __u32 owner;
  struct ankus_tcp_counts counts;
  __u64 established, now; /* CLOCK_MONOTONIC ns; established 0: before we looked */
  __u64 rtt_sum;
  __u32 rtt_samples, fast_retransmits, timeouts, send_queue_max;
  __u32 flight_packets, flight_bytes;
  __u32 peer_window, own_window, congestion_window, mss;
  __u32 send_queue;  /* bytes written and not yet acknowledged */
  __u32 memory;      /* that the send queue takes, sk_wmem_queued */
  __u32 unsent;      /* of send_queue, not yet sent for the first time */
  __u32 unread;      /* bytes received and not yet read */
  __u32 smoothed_rtt; /* us */
  __u32 state;
};
ANKUS_STATIC_ASSERT(sizeof(struct ankus_tcp_record) == 168, "layout");

/* One row; written by user space only. */
struct ankus_tcp_config {
  __u32 shift; /* of 2^shift packets received, one is looked at */
  __u32 pad;
};

/* How much a counter has grown; one that is lower than before belongs to a new connection. */
static inline __u64 ankus_grown(__u64 now, __u64 told) { return now >= told ? now - told : now; }

/* Has the connection done anything since? What it sends, also again, is in the segments. */
static inline int ankus_moved(const struct ankus_tcp_counts *now, const struct ankus_tcp_counts *told) {
  return now->segments_sent != told->segments_sent || now->bytes_received != told->bytes_received ||
         now->bytes_acked != told->bytes_acked;
}

/* Neither end is beyond this host: no network is involved. Addresses as in the record. */
static inline int ankus_is_loopback(const __u8 *local, const __u8 *remote) {
  const __u64 *a = (const __u64 *)local, *b = (const __u64 *)remote;
  int v4 = !remote[0] && !remote[9] && remote[10] == 0xff && remote[11] == 0xff;

  return (a[0] == b[0] && a[1] == b[1]) || (v4 && remote[12] == 127);
}

#endif
