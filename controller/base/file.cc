// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "base/handle.h"
#include "base/text.h"

namespace ankus {
namespace {

std::unexpected<Error> refuse(const std::string& path, const std::string& why) {
  return fail(ErrorKind::invalid, "policy file " + ankus::quoted(path) + " " + why);
}

const char* name_of_type(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "not a file with text";
}

std::string octal(mode_t mode) {
  std::string digits = "0000";
  for (std::size_t i = 0; i < 4; ++i) digits[3 - i] = static_cast<char>('0' + (mode >> 3 * i & 7));
  return digits;
}

}  // namespace

std::string real_path(const std::string& path) {
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(path, failed);
  if (failed) return path;
  auto real = std::filesystem::weakly_canonical(absolute, failed);
  if (failed) return absolute.lexically_normal().string();
  if (!real.has_filename()) real = real.parent_path();  // "/run/ankus/"
  return real.string();
}

Result<std::string> read_policy_file(const std::string& path, uid_t reader) {
  // O_NONBLOCK: opening a named pipe must not wait for somebody to write to it.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!fd) {
    if (errno == ELOOP)
      return refuse(path, "is a symbolic link, which could be swapped: name the file it points to");
    if (errno == ENXIO) return refuse(path, "is a socket or a device: a regular file is needed");
    return fail_errno("policy file " + ankus::quoted(path));
  }
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno("policy file " + ankus::quoted(path));
  if (!S_ISREG(status.st_mode))
    return refuse(path,
                  std::string("is ") + name_of_type(status.st_mode) + ": a regular file is needed");
  if (status.st_uid != 0 && status.st_uid != reader)
    return refuse(path, "is owned by uid " + std::to_string(status.st_uid) + ", not by root" +
                            (reader == 0 ? "" : " or you") + ": chown root it");
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return refuse(path, "can be written by others than its owner (mode " +
                            octal(status.st_mode & 07777) + "): chmod go-w it");

  // Read one byte more than is allowed: st_size may be stale, or 0 in some file systems.
  std::string text;
  std::array<char, 8192> block;
  while (text.size() <= kPolicyFileLimit) {
    const ssize_t got = ::read(fd.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read policy file " + ankus::quoted(path));
    if (got == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(got));
  }
  return refuse(path, "is larger than 64 KB (65536 bytes): split it into several files");
}

Result<std::string> read_policy_file(const std::string& path) {
  return read_policy_file(path, ::geteuid());
}

}  // namespace ankus
