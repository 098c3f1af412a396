// SPDX-License-Identifier: Apache-2.0
#include "policy/steering.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "policy/cpu_choice.h"
#include "policy/shaping.h"
#include "policy/targets.h"

namespace ankus {
namespace {

using BlockOf = std::optional<Steering> Rule::*;

/// What serves one queue: with some drivers an interrupt for both directions, with others two.
struct QueueIrqs {
  std::vector<const QueueIrq*> irqs;
};

std::vector<QueueIrqs> by_queue(const DeviceQueues& device) {
  std::map<std::uint32_t, QueueIrqs> queues;
  for (const QueueIrq& irq : device.irqs) {
    const auto queue = irq.receive_queue ? irq.receive_queue : irq.transmit_queue;
    if (queue && !irq.managed) queues[*queue].irqs.push_back(&irq);
  }
  std::vector<QueueIrqs> all;
  for (auto& [number, irqs] : queues) all.push_back(std::move(irqs));
  return all;
}

std::string rule_text(const Rule& rule) { return "rule " + quoted(rule.name) + ": "; }

class Wishes {
 public:
  Wishes(const Snapshot& snapshot, const Policy& policy, Desired& desired)
      : snapshot_(snapshot),
        topology_(snapshot.host.topology),
        policy_(policy),
        desired_(desired) {}

  void add_irqs() {
    const std::size_t first = desired_.wishes.size();
    std::vector<std::uint32_t> numbers;
    for (const Target& target : targets_of(&Rule::irq, "place interrupts of"))
      place_irqs(target, numbers);
    if (!numbers.empty()) add_bans(first, std::move(numbers));
  }

  void add_rps() {
    for (const Target& target : targets_of(&Rule::rps, kRps)) spread_receive(target);
  }

  void add_xps() {
    for (const Target& target : targets_of(&Rule::xps, kXps)) spread_transmit(target);
  }

  void add_threads() {
    // NAPI threads belong to devices, vhost workers to VMs.
    const std::vector<Target> polled = targets_of(&Rule::napi, "place NAPI threads of");
    refuse_unusable(&Rule::vhost);
    for (const NetThread& thread : snapshot_.threads) {
      if (thread.kind == NetThread::Kind::napi) {
        for (const Target& target : polled)
          if (target.device->device == thread.device)
            place(thread, *target.rule, *target.rule->napi, place_of(*target.device));
      } else if (const Rule* rule = vhost_rule(thread)) {
        place_vhost(thread, *rule);
      }
    }
    for (const Target& target : polled)
      if (target.named && !is_polled_by_threads(*target.device))
        refuse("place NAPI threads of " + target.device->device.name,
               "it has none: its packets are polled in softirqs (threaded NAPI is off)");
  }

 private:
  static constexpr std::string_view kRps = "spread received packets of";
  static constexpr std::string_view kXps = "choose transmit queues of";

  void wish(Knob knob, CpuSet cpus, std::string reason) {
    desired_.wishes.push_back(
        {.knob = std::move(knob), .setting = std::move(cpus), .reason = std::move(reason)});
  }
  void refuse(std::string what, std::string why) {
    desired_.refusals.push_back({.what = std::move(what), .why = std::move(why)});
  }

  void refuse_unusable(BlockOf block) {
    for (const Rule& rule : policy_.rules) {
      if (!(rule.*block)) continue;
      if (std::string why = unusable_text(snapshot_, policy_, *(rule.*block)); !why.empty())
        refuse("all CPUs of rule " + quoted(rule.name), std::move(why));
    }
  }

  std::vector<Target> targets_of(BlockOf block, std::string_view what) {
    refuse_unusable(block);
    std::vector<DeviceBlock> blocks;
    for (const Rule& rule : policy_.rules)
      if (rule.*block) blocks.push_back({.rule = &rule, .device = (rule.*block)->device});
    return targets(snapshot_, policy_, blocks, what, desired_.refusals);
  }

