// SPDX-License-Identifier: Apache-2.0
#include "model/latency.h"

namespace ankus {

const LatencySegmentInfo& info_of(LatencySegment segment) {
  static const std::array<LatencySegmentInfo, kLatencySegments> all = {{
      {.name = "host-in",
       .from = "netif_receive_skb of the uplink",
       .to = "net_dev_queue of the device",
       .towards_workload = true},
      {.name = "ifb",
       .from = "net_dev_queue of the ifb",
       .to = "qdisc_dequeue of the ifb",
       .towards_workload = true,
       .spans_others = true},
      {.name = "stack-in",
       .from = "net_dev_queue of the device",
       .to = "tcp_probe or sk_data_ready",
       .towards_workload = true},
      {.name = "read",
       .from = "tcp_probe or sk_data_ready",
       .to = "skb_copy_datagram_iovec",
       .towards_workload = true,
       .application = true},
      {.name = "stack-and-read",
       .from = "net_dev_queue of the device",
       .to = "skb_copy_datagram_iovec",
       .towards_workload = true,
       .application = true},
      {.name = "in",
       .from = "netif_receive_skb of the uplink",
       .to = "tcp_probe or sk_data_ready",
       .towards_workload = true,
       .spans_others = true},
      {.name = "in-and-read",
       .from = "netif_receive_skb of the uplink",
       .to = "skb_copy_datagram_iovec",
       .towards_workload = true,
       .application = true,
       .spans_others = true},
      {.name = "send",
       .from = "tcp_sendmsg_locked",
       .to = "net_dev_queue in the container",
       .application = false},
      {.name = "container-out",
       .from = "net_dev_queue in the container",
       .to = "netif_receive_skb of the device"},
      {.name = "host-out",
       .from = "netif_receive_skb of the device",
       .to = "net_dev_queue of the uplink"},
      {.name = "qdisc",
       .from = "net_dev_queue of the uplink",
       .to = "qdisc_dequeue or net_dev_start_xmit"},
      {.name = "out",
       .from = "net_dev_queue in the container",
       .to = "qdisc_dequeue or net_dev_start_xmit",
       .spans_others = true},
  }};
  return all[static_cast<std::size_t>(segment)];
}

}  // namespace ankus
