// SPDX-License-Identifier: Apache-2.0
#include "sense/attachments.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <set>

namespace ankus {
namespace {

// include/uapi/linux/netfilter.h
constexpr std::uint32_t kIpv4 = 2, kIpv6 = 10;
constexpr std::uint32_t kLocalIn = 1, kPostRouting = 4;
constexpr std::int32_t kAfterNat = 300;  // NF_IP_PRI_NAT_SRC is 100

constexpr std::string kConntrack = "conntrack-";

std::string hook_name(std::uint32_t ifindex, bpf::TcxHook hook) {
  return "tcx-" + std::to_string(ifindex) +
         (hook == bpf::TcxHook::ingress ? "-ingress" : "-egress");
}

std::set<std::string> entries(const std::string& directory) {
  std::set<std::string> names;
  const Handle<DIR, closedir> dir(opendir(directory.c_str()));
  if (!dir) return names;
  while (const dirent* entry = readdir(dir.get()))
    if (entry->d_name[0] != '.') names.emplace(entry->d_name);
  return names;
}

}  // namespace

Result<void> Attachments::attach(const std::string& name, Result<UniqueFd> link) {
  if (!link) return with_context(name, link.error());
  keep(name, std::move(*link));
  return {};
}

void Attachments::keep(const std::string& name, UniqueFd link) {
  links_[name] = std::move(link);
  pinned_.erase(name);
  changed_ = true;
}

void Attachments::drop(const std::string& name) {
  if (links_.erase(name) != 0) changed_ = true;
  pinned_.erase(name);
}

Result<void> Attachments::watch_conntrack(const std::string& pinned) {
  if (conntrack()) return {};
  if (programs_->conntrack == Programs::Conntrack::trampolines) {
    int number = 0;
    for (const char* program :
         {"ankus_conntrack_in", "ankus_conntrack_confirm", "ankus_conntrack_free"}) {
      auto done = attach(kConntrack + std::to_string(number++),
                         bpf::attach_tracing(programs_->program(program)));
      if (!done) return done;
    }
    return {};
  }
  if (programs_->conntrack == Programs::Conntrack::none)
    return fail(ErrorKind::unsupported, "no conntrack sensor is loaded");
  for (const std::string& name : entries(pinned))
    if (name.starts_with(kConntrack)) (void)bpf::detach_pinned(pinned + "/" + name);
  int number = 0;
  for (const std::uint32_t family : {kIpv4, kIpv6})
    for (const std::uint32_t hook : {kPostRouting, kLocalIn}) {
      auto done = attach(kConntrack + std::to_string(number++),
                         bpf::attach_netfilter(programs_->program("ankus_conntrack_link"), family,
                                               hook, kAfterNat));
      if (!done) return done;
    }
  return {};
}

Result<void> Attachments::watch_by_tracepoints() {
  if (form_ == DeviceForm::tracepoint) return {};
  for (const char* program : {"ankus_device_receives", "ankus_device_sends"}) {
    const int fd = programs_->program(program);
    if (fd < 0)
      return fail(ErrorKind::unsupported,
                  "neither tcx links nor BTF tracepoints: devices are not watched");
    if (auto done = attach(std::string("tracepoint-") + program, bpf::attach_tracing(fd)); !done)
      return done;
  }
  form_ = DeviceForm::tracepoint;
  downgrades_.push_back(
      "devices are watched by tracepoints: this kernel has no tcx (6.6 and later have)");
  return {};
}

Result<void> Attachments::attach_device(std::uint32_t ifindex, const std::string& program,
                                        bpf::TcxHook hook) {
  if (form_ == DeviceForm::tracepoint || links_.contains(hook_name(ifindex, hook))) return {};
  auto link = bpf::attach_tcx(programs_->program(program), ifindex, hook);
  if (!link && form_ == DeviceForm::none && link.error().kind != ErrorKind::gone)
    return watch_by_tracepoints();
  if (!link) return with_context("ifindex " + std::to_string(ifindex), link.error());
  form_ = DeviceForm::tcx;
  keep(hook_name(ifindex, hook), std::move(*link));
  return {};
}

Result<void> Attachments::watch_workload(std::uint32_t ifindex) {
  auto done = attach_device(ifindex, "ankus_workload_sends", bpf::TcxHook::ingress);
  if (done) done = attach_device(ifindex, "ankus_workload_receives", bpf::TcxHook::egress);
  if (!done) forget(ifindex);
  return done;
}

Result<void> Attachments::watch_uplink(std::uint32_t ifindex, bool egress) {
  if (auto done = attach_device(ifindex, "ankus_uplink_receives", bpf::TcxHook::ingress); !done)
    return done;
  if (egress) return attach_device(ifindex, "ankus_uplink_sends", bpf::TcxHook::egress);
  drop(hook_name(ifindex, bpf::TcxHook::egress));
  return {};
}

void Attachments::forget(std::uint32_t ifindex) {
  drop(hook_name(ifindex, bpf::TcxHook::ingress));
  drop(hook_name(ifindex, bpf::TcxHook::egress));
}

Result<void> Attachments::pin(const std::string& directory) {
  (void)mkdir(directory.c_str(), 0700);  // may exist; pinning below says what is wrong
  const std::set<std::string> there = entries(directory);
  for (const auto& [name, link] : links_) {
    if (pinned_.contains(name) && there.contains(name)) continue;
    const std::string path = directory + "/" + name, fresh = path + "-new";
    (void)unlink(fresh.c_str());
    if (auto done = bpf::pin(link.get(), fresh); !done) return done;
    if (rename(fresh.c_str(), path.c_str()) != 0) return fail_errno("rename " + fresh);
    pinned_.insert(name);
  }
  for (const std::string& name : there)
    if (!links_.contains(name))
      (void)unlink((directory + "/" + name).c_str());  // of what is no longer watched
  return {};
}

std::string sensor_pins(const std::string& bpf_dir) {
  return bpf_dir.empty() ? "" : bpf_dir + "/sensors";
}

std::set<std::uint32_t> programs_pinned_in(const std::string& directory) {
  std::set<std::uint32_t> ids;
  for (const std::string& name : entries(directory))
    if (const auto link = bpf::open_pinned(directory + "/" + name))
      if (const auto info = bpf::link_info(link->get())) ids.insert(info->program_id);
  return ids;
}

void unpin_all(const std::string& directory) {
  for (const std::string& name : entries(directory)) (void)unlink((directory + "/" + name).c_str());
  (void)rmdir(directory.c_str());
}

}  // namespace ankus
