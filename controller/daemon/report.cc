// SPDX-License-Identifier: Apache-2.0
#include "daemon/report.h"

#include <netinet/in.h>

#include <algorithm>
#include <ctime>
#include <sstream>

#include "base/text.h"
#include "verify/samples_json.h"

namespace ankus::report {
namespace {

using nlohmann::json;

double seconds_of(nanoseconds duration) {
  return static_cast<double>(duration / milliseconds(1)) / 1000;
}

std::string protocol_text(std::uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_ICMP: return "icmp";
    case IPPROTO_ICMPV6: return "icmp6";
    case IPPROTO_SCTP: return "sctp";
    default: return std::to_string(protocol);
  }
}

std::string metric_label(const std::string& text) {
  std::string escaped;
  for (const char c : printable(text)) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

/// Two workloads may have one name, and Prometheus refuses a series that is there twice.
std::string labels_of(const Workload& workload) {
  return "id=\"" + std::to_string(workload.id) + "\",workload=\"" + metric_label(workload.name) +
         "\"";
}

}  // namespace

std::string time_text(WallTime time) {
  const std::time_t when = std::chrono::duration_cast<seconds>(time.since_epoch).count();
  std::tm parts{};
  (void)gmtime_r(&when, &parts);  // fails only for years beyond an int
  char buffer[32];
  (void)std::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return buffer;
}

json workload(const WorkloadState& state, MonotonicTime now) {
  const Workload& w = state.workload;
  const Footprint& f = state.footprint;
  json row{{"id", w.id},
           {"name", w.name},
           {"kind", to_text(w.kind)},
           {"label", w.label},
           {"weight", to_text(f.weight)},
           {"reason", f.reason},
           {"transmit_bits_per_second", f.transmit.bits_per_second},
           {"receive_bits_per_second", f.receive.bits_per_second},
           {"packets_per_second", f.packets_per_second},
           {"new_flows_per_second", f.new_flows_per_second},
           {"elephants", f.elephants},
           {"elephant_share", f.elephant_share.of_one},
           {"learnt", f.learnt},
           {"opted_out", w.opted_out},
           {"since_s", seconds_of(now - f.since)}};
  if (w.device) row["device"] = w.device->name;
  if (w.identity.cgroup_id != 0) row["cgroup_id"] = w.identity.cgroup_id;
  if (w.main_pid != 0) row["pid"] = w.main_pid;
  return row;
}

json workloads(const Snapshot& snapshot) {
  json rows = json::array();
  for (const WorkloadState& state : snapshot.workloads)
    rows.push_back(workload(state, snapshot.at));
  return {{"workloads", rows}};
}

json flows(std::span<const Flow> flows, const Snapshot& snapshot, std::size_t limit) {
  std::vector<const Flow*> sorted;
  for (const Flow& flow : flows) sorted.push_back(&flow);
  const auto moved = [](const Flow* flow) {
    return flow->transmitted.count + flow->received.count;
  };
  std::ranges::stable_sort(sorted, std::ranges::greater(), moved);
  if (sorted.size() > limit) sorted.resize(limit);
  json rows = json::array();
  for (const Flow* flow : sorted) {
    json row{{"local", to_text(flow->local)},
             {"remote", to_text(flow->remote)},
             {"protocol", protocol_text(flow->protocol)},
             {"zone", flow->zone},
             {"out_bytes", flow->transmitted.count},
             {"in_bytes", flow->received.count},
             {"out_packets", flow->packets_out},
             {"in_packets", flow->packets_in},
             {"fast", flow->fast},
             {"elephant", flow->elephant},
             {"age_s", seconds_of(flow->age)},
             {"idle_s", seconds_of(flow->idle)},
             {"conntracked", flow->conntracked}};
    if (flow->wire_local != flow->local) row["wire_local"] = to_text(flow->wire_local);
    // Over its life: what a flow moves just now the kernel side keeps per window only.
    if (flow->age > flow->idle)
      row["rate_bits_per_second"] =
          static_cast<std::uint64_t>(static_cast<double>(moved(flow)) * 8 /
                                     std::max(0.001, seconds_of(flow->age - flow->idle)));
    const auto owner = std::ranges::find(snapshot.workloads, flow->owner,
                                         [](const WorkloadState& s) { return s.workload.id; });
    if (flow->owner != 0 && owner != snapshot.workloads.end())
      row["owner"] = {{"id", flow->owner}, {"name", owner->workload.name}};
    rows.push_back(std::move(row));
  }
  return {{"total", flows.size()}, {"flows", rows}};
}

std::string policy_names(const std::vector<PolicySource>& sources) {
  std::vector<std::string> names;
  for (const PolicySource& source : sources)
    names.push_back(source.file.substr(source.file.rfind('/') + 1));
  return names.empty() ? "no policy" : join(names, ", ");
}

json policies(const std::vector<PolicySource>& sources) {
  json rows = json::array();
  for (const PolicySource& source : sources)
    rows.push_back({{"file", source.file}, {"rules", source.rules}});
  return rows;
}

json refusals(const std::vector<Refusal>& refusals) {
  json rows = json::array();
  for (const Refusal& refusal : refusals)
    rows.push_back({{"what", refusal.what}, {"why", refusal.why}});
  return rows;
}

std::optional<std::string> refusal_on(const std::string& device,
                                      const std::vector<Refusal>& refusals) {
  auto found = std::ranges::find(refusals, "shape " + device, &Refusal::what);
  if (found == refusals.end())
    found = std::ranges::find_if(
        refusals, [&](const Refusal& refusal) { return refusal.what.ends_with(" " + device); });
  return found == refusals.end() ? std::nullopt : std::optional(found->why);
}

json plan(const Plan& plan, const std::string& policy, Mode mode) {
  json actions = json::array(), notes = json::array();
  for (const Action& action : plan.actions) {
    actions.push_back({{"id", id_of(action)},
                       {"knob", to_text(action.knob)},
                       {"before", to_text(action.before)},
                       {"after", to_text(action.after)},
                       {"reason", action.reason}});
    if (const auto* root = std::get_if<knob::RootQdisc>(&action.knob))
      notes.push_back("replacing the root qdisc of " + root->device.name +
                      " drops the packets that wait in it, once");
    if (const auto* clsact = std::get_if<knob::Clsact>(&action.knob))
      notes.push_back("adding a clsact qdisc to " + clsact->device.name +
                      " loses a few packets, once");
  }
  return {{"id", id_of(plan)},
          {"policy", policy},
          {"mode", to_text(mode)},
          {"actions", actions},
          {"refusals", refusals(plan.refusals)},
          {"note_lines", notes}};
}

json steps(std::span<const RunStep> steps) {
  json rows = json::array();
  for (const RunStep& step : steps) {
    json row{
        {"id", step.id}, {"knob", to_text(step.action.knob)}, {"outcome", to_text(step.outcome)}};
    row["text"] = step.text.empty()
                      ? to_text(step.action.before) + " -> " + to_text(step.action.after)
                      : step.text;
    rows.push_back(std::move(row));
  }
  return rows;
}

json state(const Controls& controls, BootTime now) {
  json state{{"name", "idle"}};
  std::vector<std::string> why;
  if (!controls.degraded.empty())
    why.emplace_back("could neither be set nor undone; `ankusctl rollback --all` tries again");
  if (controls.paused) why.push_back((why.empty() ? "by " : "paused by ") + controls.paused_by);
  if (controls.hold) {
    state["name"] = "held";
    why.push_back((why.empty() && !controls.confirmation ? "after " : "on hold after ") +
                  *controls.hold);
  }
  if (controls.confirmation && !controls.confirmation->on_trial) {
    const Confirmation& waiting = *controls.confirmation;
    state["name"] = "pending_confirmation";
    state["plan"] = waiting.plan;
    if (waiting.deadline > now)
      state["deadline_s"] = seconds_of(waiting.deadline - now);
    else
      why.push_back("nobody has confirmed plan " + waiting.plan + ": it is being undone");
  }
  // Neither stops the deadline.
  if (controls.paused) state["name"] = "paused";
  if (!controls.degraded.empty()) {
    state["name"] = "degraded";
    state["objects"] = controls.degraded;
  }
  if (!why.empty()) state["text"] = join(why, "; ");
  return state;
}

json held(std::span<const HeldKnob> held) {
  json rows = json::array();
  for (const HeldKnob& h : held)
    rows.push_back({{"id", h.action},
                    {"plan", h.plan},
                    {"knob", to_text(h.knob)},
                    {"before", to_text(h.original)},
                    {"now", to_text(h.written)},
                    {"since", time_text(h.since_wall)},
                    {"reason", h.reason}});
  return rows;
}

json ceded(std::span<const CededKnob> ceded, BootTime now) {
  json rows = json::array();
  for (const CededKnob& c : ceded)
    if (c.until > now)
      rows.push_back({{"knob", to_text(c.knob)},
                      {"found", c.found},
                      {"why", c.why},
                      {"since", time_text(c.since_wall)},
                      {"until_s", seconds_of(c.until - now)}});
  return rows;
}

json history(std::span<const PastEvent> events) {
  json rows = json::array();
  for (const PastEvent& past : events)
    rows.push_back({{"time", time_text(past.time)},
                    {"boottime_ns", past.boot_time.since_boot.count()},
                    {"kind", past.event.kind},
                    {"plan", past.event.plan},
                    {"action", past.event.action},
                    {"text", past.event.text}});
  return rows;
}

json sensors(const std::vector<SensorState>& sensors, std::size_t flows, std::uint32_t capacity) {
  static constexpr std::string_view kStates[] = {"on", "off", "failed"};
  json rows = json::array();
  for (const SensorState& sensor : sensors)
    rows.push_back({{"name", sensor.name},
                    {"state", kStates[static_cast<std::size_t>(sensor.state)]},
                    {"detail", sensor.detail}});
  rows.push_back({{"name", "flow table"},
                  {"state", "on"},
                  {"detail", "shared by all sensors"},
                  {"flows", flows},
                  {"capacity", capacity},
                  {"memory_bytes", FlowTable::memory_for(capacity).count}});
  return rows;
}

json counters(const Counters& counters) {
  return {{"map_full", counters[ANKUS_COUNT_MAP_FULL]},
          {"lost_records", counters[ANKUS_COUNT_EVENT_LOST]},
          {"busy", counters[ANKUS_COUNT_MAP_BUSY]},
          {"over_quota", counters[ANKUS_COUNT_OVER_QUOTA]},
          {"unparsed", counters[ANKUS_COUNT_UNPARSED]},
          {"no_owner", counters[ANKUS_COUNT_NO_OWNER]},
          {"lease_expired", counters[ANKUS_COUNT_LEASE_EXPIRED]},
          {"classed_slow", counters[ANKUS_COUNT_CLASS_SLOW]},
          {"classed_fast", counters[ANKUS_COUNT_CLASS_FAST]},
          {"classed_probation", counters[ANKUS_COUNT_CLASS_PROBATION]}};
}

namespace {

json counted(const SegmentSamples& segment) {
  Histogram all;
  for (const Histogram& slice : segment.slices) all += slice;
  json rows = json::array();
  for (std::size_t bucket = 0; bucket < kHistogramBuckets; ++bucket)
    if (all.counts[bucket] != 0)
      rows.push_back({{"from_ns", lower_bound(bucket)}, {"count", all.counts[bucket]}});
  return rows;
}

std::string_view waits_for(SegmentKind kind) {
  if (kind == SegmentKind::round_trip) return "answer";
  return is_on_host(kind) ? "path" : "application";
}

/// Of each watched workload, segment by segment: before and after.
json distributions(const Judged& judged) {
  json rows = json::array();
  for (const LightSamples& after : judged.after.watched) {
    const auto before =
        std::ranges::find(judged.before.watched, after.workload, &LightSamples::workload);
    if (before == judged.before.watched.end()) continue;
    for (const SegmentSamples& segment : after.segments) {
      const auto then = std::ranges::find(before->segments, segment.name, &SegmentSamples::name);
      if (then == before->segments.end()) continue;
      rows.push_back({{"workload", after.name},
                      {"segment", segment.name},
                      {"waits_for", waits_for(segment.kind)},
                      {"before", counted(*then)},
                      {"after", counted(segment)},
                      {"coverage_before", share_of(then->coverage).of_one},
                      {"coverage_after", share_of(segment.coverage).of_one}});
    }
  }
  return rows;
}

}  // namespace

json judged(const Judged& judged) {
  return {{"plan", judged.proposal.id},
          {"trial", to_text(judged.proposal.trial)},
          {"kept", judged.conclusion.keep},
          {"text", judged.conclusion.reason},
          {"verdict", to_json(judged.verdict)},
          {"before", to_json(judged.before)},
          {"after", to_json(judged.after)},
          {"window_s", seconds_of(judged.after.length)},
          {"distributions", distributions(judged)}};
}

std::string metrics(const Snapshot& snapshot, const Counters& counters, std::size_t flows,
                    std::size_t held) {
  std::ostringstream out;
  const auto gauge = [&](std::string_view name, std::string_view help) {
    out << "# HELP " << name << ' ' << help << "\n# TYPE " << name << " gauge\n";
  };
  gauge("ankus_flows", "Flows in the table.");
  out << "ankus_flows " << flows << '\n';
  gauge("ankus_held_settings", "Settings in force that Ankus made.");
  out << "ankus_held_settings " << held << '\n';
  gauge("ankus_workload_transmit_bits_per_second", "Smoothed over the footprint's window.");
  for (const WorkloadState& s : snapshot.workloads)
    out << "ankus_workload_transmit_bits_per_second{" << labels_of(s.workload) << ",weight=\""
        << to_text(s.footprint.weight) << "\"} " << s.footprint.transmit.bits_per_second << '\n';
  gauge("ankus_workload_elephants", "Flows that are elephants now.");
  for (const WorkloadState& s : snapshot.workloads)
    out << "ankus_workload_elephants{" << labels_of(s.workload) << "} " << s.footprint.elephants
        << '\n';
  const json values = report::counters(counters);
  for (const auto& [name, value] : values.items())
    out << "# TYPE ankus_" << name << "_total counter\nankus_" << name << "_total "
        << value.get<std::uint64_t>() << '\n';
  return out.str();
}

}  // namespace ankus::report
