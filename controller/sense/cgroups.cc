// SPDX-License-Identifier: Apache-2.0
#include "sense/cgroups.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <set>

#include "base/text.h"
#include "kernel/procfs.h"

namespace ankus {
namespace {

/// The kernel allows no fewer watches by default (inotify_user_setup()), and we take so many of
/// them.
constexpr std::size_t kFewestWatches = 8192, kShareOfWatches = 10, kWatchesOfACgroup = 2;
/// Of what a tenant nests deeper nothing is known; a level costs an open file while it is read.
constexpr int kMaxDepth = 32;

bool is_container_id(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

/// `text` without `prefix` and `suffix`, "" if it lacks either.
std::string_view between(std::string_view text, std::string_view prefix, std::string_view suffix) {
  if (!text.starts_with(prefix) || !text.ends_with(suffix) ||
      text.size() <= prefix.size() + suffix.size())
    return {};
  return text.substr(prefix.size(), text.size() - prefix.size() - suffix.size());
}

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// systemd writes a byte that a unit name may not hold as \xNN (systemd.unit(5)).
std::string unescaped(std::string_view name) {
  std::string text;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool escape = name.substr(i).starts_with("\\x") && i + 3 < name.size() &&
                        std::isxdigit(static_cast<unsigned char>(name[i + 2])) &&
                        std::isxdigit(static_cast<unsigned char>(name[i + 3]));
    if (!escape) {
      text += name[i];
      continue;
    }
    text += static_cast<char>(digit(name[i + 2]) * 16 + digit(name[i + 3]));
    i += 3;
  }
  return text;
}

CgroupName container(std::string runtime, std::string_view id) {
  return {.role = CgroupRole::container, .runtime = std::move(runtime), .id = std::string(id)};
}

using Directory = Handle<DIR, ::closedir>;

Directory open_directory(int parent, const char* name) {
  UniqueFd fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  Directory directory(fd ? ::fdopendir(fd.get()) : nullptr);
  if (directory) (void)fd.release();  // the listing's now
  return directory;
}

Result<std::vector<std::string>> directories_in(DIR* listing) {
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(listing);
    if (!entry) break;
    if (entry->d_type == DT_DIR && std::strcmp(entry->d_name, ".") != 0 &&
        std::strcmp(entry->d_name, "..") != 0)
      names.emplace_back(entry->d_name);
  }
  if (errno != 0) return fail_errno("readdir");
  std::ranges::sort(names);
  return names;
}

/// Whether it says something about us, and nothing about the cgroup that was to be read.
bool is_ours(const Error& error) {
  return error.err == EMFILE || error.err == ENFILE || error.err == ENOMEM;
}

}  // namespace

