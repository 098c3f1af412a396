// SPDX-License-Identifier: Apache-2.0
#include "verify/gate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <span>

#include "base/text.h"
#include "verify/fitness.h"

namespace ankus {
namespace {

constexpr std::string_view kLevers[] = {"bandwidth", "receive", "cpus"};

// A sign is something that a light workload could notice; all are per second where they are counts.
constexpr nanoseconds kBacklog = milliseconds(1);
constexpr nanoseconds kSlowPath = std::chrono::microseconds(200);
constexpr double kDrops = 1, kSqueezes = 10;
constexpr Share kBusy{0.85};  ///< of a CPU: above it packets wait for it
constexpr Share kOwnShare{
    0.3};  ///< of a busy CPU's time: below it the CPU is not busy with packets
constexpr Share kMemoryStall{0.1};

std::string percent(Share share) { return std::to_string(std::lround(share.of_one * 100)) + "%"; }

std::string rate_text(double per_second) { return std::to_string(std::llround(per_second)) + "/s"; }

/// Collects the signs one by one.
class Look {
 public:
  explicit Look(const Samples& window) : window_(window) {}

  void count(std::string_view name, const std::optional<std::uint64_t>& events, double least) {
    if (!events || window_.length <= nanoseconds::zero()) return unknown(name);
    const double rate =
        static_cast<double>(*events) / std::chrono::duration<double>(window_.length).count();
    answer(name, rate_text(rate), rate >= least, rate_text(least));
  }
  void count(std::string_view name, const std::optional<std::vector<std::uint64_t>>& slices,
             std::uint64_t least) {
    if (!slices) return unknown(name);
    count(name, std::accumulate(slices->begin(), slices->end(), std::uint64_t{0}), least);
  }
  void time(std::string_view name, const std::optional<nanoseconds>& value, nanoseconds least) {
    if (!value) return unknown(name);
    answer(name, to_text(std::chrono::round<std::chrono::microseconds>(*value)), *value >= least,
           to_text(least));
  }
  void share(std::string_view name, const std::optional<Share>& value, Share least) {
    if (!value) return unknown(name);
    answer(name, percent(*value), *value >= least, percent(least));
  }

  GateAnswer result;

 private:
  static std::string to_text(nanoseconds time) { return ankus::to_text(time); }
  void unknown(std::string_view name) {
    result.missing.push_back(std::string(name) + " not known");
  }
  void answer(std::string_view name, const std::string& value, bool found,
              const std::string& least) {
    if (found)
      result.found.push_back(std::string(name) + " " + value);
    else
      result.missing.push_back(std::string(name) + " " + value + " (a sign from " + least + " on)");
  }

  const Samples& window_;
};

/// Of all light workloads; segments of which too little was measured say nothing.
std::optional<nanoseconds> longest_wait(const Samples& window, SegmentKind kind,
                                        const VerifyRule& rule) {
  std::optional<nanoseconds> longest;
  for (const LightSamples& light : window.watched) {
    nanoseconds all{};
    for (const SegmentSamples& segment : light.segments) {
      if (segment.kind != kind || !lack_of(segment, rule).empty()) continue;
      all += *quantile(pooled(segment), rule.quantile);
      longest = std::max(longest.value_or(nanoseconds::zero()), all);
    }
  }
  return longest;
}

/// Signs that something else is the trouble. A CPU that is busy without packets, and stalls for
/// memory, slow the network's work too, but no setting of the network will change that.
std::string other_trouble(const Samples& window, Lever lever) {
  const HostCounters& host = window.host;
  if (host.memory_stall && *host.memory_stall >= kMemoryStall)
    return "work waited for memory " + percent(*host.memory_stall) +
           " of the time, which is not the network's doing";
  // Another one that is full of packets can still be relieved.
  if (lever == Lever::receive && host.most_softirq && *host.most_softirq >= kBusy) return {};
  if (lever != Lever::bandwidth && host.cpu_busy && host.cpu_softirq && *host.cpu_busy >= kBusy &&
      host.cpu_softirq->of_one < host.cpu_busy->of_one * kOwnShare.of_one)
    return "its busiest CPU is busy with something else: " + percent(*host.cpu_busy) +
           " busy, but only " + percent(*host.cpu_softirq) + " with packets";
  return {};
}

}  // namespace

std::string_view to_text(Lever lever) { return kLevers[static_cast<std::size_t>(lever)]; }

GateAnswer gate(const Samples& window, Lever lever, const VerifyRule& rule) {
  const HostCounters& host = window.host;
  Look look(window);
  switch (lever) {
    case Lever::bandwidth:
      look.time("qdisc backlog", host.qdisc_backlog, kBacklog);
      look.count("qdisc drops", host.qdisc_drops, kDrops);
      break;
    case Lever::receive:
      look.count("softnet drops", host.softnet_drops, kDrops);
      look.count("softnet squeezes", host.softnet_squeezes, kSqueezes);
      look.count("receive queue drops", host.queue_drops, kDrops);
      look.share("softirq of one CPU", host.most_softirq, kBusy);
      break;
    case Lever::cpus:
      look.count("softnet drops", host.softnet_drops, kDrops);
      look.count("softnet squeezes", host.softnet_squeezes, kSqueezes);
      look.share("its busiest CPU", host.cpu_busy, kBusy);
      break;
  }
  const bool queue_signs = !look.result.found.empty();
  // The path's own latency is a sign for each lever, since each is on the path.
  const auto path = std::max(longest_wait(window, SegmentKind::in, rule),
                             longest_wait(window, SegmentKind::out, rule));
  look.time("path of light workloads on this host", path, kSlowPath);

  GateAnswer answer = std::move(look.result);
  // A queue that fills or overflows is the network's own trouble, whatever else there is.
  if (lever != Lever::bandwidth || !queue_signs) answer.against = other_trouble(window, lever);
  answer.open = !answer.found.empty() && answer.against.empty();
  if (answer.open) {
    answer.text = "signs: " + join(answer.found, ", ");
  } else if (!answer.against.empty()) {
    answer.text = "not tried: " + answer.against;
  } else {
    answer.text = "not tried, no sign that the network path of this host is the trouble: " +
                  join(answer.missing, ", ");
    const auto application = longest_wait(window, SegmentKind::application, rule);
    if (application && path && *application > *path)
      answer.text += "; the packets wait for their application, " +
                     to_text(std::chrono::round<std::chrono::microseconds>(*application));
  }
  return answer;
}

}  // namespace ankus
