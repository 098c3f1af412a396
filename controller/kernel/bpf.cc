// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "base/text.h"

namespace ankus::bpf {
namespace {

/// libbpf says why only through its print callback.
std::string last_warning;

int keep_warning(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  // The first line that names the program says most; "failed to load object" comes after it.
  if (std::strstr(line, "BEGIN PROG LOAD LOG") == nullptr && last_warning.empty())
    last_warning = std::string(trim(line));
  return 0;
}

/// The part of union bpf_attr that BPF_LINK_CREATE reads (include/uapi/linux/bpf.h, 6.6).
struct LinkCreate {
  std::uint32_t program, target, attach_type, flags;
  union {
    struct {
      std::uint32_t family, hook;
      std::int32_t priority;
      std::uint32_t flags;
    } netfilter;
    struct {
      std::uint32_t relative, pad;
      std::uint64_t expected_revision;
    } tcx;
    std::uint8_t room[64];
  };
};

/// The part of union bpf_attr that BPF_PROG_QUERY reads and writes (the same header).
struct ProgramQuery {
  std::uint32_t target, attach_type, query_flags, attach_flags;
  std::uint64_t program_ids;
  std::uint32_t count, pad;
  std::uint64_t program_attach_flags, link_ids, link_attach_flags, revision;
};
constexpr std::uint32_t kMostAtOneHook = 64;  // BPF_MPROG_MAX (include/linux/bpf_mprog.h)

constexpr std::uint32_t kNetfilterAttach = 45;
constexpr std::uint32_t kBefore = 1U << 3;  // BPF_F_BEFORE without a relative: at the head

Result<UniqueFd> create_link(const LinkCreate& request, const char* what) {
  const long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &request, sizeof request);
  if (fd < 0) return fail_errno(what);
  return UniqueFd(static_cast<int>(fd));
}

}  // namespace

Result<Object> Object::load(std::span<const std::byte> elf, const std::string& name,
                            const std::map<std::string, int>& shared,
                            const std::function<void(bpf_object&)>& prepare) {
  libbpf_set_print(keep_warning);
  last_warning.clear();
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name.c_str());
  Object loaded;
  loaded.object_.reset(bpf_object__open_mem(elf.data(), elf.size(), &options));
  if (!loaded.object_) return fail_errno("BPF object " + name + ": open (" + last_warning + ")");
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, loaded.object_.get()) {
    const auto it = shared.find(bpf_map__name(map));
    if (it == shared.end()) continue;
    if (const int error = bpf_map__reuse_fd(map, it->second); error != 0)
      return fail_errno("BPF object " + name + ": share map " + it->first, -error);
  }
  if (prepare) prepare(*loaded.object_);
  if (const int error = bpf_object__load(loaded.object_.get()); error != 0)
    return fail_errno("BPF object " + name + " (" + last_warning + ")", -error);
  return loaded;
}

int Object::program(const std::string& name) const {
  const bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
  return program != nullptr ? bpf_program__fd(program) : -1;
}

int Object::map(const std::string& name) const {
  return bpf_object__find_map_fd_by_name(object_.get(), name.c_str());
}

std::map<std::string, int> Object::maps() const {
  std::map<std::string, int> fds;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    if (!bpf_map__is_internal(map)) fds[bpf_map__name(map)] = bpf_map__fd(map);
  }
  return fds;
}

std::vector<int> Object::programs() const {
  std::vector<int> fds;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) {
    if (bpf_program__fd(program) >= 0) fds.push_back(bpf_program__fd(program));
  }
  return fds;
}

Result<UniqueFd> attach_tcx(int program, std::uint32_t ifindex, TcxHook hook) {
  LinkCreate request{};
  request.program = static_cast<std::uint32_t>(program);
  request.target = ifindex;
  request.attach_type = static_cast<std::uint32_t>(hook);
  request.flags = kBefore;
  return create_link(request, "attach tcx link");
}

Result<UniqueFd> attach_netfilter(int program, std::uint32_t family, std::uint32_t hook,
                                  std::int32_t priority) {
  LinkCreate request{};
  request.program = static_cast<std::uint32_t>(program);
  request.attach_type = kNetfilterAttach;
  request.netfilter.family = family;
  request.netfilter.hook = hook;
  request.netfilter.priority = priority;
  return create_link(request, "attach netfilter link");
}

