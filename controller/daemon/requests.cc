// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "act/drift.h"
#include "base/text.h"
#include "base/version.h"
#include "daemon/doctor.h"
#include "daemon/report.h"
#include "daemon/report_host.h"
#include "policy/flow_rules.h"

namespace ankus {
namespace {

using nlohmann::json;

/// Who asks, as history shows it: "uid 1000".
std::string name_of(const Caller& caller) {
  return caller.uid == 0 ? "root" : "uid " + std::to_string(caller.uid);
}

std::size_t limit_of(const Request& request, std::size_t standard, std::size_t highest) {
  const auto given = request.query.find("limit");
  std::size_t limit = standard;
  if (given != request.query.end())
    (void)std::from_chars(given->second.data(), given->second.data() + given->second.size(),
                          limit);  // else the standard
  return std::clamp<std::size_t>(limit, 1, highest);
}

/// The policy in a request's body; none if it names none.
Result<std::optional<LoadedPolicies>> policy_in(const json& body) {
  if (!body.contains("policy_text")) return std::optional<LoadedPolicies>();
  auto loaded =
      policy_from_text(body["policy_text"].get<std::string>(), body.value("policy_file", "policy"));
  if (!loaded) return std::unexpected(loaded.error());
  return std::optional(std::move(*loaded));
}

double seconds_of(nanoseconds duration) {
  return static_cast<double>(duration / milliseconds(1)) / 1000;
}

/// Lines of history about one plan: what it did, and what undid it.
constexpr std::size_t kMostExplained = 1'000;

}  // namespace

Reply reply_of(const Error& error) {
  switch (error.kind) {
    case ErrorKind::invalid: return error_reply(422, "bad_policy", error.text);
    case ErrorKind::gone: return error_reply(404, "not_found", error.text);
    case ErrorKind::unsupported: return error_reply(501, "unsupported", error.text);
    case ErrorKind::busy: return error_reply(503, "busy", error.text);
    case ErrorKind::refused: return error_reply(409, "wrong_state", error.text);
  }
  return error_reply(500, "failed", error.text);
}

Reply reply_of_apply(const Error& error, Mode mode) {
  if (mode == Mode::observe && error.kind == ErrorKind::unsupported)
    return error_reply(409, "wrong_mode", error.text);
  if (error.kind == ErrorKind::invalid) return error_reply(409, "wrong_state", error.text);
  return reply_of(error);
}

Result<std::string> workload_in(const json& body) {
  const auto given = body.find("workload");
  if (given == body.end()) return fail(ErrorKind::invalid, "workload is missing: a name or an id");
  if (given->is_string()) return given->get<std::string>();
  if (given->is_number_unsigned()) return std::to_string(given->get<std::uint64_t>());
  return fail(ErrorKind::invalid, "workload must be text or a whole number: a name or an id");
}

Reply Requests::answer(const Request& request) {
  using api::Verb;
  const std::string by = name_of(request.caller);
  switch (request.verb) {
    case Verb::status: return {.body = status()};
    case Verb::workloads: return {.body = report::workloads(parts_.controller.snapshot())};
    case Verb::flows:
      parts_.observer.read_flows(parts_.clock.monotonic());
      return {.body = report::flows(parts_.observer.flows(), parts_.controller.snapshot(),
                                    limit_of(request, 20, 10'000))};
    case Verb::queues:
      parts_.observer.want_queues(parts_.clock.monotonic());
      return {.body = report::queues(parts_.observer.snapshot(),
                                     parts_.observer.irqbalance_runs(parts_.clock.monotonic()))};
    case Verb::latency: return latency();
    case Verb::measure: return measure(request);
    case Verb::tcp: {
      const auto reading = parts_.observer.tcp();
      if (!reading) return reply_of(reading.error());
      return {.body = report::tcp(*reading, parts_.controller.snapshot(),
                                  limit_of(request, 20, 10'000))};
    }
    case Verb::plan:
    case Verb::plan_policy: return plan(request);
    case Verb::history: return history(request);
    case Verb::explain: return explain(request.id);
    case Verb::doctor:
      return {.body = doctor_report(
                  parts_.observer.snapshot().host.kernel_release,
                  examine(look_around(parts_.options, parts_.observer, parts_.controller.snapshot(),
                                      parts_.journal, downgrades())))};
    case Verb::metrics: {
      const auto held = parts_.journal.held();
      return {.text = report::metrics(parts_.controller.snapshot(), parts_.observer.counters(),
                                      parts_.observer.flows().size(), held ? held->size() : 0)};
    }
    case Verb::apply: return apply(request);
    case Verb::confirm: {
      const auto plan = parts_.controller.confirm(by);
      if (!plan) return error_reply(409, "wrong_state", plan.error().text);
      return {.body = {{"plan", *plan},
                       {"state", "confirmed"},
                       {"actions", json::array()},
                       {"refusals", json::array()}}};
    }
    case Verb::rollback: return rollback(request);
    case Verb::pause:
      return done(parts_.controller.pause(by),
                  "paused: nothing new is set until `ankusctl resume`; what is due to be undone is "
                  "still undone");
    case Verb::resume: return done(parts_.controller.resume(by), "resumed");
    case Verb::reload: {
      Reply reply = done(parts_.controller.reload(by), "policies loaded");
      if (reply.status == 200) {
        reply.body["policies"] = report::policies(parts_.controller.policies().sources);
        reply.body["downgrades"] = downgrades();
      }
      return reply;
    }
    case Verb::opt_out:
    case Verb::opt_in: {
      const auto workload = workload_in(request.body);
      if (!workload) return error_reply(400, "bad_request", workload.error().text);
      const bool out = request.verb == Verb::opt_out;
      const auto name = parts_.controller.set_opted_out(*workload, out);
      if (!name)
        return name.error().kind == ErrorKind::gone
                   ? reply_of(name.error())
                   : error_reply(400, "bad_request", name.error().text);
      return done({},
                  *name + (out ? " has opted out until it restarts or `ankusctl opt-in`: its "
                                 "traffic is treated like that of nobody known, and still leaves "
                                 "through the tree; it is still watched"
                               : " is looked after again"));
    }
  }
  return error_reply(404, "not_found", "no such request");
}

/// Of all sensors, the one in windows too.
std::vector<std::string> Requests::downgrades() {
  std::vector<std::string> lines = parts_.observer.downgrades();
  for (std::string& line : parts_.controller.probe().downgrades()) lines.push_back(std::move(line));
  return lines;
}

json Requests::status() {
  json body{{"version", kVersion},
            {"pid", getpid()},
            {"kernel", parts_.observer.snapshot().host.kernel_release},
            {"mode", to_text(parts_.controller.mode())},
            {"started", report::time_text(started_)},
            {"uptime_s", seconds_of(parts_.clock.monotonic() - started_at_)},
            {"policies", report::policies(parts_.controller.policies().sources)},
            {"sensors", report::sensors(parts_.observer.sensors(), parts_.observer.flows().size(),
                                        parts_.observer.table().capacity())},
            {"downgrades", downgrades()},
            {"counters", report::counters(parts_.observer.counters())}};
  const bool accounting =
      std::ranges::any_of(parts_.observer.flows(), &Flow::conntracked) && conntrack_accounts();
  body["conntrack"] = {{"active", parts_.observer.conntrack_seen()}, {"accounting", accounting}};
  const auto controls = parts_.journal.controls();
  body["state"] = controls ? report::state(*controls, parts_.clock.boot())
                           : json{{"name", "degraded"}, {"text", controls.error().text}};
  const auto held = parts_.journal.held();
  body["held"] = held ? report::held(*held) : json::array();
  const auto ceded = ceded_now(parts_.journal, parts_.clock);
  body["ceded"] = ceded ? report::ceded(*ceded, parts_.clock.boot()) : json::array();
  json links = json::array();
  const Snapshot& snapshot = parts_.controller.snapshot();
  for (const LinkFlowRules& link :
       flow_rules(snapshot, parts_.controller.policies().policy).links) {
    const bool managed = held && std::ranges::any_of(*held, [&](const HeldKnob& h) {
                           return h.knob == Knob(knob::RootQdisc{link.device});
                         });
    json row{{"name", link.device.name}, {"managed", managed}};
    if (link.rate) row["rate_bits_per_second"] = link.rate->bits_per_second;
    if (auto why = report::refusal_on(link.device.name, parts_.controller.refusals()))
      row["refusal"] = std::move(*why);
    links.push_back(std::move(row));
  }
  body["links"] = std::move(links);
  // Of the last look, if there is one: to look for status' sake alone would cost too much.
  if (json queues = report::busiest_queues(snapshot); !queues.empty())
    body["queues"] = std::move(queues);
  const auto problem = parts_.journal.history_problem();
  const MonotonicTime now = parts_.clock.monotonic();
  if (const std::string trial = parts_.controller.trials().status(now); !trial.empty())
    body["trial"] = trial;
  if (const std::string& waiting = parts_.controller.waiting(); !waiting.empty())
    body["waiting"] = waiting;
  if (const auto& judged = parts_.controller.trials().last())
    body["verdict"] = {{"verdict", to_text(judged->verdict.effect)},
                       {"plan", judged->proposal.id},
                       {"time", report::time_text(judged->at)},
                       {"text", judged->conclusion.reason}};
  body["history_ok"] = !problem;
  body["history_text"] = problem.value_or("");
  return body;
}

Reply Requests::done(Result<void> result, const std::string& text) {
  if (!result) return reply_of(result.error());
  const auto controls = parts_.journal.controls();
  const json state = controls ? report::state(*controls, parts_.clock.boot())["name"] : "degraded";
  return {.body = {{"text", text}, {"state", state}}};
}

Reply Requests::plan(const Request& request) {
  const auto policy = policy_in(request.body);
  if (!policy) return reply_of(policy.error());
  const auto plan = *policy ? parts_.controller.plan_of(**policy) : parts_.controller.plan();
  if (!plan) return error_reply(503, "busy", plan.error().text);
  if (!plan->actions.empty() || !plan->refusals.empty()) parts_.controller.expect_apply();
  const LoadedPolicies& policies = *policy ? **policy : parts_.controller.policies();
  return {.body = report::plan(*plan, report::policy_names(policies.sources),
                               parts_.controller.mode())};
}

Reply Requests::apply(const Request& request) {
  auto policy = policy_in(request.body);
  if (!policy) return reply_of(policy.error());
  Controller::ApplyRequest wanted{.by = name_of(request.caller), .policies = std::move(*policy)};
  if (request.body.contains("confirm_within_ms")) {
    const json& within = request.body["confirm_within_ms"];
    if (!within.is_number_integer() || within.get<std::int64_t>() < 1000 ||
        within.get<std::int64_t>() > 24 * 3600 * 1000)
      return error_reply(400, "bad_request",
                         "confirm_within_ms must be a whole number from 1000 to 86400000");
    wanted.confirm_within = milliseconds(within.get<std::int64_t>());
  }
  const auto reply = parts_.controller.apply(wanted);
  if (!reply) return reply_of_apply(reply.error(), parts_.controller.mode());
  const Applied& applied = reply->applied;
  json body{{"plan", applied.plan},
            {"state", applied.steps.empty() ? "unchanged"
                      : applied.deadline    ? "pending_confirmation"
                                            : "applied"},
            {"actions", report::steps(applied.steps)},
            {"refusals", report::refusals(reply->refusals)}};
  if (applied.deadline) body["deadline_s"] = seconds_of(*applied.deadline - parts_.clock.boot());
  if (applied.deadline) body["deadman"] = reply->deadman;
  if (!reply->trial.empty()) body["note_lines"] = {reply->trial};
  if (!applied.failure) return {.body = std::move(body)};
  body["error"] = {
      {"kind", "failed"},
      {"text", applied.failure->text + (applied.degraded.empty()
                                            ? "; everything that was done is undone"
                                            : "; not undone: " + join(applied.degraded, ", "))}};
  body["state"] = "rolled_back";
  return {.status = 500, .body = std::move(body)};
}

Reply Requests::rollback(const Request& request) {
  const json& body = request.body;
  const bool all = body.value("all", false);
  const std::string id = body.value("id", "");
  if (all == !id.empty()) return error_reply(400, "bad_request", "give either an id or all");
  const auto undone = parts_.controller.rollback(id, name_of(request.caller));
  if (!undone)
    return undone.error().kind == ErrorKind::invalid
               ? error_reply(404, "not_found", undone.error().text)
               : reply_of(undone.error());
  const auto controls = parts_.journal.controls();
  json reply{{"plan", undone->what},
             {"state", "rolled_back"},
             {"actions", report::steps(undone->steps)},
             {"refusals", json::array()},
             {"held", controls && controls->hold.has_value()}};
  if (!undone->notes.empty()) reply["note_lines"] = undone->notes;
  if (undone->degraded.empty()) return {.body = std::move(reply)};
  reply["error"] = {{"kind", "failed"}, {"text", "not undone: " + join(undone->degraded, ", ")}};
  return {.status = 500, .body = std::move(reply)};
}

Reply Requests::latency() {
  EffectProbe& probe = parts_.controller.probe();
  std::optional<nanoseconds> left;
  if (probe.until()) left = std::max(nanoseconds(0), *probe.until() - parts_.clock.monotonic());
  json body = report::latency(probe.latency(), parts_.controller.snapshot(), left);
  body["downgrades"] = probe.downgrades();
  return {.body = std::move(body)};
}

/// Opens a window, unless one is open: then that one is what is told of.
Reply Requests::measure(const Request& request) {
  const auto number = [&](const char* key, std::int64_t standard) {
    const auto found = request.body.find(key);
    if (found == request.body.end()) return standard;
    return found->is_number_integer() ? found->get<std::int64_t>() : std::int64_t{-1};
  };
  const std::int64_t window = number("window_ms", 5000), one_in = number("one_in", 16);
  if (window < 100 || window > 60'000)
    return error_reply(400, "bad_request", "window_ms must be a whole number from 100 to 60000");
  if (one_in < 1 || one_in > 65'536)
    return error_reply(400, "bad_request", "one_in must be a whole number from 1 to 65536");
  EffectProbe& probe = parts_.controller.probe();
  if (!probe.until())
    if (auto begun = probe.begin(milliseconds(window), parts_.clock.monotonic(),
                                 static_cast<std::uint32_t>(one_in));
        !begun)
      return reply_of(begun.error());
  return latency();
}

Reply Requests::history(const Request& request) {
  const auto events = parts_.journal.events(limit_of(request, 100, 10'000), "");
  if (!events) return error_reply(500, "failed", events.error().text);
  return {.body = {{"entries", report::history(*events)}}};
}

/// Null if it was never judged.
json Requests::last_verdict_on(const std::string& plan) {
  json verdict;
  if (plan.empty()) return verdict;
  if (const auto events = parts_.journal.events(kMostExplained, plan))
    for (const PastEvent& past : *events)
      if (past.event.kind == "verdict" && !past.event.json.empty())
        verdict = json::parse(past.event.json, nullptr, /*allow_exceptions=*/false);
  return verdict;
}

Reply Requests::explain(const std::string& id) {
  const Snapshot& snapshot = parts_.controller.snapshot();
  const auto named = find_workload(snapshot, id);
  if (!named && named.error().kind != ErrorKind::gone)
    return error_reply(400, "bad_request", named.error().text);
  if (named) {
    const WorkloadState& state = **named;
    const Workload& workload = state.workload;
    json lines = json::array();
    lines.push_back("it is " + std::string(to_text(state.footprint.weight)) + ": " +
                    state.footprint.reason);
    if (state.footprint.learnt)
      lines.push_back("learnt from earlier workloads with the label " +
                      ankus::quoted(workload.label) + ", not confirmed yet");
    if (workload.device)
      lines.push_back("known by its device " + workload.device->name +
                      (workload.identity.cgroup_id ? " and its cgroup" : ""));
    if (workload.opted_out)
      lines.push_back(
          "opted out until it restarts: watched, its traffic treated like that of nobody known");
    std::size_t flows = 0, fast = 0;
    parts_.observer.read_flows(parts_.clock.monotonic());
    for (const Flow& flow : parts_.observer.flows())
      if (flow.owner == workload.id) {
        ++flows;
        if (flow.fast) ++fast;
      }
    lines.push_back(std::to_string(flows) + " flows in the table, " + std::to_string(fast) +
                    " of them fast now");
    return {.body = {{"kind", "workload"},
                     {"id", id},
                     {"title", "workload " + workload.name},
                     {"lines", lines},
                     {"history", json::array()},
                     {"workload", report::workload(state, snapshot.at)}}};
  }
  const auto held = parts_.journal.held();
  const auto events = parts_.journal.events(kMostExplained, id);
  json lines = json::array();
  const bool is_plan = id.starts_with("p-");
  std::string plan = is_plan ? id : "";  // an action is judged with its plan
  if (held)
    for (const HeldKnob& h : *held)
      if (h.plan == id || h.action == id) {
        plan = h.plan;
        lines.push_back(to_text(h.knob) + ": " + to_text(h.original) + " -> " + to_text(h.written) +
                        " (" + h.reason + ")");
      }
  const Plan& planned = parts_.controller.last_plan();
  if (lines.empty())
    for (const Action& action : planned.actions)
      if (id_of(action) == id || id_of(planned) == id)
        lines.push_back("planned, not in force: " + to_text(action.knob) + ": " +
                        to_text(action.before) + " -> " + to_text(action.after) + " (" +
                        action.reason + ")");
  const json past = events ? report::history(*events) : json::array();
  if (events && plan.empty())
    for (const PastEvent& event : *events)  // and not with the undo of that
      if (event.event.plan.starts_with("p-")) plan = event.event.plan;
  const json verdict = last_verdict_on(plan);
  if (lines.empty() && !events)
    return error_reply(500, "failed", "history cannot be read: " + events.error().text);
  if (lines.empty() && past.empty())
    return error_reply(404, "not_found",
                       "no workload, plan or action is called " + ankus::quoted(id));
  if (lines.empty()) lines.push_back("nothing of it is in force");
  json body{{"kind", is_plan ? "plan" : "action"},
            {"id", id},
            {"title", (is_plan ? "plan " : "action ") + id},
            {"lines", lines},
            {"history", past}};
  if (verdict.is_object()) body["judged"] = verdict;
  return {.body = std::move(body)};
}

}  // namespace ankus
