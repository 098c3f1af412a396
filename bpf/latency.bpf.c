/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a host adds to its workloads' packets, segment by segment (enum ankus_segment in latency.h).
 * BTF tracepoints only. A sampled packet is noted under the address of its sk_buff, which stays the
 * same through routing, NAT, veth and the crossing of namespaces. Attached only while a window is
 * open; the window's end is checked here too, so a dead daemon leaves nothing that counts. */
#include "bpf/latency.h"

#include "bpf/maps.h"
#include "bpf/socket.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* max_entries is set before loading. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, __u64); /* address of the sk_buff */
  __type(value, struct ankus_latency_packet);
} ankus_latency_packets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, ANKUS_MAX_WORKLOADS * 4);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct ankus_latency_key);
  __type(value, struct ankus_latency_row);
} ankus_latency_rows SEC(".maps");

/* A row of zeros, too large for the stack; others that are smaller begin from it too. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct ankus_latency_row);
} ankus_latency_zero SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64); /* address of the sock */
  __type(value, struct ankus_latency_send);
} ankus_latency_sends SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, struct ankus_trip_key);
  __type(value, struct ankus_trip);
} ankus_latency_trips SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64); /* address of the sock */
  __type(value, struct ankus_latency_reads);
} ankus_latency_reads SEC(".maps");

/* Of the addresses in the three tables that are keyed by address. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct ankus_latency_marks);
} ankus_latency_marks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, ANKUS_MAX_WORKLOADS);
  __type(key, __u32);
  __type(value, struct ankus_latency_passed);
} ankus_latency_passed SEC(".maps");

/* By workload: 1 = fewer of its packets are sampled. Written by user space only. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, ANKUS_MAX_WORKLOADS);
  __type(key, __u32);
  __type(value, __u32);
} ankus_latency_spared SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, ANKUS_LEARNED);
  __type(key, __u32); /* from the cookie */
  __type(value, struct ankus_latency_namespace);
} ankus_latency_namespaces SEC(".maps");

/* By workload: cookie of the namespace that was learned last. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, ANKUS_MAX_WORKLOADS);
  __type(key, __u32);
  __type(value, __u64);
} ankus_latency_cookies SEC(".maps");

/* Flows by their hash: hash << 32 | owner. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, ANKUS_LEARNED);
  __type(key, __u32); /* from the hash */
  __type(value, __u64);
} ankus_latency_flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct ankus_latency_config);
} ankus_latency_config SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct ankus_latency_cost);
} ankus_latency_cost SEC(".maps");

typedef const struct ankus_latency_config rule_t;
typedef struct ankus_latency_packet packet_t;

static __always_inline struct ankus_latency_cost *cost(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&ankus_latency_cost, &zero);
}

/* 0 if no window is open. *began is set for the events whose cost is measured. */
static __always_inline rule_t *begin(__u64 *began) {
  __u32 zero = 0;
  rule_t *rule = bpf_map_lookup_elem(&ankus_latency_config, &zero);
  struct ankus_latency_cost *own = cost();

  *began = 0;
  if (!rule || !own || !ankus_holds(rule->until, now_jiffies())) return 0;
  if (own->events++ >= own->next) {
    own->next = own->events + (bpf_get_prandom_u32() & 511);
    *began = bpf_ktime_get_ns();
  }
  return rule;
}

static __always_inline void end(__u64 began) {
  struct ankus_latency_cost *own;
  __u64 time;

  if (!began || (own = cost()) == 0) return;
  time = bpf_ktime_get_ns() - began;
  own->timed += 1;
  if (time < ANKUS_INTERRUPTED) own->time += time;
  else own->interrupted += 1;
}

static __always_inline __u32 draw(rule_t *rule) {
  return rule->shift + rule->spare ? bpf_get_prandom_u32() : 0;
}

static __always_inline __u32 shift_of(__u32 owner, rule_t *rule) {
  __u32 *spared = rule->spare ? bpf_map_lookup_elem(&ankus_latency_spared, &owner) : 0;
  return spared && *spared ? rule->shift + rule->spare : rule->shift;
}

static __always_inline __u32 shift_of_namespace(__u64 cookie, rule_t *rule) {
  __u32 slot = cookie & (ANKUS_LEARNED - 1);
  struct ankus_latency_namespace *known =
      rule->spare ? bpf_map_lookup_elem(&ankus_latency_namespaces, &slot) : 0;
  return known && known->cookie == cookie ? shift_of(known->owner, rule) : rule->shift;
}

static __always_inline __u32 shift_of_flow(__u32 hash, rule_t *rule) {
  __u32 slot = hash & (ANKUS_LEARNED - 1);
  __u64 *known = rule->spare && hash ? bpf_map_lookup_elem(&ankus_latency_flows, &slot) : 0;
  __u64 entry = known ? *known : 0;
  return entry >> 32 == hash && hash ? shift_of((__u32)entry, rule) : rule->shift;
}

/* What a container's packets that reach its device were sampled by, see container_out(). */
static __always_inline __u32 shift_before(__u32 owner, rule_t *rule) {
  __u64 *cookie = rule->spare ? bpf_map_lookup_elem(&ankus_latency_cookies, &owner) : 0;
  return cookie && *cookie ? shift_of_namespace(*cookie, rule) : rule->shift;
}

static __always_inline void learn_namespace(__u64 cookie, __u32 owner, rule_t *rule) {
  __u32 slot = cookie & (ANKUS_LEARNED - 1);
  struct ankus_latency_namespace *known;
  __u64 *last;

  if (shift_of(owner, rule) == rule->shift) return;
  known = bpf_map_lookup_elem(&ankus_latency_namespaces, &slot);
  last = bpf_map_lookup_elem(&ankus_latency_cookies, &owner);
  if (!known || !last) return;
  if (known->cookie != cookie || known->owner != owner) known->owner = owner, known->cookie = cookie;
  if (*last != cookie) *last = cookie;
}

static __always_inline void learn_flow(__u64 hash, __u32 owner, rule_t *rule) {
  __u32 slot = (__u32)hash & (ANKUS_LEARNED - 1);
  __u64 entry = hash << 32 | owner, *known;

  if (!hash || shift_of(owner, rule) == rule->shift) return;
  known = bpf_map_lookup_elem(&ankus_latency_flows, &slot);
  if (known && *known != entry) *known = entry;
}

