// SPDX-License-Identifier: Apache-2.0
#include "ctl/render_host.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "base/cpu_set.h"
#include "base/text.h"
#include "ctl/reply.h"

namespace ankus::ctl {
namespace {

using nlohmann::json;

constexpr int kMeter = 10;

/// "██████░░░░  63%".
std::string meter(const json& object, const char* key, Style style) {
  const auto share = number_of(object, key);
  if (!share) return "-";
  const int full = static_cast<int>(std::lround(std::clamp(*share, 0.0, 1.0) * kMeter));
  std::string bar;
  for (int i = 0; i < kMeter; ++i) bar += i < full ? "█" : "░";
  const std::string percent = decimals(*share * 100, 0) + "%";
  const std::string text =
      bar + std::string(percent.size() < 4 ? 5 - percent.size() : 1, ' ') + percent;
  return *share >= 0.85 ? style.bad(text) : *share >= 0.6 ? style.warning(text) : text;
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
  return text + meter(*cpu, "busy", style);
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
                          meter(cpu, "busy", style), share(cpu, "softirq"),
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

/// Which CPU serves an interrupt: where it comes out, else where it may.
std::string served_by(const json& reply, const json& irq, Style style) {
  const std::string effective = text_of(irq, "effective", "");
  return cpu_text(reply, effective.empty() ? text_of(irq, "cpus") : effective, style) +
         (flag_of(irq, "managed") ? " (the kernel's choice)" : "");
}

/// CPUs as a list; none of them is "off".
std::string mask_text(const json& row, const char* key) {
  const json& value = field(row, key);
  return text_of(row, key, value.is_string() ? "off" : "-");
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
    table.rows.push_back(
        {text_of(row, "queue"), text_of(row, "entries"),
         scaled(number_of(row, "packets_per_second"), ""),
         irq == nullptr ? "-" : text_of(*irq, "irq"), irq == nullptr ? "-" : text_of(*irq, "name"),
         irq == nullptr ? "-" : served_by(reply, *irq, style), mask_text(row, "rps")});
  }
  if (!table.rows.empty()) text += to_text(without_empty_columns(std::move(table)), style, "  ");
  for (const json& irq : list_of(device, "irqs"))
    if (!number_of(irq, "receive_queue"))
      text += "  IRQ " + text_of(irq, "irq") + "  " + text_of(irq, "name") + "  " +
              served_by(reply, irq, style) + "\n";
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

constexpr std::size_t kBars = 16;

/// "▂▁█▁": a bar for each queue, against the busiest; of many queues one for the most of some.
std::string bars(const std::vector<double>& rates) {
  const double most = rates.empty() ? 0 : *std::ranges::max_element(rates);
  const std::size_t together = (rates.size() + kBars - 1) / kBars;
  std::string text;
  for (std::size_t i = 0; i < rates.size(); i += together) {
    const auto first = rates.begin() + static_cast<std::ptrdiff_t>(i);
    const auto count = std::min(together, rates.size() - i);
    const double rate = *std::max_element(first, first + static_cast<std::ptrdiff_t>(count));
    constexpr std::array kHeights{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const double height = most > 0 ? std::clamp(rate / most, 0.0, 1.0) * 7 : 0;
    text += kHeights[static_cast<std::size_t>(std::lround(height))];
  }
  return text;
}

/// "rx 2, 412k/s → IRQ 34 → CPU 2  ██████░░░░  61%".
std::string way_of(const json& busiest, Style style) {
  if (!busiest.is_object()) return "nothing was received";
  std::string text = "rx " + text_of(busiest, "queue");
  if (const std::string irq = text_of(busiest, "irq", ""); !irq.empty()) text += " → IRQ " + irq;
  if (const std::string cpus = text_of(busiest, "cpus", ""); !cpus.empty())
    text += " → CPU " + cpus + "  " + meter(busiest, "busy", style);
  return text;
}

bool is_of(const json& row, const std::string& what) {
  return what.empty() || text_of(row, "workload", "") == what ||
         text_of(row, "workload_id", "") == what ||
         text_of(row, "local", "").find(what) != std::string::npos ||
         text_of(row, "remote", "").find(what) != std::string::npos;
}

}  // namespace

std::string render_queues(const json& reply, Style style) {
  std::string text = "load: over the last look, about a second\n\n" + cpus_table(reply, style);
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
                            meter(thread, "busy", style)});
    text += section("Threads", style) + to_text(without_empty_columns(std::move(table)), style);
  }
  return text;
}

