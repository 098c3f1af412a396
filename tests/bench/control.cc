// SPDX-License-Identifier: Apache-2.0
// The control plane: class changes beside `tc -batch`, membership, first installation under
// traffic, plans for many workloads.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "act/transaction.h"
#include "act/undo.h"
#include "bench/benchmarks.h"
#include "bench/figure.h"
#include "bench/paced_stream.h"
#include "bench/watched_host.h"
#include "bpf/wire.h"
#include "journal/sqlite_journal.h"
#include "plan/plan.h"
#include "policy/evaluate.h"

namespace ankus::bench {
namespace {

constexpr std::string_view kDevice = "ankusbench";
constexpr int kClasses = 1000;

Result<void> shell(const std::string& command) {
  const int status = std::system(command.c_str());
  if (status != 0)
    return fail(ErrorKind::refused, command + ": exit status " + std::to_string(status));
  return {};
}

Result<void> write_all(Actuator& actuator, const std::vector<Action>& actions) {
  const auto results = actuator.write(actions);
  for (std::size_t i = 0; i < results.size(); ++i)
    if (!results[i]) return with_context(to_text(actions[i].knob), results[i].error());
  if (results.size() != actions.size())
    return fail(ErrorKind::refused, "not all actions were tried");
  return {};
}

std::vector<Action> undone(const std::vector<Action>& actions) {
  std::vector<Action> inverses;
  for (auto it = actions.rbegin(); it != actions.rend(); ++it) inverses.push_back(inverse(*it));
  return inverses;
}

HtbClass class_of_rate(std::uint64_t kbit) {
  return {.parent = make_handle(kOurMajor, 1),
          .rate = {kbit * 1000},
          .ceil = {1'000'000'000},
          .burst = {16'000},
          .cburst = {16'000},
          .priority = 3,
          .quantum = {60'000}};
}

/// A device that is there as long as this, with a tree of many classes.
class ManyClasses {
 public:
  static Result<ManyClasses> make(Actuator& actuator) {
    (void)std::system(("ip link del " + std::string(kDevice) + " 2>/dev/null").c_str());
    if (auto done = shell("ip link add " + std::string(kDevice) +
                          " type veth peer name ankusbench1 && ip link set " +
                          std::string(kDevice) + " up");
        !done)
      return std::unexpected(done.error());
    ManyClasses classes;
    auto device = find_device(std::string(kDevice));
    if (!device) return std::unexpected(device.error());
    classes.device_ = std::move(*device);
    std::vector<Action> actions{{.knob = knob::RootQdisc{*classes.device_},
                                 .before = Absent{},
                                 .after = HtbRoot{.handle = make_handle(kOurMajor, 0),
                                                  .default_minor = 0x0f,
                                                  .direct_packets = 1000}},
                                {.knob = knob::TcClass{*classes.device_, make_handle(kOurMajor, 1)},
                                 .before = Absent{},
                                 .after = HtbClass{.parent = make_handle(kOurMajor, 0),
                                                   .rate = {1'000'000'000},
                                                   .ceil = {1'000'000'000},
                                                   .burst = {16'000},
                                                   .cburst = {16'000},
                                                   .quantum = {60'000}}}};
    for (int i = 0; i < kClasses; ++i)
      actions.push_back({.knob = knob::TcClass{*classes.device_, handle(i)},
                         .before = Absent{},
                         .after = class_of_rate(1000)});
    if (auto done = write_all(actuator, actions); !done) return std::unexpected(done.error());
    return classes;
  }
  ManyClasses(ManyClasses&& other) noexcept : device_(std::exchange(other.device_, std::nullopt)) {}
  ManyClasses& operator=(ManyClasses&&) = delete;
  ~ManyClasses() {
    if (device_) (void)std::system(("ip link del " + device_->name).c_str());
  }

  std::vector<Action> changes(std::uint64_t from_kbit, std::uint64_t to_kbit) const {
    std::vector<Action> actions;
    for (int i = 0; i < kClasses; ++i)
      actions.push_back({.knob = knob::TcClass{*device_, handle(i)},
                         .before = class_of_rate(from_kbit),
                         .after = class_of_rate(to_kbit)});
    return actions;
  }
  static std::string batch(std::uint64_t to_kbit) {
    std::ostringstream lines;
    for (int i = 0; i < kClasses; ++i)
      lines << "class change dev " << kDevice << " parent 7a8c:1 classid 7a8c:" << std::hex
            << 0x100 + i << std::dec << " htb rate " << to_kbit
            << "kbit ceil 1gbit burst 16000 cburst 16000 prio 3 quantum 60000\n";
    return lines.str();
  }

 private:
  ManyClasses() = default;
  static TcHandle handle(int i) {
    return make_handle(kOurMajor, static_cast<std::uint16_t>(0x100 + i));
  }
  std::optional<Device> device_;
};

Result<void> class_changes(const ControlOptions& options, KernelActuator& actuator) {
  auto classes = ManyClasses::make(actuator);
  if (!classes) return std::unexpected(classes.error());
  const std::string file = options.runtime_dir + "/tc.batch";
  std::vector<double> ours, with_read_back, theirs, ratios;
  std::uint64_t rate = 1000;
  for (int round = 0; round < options.rounds; ++round) {
    const auto actions = classes->changes(rate, rate + 100);
    Result<void> done;
    ours.push_back(milliseconds_for([&] { done = write_all(actuator, actions); }));
    if (!done) return done;
    // tc is told the other value, so that both really change each class.
    std::ofstream(file) << ManyClasses::batch(rate + 200);
    theirs.push_back(milliseconds_for([&] { done = shell("exec tc -batch " + file); }));
    if (!done) return done;
    rate += 200;
    std::vector<Knob> knobs;
    for (const Action& action : actions) knobs.push_back(action.knob);
    std::vector<Result<Setting>> settings;
    with_read_back.push_back(ours.back() +
                             milliseconds_for([&] { settings = actuator.read(knobs); }));
    for (const auto& setting : settings)
      if (!setting || !same_setting(*setting, class_of_rate(rate)))
        return fail(ErrorKind::refused, "tc -batch did not set what it was told: compare nothing");
    ratios.push_back(theirs.back() / ours.back());
  }
  (void)unlink(file.c_str());
  print({.name = "control/class_changes",
         .measured = median(ratios),
         .unit = "times faster than tc -batch (1,000 changes)",
         .goal = {Goal::Kind::at_least, 8},
         .detail = {{"ankus_ms", median(ours)},
                    {"ankus_with_read_back_ms", median(with_read_back)},
                    {"tc_batch_ms", median(theirs)},
                    {"ratios", ratios}}});
  return {};
}

Result<void> assignment(const ControlOptions& options, const WatchedHost& host,
                        KernelActuator& actuator) {
  constexpr std::uint32_t kRows = ANKUS_MAX_WORKLOADS - 1;
  constexpr double kScale = 10'000.0 / kRows;
  const auto members = [&](std::uint16_t slow) {
    Members all;
    for (std::uint32_t id = 1; id <= kRows; ++id)
      all.rows.push_back(
          {.workload = id, .slow_class = slow, .fast_class = 0x11, .weight = Weight::light});
    return all;
  };
  std::vector<double> first, again;
  for (int round = 0; round < options.rounds; ++round) {
    const Members one = members(0x10), two = members(0x11);
    Result<void> done;
    const auto timed = [&](const Setting& before, const Setting& after) {
      const std::vector<Action> actions{
          {.knob = knob::Membership{}, .before = before, .after = after}};
      return milliseconds_for([&] { done = write_all(actuator, actions); });
    };
    first.push_back(timed(Absent{}, one) * kScale);
    if (!done) return done;
    again.push_back(timed(one, two) * kScale);
    if (!done) return done;
    const std::vector<Knob> knobs{knob::Membership{}};
    const auto read = actuator.read(knobs);
    if (!read.front() || *read.front() != Setting(two))
      return fail(ErrorKind::refused, "the membership map does not hold what was written");
    (void)timed(two, Absent{});
    if (!done) return done;
  }
  (void)host;
  print({.name = "control/assign_10000",
         .measured = median(again),
         .unit = "ms for 10,000 workloads",
         .goal = {Goal::Kind::at_most, 100},
         .detail = {
             {"scaled_from_rows", kRows}, {"first_ms", median(first)}, {"samples_ms", again}}});
  return {};
}

/// The lab's host with its uplink, and so many containers.
Snapshot snapshot_with(const WatchedHost& host, std::uint32_t containers) {
  Snapshot snapshot{
      .host = {.kernel_release = "bench", .tcx = true, .htb = true, .ifb = true, .cpus = 2}};
  snapshot.links.push_back({.device = host.up0,
                            .kind = "veth",
                            .up = true,
                            .has_default_route = true,
                            .speed = BitRate{200'000'000},
                            .mtu = 1500,
                            .root_kind = "noqueue"});
  for (std::uint32_t id = 1; id <= containers; ++id)
    snapshot.workloads.push_back(
        {.workload = {.id = id,
                      .kind = WorkloadKind::container,
                      .device = Device{.name = "veth" + std::to_string(id),
                                       .ifindex = 100'000 + id,
                                       .netns_cookie = host.up0.netns_cookie},
                      .name = "shop-" + std::to_string(id),
                      .label = "compose:shop/" + std::to_string(id)},
         .footprint = {.weight = id % 4 == 0 ? Weight::heavy : Weight::light}});
  return snapshot;
}

Result<Plan> plan_of(const Snapshot& snapshot, const Policy& policy) {
  const Desired desired = evaluate(snapshot, policy);
  std::map<Knob, Result<Setting>> current;
  for (const Wish& wish : desired.wishes) current.emplace(wish.knob, Absent{});
  Plan plan = make_plan({.current = current, .desired = desired, .held = {}, .ceded = {}});
  if (!plan.refusals.empty())
    return fail(ErrorKind::refused, plan.refusals.front().what + ": " + plan.refusals.front().why);
  if (plan.actions.empty()) return fail(ErrorKind::invalid, "the policy wants nothing on up0");
  return plan;
}

Result<void> plans(const ControlOptions& options, const WatchedHost& host, const Policy& policy) {
  const Snapshot snapshot = snapshot_with(host, 1000);
  std::vector<double> samples;
  std::size_t actions = 0, rows = 0;
  for (int round = 0; round < options.rounds * 4; ++round) {
    Result<Plan> plan;
    samples.push_back(milliseconds_for([&] { plan = plan_of(snapshot, policy); }));
    if (!plan) return std::unexpected(plan.error());
    actions = plan->actions.size();
    const auto* members = std::get_if<Members>(&plan->actions.back().after);
    rows = members == nullptr ? 0 : members->rows.size();
    if (rows < 1000)
      return fail(ErrorKind::refused, "the plan does not give 1,000 workloads a class");
  }
  print({.name = "control/plan_1000",
         .measured = median(samples),
         .unit = "ms for 1,000 workloads",
         .goal = {Goal::Kind::at_most, 50},
         .detail = {{"actions", actions}, {"rows", rows}, {"max_ms", percentile(samples, 1)}}});
  return {};
}

/// Installs the planned tree under 20,000 packets a second and takes it back, journal and all.
Result<void> installations(const ControlOptions& options, const WatchedHost& host,
                           const Policy& policy, KernelActuator& actuator) {
  auto plan = plan_of(snapshot_with(host, 1000), policy);
  if (!plan) return std::unexpected(plan.error());
  auto stream =
      PacedStream::open({.address = options.server, .server_netns = options.server_netns});
  if (!stream) return std::unexpected(stream.error());
  const auto boot_id = read_boot_id();
  if (!boot_id) return std::unexpected(boot_id.error());
  const SystemClock clock;
  auto journal = SqliteJournal::open(
      {.runtime_dir = options.runtime_dir, .state_dir = options.state_dir, .boot_id = *boot_id},
      clock);
  if (!journal) return std::unexpected(journal.error());

  std::vector<double> bare_ms, bare_undo_ms, install_ms, rollback_ms, lost, lost_without,
      lost_at_undo;
  nlohmann::ordered_json rates = nlohmann::ordered_json::array();
  const auto around = [&](const auto& work) {
    stream->start();
    std::this_thread::sleep_for(milliseconds(150));  // packets before, so that they are under way
    work();
    std::this_thread::sleep_for(milliseconds(150));
    const auto count = stream->stop();
    rates.push_back(static_cast<double>(count.sent));
    return static_cast<double>(count.sent - std::min(count.sent, count.received));
  };
  for (int round = 0; round < options.rounds; ++round) {
    lost_without.push_back(around([] { std::this_thread::sleep_for(milliseconds(5)); }));
    Result<Applied> applied;
    lost.push_back(around([&] {
      install_ms.push_back(
          milliseconds_for([&] { applied = apply(*plan, actuator, **journal, clock, {}); }));
    }));
    if (!applied) return std::unexpected(applied.error());
    if (applied->failure) return std::unexpected(*applied->failure);
    Result<Undone> taken_back;
    lost_at_undo.push_back(around([&] {
      rollback_ms.push_back(milliseconds_for(
          [&] { taken_back = undo(actuator, **journal, clock, {.hold = Hold::no}); }));
    }));
    if (!taken_back) return std::unexpected(taken_back.error());
    if (!taken_back->degraded.empty())
      return fail(ErrorKind::refused, "not undone: " + taken_back->degraded.front());
    Result<void> done;
    bare_ms.push_back(milliseconds_for([&] { done = write_all(actuator, plan->actions); }));
    if (!done) return done;
    bare_undo_ms.push_back(
        milliseconds_for([&] { done = write_all(actuator, undone(plan->actions)); }));
    if (!done) return done;
  }
  print({.name = "control/installation",
         .measured = median(bare_ms),
         .unit = "ms to put the tree on a device",
         .goal = {Goal::Kind::at_most, 10},
         .detail = {{"actions", plan->actions.size()},
                    {"with_journal_and_read_back_ms", median(install_ms)},
                    {"samples_ms", bare_ms}}});
  print({.name = "control/installation_loss",
         .measured = median(lost),
         .unit = "packets lost at 20,000/s",
         .goal = {Goal::Kind::at_most, 100},
         .detail = {{"samples", lost},
                    {"without_installing", lost_without},
                    {"at_rollback", lost_at_undo},
                    {"sent", rates}}});
  print({.name = "control/rollback",
         .measured = median(rollback_ms),
         .unit = "ms, 1,000 workloads, with journal",
         .detail = {{"without_journal_ms", median(bare_undo_ms)}, {"samples_ms", rollback_ms}}});
  return {};
}

}  // namespace

Result<void> run_control(const ControlOptions& options) {
  const auto policy = read_policy(options.policy);
  if (!policy) return std::unexpected(policy.error());
  auto host = open_host({.pin_dir = options.pin_dir, .max_flows = 4096, .attach = false});
  if (!host) return std::unexpected(host.error());
  auto actuator = host->actuator();
  if (!actuator) return std::unexpected(actuator.error());
  if (auto done = class_changes(options, *actuator); !done)
    return with_context("class changes", done.error());
  if (auto done = assignment(options, *host, *actuator); !done)
    return with_context("assignment", done.error());
  if (auto done = plans(options, *host, *policy); !done) return with_context("plans", done.error());
  if (auto done = installations(options, *host, *policy, *actuator); !done)
    return with_context("installation", done.error());
  return {};
}

}  // namespace ankus::bench
