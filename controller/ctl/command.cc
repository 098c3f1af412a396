// SPDX-License-Identifier: Apache-2.0
#include "ctl/command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/units.h"
#include "base/version.h"
#include "ctl/http.h"

namespace ankus::ctl {
namespace {

constexpr const char* kFooter = R"(
Exit codes: 0 done, or nothing to do; 1 failed, or the daemon would not; 2 usage or a bad policy;
            3 no daemon answers; 4 not permitted; 5 the daemon is too old or too new;
            6 apply did nothing, since the plan refuses all that is not as wanted.
Environment: ANKUS_SOCKET is the default of --socket; NO_COLOR turns colours off.
See docs/operating.md.)";

/// Checks and converts at once, so that CLI11 names the option in the error.
CLI::Validator duration_into(milliseconds& target, milliseconds least = milliseconds(1),
                             milliseconds most = std::chrono::hours(24)) {
  return CLI::Validator(
      [&target, least, most](std::string& text) -> std::string {
        const auto duration = parse_duration(text);
        if (!duration) return duration.error().text;
        target = std::chrono::duration_cast<milliseconds>(*duration);
        if (target < least || target > most)
          return "give a duration of " + to_text(least) + " to " + to_text(most) + ", as in 10s";
        return "";
      },
      "DURATION");
}

struct Described {
  Verb verb;
  const char* name;
  const char* help;
};
constexpr std::array kVerbs{
    Described{Verb::status, "status",
              "mode, sensors and downgrades, what is in force, trial and last verdict"},
    Described{Verb::workloads, "workloads", "containers, VMs and services with their footprints"},
    Described{Verb::flows, "flows", "the flows that moved most"},
    Described{Verb::queues, "queues", "receive queue, IRQ, CPU, load: who serves whom"},
    Described{Verb::latency, "latency", "how long this host keeps a workload's packets, and where"},
    Described{Verb::tcp, "tcp", "how TCP fares: per workload, and connection by connection"},
    Described{Verb::check, "check", "parse and validate policies; needs no daemon"},
    Described{Verb::plan, "plan", "the dry run: what would change and why; measures the baseline"},
    Described{Verb::apply, "apply", "make the host as the policy wants it, now and all of it"},
    Described{Verb::confirm, "confirm", "keep what `apply --confirm-within` applied"},
    Described{Verb::rollback, "rollback",
              "undo a plan, an action or all; holds until resume or a reboot"},
    Described{Verb::pause, "pause",
              "set nothing new until resume; what is due to be undone is still undone"},
    Described{Verb::resume, "resume",
              "end a pause, or the hold after a rollback or a confirmation that did not come"},
    Described{Verb::reload, "reload", "read the policy files again"},
    Described{Verb::doctor, "doctor", "what Ankus can and cannot do on this host, and why"},
    Described{Verb::history, "history", "what was done, when and why"},
    Described{Verb::explain, "explain",
              "why a plan, an action or a workload is as it is; verdicts"},
    Described{Verb::watch, "watch", "status and workloads, again and again"},
    Described{Verb::opt_out, "opt-out",
              "treat its traffic like that of nobody known until it restarts; it still leaves "
              "through the tree, and is watched"},
    Described{Verb::opt_in, "opt-in", "end an opt-out"},
};

void add_options(CLI::App& app, Verb verb, Command& command, milliseconds& confirm_within) {
  switch (verb) {
    case Verb::check:
      app.add_option("POLICY", command.policies,
                     "policy files; several are read as one, in this order")
          ->required();
      break;
    case Verb::plan:
      app.add_option("POLICY", command.policy,
                     "a policy file instead of the loaded ones: how to look at one by itself");
      break;
    case Verb::apply:
      app.add_option("POLICY", command.policy, "a policy file instead of the loaded ones");
      app.add_option("--confirm-within",
                     "undo it all, and hold until resume, unless `ankusctl confirm` comes within "
                     "this time")
          ->check(duration_into(confirm_within, seconds(1)));
      break;
    case Verb::rollback: {
      auto* id = app.add_option("ID", command.what, "a plan (p-...) or an action (a-...)");
      app.add_flag("--all", command.all, "everything that is in force")->excludes(id);
      break;
    }
    case Verb::explain:
      app.add_option("ID", command.what, "a plan, an action, or a workload's name or id")
          ->required();
      break;
    case Verb::opt_out:
    case Verb::opt_in:
      app.add_option("WORKLOAD", command.what, "its name or id")->required();
      break;
    case Verb::latency:
      app.add_option("WORKLOAD", command.what, "its name or id; else all");
      app.add_option("--for", "how long to measure, 100ms to 1m (5s)")
          ->check(duration_into(command.window, milliseconds(100), seconds(60)));
      app.add_option(
             "--one-in", command.one_in,
             "measure one of so many packets (16), rounded up to a power of two; 1 is all of "
             "them")
          ->check(CLI::Range(1, 65536));
      app.add_flag("--csv", command.csv, "a line for each segment, for a spreadsheet");
      break;
    case Verb::tcp:
      app.add_option("WORKLOAD|FLOW", command.what,
                     "a workload's name or id, or a part of an address such as 10.0.0.7:443");
      app.add_option("-n,--limit", command.limit,
                     "at most so many connections (20; of a WORKLOAD|FLOW all)")
          ->check(CLI::Range(1, 10000));
      app.add_flag("--csv", command.csv, "a line for each connection, for a spreadsheet");
      break;
    case Verb::flows:
    case Verb::history:
      app.add_option("-n,--limit", command.limit, "at most so many")->check(CLI::Range(1, 10000));
      break;
    case Verb::watch:
      app.add_option("--interval", "time between two looks (1s)")
          ->check(duration_into(command.interval));
      app.add_option("--times", command.times, "end after so many looks");
      break;
    case Verb::status:
    case Verb::workloads:
    case Verb::queues:
    case Verb::confirm:
    case Verb::pause:
    case Verb::resume:
    case Verb::reload:
    case Verb::doctor: break;
  }
}

}  // namespace

