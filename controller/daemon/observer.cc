// SPDX-License-Identifier: Apache-2.0
#include "daemon/observer.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "kernel/features.h"

namespace ankus {
namespace {

constexpr seconds kSweepEvery{10};
constexpr seconds kIdleFlow{60};
constexpr seconds kEndedFlow{2};
constexpr seconds kIdleFlowWhenFull{5};
constexpr seconds kConntrackEvery{5};
/// One reading holds a CPU in the kernel for as long as it takes to walk all buckets of the table.
constexpr milliseconds kFlowsEvery = kSlowFlowActive, kFlowsEveryWithNews{500};
constexpr seconds kQueuesEvery{2};
constexpr seconds kQueuesWanted{30};
constexpr seconds kIrqbalanceEvery{10};
constexpr std::uint32_t kLoopback = 1;
/// No device's header: a row that an earlier run left is never taken for what it should be now.
constexpr std::uint32_t kNotAttached = ~0U;

/// Whether this kernel takes tcx links, found by one on the loopback device that goes at once.
bool tcx_works(const Programs& programs) {
  return bpf::attach_tcx(programs.program("ankus_uplink_receives"), kLoopback,
                         bpf::TcxHook::ingress)
      .has_value();
}

}  // namespace

Result<std::unique_ptr<Observer>> Observer::open(Options options) {
  std::unique_ptr<Observer> self(new Observer(std::move(options)));
  auto programs =
      Programs::load({.max_flows = self->options_.max_flows, .pin_dir = self->options_.pin_dir});
  if (!programs) return with_context("load the sensors", programs.error());
  self->programs_ = std::make_unique<Programs>(std::move(*programs));
  auto table = FlowTable::open(*self->programs_);
  if (!table) return std::unexpected(table.error());
  self->table_ = std::move(*table);
  self->attachments_ = std::make_unique<Attachments>(*self->programs_);
  auto links = LinkReader::open();
  if (!links) return std::unexpected(links.error());
  self->links_ = std::make_unique<LinkReader>(std::move(*links));
  if (auto done = self->take_over_maps(); !done) return std::unexpected(done.error());
  auto inventory = WorkloadInventory::open(
      host_roots(), WorkloadIds(1, kLastWorkload, self->options_.numbers.rows));
  if (!inventory) return std::unexpected(inventory.error());
  self->inventory_ = std::make_unique<WorkloadInventory>(std::move(*inventory));
  self->open_host_sensors(host_roots().cgroup);
  const auto cookie = own_netns_cookie();
  if (!cookie) return std::unexpected(cookie.error());
  self->netns_cookie_ = *cookie;

  const auto has = kernel_has({{.module = "sch_htb", .function = "htb_enqueue"},
                               {.module = "ifb", .function = "ifb_xmit"}});
  self->snapshot_.host = {.kernel_release = kernel_release(),
                          .tcx = tcx_works(*self->programs_),
                          .htb = has[0],
                          .ifb = has[1],
                          .cpus = bpf::possible_cpus()};
  if (auto done = self->table_.set_timing({.netns_cookie = self->netns_cookie_}); !done)
    return std::unexpected(done.error());
  return self;
}

/// What an earlier run left in the maps goes by the numbers that it kept: those of which nothing is
/// known are cleared. New maps begin with nothing, and so does their numbering.
Result<void> Observer::take_over_maps() {
  const auto maps = maps_id(*programs_);
  if (!maps) return std::unexpected(maps.error());
  if (options_.numbers.maps != *maps) options_.numbers = {.maps = *maps};
  if (!programs_->maps_reused) return {};
  std::set<WorkloadId> unknown;
  for (WorkloadId id = 1; id <= kLastWorkload; ++id) unknown.insert(id);
  for (const NumberedWorkload& row : options_.numbers.rows) unknown.erase(row.number);
  if (auto done = clear_workloads(*programs_, unknown); !done) return done;
  // The rows of workloads that vanished meanwhile go at the first look, as they do at any other.
  auto cgroups = cgroup_rows(*programs_);
  if (!cgroups) return std::unexpected(cgroups.error());
  cgroups_ = std::move(*cgroups);
  const auto devices = workload_device_rows(*programs_);
  if (!devices) return std::unexpected(devices.error());
  for (const auto& [ifindex, owner] : *devices)
    devices_[ifindex] = {.ifindex = ifindex, .owner = owner, .header_bytes = kNotAttached};
  return {};
}

Result<void> Observer::refresh(MonotonicTime now) {
  auto links = links_->read(now);
  if (!links) return std::unexpected(links.error());
  snapshot_.links = std::move(*links);
  snapshot_.at = now;
  // Events say when to look again; a look now and then finds what they did not tell.
  if (pace_.is_due(something_changed(), now)) {
    const SystemClock clock;
    const MonotonicTime began = clock.monotonic();
    if (auto done = find_workloads(now); !done) return done;
    workloads_stale_ = false;
    attach_workloads();
    pace_.looked(now, clock.monotonic() - began);
  }
  if (!attachments_->conntrack() && now - conntrack_tried_at_ >= kConntrackEvery) {
    conntrack_tried_at_ = now;
    programs_->load_conntrack();  // its module may have come since
    note("conntrack", attachments_->watch_conntrack(sensor_pins(options_.pin_dir)));
  }
  measure(now);
  read_host(now);
  return {};
}

/// What fails here is a line in `status`.
void Observer::open_host_sensors(const std::string& cgroup) {
  topology_ = std::make_unique<TopologyReader>(TopologyRoots{.cgroup = cgroup});
  threads_ = std::make_unique<NetThreads>(ThreadRoots{.cgroup = cgroup});
  if (auto queues = QueueSensor::open())
    queues_ = std::move(*queues);
  else
    troubles_["receive queues"] = queues.error().text;
  buckets_.emplace(programs_->map("ankus_rss"));
  auto tcp = TcpSensor::open(*programs_);
  auto started = tcp ? tcp->start(kTcpOneIn) : Result<void>(std::unexpected(tcp.error()));
  if (started)
    tcp_ = std::move(*tcp);
  else
    troubles_["TCP's health"] = started.error().text;
}

void Observer::note(const std::string& what, const Result<void>& done) {
  if (done)
    troubles_.erase(what);
  else
    troubles_[what] = done.error().text;
}

std::unexpected<Error> Observer::no_tcp() const {
  const auto why = troubles_.find("TCP's health");
  return fail(ErrorKind::unsupported, "TCP's health is not seen on this host" +
                                          (why == troubles_.end() ? "" : ": " + why->second));
}

Result<TcpReading> Observer::tcp() const {
  if (tcp_) return tcp_->read();
  return no_tcp();
}

Result<std::vector<TcpTotals>> Observer::tcp_totals() const {
  if (tcp_) return tcp_->totals();
  return no_tcp();
}

bool Observer::sample_tcp(std::uint32_t one_in) const { return tcp_ && tcp_->sample(one_in); }

/// Sockets that are nobody else's are told apart by their cgroup.
void Observer::tell_cgroups(const WorkloadScan& scan) {
  cgroups_left_out_ = scan.cgroups_left_out;
  WorkloadRows owners;
  for (const CgroupOwner& owner : scan.owners) owners[owner.cgroup_id] = owner.workload;
  note("cgroups",
       tell_rows(
           cgroups_, owners,
           [&](std::uint64_t cgroup, WorkloadId owner) { return table_.set_cgroup(cgroup, owner); },
           [&](std::uint64_t cgroup) { return table_.forget_cgroup(cgroup); }));
}

/// A connection without a workload's cgroup is its namespace's.
void Observer::tell_namespaces() {
  if (!tcp_) return;
  WorkloadRows owners;
  for (const WorkloadState& state : snapshot_.workloads)
    if (state.workload.identity.netns_inode != 0)
      owners[state.workload.identity.netns_inode] = state.workload.id;
  note("TCP's health",
       tell_rows(
           namespaces_, owners,
           [&](std::uint64_t inode, WorkloadId owner) { return tcp_->set_namespace(inode, owner); },
           [&](std::uint64_t inode) { return tcp_->forget_namespace(inode); }));
}

void Observer::want_queues(MonotonicTime now) {
  queues_wanted_until_ = now + kQueuesWanted;
  if (snapshot_.queues.empty()) read_queues(now);
}

bool Observer::irqbalance_runs(MonotonicTime now) {
  if (irqbalance_asked_at_ && now - *irqbalance_asked_at_ < kIrqbalanceEvery)
    return irqbalance_ran_;
  irqbalance_asked_at_ = now;
  const auto setup = irqbalance_.setup();
  irqbalance_ran_ = setup ? setup->has_value() : setup.error().kind == ErrorKind::busy;
  return irqbalance_ran_;
}

void Observer::read_queues(MonotonicTime now) {
  if (!queues_ || (!rules_.steers && now >= queues_wanted_until_)) {
    snapshot_.queues.clear();
    return;
  }
  if (now - queues_read_at_ < kQueuesEvery && !snapshot_.queues.empty()) return;
  queues_read_at_ = now;
  std::vector<Device> devices;
  for (const Link& link : snapshot_.links)
    if ((link.kind.empty() && link.device.ifindex != kLoopback) || link.tap || link.kind == "veth")
      devices.push_back(link.device);
  snapshot_.queues = queues_->look(devices, now);
  buckets_->keep_only(devices);
  buckets_->measure(snapshot_.queues, now);
}

/// Entries are counted where a policy may move them.
TableRows Observer::table_rows_of(const Device& device) {
  const auto queues = std::ranges::find(snapshot_.queues, device, &DeviceQueues::device);
  if (!rules_.steers || queues == snapshot_.queues.end() || !queues->table) return {};
  return buckets_->rows_for(device, queues->table->queues.size());
}

/// CPUs and threads. Without them nothing is steered, and everything else goes on.
void Observer::read_host(MonotonicTime now) {
  if (auto topology = topology_->read(now)) {
    snapshot_.host.topology = std::move(*topology);
    troubles_.erase("CPUs");
  } else {
    snapshot_.host.topology = {};
    troubles_["CPUs"] = topology.error().text;
  }
  std::vector<Workload> workloads;
  for (const WorkloadState& state : snapshot_.workloads)
    if (state.workload.kind == WorkloadKind::vm) workloads.push_back(state.workload);
  snapshot_.threads = threads_->read(workloads, snapshot_.links, now);
  read_queues(now);
}

/// The next run must know a number before the kernel side does, and nothing of its former workload
/// may be left when it does. What fails is tried again at the next look.
void Observer::take_numbers(const WorkloadScan& scan) {
  for (const NumberedWorkload& row : scan.changed) unkept_[row.number] = row;
  if (!options_.keep_numbers) unkept_.clear();
  if (!unkept_.empty()) {
    WorkloadNumbers changed{.maps = options_.numbers.maps};
    for (const auto& [number, row] : unkept_) changed.rows.push_back(row);
    if (auto done = options_.keep_numbers(changed); !done) {
      troubles_["workload numbers are not kept for a restart"] = done.error().text;
    } else {
      troubles_.erase("workload numbers are not kept for a restart");
      unkept_.clear();
    }
  }
  for (const WorkloadId id : scan.recycled) {
    uncleared_.insert(id);
    footprints_.erase(id);
    usage_.erase(id);
  }
  auto done = clear_workloads(*programs_, uncleared_);
  if (done && tcp_ && !uncleared_.empty()) done = tcp_->forget_workloads(uncleared_);
  if (!done) {
    troubles_["reused workload numbers"] = done.error().text;
  } else {
    troubles_.erase("reused workload numbers");
    uncleared_.clear();
  }
}

Result<void> Observer::find_workloads(MonotonicTime now) {
  auto scan = inventory_->scan(snapshot_.links, now);
  if (!scan) return std::unexpected(scan.error());
  take_numbers(*scan);
  without_number_ = scan->without_number;
  unwatched_cgroups_ = scan->unwatched_cgroups;
  unread_cgroups_ = scan->unread_cgroups;
  std::vector<WorkloadState> states;
  for (Workload& workload : scan->workloads) states.push_back({.workload = std::move(workload)});
  snapshot_.workloads = std::move(states);

  tell_cgroups(*scan);
  tell_namespaces();
  return {};
}

/// Its number may be another device's next.
void Observer::forget_device(std::uint32_t ifindex) {
  attachments_->forget(ifindex);
  (void)table_.forget_device(ifindex);  // a row without programs that ask for it
}

void Observer::attach_workloads() {
  workload_troubles_.clear();
  std::set<std::uint32_t> there;
  for (const WorkloadState& state : snapshot_.workloads) {
    if (!state.workload.device) continue;
    const std::uint32_t ifindex = state.workload.device->ifindex;
    there.insert(ifindex);
    const auto link =
        std::ranges::find(snapshot_.links, ifindex, [](const Link& l) { return l.device.ifindex; });
    SensedDevice row{.ifindex = ifindex,
                     .owner = state.workload.id,
                     .guest = state.workload.kind == WorkloadKind::vm};
    if (link != snapshot_.links.end()) row.header_bytes = link->header_bytes;
    const auto known = devices_.find(ifindex);
    if (known != devices_.end() && known->second == row) continue;
    auto done = table_.set_device(row);  // before the programs that ask for it
    if (done) done = attachments_->watch_workload(ifindex);
    if (done) {
      devices_[ifindex] = row;
      continue;
    }
    forget_device(ifindex);
    devices_.erase(ifindex);
    if (done.error().kind != ErrorKind::gone)
      workload_troubles_[state.workload.device->name] = done.error().text;
  }
  std::erase_if(devices_, [&](const auto& entry) {
    const auto& [ifindex, row] = entry;
    if (row.uplink || there.contains(ifindex)) return false;
    forget_device(ifindex);
    return true;
  });
}

Result<void> Observer::follow(const FlowRules& rules, const std::set<std::uint32_t>& classified) {
  rules_ = rules;
  uplink_troubles_.clear();
  auto done = table_.set_timing({.fast_window = rules.fast_window,
                                 .fast_hold = rules.fast_hold,
                                 .prove = rules.prove,
                                 .admission_hold = rules.admission_hold,
                                 .elephant_bytes = rules.elephant_bytes,
                                 .elephant_window_bytes = rules.elephant_rate_bytes,
                                 .elephant_window = rules.elephant_window,
                                 .elephant_calm = rules.elephant_calm,
                                 .flows_per_owner = std::max(16U, table_.capacity() / 4),
                                 .netns_cookie = netns_cookie_});
  if (!done) return done;
  std::set<std::uint32_t> through_ifb, wanted;
  for (const LinkFlowRules& link : rules.links)
    if (link.receives_for && classified.contains(link.device.ifindex))
      through_ifb.insert(link.receives_for->ifindex);
  for (const LinkFlowRules& link : rules.links) {
    const std::uint32_t ifindex = link.device.ifindex;
    const bool in_force = classified.contains(ifindex);
    wanted.insert(ifindex);
    SensedDevice row{.ifindex = ifindex,
                     .uplink = true,
                     .ifb = link.receives_for.has_value(),
                     .ingress_on_ifb = through_ifb.contains(ifindex),
                     .fast_bytes = link.fast_bytes,
                     .admission = link.admission_rate.value_or(BitRate{0}),
                     .admission_burst = link.admission_burst,
                     .admission_burst_others = link.admission_burst_others,
                     .major = in_force ? kOurMajor : std::uint16_t{0},
                     .probation_class = link.probation_class};
    if (!row.ifb) row.table_rows = table_rows_of(link.device);
    const auto known =
        std::ranges::find(snapshot_.links, ifindex, [](const Link& l) { return l.device.ifindex; });
    if (known != snapshot_.links.end()) row.header_bytes = known->header_bytes;
    if (const auto it = devices_.find(ifindex); it == devices_.end() || it->second != row) {
      if (done = table_.set_device(row); !done) return done;
      devices_[ifindex] = row;
    }
    if (row.ifb || known == snapshot_.links.end()) continue;
    done = attachments_->watch_uplink(ifindex, !in_force);
    if (!done && done.error().kind != ErrorKind::gone)
      uplink_troubles_[link.device.name] = done.error().text;
  }
  std::erase_if(devices_, [&](const auto& entry) {
    const auto& [ifindex, row] = entry;
    if (!row.uplink || wanted.contains(ifindex)) return false;
    forget_device(ifindex);
    return true;
  });
  return {};
}

void Observer::read_flows(MonotonicTime now) {
  auto flows = table_.flows();
  if (!flows) return;
  flows_ = std::move(*flows);
  flows_of_ = count_flows(flows_, rules_.prove, rules_.elephant_calm);
  flows_read_at_ = now;
  elephants_changed_ = false;
}

bool Observer::take_events() {
  bool full = false;
  table_.read_events([&](const FlowEvent& event) {
    full = full || event.kind == FlowEvent::Kind::table_full;
    elephants_changed_ = elephants_changed_ || event.kind != FlowEvent::Kind::table_full;
  });
  return full;
}

void Observer::measure(MonotonicTime now) {
  const nanoseconds interval =
      measured_at_.since_boot.count() == 0 ? nanoseconds(0) : now - measured_at_;
  measured_at_ = now;
  counters_before_ = counters_;
  if (const auto counters = table_.counters()) counters_ = *counters;
  if (now - flows_read_at_ >= (elephants_changed_ ? kFlowsEveryWithNews : kFlowsEvery))
    read_flows(now);
  for (WorkloadState& state : snapshot_.workloads) {
    const WorkloadId id = state.workload.id;
    const auto usage = table_.usage(id);
    if (!usage) continue;
    auto known = footprints_.find(id);
    const bool is_new = known == footprints_.end();
    if (is_new) known = footprints_.emplace(id, Footprinted{}).first;
    Footprinted& one = known->second;
    // A pod has its label from its first container on, some seconds after it is there.
    if (is_new ||
        (one.label != state.workload.label && one.tracker.footprint.weight == Weight::unknown)) {
      one.label = state.workload.label;
      if (const auto weight = memory_.find(one.label)) one.tracker = FootprintTracker(*weight);
      one.tracker.footprint.since = now;
      usage_.emplace(id, *usage);
    }
    const Usage before = std::exchange(usage_[id], *usage);
    if (interval > nanoseconds(0))
      one.tracker.update(
          {.interval = interval,
           .transmitted = {usage->transmitted.count - before.transmitted.count},
           .received = {usage->received.count - before.received.count},
           .packets =
               usage->packets_out + usage->packets_in - before.packets_out - before.packets_in,
           .new_flows = usage->new_flows - before.new_flows,
           .elephant_bytes = {usage->by_elephants.count - before.by_elephants.count},
           .elephants = flows_of_[id].elephants,
           .slow_flows = flows_of_[id].slow},
          {.heavy = rules_.footprint_heavy,
           .window =
               rules_.footprint_window > nanoseconds(0) ? rules_.footprint_window : seconds(10),
           .calm = rules_.footprint_calm > nanoseconds(0) ? rules_.footprint_calm : seconds(30)},
          now);
    state.footprint = one.tracker.footprint;
    if (state.footprint.weight != Weight::unknown && !state.workload.label.empty())
      memory_.keep(state.workload.label, state.footprint.weight);
  }
  std::erase_if(footprints_, [&](const auto& entry) {
    const bool gone = std::ranges::none_of(
        snapshot_.workloads, [&](const WorkloadState& s) { return s.workload.id == entry.first; });
    if (gone) usage_.erase(entry.first);
    return gone;
  });
  if (now - swept_at_ >= kSweepEvery) {
    swept_at_ = now;
    const bool full = flows_.size() > table_.capacity() / 4 * 3;
    sweep(full ? kIdleFlowWhenFull : kIdleFlow, kEndedFlow);
  }
  note_silence();
}

void Observer::sweep(nanoseconds idle, nanoseconds idle_ended) {
  const auto swept = table_.sweep(idle, idle_ended, nullptr);
  note("sweep", swept ? Result<void>() : Result<void>(std::unexpected(swept.error())));
}

void Observer::make_room(MonotonicTime now) {
  // A sweep reads the whole table: how often it is worth it depends on how large that is.
  if (now - made_room_at_ < milliseconds(200) * table_.capacity() / 65536) return;
  made_room_at_ = now;
  sweep(kIdleFlowWhenFull, FlowTiming{}.last_packets);
}

/// "Attached" proves nothing: an uplink that sends while our program counts nothing is a failure.
void Observer::note_silence() {
  double packets = 0;
  for (const Link& link : snapshot_.links)
    if (devices_.contains(link.device.ifindex) && devices_.at(link.device.ifindex).uplink)
      packets += link.packets_per_second;
  const bool silent =
      packets > 10 && counters_[ANKUS_COUNT_HIT_UPLINK] == counters_before_[ANKUS_COUNT_HIT_UPLINK];
  silent_ticks_ = silent ? silent_ticks_ + 1 : 0;
}

std::vector<SensorState> Observer::sensors() const {
  using State = SensorState::State;
  std::vector<SensorState> sensors;
  SensorState conntrack{.name = "conntrack"};
  if (attachments_->conntrack()) {
    conntrack.state = State::on;
    conntrack.detail = programs_->conntrack == Programs::Conntrack::trampolines
                           ? "fexit/nf_conntrack_in and fentry/nf_conntrack_free"
                           : "netfilter links at POST_ROUTING and LOCAL_IN, IPv4 and IPv6";
    if (!conntrack_seen())
      conntrack.detail += "; has not fired: no rule of this namespace uses conntrack";
  } else {
    const auto why = troubles_.find("conntrack");
    conntrack.state = State::failed;
    conntrack.detail = why != troubles_.end() ? why->second : "not attached yet";
  }
  sensors.push_back(std::move(conntrack));
  SensorState devices{.name = "devices"};
  const std::string watched = std::to_string(devices_.size()) + " devices watched by ";
  switch (attachments_->device_form()) {
    case Attachments::DeviceForm::tcx:
      devices = {"devices", State::on, watched + "tcx links"};
      break;
    case Attachments::DeviceForm::tracepoint:
      devices = {"devices", State::on, watched + "BTF tracepoints"};
      break;
    case Attachments::DeviceForm::none: devices.detail = "no device to watch yet"; break;
  }
  if (silent_ticks_ >= 3) {
    devices.state = State::failed;
    devices.detail += "; attached, but its programs do not fire";
  }
  sensors.push_back(std::move(devices));
  return sensors;
}

std::vector<std::string> Observer::downgrades() const {
  std::vector<std::string> lines = programs_->downgrades;
  if (tcp_)
    for (const std::string& line : tcp_->downgrades()) lines.push_back(line);
  for (const std::string& line : buckets_->downgrades()) lines.push_back(line);
  for (const std::string& line : attachments_->downgrades()) lines.push_back(line);
  for (const Troubles* troubles : {&troubles_, &uplink_troubles_, &workload_troubles_})
    for (const auto& [what, why] : *troubles)
      if (what != "conntrack") lines.push_back(what + ": " + why);
  if (without_number_ != 0)
    lines.push_back(std::to_string(without_number_) +
                    " workloads have no number left and count as unknown");
  if (cgroups_left_out_ != 0)
    lines.push_back(std::to_string(cgroups_left_out_) +
                    " cgroups of the workloads with the most have no room: what host services send "
                    "from there is nobody's");
  if (unwatched_cgroups_ != 0)
    lines.push_back(std::to_string(unwatched_cgroups_) +
                    " cgroups are not watched, what starts or ends in them is seen at the next "
                    "full look only: raise fs.inotify.max_user_watches, a tenth of which is used");
  if (unread_cgroups_ != 0)
    lines.push_back(std::to_string(unread_cgroups_) +
                    " cgroups are refused or nested deeper than 32 levels: what runs below them is "
                    "nobody's");
  return lines;
}

Result<std::map<std::uint32_t, std::vector<DeviceProgram>>> Observer::programs_of_others(
    std::span<const Link> devices) const {
  std::set<std::uint32_t> ours = programs_->program_ids();
  for (const std::string& pins : {sensor_pins(options_.pin_dir), options_.pin_dir + "/classifiers"})
    ours.merge(programs_pinned_in(pins));
  return ankus::programs_of_others(devices, ours);
}

std::vector<int> Observer::fds() const {
  std::vector<int> fds = inventory_->fds();
  fds.push_back(table_.events_fd());
  return fds;
}

bool Observer::something_changed() {
  const auto changed = inventory_->changed_since_last();
  if (!changed || *changed) workloads_stale_ = true;  // when we cannot know, look
  return workloads_stale_;
}

Result<void> Observer::persist() const {
  if (auto done = programs_->pin_maps(); !done) return done;
  return attachments_->pin(sensor_pins(options_.pin_dir));
}

}  // namespace ankus