  CpuChoice choose(const Steering& wanted, const Place& place) const {
    return choose_cpus(snapshot_, policy_, wanted, place);
  }

  /// On a tap, near the CPUs of the VM behind it.
  Place place_of(const DeviceQueues& device) const {
    const WorkloadState* owner = workload_of(snapshot_, device.device);
    Place place;
    if (owner != nullptr) place.owners.push_back(owner->workload.id);
    if (device.node >= 0) {
      place.local = topology_.usable_on_node(device.node);
      return place;
    }
    const auto worker = std::ranges::find_if(snapshot_.threads, [&](const NetThread& thread) {
      return owner != nullptr && thread.may_serve(owner->workload.id) && !thread.vcpus.empty();
    });
    if (worker != snapshot_.threads.end()) place.local = cpus_near(topology_, worker->vcpus);
    return place;
  }

  // Interrupts.

  void place_irqs(const Target& target, std::vector<std::uint32_t>& numbers) {
    const DeviceQueues& device = *target.device;
    const std::string what = "place interrupts of " + device.device.name;
    if (device.irqs.empty())
      return refuse(what, is_down(snapshot_, device.device)
                              ? "it is down, and has its interrupts once it is up"
                              : "it has no interrupts of its own; rps is the lever there");
    const auto managed = std::ranges::count_if(device.irqs, &QueueIrq::managed);
    if (managed > 0)
      refuse(what, "the kernel manages " + std::to_string(managed) + " of its " +
                       std::to_string(device.irqs.size()) +
                       " interrupts, whose CPUs nobody can set; receive and rps are the levers "
                       "there");
    const std::vector<QueueIrqs> queues = by_queue(device);
    if (queues.empty()) {
      if (managed == 0) refuse(what, "none of its interrupts is known to be a queue's");
      return;
    }
    const CpuChoice chosen = choose(*target.rule->irq, place_of(device));
    if (chosen.cpus.empty()) return refuse(what, chosen.reason);

    const std::size_t most =
        (queues.size() + chosen.cpus.cpus.size() - 1) / chosen.cpus.cpus.size();
    std::map<std::uint32_t, std::size_t> here;  // queues of this device, by CPU
    std::vector<std::optional<std::uint32_t>> places(queues.size());
    const auto settle = [&](std::size_t queue, std::uint32_t cpu) {
      places[queue] = cpu;
      ++here[cpu];
      ++queues_on_[cpu];
    };
    // What is well placed stays: moving an interrupt costs caches.
    for (std::size_t i = 0; i < queues.size(); ++i)
      if (const auto cpu = cpu_of(device, queues[i]))
        if (chosen.cpus.contains(*cpu) && here[*cpu] < most) settle(i, *cpu);
    for (std::size_t i = 0; i < queues.size(); ++i)
      if (!places[i]) settle(i, least_used(chosen.cpus, here, most));
    for (std::size_t i = 0; i < queues.size(); ++i)
      for (const QueueIrq* irq : queues[i].irqs) {
        wish(knob::IrqAffinity{.device = device.device, .irq = irq->name}, {{*places[i]}},
             rule_text(*target.rule) + "one queue's interrupt per CPU among " + chosen.reason);
        numbers.push_back(irq->number);
      }
  }

  /// The one CPU where a queue's interrupts are, by us or as found.
  std::optional<std::uint32_t> cpu_of(const DeviceQueues& device, const QueueIrqs& queue) const {
    std::optional<std::uint32_t> cpu;
    for (const QueueIrq* irq : queue.irqs) {
      const Setting* held =
          held_setting(snapshot_, knob::IrqAffinity{.device = device.device, .irq = irq->name});
      const auto* ours = held == nullptr ? nullptr : std::get_if<CpuSet>(held);
      const CpuSet& cpus = ours == nullptr ? irq->affinity : *ours;
      if (cpus.cpus.size() != 1 || (cpu && *cpu != cpus.cpus.front())) return std::nullopt;
      cpu = cpus.cpus.front();
    }
    return cpu;
  }

