/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps, shared by all objects: the first that loads makes them, the others are given their fds. */
#ifndef ANKUS_MAPS_H
#define ANKUS_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/decide.h"
#include "bpf/wire.h"

/* All flows; max_entries is set before loading. Not LRU: nobody may evict another's flow. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, struct ankus_flow_key);
  __type(value, struct ankus_flow);
} ankus_flows SEC(".maps");

/* Keys of flows that have ended, oldest first: whose places go first when there is no other left. */
struct {
  __uint(type, BPF_MAP_TYPE_QUEUE);
  __uint(max_entries, 4096);
  __type(value, struct ankus_flow_key);
} ankus_ended SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, ANKUS_MAX_DEVICES);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32); /* ifindex */
  __type(value, struct ankus_device);
} ankus_devices SEC(".maps");

/* Host services: cgroup id -> workload. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, ANKUS_MAX_WORKLOADS * 4);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u64);
  __type(value, __u32);
} ankus_cgroups SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, ANKUS_MAX_WORKLOADS);
  __uint(map_flags, BPF_F_MMAPABLE); /* read back from memory, several times for each plan */
  __type(key, __u32);
  __type(value, struct ankus_member);
} ankus_members SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, ANKUS_MAX_WORKLOADS);
  __uint(map_flags, BPF_F_MMAPABLE); /* user space takes swept flows off live_flows atomically */
  __type(key, __u32);
  __type(value, struct ankus_bucket);
} ankus_buckets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, ANKUS_MAX_WORKLOADS);
  __type(key, __u32);
  __type(value, struct ankus_usage);
} ankus_usage SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, ANKUS_RSS_ENTRIES);
  __type(key, __u32);
  __type(value, struct ankus_rss_entry);
} ankus_rss SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct ankus_config);
} ankus_config SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct ankus_pressure);
} ankus_pressure SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, ANKUS_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} ankus_counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 256 * 1024);
} ankus_events SEC(".maps");

static __always_inline void count(__u32 counter) {
  __u64 *value = bpf_map_lookup_elem(&ankus_counters, &counter);
  if (value) *value += 1;
}

static __always_inline __u32 now_jiffies(void) { return (__u32)bpf_jiffies64(); }

static __always_inline const struct ankus_config *config(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&ankus_config, &zero);
}

static __always_inline const struct ankus_device *device_at(__u32 ifindex) {
  return bpf_map_lookup_elem(&ankus_devices, &ifindex);
}

#endif
