// SPDX-License-Identifier: Apache-2.0
#include "ctl/session.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <ostream>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "base/version.h"
#include "ctl/check.h"
#include "ctl/render.h"
#include "ctl/render_host.h"
#include "ctl/render_latency.h"
#include "ctl/reply.h"

namespace ankus::ctl {
namespace {

using nlohmann::json;

std::string printed(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string header(const HttpReply& reply, const char* name) {
  const auto found = reply.headers.find(name);
  return found == reply.headers.end() ? "" : printable(found->second, 40);
}

Answer fault(ExitCode code, const std::string& text) {
  return {.code = code, .err = "ankusctl: " + text + "\n"};
}

ExitCode code_of(CallFailure failure) {
  switch (failure) {
    case CallFailure::no_daemon: return ExitCode::unreachable;
    case CallFailure::not_permitted: return ExitCode::not_permitted;
    case CallFailure::broken: break;
  }
  return ExitCode::failed;
}

ExitCode code_of_status(int status) {
  if (status < 400) return ExitCode::ok;
  if (status == 403) return ExitCode::not_permitted;
  if (status == 422) return ExitCode::usage;
  return ExitCode::failed;
}

/// Each line by itself: a policy may have many errors.
std::string printable_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string_view line : split(text, '\n')) lines.push_back(printable(line, 1000));
  return join(lines, "\n");
}

/// The daemon's own words for what went wrong.
std::string error_text(const json& body, int status) {
  const json error = body.is_object() ? body.value("error", json()) : json();
  if (error.is_object())
    if (const auto text = error.find("text"); text != error.end() && text->is_string())
      return printable_lines(text->get_ref<const std::string&>());
  return "ankusd answers with status " + std::to_string(status) + " and no reason";
}

/// Connections of those that the daemon tells of.
std::size_t shown(const Command& command) {
  return command.limit == 0 ? std::numeric_limits<std::size_t>::max() : command.limit;
}

std::string rendered(const Command& command, const json& body, Style style) {
  switch (command.verb) {
    case Verb::watch:
    case Verb::status: return render_status(body, style);
    case Verb::workloads: return render_workloads(body, style);
    case Verb::flows: return render_flows(body, style);
    case Verb::queues: return render_queues(body, style);
    case Verb::latency:
      return command.csv ? latency_csv(body, command.what)
                         : render_latency(body, command.what, style);
    case Verb::tcp:
      return command.csv ? tcp_csv(body, command.what, shown(command))
                         : render_tcp(body, command.what, shown(command), style);
    case Verb::plan: return render_plan(body, style);
    case Verb::apply:
    case Verb::confirm:
    case Verb::rollback: return render_outcome(body, style);
    case Verb::pause:
    case Verb::resume:
    case Verb::reload:
    case Verb::opt_out:
    case Verb::opt_in: return render_done(body, style);
    case Verb::history: return render_history(body, style);
    case Verb::explain: return render_explain(body, style);
    case Verb::doctor: return render_doctor(body, style);
    case Verb::check: break;  // has no reply
  }
  return "";
}

bool doctor_found_failure(const json& body) {
  const auto checks = body.find("checks");
  if (checks == body.end() || !checks->is_array()) return false;
  return std::ranges::any_of(*checks, [](const json& check) {
    return check.is_object() && check.value("state", json()) == "fail";
  });
}

/// What is wanted is not in force, and nothing could be done for it.
bool did_nothing_but_refuse(const json& body) {
  return text_of(body, "state") == "unchanged" && !list_of(body, "refusals").empty();
}

/// Applying may wait for the kernel (RTNL) behind others; looking must not.
seconds patience_for(const Command& command) {
  const bool changes = command.verb == Verb::apply || command.verb == Verb::rollback;
  return changes ? seconds(120) : seconds(15);
}

Answer ask(const Command& command, const std::string& policy_text, Style style) {
  const Call request = call_of(command, policy_text);
  const auto reply =
      call(command.socket, http_request(request.method, request.target, request.body),
           patience_for(command));
  if (!reply) return fault(code_of(reply.error().failure), reply.error().text);
  return answer_of(command, *reply, style);
}

constexpr double kLongestWindow = 120;  ///< seconds; a daemon that says more is wrong

/// Opens a window, waits until it is over, and tells what was counted in it. A window that is open
/// already is waited for as well.
Answer measure(const Command& command, Style style) {
  const Call begin = call_of(command, "");
  auto reply = call(command.socket, http_request(begin.method, begin.target, begin.body),
                    patience_for(command));
  while (reply && reply->status == 200) {
    const json body = json::parse(reply->body, nullptr, /*allow_exceptions=*/false);
    if (!flag_of(body, "measuring")) break;
    const double left = std::clamp(number_of(body, "left_s").value_or(0), 0.0, kLongestWindow);
    std::this_thread::sleep_for(milliseconds(static_cast<int>(left * 1000) + 200));
    reply = call(command.socket, http_request("GET", "/v1/latency", ""), patience_for(command));
  }
  if (!reply) return fault(code_of(reply.error().failure), reply.error().text);
  return answer_of(command, *reply, style);
}

Answer check(const Command& command) {
  std::vector<PolicyText> files;
  for (const std::string& file : command.policies)
    files.push_back({.file = file, .text = read_policy_file(file)});
  return check_policies(files, command.json);
}

/// What could not be written, to a full disk for one, is no success.
ExitCode print(const Answer& answer, std::ostream& out, std::ostream& err) {
  out << answer.out << std::flush;
  err << answer.err << (out ? "" : "ankusctl: the output cannot be written\n") << std::flush;
  return out || answer.code != ExitCode::ok ? answer.code : ExitCode::failed;
}

/// Both replies on one line, for a program that reads along.
std::string json_line(const std::string& status, const std::string& workloads) {
  const json both = json::parse(workloads, nullptr, /*allow_exceptions=*/false);
  return printed({{"status", json::parse(status, nullptr, /*allow_exceptions=*/false)},
                  {"workloads", both.is_object() ? field(both, "workloads") : both}},
                 -1);
}

ExitCode watch(const Command& command, Style style, bool on_terminal, std::ostream& out,
               std::ostream& err) {
  Command workloads_command = command;
  workloads_command.verb = Verb::workloads;
  for (std::size_t looks = 0; command.times == 0 || looks < command.times; ++looks) {
    if (looks > 0) std::this_thread::sleep_for(command.interval);
    Answer answer = ask(command, "", style);
    if (answer.code == ExitCode::ok) {
      const Answer workloads = ask(workloads_command, "", style);
      if (workloads.code != ExitCode::ok)  // half of a look is none
        answer = {.code = workloads.code, .err = workloads.err};
      else
        answer.out =
            command.json ? json_line(answer.out, workloads.out) : answer.out + "\n" + workloads.out;
    }
    // Home and clear below, not clear and home: the screen does not flicker.
    if (on_terminal && !command.json && answer.code == ExitCode::ok) out << "\033[H\033[J";
    if (const ExitCode code = print(answer, out, err); code != ExitCode::ok) return code;
  }
  return ExitCode::ok;
}

}  // namespace

