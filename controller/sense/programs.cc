// SPDX-License-Identifier: Apache-2.0
#include "sense/programs.h"

#include <linux/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "bpf/wire.h"
#include "conntrack_netfilter.skel.h"
#include "conntrack_trampoline.skel.h"
#include "device.skel.h"
#include "device_tracepoint.skel.h"

namespace ankus {
namespace {

// Debian 12's headers do not have it (kernel 6.4, include/uapi/linux/bpf.h).
constexpr auto kNetfilterProgram = static_cast<bpf_prog_type>(32);
constexpr auto kNetfilterAttach = static_cast<bpf_attach_type>(45);

std::span<const std::byte> bytes_of(const void* data, std::size_t size) {
  return {static_cast<const std::byte*>(data), size};
}

template <const void* (*elf_bytes)(std::size_t*)>
std::span<const std::byte> elf() {
  std::size_t size = 0;
  const void* data = elf_bytes(&size);
  return bytes_of(data, size);
}

constexpr std::array kMaps = {"ankus_flows",    "ankus_devices", "ankus_cgroups", "ankus_members",
                              "ankus_buckets",  "ankus_usage",   "ankus_config",  "ankus_pressure",
                              "ankus_counters", "ankus_events",  "ankus_ended"};

bool same_layout(const bpf::MapShape& a, const bpf::MapShape& b) {
  return a.type == b.type && a.key_size == b.key_size && a.value_size == b.value_size &&
         a.flags == b.flags;
}

}  // namespace

std::string map_pin_path(const std::string& pin_dir, const std::string& name) {
  return pin_dir + "/maps-v" + std::to_string(ANKUS_WIRE_VERSION) + "/" + name;
}

Result<Programs> Programs::load(const Options& options) {
  Programs programs;
  programs.options_ = options;
  const auto size_flows = [&](bpf_object& object) {
    bpf_map* flows = bpf_object__find_map_by_name(&object, "ankus_flows");
    (void)bpf_map__set_max_entries(flows, options.max_flows);  // fails only after loading
  };
  auto device = bpf::Object::load(elf<device__elf_bytes>(), "device", {}, size_flows);
  if (!device) return std::unexpected(device.error());

  if (!options.pin_dir.empty()) {
    std::map<std::string, UniqueFd> pinned;
    for (const char* name : kMaps) {
      auto fd = bpf::open_pinned(map_pin_path(options.pin_dir, name));
      if (!fd) break;
      const auto theirs = bpf::map_shape(fd->get()), ours = bpf::map_shape(device->map(name));
      if (!theirs || !ours || !same_layout(*theirs, *ours)) {
        programs.downgrades.push_back("pinned map " + map_pin_path(options.pin_dir, name) +
                                      " has another layout: starting with empty maps");
        break;
      }
      pinned.emplace(name, std::move(*fd));
    }
    if (pinned.size() == kMaps.size()) {
      std::map<std::string, int> shared;
      for (const auto& [name, fd] : pinned) shared[name] = fd.get();
      auto again = bpf::Object::load(elf<device__elf_bytes>(), "device", shared, nullptr);
      if (!again) return std::unexpected(again.error());
      device = std::move(again);
      programs.reused_ = std::move(pinned);
      programs.maps_reused = true;
    }
  }
  programs.maps_ = device->maps();
  for (const auto& [name, fd] : programs.reused_) programs.maps_[name] = fd.get();
  programs.objects_.push_back(std::move(*device));

  auto tracepoint = bpf::Object::load(elf<device_tracepoint__elf_bytes>(), "device_tracepoint",
                                      programs.maps_, nullptr);
  if (tracepoint)
    programs.objects_.push_back(std::move(*tracepoint));
  else
    programs.downgrades.push_back("no BTF tracepoints: " + tracepoint.error().text);

  programs.load_conntrack();
  return programs;
}

void Programs::load_conntrack() {
  if (conntrack != Conntrack::none) return;
  std::erase_if(downgrades, [](const std::string& line) { return line.starts_with("conntrack"); });
  auto trampoline = bpf::Object::load(elf<conntrack_trampoline__elf_bytes>(),
                                      "conntrack_trampoline", maps_, nullptr);
  if (trampoline) {
    objects_.push_back(std::move(*trampoline));
    conntrack = Conntrack::trampolines;
    return;
  }
  auto link = bpf::Object::load(
      elf<conntrack_netfilter__elf_bytes>(), "conntrack_netfilter", maps_, [](bpf_object& object) {
        bpf_program* program = bpf_object__find_program_by_name(&object, "ankus_conntrack_link");
        (void)bpf_program__set_type(program, kNetfilterProgram);
        (void)bpf_program__set_expected_attach_type(program, kNetfilterAttach);
      });
  if (link) {
    objects_.push_back(std::move(*link));
    conntrack = Conntrack::netfilter_link;
    downgrades.push_back(
        "conntrack is read at netfilter hooks, ends of connections by sweeping: this kernel "
        "refuses trampolines (" +
        trampoline.error().text + ")");
    return;
  }
  downgrades.push_back("conntrack is not read, owners behind a bridge and NAT stay unknown: " +
                       trampoline.error().text + "; " + link.error().text);
}

std::set<std::uint32_t> Programs::program_ids() const {
  std::set<std::uint32_t> ids;
  for (const bpf::Object& object : objects_)
    for (const int program : object.programs())
      if (const auto id = bpf::program_id(program)) ids.insert(*id);
  return ids;
}

int Programs::map(const std::string& name) const {
  const auto it = maps_.find(name);
  return it != maps_.end() ? it->second : -1;
}

int Programs::program(const std::string& name) const {
  for (const bpf::Object& object : objects_)
    if (const int fd = object.program(name); fd >= 0) return fd;
  return -1;
}

Result<void> Programs::pin_maps() const {
  if (options_.pin_dir.empty())
    return fail(ErrorKind::refused, "no BPF file system directory to pin maps in");
  const std::string probe = map_pin_path(options_.pin_dir, "");
  (void)mkdir(options_.pin_dir.c_str(), 0700);  // may exist; pinning below says what is wrong
  (void)mkdir(probe.c_str(), 0700);
  for (const char* name : kMaps) {
    const std::string path = map_pin_path(options_.pin_dir, name);
    if (maps_reused && access(path.c_str(), F_OK) == 0) continue;
    (void)unlink(path.c_str());  // of a run whose maps were not taken over
    if (auto done = bpf::pin(map(name), path); !done) return done;
  }
  // For an undo without us that has to attach it again.
  const std::string classifier = map_pin_path(options_.pin_dir, kClassifierProgram);
  (void)unlink(classifier.c_str());
  return bpf::pin(program(kClassifierProgram), classifier);
}

Result<std::uint32_t> Programs::jiffies() const {
  return bpf::test_run(program("ankus_read_jiffies"));
}

nanoseconds Programs::tick() {
  timespec resolution{};
  // The coarse clock advances once a tick: its resolution is 1/CONFIG_HZ
  // (kernel/time/posix-timers.c).
  (void)clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
  return seconds(resolution.tv_sec) + nanoseconds(resolution.tv_nsec);
}

std::uint32_t Programs::to_jiffies(nanoseconds duration) {
  const auto ticks = (duration + tick() - nanoseconds(1)) / tick();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ticks, 1, 0x3fffffff));
}

}  // namespace ankus
