// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.h"

#include <CLI/CLI.hpp>

#include "base/version.h"

namespace ankus {
namespace {

/// A CLI11 check that also stores what it parsed.
CLI::Validator duration_into(nanoseconds& target) {
  return CLI::Validator(
      [&target](std::string& text) {
        const auto parsed = parse_duration(text);
        if (!parsed) return parsed.error().text;
        target = *parsed;
        return std::string();
      },
      "TIME");
}

}  // namespace

std::variant<Options, EarlyExit> parse_options(int argc, const char* const* argv) {
  Options options;
  std::string mode, observe, after;
  CLI::App app{
      "ankusd: watches every network flow of containers and VMs and tunes the host by policy",
      "ankusd"};
  app.set_version_flag("--version", "ankusd " + std::string(kVersion));
  app.add_option("--config-dir", options.config_dir, "policies are the *.toml in it, by name")
      ->type_name("DIR");
  app.add_option("--policy", options.policies,
                 "a policy file instead of the directory; may be repeated")
      ->type_name("FILE");
  app.add_option("--mode", mode, "overrides the policies' mode")
      ->check(CLI::IsMember({"observe", "advise", "enforce"}));
  app.add_option("--state-dir", options.state_dir, "history and learnt footprints")
      ->type_name("DIR");
  app.add_option("--runtime-dir", options.runtime_dir, "what is held, for undo; on a tmpfs")
      ->type_name("DIR");
  app.add_option("--socket", options.socket, "control socket")->type_name("PATH");
  app.add_option("--bpf-dir", options.bpf_dir, "where programs and maps are pinned, on a bpffs")
      ->type_name("DIR");
  auto* once = app.add_flag("--once", options.once,
                            "observe, plan, apply as the mode says, exit; no socket");
  app.add_flag("--dry-run", options.dry_run, "with --once: print the plan, write nothing")
      ->needs(once);
  app.add_option("--observe", observe, "with --once: how long to look before planning (10s)")
      ->needs(once)
      ->check(duration_into(options.observe));
  app.add_flag("--json", options.json, "plan and outcome of --once and --rollback as JSON");
  auto* rollback =
      app.add_flag("--rollback", options.rollback, "undo all that is held, exit")->excludes(once);
  auto* pending =
      app.add_flag(
             "--pending", options.pending,
             "with --rollback: only what was not confirmed in time; before the deadline nothing")
          ->needs(rollback);
  app.add_flag("--namespace-gone", options.namespace_gone,
               "with --rollback: forget what was set in another network namespace")
      ->needs(rollback)
      ->excludes(pending);
  app.add_option("--after", after, "with --pending: wait first (the dead man's switch)")
      ->needs(pending)
      ->check(duration_into(options.after));
  std::ostringstream out, err;
  try {  // CLI11 speaks in exceptions; they end here
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, out, err);
    return EarlyExit{.code = code == 0 ? 0 : 2, .text = out.str() + err.str()};
  }
  if (!mode.empty()) options.mode = mode_from_text(mode);
  return options;
}

}  // namespace ankus
