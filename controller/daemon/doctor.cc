// SPDX-License-Identifier: Apache-2.0
#include "daemon/doctor.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <fstream>

#include "base/text.h"

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

Check check_conntrack(const Findings& findings) {
  const auto& sensor = findings.conntrack;
  if (!sensor) return {"conntrack", State::off, "no such sensor", ""};
  if (sensor->state != SensorState::State::on)
    return {"conntrack", State::warn,
            "not watched: " + sensor->detail + "; owners behind a bridge and NAT stay unknown",
            "modprobe nf_conntrack (Ankus looks again every few seconds)"};
  if (!findings.conntrack_seen)
    return {"conntrack", State::warn,
            "watched, but no packet has met it: no nftables or iptables rule of this namespace "
            "uses conntrack. Devices tell the owners",
            ""};
  return {"conntrack", State::ok, sensor->detail, ""};
}

Check check_accounting(bool accounts) {
  if (accounts)
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

std::string parent_of(const std::string& directory) {
  return directory.substr(0, directory.rfind('/'));
}

Check check_bpffs(const Findings& findings) {
  if (findings.bpf_dir_is == Findings::BpfDir::on_bpffs)
    return {"bpffs", State::ok, findings.bpf_dir, ""};
  const std::string parent = parent_of(findings.bpf_dir);
  return {"bpffs", State::fail,
          parent +
              (findings.bpf_dir_is == Findings::BpfDir::missing ? " is not there"
                                                                : " is not a BPF file system") +
              ": classifiers could not outlive the daemon, so none is attached",
          "mount -t bpf bpf " + parent};
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

std::string text_of(const DeviceProgram& program) {
  return program.hook + " " + (program.name.empty() ? "a program without a name" : program.name) +
         " (id " + std::to_string(program.id) + ")";
}

std::vector<Check> check_programs(const Findings& findings) {
  std::vector<Check> checks;
  if (!findings.programs_of_others)
    checks.push_back({"programs", State::warn,
                      "whose BPF programs the devices' packets pass cannot be told: " +
                          findings.programs_of_others.error().text,
                      ""});
  else
    for (const auto& [ifindex, programs] : *findings.programs_of_others) {
      const auto link = std::ranges::find(findings.links, ifindex,
                                          [](const Link& l) { return l.device.ifindex; });
      if (link == findings.links.end() || programs.empty()) continue;
      std::vector<std::string> texts;
      for (const DeviceProgram& program : programs) texts.push_back(text_of(program));
      checks.push_back({"programs on " + link->device.name, State::ok,
                        "others': " + join(texts, ", ") +
                            ". Ankus leaves them alone; packets that they drop or redirect before "
                            "Ankus' own are not counted",
                        ""});
    }
  return checks;
}

Check check_history(const std::optional<std::string>& problem) {
  if (problem)
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

Findings::BpfDir bpf_dir_is(const std::string& directory) {
  struct statfs info{};
  if (statfs(directory.c_str(), &info) != 0 && statfs(parent_of(directory).c_str(), &info) != 0)
    return Findings::BpfDir::missing;
  return info.f_type == BPF_FS_MAGIC ? Findings::BpfDir::on_bpffs : Findings::BpfDir::elsewhere;
}

Findings look_around(const Options& options, const Observer& observer, const Snapshot& snapshot,
                     Journal& journal, std::vector<std::string> downgrades) {
  std::vector<Link> uplinks;
  std::ranges::copy_if(snapshot.links, std::back_inserter(uplinks), &Link::has_default_route);
  Findings findings{.host = snapshot.host,
                    .links = snapshot.links,
                    .programs_of_others = observer.programs_of_others(uplinks),
                    .conntrack_seen = observer.conntrack_seen(),
                    .conntrack_accounts = conntrack_accounts(),
                    .bpf_dir = options.bpf_dir,
                    .bpf_dir_is = bpf_dir_is(options.bpf_dir),
                    .history_problem = journal.history_problem(),
                    .downgrades = std::move(downgrades)};
  for (const SensorState& sensor : observer.sensors())
    if (sensor.name == "conntrack") findings.conntrack = sensor;
  return findings;
}

std::vector<Check> examine(const Findings& findings) {
  std::vector<Check> checks{
      check_kernel(findings.host),  check_device_programs(findings.host),
      check_conntrack(findings),    check_accounting(findings.conntrack_accounts),
      check_shaping(findings.host), check_ifb(findings.host),
      check_bpffs(findings)};
  bool uplink = false;
  for (const Link& link : findings.links)
    if (link.has_default_route) {
      uplink = true;
      checks.push_back(check_link(link));
    }
  if (!uplink)
    checks.push_back({"uplink", State::warn,
                      "no default route: device = \"uplink\" means no device",
                      "name the device in the policy"});
  for (Check& check : check_programs(findings)) checks.push_back(std::move(check));
  checks.push_back(check_history(findings.history_problem));
  for (const std::string& line : findings.downgrades)
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
