// SPDX-License-Identifier: Apache-2.0
// How the model's values read to people.
#include "base/text.h"

#include <arpa/inet.h>

#include <cstdio>
#include <cstring>

#include "model/flow.h"
#include "model/plan.h"
#include "model/thread.h"

namespace ankus {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

constexpr std::string_view kKinds[] = {"container", "vm", "service"};
constexpr std::string_view kWeights[] = {"unknown", "light", "heavy", "mixed"};

std::string members_text(const Members& members) {
  const std::string digest = "digest " + hex_text(digest_of(members), 8);
  if (members.rows.empty() && members.digest != 0) return "workloads, " + digest;
  return std::to_string(members.rows.size()) +
         (members.rows.size() == 1 ? " workload, " : " workloads, ") + digest;
}

/// "128 entries, per queue 32 32 32 32, digest 5d7e9a01". A default one is known by its counts.
std::string indirection_text(const Indirection& table) {
  std::vector<std::uint32_t> entries;
  for (const std::uint32_t queue : table.queues) {
    if (queue >= entries.size()) entries.resize(queue + 1);
    ++entries[queue];
  }
  std::string text = std::to_string(table.queues.size()) + " entries, per queue";
  for (const std::uint32_t count : entries) text += " " + std::to_string(count);
  if (table.is_default) return text;
  std::string queues;
  for (const std::uint32_t queue : table.queues) queues += std::to_string(queue) + " ";
  return text + ", digest " + hex_text(stable_hash(queues), 8);
}

}  // namespace

std::string_view to_text(WorkloadKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }
std::optional<WorkloadKind> workload_kind_from_text(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kKinds); ++i)
    if (kKinds[i] == text) return static_cast<WorkloadKind>(i);
  return std::nullopt;
}

std::string_view to_text(NetThread::Kind kind) {
  return kind == NetThread::Kind::vhost ? "vhost" : "napi";
}

std::string_view to_text(Weight weight) { return kWeights[static_cast<std::size_t>(weight)]; }
std::optional<Weight> weight_from_text(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kWeights); ++i)
    if (kWeights[i] == text) return static_cast<Weight>(i);
  return std::nullopt;
}

std::string to_text(const Endpoint& endpoint) {
  static constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  char buffer[INET6_ADDRSTRLEN] = "";
  if (std::memcmp(endpoint.address.data(), kMapped, sizeof kMapped) == 0) {
    (void)inet_ntop(AF_INET, endpoint.address.data() + 12, buffer, sizeof buffer);
    return std::string(buffer) + ":" + std::to_string(endpoint.port);
  }
  (void)inet_ntop(AF_INET6, endpoint.address.data(), buffer, sizeof buffer);
  return "[" + std::string(buffer) + "]:" + std::to_string(endpoint.port);
}

std::string to_text(TcHandle handle) {
  char buffer[16];
  if (handle.minor() == 0)
    std::snprintf(buffer, sizeof buffer, "%x:", handle.major());
  else
    std::snprintf(buffer, sizeof buffer, "%x:%x", handle.major(), handle.minor());
  return buffer;
}

std::string to_text(const Knob& knob) {
  return std::visit(
      Overloaded{
          [](const knob::Ifb& k) { return "ifb device " + k.name; },
          [](const knob::RootQdisc& k) { return "root qdisc of " + k.device.name; },
          [](const knob::TcClass& k) {
            return "class " + to_text(k.handle) + " on " + k.device.name;
          },
          [](const knob::LeafQdisc& k) {
            return "queue below class " + to_text(k.parent) + " on " + k.device.name;
          },
          [](const knob::Clsact& k) { return "clsact qdisc of " + k.device.name; },
          [](const knob::Classifier& k) { return "classifier at egress of " + k.device.name; },
          [](const knob::IngressRedirect& k) { return "ingress redirect of " + k.device.name; },
          [](const knob::Membership&) { return std::string("workloads' classes"); },
          [](const knob::RssTable& k) { return "indirection table of " + k.device.name; },
          [](const knob::RpsMask& k) {
            return "RPS of receive queue " + std::to_string(k.queue) + " of " + k.device.name;
          },
          [](const knob::XpsMask& k) {
            return "XPS of transmit queue " + std::to_string(k.queue) + " of " + k.device.name;
          },
          [](const knob::IrqAffinity& k) {
            return "affinity of IRQ " + printable(k.irq) + " of " + k.device.name;
          },
          [](const knob::ThreadAffinity& k) {
            return "affinity of thread " + printable(k.name) + " (" + std::to_string(k.tid) + ")";
          },
          [](const knob::IrqbalanceBans&) {
            return std::string("IRQs that irqbalance leaves alone");
          },
      },
      knob);
}

std::string to_text(const Setting& setting) {
  return std::visit(
      Overloaded{
          [](const Absent&) { return std::string("absent"); },
          [](const Foreign& s) { return "not ours: " + s.what; },
          [](const IfbDevice& s) { return "present, ifindex " + std::to_string(s.ifindex); },
          [](const HtbRoot& s) {
            return "htb " + to_text(s.handle) + " default " +
                   to_text(make_handle(s.handle.major(), s.default_minor));
          },
          [](const HtbClass& s) {
            return "rate " + to_text(s.rate) + " ceil " + to_text(s.ceil) + " burst " +
                   to_text(s.burst) + " priority " + std::to_string(s.priority) +
                   (s.parent.value == 0 ? "" : " below " + to_text(s.parent));
          },
          [](const ByteFifo& s) {
            return "bfifo " + to_text(s.handle) + " limit " + to_text(s.limit);
          },
          [](const ClsactQdisc&) { return std::string("present"); },
          [](const ClassifierProgram& s) {
            return std::string("attached by ") +
                   (s.hook == ClassifierProgram::Hook::tcx ? "a tcx link" : "a clsact filter");
          },
          [](const RedirectTo& s) { return "to ifindex " + std::to_string(s.ifindex); },
          [](const Members& s) { return members_text(s); },
          [](const Indirection& s) { return indirection_text(s); },
          [](const CpuSet& s) { return s.empty() ? "no CPU" : "CPU " + to_text(s); },
          [](const DefaultCpus& s) { return "CPU " + to_text(s.cpus) + " (nobody's choice)"; },
          [](const ThreadCpus& s) {
            return "CPU " + to_text(s.cpus) + (s.is_all() ? " (nobody's choice)" : "");
          },
          [](const BannedIrqs& s) {
            return s.irqs.empty() ? "none" : cpu_list_text(CpuSet{.cpus = s.irqs});
          },
      },
      setting);
}

const Device* device_of(const Knob& knob) {
  return std::visit(
      [](const auto& k) -> const Device* {
        if constexpr (requires { k.device; })
          return &k.device;
        else
          return nullptr;
      },
      knob);
}

Action inverse(const Action& action) {
  return {
      .knob = action.knob, .before = action.after, .after = action.before, .reason = action.reason};
}

std::string id_of(const Action& action) {
  const Device* device = device_of(action.knob);
  return "a-" + hex_text(stable_hash((device ? std::to_string(device->ifindex) + " " : "") +
                                     to_text(action.knob) + " = " + to_text(action.after)),
                         8);
}

std::string id_of(const Plan& plan) {
  std::string ids;
  for (const Action& action : plan.actions) ids += id_of(action) + to_text(action.before) + "\n";
  return "p-" + hex_text(stable_hash(ids), 8);
}

}  // namespace ankus
