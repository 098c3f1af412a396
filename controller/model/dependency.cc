// SPDX-License-Identifier: Apache-2.0
#include "model/dependency.h"

namespace ankus {
namespace {

const TcHandle* parent_class_of(const Placed& placed) {
  if (const auto* leaf = std::get_if<knob::LeafQdisc>(&placed.knob)) return &leaf->parent;
  if (std::holds_alternative<knob::TcClass>(placed.knob))
    if (const auto* setting = std::get_if<HtbClass>(&placed.setting)) return &setting->parent;
  return nullptr;
}

bool hangs_in_clsact(const Placed& placed) {
  if (std::holds_alternative<knob::IngressRedirect>(placed.knob)) return true;
  const auto* program = std::get_if<ClassifierProgram>(&placed.setting);
  return program != nullptr && program->hook == ClassifierProgram::Hook::clsact;
}

bool needs_root(const Knob& knob) {
  return std::holds_alternative<knob::TcClass>(knob) ||
         std::holds_alternative<knob::LeafQdisc>(knob) ||
         std::holds_alternative<knob::Classifier>(knob);
}

}  // namespace

bool depends_on(const Placed& a, const Placed& b) {
  const Device* device = device_of(a.knob);
  if (device == nullptr) return false;
  if (const auto* ifb = std::get_if<knob::Ifb>(&b.knob)) {
    if (device->name == ifb->name) return true;
    const auto* to = std::get_if<RedirectTo>(&a.setting);
    const auto* present = std::get_if<IfbDevice>(&b.setting);
    return to != nullptr && present != nullptr && to->ifindex == present->ifindex;
  }
  const Device* other = device_of(b.knob);
  if (other == nullptr) return false;
  if (const auto* to = std::get_if<RedirectTo>(&a.setting))
    // Received packets must not be sent through an ifb that does not have its tree.
    if (to->ifindex == other->ifindex) return !tree_of(b.knob).empty();
  if (*other != *device) return false;
  if (std::holds_alternative<knob::RootQdisc>(b.knob)) return needs_root(a.knob);
  if (std::holds_alternative<knob::Clsact>(b.knob)) return hangs_in_clsact(a);
  if (const auto* above = std::get_if<knob::TcClass>(&b.knob)) {
    const TcHandle* parent = parent_class_of(a);
    return parent != nullptr && *parent == above->handle;
  }
  return false;
}

std::string_view tree_of(const Knob& knob) {
  if (std::holds_alternative<knob::RootQdisc>(knob) ||
      std::holds_alternative<knob::TcClass>(knob) || std::holds_alternative<knob::LeafQdisc>(knob))
    return device_of(knob)->name;
  return {};
}

}  // namespace ankus
