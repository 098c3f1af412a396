// SPDX-License-Identifier: Apache-2.0
#include "ctl/render_host.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/cpu_set.h"
#include "base/text.h"
#include "ctl/reply.h"

namespace ankus::ctl {
namespace {

using nlohmann::json;

constexpr int kMeter = 10;

/// "██████░░░░ 63%".
std::string meter(double share, Style style) {
  const int full = std::clamp(static_cast<int>(std::lround(share * kMeter)), 0, kMeter);
  std::string bar;
  for (int i = 0; i < kMeter; ++i) bar += i < full ? "█" : "░";
  const std::string text = bar + " " + decimals(share * 100, 0) + "%";
  return share >= 0.85 ? style.bad(text) : share >= 0.6 ? style.warning(text) : text;
}

const json* cpu_of(const json& reply, std::uint32_t number) {
  for (const json& cpu : list_of(reply, "cpus"))
    if (number_of(cpu, "cpu") == number) return &cpu;
  return nullptr;
}

/// The one CPU that a list of CPUs stands for where that is clear; else the list.
std::string cpu_text(const json& reply, const std::string& list, Style style) {
  const auto set = cpu_list_from_text(list);
  if (!set || set->cpus.empty()) return "-";
  if (set->cpus.size() > 1) return "CPU " + list;
  const json* cpu = cpu_of(reply, set->cpus.front());
  std::string text = "CPU " + list;
  if (cpu == nullptr) return text;
  text.resize(std::max<std::size_t>(text.size(), 7), ' ');
  return text + meter(number_of(*cpu, "busy").value_or(0), style);
}

std::string cpus_table(const json& reply, Style style) {
  Table table{.columns = {{"CPU", Align::right},
                          {"CORE", Align::right},
                          {"NODE", Align::right},
                          {"BUSY"},
                          {"SOFTIRQ", Align::right},
                          {"DROPS/S", Align::right},
                          {"SQUEEZES/S", Align::right},
                          {""}}};
  for (const json& cpu : list_of(reply, "cpus"))
    table.rows.push_back({text_of(cpu, "cpu"), text_of(cpu, "core"), text_of(cpu, "node"),
                          meter(number_of(cpu, "busy").value_or(0), style), share(cpu, "softirq"),
                          scaled(number_of(cpu, "dropped_per_second"), ""),
                          scaled(number_of(cpu, "squeezed_per_second"), ""),
                          flag_of(cpu, "isolated") ? "isolated: left alone" : ""});
  return to_text(table, style);
}

const json* irq_of_queue(const json& device, std::size_t queue) {
  for (const json& irq : list_of(device, "irqs"))
    if (number_of(irq, "receive_queue") == static_cast<double>(queue)) return &irq;
  return nullptr;
}

std::string device_text(const json& reply, const json& device, Style style) {
  std::string text = style.strong(text_of(device, "name")) + "  " + text_of(device, "driver");
  if (const auto node = number_of(device, "node"); node && *node >= 0)
    text += ", NUMA node " + text_of(device, "node");
  if (const json& table = field(device, "table"); table.is_object())
    text += ", indirection table of " + text_of(table, "entries") + " entries" +
            (flag_of(table, "default") ? " (default)" : " (set)");
  else
    text += ", no indirection table";
  text += "\n";
  Table table{.columns = {{"RX", Align::right},
                          {"ENTRIES", Align::right},
                          {"PACKETS/S", Align::right},
                          {"IRQ", Align::right},
                          {"NAME"},
                          {"SERVED BY"},
                          {"RPS"}}};
  std::size_t queue = 0;
  for (const json& row : list_of(device, "receive")) {
    const json* irq = irq_of_queue(device, queue++);
    std::string served = "-";
    if (irq != nullptr) {
      const std::string effective = text_of(*irq, "effective", "");
      served = cpu_text(reply, effective.empty() ? text_of(*irq, "cpus") : effective, style);
      if (flag_of(*irq, "managed")) served += " (the kernel's choice)";
    }
    table.rows.push_back({text_of(row, "queue"), text_of(row, "entries"),
                          scaled(number_of(row, "packets_per_second"), ""),
                          irq == nullptr ? "-" : text_of(*irq, "irq"),
                          irq == nullptr ? "-" : text_of(*irq, "name"), served,
                          text_of(row, "rps", "off")});
  }
  text += to_text(table, style, "  ");
  std::vector<std::string> xps;
  for (const json& row : list_of(device, "transmit"))
    if (const std::string cpus = text_of(row, "xps", ""); !cpus.empty())
      xps.push_back("tx " + text_of(row, "queue") + " from CPU " + cpus);
  if (!xps.empty()) text += "  XPS: " + join(xps, ", ") + "\n";
  return text;
}

/// A device with one queue, no IRQ and nothing set says nothing.
bool is_worth_showing(const json& device) {
  if (!list_of(device, "irqs").empty() || list_of(device, "receive").size() > 1) return true;
  return std::ranges::any_of(list_of(device, "receive"),
                             [](const json& row) { return !text_of(row, "rps", "").empty(); });
}

std::string time_text(const json& object, const char* key) {
  const auto value = number_of(object, key);
  return value ? decimals(*value / 1e6, *value < 1e7 ? 2 : 1) + " ms" : "-";
}

bool is_of(const json& row, const std::string& what) {
  return what.empty() || text_of(row, "workload", "") == what ||
         text_of(row, "workload_id", "") == what ||
         text_of(row, "local", "").find(what) != std::string::npos ||
         text_of(row, "remote", "").find(what) != std::string::npos;
}

}  // namespace

std::string render_queues(const json& reply, Style style) {
  std::string text = cpus_table(reply, style);
  if (flag_of(reply, "irqbalance")) text += "irqbalance runs\n";
  const auto& devices = list_of(reply, "devices");
  std::size_t plain = 0;
  for (const json& device : devices) {
    if (is_worth_showing(device))
      text += "\n" + device_text(reply, device, style);
    else
      ++plain;
  }
  if (plain > 0)
    text += "\n" + counted(plain, "more device") + " with one queue, no IRQ and RPS off\n";
  if (devices.empty()) text += "\nqueues are being looked at; ask again in a few seconds\n";
  if (const auto& threads = list_of(reply, "threads"); !threads.empty()) {
    Table table{.columns = {{"THREAD"},
                            {"TID", Align::right},
                            {"WORKLOAD"},
                            {"DEVICE"},
                            {"RUNS ON"},
                            {"MAY RUN ON"},
                            {"BUSY"}}};
    for (const json& thread : threads)
      table.rows.push_back({text_of(thread, "name"), text_of(thread, "tid"),
                            text_of(thread, "workload"), text_of(thread, "device"),
                            text_of(thread, "cpus"), text_of(thread, "allowed"),
                            meter(number_of(thread, "busy").value_or(0), style)});
    text += section("Threads", style) + to_text(table, style);
  }
  return text;
}

std::string render_tcp(const json& reply, const std::string& what, Style style) {
  Table totals{.columns = {{"WORKLOAD"},
                           {"OPENED", Align::right},
                           {"CLOSED", Align::right},
                           {"SENT", Align::right},
                           {"ACKED", Align::right},
                           {"RECEIVED", Align::right},
                           {"SEGMENTS", Align::right},
                           {"RETRANS", Align::right},
                           {"FAST", Align::right},
                           {"RTO", Align::right},
                           {"RTT P50", Align::right},
                           {"RTT P99", Align::right},
                           {"SAMPLES", Align::right}}};
  for (const json& row : list_of(reply, "workloads"))
    if (is_of(row, what))
      totals.rows.push_back({text_of(row, "workload", "(nobody known)"), text_of(row, "opened"),
                             text_of(row, "closed"), bytes(row, "sent_bytes"),
                             bytes(row, "acknowledged_bytes"), bytes(row, "received_bytes"),
                             scaled(number_of(row, "segments_sent"), ""),
                             text_of(row, "retransmits"), text_of(row, "fast_retransmits"),
                             text_of(row, "timeouts"), time_text(row, "p50_ns"),
                             time_text(row, "p99_ns"), scaled(number_of(row, "rtt_samples"), "")});
  Table flows{.columns = {{"WORKLOAD"},
                          {"LOCAL"},
                          {"REMOTE"},
                          {"SENT", Align::right},
                          {"RECEIVED", Align::right},
                          {"FLIGHT", Align::right},
                          {"CWND", Align::right},
                          {"RWND", Align::right},
                          {"MSS", Align::right},
                          {"RETRANS", Align::right},
                          {"RTO", Align::right},
                          {"QUEUE", Align::right},
                          {"RTT", Align::right},
                          {"AGE", Align::right}}};
  for (const json& row : list_of(reply, "flows"))
    if (is_of(row, what))
      flows.rows.push_back({text_of(row, "workload", "-"), text_of(row, "local"),
                            text_of(row, "remote"), bytes(row, "sent_bytes"),
                            bytes(row, "received_bytes"), bytes(row, "flight_bytes"),
                            text_of(row, "congestion_window"), bytes(row, "peer_window_bytes"),
                            text_of(row, "mss_bytes"), text_of(row, "retransmits"),
                            text_of(row, "timeouts"), bytes(row, "send_queue_bytes"),
                            time_text(row, "smoothed_rtt_ns"), duration(row, "duration_s")});
  if (totals.rows.empty() && flows.rows.empty()) return "no TCP connections are known\n";
  std::string text;
  if (!totals.rows.empty()) text += to_text(totals, style);
  if (!flows.rows.empty())
    text += section(counted(flows.rows.size(), "connection"), style) + to_text(flows, style);
  return text;
}

std::string tcp_csv(const json& reply, const std::string& what) {
  std::string text;
  for (const json& row : list_of(reply, "flows")) {
    if (!is_of(row, what) || !row.is_object()) continue;
    if (text.empty()) {
      for (const auto& [key, value] : row.items()) text += (text.empty() ? "" : ",") + key;
      text += "\n";
    }
    std::string line;
    for (const auto& [key, value] : row.items())
      line += (line.empty() ? "" : ",") + text_of(row, key.c_str(), "");
    text += line + "\n";
  }
  return text;
}

}  // namespace ankus::ctl
