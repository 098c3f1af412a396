// SPDX-License-Identifier: Apache-2.0
#include "sense/topology.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace ankus {
namespace {

template <int Base, class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, Base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The number after `prefix`: 3 for "cpu3" and "cpu".
std::optional<std::uint32_t> number_after(std::string_view prefix, std::string_view text) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return number_in<10, std::uint32_t>(text.substr(prefix.size()));
}

/// A list of CPUs in a file that older kernels lack, and others leave empty or set to "(null)".
CpuSet list_in(const std::string& path) {
  const auto text = read_file_head(path);
  return text ? cpu_list_from_text(*text).value_or(CpuSet{}) : CpuSet{};
}

/// The CPUs of the isolated partitions below a cgroup. A partition's parent is one, or the root
/// ("cpuset.cpus.partition" in Documentation/admin-guide/cgroup-v2.rst, before remote ones).
CpuSet isolated_partitions(const std::string& cgroup) {
  CpuSet all;
  for (const std::string& name : read_directory(cgroup).value_or(std::vector<std::string>())) {
    const std::string below = cgroup + "/" + name;
    const auto partition = read_file_head(below + "/cpuset.cpus.partition");
    if (!partition) continue;                        // also of what is no cgroup
    const std::string_view kind = trim(*partition);  // "isolated invalid (...)" is none
    if (kind == "isolated") all = united(all, list_in(below + "/cpuset.cpus.effective"));
    if (kind == "isolated" || kind == "root") all = united(all, isolated_partitions(below));
  }
  return all;
}

Share share(double part, std::uint64_t whole) {
  if (whole == 0) return {};
  return {std::clamp(part / static_cast<double>(whole), 0.0, 1.0)};
}

/// In /proc/stat's unit, which is 10 ms on every kernel that people run (proc(5)).
std::uint64_t ticks_in(nanoseconds time) {
  static const long per_second = sysconf(_SC_CLK_TCK);
  return static_cast<std::uint64_t>(time * per_second / seconds(1));
}

/// Time that runs backwards is none: waiting for I/O does (proc(5)).
std::uint64_t growth(std::uint64_t before, std::uint64_t after) {
  return after > before ? after - before : 0;
}

double rate(std::uint32_t before, std::uint32_t after, nanoseconds time) {
  return static_cast<double>(after - before) / std::chrono::duration<double>(time).count();
}

}  // namespace

CountersOfCpus parse_cpu_times(std::string_view stat) {
  CountersOfCpus counters;
  for (const std::string_view line : split(stat, '\n')) {
    const auto words = split_words(line);
    const auto cpu = words.empty() ? std::nullopt : number_after("cpu", words[0]);
    if (!cpu) continue;
    // user nice system idle iowait irq softirq steal; the two of guests are in user and nice.
    CpuCounters& counter = counters[*cpu];
    for (std::size_t i = 1; i < words.size() && i <= 8; ++i) {
      const auto ticks = number_in<10, std::uint64_t>(words[i]).value_or(0);
      counter.all += ticks;
      if (i == 4 || i == 5) counter.idle += ticks;
      if (i == 7) counter.softirq = ticks;
    }
  }
  return counters;
}

void add_softnet(std::string_view softnet, CountersOfCpus& counters) {
  constexpr std::size_t kDropped = 1, kSqueezed = 2, kCpu = 12;
  auto in_order = counters.begin();
  for (const std::string_view line : split(softnet, '\n')) {
    const auto words = split_words(line);
    if (words.size() <= kSqueezed) continue;
    auto row = in_order;
    if (in_order != counters.end()) ++in_order;
    if (words.size() > kCpu)
      row = counters.find(number_in<16, std::uint32_t>(words[kCpu]).value_or(kHighestCpu + 1));
    if (row == counters.end()) continue;
    row->second.dropped = number_in<16, std::uint32_t>(words[kDropped]).value_or(0);
    row->second.squeezed = number_in<16, std::uint32_t>(words[kSqueezed]).value_or(0);
  }
}