Answer answer_of(const Command& command, const HttpReply& reply, Style style) {
  const std::string api = header(reply, "ankus-api");
  if (api != kApiVersion) {
    const std::string version = header(reply, "ankus-version");
    return fault(ExitCode::incompatible,
                 api.empty()
                     ? "what answers on " + command.socket + " is not ankusd"
                     : "ankusd " + version + " speaks version " + api +
                           " of the messages, this ankusctl " + std::string(kVersion) + " speaks " +
                           std::string(kApiVersion) + "; install the two from the same release");
  }
  const json body = json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return fault(ExitCode::failed, "ankusd's answer is not a JSON object");

  Answer answer{.code = code_of_status(reply.status)};
  if (command.verb == Verb::doctor && doctor_found_failure(body)) answer.code = ExitCode::failed;
  if (command.verb == Verb::apply && did_nothing_but_refuse(body)) answer.code = ExitCode::refused;
  if (reply.status >= 400) answer.err = "ankusctl: " + error_text(body, reply.status) + "\n";
  if (command.json)
    answer.out = printed(body, command.verb == Verb::watch ? -1 : 2);
  else if (reply.status < 400 || body.contains("actions"))
    answer.out = rendered(command, body, style);
  return answer;
}

ExitCode run(const Command& command, Style style, bool on_terminal, std::ostream& out,
             std::ostream& err) {
  std::string policy_text;
  if (command.policy) {
    auto text = read_policy_file(*command.policy);
    if (!text) return print(fault(ExitCode::usage, text.error().text), out, err);
    policy_text = std::move(*text);
  }
  if (command.verb == Verb::watch) return watch(command, style, on_terminal, out, err);
  const Answer answer = command.verb == Verb::check     ? check(command)
                        : command.verb == Verb::latency ? measure(command, style)
                                                        : ask(command, policy_text, style);
  return print(answer, out, err);
}

}  // namespace ankus::ctl
