// SPDX-License-Identifier: Apache-2.0
#include "bench/watched_host.h"

#include <net/if.h>

#include "base/file.h"
#include "kernel/netlink.h"
#include "policy/parse.h"

namespace ankus::bench {

Result<Device> find_device(const std::string& name) {
  const std::uint32_t ifindex = if_nametoindex(name.c_str());
  if (ifindex == 0) return fail_errno("device " + name);
  const auto cookie = own_netns_cookie();
  if (!cookie) return std::unexpected(cookie.error());
  return Device{.name = name, .ifindex = ifindex, .netns_cookie = *cookie};
}

Result<Policy> read_policy(const std::string& path) {
  const auto text = read_policy_file(path);
  if (!text) return std::unexpected(text.error());
  ParsedPolicy parsed = parse_policy(*text, path);
  if (!parsed.errors.empty()) return fail(ErrorKind::invalid, to_text(parsed.errors.front()));
  return std::move(parsed.policy);
}

Result<KernelActuator> WatchedHost::actuator() const {
  const Programs* loaded = programs.get();
  return KernelActuator::open({.classifier_program = programs->program("ankus_uplink_classifies"),
                               .pin_dir = pin_dir,
                               .members_fd = programs->map("ankus_members"),
                               .devices_fd = programs->map("ankus_devices"),
                               .lease_end = [loaded] {
                                 return loaded->jiffies().value_or(0) +
                                        Programs::to_jiffies(seconds(600));
                               }});
}

Result<void> WatchedHost::set_uplink(std::uint16_t major, BitRate rate) const {
  return table->set_device({.ifindex = up0.ifindex,
                            .uplink = true,
                            .fast_bytes = {64'000},
                            .admission = rate * Share{0.1},
                            .admission_burst = {125'000},
                            .admission_burst_others = {125'000},
                            .major = major,
                            .probation_class = 0x0f});
}

Result<WatchedHost> open_host(const WatchedHostOptions& options) {
  WatchedHost host{.pin_dir = options.pin_dir};
  for (const auto& [device, name] :
       {std::pair(&host.up0, "up0"), {&host.web, "v-web"}, {&host.backup, "v-backup"}}) {
    auto found = find_device(name);
    if (!found) return std::unexpected(found.error());
    *device = std::move(*found);
  }
  auto programs = Programs::load({.max_flows = options.max_flows});
  if (!programs) return std::unexpected(programs.error());
  host.programs = std::make_unique<Programs>(std::move(*programs));
  auto table = FlowTable::open(*host.programs);
  if (!table) return std::unexpected(table.error());
  host.table = std::make_unique<FlowTable>(std::move(*table));
  host.attachments = std::make_unique<Attachments>(*host.programs);

  FlowTiming timing = options.timing;
  timing.netns_cookie = host.up0.netns_cookie;
  if (auto done = host.table->set_timing(timing); !done) return std::unexpected(done.error());
  if (auto done = host.set_uplink(0, {200'000'000}); !done) return std::unexpected(done.error());
  for (const auto& [device, owner] : {std::pair(host.web, kWeb), {host.backup, kBackup}})
    if (auto done = host.table->set_device({.ifindex = device.ifindex, .owner = owner}); !done)
      return std::unexpected(done.error());
  if (!options.attach) return host;
  for (const Device& device : {host.web, host.backup})
    if (auto done = host.attachments->watch_workload(device.ifindex); !done)
      return std::unexpected(done.error());
  if (auto done = host.attachments->watch_uplink(host.up0.ifindex, true); !done)
    return std::unexpected(done.error());
  if (auto done = host.attachments->watch_conntrack(); !done) return std::unexpected(done.error());
  return host;
}

}  // namespace ankus::bench
