// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>

#include <cassert>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/handle.h"
#include "base/result.h"

/// The only door to bpf(2). Knows bytes and file descriptors, not what they mean.
namespace ankus::bpf {

/// A loaded object; programs live as long as it, a link or a pin does.
class Object {
 public:
  /// Loads an ELF image. `prepare` may set program types and autoload before loading; maps whose
  /// name is in `shared` use that fd instead of being made. The error is libbpf's last line, and
  /// names the program that the kernel refused.
  static Result<Object> load(std::span<const std::byte> elf, const std::string& name,
                             const std::map<std::string, int>& shared,
                             const std::function<void(bpf_object&)>& prepare);
  /// The fd stays the object's; -1 if there is no such program or map.
  int program(const std::string& name) const;
  int map(const std::string& name) const;
  std::map<std::string, int> maps() const;
  /// The fds of all that were loaded.
  std::vector<int> programs() const;

 private:
  Handle<bpf_object, bpf_object__close> object_;
};

// Links detach when their fd is closed and no pin holds them (bpf(2), BPF_LINK_CREATE). Made by raw
// syscall: libbpf 1.1 and Debian 12's headers know neither kind.
enum class TcxHook : std::uint32_t { ingress = 46, egress = 47 };
/// At the head of the device's chain; kernel 6.6 and later, else Error{unsupported or invalid}.
Result<UniqueFd> attach_tcx(int program, std::uint32_t ifindex, TcxHook hook);
/// `family` is NFPROTO_IPV4 or _IPV6, `hook` an NF_INET_*; in the caller's network namespace; 6.4.
Result<UniqueFd> attach_netfilter(int program, std::uint32_t family, std::uint32_t hook,
                                  std::int32_t priority);
/// tp_btf, fentry and fexit programs name their target themselves.
Result<UniqueFd> attach_tracing(int program);
/// Lets a link run another program, with no packet in between unseen.
Result<void> replace_program(int link, int program);

struct LinkInfo {
  std::uint32_t program_id = 0;
  std::uint32_t ifindex = 0;  ///< tcx only; 0 once the device is gone
};
Result<LinkInfo> link_info(int link);
Result<std::uint32_t> program_id(int program);
/// As its object's file calls it, cut to 15 bytes; "" if it has no name.
Result<std::string> program_name(std::uint32_t program_id);
/// The ids of all that hangs at a device's hook, in the packets' order; none where this kernel has
/// no tcx.
Result<std::vector<std::uint32_t>> tcx_programs(std::uint32_t ifindex, TcxHook hook);

/// All that a BPF iterator over the elements of `map` writes (bpf_iter/bpf_sk_storage_map). It is
/// read `at_once` bytes at a time: for so long the kernel visits elements without giving the CPU
/// away (kernel/bpf/bpf_iter.c, bpf_seq_read()).
Result<std::vector<std::byte>> read_iterator(int program, int map, std::size_t at_once);

/// Runs a program on 64 bytes of nothing; its return value.
Result<std::uint32_t> test_run(int program);

Result<void> pin(int fd, const std::string& path);
Result<UniqueFd> open_pinned(const std::string& path);
/// At once, whoever else holds the link; not every kind of link can be (Error{unsupported}).
Result<void> detach_pinned(const std::string& path);

/// Does the running kernel's BTF have this tracepoint? One that is missing would make libbpf refuse
/// the whole object.
bool has_tracepoint(const std::string& name);

/// Layout of a map, for checking a pinned one before use.
struct MapShape {
  std::uint32_t type = 0, key_size = 0, value_size = 0, max_entries = 0, flags = 0;
  bool operator==(const MapShape&) const = default;
};
Result<MapShape> map_shape(int map);

// Untyped access; Map<> below is what to use.
Result<void> map_lookup(int map, const void* key, void* value);
Result<void> map_update(int map, const void* key, const void* value);
Result<void> map_update_batch(int map, const void* keys, const void* values, std::uint32_t count);
Result<void> map_erase(int map, const void* key);
/// All entries as they were met; a hash that changes meanwhile may show an entry twice or miss new
/// ones (bpf(2), BPF_MAP_LOOKUP_BATCH).
Result<void> map_for_each(int map, std::size_t key_size, std::size_t value_size,
                          const std::function<void(const void* key, const void* value)>& each);
std::uint32_t possible_cpus();
enum class Access { read, write };
/// Maps a BPF_F_MMAPABLE array of so many bytes into memory, until the last copy of the pointer
/// goes.
Result<std::shared_ptr<std::byte>> map_into_memory(int map, std::size_t bytes, Access access);

/// A typed view of a map; does not own the fd.
template <class Key, class Value>
  requires std::is_trivially_copyable_v<Key> && std::is_trivially_copyable_v<Value>
class Map {
 public:
  explicit Map(int fd = -1) : fd_(fd) {}
  int fd() const { return fd_; }
  Result<Value> lookup(const Key& key) const {
    Value value{};
    if (auto done = map_lookup(fd_, &key, &value); !done) return std::unexpected(done.error());
    return value;
  }
  Result<void> update(const Key& key, const Value& value) const {
    return map_update(fd_, &key, &value);
  }
  Result<void> update(std::span<const Key> keys, std::span<const Value> values) const {
    return map_update_batch(fd_, keys.data(), values.data(),
                            static_cast<std::uint32_t>(keys.size()));
  }
  Result<void> erase(const Key& key) const { return map_erase(fd_, &key); }
  Result<void> for_each(const std::function<void(const Key&, const Value&)>& each) const {
    return map_for_each(fd_, sizeof(Key), sizeof(Value), [&](const void* k, const void* v) {
      each(*static_cast<const Key*>(k), *static_cast<const Value*>(v));
    });
  }
  /// Per-CPU arrays: one value per possible CPU.
  Result<std::vector<Value>> lookup_per_cpu(const Key& key) const {
    static_assert(sizeof(Value) % 8 == 0, "the kernel rounds per-CPU values up to 8 bytes");
    std::vector<Value> values(possible_cpus());
    if (auto done = map_lookup(fd_, &key, values.data()); !done)
      return std::unexpected(done.error());
    return values;
  }

 private:
  int fd_;
};

/// The rows of a BPF_F_MMAPABLE array: reading them costs no system call. Of a constant Value if
/// opened for reading: to write there would be a fault.
template <class Value>
  requires std::is_trivially_copyable_v<Value>
class MappedArray {
 public:
  static Result<MappedArray> open(int map, std::uint32_t rows, Access access) {
    assert(std::is_const_v<Value> == (access == Access::read));
    auto memory = map_into_memory(map, rows * kStride, access);
    if (!memory) return std::unexpected(memory.error());
    MappedArray array;
    array.memory_ = std::move(*memory);
    return array;
  }
  Value& operator[](std::uint32_t row) const {
    return *reinterpret_cast<Value*>(memory_.get() + row * kStride);
  }

 private:
  /// The kernel begins each row at a multiple of 8 bytes (kernel/bpf/arraymap.c, elem_size).
  static constexpr std::size_t kStride = (sizeof(Value) + 7) / 8 * 8;
  std::shared_ptr<std::byte> memory_;
};

}  // namespace ankus::bpf