CgroupName classify_cgroup(std::string_view name, std::string_view parent_path) {
  struct Prefix {
    std::string_view text, runtime;
  };
  static constexpr std::array kPrefixes{
      Prefix{"docker-", "docker"}, Prefix{"cri-containerd-", "containerd"},
      Prefix{"nerdctl-", "containerd"}, Prefix{"crio-", "cri-o"}, Prefix{"libpod-", "podman"}};
  for (const Prefix& prefix : kPrefixes) {
    if (const auto id = between(name, prefix.text, ".scope"); is_container_id(id))
      return container(std::string(prefix.runtime), id);
    if (const auto id = between(name, prefix.text, ""); is_container_id(id))
      return container(std::string(prefix.runtime), id);
  }
  const bool in_kubernetes = parent_path.find("kubepods") != std::string_view::npos;
  if (is_container_id(name)) {
    if (last_part(parent_path) == "docker") return container("docker", name);
    if (in_kubernetes) return container("cri", name);
  }
  if (name.starts_with("kubepods"))
    if (const std::size_t pod = name.find("-pod");
        pod != std::string_view::npos && name.ends_with(".slice")) {
      std::string uid(name.substr(pod + 4, name.size() - pod - 4 - std::strlen(".slice")));
      std::ranges::replace(uid, '_', '-');  // "-" nests slices, so kubelet writes "_"
      return {.role = CgroupRole::pod, .runtime = "cri", .id = uid};
    }
  if (const auto uid = between(name, "pod", ""); in_kubernetes && !uid.empty())
    return {.role = CgroupRole::pod, .runtime = "cri", .id = std::string(uid)};
  if (const auto id = between(name, "lxc.payload.", ""); !id.empty()) return container("lxc", id);
  if (const auto id = between(name, "systemd-nspawn@", ".service"); !id.empty())
    return container("nspawn", unescaped(id));
  if (const auto id = between(name, "machine-", ".scope"); !id.empty()) {
    const std::string machine = unescaped(id);
    if (machine.starts_with("qemu-"))
      return {.role = CgroupRole::machine, .runtime = "qemu", .id = machine};
    return container("nspawn", machine);
  }
  // Neither login sessions nor the helpers beside each podman and CRI-O container are services.
  const bool session = name.starts_with("session-") || name == "init.scope" ||
                       name.find("-conmon-") != std::string_view::npos;
  if (name.ends_with(".service") || (name.ends_with(".scope") && !session))
    return {.role = CgroupRole::service, .runtime = "", .id = unescaped(name)};
  return {};
}

CgroupUnit unit_of(std::string_view path) {
  CgroupUnit unit;
  std::string pod_path;
  for (std::size_t end = 0; end < path.size();) {
    const std::size_t start = end == 0 ? 0 : end + 1;
    end = std::min(path.find('/', start), path.size());
    const std::string_view parent = start == 0 ? std::string_view{} : path.substr(0, start - 1);
    CgroupName name = classify_cgroup(path.substr(start, end - start), parent);
    const std::string here(path.substr(0, end));
    if (name.role == CgroupRole::pod && pod_path.empty()) pod_path = here;
    if (name.role == CgroupRole::container || name.role == CgroupRole::machine)
      return {.path = here, .name = std::move(name), .pod_path = pod_path};
    if (name.role == CgroupRole::service && unit.path.empty())
      unit = {.path = here, .name = std::move(name)};
  }
  return unit;
}

Result<std::string> find_cgroup2_mount() {
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs file_system{};
    if (::statfs(path, &file_system) == 0 && file_system.f_type == CGROUP2_SUPER_MAGIC)
      return std::string(path);
  }
  return fail(ErrorKind::unsupported,
              "cgroup v2 is mounted neither at /sys/fs/cgroup nor at /sys/fs/cgroup/unified");
}

Result<CgroupTree> CgroupTree::open(std::string root, std::string watch_limit) {
  UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify) return fail_errno("inotify");
  return CgroupTree(std::move(root), std::move(watch_limit), std::move(inotify));
}

std::size_t CgroupTree::allowed_watches() const {
  std::size_t limit = kFewestWatches;
  if (const auto text = read_file_head(watch_limit_, 32)) {
    const std::string_view number = trim(*text);
    (void)std::from_chars(number.data(), number.data() + number.size(), limit);  // else the fewest
  }
  return limit / kShareOfWatches;
}

Result<CgroupTree::Watch> CgroupTree::watch(int directory) const {
  // inotify knows paths only, and a path may be longer than the kernel takes.
  const std::string self = "/proc/self/fd/" + std::to_string(directory);
  // The directory tells of subdirectories, and of who writes to cgroup.procs.
  Watch watch;
  watch.directory = ::inotify_add_watch(
      inotify_.get(), self.c_str(),
      IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR);
  if (watch.directory < 0) return fail_errno(self);
  // cgroup.events changes when the first process enters or the last leaves. kernfs reports that
  // only of an inode in memory (kernfs_notify_workfn), and a watch of its own keeps it there. The
  // root has no such file.
  const std::string events = self + "/cgroup.events";
  watch.events = ::inotify_add_watch(inotify_.get(), events.c_str(), IN_MODIFY);
  if (watch.events >= 0 || errno == ENOENT) return watch;
  auto failed = fail_errno(events);
  unwatch(watch);
  return failed;
}

