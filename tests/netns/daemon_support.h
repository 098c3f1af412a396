// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "netns/support.h"

namespace ankus {

/// Whether `claim` becomes true within `limit`; it is asked again and again until then.
bool eventually(std::chrono::milliseconds limit, const std::function<bool()>& claim);

/// A process of ours, killed when this ends. Its words go to a file.
class Process {
 public:
  Process() = default;
  Process(const std::vector<std::string>& command, const std::string& output_file);
  ~Process() { kill_now(); }
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Process& operator=(Process&& other) noexcept;

  pid_t pid() const { return pid_; }
  bool runs();
  void signal(int number) const;
  /// Waits for its end; the exit code, 128 + signal, -1 if it does not end within `limit`.
  int wait(std::chrono::milliseconds limit = std::chrono::seconds(5));
  /// SIGKILL, as the kernel's memory killer does it.
  void kill_now();

 private:
  pid_t pid_ = 0;
  int status_ = -1;
};

/// The rules of policies/mice-first.toml on an uplink of 200 Mbit/s, and `more` before them.
std::string mice_first(const std::string& more = "", const std::string& rate = "200 Mbit");

/// A lab, and what a daemon in its host namespace needs: directories of its own, on a tmpfs.
class DaemonLab {
 public:
  explicit DaemonLab(const std::string& lab_options =
                         "--bridged --containers 'web:light "
                         "backup:heavy'");
  ~DaemonLab();
  DaemonLab(const DaemonLab&) = delete;
  DaemonLab& operator=(const DaemonLab&) = delete;

  const Lab& lab() const { return lab_; }
  std::string policy_file() const { return root_ + "/policies/10-mice.toml"; }
  std::string state_dir() const { return root_ + "/state"; }
  std::string runtime_dir() const { return root_ + "/run"; }
  std::string socket() const { return runtime_dir() + "/control.sock"; }
  std::string file(const std::string& name) const { return root_ + "/" + name; }
  std::string log() const;

  void write_policy(const std::string& text) const;
  /// ankusd and its options, as a shell takes them.
  std::string ankusd(const std::string& options = "") const;
  std::string ankusctl(const std::string& arguments) const;

  /// What a daemon knows of this machine. Hidden: nothing of its CPUs, nor of the packets that they
  /// drop.
  enum class Load { hidden, seen };
  /// Words that run shell commands where /sys/class/net lists the devices of the lab's host, as it
  /// does where no test is: sysfs shows those of the namespace that mounted it.
  std::vector<std::string> seeing_queues(const std::string& commands,
                                         Load load = Load::hidden) const;

  /// Starts a daemon; back when it answers.
  Process start(const std::string& options = "") const;
  CommandResult ctl(const std::string& arguments) const { return run(ankusctl(arguments)); }
  nlohmann::json json(const std::string& arguments) const;
  std::string state() const { return json("status")["state"].value("name", "?"); }
  /// `knob` texts of what status lists under `list`: held or ceded.
  std::vector<std::string> knobs(const std::string& list) const;
  /// Until the daemon has taken `count` more turns, one of which comes each second.
  void let_turns_pass(int count) const;

  std::string snapshot() const { return host_state(lab_); }
  bool comes_back_to(const std::string& before, std::chrono::milliseconds limit) const;

 private:
  Lab lab_;
  std::string root_;
};

/// Bytes that class `minor` of up0 has sent.
std::uint64_t class_bytes(const std::string& minor);

}  // namespace ankus