  /// Fewest queues of all devices, a core's first thread before its siblings, the lowest number.
  std::uint32_t least_used(const CpuSet& cpus, const std::map<std::uint32_t, std::size_t>& here,
                           std::size_t most) {
    const auto rank = [&](std::uint32_t number) {
      const auto cpu = std::ranges::find(topology_.cpus, number, &Cpu::number);
      const bool sibling = cpu != topology_.cpus.end() && cpu->core != number;
      const auto own = here.find(number);
      const bool full = own != here.end() && own->second >= most;
      return std::tuple(full, queues_on_[number], sibling, number);
    };
    return *std::ranges::min_element(cpus.cpus, {}, rank);
  }

  /// Before the interrupts are placed. What others told irqbalance stays (plan/bans.h).
  void add_bans(std::size_t first, std::vector<std::uint32_t> numbers) {
    CpuSet banned = cpu_set_of(std::move(numbers));  // a set of numbers, this too
    desired_.wishes.insert(desired_.wishes.begin() + static_cast<std::ptrdiff_t>(first),
                           {.knob = knob::IrqbalanceBans{},
                            .setting = BannedIrqs{.irqs = std::move(banned.cpus)},
                            .reason = "irqbalance would move the interrupts that irq rules place"});
  }

  // Queues.

  void spread_receive(const Target& target) {
    const DeviceQueues& device = *target.device;
    const std::string what = std::string(kRps) + " " + device.device.name;
    if (device.table && device.receive.size() > 1) {
      if (target.named)
        refuse(what, "it spreads them itself, by its RSS table; receive is the lever there");
      return;
    }
    const CpuChoice chosen = choose(*target.rule->rps, place_of(device));
    if (chosen.cpus.empty()) return refuse(what, chosen.reason);
    for (std::uint32_t queue = 0; queue < device.receive.size(); ++queue) {
      const knob::RpsMask knob{.device = device.device, .queue = queue};
      const bool held = held_setting(snapshot_, knob) != nullptr;
      const CpuSet& now = device.receive[queue].rps;
      if (std::string why = held ? "" : why_not_begin(queue, now, chosen.cpus); !why.empty())
        refuse(what, std::move(why));
      else
        wish(knob, chosen.cpus, rule_text(*target.rule) + chosen.reason);
    }
  }

  std::string why_not_begin(std::uint32_t queue, const CpuSet& now, const CpuSet& wanted) const {
    const bool is_default = now.empty() || now == topology_.rps_default;
    if (!is_default && now != wanted)
      return "somebody else has set receive queue " + std::to_string(queue) + " to CPUs " +
             to_text(now) + ", which is honoured";
    // The same split that helps a quiet machine made its p99 250 times worse on a busy one.
    for (const Cpu& cpu : topology_.cpus)
      if (wanted.contains(cpu.number) && cpu.dropped_per_second > 0)
        return "CPU " + std::to_string(cpu.number) +
               " drops packets for want of time (net.core.netdev_max_backlog); more of them there "
               "would make it worse";
    return {};
  }

  void spread_transmit(const Target& target) {
    const DeviceQueues& device = *target.device;
    const std::string what = std::string(kXps) + " " + device.device.name;
    const std::size_t queues = device.transmit.size();
    if (queues < 2) {
      if (target.named) refuse(what, "it has one transmit queue");
      return;
    }
    const CpuChoice chosen = choose(*target.rule->xps, place_of(device));
    if (chosen.cpus.empty()) return refuse(what, chosen.reason);
    std::vector<CpuSet> users(queues);
    for (std::size_t i = 0; i < chosen.cpus.cpus.size(); ++i)
      users[i % queues].cpus.push_back(chosen.cpus.cpus[i]);
    for (std::uint32_t queue = 0; queue < queues; ++queue)
      wish(knob::XpsMask{.device = device.device, .queue = queue}, std::move(users[queue]),
           rule_text(*target.rule) + "each CPU its transmit queue, of " + chosen.reason);
  }

