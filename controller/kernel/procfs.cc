// SPDX-License-Identifier: Apache-2.0
#include "kernel/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/handle.h"
#include "base/text.h"

namespace ankus {
namespace {

std::string path_of(const std::string& root, std::int32_t pid, std::string_view file) {
  return root + "/" + std::to_string(pid) + "/" + std::string(file);
}

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::unexpected<Error> unreadable(const std::string& path, std::string_view wanted) {
  return fail(ErrorKind::refused, path + ": holds no " + std::string(wanted));
}

Result<std::uint64_t> namespace_inode(const std::string& path) {
  const auto target = read_link(path);
  if (!target) return std::unexpected(target.error());
  const std::string_view text = *target;
  if (text.starts_with("net:[") && text.ends_with("]"))
    if (const auto inode = number_in<std::uint64_t>(text.substr(5, text.size() - 6))) return *inode;
  return unreadable(path, "net:[NUMBER]");
}

}  // namespace

Result<std::string> read_file_head(const std::string& path, std::size_t limit) {
  return read_file_head_at(AT_FDCWD, path, limit);
}

Result<std::string> read_file_head_at(int directory, const std::string& path, std::size_t limit) {
  const UniqueFd fd(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail_errno(path);
  std::string text;
  std::array<char, 4096> chunk;
  while (text.size() < limit) {
    const ssize_t size =
        ::read(fd.get(), chunk.data(), std::min(chunk.size(), limit - text.size()));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(path);
    if (size == 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(size));
  }
  return text;
}

Result<std::string> read_link(const std::string& path) {
  std::array<char, PATH_MAX> target;
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size < 0) return fail_errno(path);
  return std::string(target.data(), static_cast<std::size_t>(size));
}

Result<std::vector<std::string>> read_directory(const std::string& path) {
  const Handle<DIR, ::closedir> directory(::opendir(path.c_str()));
  if (!directory) return fail_errno(path);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (!entry) {
      if (errno != 0) return fail_errno(path);
      break;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

std::vector<std::int32_t> parse_process_list(std::string_view text) {
  std::vector<std::int32_t> pids;
  for (const std::string_view line : split(text, '\n'))
    if (const auto pid = number_in<std::int32_t>(line); pid && *pid > 0) pids.push_back(*pid);
  std::ranges::sort(pids);
  return pids;
}

Result<std::vector<std::int32_t>> Procfs::processes() const {
  const auto names = read_directory(root);
  if (!names) return std::unexpected(names.error());
  std::vector<std::int32_t> pids;
  for (const std::string& name : *names)
    if (const auto pid = number_in<std::int32_t>(name); pid && *pid > 0) pids.push_back(*pid);
  std::ranges::sort(pids);
  return pids;
}

std::string Procfs::netns_path(std::int32_t pid) const { return path_of(root, pid, "ns/net"); }

Result<std::uint64_t> Procfs::netns_inode(std::int32_t pid) const {
  return namespace_inode(netns_path(pid));
}

Result<std::uint64_t> Procfs::own_netns_inode() const {
  return namespace_inode(root + "/self/ns/net");
}

Result<std::string> Procfs::comm(std::int32_t pid) const {
  auto text = read_file_head(path_of(root, pid, "comm"), 64);
  if (text && text->ends_with('\n')) text->pop_back();
  return text;
}

Result<std::string> Procfs::executable(std::int32_t pid) const {
  const auto target = read_link(path_of(root, pid, "exe"));
  if (!target) return target;
  std::string_view path = *target;
  if (constexpr std::string_view kDeleted = " (deleted)"; path.ends_with(kDeleted))
    path.remove_suffix(kDeleted.size());
  return std::string(path.substr(path.rfind('/') + 1));
}

Result<std::vector<std::string>> Procfs::command_line(std::int32_t pid) const {
  const auto text = read_file_head(path_of(root, pid, "cmdline"));
  if (!text) return std::unexpected(text.error());
  std::vector<std::string> words;
  if (text->empty()) return words;
  std::string_view rest = *text;
  if (rest.ends_with('\0')) rest.remove_suffix(1);
  for (const std::string_view word : split(rest, '\0')) words.emplace_back(word);
  return words;
}

Result<std::uint64_t> Procfs::start_time(std::int32_t pid) const {
  const std::string path = path_of(root, pid, "stat");
  const auto text = read_file_head(path);
  if (!text) return std::unexpected(text.error());
  // Field 2 is the name in parentheses and may hold blanks and parentheses; fields 3 and on follow
  // the last one.
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return unreadable(path, "process name in parentheses");
  const auto fields = split_words(trim(std::string_view(*text).substr(name_end + 1)));
  constexpr std::size_t kStartTime = 22 - 3;
  if (fields.size() > kStartTime)
    if (const auto ticks = number_in<std::uint64_t>(fields[kStartTime])) return *ticks;
  return unreadable(path, "start time (field 22)");
}

Result<std::string> Procfs::cgroup(std::int32_t pid) const {
  const std::string path = path_of(root, pid, "cgroup");
  const auto text = read_file_head(path);
  if (!text) return text;
  for (const std::string_view line : split(*text, '\n'))
    if (line.starts_with("0::")) return std::string(line.substr(3));
  return unreadable(path, "cgroup v2 line (0::/...)");
}

std::size_t Procfs::open_files(std::int32_t pid, std::string_view path) const {
  const std::string directory = path_of(root, pid, "fd");
  std::size_t count = 0;
  for (const std::string& descriptor :
       read_directory(directory).value_or(std::vector<std::string>()))
    if (const auto target = read_link(directory + "/" + descriptor))
      count += target->starts_with(path);
  return count;
}

Result<std::vector<TunFile>> Procfs::tun_files(std::int32_t pid) const {
  const std::string directory = path_of(root, pid, "fd");
  const auto descriptors = read_directory(directory);
  if (!descriptors) return std::unexpected(descriptors.error());
  std::vector<TunFile> files;
  for (const std::string& name : *descriptors) {
    const auto target = read_link(directory + "/" + name);
    const auto descriptor = number_in<std::int32_t>(name);
    if (!target || !target->ends_with("/net/tun") || !descriptor) continue;
    if (auto device = tun_device(pid, *descriptor); !device.empty())
      files.push_back({.descriptor = *descriptor, .device = std::move(device)});
  }
  return files;
}

std::string Procfs::tun_device(std::int32_t pid, std::int32_t descriptor) const {
  const auto info = read_file_head(path_of(root, pid, "fdinfo/" + std::to_string(descriptor)));
  if (!info) return {};  // closed meanwhile
  for (const std::string_view line : split(*info, '\n'))
    if (constexpr std::string_view kDevice = "iff:"; line.starts_with(kDevice))
      return std::string(trim(line.substr(kDevice.size())));
  return {};
}

}  // namespace ankus
