// SPDX-License-Identifier: Apache-2.0
#include "bench/queue_model.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <queue>
#include <random>

namespace ankus::bench {
namespace {

using std::chrono::microseconds;

/// What the kernel sends at once of a bulk flow (GSO).
constexpr unsigned kChunk = 15'000;
constexpr nanoseconds kTimeout = milliseconds(300);
constexpr nanoseconds kSlice = seconds(1);
constexpr double kSmallMouseQueue = 64'000;
/// The kernel acknowledges by itself what is not answered by then (TCP_DELACK_MIN, net/tcp.h).
constexpr nanoseconds kDelayedAcknowledgement = milliseconds(40);
/// Of so many of the elephants' packets one is measured.
constexpr unsigned kHeavyOneIn = 16;

struct Packet {
  bool mouse = false;
  unsigned workload = 0, flow = 0;  ///< of mice: connection
  unsigned bytes = 0;
  nanoseconds queued{}, sent{};
  std::uint64_t request = 0;  ///< of mice: which of the connection's requests it carries
  unsigned tries = 0;         ///< of mice: how often it was sent before
};

enum class What {
  mouse_sends,
  link_free,
  beyond_free,
  answer,
  response,
  served,
  ack,
  loss_seen,
  flow_on,
  flow_off,
  resume,
  change
};

struct Event {
  nanoseconds at{};
  std::uint64_t order = 0;  ///< events of the same time happen in the order of their making
  What what = What::change;
  unsigned workload = 0, flow = 0;
  unsigned tries = 0;
  std::uint64_t request = 0;
  nanoseconds sent{};  ///< of a request that was sent once only; else 0: no round trip is measured
  bool operator>(const Event& other) const {
    return std::pair(at, order) > std::pair(other.at, other.order);
  }
};

struct Flow {
  double window = 10, threshold = 1e9;
  unsigned in_flight = 0;
  nanoseconds cut{};
  bool on = true, stopped = false;
};

struct Workload {
  Mice mice;
  nanoseconds stack_free{}, application_free{};
  std::vector<std::uint64_t> requests;  ///< of each connection: the one that is not answered yet
  std::vector<std::uint64_t> acknowledged;  ///< of each: the last that the other side has
};

class Model {
 public:
  explicit Model(const Scene& scene)
      : scene_(scene), random_(scene.seed), side_(scene.before), flows_(scene.elephants.flows) {
    for (const Mice& mice : scene.mice)
      workloads_.push_back({.mice = mice,
                            .requests = std::vector<std::uint64_t>(mice.connections, 1),
                            .acknowledged = std::vector<std::uint64_t>(mice.connections, 0)});
    prepare(before_);
    prepare(after_);
  }

  Simulated run() {
    const nanoseconds change = scene_.warm_up + scene_.window;
    const nanoseconds end = change + scene_.settle + scene_.window;
    post(change, What::change);
    for (unsigned w = 0; w < workloads_.size(); ++w)
      for (unsigned c = 0; c < workloads_[w].mice.connections; ++c)
        post(exponential(workloads_[w].mice.pause), What::mouse_sends, w, c);
    for (unsigned f = 0; f < flows_.size(); ++f) {
      // Not all in one step.
      flows_[f].on = false;
      post(exponential(milliseconds(100)), What::flow_on, 0, f);
    }
    while (!events_.empty() && events_.top().at < end) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      handle(event);
    }
    finish(before_);
    finish(after_);
    return {.before = std::move(before_), .after = std::move(after_)};
  }

 private:
  // --- chance ----------------------------------------------------------------------------------

  double uniform() { return (static_cast<double>(random_() >> 11) + 0.5) * 0x1p-53; }
  nanoseconds exponential(nanoseconds mean) {
    return nanoseconds(std::llround(-std::log(uniform()) * static_cast<double>(mean.count())));
  }

  void post(nanoseconds at, What what, unsigned workload = 0, unsigned flow = 0, unsigned tries = 0,
            std::uint64_t request = 0, nanoseconds sent = {}) {
    events_.push({.at = at,
                  .order = order_++,
                  .what = what,
                  .workload = workload,
                  .flow = flow,
                  .tries = tries,
                  .request = request,
                  .sent = sent});
  }

  // --- what is measured ------------------------------------------------------------------------