static __always_inline struct ankus_latency_passed *passed(__u32 owner, rule_t *rule) {
  struct ankus_latency_passed *count = bpf_map_lookup_elem(&ankus_latency_passed, &owner);

  if (count && count->window != rule->window) {
    count->host_in = count->container_out = 0;
    count->window = rule->window;
  }
  return count;
}

/* ------------------------------------------------------------------------ tables by address */

static __always_inline struct ankus_latency_marks *all_marks(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&ankus_latency_marks, &zero);
}

/* A pointer as a number: the verifier does not reckon with kernel pointers, but lets one be taken from
 * another, and a pointer that was stored in a map comes out as a number. */
static __always_inline __u64 at(const void *pointer) {
  struct ankus_latency_marks *marks = all_marks();
  __u64 number = (__u64)pointer;

  if (!marks) return 0;
  if (!marks->base) *(volatile __u64 *)&marks->base = (__u64)marks;
  asm("%0 -= %1" : "+r"(number) : "r"(marks));
  return number + *(volatile __u64 *)&marks->base;
}

static __always_inline __u32 *mark_of(__u64 address) {
  struct ankus_latency_marks *marks = all_marks();
  return marks ? &marks->slots[ankus_mark_slot(address) & (ANKUS_MARKS - 1)] : 0;
}
static __always_inline int marked(__u64 address) {
  const __u32 *mark = mark_of(address);
  return mark && *mark;
}

/* Address of a packet's data, as a number on all kernels. */
static __always_inline __u64 data_of(const struct sk_buff *skb) {
  __u64 data = 0;
  bpf_core_read(&data, sizeof data, &skb->head);
  return data;
}

/* As bpf_map_update_elem(), but counts the address when it is new. */
static __always_inline int put(void *map, __u64 address, const void *value) {
  int error = (int)bpf_map_update_elem(map, &address, value, BPF_NOEXIST);
  __u32 *mark;

  if (error == -17 /* EEXIST */) return (int)bpf_map_update_elem(map, &address, value, BPF_EXIST);
  if (!error && (mark = mark_of(address)) != 0) __sync_fetch_and_add(mark, 1);
  return error;
}
static __always_inline void take_out(void *map, __u64 address) {
  __u32 *mark;

  if (bpf_map_delete_elem(map, &address) == 0 && (mark = mark_of(address)) != 0)
    __sync_fetch_and_add(mark, -1);
}

static __always_inline struct ankus_latency_row *row_of(__u32 workload, __u32 segment) {
  struct ankus_latency_key key = {.workload = workload, .segment = segment};
  struct ankus_latency_row *row = bpf_map_lookup_elem(&ankus_latency_rows, &key), *none;
  struct ankus_latency_cost *own;
  __u32 zero = 0;

  if (row) return row;
  none = bpf_map_lookup_elem(&ankus_latency_zero, &zero);
  if (!none) return 0;
  (void)bpf_map_update_elem(&ankus_latency_rows, &key, none, BPF_NOEXIST);
  row = bpf_map_lookup_elem(&ankus_latency_rows, &key);
  if (!row && (own = cost()) != 0) own->no_room += 1;
  return row;
}

/* The functions below are global, so that the verifier goes through each once. */

__noinline int ankus_latency_record(__u32 workload, __u32 segment, __u64 time) {
  struct ankus_latency_row *row = row_of(workload, segment);
  __u32 bucket = ankus_latency_bucket(time);

  if (!row || bucket >= ANKUS_HISTOGRAM_BUCKETS) return 0;
  __sync_fetch_and_add(&row->counts[bucket], 1);
  __sync_fetch_and_add(&row->sum, time);
  if (time > row->max) row->max = time;
  return 0;
}

__noinline int ankus_latency_begun(__u32 workload, __u32 segment, __s64 by) {
  struct ankus_latency_row *row = row_of(workload, segment);
  if (row) __sync_fetch_and_add(&row->begun, by);
  return 0;
}

__noinline int ankus_latency_dropped(__u32 workload, __u32 segment) {
  struct ankus_latency_row *row = row_of(workload, segment);
  if (row) __sync_fetch_and_add(&row->dropped, 1);
  return 0;
}

__noinline int ankus_latency_merged(__u32 workload, __u32 segment, __u32 packets) {
  struct ankus_latency_row *row = row_of(workload, segment);
  if (row) __sync_fetch_and_add(&row->merged, packets);
  return 0;
}

__noinline int ankus_latency_split(__u32 workload, __u32 segment) {
  struct ankus_latency_row *row = row_of(workload, segment);
  if (row) __sync_fetch_and_add(&row->split, 1);
  return 0;
}

/* Fills in all but h->network and h->v6, which it reads from. 0: could not be read. */
__noinline int ankus_latency_headers(struct ankus_headers *h) {
  __u32 id, ip_length, transport;
  __u8 bytes[20];

  if (!h) return 0;
  h->payload = 1;
  h->echo = h->sequence = h->length = h->tcp_header = 0;
  if (bpf_probe_read_kernel(bytes, 20, (void *)h->network)) return 0;
  if (h->v6) {
    id = bpf_ntohl(*(__be32 *)bytes) & 0xfffff;
    ip_length = bpf_ntohs(*(__be16 *)(bytes + 4));
    if (ip_length) ip_length += 40; /* 0: a merged packet, too large for the field */
    h->protocol = bytes[6];
    transport = 40;
  } else {
    id = *(__u16 *)(bytes + 4);
    ip_length = bpf_ntohs(*(__be16 *)(bytes + 2));
    h->protocol = bytes[9];
    transport = (bytes[0] & 15) * 4;
    if (bpf_ntohs(*(__be16 *)(bytes + 6)) & 0x1fff) { /* a later fragment has no ports */
      h->print = ankus_print(id, h->protocol, 0, 0);
      return 1;
    }
  }
  if (h->protocol == 6) {
    __u32 headers;
    if (bpf_probe_read_kernel(bytes, 16, (void *)(h->network + transport))) return 0;
    h->tcp_header = (bytes[12] >> 4) * 4;
    headers = transport + h->tcp_header;
    h->sequence = bpf_ntohl(*(__be32 *)(bytes + 4));
    h->length = ip_length > headers ? ip_length - headers : 0;
    h->payload = ip_length == 0 || ip_length > headers;
    h->print = ankus_print(id, 6, *(__u32 *)(bytes + 4), *(__u32 *)(bytes + 8));
    return 1;
  }
  if (h->protocol == 1 || h->protocol == 58) { /* NAT changes ICMP's id, not its number */
    if (bpf_probe_read_kernel(bytes, 8, (void *)(h->network + transport))) return 0;
    h->echo = bytes[0] == (h->protocol == 1 ? 0 : 129);
    h->print = ankus_print(id, h->protocol, *(__u16 *)(bytes + 6), bytes[0]);
    return 1;
  }
  h->print = ankus_print(id, h->protocol, 0, 0);
  return 1;
}

