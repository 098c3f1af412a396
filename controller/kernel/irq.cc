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

bool is_default_affinity(const Procfs& procfs, std::uint32_t number, const CpuSet& cpus,
                         const CpuSet& online) {
  const std::string irqs = procfs.root + "/irq/";
  for (const CpuSet& given : {mask_in(irqs + "default_smp_affinity"),
                              mask_in(irqs + std::to_string(number) + "/affinity_hint")})
    if (!given.empty() && common(cpus, online) == common(given, online)) return true;
  return false;
}

}  // namespace ankus