  void prepare(Samples& window) {
    window.length = scene_.window;
    const auto slices = static_cast<std::size_t>(scene_.window / kSlice);
    for (unsigned w = 0; w < workloads_.size(); ++w) {
      LightSamples light{.workload = w + 1,
                         .name = "mice-" + std::to_string(w + 1),
                         .repeated = std::vector<std::uint64_t>(slices)};
      for (const auto& [name, kind] : {std::pair{"qdisc to uplink", SegmentKind::out},
                                       {"uplink to socket", SegmentKind::in},
                                       {"socket to read", SegmentKind::application},
                                       {"round trip", SegmentKind::round_trip}})
        light.segments.push_back({.name = name,
                                  .kind = kind,
                                  .slices = std::vector<Histogram>(slices),
                                  .lost = std::vector<std::uint64_t>(slices)});
      (workloads_[w].mice.by_the_uplink ? window.watched : window.control).push_back(light);
    }
    if (!flows_.empty()) {
      window.heavy.push_back({.workload = 1000, .name = "elephants"});
      window.heavy.back().slices.resize(slices, {.length = kSlice, .wanting = false});
      window.heavy.back().segments.push_back({.name = "qdisc to uplink",
                                              .kind = SegmentKind::out,
                                              .slices = std::vector<Histogram>(slices)});
    }
  }

  Samples* window_now(std::size_t& slice) {
    const nanoseconds start_after = scene_.warm_up + scene_.window + scene_.settle;
    const nanoseconds start = now_ < start_after ? scene_.warm_up : start_after;
    if (now_ < start || now_ >= start + scene_.window) return nullptr;
    slice = static_cast<std::size_t>((now_ - start) / kSlice);
    return &(now_ < start_after ? before_ : after_);
  }
  LightSamples* light(Samples& window, unsigned workload) {
    for (auto* list : {&window.watched, &window.control})
      for (LightSamples& one : *list)
        if (one.workload == workload + 1) return &one;
    return nullptr;
  }

  void measure(unsigned workload, std::size_t segment, nanoseconds value) {
    std::size_t slice = 0;
    Samples* window = window_now(slice);
    if (window == nullptr) return;
    SegmentSamples& samples = light(*window, workload)->segments[segment];
    samples.slices[slice].add(value);
    ++samples.coverage.measured;
    // Those of the queue are counted as they come: some never leave it.
    if (segment != 0 || samples.coverage.packets < samples.coverage.measured)
      ++samples.coverage.packets;
  }
  void measure_elephant(nanoseconds value) {
    std::size_t slice = 0;
    Samples* window = window_now(slice);
    if (window == nullptr || ++elephants_sent_ % kHeavyOneIn != 0) return;
    SegmentSamples& samples = window->heavy.front().segments.front();
    samples.slices[slice].add(value);
    ++samples.coverage.measured;
    ++samples.coverage.packets;
  }
  void count_mouse(unsigned workload, bool again, bool timeout, bool lost) {
    std::size_t slice = 0;
    Samples* window = window_now(slice);
    if (window == nullptr) return;
    LightSamples& samples = *light(*window, workload);
    ++samples.tcp.packets_sent;
    samples.tcp.retransmits += again;
    samples.repeated[slice] += again;
    samples.tcp.timeouts += timeout;
    samples.segments[0].lost[slice] += lost ? 1 : 0;
    samples.segments[0].coverage.packets += lost ? 0 : 1;
    if (!lost) samples.moved.count += workloads_[workload].mice.packet_bytes * 2;
  }
  void count_elephant(unsigned moved, bool timeout) {
    std::size_t slice = 0;
    Samples* window = window_now(slice);
    if (window == nullptr) return;
    HeavySamples& samples = window->heavy.front();
    samples.slices[slice].moved.count += moved;
    samples.slices[slice].wanting = true;
    samples.slices[slice].timeouts += timeout;
    samples.tcp.timeouts += timeout;
    samples.tcp.bytes_delivered += moved;
  }
  void finish(Samples& window) const {
    // Connections that are open and have been elephants want to send, unless they pause.
    const bool always_on = scene_.elephants.off == nanoseconds::zero();
    const bool over = &window == &after_ && scene_.after.elephants_stop;
    for (HeavySamples& heavy : window.heavy)
      for (HeavySlice& slice : heavy.slices) slice.wanting |= always_on && !over;
  }

  // --- the uplink ------------------------------------------------------------------------------

  double bytes_per_second() const { return static_cast<double>(scene_.rate.bytes_per_second()); }
  nanoseconds time_of(unsigned bytes, double share) const {
    return nanoseconds(std::llround(bytes / (bytes_per_second() * share) * 1e9));
  }
  double queue_bytes() const {
    return bytes_per_second() * std::chrono::duration<double>(scene_.queue).count();
  }

  /// Queue 0 is that of mice, or of all in a FIFO; false if there is no room.
  bool enqueue(const Packet& packet) {
    const std::size_t q = side_.discipline == Discipline::fifo || packet.mouse ? 0 : 1;
    const double room =
        q == 0 && side_.discipline != Discipline::fifo ? kSmallMouseQueue : queue_bytes();
    if (queued_bytes_[q] + packet.bytes > room) return false;
    queues_[q].push_back(packet);
    queued_bytes_[q] += packet.bytes;
    serve();
    return true;
  }

