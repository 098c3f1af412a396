// SPDX-License-Identifier: Apache-2.0
#include "kernel/irq.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/handle.h"
#include "base/text.h"

namespace ankus {
namespace {

CpuSet mask_in(const std::string& path) {
  const auto text = read_file_head(path);
  return text ? cpu_mask_from_text(*text).value_or(CpuSet{}) : CpuSet{};
}

}  // namespace

bool is_unmovable_irq(const Procfs& procfs, std::uint32_t number) {
  const std::string path = procfs.root + "/irq/" + std::to_string(number) + "/smp_affinity_list";
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return false;
  if ((facts.st_mode & 0222) == 0) return true;
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  struct statfs system{};
  // In a file on a disk the text would stay.
  if (!fd || ::fstatfs(fd.get(), &system) != 0 || system.f_type != PROC_SUPER_MAGIC) return false;
  constexpr char kNoList = 'x';
  return ::write(fd.get(), &kNoList, 1) < 0 && (errno == EIO || errno == EPERM);
}

bool is_default_affinity(const Procfs& procfs, const Sysfs& sysfs, std::uint32_t number,
                         const CpuSet& cpus) {
  const std::string irqs = procfs.root + "/irq/", own = irqs + std::to_string(number);
  const CpuSet online = sysfs.online_cpus(), found = common(cpus, online);
  const CpuSet hint = mask_in(own + "/affinity_hint");
  if (!hint.empty() && found == common(hint, online)) return true;
  const CpuSet given = mask_in(irqs + "default_smp_affinity");
  if (given.empty()) return false;
  if (found == common(given, online)) return true;
  // irq_setup_affinity() takes those of the interrupt's own node, where there are any.
  const auto node = read_file_head(own + "/node");
  if (!node) return false;
  const auto text = read_file_head(sysfs.root + "/devices/system/node/node" +
                                   std::string(trim(*node)) + "/cpulist");
  const CpuSet near = text ? cpu_list_from_text(*text).value_or(CpuSet{}) : CpuSet{};
  const CpuSet local = common(common(given, online), near);
  return !local.empty() && found == local;
}

}  // namespace ankus
