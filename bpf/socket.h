/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose socket sends a packet, read from the kernel's own structures. */
#ifndef ANKUS_SOCKET_H
#define ANKUS_SOCKET_H

#include "bpf/kernel.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>

/* 0 if there is none. Full sockets only: request and time-wait socks have no cgroup. */
static __always_inline __u64 cgroup_of(struct sk_buff *skb) {
  struct sock *sk = skb->sk;
  unsigned char state;

  if (!sk) return 0;
  state = BPF_CORE_READ(sk, __sk_common.skc_state);
  if (state == 6 /* TIME_WAIT */ || state == 12 /* NEW_SYN_RECV */) return 0;
  return BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
}

#endif
