// SPDX-License-Identifier: Apache-2.0
#include "act/kernel_actuator.h"

#include <linux/rtnetlink.h>

#include <algorithm>

#include "kernel/rtnetlink.h"

namespace ankus {

Result<void> KernelView::read_links() {
  if (links_read_) return {};
  auto links = ankus::read_links(*socket_);
  if (!links) return std::unexpected(links.error());
  for (const RtLink& link : *links)
    links_[link.name] = {.ifindex = link.ifindex, .kind = link.kind};
  const auto cookie = own_netns_cookie();
  if (!cookie) return std::unexpected(cookie.error());
  netns_cookie_ = *cookie;
  links_read_ = true;
  return {};
}

Result<void> KernelView::check(const Device& device) {
  if (auto done = read_links(); !done) return done;
  // Under another name it is the same device, with all that was set on it.
  const bool is_here = std::ranges::any_of(
      links_, [&](const auto& link) { return link.second.ifindex == device.ifindex; });
  const bool is_ours = netns_cookie_ == device.netns_cookie;
  if (is_here && is_ours) return {};
  if (!is_ours && !handles_->other_namespaces_gone)
    return fail(ErrorKind::refused, "device " + device.name + " (ifindex " +
                                        std::to_string(device.ifindex) +
                                        ") is in another network namespace");
  return fail(ErrorKind::gone, "device " + device.name + " (ifindex " +
                                   std::to_string(device.ifindex) + ") is not there any more");
}

Result<std::uint32_t> KernelView::ifindex_of(const std::string& name) {
  if (auto done = read_links(); !done) return std::unexpected(done.error());
  const auto it = links_.find(name);
  return it != links_.end() ? it->second.ifindex : 0;
}

Result<std::string> KernelView::kind_of(std::uint32_t ifindex) {
  if (auto done = read_links(); !done) return std::unexpected(done.error());
  for (const auto& [name, link] : links_)
    if (link.ifindex == ifindex) return link.kind;
  return std::string();
}

Result<const std::vector<tc::Qdisc>*> KernelView::qdiscs(std::uint32_t ifindex) {
  if (const auto it = qdiscs_.find(ifindex); it != qdiscs_.end()) return &it->second;
  const auto messages = socket_->dump(tc::qdisc_dump(ifindex));
  if (!messages) return std::unexpected(messages.error());
  std::vector<tc::Qdisc>& found = qdiscs_[ifindex];
  for (const NetlinkMessage& message : *messages)
    // A dump of qdiscs lists all devices, whatever ifindex was asked for (sch_api.c,
    // tc_dump_qdisc).
    if (auto qdisc = tc::parse_qdisc(message); qdisc && qdisc->ifindex == ifindex)
      found.push_back(std::move(*qdisc));
  return &found;
}

Result<const std::vector<tc::Class>*> KernelView::classes(std::uint32_t ifindex) {
  if (const auto it = classes_.find(ifindex); it != classes_.end()) return &it->second;
  const auto messages = socket_->dump(tc::class_dump(ifindex));
  if (!messages) return std::unexpected(messages.error());
  std::vector<tc::Class>& found = classes_[ifindex];
  for (const NetlinkMessage& message : *messages)
    if (auto one = tc::parse_class(message); one && one->ifindex == ifindex)
      found.push_back(std::move(*one));
  return &found;
}

Result<std::vector<tc::Filter>> KernelView::filters(std::uint32_t ifindex, std::uint32_t parent) {
  const auto messages = socket_->dump(tc::filter_dump(ifindex, parent));
  // Without a clsact there is nothing to list, which the kernel calls an invalid argument.
  if (!messages && messages.error().kind == ErrorKind::invalid) return std::vector<tc::Filter>();
  if (!messages) return std::unexpected(messages.error());
  std::vector<tc::Filter> found;
  for (const NetlinkMessage& message : *messages)
    if (auto filter = tc::parse_filter(message)) found.push_back(std::move(*filter));
  return found;
}

std::string name_now(const Device& device) {
  std::string name = link_name(device.ifindex);
  return name.empty() ? device.name : name;
}

std::unexpected<Error> no_step(const Knob& knob, const Setting& before, const Setting& after) {
  return fail(ErrorKind::invalid,
              to_text(knob) + " cannot go from " + to_text(before) + " to " + to_text(after));
}

Result<KernelActuator> KernelActuator::open(KernelHandles handles) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return std::unexpected(socket.error());
  auto ethtool = Ethtool::open();
  if (!ethtool) return std::unexpected(ethtool.error());
  handles.ethtool = std::make_shared<Ethtool>(std::move(*ethtool));
  handles.irqs = std::make_shared<IrqMemory>();
  return KernelActuator(std::move(*socket), std::move(handles));
}