void CgroupTree::unwatch(const Watch& watch) const {
  for (const int descriptor : {watch.directory, watch.events})
    if (descriptor >= 0)
      (void)::inotify_rm_watch(inotify_.get(), descriptor);  // EINVAL: the kernel was first
}

Result<void> CgroupTree::read_below(DIR* listing, std::string path, int depth,
                                    std::vector<Cgroup>& found) {
  const int directory = ::dirfd(listing);
  struct statx facts{};
  if (::statx(directory, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &facts) != 0)
    return fail_errno("statx");
  if (!watched_.contains(facts.stx_ino)) {
    const auto watched = watched_.size() < watched_at_most_
                             ? watch(directory)
                             : Result<Watch>(fail_errno("watch", ENOSPC));
    if (!watched && watched.error().kind == ErrorKind::gone)
      return std::unexpected(watched.error());
    if (watched)
      watched_[facts.stx_ino] = *watched;
    else
      ++unwatched;
  }
  Cgroup cgroup{.path = path, .id = facts.stx_ino};
  if (facts.stx_mask & STATX_BTIME)
    cgroup.born =
        std::chrono::seconds(facts.stx_btime.tv_sec) + nanoseconds(facts.stx_btime.tv_nsec);
  // EOPNOTSUPP: a threaded cgroup, whose processes are listed in its threaded domain.
  if (const auto text = read_file_head_at(directory, "cgroup.procs", 4 << 20))
    cgroup.processes = parse_process_list(*text);
  found.push_back(std::move(cgroup));

  const auto children = directories_in(listing);
  if (!children) return std::unexpected(children.error());
  if (depth == kMaxDepth) unread += children->size();
  if (depth == kMaxDepth) return {};
  if (!path.empty()) path += '/';
  for (const std::string& child : *children) {
    const Directory below = open_directory(directory, child.c_str());
    auto done = below ? read_below(below.get(), path + child, depth + 1, found)
                      : Result<void>(fail_errno(child));
    if (!done && is_ours(done.error())) return done;
    if (!done && done.error().kind != ErrorKind::gone) ++unread;
  }
  return {};
}

Result<std::vector<Cgroup>> CgroupTree::read() {
  unwatched = unread = 0;
  watched_at_most_ = allowed_watches() / kWatchesOfACgroup;
  std::vector<Cgroup> found;
  const Directory root(::opendir(root_.c_str()));
  if (!root) return fail_errno(root_);
  if (auto done = read_below(root.get(), "", 0, found); !done)
    return with_context(root_, done.error());
  std::set<std::uint64_t> present;
  for (const Cgroup& cgroup : found) present.insert(cgroup.id);
  std::erase_if(watched_, [&](const auto& entry) {
    if (present.contains(entry.first)) return false;
    unwatch(entry.second);
    return true;
  });
  return found;
}

Result<bool> CgroupTree::changed() {
  bool changed = false;
  alignas(inotify_event) std::array<char, 64 << 10> buffer;
  for (;;) {
    const ssize_t size = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return changed;
    if (size < 0) return fail_errno("inotify");
    for (ssize_t offset = 0; offset < size;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + offset, sizeof event);
      const char* name = buffer.data() + offset + sizeof event;
      const std::string_view file(name, event.len ? strnlen(name, event.len) : 0);
      // An event without a name is of a cgroup.events. Other files, such as memory.events, change
      // all the time and mean nothing here.
      const bool directory = (event.mask & IN_ISDIR) && !(event.mask & IN_MODIFY);
      const bool events = (event.mask & IN_MODIFY) && file.empty();
      if (directory || events || (event.mask & IN_Q_OVERFLOW) || file == "cgroup.procs")
        changed = true;
      offset += static_cast<ssize_t>(sizeof event + event.len);
    }
  }
}

}  // namespace ankus
