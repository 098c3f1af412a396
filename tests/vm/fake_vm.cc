// SPDX-License-Identifier: Apache-2.0
#define VIRTIO_RING_NO_LEGACY  // the inline functions of virtio_ring.h are no C++

#include "vm/fake_vm.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "kernel/sysfs.h"

namespace ankus {

// Of linux/vhost.h since 6.17, and of stable kernels before.
constexpr unsigned long kSetForkFromOwner = _IOW(VHOST_VIRTIO, 0x84, __u8);

struct FakeVm::Shared {
  std::atomic<std::uint64_t> sent;
  char error[200];
};

namespace {

constexpr unsigned kRing = 64;
constexpr std::size_t kMemory = 1 << 20, kRings = 16 << 10, kFrame = 1024, kHeader = 10;

/// One after another; the first that fails is remembered.
class Calls {
 public:
  void operator()(const char* name, long result) {
    if (result < 0 && error_.empty()) error_ = std::string(name) + ": " + std::strerror(errno);
  }
  bool fine() const { return error_.empty(); }
  const std::string& error() const { return error_; }

 private:
  std::string error_;
};

/// A split ring (virtio 1.1, 2.6) in the guest's memory.
struct Ring {
  vring_desc* descriptors = nullptr;
  vring_avail* available = nullptr;
  vring_used* used = nullptr;

