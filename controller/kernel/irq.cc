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

}  // namespace ankus