  bool is_limited(std::size_t q) const {
    return (q == 0 && side_.discipline == Discipline::mice_limited) ||
           (q == 1 && side_.discipline == Discipline::elephants_limited);
  }

  void serve() {
    if (now_ < link_free_) return;
    const std::size_t first = side_.discipline == Discipline::elephants_first ? 1 : 0;
    nanoseconds next = nanoseconds::max();
    for (const std::size_t q : {first, 1 - first}) {
      if (queues_[q].empty()) continue;
      if (is_limited(q) && now_ < allowed_[q]) {
        next = std::min(next, allowed_[q]);
        continue;
      }
      send(q);
      return;
    }
    if (next != nanoseconds::max() && next != wake_) post(wake_ = next, What::link_free);
  }

  void send(std::size_t q) {
    const Packet packet = queues_[q].front();
    queues_[q].pop_front();
    queued_bytes_[q] -= packet.bytes;
    if (is_limited(q)) allowed_[q] = now_ + time_of(packet.bytes, side_.limit);
    link_free_ = now_ + time_of(packet.bytes, side_.uplink);
    post(link_free_, What::link_free);
    if (packet.mouse)
      measure(packet.workload, 0, now_ - packet.queued);
    else
      measure_elephant(now_ - packet.queued);
    if (!scene_.narrow_beyond)
      arrive(packet, link_free_);
    else
      enter_beyond(packet);
  }

  /// A queue that knows no mice. When it is full, what comes is lost and the host hears nothing.
  void enter_beyond(const Packet& packet) {
    if (beyond_bytes_ + packet.bytes > queue_bytes()) {
      if (!packet.mouse)
        post(now_ + scene_.queue + scene_.elephants.round_trip, What::loss_seen, 0, packet.flow);
      return;
    }
    beyond_bytes_ += packet.bytes;
    beyond_.push_back(packet);
    if (beyond_.size() == 1) post(link_free_ + time_of(packet.bytes, 1), What::beyond_free);
  }
  void leave_beyond() {
    const Packet packet = beyond_.front();
    beyond_.pop_front();
    beyond_bytes_ -= packet.bytes;
    if (!beyond_.empty()) post(now_ + time_of(beyond_.front().bytes, 1), What::beyond_free);
    arrive(packet, now_);
  }

  void arrive(const Packet& packet, nanoseconds at) {
    if (packet.mouse) {
      post(at + scene_.round_trip / 2, What::answer, packet.workload, packet.flow, packet.tries,
           packet.request, packet.tries == 0 ? packet.sent : nanoseconds());
    } else {
      count_elephant(packet.bytes, false);
      post(at + scene_.elephants.round_trip, What::ack, 0, packet.flow);
    }
  }

  /// What was queued keeps its place in the new order.
  void change() {
    side_ = scene_.after;
    for (Flow& flow : flows_) flow.on = flow.on && !side_.elephants_stop;
    std::deque<Packet> all;
    for (auto& queue : queues_) {
      std::ranges::move(queue, std::back_inserter(all));
      queue.clear();
    }
    queued_bytes_[0] = queued_bytes_[1] = 0;
    std::ranges::stable_sort(all, {}, &Packet::queued);
    for (const Packet& packet : all) {
      const std::size_t q = side_.discipline == Discipline::fifo || packet.mouse ? 0 : 1;
      queues_[q].push_back(packet);
      queued_bytes_[q] += packet.bytes;
    }
    serve();
  }

  // --- mice ------------------------------------------------------------------------------------

  /// TCP sends again what is not acknowledged in time, whether it was lost or only waits.
  void send_mouse(const Event& event) {
    Workload& workload = workloads_[event.workload];
    const Mice& mice = workload.mice;
    const std::uint64_t request = workload.requests[event.flow];
    if (event.tries > 0 &&
        (event.request != request || workload.acknowledged[event.flow] == event.request))
      return;
    if (!mice.by_the_uplink) {  // another way out of the host, never full
      count_mouse(event.workload, false, false, false);
      measure(event.workload, 0, microseconds(2) + exponential(microseconds(5)));
      post(now_ + scene_.round_trip / 2, What::answer, event.workload, event.flow, 0, request,
           now_);
      return;
    }
    const bool queued = enqueue({.mouse = true,
                                 .workload = event.workload,
                                 .flow = event.flow,
                                 .bytes = mice.packet_bytes,
                                 .queued = now_,
                                 .sent = now_,
                                 .request = request,
                                 .tries = event.tries});
    count_mouse(event.workload, event.tries > 0, event.tries > 0, !queued);
    const nanoseconds wait = kTimeout * (1 << std::min(event.tries, 5U));
    post(now_ + wait, What::mouse_sends, event.workload, event.flow, event.tries + 1, request);
  }

