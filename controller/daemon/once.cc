// SPDX-License-Identifier: Apache-2.0
#include "daemon/once.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <sstream>
#include <thread>

#include "act/dry_run.h"
#include "base/text.h"
#include "daemon/report.h"
#include "model/json.h"

namespace ankus {
namespace {

using nlohmann::json;

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

void show_progress(nanoseconds passed, nanoseconds whole, const Observer& observer) {
  const std::size_t elephants =
      static_cast<std::size_t>(std::ranges::count_if(observer.flows(), &Flow::elephant));
  std::ostringstream line;
  line << "watching " << passed / seconds(1) << "/" << to_text(whole) << ": "
       << observer.snapshot().workloads.size() << " workloads, " << observer.flows().size()
       << " flows, " << elephants << " elephants";
  if (isatty(STDERR_FILENO) == 1)
    std::cerr << '\r' << padded(line.str(), 78) << std::flush;
  else
    std::cerr << line.str() << '\n';
}

std::string steps_text(const std::vector<RunStep>& steps) {
  std::ostringstream out;
  for (const RunStep& step : steps)
    out << "  " << padded(std::string(to_text(step.outcome)), 8) << to_text(step.action.knob)
        << ": "
        << (step.text.empty() ? to_text(step.action.before) + " -> " + to_text(step.action.after)
                              : step.text)
        << '\n';
  return out.str();
}

}  // namespace

std::string audit_text(const Snapshot& snapshot, const std::vector<Flow>& flows, const Plan& plan,
                       const std::string& policy) {
  std::ostringstream out;
  out << "Workloads seen (" << snapshot.workloads.size() << "), " << flows.size() << " flows\n";
  std::size_t width = 8;
  for (const WorkloadState& state : snapshot.workloads)
    width = std::max(width, state.workload.name.size());
  for (const WorkloadState& state : snapshot.workloads)
    out << "  " << padded(state.workload.name, width) << "  "
        << padded(std::string(to_text(state.footprint.weight)), 7) << "  " << state.footprint.reason
        << '\n';
  out << "\nPlan " << id_of(plan) << " of " << policy << ": " << plan.actions.size()
      << (plan.actions.size() == 1 ? " action\n" : " actions\n");
  for (const Action& action : plan.actions)
    out << "  " << id_of(action) << "  " << to_text(action.knob) << "\n              "
        << to_text(action.before) << " -> " << to_text(action.after)
        << "\n              why: " << action.reason << '\n';
  if (plan.actions.empty() && plan.refusals.empty())
    out << "  nothing to do: the host is as the policy wants it\n";
  for (const Refusal& refusal : plan.refusals)
    out << "  refused: " << refusal.what << ": " << refusal.why << '\n';
  return out.str();
}

std::string rollback_text(const std::optional<Undone>& undone, bool as_json) {
  if (!undone)
    return as_json ? line_of({{"state", "unchanged"}}) + "\n"
                   : "nothing waits for a confirmation whose time is over\n";
  if (as_json)
    return line_of({{"plan", undone->what},
                    {"state", "rolled_back"},
                    {"actions", report::steps(undone->steps)},
                    {"degraded", undone->degraded},
                    {"note_lines", undone->notes}}) +
           "\n";
  std::ostringstream out;
  out << undone->what << ": " << (undone->steps.empty() ? "nothing of Ankus is in force\n" : "\n")
      << steps_text(undone->steps);
  for (const std::string& object : undone->degraded) out << "NOT undone: " << object << '\n';
  for (const std::string& note : undone->notes) out << "note: " << note << '\n';
  return out.str();
}

int run_once(const Options& options, Controller& controller, Observer& observer, Actuator& actuator,
             const Clock& clock) {
  const MonotonicTime begin = clock.monotonic();
  nanoseconds passed{};
  // The same look as the daemon's turn takes, without its acting.
  while (true) {
    if (auto plan = controller.plan(); !plan) {
      std::cerr << "ankusd: " << plan.error().text << '\n';
      return 1;
    }
    passed = clock.monotonic() - begin;
    show_progress(std::min(passed, options.observe), options.observe, observer);
    if (passed >= options.observe) break;
    std::this_thread::sleep_for(std::min<nanoseconds>(seconds(1), options.observe - passed));
  }
  if (isatty(STDERR_FILENO) == 1) std::cerr << '\n';
  const auto plan = controller.plan();
  if (!plan) {
    std::cerr << "ankusd: " << plan.error().text << '\n';
    return 1;
  }
  const std::string policy = report::policy_names(controller.policies().sources);
  json body = report::plan(*plan, policy, controller.mode());
  body["workloads"] = report::workloads(controller.snapshot())["workloads"];
  observer.read_flows(clock.monotonic());
  if (!options.json)
    std::cout << audit_text(controller.snapshot(), observer.flows(), *plan, policy);

  const bool acts = !options.dry_run && controller.mode() == Mode::enforce;
  int code = 0;
  if (const std::string why = controller.too_large(*plan); acts && !why.empty()) {
    code = 1;
    body["error"] = {{"kind", "failed"}, {"text", "not applied: " + why}};
    if (!options.json) std::cout << "\nNot applied: " << why << '\n';
  } else if (!acts) {
    // The same path as applying, into a map: what would be refused is found here.
    const auto rehearsed = rehearse(*plan, actuator);
    if (!rehearsed || rehearsed->failure) code = 1;
    const std::string verdict =
        !rehearsed           ? "would be refused: " + rehearsed.error().text
        : rehearsed->failure ? "would fail: " + rehearsed->failure->text
        : plan->actions.empty()
            ? "Nothing was changed."
            : "Nothing was changed. Rehearsed: every action would be accepted as planned.";
    body["rehearsal"] = verdict;
    if (!options.json) std::cout << '\n' << verdict << '\n';
  } else {
    const auto applied = controller.apply({.by = "ankusd --once"});
    if (!applied || applied->applied.failure) code = 1;
    if (applied) body["outcome"] = report::steps(applied->applied.steps);
    const std::string problem = !applied                   ? applied.error().text
                                : applied->applied.failure ? applied->applied.failure->text
                                                           : "";
    if (!problem.empty()) body["error"] = {{"kind", "failed"}, {"text", problem}};
    if (!options.json) {
      std::cout << '\n' << (problem.empty() ? "Applied:\n" : "Failed: " + problem + "\n");
      if (applied) std::cout << steps_text(applied->applied.steps);
    }
  }
  if (options.json) std::cout << body.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  return code;
}

}  // namespace ankus