  static Ring at(char* memory) {
    return {reinterpret_cast<vring_desc*>(memory), reinterpret_cast<vring_avail*>(memory + 4096),
            reinterpret_cast<vring_used*>(memory + 8192)};
  }
};

struct Guest {
  Ring transmit;
  int kick = -1, call = -1;
};

/// All that a VMM tells vhost-net (linux/vhost.h); the guest's memory is where it is in ours.
Guest start(const FakeVm::Options& options, Calls& did) {
  Guest guest;
  const int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  did("open /dev/net/tun", tap);
  ifreq wanted{};
  std::strncpy(wanted.ifr_name, options.tap.c_str(), IFNAMSIZ - 1);
  wanted.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  did("TUNSETIFF", ioctl(tap, TUNSETIFF, &wanted));
  const int vhost = open("/dev/vhost-net", O_RDWR);
  did("open /dev/vhost-net", vhost);
  if (__u8 fork_from_owner = 0; options.worker == FakeVm::Worker::kernel_thread)
    did("VHOST_SET_FORK_FROM_OWNER", ioctl(vhost, kSetForkFromOwner, &fork_from_owner));
  did("VHOST_SET_OWNER", ioctl(vhost, VHOST_SET_OWNER));
  __u64 features = 0;
  did("VHOST_SET_FEATURES", ioctl(vhost, VHOST_SET_FEATURES, &features));
  char* memory = static_cast<char*>(
      mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  did("mmap", memory == MAP_FAILED ? -1 : 0);
  if (!did.fine()) return guest;
  alignas(vhost_memory) char table[sizeof(vhost_memory) + sizeof(vhost_memory_region)]{};
  auto* regions = reinterpret_cast<vhost_memory*>(table);
  regions->nregions = 1;
  const auto at = reinterpret_cast<__u64>(memory);
  regions->regions[0] = {.guest_phys_addr = at, .memory_size = kMemory, .userspace_addr = at};
  did("VHOST_SET_MEM_TABLE", ioctl(vhost, VHOST_SET_MEM_TABLE, regions));
  for (unsigned queue = 0; queue < 2; ++queue) {  // 0 receives, 1 transmits
    const Ring ring = Ring::at(memory + queue * kRings);
    vhost_vring_state size{.index = queue, .num = kRing}, base{.index = queue, .num = 0};
    vhost_vring_addr address{.index = queue,
                             .desc_user_addr = reinterpret_cast<__u64>(ring.descriptors),
                             .used_user_addr = reinterpret_cast<__u64>(ring.used),
                             .avail_user_addr = reinterpret_cast<__u64>(ring.available)};
    vhost_vring_file kick{.index = queue, .fd = eventfd(0, 0)};
    vhost_vring_file call{.index = queue, .fd = eventfd(0, EFD_NONBLOCK)};
    vhost_vring_file backend{.index = queue, .fd = tap};
    did("VHOST_SET_VRING_NUM", ioctl(vhost, VHOST_SET_VRING_NUM, &size));
    did("VHOST_SET_VRING_BASE", ioctl(vhost, VHOST_SET_VRING_BASE, &base));
    did("VHOST_SET_VRING_ADDR", ioctl(vhost, VHOST_SET_VRING_ADDR, &address));
    did("VHOST_SET_VRING_KICK", ioctl(vhost, VHOST_SET_VRING_KICK, &kick));
    did("VHOST_SET_VRING_CALL", ioctl(vhost, VHOST_SET_VRING_CALL, &call));
    did("VHOST_NET_SET_BACKEND", ioctl(vhost, VHOST_NET_SET_BACKEND, &backend));
    if (queue == 1) guest = {.transmit = ring, .kick = kick.fd, .call = call.fd};
  }
  char* frames = memory + 2 * kRings;
  for (unsigned i = 0; i < kRing; ++i) {
    char* frame = frames + i * kFrame + kHeader;  // behind an empty virtio_net_hdr
    std::memset(frame, 0xff, 6);
    std::memcpy(frame + 6, "\x02\x00\x00\x00\x00\x01\x88\xb5", 8);
    guest.transmit.descriptors[i] = {
        .addr = reinterpret_cast<__u64>(frames + i * kFrame), .len = kFrame, .flags = 0, .next = 0};
    guest.transmit.available->ring[i] = static_cast<__u16>(i);
  }
  return guest;
}

/// Gives the device each frame again as soon as it has taken it.
[[noreturn]] void send_forever(const Guest& guest, std::atomic<std::uint64_t>& sent) {
  std::uint16_t available = 0, taken = 0;
  volatile std::uint16_t* used = &guest.transmit.used->idx;
  for (;;) {
    available = static_cast<std::uint16_t>(taken + kRing);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    *const_cast<volatile std::uint16_t*>(&guest.transmit.available->idx) = available;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint64_t one = 1;
    (void)!write(guest.kick, &one, sizeof one);
    while (*used == taken) {
      pollfd called{.fd = guest.call, .events = POLLIN};
      (void)poll(&called, 1, 20);
      std::uint64_t count;
      (void)!read(guest.call, &count, sizeof count);
    }
    const std::uint16_t now = *used;
    sent += static_cast<std::uint16_t>(now - taken);
    taken = now;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // what a busy guest leaves others
  }
}

[[noreturn]] void be_a_vmm(const FakeVm::Options& options, std::atomic<std::uint64_t>& sent,
                           char (&error)[200], int ready) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Calls did;
  if (!options.cgroup.empty())
    if (const auto entered = write_setting_file(options.cgroup + "/cgroup.procs", "0"); !entered)
      did(entered.error().text.c_str(), -1);
  std::thread vcpu([&] {
    prctl(PR_SET_NAME, "CPU 0/KVM");
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const std::uint32_t cpu : options.vcpu.cpus) CPU_SET(cpu, &set);
    if (!options.vcpu.empty()) did("sched_setaffinity", sched_setaffinity(0, sizeof set, &set));
    (void)!write(ready, "v", 1);
    for (;;) pause();
  });
  const Guest guest = start(options, did);
  std::strncpy(error, did.error().c_str(), sizeof error - 1);
  (void)!write(ready, "d", 1);
  if (did.fine()) send_forever(guest, sent);
  for (;;) pause();
}

}  // namespace

FakeVm::FakeVm(const Options& options) {
  void* page =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int ready[2];
  if (page == MAP_FAILED || pipe(ready) != 0) {
    error = std::strerror(errno);
    return;
  }
  shared_ = new (page) Shared{};
  pid = fork();
  if (pid == 0) be_a_vmm(options, shared_->sent, shared_->error, ready[1]);
  close(ready[1]);
  char said;
  for (int i = 0; i < 2; ++i)
    if (read(ready[0], &said, 1) != 1) error = "it died";
  close(ready[0]);
  if (error.empty()) error = shared_->error;
}

FakeVm::~FakeVm() {
  if (pid > 0) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  if (shared_ != nullptr) munmap(shared_, sizeof(Shared));
}

std::uint64_t FakeVm::sent() const { return shared_ != nullptr ? shared_->sent.load() : 0; }

}  // namespace ankus
