// SPDX-License-Identifier: Apache-2.0
#include "ctl/render_latency.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include "base/text.h"
#include "ctl/reply.h"

namespace ankus::ctl {
namespace {

using nlohmann::json;

constexpr std::size_t kBar = 40;

/// Counts by time: so many steps to a power of two. The kernel's buckets have four.
struct Steps {
  int per_octave = 1;
  std::map<int, double> counts;
};
constexpr int kSubBuckets = 4;

Steps steps_of(const json::array_t& histogram, int per_octave) {
  Steps steps{.per_octave = per_octave, .counts = {}};
  for (const json& row : histogram) {
    // In [0.5, 1) times a power of two; times are below 2^63 ns.
    int exponent = 0;
    const double part = std::frexp(
        std::clamp(number_of(row, "from_ns").value_or(1), 1.0, std::exp2(62)), &exponent);
    const int sub = static_cast<int>((part * 2 - 1) * per_octave);
    steps.counts[(exponent - 1) * per_octave + sub] += number_of(row, "count").value_or(0);
  }
  return steps;
}

std::string bar(double part, double whole, std::size_t width) {
  const auto length = static_cast<std::size_t>(
      std::ceil(std::clamp(part / std::max(1.0, whole), 0.0, 1.0) * static_cast<double>(width)));
  std::string text;
  for (std::size_t i = 0; i < std::min(length, width); ++i) text += "█";
  return text;
}

double largest(const Steps& steps) {
  double most = 0;
  for (const auto& [step, count] : steps.counts) most = std::max(most, count);
  return most;
}

double count_at(const Steps& steps, int step) {
  const auto found = steps.counts.find(step);
  return found == steps.counts.end() ? 0 : found->second;
}

std::string below(int step, int per_octave) {
  return "< " + time_of(std::exp2(step / per_octave) *
                        (1 + static_cast<double>(step % per_octave + 1) / per_octave));
}

std::string histogram_text(const json::array_t& histogram, Style style) {
  if (histogram.empty()) return "";
  Steps steps = steps_of(histogram, 1);
  // Where all is in a few octaves, the kernel's own buckets say more.
  if (steps.counts.rbegin()->first - steps.counts.begin()->first < 3)
    steps = steps_of(histogram, kSubBuckets);
  Table table{.columns = {{"", Align::right}, {"", Align::right}, {""}}};
  for (int step = steps.counts.begin()->first; step <= steps.counts.rbegin()->first; ++step) {
    const double count = count_at(steps, step);
    table.rows.push_back(
        {below(step, steps.per_octave), scaled(count, ""), bar(count, largest(steps), kBar)});
  }
  return to_text(table, style, "    ");
}

bool is_of(const json& row, const std::string& workload) {
  return workload.empty() || text_of(row, "workload", "") == workload ||
         text_of(row, "workload_id", "") == workload;
}

std::string name_of(const json& row) { return text_of(row, "workload", "(nobody known)"); }

}  // namespace

std::string render_latency(const json& reply, const std::string& workload, Style style) {
  std::vector<const json*> rows;
  for (const json& row : list_of(reply, "segments"))
    if (is_of(row, workload)) rows.push_back(&row);
  const auto cost_share = number_of(field(reply, "cost"), "of_cpus");
  const bool has_heavy =
      number_of(reply, "heavy_one_in").value_or(0) > number_of(reply, "one_in").value_or(0);
  std::string text =
      "window " + duration(reply, "window_s") + ", 1 packet in " + text_of(reply, "one_in") +
      " measured" +
      (has_heavy ? ", of heavy workloads 1 in " + text_of(reply, "heavy_one_in") : "") +
      "; measuring took " + (cost_share ? decimals(*cost_share * 100, 2) + "%" : "-") +
      " of the CPUs' time\n";
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
                          {"WAY"},
                          {"SEGMENT"},
                          {"WAITS FOR"},
                          {"P50", Align::right},
                          {"P90", Align::right},
                          {"P99", Align::right},
                          {"MAX", Align::right},
                          {"MEASURED", Align::right},
                          {"COVERAGE", Align::right}}};
  Table legend{.columns = {{"SEGMENT"}, {"FROM"}, {"TO"}}};
  for (const json* row : rows) {
    table.rows.push_back({name_of(*row), text_of(*row, "direction"), text_of(*row, "segment"),
                          text_of(*row, "waits_for"), time_of(*row, "p50_ns"),
                          time_of(*row, "p90_ns"), time_of(*row, "p99_ns"), time_of(*row, "max_ns"),
                          scaled(number_of(*row, "measured"), ""), share(*row, "coverage")});
    std::vector<std::string> way{text_of(*row, "segment"), text_of(*row, "from"),
                                 text_of(*row, "to")};
    if (std::ranges::find(legend.rows, way) == legend.rows.end())
      legend.rows.push_back(std::move(way));
  }
  text += "\n" + to_text(table, style) + "\n" + to_text(legend, style);
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
    const Steps before = steps_of(list_of(row, "before"), 1),
                after = steps_of(list_of(row, "after"), 1);
    if (before.counts.empty() && after.counts.empty()) continue;
    constexpr std::size_t kHalf = 24;
    int first = 64, last = 0;
    for (const Steps* side : {&before, &after})
      for (const auto& [step, count] : side->counts) {
        first = std::min(first, step);
        last = std::max(last, step);
      }
    Table sides{
        .columns = {
            {"", Align::right}, {"BEFORE", Align::right}, {""}, {"AFTER", Align::right}, {""}}};
    for (int step = first; step <= last; ++step) {
      const double then = count_at(before, step), now = count_at(after, step);
      sides.rows.push_back({below(step, 1), scaled(then, ""), bar(then, largest(before), kHalf),
                            scaled(now, ""), bar(now, largest(after), kHalf)});
    }
    text += "\n  " + style.strong(text_of(row, "workload") + ", " + text_of(row, "segment")) +
            ", waiting for the " + text_of(row, "waits_for") + "; coverage " +
            share(row, "coverage_before") + " before, " + share(row, "coverage_after") +
            " after\n" + to_text(sides, style, "    ");
  }
  return text;
}

std::string latency_csv(const json& reply, const std::string& workload) {
  constexpr std::array kKeys{"workload", "workload_id", "direction", "segment", "waits_for",
                             "p50_ns",   "p90_ns",      "p99_ns",    "p999_ns", "max_ns",
                             "measured", "packets",     "coverage",  "dropped", "split",
                             "window_s", "from",        "to"};
  std::string text = csv_title(kKeys);
  for (json row : list_of(reply, "segments")) {
    if (!is_of(row, workload) || !row.is_object()) continue;
    row["window_s"] = field(reply, "window_s");
    text += csv_line(row, kKeys);
  }
  return text;
}

}  // namespace ankus::ctl