std::vector<Result<Setting>> KernelActuator::read(std::span<const Knob> knobs) {
  KernelView view(socket_, handles_);
  std::vector<Result<Setting>> settings;
  settings.reserve(knobs.size());
  for (const Knob& knob : knobs) {
    if (const Device* device = device_of(knob)) {
      if (auto there = view.check(*device); !there) {
        settings.emplace_back(std::unexpected(there.error()));
        continue;
      }
    }
    settings.push_back(std::visit([&](const auto& k) { return read_knob(k, view); }, knob));
  }
  return settings;
}

namespace {

/// A change of what stays in its place depends on no other, so many may travel in one batch. Making
/// and deleting do depend: a class on its root, a leaf on its class.
bool stands_alone(const Action& action) {
  return !std::holds_alternative<Absent>(action.before) &&
         !std::holds_alternative<Absent>(action.after);
}

}  // namespace

std::vector<Result<void>> KernelActuator::write(std::span<const Action> actions) {
  std::vector<Result<void>> results;
  std::vector<NetlinkMessage> waiting;
  AfterFailure order = AfterFailure::stop;
  bool failed = false;
  const auto take = [&](Result<void> result) {
    failed = failed || !result;
    results.push_back(std::move(result));
  };
  const auto send_waiting = [&] {
    if (waiting.empty()) return;
    for (Result<void>& result : socket_.transact(waiting, order)) take(std::move(result));
    waiting.clear();
  };
  for (const Action& action : actions) {
    auto step =
        std::visit([&](const auto& k) { return step_of(k, action.before, action.after, handles_); },
                   action.knob);
    NetlinkMessage* message = step ? std::get_if<NetlinkMessage>(&*step) : nullptr;
    const AfterFailure wanted = stands_alone(action) ? AfterFailure::go_on : AfterFailure::stop;
    if (message == nullptr || wanted != order) send_waiting();
    if (failed) return results;
    order = wanted;
    if (message != nullptr)
      waiting.push_back(std::move(*message));
    else
      take(step ? std::get<std::function<Result<void>()>>(*step)() : std::unexpected(step.error()));
    if (failed) return results;
  }
  send_waiting();
  return results;
}

Setting KernelActuator::as_kept(const Knob& knob, const Setting& setting) {
  if (const auto* irq = std::get_if<knob::IrqAffinity>(&knob))
    return kept_of(*irq, setting, handles_);
  if (const auto* thread = std::get_if<knob::ThreadAffinity>(&knob))
    return kept_of(*thread, setting, handles_);
  const auto* cpus = std::get_if<CpuSet>(&setting);
  // Of RPS and XPS masks the kernel keeps what is online (netdev_rx_queue_set_rps_mask() and
  // __netif_set_xps_queue() in net/core).
  const CpuSet online = handles_.sysfs.online_cpus();
  if (cpus == nullptr || online.empty()) return setting;
  return common(*cpus, online);
}

Result<void> KernelActuator::renew_classifiers(std::span<const HeldKnob> held) {
  KernelView view(socket_, handles_);
  for (const HeldKnob& h : held) {
    const auto* knob = std::get_if<knob::Classifier>(&h.knob);
    const auto* program = std::get_if<ClassifierProgram>(&h.written);
    if (knob == nullptr || program == nullptr) continue;
    if (const auto there = view.check(knob->device); !there) {
      if (there.error().kind == ErrorKind::gone)
        continue;  // and its number may be another's by now
      return there;
    }
    if (program->hook == ClassifierProgram::Hook::tcx) {
      if (auto done = renew_tcx_classifier(knob->device, handles_); !done) return done;
      continue;
    }
    const std::vector<NetlinkMessage> replacement{
        tc::replace_bpf_filter(knob->device.ifindex, tc::kClsactEgress, kOurPriority, 1,
                               handles_.classifier_program, "ankus")};
    if (auto done = socket_.transact(replacement); !done[0]) return std::move(done[0]);
  }
  return {};
}

}  // namespace ankus