enum { TRIP_V6 = 1, TRIP_LEAVING = 2, TRIP_SAMPLED = 4 };

/* A TCP segment at a VM's tap: begins or ends a round trip. That needs neither end's socket. Includes
 * what the other side delays its acknowledgements. */
__noinline int ankus_latency_trip(__u64 network, __u32 how, __u32 owner, __u32 window, __u32 ifindex) {
  struct ankus_trip_key key = {.ifindex = ifindex};
  struct ankus_trip *running, fresh = {.window = window};
  __u32 transport = 40, ip_length, sequence, headers, step;
  __u64 source[2] = {}, target[2] = {};
  __u8 bytes[20];

  if (bpf_probe_read_kernel(bytes, 20, (void *)network)) return 0;
  if (how & TRIP_V6) {
    if (bytes[6] != 6) return 0;
    ip_length = bpf_ntohs(*(__be16 *)(bytes + 4)) + 40;
    if (bpf_probe_read_kernel(source, 16, (void *)(network + 8)) ||
        bpf_probe_read_kernel(target, 16, (void *)(network + 24)))
      return 0;
  } else {
    if (bytes[9] != 6 || bpf_ntohs(*(__be16 *)(bytes + 6)) & 0x1fff) return 0;
    ip_length = bpf_ntohs(*(__be16 *)(bytes + 2));
    transport = (bytes[0] & 15) * 4;
    ((__u32 *)source)[2] = ((__u32 *)target)[2] = bpf_htonl(0xffff);
    ((__u32 *)source)[3] = *(__u32 *)(bytes + 12);
    ((__u32 *)target)[3] = *(__u32 *)(bytes + 16);
  }
  if (bpf_probe_read_kernel(bytes, 16, (void *)(network + transport))) return 0;
  headers = transport + (bytes[12] >> 4) * 4;
  sequence = bpf_ntohl(*(__be32 *)(bytes + 4));
  if (how & TRIP_LEAVING) {
    key.local[0] = source[0], key.local[1] = source[1];
    key.remote[0] = target[0], key.remote[1] = target[1];
    key.local_port = *(__be16 *)bytes, key.remote_port = *(__be16 *)(bytes + 2);
  } else {
    key.local[0] = target[0], key.local[1] = target[1];
    key.remote[0] = source[0], key.remote[1] = source[1];
    key.local_port = *(__be16 *)(bytes + 2), key.remote_port = *(__be16 *)bytes;
  }
  running = bpf_map_lookup_elem(&ankus_latency_trips, &key);
  if (running && running->window != window) running = 0;
  if (how & TRIP_LEAVING)
    step = ankus_trip_leaving(running, sequence, ip_length > headers ? ip_length - headers : 0);
  else
    step = bytes[13] & 16 /* ACK */ ? ankus_trip_arriving(running, bpf_ntohl(*(__be32 *)(bytes + 8))) : 0;
  if (step == ANKUS_TRIP_BEGINS && how & TRIP_SAMPLED) {
    fresh.at = bpf_ktime_get_ns();
    fresh.expected = sequence + ip_length - headers;
    ankus_latency_begun(owner, ANKUS_SEGMENT_ROUND_TRIP, 1);
    (void)bpf_map_update_elem(&ankus_latency_trips, &key, &fresh, BPF_ANY);
  } else if (step == ANKUS_TRIP_ENDS && running) {
    ankus_latency_record(owner, ANKUS_SEGMENT_ROUND_TRIP, bpf_ktime_get_ns() - running->at);
    (void)bpf_map_delete_elem(&ankus_latency_trips, &key);
  } else if (step == ANKUS_TRIP_VOID) {
    ankus_latency_begun(owner, ANKUS_SEGMENT_ROUND_TRIP, -1);
    (void)bpf_map_delete_elem(&ankus_latency_trips, &key);
  }
  return 0;
}

static __always_inline int is_ip(const struct sk_buff *skb) {
  return skb->protocol == bpf_htons(0x0800) || skb->protocol == bpf_htons(0x86DD);
}

static __always_inline int read_headers(struct ankus_headers *h, const struct sk_buff *skb, __u64 network) {
  h->network = network;
  h->v6 = skb->protocol == bpf_htons(0x86DD);
  if (!is_ip(skb)) return 0;
  return ankus_latency_headers(h);
}

static __always_inline __u64 network_of(const struct sk_buff *skb) {
  return (__u64)skb->head + skb->network_header;
}

static __always_inline packet_t *packet_at(__u64 address, rule_t *rule) {
  packet_t *packet = marked(address) ? bpf_map_lookup_elem(&ankus_latency_packets, &address) : 0;
  return packet && packet->window == rule->window ? packet : 0;
}

static __always_inline void forget(__u64 address) { take_out(&ankus_latency_packets, address); }

/* What is noted of this very packet. If the address was given to another packet since, the note
 * goes: the first had vanished without a tracepoint. Reads the headers of those that are noted. */
static __always_inline packet_t *find(const struct sk_buff *skb, __u64 network, struct ankus_headers *h,
                                      rule_t *rule) {
  packet_t *packet = packet_at(at(skb), rule);
  struct ankus_latency_cost *own;

  if (!packet) return 0;
  if (read_headers(h, skb, network) && h->print == packet->print) return packet;
  if ((own = cost()) != 0) own->reused += 1;
  forget(at(skb));
  return 0;
}

