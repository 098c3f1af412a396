/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How TCP fares: per workload always, per connection when asked. Most of it is what the kernel counts
 * in each socket anyhow; the iterator reads it in all network namespaces at once (iter/tcp knows
 * only its own), since each connection that was seen has a little storage of ours. Timeouts and
 * recoveries are counted as they happen. BTF tracepoints and one iterator, no probes. */
#include "bpf/tcp_health.h"

#include "bpf/kernel.h"
#include "bpf/maps.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum { AF_INET = 2, AF_INET6 = 10, TCP_ESTABLISHED = 1, IPPROTO_TCP = 6 };
enum { TCP_CA_Recovery = 3, TCP_CA_Loss = 4 };

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct ankus_tcp_state);
} ankus_tcp_states SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, ANKUS_MAX_WORKLOADS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32); /* workload */
  __type(value, struct ankus_tcp_row);
} ankus_tcp_rows SEC(".maps");

/* A row of zeros, too large for the stack. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct ankus_tcp_row);
} ankus_tcp_zero SEC(".maps");

/* Inode of a network namespace -> workload; written by user space only. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, ANKUS_MAX_WORKLOADS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32);
  __type(value, __u32);
} ankus_tcp_spaces SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct ankus_tcp_config);
} ankus_tcp_config SEC(".maps");

/* The iterator's context (include/linux/bpf.h). */
struct seq_file;
struct bpf_iter_meta {
  struct seq_file *seq;
} KERNEL;
struct bpf_iter__bpf_sk_storage_map {
  struct bpf_iter_meta *meta;
  struct bpf_map *map;
  struct sock *sk;
  void *value;
} KERNEL;

static __always_inline struct ankus_tcp_row *row_of(__u32 workload) {
  struct ankus_tcp_row *row = bpf_map_lookup_elem(&ankus_tcp_rows, &workload), *none;
  __u32 zero = 0;

  if (row) return row;
  none = bpf_map_lookup_elem(&ankus_tcp_zero, &zero);
  if (!none) return 0;
  (void)bpf_map_update_elem(&ankus_tcp_rows, &workload, none, BPF_NOEXIST);
  return bpf_map_lookup_elem(&ankus_tcp_rows, &workload);
}

/* By the cgroup that made the socket, else by its namespace; 0 = nobody known. */
static __always_inline __u32 owner_of(const struct sock *sk) {
  __u64 cgroup = sk->sk_cgrp_data.cgroup->kn->id;
  __u32 space = sk->__sk_common.skc_net.net->ns.inum;
  __u32 *owner = bpf_map_lookup_elem(&ankus_cgroups, &cgroup);

  if (!owner) owner = bpf_map_lookup_elem(&ankus_tcp_spaces, &space);
  return owner ? *owner : 0;
}

static __always_inline void read_addresses(__u8 *local, __u8 *remote, const struct sock *sk) {
  if (sk->__sk_common.skc_family == AF_INET) {
    *(__u64 *)local = *(__u64 *)remote = 0;
    ((__u32 *)local)[2] = ((__u32 *)remote)[2] = bpf_htonl(0xffff);
    ((__u32 *)local)[3] = sk->__sk_common.skc_rcv_saddr;
    ((__u32 *)remote)[3] = sk->__sk_common.skc_daddr;
  } else if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
    bpf_core_read(local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
    bpf_core_read(remote, 16, &sk->__sk_common.skc_v6_daddr);
  }
}

static __always_inline int beyond_host(const struct sock *sk) {
  __u64 local[2] = {}, remote[2] = {};

  read_addresses((__u8 *)local, (__u8 *)remote, sk);
  return !ankus_is_loopback((__u8 *)local, (__u8 *)remote);
}

static __always_inline void read_counts(struct ankus_tcp_counts *counts, const struct tcp_sock *tcp) {
  counts->bytes_sent = tcp->bytes_sent;
  counts->bytes_retransmitted = tcp->bytes_retrans;
  counts->bytes_acked = tcp->bytes_acked;
  counts->bytes_received = tcp->bytes_received;
  counts->segments_sent = tcp->segs_out;
  counts->retransmits = tcp->total_retrans;
}

