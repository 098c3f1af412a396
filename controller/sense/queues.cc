// SPDX-License-Identifier: Apache-2.0
#include "sense/queues.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/text.h"
#include "kernel/irq.h"

namespace ankus {
namespace {

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The sum of per_cpu_count: "12,0,7".
std::uint64_t sum_of(std::string_view counts) {
  std::uint64_t sum = 0;
  for (const std::string_view count : split(trim(counts), ',')) sum += number_in(count).value_or(0);
  return sum;
}

CpuSet mask_at(const std::string& path) {
  const auto text = read_file_head(path);
  return text ? cpu_mask_from_text(*text).value_or(CpuSet{}) : CpuSet{};
}

CpuSet list_at(const std::string& path) {
  const auto text = read_file_head(path);
  return text ? cpu_list_from_text(*text).value_or(CpuSet{}) : CpuSet{};
}

/// The highest number behind `prefix` among the names in `directory`, and one.
std::size_t count_of(const std::vector<std::string>& names, std::string_view prefix) {
  std::size_t count = 0;
  for (const std::string& name : names)
    if (name.starts_with(prefix))
      if (const auto number = number_in(std::string_view(name).substr(prefix.size())))
        count = std::max<std::size_t>(count, *number + 1);
  return count;
}

}  // namespace

IrqQueues queues_of_irq(std::string_view name) {
  std::string lower(name.substr(0, name.find('@')));
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto digits = lower.find_last_not_of("0123456789") + 1;
  const auto number = number_in(std::string_view(lower).substr(digits));
  if (digits == 0 || !number || *number > UINT32_MAX) return {};
  const auto queue = static_cast<std::uint32_t>(*number);
  const std::string_view stem = std::string_view(lower).substr(0, digits);
  for (const std::string_view both : {"-txrx-", "-rxtx-", "-tx-rx-", "mlx5_comp"})
    if (stem.ends_with(both)) return {.receive = queue, .transmit = queue};
  for (const std::string_view receives : {"-input.", "-rx-"})
    if (stem.ends_with(receives)) return {.receive = queue};
  for (const std::string_view transmits : {"-output.", "-tx-"})
    if (stem.ends_with(transmits)) return {.transmit = queue};
  return {};
}

Result<QueueSensor> QueueSensor::open(Sysfs sysfs, Procfs procfs) {
  auto ethtool = Ethtool::open();
  if (!ethtool) return std::unexpected(ethtool.error());
  auto netdev = NetdevQueues::open();
  if (!netdev) return std::unexpected(netdev.error());
  return QueueSensor(std::move(sysfs), std::move(procfs), std::move(*ethtool), std::move(*netdev));
}

std::vector<DeviceQueues> QueueSensor::look(std::span<const Device> devices, MonotonicTime now) {
  const bool soon = counted_ && now - *counted_ < kShortestMean;
  seconds_ = counted_ && !soon ? std::chrono::duration<double>(now - *counted_).count() : 0;
  std::vector<DeviceQueues> all;
  for (const Device& device : devices)
    if (auto found = look(device)) all.push_back(*std::move(found));
  if (!soon) {
    counted_ = now;
    before_ = std::exchange(now_, {});
    rates_ = std::exchange(new_rates_, {});
  }
  now_.clear();
  const auto is_here = [&](const Device& device) {
    return std::ranges::find(devices, device) != devices.end();
  };
  std::erase_if(known_, [&](const auto& known) { return !is_here(known.first); });
  return all;
}

QueueSensor::Known& QueueSensor::known(const Device& device) {
  const auto [at, is_new] = known_.try_emplace(device);
  Known& known = at->second;
  if (!is_new) return known;
  known.driver = ethtool_.driver(device.name).value_or("");
  for (const char* node : {"/device/numa_node", "/device/../numa_node"})
    if (const auto text = read_file_head(sysfs_.net(device.name) + node)) {
      const std::string_view number = trim(*text);
      (void)std::from_chars(number.data(), number.data() + number.size(), known.node);
      break;  // of no number nothing is taken: -1 stays
    }
  return known;
}

std::optional<DeviceQueues> QueueSensor::look(const Device& device) {
  const auto names = read_directory(sysfs_.net(device.name) + "/queues");
  if (!names) return std::nullopt;
  const Known& constant = known(device);
  DeviceQueues found{.device = device, .driver = constant.driver, .node = constant.node};
  found.receive.resize(count_of(*names, "rx-"));
  found.transmit.resize(count_of(*names, "tx-"));
  for (std::uint32_t queue = 0; queue < found.receive.size(); ++queue)
    found.receive[queue].rps = mask_at(sysfs_.rps_file(device.name, queue));
  for (std::uint32_t queue = 0; queue < found.transmit.size(); ++queue)
    found.transmit[queue].xps = mask_at(sysfs_.xps_file(device.name, queue));
  read_table(device, found);
  read_irqs(device, found);
  read_packets(device, found);
  return found;
}

void QueueSensor::read_table(const Device& device, DeviceQueues& found) {
  if (!known(device).has_table) return;
  auto rss = ethtool_.rss(device.name);
  if (!rss && rss.error().kind == ErrorKind::unsupported) known(device).has_table = false;
  if (!rss || rss->table.empty()) return;
  const auto queues = ethtool_.receive_queues(device.name);
  if (queues) found.table_queues = *queues;
  found.table_is_default = !queues || is_default_table(rss->table, *queues);
  found.table = Indirection{.queues = std::move(rss->table), .is_default = found.table_is_default};
}

void QueueSensor::read_irqs(const Device& device, DeviceQueues& found) {
  const auto irqs = sysfs_.device_irqs(device.name);
  if (!irqs || irqs->empty()) return;
  // Drivers that tell are believed before names (igb and few others since 6.14).
  std::map<std::uint32_t, IrqQueues> told;
  const auto queues = netdev_.queues(device.ifindex);
  const auto napis = netdev_.napis(device.ifindex);
  if (queues && napis)
    for (const NetdevNapi& napi : *napis)
      for (const NetdevQueue& queue : *queues)
        if (napi.irq != 0 && queue.napi == napi.napi)
          (queue.receives ? told[napi.irq].receive : told[napi.irq].transmit) = queue.queue;

  std::map<DeviceIrq, bool> managed_before = std::exchange(known(device).managed, {});
  for (const DeviceIrq& irq : *irqs) {
    const auto asked = managed_before.find(irq);
    const bool managed =
        asked != managed_before.end() ? asked->second : is_unmovable_irq(procfs_, irq.number);
    known(device).managed.emplace(irq, managed);
    const std::string proc = procfs_.root + "/irq/" + std::to_string(irq.number);
    const auto counts = read_file_head(sysfs_.root + "/kernel/irq/" + std::to_string(irq.number) +
                                       "/per_cpu_count");
    const auto found_told = told.find(irq.number);
    const IrqQueues serves =
        found_told != told.end() ? found_told->second : queues_of_irq(irq.name);
    found.irqs.push_back(
        {.number = irq.number,
         .name = irq.name,
         .receive_queue = serves.receive,
         .transmit_queue = serves.transmit,
         .affinity = list_at(proc + "/smp_affinity_list"),
         .effective = list_at(proc + "/effective_affinity_list"),
         .managed = managed,
         .per_second = counts ? rate(device, "irq " + irq.name, sum_of(*counts)) : 0});
  }
}

std::map<std::uint32_t, std::uint64_t> QueueSensor::received_packets(const Device& device) {
  std::map<std::uint32_t, std::uint64_t> received;
  if (const auto queues = netdev_.packets(device.ifindex))
    for (const QueuePackets& queue : *queues)
      if (queue.receives) received[queue.queue] = queue.packets;
  if (!received.empty() || !known(device).has_counters) return received;
  if (const auto counters = ethtool_.counters(device.name)) {
    for (const DriverCounter& counter : *counters)
      if (const auto queue = receive_queue_of(counter.name)) received[*queue] += counter.value;
  }
  if (received.empty()) known(device).has_counters = false;
  return received;
}

void QueueSensor::read_packets(const Device& device, DeviceQueues& found) {
  for (const auto& [queue, packets] : received_packets(device))
    if (queue < found.receive.size())
      found.receive[queue].packets_per_second =
          rate(device, "rx " + std::to_string(queue), packets);
}

double QueueSensor::rate(const Device& device, const std::string& counter, std::uint64_t value) {
  const Key key(device, counter);
  now_[key] = value;
  if (counted_ && seconds_ == 0) {  // too soon
    const auto known = rates_.find(key);
    return known != rates_.end() ? known->second : 0;
  }
  const auto before = before_.find(key);
  // Less than before: the driver began anew, or the number is another interrupt's.
  if (before == before_.end() || seconds_ <= 0 || value < before->second) return 0;
  return new_rates_[key] = static_cast<double>(value - before->second) / seconds_;
}

}  // namespace ankus
