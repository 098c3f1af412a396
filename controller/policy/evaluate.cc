// SPDX-License-Identifier: Apache-2.0
#include "policy/evaluate.h"

#include <algorithm>

#include "base/text.h"
#include "policy/classes.h"
#include "policy/receive.h"
#include "policy/shaping.h"
#include "policy/steering.h"

namespace ankus {
namespace {

/// HTB queues here what has no class and no default; nothing of ours does, so any sane length will
/// do. Stated, since the kernel would take the device's txqueuelen, which is 32 on an ifb.
constexpr std::uint32_t kDirectPackets = 1'000;

/// A place for a tree: a device's transmit side, or an ifb that what it receives goes through.
struct Trunk {
  Device device;
  BitRate total;
  std::string why_total;
};

class Wishes {
 public:
  Wishes(const Snapshot& snapshot, const Policy& policy)
      : snapshot_(snapshot), policy_(policy), matches_(class_matches(policy)) {}

  void add_link(const ShapedLink& shaped) {
    const Link& link = shaped.link;
    add_tree({.device = link.device, .total = shaped.total, .why_total = shaped.why_total}, shaped);
    if (!snapshot_.host.tcx) add_clsact(link, "the classifier hangs there on this kernel");
    add_classifier(link.device);
    if (!shaped.download) return;

    const Device& ifb = shaped.download->ifb;
    const LinkPolicy stated = link_policy(snapshot_, policy_, link);
    add(knob::Ifb{.name = ifb.name}, IfbDevice{.ifindex = ifb.ifindex},
        "what " + link.device.name + " receives is shaped on its way through it");
    add_tree({.device = ifb,
              .total = shaped.download->total,
              .why_total = to_text(stated.download_share) + " of the download of " +
                           to_text(*stated.download) + " that [link." + stated.name + "] states"},
             shaped);
    if (!snapshot_.host.tcx)
      add(knob::Clsact{.device = ifb}, ClsactQdisc{}, "the classifier hangs there on this kernel");
    add_classifier(ifb);
    if (snapshot_.host.tcx) add_clsact(link, "the redirect to " + ifb.name + " hangs there");
    add(knob::IngressRedirect{.device = link.device}, RedirectTo{.ifindex = ifb.ifindex},
        "what it receives goes through " + ifb.name);
  }

  void add_members() {
    Members members;
    // Row 0 is everybody's whose owner is not known, opted out or not seen for a while.
    members.rows.push_back({.workload = 0,
                            .slow_class = class_minor_of_nobody(matches_, Weight::light),
                            .fast_class = class_minor_of_nobody(matches_, Weight::heavy)});
    for (const WorkloadState& state : snapshot_.workloads) {
      const Workload& workload = state.workload;
      if (workload.id == 0 || workload.opted_out) continue;
      members.rows.push_back({.workload = workload.id,
                              .slow_class = class_minor(matches_, workload, Weight::light),
                              .fast_class = class_minor(matches_, workload, Weight::heavy),
                              .weight = state.footprint.weight});
    }
    std::ranges::sort(members.rows, {}, &Member::workload);
    add(knob::Membership{}, std::move(members),
        "each workload's classes, by the first rule that matches");
  }

  std::vector<Wish> take() && { return std::move(wishes_); }

 private:
  void add(Knob knob, Setting setting, std::string reason) {
    wishes_.push_back(
        {.knob = std::move(knob), .setting = std::move(setting), .reason = std::move(reason)});
  }

  void add_class(const Trunk& trunk, std::uint16_t minor, HtbClass wanted,
                 const std::string& reason) {
    add(knob::TcClass{.device = trunk.device, .handle = make_handle(kOurMajor, minor)}, wanted,
        reason);
  }

  void add_leaf(const Trunk& trunk, std::uint16_t minor, Bytes limit, const std::string& reason) {
    add(knob::LeafQdisc{.device = trunk.device, .parent = make_handle(kOurMajor, minor)},
        leaf_queue(minor, limit), reason);
  }

  void add_tree(const Trunk& trunk, const ShapedLink& shaped) {
    const std::uint32_t mtu = shaped.link.mtu;
    add(knob::RootQdisc{.device = trunk.device},
        HtbRoot{.handle = make_handle(kOurMajor, 0),
                .default_minor = kProbationMinor,
                .direct_packets = kDirectPackets},
        std::to_string(shaped.rules.size()) +
            (shaped.rules.size() == 1 ? " rule shapes " : " rules shape ") +
            shaped.link.device.name + "; a few packets are lost as it is put in place");
    add_class(trunk, kTotalMinor, total_class(trunk.total, mtu), trunk.why_total);

    const Share probation = policy_.probation.guarantee;
    const std::string why_probation = "probation: new flows of workloads not known to be light";
    add_class(trunk, kProbationMinor,
              share_class(trunk.total, probation, Share{1}, kProbationPriority, mtu),
              why_probation);
    add_leaf(trunk, kProbationMinor, probation_queue(trunk.total), why_probation);

    for (const Rule& rule : shaped.rules) {
      const Bandwidth& wanted = *rule.bandwidth;
      const auto at = std::ranges::find(matches_, rule.match) - matches_.begin();
      const auto minor = static_cast<std::uint16_t>(kFirstBlockMinor + at);
      add_class(trunk, minor,
                share_class(trunk.total, wanted.guarantee, wanted.limit, wanted.priority, mtu),
                "rule " + quoted(rule.name) + ": " + to_text(wanted.guarantee) +
                    " guaranteed, at most " + to_text(wanted.limit));
      add_leaf(trunk, minor, wanted.queue.value_or(default_queue(rule.match, trunk.total)),
               "rule " + quoted(rule.name) + (wanted.queue ? ": its queue" : ": default queue"));
    }
  }

  /// Somebody else's clsact is used, and not made.
  void add_clsact(const Link& link, std::string reason) {
    if (!link.foreign_clsact)
      add(knob::Clsact{.device = link.device}, ClsactQdisc{}, std::move(reason));
  }

  void add_classifier(const Device& device) {
    using Hook = ClassifierProgram::Hook;
    add(knob::Classifier{.device = device},
        ClassifierProgram{.hook = snapshot_.host.tcx ? Hook::tcx : Hook::clsact},
        "gives each packet the class of its flow and workload");
  }

  const Snapshot& snapshot_;
  const Policy& policy_;
  std::vector<Match> matches_;
  std::vector<Wish> wishes_;
};

}  // namespace

Desired evaluate(const Snapshot& snapshot, const Policy& policy) {
  Shaping shaping = resolve_shaping(snapshot, policy);
  Wishes wishes(snapshot, policy);
  for (const ShapedLink& shaped : shaping.links) wishes.add_link(shaped);
  if (!shaping.links.empty()) wishes.add_members();
  Desired desired{.wishes = std::move(wishes).take(), .refusals = std::move(shaping.refusals)};
  add_receive(snapshot, policy, desired);
  add_steering(snapshot, policy, desired);
  return desired;
}

}  // namespace ankus
