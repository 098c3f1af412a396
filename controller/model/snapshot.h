// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/flow.h"
#include "model/held.h"
#include "model/knob.h"
#include "model/queues.h"
#include "model/thread.h"
#include "model/topology.h"
#include "model/workload.h"

namespace ankus {

/// A network device as far as a policy may look at it.
struct Link {
  Device device;
  std::string kind;  ///< rtnetlink's IFLA_INFO_KIND: "veth", "bridge", "bond", ...; "" for hardware
  bool up = false;
  bool has_default_route =
      false;         ///< or carries, below bonds, VLANs and bridges, a device that has one;
                     ///< only where the queue is: then not the bond, VLAN or bridge itself
  bool tap = false;  ///< kind "tun" that carries Ethernet frames: a VM's, if a process holds it
  std::uint32_t header_bytes = 14;  ///< in front of layer 3: 0 where there are no Ethernet frames
  std::optional<BitRate> speed;  ///< what the driver reports; veth and cloud NICs report nonsense
  std::uint32_t mtu = 0;
  std::uint32_t transmit_queues = 1;
  std::string root_kind;             ///< kind of the root qdisc, "noqueue" where there is none
  TcHandle root_handle;              ///< 0 for one the kernel made by itself
  bool foreign_clsact = false;       ///< there is a clsact or ingress qdisc that is not ours
  double packets_per_second = 0;     ///< sent, over the last observation
  std::uint32_t master_ifindex = 0;  ///< bridge or bond it belongs to
  std::uint32_t peer_ifindex = 0;    ///< veth: IFLA_LINK, in the namespace link_netnsid
  std::int32_t link_netnsid = -1;    ///< namespace of the veth's other end, -1 for this one

  bool operator==(const Link&) const = default;
};

/// What the kernel under us can do, found by trying.
struct Host {
  std::string kernel_release;
  bool tcx = false;  ///< from 6.6
  bool htb = false;
  bool ifb = false;
  std::uint32_t cpus = 1;
  Topology topology;

  bool operator==(const Host&) const = default;
};

struct WorkloadState {
  Workload workload;
  Footprint footprint;
  bool operator==(const WorkloadState&) const = default;
};

/// All that policies are evaluated on, at one moment.
struct Snapshot {
  Host host;
  std::vector<Link> links;
  std::vector<WorkloadState> workloads;
  std::vector<DeviceQueues> queues;  ///< of hardware, taps and host sides of veths
  std::vector<NetThread> threads;
  /// What is in force by us: a table that we set is not somebody else's wish, and one that needs no
  /// change goes on being wished for.
  std::vector<HeldKnob> held;
  MonotonicTime at;

  bool operator==(const Snapshot&) const = default;
};

}  // namespace ankus
