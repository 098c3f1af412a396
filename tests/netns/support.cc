// SPDX-License-Identifier: Apache-2.0
#include "netns/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace ankus {
namespace {

const std::string kLab = std::string(ANKUS_SOURCE_DIR) + "/tests/lab/lab";

UniqueFd open_namespace(const std::string& name) {
  return UniqueFd(open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
}

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  int family = AF_INET;
};

Address address_of(const std::string& text, std::uint16_t port) {
  Address address;
  if (text.find(':') != std::string::npos) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr);
    address.length = sizeof *v6;
    address.family = AF_INET6;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    inet_pton(AF_INET, text.c_str(), &v4->sin_addr);
    address.length = sizeof *v4;
  }
  return address;
}

UniqueFd make_socket(int family, int type) {
  UniqueFd fd(socket(family, type | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return fd;
}

sockaddr* generic(Address& address) { return reinterpret_cast<sockaddr*>(&address.storage); }

std::uint16_t local_port(int fd) {
  Address own;
  own.length = sizeof own.storage;
  getsockname(fd, generic(own), &own.length);
  return ntohs(
      reinterpret_cast<sockaddr_in*>(&own.storage)->sin_port);  // same place in sockaddr_in6
}

UniqueFd bind_in(const std::string& ns, const std::string& address, std::uint16_t port, int type) {
  UniqueFd fd;
  in_namespace(ns, [&] {
    Address at = address_of(address, port);
    fd = make_socket(at.family, type);
    if (bind(fd.get(), generic(at), at.length) != 0) fd.reset();
    if (fd && type == SOCK_STREAM && listen(fd.get(), 64) != 0) fd.reset();
  });
  return fd;
}

}  // namespace

CommandResult run(const std::string& command) {
  CommandResult result;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {.code = -1};
  std::array<char, 4096> buffer;
  while (const std::size_t got = fread(buffer.data(), 1, buffer.size(), pipe))
    result.output.append(buffer.data(), got);
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

void in_namespace(const std::string& name, const std::function<void()>& action) {
  std::thread([&] {
    const UniqueFd ns = open_namespace(name);
    if (!ns || setns(ns.get(), CLONE_NEWNET) != 0) {
      ADD_FAILURE() << "no network namespace " << name;
      return;
    }
    action();
  }).join();
}

Lab::Lab(const std::string& options) : name_("t" + std::to_string(getpid())) {
  home_.reset(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  (void)run(kLab + " down --name " + name_);
  const CommandResult up = run(kLab + " up --name " + name_ + " " + options);
  EXPECT_EQ(up.code, 0) << up.output;
  env_ = run(kLab + " env --name " + name_).output;
  const UniqueFd ns = open_namespace(host());
  EXPECT_TRUE(ns && setns(ns.get(), CLONE_NEWNET) == 0) << "enter " << host();
  bpffs_ = "/run/ankus-test-" + name_;
  mkdir(bpffs_.c_str(), 0700);
  EXPECT_EQ(mount("bpf", bpffs_.c_str(), "bpf", 0, "mode=0700"), 0) << bpffs_;
}

Lab::~Lab() {
  (void)setns(home_.get(), CLONE_NEWNET);
  (void)umount2(bpffs_.c_str(), MNT_DETACH);
  (void)rmdir(bpffs_.c_str());
  const CommandResult down = run(kLab + " down --name " + name_);
  EXPECT_EQ(down.code, 0) << down.output;
}

std::uint32_t Lab::ifindex(const std::string& device) const {
  const std::uint32_t index = if_nametoindex(device.c_str());
  EXPECT_NE(index, 0U) << device;
  return index;
}

std::string Lab::value(const std::string& variable) const {
  const std::string key = "\n" + variable + "=";
  const std::string text = "\n" + env_;
  const auto at = text.find(key);
  if (at == std::string::npos) return {};
  std::string found = text.substr(at + key.size(), text.find('\n', at + 1) - at - key.size());
  if (found.size() > 1 && found.front() == '"') found = found.substr(1, found.size() - 2);
  return found;
}

// A bridge may say UNKNOWN for a second before it says UP. A successor renews the classifier: the
// same program has another id then.
std::string host_state(const Lab& lab) {
  return run("tc qdisc show; for d in $(ip -o link show | cut -d: -f2 | cut -d@ -f1); do "
             "tc class show dev $d; tc filter show dev $d ingress; tc filter show dev $d egress; "
             "done 2>/dev/null | sed 's/ id [0-9]* name / name /'; ip -o link show | sed 's/ qlen "
             "[0-9]*//; s/state UNKNOWN/state "
             "UP/'; find " +
             lab.pin_dir() + " 2>/dev/null | LC_ALL=C sort")
      .output;
}

std::uint16_t send_tcp(const std::string& from, const std::string& to, const std::string& address,
                       std::uint16_t port, std::uint64_t bytes, const Via& via) {
  const UniqueFd listener = bind_in(to, address, port, SOCK_STREAM);
  if (!listener) return 0;
  std::uint64_t received = 0;
  std::thread server([&] {
    const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
    std::vector<char> buffer(65536);
    while (peer) {
      const ssize_t got = recv(peer.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      received += static_cast<std::uint64_t>(got);
    }
  });
  std::uint16_t source = 0;
  in_namespace(from, [&] {
    Address server_address =
        via.port == 0 ? address_of(address, port) : address_of(via.address, via.port);
    const UniqueFd client = make_socket(server_address.family, SOCK_STREAM);
    if (connect(client.get(), generic(server_address), server_address.length) != 0) {
      shutdown(listener.get(), SHUT_RDWR);
      return;
    }
    source = local_port(client.get());
    const std::vector<char> data(65536, 'x');
    for (std::uint64_t left = bytes; left > 0;) {
      const ssize_t sent =
          send(client.get(), data.data(), std::min<std::uint64_t>(left, data.size()), MSG_NOSIGNAL);
      if (sent <= 0) break;
      left -= static_cast<std::uint64_t>(sent);
    }
    shutdown(client.get(), SHUT_WR);
    char end;
    (void)recv(client.get(), &end, 1, 0);  // until the server has closed too
  });
  server.join();
  return received == bytes ? source : 0;
}

std::uint16_t send_udp(const std::string& from, const std::string& to, const std::string& address,
                       std::uint16_t port, int count, int size, int answers,
                       std::uint16_t from_port) {
  const UniqueFd server = bind_in(to, address, port, SOCK_DGRAM);
  if (!server) return 0;
  std::uint16_t source = 0;
  in_namespace(from, [&] {
    Address server_address = address_of(address, port);
    const UniqueFd client = make_socket(server_address.family, SOCK_DGRAM);
    Address own = address_of(server_address.family == AF_INET ? "0.0.0.0" : "::", from_port);
    if (bind(client.get(), generic(own), own.length) != 0) return;
    if (connect(client.get(), generic(server_address), server_address.length) != 0) return;
    const std::vector<char> data(static_cast<std::size_t>(size), 'u');
    std::vector<char> buffer(65536);
    for (int i = 0; i < count; ++i) {
      if (send(client.get(), data.data(), data.size(), 0) < 0) return;
      Address peer;
      peer.length = sizeof peer.storage;
      const ssize_t got =
          recvfrom(server.get(), buffer.data(), buffer.size(), 0, generic(peer), &peer.length);
      if (got < 0) return;
      if (i < answers) {
        (void)sendto(server.get(), buffer.data(), static_cast<std::size_t>(got), 0, generic(peer),
                     peer.length);
        if (recv(client.get(), buffer.data(), buffer.size(), 0) < 0) return;
      }
    }
    source = local_port(client.get());
  });
  return source;
}

}  // namespace ankus
