// SPDX-License-Identifier: Apache-2.0
#include "daemon/doctor.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <fstream>

namespace ankus {
namespace {

using State = Check::State;

Check check_kernel(const Host& host) {
  int major = 0, minor = 0;
  if (std::sscanf(host.kernel_release.c_str(), "%d.%d", &major, &minor) == 2 &&
      std::pair(major, minor) < std::pair(6, 1))
    return {"kernel", State::warn,
            host.kernel_release + " is older than 6.1, which Ankus is tested on",
            "use 6.1 or later"};
  return {"kernel", State::ok, host.kernel_release, ""};
}

Check check_device_programs(const Host& host) {
  if (host.tcx)
    return {"tcx", State::ok,
            "device programs attach by tcx links: no qdisc is added to watch or classify", ""};
  return {"tcx", State::warn,
          "no tcx (it came with 6.6): devices are watched by tracepoints, and shaping adds a "
          "clsact qdisc as a planned action",
          ""};
}

Check check_conntrack(const Observer& observer) {
  for (const SensorState& sensor : observer.sensors()) {
    if (sensor.name != "conntrack") continue;
    if (sensor.state != SensorState::State::on)
      return {"conntrack", State::warn,
              "not watched: " + sensor.detail + "; owners behind a bridge and NAT stay unknown",
              "modprobe nf_conntrack (Ankus looks again every few seconds)"};
    if (!observer.conntrack_seen())
      return {"conntrack", State::warn,
              "watched, but no packet has met it: no nftables or iptables rule of this namespace "
              "uses conntrack. Devices tell the owners",
              ""};
    return {"conntrack", State::ok, sensor.detail, ""};
  }
  return {"conntrack", State::off, "no such sensor", ""};
}

Check check_accounting() {
  if (conntrack_accounts())
    return {"accounting", State::ok, "conntrack counts bytes itself; Ankus shows its counters", ""};
  return {"accounting", State::ok,
          "net.netfilter.nf_conntrack_acct is 0: Ankus counts by itself from the packet at which "
          "it sees a flow",
          ""};
}

Check check_shaping(const Host& host) {
  if (!host.htb)
    return {"htb", State::fail,
            "this kernel has no HTB qdisc (CONFIG_NET_SCH_HTB; module sch_htb): bandwidth rules "
            "cannot work",
            "load sch_htb, or use another kernel"};
  return {"htb", State::ok, "HTB is there", ""};
}

Check check_ifb(const Host& host) {
  if (host.ifb) return {"ifb", State::ok, "downloads can be shaped", ""};
  return {"ifb", State::warn, "this kernel has no ifb devices: [link] download cannot be used", ""};
}

Check check_bpffs(const Options& options) {
  const std::string parent = options.bpf_dir.substr(0, options.bpf_dir.rfind('/'));
  struct statfs info{};
  if (statfs(options.bpf_dir.c_str(), &info) != 0 && statfs(parent.c_str(), &info) != 0)
    return {"bpffs", State::fail,
            parent + " is not there: classifiers could not outlive the daemon, so none is attached",
            "mount -t bpf bpf " + parent};
  if (info.f_type != BPF_FS_MAGIC)
    return {"bpffs", State::fail,
            parent +
                " is not a BPF file system: classifiers could not outlive the daemon, so none is "
                "attached",
            "mount -t bpf bpf " + parent};
  return {"bpffs", State::ok, options.bpf_dir, ""};
}

Check check_link(const Link& link) {
  const std::string name = "device " + link.device.name;
  if (!link.up) return {name, State::warn, "is down", "ip link set " + link.device.name + " up"};
  if (link.root_handle.value != 0 && link.root_handle.major() != kOurMajor)
    return {name, State::warn,
            "its root qdisc is " + link.root_kind + " " + to_text(link.root_handle) +
                ", which Ankus did not make and leaves alone",
            "to let Ankus shape it: tc qdisc del dev " + link.device.name + " root"};
  std::string text =
      "root qdisc " + (link.root_kind.empty() ? std::string("none") : link.root_kind);
  text += link.root_handle.major() == kOurMajor ? " of ours" : " (the kernel's default)";
  if (link.foreign_clsact) text += "; others use its clsact, which stays as it is";
  if (link.speed)
    text += "; " + to_text(*link.speed);
  else
    text += "; reports no speed that can be trusted, so the policy must state its rate";
  if (link.root_kind == "mq" || link.transmit_queues > 1) {
    text += "; " + std::to_string(link.transmit_queues) +
            " transmit queues, and HTB has one lock for all";
    return {name, State::warn, text, "see single_lock in docs/policies.md"};
  }
  return {name, State::ok, text, ""};
}

Check check_journal(Journal& journal) {
  if (const auto problem = journal.history_problem())
    return {"history", State::warn,
            *problem + "; undo does not need it, new actions do unless the policy says otherwise",
            "make room, or set [audit] required = false"};
  return {"history", State::ok, "can be written", ""};
}

}  // namespace

bool conntrack_accounts() {
  std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_acct");
  int value = 0;
  return file >> value && value == 1;
}

std::vector<Check> examine(const Options& options, const Observer& observer,
                           const Snapshot& snapshot, Journal& journal) {
  std::vector<Check> checks{check_kernel(snapshot.host),  check_device_programs(snapshot.host),
                            check_conntrack(observer),    check_accounting(),
                            check_shaping(snapshot.host), check_ifb(snapshot.host),
                            check_bpffs(options)};
  bool uplink = false;
  for (const Link& link : snapshot.links)
    if (link.has_default_route) {
      uplink = true;
      checks.push_back(check_link(link));
    }
  if (!uplink)
    checks.push_back({"uplink", State::warn,
                      "no default route: device = \"uplink\" means no device",
                      "name the device in the policy"});
  checks.push_back(check_journal(journal));
  for (const std::string& line : observer.downgrades())
    checks.push_back({"downgrade", State::warn, line, ""});
  return checks;
}

nlohmann::json doctor_report(const std::string& kernel, const std::vector<Check>& checks) {
  static constexpr std::string_view kStates[] = {"ok", "warn", "fail", "off"};
  nlohmann::json rows = nlohmann::json::array();
  for (const Check& check : checks) {
    nlohmann::json row{{"name", check.name},
                       {"state", kStates[static_cast<std::size_t>(check.state)]},
                       {"text", check.text}};
    if (!check.remedy.empty()) row["remedy"] = check.remedy;
    rows.push_back(std::move(row));
  }
  return {{"kernel", kernel}, {"checks", rows}};
}

}  // namespace ankus