static __always_inline void start(__u64 address, const packet_t *packet) {
  struct ankus_latency_cost *own = cost();
  int error = put(&ankus_latency_packets, address, packet);

  if (!own) return;
  own->sampled += 1;
  if (error) own->no_room += 1;
}

/* The segments that a packet has begun and will not end: it went elsewhere, or was measured as
 * something else. */
static __always_inline void not_begun(const packet_t *packet) {
  __u32 segment = ankus_pending(packet->point);

  if (segment == ANKUS_SEGMENTS || packet->flags & ANKUS_PACKET_ALIAS) return;
  ankus_latency_begun(packet->owner, segment, -1);
  if (!(packet->flags & ANKUS_PACKET_WHOLE)) return;
  if (segment == ANKUS_SEGMENT_STACK_IN) ankus_latency_begun(packet->owner, ANKUS_SEGMENT_IN, -1);
  if (segment == ANKUS_SEGMENT_QDISC) ankus_latency_begun(packet->owner, ANKUS_SEGMENT_OUT, -1);
}

static __always_inline int in_host(const struct net_device *dev, rule_t *rule) {
  return dev->nd_net.net->net_cookie == rule->netns_cookie;
}

static __always_inline __u32 service_of(__u64 cgroup) {
  __u32 *service = cgroup ? bpf_map_lookup_elem(&ankus_cgroups, &cgroup) : 0;
  return service ? *service : 0;
}

/* Does a veth pair end here? Then the packet was seen before, in its container, and not chosen. */
static __always_inline int ends_veth(const struct net_device *dev) {
  const struct rtnl_link_ops *ops = dev->rtnl_link_ops;
  const char *kind = 0;
  char name[5] = {};

  if (!ops || bpf_core_read(&kind, sizeof kind, &ops->kind) || bpf_probe_read_kernel(name, 4, kind)) return 0;
  return name[0] == 'v' && name[1] == 'e' && name[2] == 't' && name[3] == 'h';
}

static __always_inline void trip(const struct sk_buff *skb, const struct ankus_device *device, __u32 ifindex,
                                 int leaving, rule_t *rule) {
  __u64 network = 0; /* a number, not a pointer, as global functions want it */
  int chosen;

  if (!(device->flags & ANKUS_DEVICE_GUEST) || !is_ip(skb)) return;
  chosen = leaving && ankus_sampled(draw(rule), shift_of(device->owner, rule));
  if (leaving) {
    bpf_core_read(&network, sizeof network, &skb->data);
  } else {
    bpf_core_read(&network, sizeof network, &skb->head);
    network += skb->network_header;
  }
  ankus_latency_trip(network,
                     (skb->protocol == bpf_htons(0x86DD) ? TRIP_V6 : 0) |
                         (leaving ? TRIP_LEAVING | (chosen ? TRIP_SAMPLED : 0) : 0),
                     device->owner, rule->window, ifindex);
}

/* ------------------------------------------------------------------ towards the workload */

static __always_inline void uplink_in(struct sk_buff *skb, const struct ankus_device *device, rule_t *rule) {
  struct ankus_headers h = {};
  packet_t fresh = {};
  __u32 random = draw(rule);

  if (device->flags & ANKUS_DEVICE_INGRESS_ON_IFB) { /* is it here again, from the ifb? */
    packet_t *packet = packet_at(at(skb), rule);
    if (packet && packet->point == ANKUS_AT_IFB_LEFT && read_headers(&h, skb, (__u64)skb->data) &&
        h.print == packet->print)
      return;
  }
  if (!ankus_sampled(random, rule->shift) || !ankus_sampled(random, shift_of_flow(skb->hash, rule)) ||
      !read_headers(&h, skb, (__u64)skb->data))
    return;
  fresh.at = fresh.first = bpf_ktime_get_ns();
  fresh.print = h.print;
  fresh.source = skb->hash;
  fresh.window = rule->window;
  fresh.point = ANKUS_AT_UPLINK_IN;
  if (h.protocol == 17) fresh.flags = ANKUS_PACKET_DATAGRAM;
  start(at(skb), &fresh);
}

/* In front of the ifb's qdisc: ifb's start_xmit ends it, see leaves(). */
static __always_inline void ifb_in(struct sk_buff *skb, rule_t *rule) {
  packet_t *packet = packet_at(at(skb), rule);

  if (!packet || packet->point != ANKUS_AT_UPLINK_IN) return;
  packet->waited = bpf_ktime_get_ns();
  packet->point = ANKUS_AT_IFB;
}

static __always_inline void device_in(struct sk_buff *skb, const struct ankus_device *device, rule_t *rule) {
  struct ankus_headers h = {};
  packet_t *packet = find(skb, network_of(skb), &h, rule);
  const struct ankus_device *from = skb->skb_iif ? device_at(skb->skb_iif) : 0;
  struct ankus_latency_passed *count;
  __u32 owner = device->owner;
  packet_t fresh = {};
  __u64 now;

  if (from && from->role == ANKUS_ROLE_UPLINK && is_ip(skb) && (count = passed(owner, rule)) != 0)
    count->host_in += ANKUS_ONE >> (shift_of_flow(skb->hash, rule) & 31);
  /* Where it came from has chosen already, if that is known at all. */
  if (!packet &&
      (from || !ankus_sampled(draw(rule), shift_of(owner, rule)) || !read_headers(&h, skb, network_of(skb))))
    return;
  now = bpf_ktime_get_ns();
  fresh.first = now;
  if (packet && (packet->point == ANKUS_AT_UPLINK_IN || packet->point == ANKUS_AT_IFB_LEFT)) {
    ankus_latency_record(owner, ANKUS_SEGMENT_HOST_IN, now - packet->at);
    if (packet->point == ANKUS_AT_IFB_LEFT) ankus_latency_record(owner, ANKUS_SEGMENT_IFB, packet->waited);
    if (packet->source == skb->hash) learn_flow(packet->source, owner, rule);
    fresh.first = packet->first;
    fresh.flags = ANKUS_PACKET_WHOLE;
  } else if (packet) {
    not_begun(packet); /* from another workload of this host */
  }
  if (!h.payload) { /* nobody reads a bare acknowledgement */
    if (packet) forget(at(skb));
    return;
  }
  fresh.at = now;
  fresh.print = h.print;
  fresh.window = rule->window;
  fresh.owner = owner;
  fresh.point = ANKUS_AT_DEVICE_IN;
  fresh.length = h.length;
  if (h.protocol == 17) fresh.flags |= ANKUS_PACKET_DATAGRAM;
  if (h.protocol == 6) fresh.flags |= ANKUS_PACKET_STREAM;
  ankus_latency_begun(owner, ANKUS_SEGMENT_STACK_IN, 1);
  if (fresh.flags & ANKUS_PACKET_WHOLE) ankus_latency_begun(owner, ANKUS_SEGMENT_IN, 1);
  if (packet) *packet = fresh;
  else start(at(skb), &fresh);
  if (h.echo) { /* a raw socket is given a clone: another sk_buff with the same data */
    __u64 data = data_of(skb);
    fresh.flags |= ANKUS_PACKET_ALIAS;
    (void)put(&ankus_latency_packets, data, &fresh);
  }
}

