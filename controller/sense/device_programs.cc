// SPDX-License-Identifier: Apache-2.0
#include "sense/device_programs.h"

#include <linux/netlink.h>

#include <algorithm>
#include <utility>

#include "kernel/bpf.h"
#include "kernel/netlink.h"
#include "kernel/rtnetlink.h"
#include "kernel/tc.h"

namespace ankus {
namespace {

using Found = std::map<std::uint32_t, std::vector<DeviceProgram>>;

/// The device may be gone since it was listed.
bool only_gone(const Error& error) { return error.kind == ErrorKind::gone; }

Result<void> add_xdp(NetlinkSocket& socket, Found& found) {
  const auto links = read_links(socket);
  if (!links) return std::unexpected(links.error());
  for (const RtLink& link : *links)
    if (const auto device = found.find(link.ifindex); device != found.end())
      for (const RtXdp& xdp : link.xdp)
        device->second.push_back({.hook = "XDP " + xdp.where, .id = xdp.program_id});
  return {};
}

Result<void> add_tcx(Found& found) {
  for (auto& [ifindex, programs] : found)
    for (const auto& [hook, name] :
         {std::pair(bpf::TcxHook::ingress, "tcx ingress"), {bpf::TcxHook::egress, "tcx egress"}}) {
      const auto ids = bpf::tcx_programs(ifindex, hook);
      if (!ids && only_gone(ids.error())) continue;
      if (!ids) return std::unexpected(ids.error());
      for (const std::uint32_t id : *ids) programs.push_back({.hook = name, .id = id});
    }
  return {};
}

Result<void> add_filters(NetlinkSocket& socket, std::uint32_t ifindex, std::uint32_t parent,
                         const std::string& hook, std::vector<DeviceProgram>& programs) {
  const auto messages = socket.dump(tc::filter_dump(ifindex, parent));
  // The kernel calls it an invalid argument once the qdisc is gone.
  if (!messages && (only_gone(messages.error()) || messages.error().kind == ErrorKind::invalid))
    return {};
  if (!messages) return std::unexpected(messages.error());
  for (const NetlinkMessage& message : *messages) {
    const auto filter = tc::parse_filter(message);
    if (filter && filter->program_id != 0 && filter->priority != kOurMajor)
      programs.push_back({.hook = hook, .id = filter->program_id});
  }
  return {};
}

Result<void> add_clsact(NetlinkSocket& socket, Found& found) {
  const auto qdiscs = read_qdiscs(socket);
  if (!qdiscs) return std::unexpected(qdiscs.error());
  for (const RtQdisc& qdisc : *qdiscs) {
    const auto device = found.find(qdisc.ifindex);
    if (device == found.end() || qdisc.parent != tc::kClsact) continue;
    auto done = add_filters(socket, qdisc.ifindex, tc::kClsactIngress, qdisc.kind + " ingress",
                            device->second);
    // A qdisc "ingress" answers with the same filters whatever side it is asked for.
    if (done && qdisc.kind == "clsact")
      done = add_filters(socket, qdisc.ifindex, tc::kClsactEgress, "clsact egress", device->second);
    if (!done) return done;
  }
  return {};
}

}  // namespace

Result<std::map<std::uint32_t, std::vector<DeviceProgram>>> programs_of_others(
    std::span<const Link> devices, const std::set<std::uint32_t>& ours) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return std::unexpected(socket.error());
  Found found;
  for (const Link& link : devices) found[link.device.ifindex];
  auto done = add_xdp(*socket, found);
  if (done) done = add_tcx(found);
  if (done) done = add_clsact(*socket, found);
  if (!done) return std::unexpected(done.error());
  for (auto& [ifindex, programs] : found) {
    std::erase_if(programs, [&](const DeviceProgram& one) { return ours.contains(one.id); });
    for (DeviceProgram& program : programs)
      program.name = bpf::program_name(program.id).value_or("");  // its number says which, too
  }
  std::erase_if(found, [](const auto& entry) { return entry.second.empty(); });
  return found;
}

}  // namespace ankus
