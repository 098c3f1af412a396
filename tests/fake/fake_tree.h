// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "act/actuator.h"
#include "journal/journal.h"
#include "model/plan.h"

namespace ankus {

/// What a policy would want of a device: root, a parent class, one class for each minor with its
/// queue, the classifier, and who is in which class.
struct TreeWish {
  Device device;
  std::vector<std::uint16_t> minors{0x10, 0x20};
  std::uint64_t megabits = 100;
  std::uint16_t default_minor = 0x10;
};

inline HtbClass class_setting(std::uint16_t parent, std::uint64_t megabits) {
  const BitRate rate{megabits * 1'000'000};
  return {.parent = make_handle(kOurMajor, parent),
          .rate = rate,
          .ceil = {rate.bits_per_second * 2},
          .burst = {15'000},
          .cburst = {15'001},
          .priority = 0,
          .quantum = {1514}};
}

inline void wish_tree(Desired& desired, const TreeWish& tree) {
  const auto add = [&](Knob knob, Setting setting) {
    desired.wishes.push_back({std::move(knob), std::move(setting), "rule \"mice first\""});
  };
  add(knob::RootQdisc{tree.device}, HtbRoot{.handle = make_handle(kOurMajor, 0),
                                            .default_minor = tree.default_minor,
                                            .direct_packets = 100});
  add(knob::TcClass{tree.device, make_handle(kOurMajor, 1)}, class_setting(0, 1000));
  for (const std::uint16_t minor : tree.minors) {
    add(knob::TcClass{tree.device, make_handle(kOurMajor, minor)}, class_setting(1, tree.megabits));
    add(knob::LeafQdisc{tree.device, make_handle(kOurMajor, minor)},
        ByteFifo{.handle = make_handle(static_cast<std::uint16_t>(kOurLeafBase + minor), 0),
                 .limit = {64'000}});
  }
  add(knob::Classifier{tree.device}, ClassifierProgram{});
}

inline void wish_members(Desired& desired, std::uint32_t count) {
  Members members;
  for (std::uint32_t i = 1; i <= count; ++i)
    members.rows.push_back({.workload = i, .slow_class = 0x10, .fast_class = 0x20});
  desired.wishes.push_back({knob::Membership{}, std::move(members), "who is where"});
}

/// A device's received traffic through an ifb of our own, with a tree there.
inline void wish_ingress(Desired& desired, const Device& device, const Device& ifb) {
  desired.wishes.push_back({knob::Ifb{ifb.name}, IfbDevice{.ifindex = ifb.ifindex}, "ingress"});
  wish_tree(desired, {.device = ifb});
  desired.wishes.push_back({knob::Clsact{device}, ClsactQdisc{}, "ingress"});
  desired.wishes.push_back(
      {knob::IngressRedirect{device}, RedirectTo{.ifindex = ifb.ifindex}, "ingress"});
}

/// One reading of all that is desired or held.
inline std::map<Knob, Result<Setting>> read_current(Actuator& actuator, const Desired& desired,
                                                    const std::vector<HeldKnob>& held) {
  std::vector<Knob> knobs;
  for (const Wish& wish : desired.wishes) knobs.push_back(wish.knob);
  for (const HeldKnob& h : held) knobs.push_back(h.knob);
  auto found = actuator.read(knobs);
  std::map<Knob, Result<Setting>> current;
  for (std::size_t i = 0; i < knobs.size(); ++i) current.emplace(knobs[i], found[i]);
  return current;
}

}  // namespace ankus