/* As find(), for what has come to a socket: *address is where it was noted. */
static __always_inline packet_t *find_arrived(const struct sk_buff *skb, __u64 *address,
                                              struct ankus_headers *h, rule_t *rule) {
  packet_t *packet = find(skb, network_of(skb), h, rule);

  *address = at(skb);
  if (packet) return packet;
  *address = data_of(skb);
  packet = packet_at(*address, rule);
  if (!packet || !read_headers(h, skb, network_of(skb)) || h->print != packet->print) return 0;
  return packet;
}

static __always_inline void at_socket(const struct sk_buff *skb, const struct sock *sk, rule_t *rule) {
  struct ankus_headers h = {};
  __u64 address, now;
  packet_t *packet = find_arrived(skb, &address, &h, rule);
  __u32 length = 0, service = 0, merged;

  if (!packet || packet->point == ANKUS_AT_SOCKET) return;
  if (packet->point == ANKUS_AT_UPLINK_IN || packet->point == ANKUS_AT_IFB_LEFT)
    service = service_of(BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id));
  now = bpf_ktime_get_ns();
  if (h.protocol == 6) length = skb->len - h.tcp_header;
  if (packet->point == ANKUS_AT_DEVICE_IN) {
    if (packet->flags & ANKUS_PACKET_ALIAS) {
      ankus_latency_begun(packet->owner, ANKUS_SEGMENT_STACK_IN, 1);
      if (packet->flags & ANKUS_PACKET_WHOLE) ankus_latency_begun(packet->owner, ANKUS_SEGMENT_IN, 1);
    }
    ankus_latency_record(packet->owner, ANKUS_SEGMENT_STACK_IN, now - packet->at);
    merged = ankus_merged(packet->length, length);
    if (merged) ankus_latency_merged(packet->owner, ANKUS_SEGMENT_STACK_IN, merged);
    if (packet->flags & ANKUS_PACKET_WHOLE) {
      ankus_latency_record(packet->owner, ANKUS_SEGMENT_IN, now - packet->first);
      if (merged) ankus_latency_merged(packet->owner, ANKUS_SEGMENT_IN, merged);
    }
  } else if (service) {
    packet->owner = service;
    if (packet->source == skb->hash) learn_flow(packet->source, service, rule);
    ankus_latency_begun(service, ANKUS_SEGMENT_IN, 1);
    ankus_latency_record(service, ANKUS_SEGMENT_IN, now - packet->first);
    if (packet->point == ANKUS_AT_IFB_LEFT) ankus_latency_record(service, ANKUS_SEGMENT_IFB, packet->waited);
  } else {
    not_begun(packet);
    forget(address);
    return;
  }
  if (!h.payload) {
    forget(address);
    return;
  }
  packet->at = now;
  packet->point = ANKUS_AT_SOCKET;
  packet->length = length;
  packet->flags &= ~ANKUS_PACKET_ALIAS;
  ankus_latency_begun(packet->owner, ANKUS_SEGMENT_READ, 1);
}

static __always_inline void is_read(__u64 address, const packet_t *packet) {
  __u64 now = bpf_ktime_get_ns();

  if (packet->point == ANKUS_AT_SOCKET) {
    ankus_latency_record(packet->owner, ANKUS_SEGMENT_READ, now - packet->at);
  } else if (packet->point == ANKUS_AT_DEVICE_IN) {
    not_begun(packet); /* its two segments are measured as one */
    ankus_latency_begun(packet->owner, ANKUS_SEGMENT_STACK_AND_READ, 1);
    ankus_latency_record(packet->owner, ANKUS_SEGMENT_STACK_AND_READ, now - packet->at);
    if (packet->flags & ANKUS_PACKET_WHOLE) {
      ankus_latency_begun(packet->owner, ANKUS_SEGMENT_IN_AND_READ, 1);
      ankus_latency_record(packet->owner, ANKUS_SEGMENT_IN_AND_READ, now - packet->first);
    }
  } else if (packet->point == ANKUS_AT_UPLINK_IN || packet->point == ANKUS_AT_IFB_LEFT) {
    __u32 service = service_of(bpf_get_current_cgroup_id());
    if (service) {
      ankus_latency_begun(service, ANKUS_SEGMENT_IN_AND_READ, 1);
      ankus_latency_record(service, ANKUS_SEGMENT_IN_AND_READ, now - packet->first);
    }
  } else {
    not_begun(packet);
  }
  forget(address);
}

/* A sampled datagram has joined its socket's queue, and will be read at its turn. */
static __always_inline void queue_datagram(const struct sock *sk, __u64 address, rule_t *rule) {
  __u64 key = at(sk);
  const packet_t *packet = packet_at(address, rule);
  struct ankus_latency_reads *reads;
  __u32 waiting = 0, slot;

  if (!packet || packet->point != ANKUS_AT_SOCKET) return;
  reads = bpf_map_lookup_elem(&ankus_latency_reads, &key);
  if (!reads) {
    __u32 zero = 0;
    const void *none = bpf_map_lookup_elem(&ankus_latency_zero, &zero);
    if (!none) return;
    (void)put(&ankus_latency_reads, key, none);
    reads = bpf_map_lookup_elem(&ankus_latency_reads, &key);
    if (!reads) return;
  }
  if (reads->last - reads->first >= ANKUS_READS) return; /* coverage says so */
  bpf_core_read(&waiting, sizeof waiting, &((struct udp_sock *)sk)->reader_queue.qlen);
  slot = reads->last & (ANKUS_READS - 1);
  reads->address[slot] = address;
  reads->at[slot] = packet->at;
  reads->turn[slot] = reads->calls + waiting + sk->sk_receive_queue.qlen;
  reads->last += 1;
}

