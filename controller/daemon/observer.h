// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daemon/footprint_memory.h"
#include "daemon/look_pace.h"
#include "kernel/irqbalance.h"
#include "model/footprint.h"
#include "model/snapshot.h"
#include "policy/flow_rules.h"
#include "sense/attachments.h"
#include "sense/bucket_counts.h"
#include "sense/device_programs.h"
#include "sense/flow_table.h"
#include "sense/links.h"
#include "sense/queues.h"
#include "sense/tcp_health.h"
#include "sense/threads.h"
#include "sense/topology.h"
#include "sense/workloads.h"
#include "sense/workloads_rows.h"

namespace ankus {

/// A sensor as `status` shows it.
struct SensorState {
  enum class State { on, off, failed };
  std::string name;
  State state = State::off;
  std::string detail;
};

/// Keeps the sensors pointed at what is there, and turns what they say into a Snapshot. Changes
/// nothing of the host but links and maps of its own.
class Observer {
 public:
  struct Options {
    std::uint32_t max_flows = 65536;
    std::string pin_dir;  ///< maps pinned there by an earlier run are used again; "" is: none are
    WorkloadNumbers numbers;  ///< as an earlier run kept them; of use with the same maps only
    /// Keeps them for the next run; called before the kernel side is told a new number.
    std::function<Result<void>(const WorkloadNumbers& changed)> keep_numbers;
    std::map<std::string, Weight> remembered;  ///< footprints by label
  };
  /// Fails only if nothing can be sensed at all; the error says what this kernel refused.
  static Result<std::unique_ptr<Observer>> open(Options options);

  /// Reads links, workloads and usage, judges footprints. To be called about once a second, and
  /// when something has changed.
  Result<void> refresh(MonotonicTime now);
  /// Points the sensors at the devices that the rules name and tells the kernel side the numbers.
  /// `classified`: devices whose packets get classes (ifindex).
  Result<void> follow(const FlowRules& rules, const std::set<std::uint32_t>& classified);

  const Snapshot& snapshot() const { return snapshot_; }
  /// Of the last reading, which is two seconds old at most, and younger when elephants came or
  /// went.
  const std::vector<Flow>& flows() const { return flows_; }
  /// Reads them again now.
  void read_flows(MonotonicTime now);
  const Counters& counters() const { return counters_; }
  std::vector<SensorState> sensors() const;
  std::vector<std::string> downgrades() const;
  /// By ifindex the BPF programs of others at these devices; read when asked.
  Result<std::map<std::uint32_t, std::vector<DeviceProgram>>> programs_of_others(
      std::span<const Link> devices) const;
  /// Totals of each workload, as of the last refresh.
  const std::map<WorkloadId, Usage>& usage() const { return usage_; }
  std::uint64_t netns_cookie() const { return netns_cookie_; }
  /// How TCP fares; an Error where this kernel does not tell.
  Result<TcpReading> tcp() const;
  /// Of the workloads alone.
  Result<std::vector<TcpTotals>> tcp_totals() const;
  /// Of so many packets that TCP receives, one tells of its round trip. False: it stays as it was.
  bool sample_tcp(std::uint32_t one_in) const;
  static constexpr std::uint32_t kTcpOneIn = 16;  ///< what is cheap
  /// Queues are looked at while a policy steers them, and for a while after somebody asked.
  void want_queues(MonotonicTime now);
  /// What was read of them is of before a change.
  void forget_queues() { queues_read_at_ = {}; }
  /// For people only; asked when they ask.
  bool irqbalance_runs(MonotonicTime now);
  bool conntrack_seen() const { return counters_[ANKUS_COUNT_HIT_CONNTRACK] != 0; }

  FlowTable& table() { return table_; }
  const Programs& programs() const { return *programs_; }

  /// For epoll: readable when a device, a workload or an elephant has come or gone.
  std::vector<int> fds() const;
  /// Whether a link, a namespace or a cgroup has changed since the last refresh.
  bool something_changed();

  /// Takes note of the elephants that came and went; true if the table was found full.
  bool take_events();
  /// Sweeps out what has ended, when the table was found full.
  void make_room(MonotonicTime now);

  /// Makes maps and links outlive the process, so that what is in force goes on being fed.
  Result<void> persist() const;
  /// Has what is watched changed since this was asked last? Then persist() is due again.
  bool take_watches_changed() const { return attachments_->take_changed(); }

 private:
  explicit Observer(Options options)
      : options_(std::move(options)), memory_(std::exchange(options_.remembered, {})) {}
  std::unexpected<Error> no_tcp() const;
  Result<void> take_over_maps();
  Result<void> find_workloads(MonotonicTime now);
  void read_host(MonotonicTime now);
  void read_queues(MonotonicTime now);
  void open_host_sensors(const std::string& cgroup);
  void note(const std::string& what, const Result<void>& done);
  void tell_cgroups(const WorkloadScan& scan);
  void tell_namespaces();
  TableRows table_rows_of(const Device& device);
  void take_numbers(const WorkloadScan& scan);
  void forget_device(std::uint32_t ifindex);
  void attach_workloads();
  void measure(MonotonicTime now);
  void note_silence();
  void sweep(nanoseconds idle, nanoseconds idle_ended);

  Options options_;
  FootprintMemory memory_;
  std::unique_ptr<Programs> programs_;
  FlowTable table_;
  std::unique_ptr<Attachments> attachments_;
  std::unique_ptr<LinkReader> links_;
  std::unique_ptr<WorkloadInventory> inventory_;
  std::unique_ptr<TopologyReader> topology_;
  std::unique_ptr<NetThreads> threads_;
  std::optional<QueueSensor> queues_;
  std::optional<BucketCounts> buckets_;
  std::optional<TcpSensor> tcp_;
  WorkloadRows namespaces_;  ///< as the TCP sensor knows them
  MonotonicTime queues_read_at_, queues_wanted_until_;
  Irqbalance irqbalance_{.patience = milliseconds(100)};
  std::optional<MonotonicTime> irqbalance_asked_at_;
  bool irqbalance_ran_ = false;
  std::uint64_t netns_cookie_ = 0;

  Snapshot snapshot_;
  std::vector<Flow> flows_;
  std::map<WorkloadId, FlowCounts> flows_of_;
  bool elephants_changed_ = false;
  MonotonicTime flows_read_at_;
  Counters counters_{}, counters_before_{};
  FlowRules rules_;
  struct Footprinted {
    FootprintTracker tracker = FootprintTracker();
    std::string label;  ///< whose memory was looked for
  };
  std::map<WorkloadId, Footprinted> footprints_;
  std::map<WorkloadId, Usage> usage_;
  std::map<std::uint32_t, SensedDevice> devices_;            ///< rows of the map
  WorkloadRows cgroups_;                                     ///< rows of the map
  using Troubles = std::map<std::string, std::string>;       ///< what could not be watched, and why
  Troubles troubles_, workload_troubles_, uplink_troubles_;  ///< the latter two by device
  std::uint64_t without_number_ = 0, unwatched_cgroups_ = 0, unread_cgroups_ = 0,
                cgroups_left_out_ = 0;
  std::map<WorkloadId, NumberedWorkload> unkept_;  ///< numbers that the next run must know
  std::set<WorkloadId> uncleared_;                 ///< numbers with rows of their former workloads
  int silent_ticks_ = 0;
  MonotonicTime made_room_at_, measured_at_, swept_at_, conntrack_tried_at_;
  LookPace pace_;
  bool workloads_stale_ = true;
};

}  // namespace ankus