Result<UniqueFd> attach_tracing(int program) {
  const int fd = bpf_raw_tracepoint_open(nullptr, program);
  if (fd < 0) return fail_errno("attach tracing program", -fd);
  return UniqueFd(fd);
}

Result<void> replace_program(int link, int program) {
  if (const int error = bpf_link_update(link, program, nullptr); error != 0)
    return fail_errno("replace a link's program", -error);
  return {};
}

Result<LinkInfo> link_info(int link) {
  // struct bpf_link_info: type, id, prog_id, then a union; of tcx: ifindex, attach_type.
  struct {
    std::uint32_t type, id, program_id, pad, ifindex, attach_type;
    std::uint8_t room[64];
  } info{};
  struct {
    std::uint32_t fd, length;
    std::uint64_t info;
  } request{static_cast<std::uint32_t>(link), sizeof info, reinterpret_cast<std::uint64_t>(&info)};
  if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &request, sizeof request) != 0)
    return fail_errno("read link");
  constexpr std::uint32_t kTcx = 11;  // BPF_LINK_TYPE_TCX
  return LinkInfo{.program_id = info.program_id, .ifindex = info.type == kTcx ? info.ifindex : 0};
}

Result<std::uint32_t> program_id(int program) {
  bpf_prog_info info{};
  std::uint32_t length = sizeof info;
  if (const int error = bpf_obj_get_info_by_fd(program, &info, &length); error != 0)
    return fail_errno("read program", -error);
  return info.id;
}

Result<std::string> program_name(std::uint32_t program_id) {
  const UniqueFd program(bpf_prog_get_fd_by_id(program_id));
  if (!program) return fail_errno("open program");
  bpf_prog_info info{};
  std::uint32_t length = sizeof info;
  if (const int error = bpf_obj_get_info_by_fd(program.get(), &info, &length); error != 0)
    return fail_errno("read program", -error);
  return std::string(info.name, strnlen(info.name, sizeof info.name));
}

Result<std::vector<std::uint32_t>> tcx_programs(std::uint32_t ifindex, TcxHook hook) {
  std::vector<std::uint32_t> ids(kMostAtOneHook);
  ProgramQuery query{};
  query.target = ifindex;
  query.attach_type = static_cast<std::uint32_t>(hook);
  query.program_ids = reinterpret_cast<std::uint64_t>(ids.data());
  query.count = kMostAtOneHook;
  if (syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof query) != 0) {
    // EINVAL is a kernel without tcx; ENOENT is 6.6's word for nothing attached.
    if (errno == EINVAL || errno == ENOENT) return std::vector<std::uint32_t>{};
    return fail_errno("list the programs of a tcx hook");
  }
  ids.resize(std::min(query.count, kMostAtOneHook));
  return ids;
}

Result<std::uint32_t> test_run(int program) {
  const char packet[64] = {};
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof packet);
  if (const int error = bpf_prog_test_run_opts(program, &options); error != 0)
    return fail_errno("run program", -error);
  return options.retval;
}

Result<std::vector<std::byte>> read_iterator(int program, int map, std::size_t at_once) {
  bpf_iter_link_info info{};
  info.map.map_fd = static_cast<std::uint32_t>(map);
  LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info, .iter_info_len = sizeof info);
  const UniqueFd link(bpf_link_create(program, 0, BPF_TRACE_ITER, &options));
  if (!link) return fail_errno("BPF iterator: attach");
  const UniqueFd iterator(bpf_iter_create(link.get()));
  if (!iterator) return fail_errno("BPF iterator: open");
  std::vector<std::byte> all;
  std::vector<std::byte> part(at_once);
  for (;;) {
    const ssize_t got = read(iterator.get(), part.data(), part.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail_errno("BPF iterator: read");
    if (got == 0) return all;
    all.insert(all.end(), part.begin(), part.begin() + got);
  }
}

bool has_tracepoint(const std::string& name) {
  libbpf_set_print(keep_warning);
  static const Handle<btf, btf__free> kernel(btf__load_vmlinux_btf());
  return kernel &&
         btf__find_by_name_kind(kernel.get(), ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF) > 0;
}

