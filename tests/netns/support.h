// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>

#include "base/handle.h"

namespace ankus {

/// Runs a shell command; its output and exit code.
struct CommandResult {
  int code = 0;
  std::string output;
};
CommandResult run(const std::string& command);

/// Runs `action` on a thread of its own in network namespace `name`, and waits for it.
void in_namespace(const std::string& name, const std::function<void()>& action);

/// A lab (tests/lab/lab) that is there as long as this. The process is in its host namespace
/// meanwhile, so that links, netlink sockets and sensors belong to it.
class Lab {
 public:
  explicit Lab(const std::string& options);
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  const std::string& name() const { return name_; }
  std::string container(const std::string& which) const { return name_ + "-c-" + which; }
  std::string server() const { return name_ + "-srv"; }
  std::string host() const { return name_ + "-host"; }
  /// Of a device in the host namespace.
  std::uint32_t ifindex(const std::string& device) const;
  /// A value of `lab env`.
  std::string value(const std::string& variable) const;
  /// A directory on a BPF file system of this lab's own.
  std::string pin_dir() const { return bpffs_ + "/ankus"; }

 private:
  std::string name_, env_, bpffs_;
  UniqueFd home_;
};

/// What tc, ip and the pins show of the lab's host: compared to the byte.
std::string host_state(const Lab& lab);

/// Where the client connects when it is not where the server listens (destination NAT).
struct Via {
  std::string address;
  std::uint16_t port = 0;
};
/// Moves `bytes` by TCP from a client in `from` to a server in `to` that listens on `address` and
/// discards; returns the client's port, 0 if nothing came through within 10 s.
std::uint16_t send_tcp(const std::string& from, const std::string& to, const std::string& address,
                       std::uint16_t port, std::uint64_t bytes, const Via& via = {});
/// Sends `count` datagrams of `size` bytes, `answers` of which are echoed; the client's port, which
/// may be asked for.
std::uint16_t send_udp(const std::string& from, const std::string& to, const std::string& address,
                       std::uint16_t port, int count, int size, int answers,
                       std::uint16_t from_port = 0);

}  // namespace ankus
