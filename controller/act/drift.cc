// SPDX-License-Identifier: Apache-2.0
#include "act/drift.h"

#include <algorithm>

#include "act/steps.h"
#include "act/take_back.h"

namespace ankus {
namespace {

bool is_made_anew(const Knob& knob) {
  return std::holds_alternative<knob::XpsMask>(knob) ||
         std::holds_alternative<knob::IrqbalanceBans>(knob);
}

/// A driver makes its table, and the affinity of its interrupts, anew when the number of its queues
/// changes (igb without a word), the kernel those of which no CPU is left (migrate_one_irq() in
/// kernel/irq/cpuhotplug.c), and before 6.2 a thread's when its cpuset changes. virtio chooses
/// transmit queues anew along with its interrupts' CPUs, and an irqbalance that was restarted knows
/// nothing of what it was told. So the first time it is nobody's will, and may be planned for again
/// at once.
bool was_reset(const HeldKnob& held, const Setting& found, std::span<const CededKnob> ceded,
               const Clock& clock) {
  const auto* table = std::get_if<Indirection>(&found);
  const auto last = std::ranges::find(ceded, held.knob, &CededKnob::knob);
  const auto* thread = std::get_if<ThreadCpus>(&found);
  const bool by_default = (table != nullptr && table->is_default) ||
                          (thread != nullptr && thread->is_all()) ||
                          std::holds_alternative<DefaultCpus>(found) ||
                          (is_made_anew(held.knob) && same_setting(found, held.original));
  return by_default && (last == ceded.end() || clock.boot() - last->since >= kYieldFor);
}

}  // namespace

Result<Drift> check_drift(Actuator& actuator, Journal& journal, const Clock& clock) {
  auto held = journal.held();
  if (!held) return std::unexpected(held.error());
  auto ceded = journal.ceded();
  if (!ceded) return std::unexpected(ceded.error());
  std::vector<Knob> knobs;
  for (const HeldKnob& h : *held) knobs.push_back(h.knob);
  const Readings readings = read_knobs(actuator, knobs);

  Drift drift;
  HeldChange change;
  std::vector<Event> events;
  const auto drop = [&](const HeldKnob& h, const char* kind, const std::string& text) {
    change.drop.push_back(h.knob);
    events.push_back({.kind = kind, .plan = h.plan, .action = h.action, .text = text});
  };
  for (const HeldKnob& h : *held) {
    const Result<Setting>& found = readings.at(h.knob);
    const std::string name = to_text(h.knob);
    if (is_gone(found)) {
      drift.gone.push_back(h);
      drop(h, "gone", name + " vanished: " + to_text(found));
    } else if (!found || same_setting(*found, h.written) ||
               std::holds_alternative<Members>(*found)) {
      continue;  // in force, or not known: the next look decides
    } else if (was_reset(h, *found, *ceded, clock)) {
      drift.back.push_back(h);
      // Counts as a fight, and is over: a second one within the hour is somebody's will.
      CededKnob c = cede(h.knob, found, "the kernel has set it back", *ceded, clock);
      c.until = c.since;
      change.cede.push_back(std::move(c));
      drop(h, "ceded",
           name + " is " + to_text(*found) +
               " again, as the kernel or its driver makes it: planned for again, once");
    } else if (same_setting(*found, h.original)) {
      drift.back.push_back(h);
      const CededKnob c = cede(h.knob, found, "somebody else has set it back", *ceded, clock);
      change.cede.push_back(c);
      drop(h, "ceded", name + " is " + to_text(found) + " again, and not by us: left alone");
    } else {
      const CededKnob c =
          cede(h.knob, found, "somebody else has set it to: " + to_text(found), *ceded, clock);
      drift.ceded.push_back(c);
      change.cede.push_back(c);
      drop(h, "ceded", name + " was set to " + to_text(found) + " by somebody else: left alone");
    }
  }
  if (change.drop.empty()) return drift;
  if (auto changed = journal.change_held(change); !changed) return std::unexpected(changed.error());
  (void)journal.record(events);  // history may fail; history_problem() says so
  return drift;
}

Result<std::vector<CededKnob>> ceded_now(Journal& journal, const Clock& clock) {
  auto ceded = journal.ceded();
  if (!ceded) return ceded;
  std::erase_if(*ceded, [&](const CededKnob& c) { return c.until <= clock.boot(); });
  return ceded;
}

}  // namespace ankus