Result<void> pin(int fd, const std::string& path) {
  if (const int error = bpf_obj_pin(fd, path.c_str()); error != 0)
    return fail_errno("pin " + path, -error);
  return {};
}

Result<UniqueFd> open_pinned(const std::string& path) {
  const int fd = bpf_obj_get(path.c_str());
  if (fd < 0) return fail_errno("open pin " + path, -fd);
  return UniqueFd(fd);
}

Result<void> detach_pinned(const std::string& path) {
  const auto link = open_pinned(path);
  if (!link) return std::unexpected(link.error());
  if (const int error = bpf_link_detach(link->get()); error != 0)
    return fail_errno("detach " + path, -error);
  return {};
}

Result<MapShape> map_shape(int map) {
  bpf_map_info info{};
  std::uint32_t length = sizeof info;
  if (const int error = bpf_obj_get_info_by_fd(map, &info, &length); error != 0)
    return fail_errno("read map", -error);
  return MapShape{.type = info.type,
                  .key_size = info.key_size,
                  .value_size = info.value_size,
                  .max_entries = info.max_entries,
                  .flags = info.map_flags};
}

Result<void> map_lookup(int map, const void* key, void* value) {
  if (const int error = bpf_map_lookup_elem(map, key, value); error != 0)
    return fail_errno("map lookup", -error);
  return {};
}

Result<void> map_update(int map, const void* key, const void* value) {
  if (const int error = bpf_map_update_elem(map, key, value, BPF_ANY); error != 0)
    return fail_errno("map update", -error);
  return {};
}

Result<void> map_update_batch(int map, const void* keys, const void* values, std::uint32_t count) {
  if (count == 0) return {};
  LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = BPF_ANY);
  std::uint32_t done = count;
  if (const int error = bpf_map_update_batch(map, keys, values, &done, &options); error != 0)
    return fail_errno(
        "map update of " + std::to_string(count) + " entries, " + std::to_string(done) + " done",
        -error);
  return {};
}

Result<void> map_erase(int map, const void* key) {
  const int error = bpf_map_delete_elem(map, key);
  if (error != 0 && error != -ENOENT) return fail_errno("map delete", -error);
  return {};
}

Result<void> map_for_each(int map, std::size_t key_size, std::size_t value_size,
                          const std::function<void(const void* key, const void* value)>& each) {
  // A hash bucket must fit (ENOSPC otherwise), and what is never used need not be made.
  constexpr std::size_t kLeast = 64, kMost = 1024, kBytes = 65536;
  const auto batch =
      static_cast<std::uint32_t>(std::clamp(kBytes / (key_size + value_size), kLeast, kMost));
  std::vector<std::byte> keys(batch * key_size), values(batch * value_size);
  std::uint64_t in = 0, out = 0;  // opaque cursor; the kernel uses 4 bytes for hashes
  bool first = true;
  LIBBPF_OPTS(bpf_map_batch_opts, options);
  while (true) {
    std::uint32_t count = batch;
    const int error = bpf_map_lookup_batch(map, first ? nullptr : &in, &out, keys.data(),
                                           values.data(), &count, &options);
    if (error != 0 && error != -ENOENT) return fail_errno("map read", -error);
    for (std::uint32_t i = 0; i < count; ++i) each(&keys[i * key_size], &values[i * value_size]);
    if (error == -ENOENT) return {};
    in = out;
    first = false;
  }
}

Result<std::shared_ptr<std::byte>> map_into_memory(int map, std::size_t bytes, Access access) {
  const int protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
  void* memory = mmap(nullptr, bytes, protection, MAP_SHARED, map, 0);
  if (memory == MAP_FAILED) return fail_errno("map a BPF array into memory");
  return std::shared_ptr<std::byte>(static_cast<std::byte*>(memory),
                                    [bytes](std::byte* at) { (void)munmap(at, bytes); });
}

std::uint32_t possible_cpus() {
  const int cpus = libbpf_num_possible_cpus();
  return cpus > 0 ? static_cast<std::uint32_t>(cpus) : 1;
}

}  // namespace ankus::bpf