  /// The other side. Its answer carries the acknowledgement, unless it takes its time.
  void answer(const Event& event) {
    Workload& workload = workloads_[event.workload];
    if (workload.acknowledged[event.flow] == event.request) return;  // a copy
    workload.acknowledged[event.flow] = event.request;
    const auto mean = nanoseconds(std::llround(
        static_cast<double>(workload.mice.other_side.count()) * side_.other_side_factor));
    const nanoseconds back = scene_.round_trip / 2, thinks = exponential(mean);
    if (event.sent > nanoseconds())
      measure(event.workload, 3,
              now_ + std::min(thinks, kDelayedAcknowledgement) + back - event.sent);
    post(now_ + thinks + back, What::response, event.workload, event.flow, event.tries,
         event.request);
  }

  /// The receive path: one CPU, which now and then does something else.
  void receive(const Event& event) {
    Workload& workload = workloads_[event.workload];
    if (workload.requests[event.flow] != event.request) return;  // a copy of what was answered
    ++workload.requests[event.flow];
    nanoseconds work = microseconds(3) + exponential(microseconds(5));
    if (uniform() < 0.001) work += exponential(scene_.stall);
    workload.stack_free = std::max(workload.stack_free, now_) + work;
    measure(event.workload, 1, workload.stack_free - now_);
    // The application takes one at a time; a packet waits until the one before is answered.
    const nanoseconds begin = std::max(workload.application_free, workload.stack_free);
    const auto mean = nanoseconds(static_cast<nanoseconds::rep>(
        static_cast<double>(workload.mice.service.count()) * side_.service_factor));
    measure(event.workload, 2, begin - workload.stack_free + microseconds(20));
    workload.application_free = begin + exponential(mean);
    post(workload.application_free, What::served, event.workload, event.flow);
  }

  // --- elephants -------------------------------------------------------------------------------

  void pump(unsigned number) {
    Flow& flow = flows_[number];
    while (flow.on && !flow.stopped && flow.in_flight < static_cast<unsigned>(flow.window)) {
      ++flow.in_flight;
      if (!enqueue({.flow = number, .bytes = kChunk, .queued = now_}))
        post(now_ + scene_.queue + scene_.elephants.round_trip, What::loss_seen, 0, number);
    }
  }
  void acknowledged(unsigned number) {
    Flow& flow = flows_[number];
    --flow.in_flight;
    flow.window += flow.window < flow.threshold ? 1 : 1 / flow.window;
    pump(number);
  }
  void loss_seen(unsigned number) {
    Flow& flow = flows_[number];
    --flow.in_flight;
    if (now_ - flow.cut > scene_.queue + scene_.elephants.round_trip) {
      flow.cut = now_;
      if (flow.in_flight < 3 && !flow.stopped) {  // too few acknowledgements to notice otherwise
        flow.stopped = true;
        flow.threshold = std::max(2.0, flow.window / 2);
        flow.window = 1;
        count_elephant(0, true);
        post(now_ + kTimeout, What::resume, 0, number);
      } else {
        flow.threshold = flow.window = std::max(2.0, flow.window * 0.7);
      }
    }
    pump(number);
  }

  void handle(const Event& event) {
    switch (event.what) {
      case What::change: return change();
      case What::link_free:
        if (event.at == wake_) wake_ = {};
        return serve();
      case What::beyond_free: return leave_beyond();
      case What::answer: return answer(event);
      case What::mouse_sends: return send_mouse(event);
      case What::response: return receive(event);
      case What::served:
        return post(now_ + exponential(workloads_[event.workload].mice.pause), What::mouse_sends,
                    event.workload, event.flow);
      case What::ack: return acknowledged(event.flow);
      case What::loss_seen: return loss_seen(event.flow);
      case What::resume: flows_[event.flow].stopped = false; return pump(event.flow);
      case What::flow_on:
        if (side_.elephants_stop) return;
        flows_[event.flow].on = true;
        if (scene_.elephants.off > nanoseconds::zero())
          post(now_ + exponential(scene_.elephants.on), What::flow_off, 0, event.flow);
        return pump(event.flow);
      case What::flow_off:
        flows_[event.flow].on = false;
        return post(now_ + exponential(scene_.elephants.off), What::flow_on, 0, event.flow);
    }
  }

  const Scene& scene_;
  std::mt19937_64 random_;
  Side side_;
  std::vector<Flow> flows_;
  std::vector<Workload> workloads_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  nanoseconds now_{}, link_free_{}, wake_{}, allowed_[2]{};
  std::deque<Packet> queues_[2], beyond_;
  double queued_bytes_[2] = {0, 0}, beyond_bytes_ = 0;
  unsigned elephants_sent_ = 0;
  Samples before_, after_;
};

}  // namespace

Simulated simulate(const Scene& scene) { return Model(scene).run(); }

}  // namespace ankus::bench