std::variant<Command, Answer> parse_command(std::vector<std::string> arguments,
                                            const std::string& environment_socket) {
  Command command;
  if (!environment_socket.empty()) command.socket = environment_socket;
  milliseconds confirm_within{0};
  CLI::App app("Talks to ankusd, which watches network flows and tunes the host by policy.",
               "ankusctl");
  app.footer(kFooter);
  app.set_version_flag("--version", "ankusctl " + std::string(kVersion));
  app.require_subcommand(1);
  app.fallthrough();  // --json and --socket may stand behind the verb
  app.add_flag("--json", command.json, "the daemon's reply as JSON (docs/api.md)");
  app.add_option("--socket", command.socket, "the daemon's control socket")->capture_default_str();
  for (const Described& verb : kVerbs) {
    CLI::App* sub = app.add_subcommand(verb.name, verb.help);
    add_options(*sub, verb.verb, command, confirm_within);
    sub->callback([&command, &verb] { command.verb = verb.verb; });
  }
  std::ranges::reverse(arguments);  // CLI11 takes them from the back
  // CLI11 reports by exceptions: this is the border where they become values.
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const int code = app.exit(error, out, err);
    if (code == 0) return Answer{.out = out.str()};
    return Answer{.code = ExitCode::usage, .err = "ankusctl: " + err.str()};
  }
  if (confirm_within.count() > 0) command.confirm_within = confirm_within;
  if (command.verb == Verb::rollback && command.what.empty() && !command.all)
    return Answer{.code = ExitCode::usage,
                  .err =
                      "ankusctl: rollback: give the ID of a plan or an action (`ankusctl "
                      "status` lists them), or --all\n"};
  return command;
}

Call call_of(const Command& command, const std::string& policy_text) {
  using nlohmann::json;
  const auto limited = [&](const char* path) {
    return std::string(path) +
           (command.limit == 0 ? "" : "?limit=" + std::to_string(command.limit));
  };
  const auto post = [](const char* path, const json& body) {
    // An argument need not be UTF-8; dump() would throw.
    return Call{.method = "POST",
                .target = path,
                .body = body.dump(-1, ' ', false, json::error_handler_t::replace)};
  };
  json body = json::object();
  if (command.policy) body = {{"policy_text", policy_text}, {"policy_file", *command.policy}};
  switch (command.verb) {
    case Verb::status:
    case Verb::watch: return {.method = "GET", .target = "/v1/status"};
    case Verb::workloads: return {.method = "GET", .target = "/v1/workloads"};
    case Verb::flows: return {.method = "GET", .target = limited("/v1/flows")};
    case Verb::history: return {.method = "GET", .target = limited("/v1/history")};
    case Verb::queues: return {.method = "GET", .target = "/v1/queues"};
    case Verb::latency:
      return post("/v1/latency",
                  json{{"window_ms", command.window.count()}, {"one_in", command.one_in}});
    case Verb::tcp:
      // What is asked for is picked out here, so it must be among what comes.
      return {.method = "GET",
              .target = command.what.empty() ? limited("/v1/tcp") : "/v1/tcp?limit=10000"};
    case Verb::doctor: return {.method = "GET", .target = "/v1/doctor"};
    case Verb::explain:
      return {.method = "GET", .target = "/v1/explain/" + percent_encoded(command.what)};
    case Verb::plan:
      if (!command.policy) return {.method = "GET", .target = "/v1/plan"};
      return post("/v1/plan", body);
    case Verb::apply:
      if (command.confirm_within) body["confirm_within_ms"] = command.confirm_within->count();
      return post("/v1/apply", body);
    case Verb::confirm: return post("/v1/confirm", body);
    case Verb::rollback:
      return post("/v1/rollback", command.all ? json{{"all", true}} : json{{"id", command.what}});
    case Verb::pause: return post("/v1/pause", body);
    case Verb::resume: return post("/v1/resume", body);
    case Verb::reload: return post("/v1/reload", body);
    case Verb::opt_out: return post("/v1/opt-out", json{{"workload", command.what}});
    case Verb::opt_in: return post("/v1/opt-in", json{{"workload", command.what}});
    case Verb::check: break;  // needs no daemon
  }
  return {};
}

}  // namespace ankus::ctl
