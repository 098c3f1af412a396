// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ankus {

/// A process's open file by which it has a tun/tap device attached.
struct TunFile {
  std::int32_t descriptor = -1;
  std::string device;
  bool operator==(const TunFile&) const = default;
};

/// A /proc tree (proc(5)); a test gives another root. A process that ended reads as Error{gone}.
/// What is read here was written by the observed: pass it through printable() before showing it.
struct Procfs {
  std::string root = "/proc";

  /// All process ids, ascending.
  Result<std::vector<std::int32_t>> processes() const;
  /// The number in the link /proc/PID/ns/net.
  Result<std::uint64_t> netns_inode(std::int32_t pid) const;
  /// The same of this process.
  Result<std::uint64_t> own_netns_inode() const;
  std::string netns_path(std::int32_t pid) const;
  Result<std::string> comm(std::int32_t pid) const;
  /// Base name of the executable's path, without the " (deleted)" of a replaced one.
  Result<std::string> executable(std::int32_t pid) const;
  /// Empty for kernel threads.
  Result<std::vector<std::string>> command_line(std::int32_t pid) const;
  /// Field 22 of /proc/PID/stat, in clock ticks since boot: with the pid, a process's identity.
  Result<std::uint64_t> start_time(std::int32_t pid) const;
  /// The path in the cgroup v2 hierarchy ("0::/...").
  Result<std::string> cgroup(std::int32_t pid) const;
  /// How many files with a path that begins so the process has open. As dear as tun_files().
  std::size_t open_files(std::int32_t pid, std::string_view path) const;
  /// The open files by which the process has tun/tap devices attached (`iff:` in fdinfo of each
  /// open /dev/net/tun). Dear for processes with many open files: one readlink for each.
  Result<std::vector<TunFile>> tun_files(std::int32_t pid) const;
  /// The device of one of them, which costs one read; "" if it is no such file (any more).
  std::string tun_device(std::int32_t pid, std::int32_t descriptor) const;
};

/// At most `limit` bytes of a file; the rest is not read.
Result<std::string> read_file_head(const std::string& path, std::size_t limit = 64 << 10);
/// The same of a file in an open directory.
Result<std::string> read_file_head_at(int directory, const std::string& name,
                                      std::size_t limit = 64 << 10);
/// The target of a symbolic link.
Result<std::string> read_link(const std::string& path);
/// Names in a directory, without "." and "..", sorted.
Result<std::vector<std::string>> read_directory(const std::string& path);
/// The pids in a cgroup.procs file's text; 0 (a process of another pid namespace) is left out.
std::vector<std::int32_t> parse_process_list(std::string_view text);

}  // namespace ankus