  // Threads.

  /// Of a VM with several taps all of them: any may be the one whose packets the thread carries.
  std::vector<const WorkloadState*> owners_of(const NetThread& thread) const {
    std::vector<const WorkloadState*> owners;
    for (const WorkloadState& state : snapshot_.workloads)
      if (thread.may_serve(state.workload.id)) owners.push_back(&state);
    return owners;
  }

  const Rule* vhost_rule(const NetThread& thread) const {
    const auto owners = owners_of(thread);
    const auto found = std::ranges::find_if(policy_.rules, [&](const Rule& rule) {
      if (!rule.vhost) return false;
      return rule.match == Match{} || std::ranges::any_of(owners, [&](const WorkloadState* owner) {
               return matches(rule.match, owner->workload, owner->footprint);
             });
    });
    return found == policy_.rules.end() ? nullptr : &*found;
  }

  bool is_polled_by_threads(const DeviceQueues& device) const {
    return std::ranges::any_of(snapshot_.threads, [&](const NetThread& thread) {
      return thread.kind == NetThread::Kind::napi && thread.device == device.device;
    });
  }

  void place_vhost(const NetThread& thread, const Rule& rule) {
    Place near{.local = cpus_near(topology_, thread.vcpus)};
    std::string why = protection_of(policy_, thread.device);
    for (const WorkloadState* owner : owners_of(thread)) {
      near.owners.push_back(owner->workload.id);
      if (why.empty() && owner->workload.device)
        why = protection_of(policy_, *owner->workload.device);
      if (why.empty() && owner->workload.opted_out)
        why = "its VM, " + printable(owner->workload.name) + ", has opted out";
    }
    if (why.empty() && rule.vhost->cpus == Steering::Cpus::numa_local && thread.vcpus.empty())
      why = "where its VM's own threads may run is not known";
    if (!why.empty()) return refuse("place " + thread.name, std::move(why));
    place(thread, rule, *rule.vhost, std::move(near));
  }

  void place(const NetThread& thread, const Rule& rule, const Steering& wanted, Place place) {
    place.allowed = thread.allowed;
    CpuChoice chosen = choose(wanted, place);
    if (chosen.cpus.empty()) return refuse("place " + thread.name, chosen.reason);
    const knob::ThreadAffinity knob{
        .tid = thread.tid, .started = thread.started, .name = thread.name};
    if (is_pinned(thread) && thread.affinity != chosen.cpus &&
        held_setting(snapshot_, knob) == nullptr)
      return refuse("place " + thread.name, "somebody else has pinned it to CPUs " +
                                                to_text(thread.affinity) + " of the CPUs " +
                                                to_text(thread.allowed) +
                                                " of its cpuset, which is honoured");
    wish(knob, std::move(chosen.cpus), rule_text(rule) + chosen.reason);
  }

  /// To less than its cpuset allows, by somebody; a kernel thread stays off quiet CPUs by itself.
  bool is_pinned(const NetThread& thread) const {
    const CpuSet quiet = united(topology_.isolated, topology_.nohz_full);
    return !thread.affinity.empty() &&
           !without(without(thread.allowed, thread.affinity), quiet).empty();
  }

  const Snapshot& snapshot_;
  const Topology& topology_;
  const Policy& policy_;
  Desired& desired_;
  std::map<std::uint32_t, std::size_t> queues_on_;  // that interrupt it, of all devices
};

}  // namespace

void add_steering(const Snapshot& snapshot, const Policy& policy, Desired& desired) {
  Wishes wishes(snapshot, policy, desired);
  wishes.add_irqs();
  wishes.add_rps();
  wishes.add_xps();
  wishes.add_threads();
}

}  // namespace ankus
