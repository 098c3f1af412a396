// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "model/latency.h"
#include "model/snapshot.h"
#include "model/tcp_health.h"

/// What is measured of the host, as the control socket's JSON (docs/api.md).
namespace ankus::report {

/// CPUs, devices with their queues and interrupts, threads.
nlohmann::json queues(const Snapshot& snapshot, bool irqbalance);
/// Of each NIC, what its receive queues bring, and who serves the one that brings most: for status.
nlohmann::json busiest_queues(const Snapshot& snapshot);
/// `left`: until the window is over; none: it is.
nlohmann::json latency(const LatencyReading& reading, const Snapshot& snapshot,
                       std::optional<nanoseconds> left);
nlohmann::json tcp(const TcpReading& reading, const Snapshot& snapshot, std::size_t limit);

}  // namespace ankus::report
