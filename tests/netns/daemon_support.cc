// SPDX-License-Identifier: Apache-2.0
#include "netns/daemon_support.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

namespace ankus {
namespace {

using std::chrono::milliseconds;
using Monotonic = std::chrono::steady_clock;

constexpr milliseconds kLookEvery{20};

std::string contents(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

bool eventually(milliseconds limit, const std::function<bool()>& claim) {
  const auto end = Monotonic::now() + limit;
  while (!claim()) {
    if (Monotonic::now() > end) return false;
    std::this_thread::sleep_for(kLookEvery);
  }
  return true;
}

Process::Process(const std::vector<std::string>& command, const std::string& output_file) {
  pid_ = fork();
  if (pid_ != 0) return;
  const int out = open(output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  (void)dup2(out, 1);
  (void)dup2(out, 2);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

Process& Process::operator=(Process&& other) noexcept {
  kill_now();
  pid_ = std::exchange(other.pid_, 0);
  return *this;
}

bool Process::runs() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, &status_, WNOHANG) == 0) return true;
  pid_ = 0;
  return false;
}

void Process::signal(int number) const {
  if (pid_ > 0) (void)kill(pid_, number);
}

int Process::wait(milliseconds limit) {
  if (!eventually(limit, [&] { return !runs(); })) return -1;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

void Process::kill_now() {
  if (pid_ <= 0) return;
  signal(SIGKILL);
  (void)waitpid(pid_, &status_, 0);
  pid_ = 0;
}

std::string mice_first(const std::string& more, const std::string& rate) {
  return more + R"(
[link.uplink]
rate = ")" +
         rate +
         R"("

[[rule]]
name      = "mice first"
match     = { footprint = "light" }
bandwidth = { device = "uplink", guarantee = "60%", limit = "100%", priority = 0 }

[[rule]]
name      = "elephants yield"
match     = { footprint = "heavy" }
bandwidth = { device = "uplink", guarantee = "20%", limit = "100%", priority = 7 }
)";
}

DaemonLab::DaemonLab(const std::string& lab_options)
    : lab_(lab_options), root_("/run/ankus-e2e-" + lab_.name()) {
  (void)umount2(root_.c_str(), MNT_DETACH);  // of a test that was killed
  (void)mkdir(root_.c_str(), 0755);
  EXPECT_EQ(mount("ankus-e2e", root_.c_str(), "tmpfs", 0, "mode=0755,size=64m"), 0) << root_;
  for (const char* directory : {"/policies", "/state", "/run"})
    EXPECT_EQ(mkdir((root_ + directory).c_str(), 0755), 0) << directory;
  write_policy(mice_first());
}

DaemonLab::~DaemonLab() {
  if (testing::Test::HasFailure()) std::cerr << "the daemon's words:\n" << log();
  (void)umount2(state_dir().c_str(), MNT_DETACH);  // where a test has put something on it
  (void)umount2(root_.c_str(), MNT_DETACH);
  (void)rmdir(root_.c_str());
}

std::string DaemonLab::log() const { return contents(file("log")); }

void DaemonLab::write_policy(const std::string& text) const {
  std::ofstream(policy_file()) << text;
  EXPECT_EQ(chmod(policy_file().c_str(), 0644), 0);
}

std::string DaemonLab::ankusd(const std::string& options) const {
  return std::string(ANKUS_BINARY_DIR) + "/ankusd --config-dir " + root_ +
         "/policies --state-dir " + state_dir() + " --runtime-dir " + runtime_dir() + " --socket " +
         socket() + " --bpf-dir " + lab_.pin_dir() + " " + options;
}

std::string DaemonLab::ankusctl(const std::string& arguments) const {
  return std::string(ANKUS_BINARY_DIR) + "/ankusctl --socket " + socket() + " " + arguments;
}

std::vector<std::string> DaemonLab::seeing_queues(const std::string& commands, Load load) const {
  const std::string script = file("seeing-queues"), sys = file("sys");
  const std::string stat = load == Load::seen ? "/proc/stat" : file("stat");
  if (load == Load::hidden) std::ofstream(stat) << "cpu 0 0 0 0\n";
  std::ofstream(script) << "mkdir -p " << sys << " && mount -t sysfs sysfs " << sys
                        << " && mount --bind " << sys << "/class /sys/class && mount --bind " << sys
                        << "/devices /sys/devices && mount --bind " << stat << " /proc/stat && "
                        << commands << "\n";
  return {"unshare", "--mount", "--propagation", "private", "sh", script};
}

Process DaemonLab::start(const std::string& options) const {
  std::istringstream in(ankusd(options));
  std::vector<std::string> command;
  for (std::string word; in >> word;) command.push_back(word);
  Process daemon(command, file("log"));
  EXPECT_TRUE(eventually(std::chrono::seconds(30), [&] {
    return !daemon.runs() || ctl("status").code == 0;
  })) << "the daemon does not answer";
  EXPECT_TRUE(daemon.runs()) << log();
  return daemon;
}

nlohmann::json DaemonLab::json(const std::string& arguments) const {
  const CommandResult result = ctl("--json " + arguments);
  auto reply = nlohmann::json::parse(result.output, nullptr, false);
  EXPECT_TRUE(reply.is_object()) << arguments << ": " << result.output;
  return reply.is_object() ? reply : nlohmann::json::object();
}

std::vector<std::string> DaemonLab::knobs(const std::string& list) const {
  std::vector<std::string> texts;
  const auto status = json("status");
  for (const auto& row : status[list]) texts.push_back(row.value("knob", "?"));
  return texts;
}

void DaemonLab::let_turns_pass(int count) const {
  const double begin = json("status").value("uptime_s", 0.0);
  EXPECT_TRUE(eventually(std::chrono::seconds(count + 30), [&] {
    return json("status").value("uptime_s", 0.0) > begin + count + 0.5;
  }));
}

bool DaemonLab::comes_back_to(const std::string& before, milliseconds limit) const {
  return eventually(limit, [&] { return snapshot() == before; });
}

std::uint64_t class_bytes(const std::string& minor) {
  const std::string text = run("tc -s class show dev up0").output;
  const auto at = text.find("class htb 7a8c:" + minor + " ");
  const auto bytes = text.find("Sent ", at);
  return at == std::string::npos || bytes == std::string::npos
             ? 0
             : std::stoull(text.substr(bytes + 5));
}

}  // namespace ankus