/* ---------------------------------------------------------------------- from the workload */

/* How long ago tcp_sendmsg_locked was given the first byte that this packet carries, if that is
 * being measured on its socket; else 0. */
static __always_inline __u64 send_wait(struct sk_buff *skb, struct ankus_headers *h, __u64 now, rule_t *rule) {
  __u64 socket = at(skb->sk), waited = 0;
  struct ankus_latency_send *send =
      socket && marked(socket) ? bpf_map_lookup_elem(&ankus_latency_sends, &socket) : 0;

  if (!send || !read_headers(h, skb, network_of(skb)) || h->protocol != 6 || !h->payload) return 0;
  if ((__s32)(send->sequence - h->sequence) >= (__s32)h->length) return 0; /* not yet its turn */
  if (send->window == rule->window && (__s32)(send->sequence - h->sequence) >= 0) waited = now - send->at;
  take_out(&ankus_latency_sends, socket);
  return waited;
}

static __always_inline void container_out(struct sk_buff *skb, rule_t *rule) {
  __u32 random = draw(rule);
  int chosen = ankus_sampled(random, rule->shift);
  struct ankus_headers h = {};
  packet_t fresh = {};
  __u64 now;

  if (!chosen && !marked(at(skb->sk))) return;
  fresh.source = skb->dev->nd_net.net->net_cookie;
  chosen = chosen && ankus_sampled(random, shift_of_namespace(fresh.source, rule));
  now = bpf_ktime_get_ns();
  fresh.waited = send_wait(skb, &h, now, rule);
  if (!chosen && !fresh.waited) return;
  if (!h.print && !read_headers(&h, skb, network_of(skb))) return;
  fresh.at = fresh.first = now;
  fresh.print = h.print;
  fresh.window = rule->window;
  fresh.point = ANKUS_AT_CONTAINER_OUT;
  fresh.flags = chosen ? ANKUS_PACKET_WHOLE : ANKUS_PACKET_ONLY_SEND;
  start(at(skb), &fresh);
}

static __always_inline void device_out(struct sk_buff *skb, const struct ankus_device *device, rule_t *rule) {
  struct ankus_headers h = {};
  packet_t *packet = find(skb, (__u64)skb->data, &h, rule);
  struct ankus_latency_passed *count;
  __u32 owner = device->owner;
  __u64 now;

  if (is_ip(skb) && (count = passed(owner, rule)) != 0)
    count->container_out += ANKUS_ONE >> (shift_before(owner, rule) & 31);
  if (packet && packet->point == ANKUS_AT_CONTAINER_OUT) {
    now = bpf_ktime_get_ns();
    if (packet->waited) {
      ankus_latency_begun(owner, ANKUS_SEGMENT_SEND, 1);
      ankus_latency_record(owner, ANKUS_SEGMENT_SEND, packet->waited);
    }
    if (packet->flags & ANKUS_PACKET_ONLY_SEND) {
      forget(at(skb));
      return;
    }
    ankus_latency_record(owner, ANKUS_SEGMENT_CONTAINER_OUT, now - packet->at);
    learn_namespace(packet->source, owner, rule);
    packet->at = now;
    packet->owner = owner;
    packet->point = ANKUS_AT_DEVICE_OUT;
  } else { /* a VM's: nobody has seen it before */
    packet_t fresh = {};
    if (packet) not_begun(packet);
    if (!ankus_sampled(draw(rule), shift_of(owner, rule)) || ends_veth(skb->dev) ||
        !read_headers(&h, skb, (__u64)skb->data)) {
      if (packet) forget(at(skb));
      return;
    }
    fresh.at = fresh.first = bpf_ktime_get_ns();
    fresh.print = h.print;
    fresh.window = rule->window;
    fresh.owner = owner;
    fresh.point = ANKUS_AT_DEVICE_OUT;
    fresh.flags = ANKUS_PACKET_WHOLE;
    start(at(skb), &fresh);
  }
  ankus_latency_begun(owner, ANKUS_SEGMENT_HOST_OUT, 1);
}

/* Will the qdisc in front of `dev` send this packet as it is? One that may be bypassed never cuts
 * a packet up while it waits; the driver's side may, when it is sent (validate_xmit_skb()). */
static __always_inline int never_cut_up(struct sk_buff *skb, struct net_device *dev) {
  __u64 queue = 0; /* a number, as 6.1 refuses to reckon with a kernel pointer */
  struct Qdisc *qdisc = 0;
  void *enqueue = 0;
  unsigned int flags = 0;

  bpf_core_read(&queue, sizeof queue, &dev->_tx);
  queue += (__u64)skb->queue_mapping * bpf_core_type_size(struct netdev_queue);
  bpf_core_read(&qdisc, sizeof qdisc, &((struct netdev_queue *)queue)->qdisc);
  bpf_core_read(&enqueue, sizeof enqueue, &qdisc->enqueue);
  bpf_core_read(&flags, sizeof flags, &qdisc->flags);
  return !enqueue || flags & TCQ_F_CAN_BYPASS;
}

