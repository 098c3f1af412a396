// SPDX-License-Identifier: Apache-2.0
#include "journal/writer_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>

#include "base/text.h"

namespace ankus {

Result<WriterLock> WriterLock::take(const std::string& runtime_dir) {
  const std::string path = runtime_dir + "/ankus.lock";
  WriterLock lock;
  lock.fd_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock.fd_) return fail_errno("open " + path);
  // flock and not fcntl: it belongs to this descriptor, not to any that is closed on the file.
  if (::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("lock " + path);
    std::array<char, 32> text{};
    const ssize_t got = ::pread(lock.fd_.get(), text.data(), text.size() - 1, 0);
    const std::string_view pid =
        trim(std::string_view(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0));
    return fail(ErrorKind::busy,
                "another Ankus (pid " + printable(pid.empty() ? "unknown" : pid) + ") works with " +
                    runtime_dir + ": stop it, ask it with ankusctl, or use another --runtime-dir");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.fd_.get(), 0) != 0 ||
      ::pwrite(lock.fd_.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    // The lock holds without the number, which only helps people (a full tmpfs must not stop undo).
  }
  return lock;
}

}  // namespace ankus