Result<void> TopologyReader::describe(const std::string& online) {
  const auto set = cpu_list_from_text(online);
  if (!set) return std::unexpected(set.error());
  const std::string devices = roots_.sys.root + "/devices/system";
  std::map<std::uint32_t, std::uint32_t> node_of;
  // No such directory: a kernel without NUMA.
  for (const std::string& name :
       read_directory(devices + "/node").value_or(std::vector<std::string>()))
    if (const auto node = number_after("node", name))
      for (const std::uint32_t cpu : list_in(devices + "/node/" + name + "/cpulist").cpus)
        node_of[cpu] = *node;
  std::vector<Cpu> cpus;
  for (const std::uint32_t number : set->cpus) {
    Cpu cpu;  // as busy as it was, until the next measurement
    if (const auto known = std::ranges::find(cpus_, number, &Cpu::number); known != cpus_.end())
      cpu = *known;
    cpu.number = cpu.core = number;
    cpu.package = cpu.node = 0;
    const std::string about = devices + "/cpu/cpu" + std::to_string(number) + "/topology/";
    if (const CpuSet siblings = list_in(about + "thread_siblings_list"); !siblings.empty())
      cpu.core = siblings.cpus.front();
    if (const auto text = read_file_head(about + "physical_package_id"))  // -1: nobody knows
      cpu.package = number_in<10, std::uint32_t>(trim(*text)).value_or(0);
    if (const auto node = node_of.find(number); node != node_of.end()) cpu.node = node->second;
    cpus.push_back(cpu);
  }
  cpus_ = std::move(cpus);
  online_ = online;
  return {};
}

CpuSet TopologyReader::isolated() const {
  const CpuSet at_boot = list_in(roots_.sys.root + "/devices/system/cpu/isolated");
  if (roots_.cgroup.empty()) return at_boot;
  const auto told = read_file_head(roots_.cgroup + "/cpuset.cpus.isolated");  // since 6.7
  return united(at_boot, told ? cpu_list_from_text(*told).value_or(CpuSet{})
                              : isolated_partitions(roots_.cgroup));
}

void TopologyReader::measure(MonotonicTime now) {
  if (counted_ && now - *counted_ < kShortestMean) return;
  CountersOfCpus counters =
      parse_cpu_times(read_file_head(roots_.proc.root + "/stat", 16 << 20).value_or(""));
  add_softnet(read_file_head(roots_.proc.root + "/net/softnet_stat", 4 << 20).value_or(""),
              counters);
  for (Cpu& cpu : cpus_) {
    const auto before = counters_.find(cpu.number), after = counters.find(cpu.number);
    cpu = {.number = cpu.number, .core = cpu.core, .package = cpu.package, .node = cpu.node};
    if (before == counters_.end() || after == counters.end()) continue;
    const CpuCounters &then = before->second, &today = after->second;
    // The kernel knows idle time exactly, but mostly only samples the rest, at its ticks: work that
    // none has met (an idle CPU's short softirqs) is in no figure of /proc/stat. It counts as busy,
    // and as softirq in the same part as what ticks have met.
    const std::uint64_t told = growth(then.all, today.all), idle = growth(then.idle, today.idle);
    const std::uint64_t all = std::max(told, ticks_in(now - *counted_));
    const auto busy = static_cast<double>(growth(idle, all));
    const double scale = told > idle ? busy / static_cast<double>(told - idle) : 0;
    cpu.busy = share(busy, all);
    cpu.softirq = share(scale * static_cast<double>(growth(then.softirq, today.softirq)), all);
    cpu.dropped_per_second = rate(then.dropped, today.dropped, now - *counted_);
    cpu.squeezed_per_second = rate(then.squeezed, today.squeezed, now - *counted_);
  }
  counters_ = std::move(counters);
  counted_ = now;
}

Result<Topology> TopologyReader::read(MonotonicTime now) {
  const std::string path = roots_.sys.root + "/devices/system/cpu/online";
  const auto online = read_file_head(path);
  if (!online) return std::unexpected(online.error());
  if (*online != online_)
    if (auto done = describe(*online); !done) return with_context(path, done.error());
  measure(now);
  const auto rps = read_file_head(roots_.proc.root + "/sys/net/core/rps_default_mask");  // 6.3+
  return Topology{.cpus = cpus_,
                  .isolated = isolated(),
                  .nohz_full = list_in(roots_.sys.root + "/devices/system/cpu/nohz_full"),
                  .rps_default = rps ? cpu_mask_from_text(*rps).value_or(CpuSet{}) : CpuSet{}};
}

}  // namespace ankus