static __always_inline void uplink_out(struct sk_buff *skb, struct net_device *dev, rule_t *rule) {
  struct ankus_headers h = {};
  packet_t *packet = find(skb, network_of(skb), &h, rule);
  packet_t fresh = {};
  __u64 now, waited;
  __u32 random = 0;

  if (!packet) {
    if (skb->skb_iif) return; /* came through a device, where it was not chosen */
    random = draw(rule);
    if (!ankus_sampled(random, rule->shift) && !marked(at(skb->sk))) return;
  }
  now = bpf_ktime_get_ns();
  if (packet && packet->point == ANKUS_AT_DEVICE_OUT) {
    ankus_latency_record(packet->owner, ANKUS_SEGMENT_HOST_OUT, now - packet->at);
    fresh.owner = packet->owner;
    fresh.first = packet->first;
    fresh.flags = packet->flags & ANKUS_PACKET_WHOLE;
  } else {
    if (packet) { /* in transit, or an older one's */
      not_begun(packet);
    } else {
      int chosen = ankus_sampled(random, rule->shift);
      waited = send_wait(skb, &h, now, rule);
      if (!chosen && !waited) return;
      fresh.owner = service_of(cgroup_of(skb));
      chosen = chosen && ankus_sampled(random, shift_of(fresh.owner, rule));
      if (waited) {
        ankus_latency_begun(fresh.owner, ANKUS_SEGMENT_SEND, 1);
        ankus_latency_record(fresh.owner, ANKUS_SEGMENT_SEND, waited);
      }
      if (!chosen || (!h.print && !read_headers(&h, skb, network_of(skb)))) return;
    }
    fresh.first = now;
  }
  fresh.at = now;
  fresh.print = h.print;
  fresh.window = rule->window;
  fresh.point = ANKUS_AT_UPLINK_OUT;
  if (never_cut_up(skb, dev)) fresh.flags |= ANKUS_PACKET_NO_QUEUE;
  ankus_latency_begun(fresh.owner, ANKUS_SEGMENT_QDISC, 1);
  if (fresh.flags & ANKUS_PACKET_WHOLE) ankus_latency_begun(fresh.owner, ANKUS_SEGMENT_OUT, 1);
  if (packet) *packet = fresh;
  else start(at(skb), &fresh);
}

static __always_inline void sent(__u64 address, const packet_t *packet) {
  __u64 now = bpf_ktime_get_ns();

  ankus_latency_record(packet->owner, ANKUS_SEGMENT_QDISC, now - packet->at);
  if (packet->flags & ANKUS_PACKET_WHOLE)
    ankus_latency_record(packet->owner, ANKUS_SEGMENT_OUT, now - packet->first);
  forget(address);
}

/* It has left a qdisc. */
static __always_inline void leaves(__u64 address, __u32 window) {
  packet_t *packet = marked(address) ? bpf_map_lookup_elem(&ankus_latency_packets, &address) : 0;

  if (!packet || packet->window != window) return;
  if (packet->point == ANKUS_AT_UPLINK_OUT) {
    sent(address, packet);
  } else if (packet->point == ANKUS_AT_IFB) {
    packet->waited = bpf_ktime_get_ns() - packet->waited;
    packet->point = ANKUS_AT_IFB_LEFT;
  }
}

/* Global, for the loop over a bulk of them. */
__noinline int ankus_latency_leaves(__u64 address, __u32 window) {
  leaves(address, window);
  return 0;
}

