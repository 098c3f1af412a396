// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "ctl/table.h"

namespace ankus::ctl {

/// Receive queue, IRQ, CPU, load: who serves whom.
std::string render_queues(const nlohmann::json& reply, Style style);
/// Status' short form of it: a line for each NIC, "rx 2 → IRQ 34 → CPU 2  ██████░░░░  61%".
std::string busiest_queues_table(const nlohmann::json& reply, Style style);

// `what`: a workload's name or id, or a part of an endpoint; empty for all. At most `limit`
// connections.
std::string render_tcp(const nlohmann::json& reply, const std::string& what, std::size_t limit,
                       Style style);
std::string tcp_csv(const nlohmann::json& reply, const std::string& what, std::size_t limit);

}  // namespace ankus::ctl