std::string busiest_queues_table(const json& reply, Style style) {
  Table table{.columns = {{"NAME"},
                          {"RX QUEUES", Align::right},
                          {"PACKETS/S", Align::right},
                          {"EACH"},
                          {"BUSIEST"}}};
  for (const json& device : list_of(reply, "queues")) {
    std::vector<double> rates;
    double all = 0;
    for (const json& rate : list_of(device, "packets_per_second")) {
      rates.push_back(rate.is_number() ? std::max(rate.get<double>(), 0.0) : 0);
      all += rates.back();
    }
    table.rows.push_back({text_of(device, "name"), std::to_string(rates.size()), scaled(all, ""),
                          bars(rates), way_of(field(device, "busiest"), style)});
  }
  return to_text(table, style, "  ");
}

std::string render_tcp(const json& reply, const std::string& what, std::size_t limit, Style style) {
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
                             text_of(row, "timeouts"), time_of(row, "p50_ns"),
                             time_of(row, "p99_ns"), scaled(number_of(row, "rtt_samples"), "")});
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
  std::size_t of_what = 0;
  for (const json& row : list_of(reply, "flows"))
    if (is_of(row, what) && ++of_what <= limit)
      flows.rows.push_back({text_of(row, "workload", "-"), text_of(row, "local"),
                            text_of(row, "remote"), bytes(row, "sent_bytes"),
                            bytes(row, "received_bytes"), bytes(row, "flight_bytes"),
                            text_of(row, "congestion_window"), bytes(row, "peer_window_bytes"),
                            text_of(row, "mss_bytes"), text_of(row, "retransmits"),
                            text_of(row, "timeouts"), bytes(row, "send_queue_bytes"),
                            time_of(row, "smoothed_rtt_ns"), duration(row, "duration_s")});
  if (totals.rows.empty() && flows.rows.empty())
    return what.empty() ? "no TCP connections are known\n"
                        : "no TCP connections of " + printable(what) + " are known\n";
  std::string text;
  if (!totals.rows.empty())
    text +=
        "counted since ankusd began to watch; RTT: of so many SAMPLES\n\n" + to_text(totals, style);
  if (flows.rows.empty()) return text;
  // Without a filter the daemon has cut already, and says of how many.
  const std::size_t all =
      what.empty()
          ? static_cast<std::size_t>(std::clamp(number_of(reply, "total").value_or(0), 0.0, 1e15))
          : of_what;
  text += section(counted(flows.rows.size(), "connection") +
                      (all > flows.rows.size() ? " of " + std::to_string(all) +
                                                     ", those that moved most; --limit shows more"
                                               : ""),
                  style) +
          "CWND in packets, RETRANS in segments, MSS in bytes; RTT: the kernel's average now\n" +
          to_text(flows, style);
  return text;
}

std::string tcp_csv(const json& reply, const std::string& what, std::size_t limit) {
  constexpr std::array kKeys{"workload",         "workload_id",         "local",
                             "remote",           "established",         "duration_s",
                             "sent_bytes",       "acknowledged_bytes",  "received_bytes",
                             "written_bytes",    "read_bytes",          "segments_sent",
                             "retransmits",      "retransmitted_bytes", "fast_retransmits",
                             "timeouts",         "smoothed_rtt_ns",     "rtt_samples",
                             "rtt_sum_ns",       "congestion_window",   "flight_packets",
                             "flight_bytes",     "mss_bytes",           "peer_window_bytes",
                             "own_window_bytes", "send_queue_bytes",    "send_queue_max_bytes",
                             "send_memory_bytes"};
  std::string text = csv_title(kKeys);
  std::size_t lines = 0;
  for (const json& row : list_of(reply, "flows"))
    if (row.is_object() && is_of(row, what) && ++lines <= limit) text += csv_line(row, kKeys);
  return text;
}

}  // namespace ankus::ctl