/* --------------------------------------------------------------------------- tracepoints */

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(ankus_latency_receive, struct sk_buff *skb) {
  const struct ankus_device *device;
  struct net_device *dev = skb->dev;
  __u64 began;
  rule_t *rule = begin(&began);

  if (!rule) return 0;
  if (in_host(dev, rule) && (device = device_at(dev->ifindex)) != 0) {
    if (device->role == ANKUS_ROLE_WORKLOAD) {
      device_out(skb, device, rule);
      trip(skb, device, dev->ifindex, 1, rule);
    } else if (!(device->flags & ANKUS_DEVICE_IFB)) {
      uplink_in(skb, device, rule);
    }
  }
  end(began);
  return 0;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(ankus_latency_queue, struct sk_buff *skb) {
  const struct ankus_device *device;
  struct net_device *dev = skb->dev;
  __u64 began;
  rule_t *rule = begin(&began);

  if (!rule) return 0;
  if (!in_host(dev, rule)) {
    if (!(dev->flags & IFF_LOOPBACK)) container_out(skb, rule);
  } else if ((device = device_at(dev->ifindex)) != 0) {
    if (device->role == ANKUS_ROLE_WORKLOAD) {
      trip(skb, device, dev->ifindex, 0, rule);
      device_in(skb, device, rule);
    } else if (device->flags & ANKUS_DEVICE_IFB) {
      ifb_in(skb, rule);
    } else {
      uplink_out(skb, dev, rule);
    }
  }
  end(began);
  return 0;
}

#define ANKUS_BULK 32 /* packets that a driver takes from a qdisc at once; the rest ends at start_xmit */

SEC("tp_btf/qdisc_dequeue")
int BPF_PROG(ankus_latency_dequeue, struct Qdisc *qdisc, const struct netdev_queue *queue, int packets,
             struct sk_buff *skb) {
  __u64 address, began;
  rule_t *rule = begin(&began);
  __u32 window;
  int i;

  if (!rule) return 0;
  window = rule->window;
  if (skb) {
    leaves(at(skb), window);
    if (packets > 1 && bpf_core_read(&address, sizeof address, &skb->next) == 0)
      for (i = 1; i < ANKUS_BULK && i < packets && address; i++) {
        ankus_latency_leaves(address, window);
        if (bpf_core_read(&address, sizeof address, &((struct sk_buff *)address)->next)) break;
      }
  }
  end(began);
  return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(ankus_latency_xmit, const struct sk_buff *skb) {
  __u64 began;
  rule_t *rule = begin(&began);

  if (!rule) return 0;
  leaves(at(skb), rule->window);
  end(began);
  return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(ankus_latency_tcp, struct sock *sk, const struct sk_buff *skb) {
  __u64 began;
  rule_t *rule = begin(&began);

  if (!rule) return 0;
  if (packet_at(at(skb), rule)) at_socket(skb, sk, rule);
  end(began);
  return 0;
}

/* The packet is not handed over: it is the last in the queue, unless several came at once. */
SEC("tp_btf/sk_data_ready")
int BPF_PROG(ankus_latency_ready, const struct sock *sk) {
  const struct sk_buff *skb = sk->sk_receive_queue.prev;
  __u64 began;
  rule_t *rule = begin(&began);

  if (!rule) return 0;
  if ((const void *)skb != (const void *)&sk->sk_receive_queue) {
    at_socket(skb, sk, rule);
    if (sk->sk_protocol == 17) queue_datagram(sk, at(skb), rule);
  }
  end(began);
  return 0;
}

SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(ankus_latency_read, const struct sk_buff *skb) {
  __u64 began;
  rule_t *rule = begin(&began);

  struct ankus_headers h = {};
  packet_t *packet;
  __u64 address;

  if (!rule) return 0;
  packet = find_arrived(skb, &address, &h, rule);
  if (packet) {
    __u32 merged = h.protocol == 6 && packet->point == ANKUS_AT_SOCKET ? ankus_merged(packet->length, skb->len) : 0;
    if (merged) ankus_latency_merged(packet->owner, ANKUS_SEGMENT_READ, merged);
    is_read(address, packet);
  }
  end(began);
  return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(ankus_latency_received, struct sock *sk, int length, int flags) {
  __u64 key = at(sk), began;
  rule_t *rule = begin(&began);
  struct ankus_latency_reads *reads;
  int i;

  if (!rule) return 0;
  reads = length < 0 || flags & 2 /* MSG_PEEK */ || !marked(key)
              ? 0
              : bpf_map_lookup_elem(&ankus_latency_reads, &key);
  if (reads) {
    reads->calls += 1;
    for (i = 0; i < ANKUS_READS && reads->first != reads->last; i++) {
      __u32 slot = reads->first & (ANKUS_READS - 1);
      packet_t *packet;
      if ((__s32)(reads->turn[slot] - reads->calls) > 0) break;
      reads->first += 1;
      packet = packet_at(reads->address[slot], rule);
      /* Not if it has been read or freed before, or its turn has passed unseen. */
      if (packet && packet->point == ANKUS_AT_SOCKET && packet->at == reads->at[slot] &&
          reads->turn[slot] == reads->calls)
        is_read(reads->address[slot], packet);
    }
  }
  end(began);
  return 0;
}

/* One byte at a time per socket: the first that is written after the last one was sent. */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(ankus_latency_send, const struct sock *sk) {
  __u64 key = at(sk), began;
  rule_t *rule = begin(&began);
  struct ankus_latency_send *old, fresh = {};
  __u32 random;

  if (!rule) return 0;
  random = draw(rule);
  /* The owner is not known here either, but its namespace may be. */
  if (ankus_sampled(random, rule->shift) &&
      ankus_sampled(random, shift_of_namespace(sk->__sk_common.skc_net.net->net_cookie, rule)) &&
      !((old = marked(key) ? bpf_map_lookup_elem(&ankus_latency_sends, &key) : 0) != 0 &&
        old->window == rule->window)) {
    fresh.at = bpf_ktime_get_ns();
    fresh.window = rule->window;
    bpf_core_read(&fresh.sequence, sizeof fresh.sequence, &((struct tcp_sock *)sk)->write_seq);
    (void)put(&ankus_latency_sends, key, &fresh);
  }
  end(began);
  return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(ankus_latency_closed, struct sock *sk) {
  __u64 key = at(sk), began;

  if (!begin(&began)) return 0;
  if (marked(key)) take_out(&ankus_latency_sends, key);
  end(began);
  return 0;
}

SEC("tp_btf/consume_skb")
int BPF_PROG(ankus_latency_consumed, struct sk_buff *skb) {
  __u64 began;
  rule_t *rule = begin(&began);
  packet_t *packet;

  if (!rule) return 0;
  packet = packet_at(at(skb), rule);
  if (packet && packet->point == ANKUS_AT_UPLINK_OUT && packet->flags & ANKUS_PACKET_NO_QUEUE) {
    sent(at(skb), packet);
  } else if (packet && ((packet->flags & ANKUS_PACKET_DATAGRAM && packet->point <= ANKUS_AT_SOCKET) ||
                        (packet->flags & ANKUS_PACKET_STREAM && packet->point == ANKUS_AT_DEVICE_IN))) {
    is_read(at(skb), packet);
  } else if (packet) {
    if (packet->point == ANKUS_AT_UPLINK_OUT) {
      ankus_latency_split(packet->owner, ANKUS_SEGMENT_QDISC);
      if (packet->flags & ANKUS_PACKET_WHOLE) ankus_latency_split(packet->owner, ANKUS_SEGMENT_OUT);
    } else {
      not_begun(packet);
    }
    forget(at(skb));
  }
  end(began);
  return 0;
}

/* Nobody wanted it, or nobody was there: no queue of this host is to blame. What a host drops without
 * saying why may be any queue's (fq_codel says no more until 6.12). */
static __always_inline int is_refused(__u32 reason) {
#define IS(name) \
  (bpf_core_enum_value_exists(enum skb_drop_reason, name) && reason == bpf_core_enum_value(enum skb_drop_reason, name))
  return IS(SKB_DROP_REASON_NO_SOCKET) || IS(SKB_DROP_REASON_SOCKET_FILTER) ||
         IS(SKB_DROP_REASON_SOCKET_RCVBUFF) || IS(SKB_DROP_REASON_NETFILTER_DROP) ||
         IS(SKB_DROP_REASON_XFRM_POLICY) || IS(SKB_DROP_REASON_BPF_CGROUP_EGRESS) ||
         IS(SKB_DROP_REASON_NEIGH_CREATEFAIL) || IS(SKB_DROP_REASON_NEIGH_FAILED) ||
         IS(SKB_DROP_REASON_NEIGH_QUEUEFULL) || IS(SKB_DROP_REASON_NEIGH_DEAD);
#undef IS
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(ankus_latency_freed, struct sk_buff *skb, void *location, __u32 reason) {
  __u64 began;
  rule_t *rule = begin(&began);
  packet_t *packet;
  __u32 segment;

  if (!rule) return 0;
  packet = packet_at(at(skb), rule);
  if (packet && is_refused(reason)) {
    not_begun(packet);
    forget(at(skb));
  } else if (packet) {
    segment = ankus_pending(packet->point);
    if (segment != ANKUS_SEGMENTS) ankus_latency_dropped(packet->owner, segment);
    if (packet->flags & ANKUS_PACKET_WHOLE) {
      if (segment == ANKUS_SEGMENT_STACK_IN) ankus_latency_dropped(packet->owner, ANKUS_SEGMENT_IN);
      if (segment == ANKUS_SEGMENT_QDISC) ankus_latency_dropped(packet->owner, ANKUS_SEGMENT_OUT);
    }
    forget(at(skb));
  }
  end(began);
  return 0;
}