/* Adds what the socket has counted since its workload was last told. */
static __always_inline void tell(struct ankus_tcp_state *state, const struct ankus_tcp_counts *now, __u32 owner) {
  struct ankus_tcp_row *row = row_of(owner);

  if (!row) return;
  __sync_fetch_and_add(&row->moved.bytes_sent, ankus_grown(now->bytes_sent, state->told.bytes_sent));
  __sync_fetch_and_add(&row->moved.bytes_retransmitted,
                       ankus_grown(now->bytes_retransmitted, state->told.bytes_retransmitted));
  __sync_fetch_and_add(&row->moved.bytes_acked, ankus_grown(now->bytes_acked, state->told.bytes_acked));
  __sync_fetch_and_add(&row->moved.bytes_received, ankus_grown(now->bytes_received, state->told.bytes_received));
  __sync_fetch_and_add(&row->moved.segments_sent, ankus_grown(now->segments_sent, state->told.segments_sent));
  __sync_fetch_and_add(&row->moved.retransmits, ankus_grown(now->retransmits, state->told.retransmits));
  state->told = *now;
}

static __always_inline struct ankus_tcp_state *known(struct sock *sk) {
  return bpf_sk_storage_get(&ankus_tcp_states, sk, 0, 0);
}

/* Makes the storage of a connection that is older than the sensor: what it moved before is not told. */
static __always_inline struct ankus_tcp_state *make_known(struct sock *sk) {
  struct ankus_tcp_state *state = known(sk);
  const struct tcp_sock *tcp;

  if (state || !beyond_host(sk) || (tcp = bpf_skc_to_tcp_sock(sk)) == 0) return state;
  state = bpf_sk_storage_get(&ankus_tcp_states, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (state) read_counts(&state->told, tcp);
  return state;
}

/* The state of the socket when a packet comes: the last RTT sample is that of the packet before. */
static __always_inline void note(struct ankus_tcp_state *state, const struct sock *sk, const struct tcp_sock *tcp) {
  __u32 queue = tcp->write_seq - tcp->snd_una;
  __u64 sample = tcp->rack.mstamp;
  struct ankus_tcp_row *row;
  __u32 rtt, bucket;

  if (queue > state->send_queue_max) state->send_queue_max = queue;
  if (sample == state->sample) return;
  state->sample = sample;
  rtt = tcp->rack.rtt_us;
  if (!rtt || rtt == ~0U) return;
  state->rtt_samples += 1;
  state->rtt_sum += rtt;
  row = row_of(owner_of(sk));
  bucket = ankus_latency_bucket((__u64)rtt * 1000);
  if (!row || bucket >= ANKUS_HISTOGRAM_BUCKETS) return;
  __sync_fetch_and_add(&row->rtt[bucket], 1);
  __sync_fetch_and_add(&row->rtt_samples, 1);
  __sync_fetch_and_add(&row->rtt_sum, rtt);
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(ankus_tcp_packet, struct sock *sk) {
  __u32 zero = 0;
  const struct ankus_tcp_config *rule = bpf_map_lookup_elem(&ankus_tcp_config, &zero);
  const struct tcp_sock *tcp;
  struct ankus_tcp_state *state;

  if (!rule || !ankus_sampled(rule->shift ? bpf_get_prandom_u32() : 0, rule->shift)) return 0;
  state = make_known(sk);
  if (state && (tcp = bpf_skc_to_tcp_sock(sk)) != 0) note(state, sk, tcp);
  return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(ankus_tcp_opens, const struct sock *sk, const int before, const int after) {
  struct ankus_tcp_state *state;
  struct ankus_tcp_row *row;

  if (after != TCP_ESTABLISHED || sk->sk_protocol != IPPROTO_TCP || !beyond_host(sk)) return 0;
  state = bpf_sk_storage_get(&ankus_tcp_states, (struct sock *)sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!state) return 0;
  state->established = bpf_ktime_get_ns();
  row = row_of(owner_of(sk));
  if (row) __sync_fetch_and_add(&row->opened, 1);
  return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(ankus_tcp_closes, struct sock *sk) {
  struct ankus_tcp_state *state = known(sk);
  const struct tcp_sock *tcp;
  struct ankus_tcp_counts now;
  struct ankus_tcp_row *row;
  __u32 owner;

  if (!state || (tcp = bpf_skc_to_tcp_sock(sk)) == 0) return 0;
  owner = owner_of(sk);
  read_counts(&now, tcp);
  note(state, sk, tcp);
  tell(state, &now, owner);
  row = row_of(owner);
  if (row) __sync_fetch_and_add(&row->closed, 1);
  return 0;
}

SEC("tp_btf/tcp_cong_state_set")
int BPF_PROG(ankus_tcp_congestion, struct sock *sk, const __u8 next) {
  struct ankus_tcp_state *state;
  struct ankus_tcp_row *row;

  if (next != TCP_CA_Recovery && next != TCP_CA_Loss) return 0;
  state = make_known(sk);
  if (!state) return 0;
  row = row_of(owner_of(sk));
  if (next == TCP_CA_Loss) {
    state->timeouts += 1;
    if (row) __sync_fetch_and_add(&row->timeouts, 1);
  } else {
    state->fast_retransmits += 1;
    if (row) __sync_fetch_and_add(&row->fast_retransmits, 1);
  }
  return 0;
}

SEC("iter/bpf_sk_storage_map")
int ankus_tcp_list(struct bpf_iter__bpf_sk_storage_map *context) {
  struct ankus_tcp_state *state = context->value;
  struct sock *sk = context->sk;
  struct ankus_tcp_record record = {};
  const struct tcp_sock *tcp;

  if (!state || !sk || (tcp = bpf_skc_to_tcp_sock(sk)) == 0) return 0;
  read_addresses(record.local, record.remote, sk);
  record.local_port = sk->__sk_common.skc_num;
  record.remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
  record.owner = owner_of(sk);
  record.state = sk->__sk_common.skc_state;
  read_counts(&record.counts, tcp);
  tell(state, &record.counts, record.owner);
  record.established = state->established;
  record.now = bpf_ktime_get_ns();
  record.rtt_sum = state->rtt_sum;
  record.rtt_samples = state->rtt_samples;
  record.fast_retransmits = state->fast_retransmits;
  record.timeouts = state->timeouts;
  record.flight_packets = tcp->packets_out;
  record.flight_bytes = tcp->snd_nxt - tcp->snd_una;
  record.peer_window = tcp->snd_wnd;
  record.own_window = tcp->rcv_wnd;
  record.congestion_window = tcp->snd_cwnd;
  record.mss = tcp->mss_cache;
  record.send_queue = tcp->write_seq - tcp->snd_una;
  record.unsent = tcp->write_seq - tcp->snd_nxt;
  record.unread = tcp->rcv_nxt - tcp->copied_seq;
  record.memory = sk->sk_wmem_queued;
  record.smoothed_rtt = tcp->srtt_us >> 3;
  record.send_queue_max = state->send_queue_max > record.send_queue ? state->send_queue_max : record.send_queue;
  bpf_seq_write(context->meta->seq, &record, sizeof record);
  return 0;
}

/* Brings the workloads' rows up to date, and no more. A byte for each socket, so that the reader's
 * buffer says how many are visited at a stretch: the kernel does not give the CPU away in between. */
SEC("iter/bpf_sk_storage_map")
int ankus_tcp_tell(struct bpf_iter__bpf_sk_storage_map *context) {
  struct ankus_tcp_state *state = context->value;
  struct sock *sk = context->sk;
  struct ankus_tcp_counts now;
  const struct tcp_sock *tcp;
  __u8 one = 1;

  if (!state || !sk || (tcp = bpf_skc_to_tcp_sock(sk)) == 0) return 0;
  read_counts(&now, tcp);
  if (ankus_moved(&now, &state->told)) tell(state, &now, owner_of(sk));
  bpf_seq_write(context->meta->seq, &one, sizeof one);
  return 0;
}
