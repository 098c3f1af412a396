// SPDX-License-Identifier: Apache-2.0
#include "ctl/render.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "ctl/render_host.h"
#include "ctl/render_latency.h"
#include "ctl/reply.h"

namespace ankus::ctl {
namespace {

using nlohmann::json;

constexpr std::size_t kMostFlows = 10'000;  ///< in one reply

std::string state_text(const json& state, Style style) {
  const std::string name = text_of(state, "name");
  std::string text = name == "held" ? style.warning("on hold") : state_word(name, style);
  if (name == "held") text += ": nothing is applied until `ankusctl resume` or a reboot";
  if (name == "paused")
    text +=
        ": nothing new is set until `ankusctl resume`; what is due to be undone is still undone";
  std::vector<std::string> objects;
  for (const json& object : list_of(state, "objects"))
    if (object.is_string()) objects.push_back(printable(object.get_ref<const std::string&>()));
  if (!objects.empty()) text += ": " + join(objects, ", ");
  if (number_of(state, "deadline_s"))
    text += std::string(name == "pending_confirmation" ? ": " : "; ") + "plan " +
            text_of(state, "plan") + " is undone in " + duration(state, "deadline_s") +
            " unless `ankusctl confirm`";
  if (const std::string why = text_of(state, "text", ""); !why.empty()) text += " (" + why + ")";
  return text;
}

std::string policies_text(const json& reply) {
  std::vector<std::string> parts;
  for (const json& policy : list_of(reply, "policies")) {
    const auto rules = number_of(policy, "rules");
    parts.push_back(text_of(policy, "file") +
                    (rules ? " (" + counted(static_cast<std::size_t>(*rules), "rule") + ")" : ""));
  }
  return parts.empty() ? "none" : join(parts, ", ");
}

std::string verdict_text(const json& verdict, Style style) {
  return state_word(text_of(verdict, "verdict"), style) + " (plan " + text_of(verdict, "plan") +
         ", " + text_of(verdict, "time") + "): " + text_of(verdict, "text");
}

std::string counters_text(const json& counters) {
  std::vector<std::string> parts;
  if (counters.is_object())
    for (const auto& [name, value] : counters.items()) {
      std::string words = printable(name);
      std::ranges::replace(words, '_', ' ');
      if (value.is_number()) parts.push_back(words + " " + value.dump());
    }
  return parts.empty() ? "-" : join(parts, ", ");
}

std::string sensors_table(const json& reply, Style style) {
  Table table{
      .columns = {
          {"NAME"}, {"STATE"}, {"FLOWS", Align::right}, {"MEMORY", Align::right}, {"DETAIL"}}};
  for (const json& sensor : list_of(reply, "sensors")) {
    std::string flows = text_of(sensor, "flows");
    if (const std::string capacity = text_of(sensor, "capacity", ""); !capacity.empty())
      flows += "/" + capacity;
    table.rows.push_back({text_of(sensor, "name"), state_word(text_of(sensor, "state"), style),
                          flows, bytes(sensor, "memory_bytes"), text_of(sensor, "detail", "")});
  }
  return to_text(table, style, "  ");
}

std::string links_table(const json& reply, Style style) {
  Table table{.columns = {{"NAME"}, {"RATE", Align::right}, {"MANAGED"}}};
  for (const json& link : list_of(reply, "links")) {
    const std::string refusal = text_of(link, "refusal", "");
    const std::string managed = flag_of(link, "managed") ? style.good("yes")
                                : refusal.empty()        ? "no"
                                                         : "no: " + refusal;
    table.rows.push_back({text_of(link, "name"), rate(link, "rate_bits_per_second"), managed});
  }
  return to_text(table, style, "  ");
}

std::string held_table(const json& reply, Style style) {
  Table table{.columns = {{"ID"}, {"PLAN"}, {"SINCE"}, {"WHAT"}, {"NOW"}, {"BEFORE"}, {"REASON"}}};
  for (const json& held : list_of(reply, "held"))
    table.rows.push_back({text_of(held, "id"), text_of(held, "plan"), text_of(held, "since"),
                          text_of(held, "knob"), text_of(held, "now"), text_of(held, "before"),
                          text_of(held, "reason", "")});
  return to_text(table, style, "  ");
}

std::string ceded_table(const json& reply, Style style) {
  Table table{.columns = {{"WHAT"}, {"FOUND"}, {"SINCE"}, {"LEFT ALONE FOR", Align::right}}};
  for (const json& ceded : list_of(reply, "ceded"))
    table.rows.push_back({text_of(ceded, "knob"), text_of(ceded, "found"), text_of(ceded, "since"),
                          duration(ceded, "until_s")});
  return to_text(table, style, "  ");
}

std::string refusals_text(const json& reply, Style style) {
  std::string text;
  for (const json& refusal : list_of(reply, "refusals"))
    text += style.warning("refused") + ": " + text_of(refusal, "what") + ": " +
            text_of(refusal, "why") + "\n";
  return text;
}

std::string workload_word(const json& workload) {
  const json& owner = field(workload, "owner");
  return owner.is_object() ? text_of(owner, "name") : "-";
}

std::string history_table(const json::array_t& entries, Style style) {
  Table table{.columns = {{"TIME"}, {"KIND"}, {"PLAN"}, {"ACTION"}, {"TEXT"}}};
  for (const json& entry : entries)
    table.rows.push_back({text_of(entry, "time"), state_word(text_of(entry, "kind"), style),
                          text_of(entry, "plan"), text_of(entry, "action"),
                          text_of(entry, "text", "")});
  return to_text(table, style);
}

}  // namespace

std::string render_status(const json& reply, Style style) {
  std::string text = "ankusd " + text_of(reply, "version") + ", mode " +
                     style.strong(text_of(reply, "mode")) + ", kernel " + text_of(reply, "kernel") +
                     ", pid " + text_of(reply, "pid") + ", up " + duration(reply, "uptime_s") +
                     "\n\n";
  text += head_line("state", state_text(field(reply, "state"), style), style);
  text += head_line("policies", policies_text(reply), style);
  if (const json& verdict = field(reply, "verdict"); verdict.is_object())
    text += head_line("verdict", verdict_text(verdict, style), style);
  if (const std::string trial = text_of(reply, "trial", ""); !trial.empty())
    text += head_line("trial", trial, style);
  if (const std::string waiting = text_of(reply, "waiting", ""); !waiting.empty())
    text += head_line("waiting", style.warning(waiting), style);
  if (const json& conntrack = field(reply, "conntrack"); conntrack.is_object())
    text += head_line("conntrack",
                      std::string(flag_of(conntrack, "active")
                                      ? "active"
                                      : style.warning("inactive in this network namespace")) +
                          ", accounting " + (flag_of(conntrack, "accounting") ? "on" : "off"),
                      style);
  const std::string why = text_of(reply, "history_text", "");
  text += head_line("history",
                    flag_of(reply, "history_ok")
                        ? "written"
                        : state_word("NOT WRITTEN", style) + (why.empty() ? "" : ": " + why),
                    style);
  text += head_line("counters", counters_text(field(reply, "counters")), style);

  if (!list_of(reply, "sensors").empty())
    text += section("Sensors", style) + sensors_table(reply, style);
  if (!list_of(reply, "links").empty()) text += section("Links", style) + links_table(reply, style);
  if (!list_of(reply, "queues").empty())
    text += section("Receive queues", style) + busiest_queues_table(reply, style);
  const auto held = list_of(reply, "held").size();
  text += section(held > 0 ? "In force (" + std::to_string(held) + ")"
                  : list_of(reply, "ceded").empty()
                      ? "Nothing of Ankus is in force: the host is as Ankus found it"
                      : "Nothing of Ankus is in force",
                  style);
  if (held > 0) text += held_table(reply, style);
  if (!list_of(reply, "ceded").empty())
    text += section("Ceded to others", style) + ceded_table(reply, style);
  if (!list_of(reply, "downgrades").empty()) text += section("Downgrades", style);
  for (const json& downgrade : list_of(reply, "downgrades"))
    if (downgrade.is_string())
      text += "  " + printable(downgrade.get_ref<const std::string&>(), kLongText) + "\n";
  return text;
}

std::string render_workloads(const json& reply, Style style) {
  const auto& workloads = list_of(reply, "workloads");
  if (workloads.empty()) return "no workloads\n";
  Table table{.columns = {{"ID", Align::right},
                          {"NAME"},
                          {"LABEL"},
                          {"KIND"},
                          {"FOOTPRINT"},
                          {"FOR", Align::right},
                          {"TRANSMIT", Align::right},
                          {"RECEIVE", Align::right},
                          {"ELEPHANTS", Align::right},
                          {"SHARE", Align::right},
                          {"DEVICE"},
                          {"REASON"}}};
  for (const json& workload : workloads) {
    std::string reason = text_of(workload, "reason", "");
    if (flag_of(workload, "learnt")) reason += reason.empty() ? "(learnt)" : " (learnt)";
    if (flag_of(workload, "opted_out")) reason += reason.empty() ? "(opted out)" : " (opted out)";
    table.rows.push_back({text_of(workload, "id"), text_of(workload, "name"),
                          text_of(workload, "label"), text_of(workload, "kind"),
                          state_word(text_of(workload, "weight"), style),
                          duration(workload, "since_s"), rate(workload, "transmit_bits_per_second"),
                          rate(workload, "receive_bits_per_second"), text_of(workload, "elephants"),
                          share(workload, "elephant_share"), text_of(workload, "device"), reason});
  }
  return to_text(table, style);
}

std::string render_flows(const json& reply, Style style) {
  const auto& flows = list_of(reply, "flows");
  if (flows.empty()) return "no flows\n";
  Table table{.columns = {{"OWNER"},
                          {"PROTO"},
                          {"LOCAL"},
                          {"REMOTE"},
                          {"OUT", Align::right},
                          {"IN", Align::right},
                          {"MEAN RATE", Align::right},
                          {"AGE", Align::right},
                          {"WHAT"}}};
  for (const json& flow : flows) {
    std::string local = text_of(flow, "local");
    if (const std::string wire = text_of(flow, "wire_local", ""); !wire.empty() && wire != local)
      local += " as " + wire;
    std::vector<std::string> what;
    if (flag_of(flow, "elephant")) what.push_back(style.bad("elephant"));
    if (flag_of(flow, "fast")) what.push_back(style.warning("fast"));
    const json& tracked = field(flow, "conntracked");
    if (tracked.is_boolean() && !tracked.get<bool>()) what.push_back("untracked");
    table.rows.push_back({workload_word(flow), text_of(flow, "protocol"), local,
                          text_of(flow, "remote"), bytes(flow, "out_bytes"),
                          bytes(flow, "in_bytes"), rate(flow, "rate_bits_per_second"),
                          duration(flow, "age_s"), join(what, ", ")});
  }
  std::string text = to_text(table, style);
  if (const auto total = number_of(reply, "total");
      total && *total > static_cast<double>(flows.size()))
    text += "\n" + std::to_string(flows.size()) + " of " + text_of(reply, "total") + " flows" +
            (flows.size() < kMostFlows ? "; --limit shows more\n" : "\n");
  return text;
}

std::string render_plan(const json& reply, Style style) {
  const auto& actions = list_of(reply, "actions");
  const std::size_t refused = list_of(reply, "refusals").size();
  const std::string what = !actions.empty() ? counted(actions.size(), "action")
                           : refused == 0   ? "nothing to do, the host is as the policy wants it"
                                            : "no action, " + std::to_string(refused) + " refused";
  std::string text = "plan " + style.strong(text_of(reply, "id")) + " of " +
                     text_of(reply, "policy") + ": " + what + "\n";
  for (const json& action : actions) {
    text += "\n  " + text_of(action, "id") + "  " + style.strong(text_of(action, "knob")) + "\n";
    text += "    from  " + text_of(action, "before") + "\n";
    text += "    to    " + style.good(text_of(action, "after")) + "\n";
    text += "    why   " + text_of(action, "reason") + "\n";
  }
  if (const std::string refusals = refusals_text(reply, style); !refusals.empty())
    text += "\n" + refusals;
  const auto& notes = list_of(reply, "note_lines");
  if (!notes.empty()) text += "\n";
  for (const json& note : notes)
    if (note.is_string())
      text += "note: " + printable(note.get_ref<const std::string&>(), kLongText) + "\n";
  return text;
}

std::string render_outcome(const json& reply, Style style) {
  const std::string state = text_of(reply, "state");
  const auto& actions = list_of(reply, "actions");
  std::string text;
  if (!actions.empty()) {
    Table table{.columns = {{"ID"}, {"OUTCOME"}, {"WHAT"}, {"TEXT"}}};
    for (const json& action : actions)
      table.rows.push_back({text_of(action, "id"), state_word(text_of(action, "outcome"), style),
                            text_of(action, "knob"), text_of(action, "text", "")});
    text += to_text(table, style) + "\n";
  }
  text += refusals_text(reply, style);
  const std::string plan = text_of(reply, "plan", "");
  const std::string of_plan = plan.empty() ? "" : " plan " + plan;
  if (state == "applied") {
    text += style.good("applied") + of_plan + "\n";
  } else if (state == "pending_confirmation") {
    text += style.warning("applied" + of_plan + ", not confirmed") + ": undone in " +
            duration(reply, "deadline_s") + " unless `ankusctl confirm`\n";
    text += "if the daemon dies, " + text_of(reply, "deadman", "nothing else") + " undoes it\n";
  } else if (state == "confirmed") {
    text += style.good("confirmed") + of_plan + "\n";
  } else if (state == "rolled_back" && !field(reply, "error").is_null()) {
    // What was not is in the error's text.
  } else if (state == "rolled_back") {
    text +=
        style.good("rolled back") + (plan.starts_with("undo of ") ? ": " + plan : of_plan) + "\n";
  } else if (state == "unchanged") {
    const std::size_t refused = list_of(reply, "refusals").size();
    text += refused == 0
                ? "nothing to do\n"
                : style.warning("nothing done") + ", " + std::to_string(refused) + " refused\n";
  } else if (field(reply, "error").is_null()) {
    text += state + of_plan + "\n";
  }
  for (const json& note : list_of(reply, "note_lines"))
    if (note.is_string()) text += printable(note.get_ref<const std::string&>(), kLongText) + "\n";
  if (flag_of(reply, "held"))
    text += "on hold: nothing is applied again until `ankusctl resume` or a reboot\n";
  return text;
}

std::string render_done(const json& reply, Style style) {
  std::string text = text_of(reply, "text", "done") + "\n";
  if (!list_of(reply, "policies").empty())
    text += head_line("policies", policies_text(reply), style);
  for (const json& downgrade : list_of(reply, "downgrades"))
    if (downgrade.is_string())
      text += style.warning("downgrade") + ": " +
              printable(downgrade.get_ref<const std::string&>(), kLongText) + "\n";
  return text;
}

std::string render_history(const json& reply, Style style) {
  const auto& entries = list_of(reply, "entries");
  return entries.empty() ? "no history\n" : history_table(entries, style);
}

std::string render_explain(const json& reply, Style style) {
  std::string text =
      style.strong(text_of(reply, "title", text_of(reply, "kind") + " " + text_of(reply, "id"))) +
      "\n";
  for (const json& line : list_of(reply, "lines"))
    if (line.is_string())
      text += "  " + printable(line.get_ref<const std::string&>(), kLongText) + "\n";
  if (const json& verdict = field(reply, "verdict"); verdict.is_object())
    text += "\nverdict: " + verdict_text(verdict, style) + "\n";
  if (const json& judged = field(reply, "judged"); judged.is_object())
    text += "\n" + render_judged(judged, style);
  if (const json& plan = field(reply, "plan"); plan.is_object())
    text += "\n" + render_plan(plan, style);
  if (const json& workload = field(reply, "workload"); workload.is_object())
    text += "\n" + render_workloads({{"workloads", json::array({workload})}}, style);
  if (const auto& entries = list_of(reply, "history"); !entries.empty())
    text += "\n" + history_table(entries, style);
  return text;
}

std::string render_doctor(const json& reply, Style style) {
  Table table{.columns = {{"CHECK"}, {"STATE"}, {"FOUND"}}};
  for (const json& check : list_of(reply, "checks")) {
    std::string found = text_of(check, "text", "");
    if (const std::string remedy = text_of(check, "remedy", ""); !remedy.empty())
      found += (found.empty() ? "" : "; ") + style.strong("do: ") + remedy;
    table.rows.push_back(
        {text_of(check, "name"), state_word(text_of(check, "state"), style), found});
  }
  return "kernel " + text_of(reply, "kernel") + "\n\n" + to_text(table, style);
}

}  // namespace ankus::ctl
