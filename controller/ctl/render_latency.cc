// SPDX-License-Identifier: Apache-2.0
#include "ctl/render_latency.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/text.h"
#include "ctl/reply.h"

namespace ankus::ctl {
namespace {

using nlohmann::json;

constexpr std::size_t kBar = 40;

/// "850 ns", "12.3 us", "4.56 ms".
std::string time_of(std::optional<double> nanoseconds) {
  if (!nanoseconds) return "-";
  double value = *nanoseconds;
  std::string_view unit = "ns";
  for (const std::string_view larger : {"us", "ms", "s"}) {
    if (value < 999.5) break;
    value /= 1000;
    unit = larger;
  }
  const int digits = unit == "ns" || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return decimals(value, digits) + " " + std::string(unit);
}
std::string time_of(const json& object, const char* key) { return time_of(number_of(object, key)); }

/// Counts by power of two: the kernel's buckets, four by four.
using Octaves = std::map<int, double>;
Octaves octaves_of(const json::array_t& histogram) {
  Octaves octaves;
  for (const json& row : histogram)
    octaves[static_cast<int>(std::log2(std::max(1.0, number_of(row, "from_ns").value_or(1))))] +=
        number_of(row, "count").value_or(0);
  return octaves;
}

std::string bar(double part, double whole, std::size_t width) {
  const auto length =
      static_cast<std::size_t>(std::ceil(part / std::max(1.0, whole) * static_cast<double>(width)));
  std::string text;
  for (std::size_t i = 0; i < std::min(length, width); ++i) text += "█";
  return text;
}

double largest(const Octaves& octaves) {
  double most = 0;
  for (const auto& [octave, count] : octaves) most = std::max(most, count);
  return most;
}

std::string below(int octave) { return "< " + time_of(std::exp2(octave + 1)); }

std::string histogram_text(const json::array_t& histogram, Style style) {
  const Octaves octaves = octaves_of(histogram);
  if (octaves.empty()) return "";
  Table table{.columns = {{"", Align::right}, {"", Align::right}, {""}}};
  for (int octave = octaves.begin()->first; octave <= octaves.rbegin()->first; ++octave) {
    const auto found = octaves.find(octave);
    const double count = found == octaves.end() ? 0 : found->second;
    table.rows.push_back({below(octave), scaled(count, ""), bar(count, largest(octaves), kBar)});
  }
  return to_text(table, style, "    ");
}

bool is_of(const json& row, const std::string& workload) {
  return workload.empty() || text_of(row, "workload", "") == workload ||
         text_of(row, "workload_id", "") == workload;
}

std::string name_of(const json& row) { return text_of(row, "workload", "(nobody known)"); }

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string render_latency(const json& reply, const std::string& workload, Style style) {
  std::vector<const json*> rows;
  for (const json& row : list_of(reply, "segments"))
    if (is_of(row, workload)) rows.push_back(&row);
  const json& cost = field(reply, "cost");
  const bool has_heavy =
      number_of(reply, "heavy_one_in").value_or(0) > number_of(reply, "one_in").value_or(0);
  std::string text =
      "window " + duration(reply, "window_s") + ", 1 packet in " + text_of(reply, "one_in") +
      " measured" +
      (has_heavy ? ", of heavy workloads 1 in " + text_of(reply, "heavy_one_in") : "") +
      "; measuring took " + decimals(number_of(cost, "of_cpus").value_or(0) * 100, 2) +
      "% of the CPUs' time\n";
  if (number_of(reply, "no_room").value_or(0) > 0)
    text += style.warning("no room") + " for " + text_of(reply, "no_room") +
            " packets: coverage tells\n";
  for (const json& line : list_of(reply, "downgrades"))
    if (line.is_string())
      text += style.warning("downgrade") + ": " +
              printable(line.get_ref<const std::string&>(), kLongText) + "\n";
  if (rows.empty())
    return text + (workload.empty() ? "no packets of workloads were seen\n"
                                    : "no packets of " + printable(workload) + " were seen\n");
  Table table{.columns = {{"WORKLOAD"},
                          {""},
                          {"SEGMENT"},
                          {"WAITS FOR"},
                          {"P50", Align::right},
                          {"P90", Align::right},
                          {"P99", Align::right},
                          {"MAX", Align::right},
                          {"MEASURED", Align::right},
                          {"COVERAGE", Align::right},
                          {"FROM"},
                          {"TO"}}};
  for (const json* row : rows)
    table.rows.push_back({name_of(*row), text_of(*row, "direction"), text_of(*row, "segment"),
                          text_of(*row, "waits_for"), time_of(*row, "p50_ns"),
                          time_of(*row, "p90_ns"), time_of(*row, "p99_ns"), time_of(*row, "max_ns"),
                          scaled(number_of(*row, "measured"), ""), share(*row, "coverage"),
                          text_of(*row, "from"), text_of(*row, "to")});
  text += "\n" + to_text(table, style);
  if (workload.empty()) return text;
  for (const json* row : rows)
    text += "\n" + style.strong(text_of(*row, "segment")) + "\n" +
            histogram_text(list_of(*row, "histogram"), style);
  return text;
}

std::string render_judged(const json& judged, Style style) {
  const json& verdict = field(judged, "verdict");
  std::string text = style.strong("verdict") + ": " +
                     state_word(text_of(verdict, "effect"), style) + ", " +
                     (flag_of(judged, "kept") ? "kept" : "undone") + " (windows of " +
                     duration(judged, "window_s") + ")\n  " + text_of(judged, "text") + "\n";
  Table table{.columns = {{"WORKLOAD"},
                          {"EFFECT"},
                          {"PATH BEFORE", Align::right},
                          {"PATH AFTER", Align::right},
                          {"PACKETS", Align::right},
                          {"COVERAGE", Align::right},
                          {"WHY"}}};
  for (const json& one : list_of(verdict, "comparisons"))
    table.rows.push_back({text_of(one, "name") + (flag_of(one, "control") ? " (control)" : ""),
                          state_word(text_of(one, "effect"), style),
                          time_of(field(one, "path_before"), "value_ns"),
                          time_of(field(one, "path_after"), "value_ns"),
                          text_of(one, "packets_before") + "/" + text_of(one, "packets_after"),
                          share(one, "coverage_before") + "/" + share(one, "coverage_after"),
                          text_of(one, "reason", "")});
  if (!table.rows.empty()) text += "\n" + to_text(table, style, "  ");
  for (const auto& [key, word] : {std::pair("vetoes", "veto"), {"doubts", "doubt"}})
    for (const json& finding : list_of(verdict, key))
      text += "  " + style.warning(word) + ": " + text_of(finding, "rule") + ": " +
              text_of(finding, "numbers") + "\n";
  for (const json& row : list_of(judged, "distributions")) {
    const Octaves before = octaves_of(list_of(row, "before")),
                  after = octaves_of(list_of(row, "after"));
    if (before.empty() && after.empty()) continue;
    constexpr std::size_t kHalf = 24;
    int first = 64, last = 0;
    for (const Octaves* side : {&before, &after})
      for (const auto& [octave, count] : *side) {
        first = std::min(first, octave);
        last = std::max(last, octave);
      }
    Table sides{
        .columns = {
            {"", Align::right}, {"BEFORE", Align::right}, {""}, {"AFTER", Align::right}, {""}}};
    for (int octave = first; octave <= last; ++octave) {
      const auto count = [&](const Octaves& side) {
        const auto found = side.find(octave);
        return found == side.end() ? 0.0 : found->second;
      };
      std::string left = bar(count(before), largest(before), kHalf);
      sides.rows.push_back({below(octave), scaled(count(before), ""), std::move(left),
                            scaled(count(after), ""), bar(count(after), largest(after), kHalf)});
    }
    text += "\n  " + style.strong(text_of(row, "workload") + ", " + text_of(row, "segment")) +
            ", waiting for the " + text_of(row, "waits_for") + "\n" + to_text(sides, style, "    ");
  }
  return text;
}

std::string latency_csv(const json& reply, const std::string& workload) {
  constexpr const char* kNumbers[] = {"p50_ns", "p90_ns",   "p99_ns",  "p999_ns",
                                      "max_ns", "measured", "packets", "coverage"};
  std::string text = "workload,workload_id,direction,segment,waits_for,from,to";
  for (const char* key : kNumbers) text += std::string(",") + key;
  text += "\n";
  for (const json& row : list_of(reply, "segments")) {
    if (!is_of(row, workload)) continue;
    std::string line;
    for (const char* key :
         {"workload", "workload_id", "direction", "segment", "waits_for", "from", "to"})
      line += (line.empty() ? "" : ",") + csv_field(text_of(row, key, ""));
    for (const char* key : kNumbers) line += "," + text_of(row, key, "");
    text += line + "\n";
  }
  return text;
}

}  // namespace ankus::ctl
