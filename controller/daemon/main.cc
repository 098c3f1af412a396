// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <iostream>
#include <thread>

#include "act/confirmation.h"
#include "act/dry_run.h"
#include "act/elsewhere.h"
#include "act/kernel_actuator.h"
#include "base/text.h"
#include "daemon/loop.h"
#include "daemon/once.h"
#include "daemon/pins.h"
#include "daemon/report.h"
#include "daemon/requests.h"
#include "journal/sqlite_journal.h"
#include "kernel/netlink.h"
#include "sense/workloads.h"

namespace ankus {
namespace {

/// How long a membership lasts without a daemon that renews it.
constexpr seconds kLease{30};

enum ExitCode { kOk = 0, kFailed = 1, kUsage = 2 };

int complain(const Error& error, int code = kFailed) {
  std::cerr << "ankusd: " << error.text << '\n';
  return code;
}

Result<std::unique_ptr<SqliteJournal>> open_journal(const Options& options, const Clock& clock) {
  auto boot_id = read_boot_id();
  if (!boot_id) return std::unexpected(boot_id.error());
  return SqliteJournal::open(
      {.runtime_dir = options.runtime_dir, .state_dir = options.state_dir, .boot_id = *boot_id},
      clock);
}

KernelHandles handles_of(const Programs& programs, const Options& options) {
  return {.classifier_program = programs.program(kClassifierProgram),
          .pin_dir = options.bpf_dir,
          .members_fd = programs.map("ankus_members"),
          .devices_fd = programs.map("ankus_devices"),
          .lease_end =
              [&programs] { return programs.jiffies().value_or(0) + Programs::to_jiffies(kLease); },
          .cgroup = host_roots().cgroup};
}

std::map<std::string, Weight> remembered(Journal& journal) {
  std::map<std::string, Weight> weights;
  if (const auto footprints = journal.footprints())
    for (const auto& [label, footprint] : *footprints) weights[label] = footprint.weight;
  return weights;
}

Result<void> check_own_namespace(Journal& journal) {
  const auto cookie = own_netns_cookie();
  if (!cookie) return std::unexpected(cookie.error());
  return check_namespace(journal, *cookie);
}

/// Undo without a daemon: needs the held file and the kernel, no program, no policy.
int roll_back(const Options& options) {
  const SystemClock clock;
  if (options.after > nanoseconds(0)) std::this_thread::sleep_for(options.after);
  Result<std::unique_ptr<SqliteJournal>> journal = open_journal(options, clock);
  // A daemon that lives undoes its own plan; one that hangs is ended by the watchdog, and then it
  // is our turn.
  for (int tries = 0;
       options.pending && !journal && journal.error().kind == ErrorKind::busy && tries < 60;
       ++tries) {
    std::this_thread::sleep_for(seconds(1));
    journal = open_journal(options, clock);
  }
  if (!journal) return complain(journal.error());
  if (!options.namespace_gone)
    if (auto here = check_own_namespace(**journal); !here) return complain(here.error());
  const auto members = bpf::open_pinned(map_pin_path(options.bpf_dir, "ankus_members"));
  const auto devices = bpf::open_pinned(map_pin_path(options.bpf_dir, "ankus_devices"));
  const auto classifier = bpf::open_pinned(map_pin_path(options.bpf_dir, kClassifierProgram));
  auto actuator = KernelActuator::open({.classifier_program = classifier ? classifier->get() : -1,
                                        .pin_dir = options.bpf_dir,
                                        .members_fd = members ? members->get() : -1,
                                        .devices_fd = devices ? devices->get() : -1,
                                        .cgroup = host_roots().cgroup,
                                        .other_namespaces_gone = options.namespace_gone});
  if (!actuator) return complain(actuator.error());
  std::optional<Undone> undone;
  if (options.pending) {
    auto result = undo_expired(*actuator, **journal, clock);
    if (!result) return complain(result.error());
    undone = std::move(*result);
  } else {
    auto result = undo(*actuator, **journal, clock, {.by = "ankusd --rollback"});
    if (!result) return complain(result.error());
    undone = std::move(*result);
  }
  const auto held = (*journal)->held();
  const auto controls = (*journal)->controls();
  // A switch that comes for an earlier plan leaves the pins to the one of the plan that waits now.
  if (held && held->empty() && controls && !keeps_all_runs(*controls)) remove_pins(options.bpf_dir);
  std::cout << rollback_text(undone, options.json);
  return undone && !undone->degraded.empty() ? kFailed : kOk;
}

int run(const Options& options) {
  const SystemClock clock;
  auto policies = load_policies(options.policies, options.config_dir);
  if (!policies) return complain(policies.error(), kUsage);
  auto journal = open_journal(options, clock);
  if (!journal) return complain(journal.error());
  if (!options.dry_run)
    if (auto here = check_own_namespace(**journal); !here) return complain(here.error());
  // Maps of an earlier run are of use only as long as something feeds on them.
  auto numbers = (*journal)->workload_numbers();
  if (!numbers) return complain(numbers.error());
  // A dry run has maps of its own: a tree in force classifies by those that are pinned.
  const auto keep_numbers = [&journal = **journal](const WorkloadNumbers& changed) {
    return journal.keep_workload_numbers(changed);
  };
  auto observer = options.dry_run ? Observer::open({.remembered = remembered(**journal)})
                                  : Observer::open({.pin_dir = options.bpf_dir,
                                                    .numbers = std::move(*numbers),
                                                    .keep_numbers = keep_numbers,
                                                    .remembered = remembered(**journal)});
  if (!observer) return complain(observer.error());
  auto actuator = KernelActuator::open(handles_of((*observer)->programs(), options));
  if (!actuator) return complain(actuator.error());
  Controller controller({.options = options,
                         .observer = **observer,
                         .actuator = *actuator,
                         .journal = **journal,
                         .clock = clock},
                        std::move(*policies));
  if (!options.dry_run) {  // which writes nothing, not even what an earlier run has left half done
    if (auto done = controller.recover(); !done) return complain(done.error());
    const auto held = (*journal)->held();
    if (!held) return complain(held.error());
    if (auto done = actuator->renew_classifiers(*held); !done)
      std::cerr << "the classifiers go on with the former program: " << done.error().text << '\n';
  }

  if (options.once) return run_once(options, controller, **observer, *actuator, clock);

  Requests requests({.options = options,
                     .controller = controller,
                     .observer = **observer,
                     .journal = **journal,
                     .clock = clock});
  auto server = ControlServer::listen(
      {.path = options.socket}, [&](const Request& request) { return requests.answer(request); });
  if (!server) return complain(server.error());
  auto loop = Loop::open(controller, **observer, **server, clock);
  if (!loop) return complain(loop.error());
  std::cerr << "ankusd mode=" << to_text(controller.mode())
            << " policies=" << ankus::quoted(report::policy_names(controller.policies().sources))
            << '\n';
  controller.note_start();
  if (auto done = loop->run(); !done) return complain(done.error());
  return kOk;
}

}  // namespace
}  // namespace ankus

int main(int argc, char** argv) {
  const auto parsed = ankus::parse_options(argc, argv);
  if (const auto* early = std::get_if<ankus::EarlyExit>(&parsed)) {
    (early->code == 0 ? std::cout : std::cerr) << early->text;
    return early->code;
  }
  const auto& options = std::get<ankus::Options>(parsed);
  if (geteuid() != 0) {
    std::cerr << "ankusd: must be root: it loads BPF programs\n";
    return ankus::kFailed;
  }
  return options.rollback ? ankus::roll_back(options) : ankus::run(options);
}
