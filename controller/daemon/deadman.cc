// SPDX-License-Identifier: Apache-2.0
#include "daemon/deadman.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/handle.h"
#include "base/text.h"

namespace ankus {
namespace {

/// Later than the daemon's own deadline, so that normally the daemon does it.
constexpr nanoseconds kGrace = seconds(2);

/// For systemd's answer, while nobody renews leases and feeds the watchdog. What it was asked for
/// it may still do.
constexpr std::chrono::milliseconds kPatience = seconds(5);

/// sd_booted(3). What systemd starts is in its own namespace, where none of our devices is.
bool systemd_can_do_it() {
  return access("/run/systemd/system", F_OK) == 0 &&
         is_same_namespace("/proc/self/ns/net", "/proc/1/ns/net");
}

/// Where the binary is now: after an upgrade under us, the new one, which reads the same journal.
std::string own_path() {
  constexpr std::string_view kReplaced = " (deleted)";  // proc(5), /proc/PID/exe
  std::array<char, 4096> self{};
  const ssize_t length = readlink("/proc/self/exe", self.data(), self.size());
  if (length <= 0) return "/usr/sbin/ankusd";
  std::string_view path(self.data(), static_cast<std::size_t>(length));
  if (path.ends_with(kReplaced)) path.remove_suffix(kReplaced.size());
  return std::string(path);
}

std::vector<std::string> rollback_command(const Options& options) {
  // Absolute: systemd runs it elsewhere.
  return {own_path(),
          "--rollback",
          "--pending",
          "--state-dir",
          real_path(options.state_dir),
          "--runtime-dir",
          real_path(options.runtime_dir),
          "--bpf-dir",
          real_path(options.bpf_dir)};
}

/// Never returns in the child.
[[noreturn]] void exec(const std::vector<std::string>& command) {
  sigset_t none;  // the loop blocks what it reads from a signalfd, and a mask outlives execve(2)
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

/// Double fork: the grandchild belongs to init and survives us, our terminal and our session.
Result<void> detach(const std::vector<std::string>& command) {
  const pid_t child = fork();
  if (child < 0) return fail_errno("fork the dead man's switch");
  if (child == 0) {
    (void)setsid();
    if (fork() != 0) _exit(0);
    const int null = open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) (void)dup2(null, fd);
    (void)close_range(3, ~0U, 0);  // above all the journal's lock
    exec(command);
  }
  int status = 0;
  (void)waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(ErrorKind::refused, "the dead man's switch did not start");
  return {};
}

std::string seconds_text(nanoseconds duration) {
  return std::to_string(std::chrono::ceil<seconds>(duration).count()) + "s";
}

}  // namespace

int run_and_wait(const std::vector<std::string>& command, std::chrono::milliseconds limit) {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    const int null = open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) (void)dup2(null, fd);  // its words are of no use to anybody
    exec(command);
  }
  // By number: in glibc 2.36 <sys/pidfd.h> is not for C++.
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  pollfd ends{.fd = process.get(), .events = POLLIN, .revents = 0};
  if (poll(&ends, 1, static_cast<int>(limit.count())) != 1) (void)kill(child, SIGKILL);
  int status = 0;
  if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

std::string deadman_unit(const std::string& runtime_dir) {
  const std::string directory = real_path(runtime_dir);
  if (directory == "/run/ankus") return "ankus-rollback";
  return "ankus-rollback-" + hex_text(stable_hash(directory), 8);
}

bool is_same_namespace(const std::string& a, const std::string& b) {
  struct stat first{}, second{};
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

Result<std::string> arm_deadman(const Options& options, nanoseconds within) {
  std::vector<std::string> command = rollback_command(options);
  const std::string after = seconds_text(within + kGrace);
  if (systemd_can_do_it()) {
    const std::string unit = deadman_unit(options.runtime_dir);
    disarm_deadman(options);  // of an earlier plan
    std::vector<std::string> timer{"systemd-run",
                                   "--quiet",
                                   "--collect",
                                   "--unit=" + unit,
                                   "--on-active=" + after,
                                   "--timer-property=AccuracySec=1s"};
    timer.insert(timer.end(), command.begin(), command.end());
    if (run_and_wait(timer, kPatience) == 0) return "systemd timer " + unit + ".timer";
    return fail(ErrorKind::refused, "systemd-run could not arm the dead man's switch");
  }
  command.push_back("--after");
  command.push_back(after);
  if (auto done = detach(command); !done) return std::unexpected(done.error());
  return std::string("a detached process (no systemd here)");
}

void disarm_deadman(const Options& options) {
  if (!systemd_can_do_it()) return;
  // Both may be gone. The service is there if the timer has fired and it waits for the lock, which
  // whoever disarms has; left waiting, it would keep the name from the next plan.
  const std::string unit = deadman_unit(options.runtime_dir);
  (void)run_and_wait({"systemctl", "stop", unit + ".timer", unit + ".service"}, kPatience);
}

}  // namespace ankus
