// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "base/text.h"
#include "model/knob.h"

namespace ankus {
namespace {

/// The kernel keeps a burst as the time that it takes at `rate`, in ticks of 64 ns
/// (include/net/pkt_sched.h: PSCHED_SHIFT 6), cut to whole ticks on the way in and to whole bytes
/// on the way out.
bool same_burst(Bytes a, Bytes b, BitRate rate) {
  const double tick = std::ceil(static_cast<double>(rate.bits_per_second) / 8 * 64e-9) + 1;
  const std::uint64_t distance = a.count > b.count ? a.count - b.count : b.count - a.count;
  return static_cast<double>(distance) <= tick;
}

bool same_class(const HtbClass& a, const HtbClass& b) {
  HtbClass alike = b;
  alike.burst = a.burst;
  alike.cburst = a.cburst;
  return a == alike && same_burst(a.burst, b.burst, a.rate) &&
         same_burst(a.cburst, b.cburst, a.ceil);
}

}  // namespace

std::uint64_t digest_of(const Members& members) {
  if (members.digest != 0 || members.rows.empty()) return members.digest;
  std::string rows;
  for (const Member& m : members.rows)
    rows += std::to_string(m.workload) + ":" + std::to_string(m.slow_class) + ":" +
            std::to_string(m.fast_class) + ":" + std::string(to_text(m.weight)) + " ";
  const std::uint64_t digest = stable_hash(rows);
  return digest == 0 ? 1 : digest;
}

namespace {

const CpuSet* cpus_of(const Setting& setting) {
  if (const auto* by_default = std::get_if<DefaultCpus>(&setting)) return &by_default->cpus;
  if (const auto* thread = std::get_if<ThreadCpus>(&setting)) return &thread->cpus;
  return std::get_if<CpuSet>(&setting);
}

/// If `found` is what `asked`, a wish or a mask of before, would read as.
bool is_cut_from(const Setting& found, const Setting& asked) {
  const auto* thread = std::get_if<ThreadCpus>(&found);
  const auto* wanted = std::get_if<CpuSet>(&asked);
  if (const auto* mask = std::get_if<ThreadCpus>(&asked); mask != nullptr && !mask->is_all())
    wanted = &mask->cpus;
  return thread != nullptr && wanted != nullptr && !thread->cpus.empty() &&
         thread->cpus == common(*wanted, thread->within);
}

}  // namespace

bool changes_in_place(const Setting& setting) {
  return std::holds_alternative<Members>(setting) || std::holds_alternative<Indirection>(setting) ||
         cpus_of(setting) != nullptr || std::holds_alternative<BannedIrqs>(setting);
}

bool can_be_told(const BannedIrqs& bans) {
  std::string command = "settings ban irqs";  // sock_handle() in irqbalance.c
  for (const std::uint32_t irq : bans.irqs) command += " " + std::to_string(irq);
  return command.size() < 500;
}

bool same_setting(const Setting& a, const Setting& b) {
  if (a.index() != b.index()) {
    const CpuSet *one = cpus_of(a), *other = cpus_of(b);
    return one != nullptr && other != nullptr &&
           (*one == *other || is_cut_from(a, b) || is_cut_from(b, a));
  }
  if (const auto* t = std::get_if<ThreadCpus>(&a)) {
    const auto& u = std::get<ThreadCpus>(b);
    return t->cpus == u.cpus || (t->is_all() && u.is_all()) || is_cut_from(a, b) ||
           is_cut_from(b, a);
  }
  if (const auto* c = std::get_if<HtbClass>(&a)) return same_class(*c, std::get<HtbClass>(b));
  if (const auto* m = std::get_if<Members>(&a)) {
    const auto& n = std::get<Members>(b);
    if (m->digest != 0 || n.digest != 0) return digest_of(*m) == digest_of(n);
  }
  if (const auto* t = std::get_if<Indirection>(&a)) {
    const auto& u = std::get<Indirection>(b);
    return t->queues == u.queues || (t->is_default && u.is_default);
  }
  return a == b;
}

}  // namespace ankus
