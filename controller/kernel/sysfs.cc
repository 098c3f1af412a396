// SPDX-License-Identifier: Apache-2.0
#include "kernel/sysfs.h"

#include <fcntl.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "base/handle.h"
#include "base/text.h"
#include "kernel/procfs.h"

namespace ankus {

std::string Sysfs::rps_file(const std::string& device, std::uint32_t queue) const {
  return net(device) + "/queues/rx-" + std::to_string(queue) + "/rps_cpus";
}

std::string Sysfs::xps_file(const std::string& device, std::uint32_t queue) const {
  return net(device) + "/queues/tx-" + std::to_string(queue) + "/xps_cpus";
}

namespace {

/// A PCI NIC's own directory first: "device/.." of one is its port, which has interrupts too. For
/// virtio, "device" is the node on the virtio bus and the PCI function is above it.
constexpr std::array kVectors{"/device/msi_irqs", "/device/../msi_irqs"};

}  // namespace

Result<DeviceVectors> Sysfs::device_vectors(const std::string& device) const {
  DeviceVectors vectors;
  for (const char* directory : kVectors) {
    const auto numbers = read_directory(net(device) + directory);
    if (!numbers && numbers.error().kind == ErrorKind::gone) continue;
    if (!numbers) return std::unexpected(numbers.error());
    for (const std::string& text : *numbers) {
      std::uint32_t number = 0;
      const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
      if (end.ec != std::errc() || end.ptr != text.data() + text.size()) continue;
      if (std::string name = irq_name(number); !name.empty())
        vectors.irqs.push_back({.number = number, .name = std::move(name)});
      else
        ++vectors.not_requested;
    }
    break;
  }
  std::ranges::sort(vectors.irqs, {}, &DeviceIrq::number);
  return vectors;
}

Result<std::vector<DeviceIrq>> Sysfs::device_irqs(const std::string& device) const {
  auto vectors = device_vectors(device);
  if (!vectors) return std::unexpected(vectors.error());
  return std::move(vectors->irqs);
}

bool Sysfs::has_irq(const std::string& device, const DeviceIrq& irq) const {
  const std::string number = std::to_string(irq.number);
  return irq_name(irq.number) == irq.name &&
         std::ranges::any_of(kVectors, [&](const char* directory) {
           return ::access((net(device) + directory + "/" + number).c_str(), F_OK) == 0;
         });
}

std::string Sysfs::irq_name(std::uint32_t number) const {
  const auto actions = read_file_head(root + "/kernel/irq/" + std::to_string(number) + "/actions");
  return actions ? std::string(trim(*actions)) : "";
}

bool Sysfs::is_down(const std::string& device) const {
  const auto text = read_file_head(net(device) + "/flags");
  return text && (std::strtoul(text->c_str(), nullptr, 16) & IFF_UP) == 0;
}

CpuSet Sysfs::online_cpus() const {
  const auto text = read_file_head(root + "/devices/system/cpu/online");
  return text ? cpu_list_from_text(*text).value_or(CpuSet{}) : CpuSet{};
}

Result<void> write_setting_file(const std::string& path, std::string_view text) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open " + path);
  const ssize_t written = write(fd.get(), text.data(), text.size());
  if (written < 0) return fail_errno("write " + quoted(text) + " to " + path);
  if (static_cast<std::size_t>(written) != text.size())
    return fail(ErrorKind::refused, "write " + quoted(text) + " to " + path + ": cut short");
  return {};
}

}  // namespace ankus
