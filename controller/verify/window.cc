// SPDX-License-Identifier: Apache-2.0
#include "verify/window.h"

#include <algorithm>

namespace ankus {
namespace {

constexpr std::string_view kRoundTrip = "round trip";

using Row = std::pair<WorkloadId, LatencySegment>;

const SegmentLatency* row_of(const LatencyReading& reading, const Row& row) {
  const auto found = std::ranges::find_if(reading.segments, [&](const SegmentLatency& s) {
    return s.workload == row.first && s.segment == row.second;
  });
  return found == reading.segments.end() ? nullptr : &*found;
}

const WorkloadTotals* totals_of(const Look& look, WorkloadId workload) {
  const auto found = std::ranges::find(look.workloads, workload, &WorkloadTotals::workload);
  return found == look.workloads.end() ? nullptr : &*found;
}

/// A counter that was set back begins anew.
std::uint64_t growth(std::uint64_t later, std::uint64_t earlier) {
  return later >= earlier ? later - earlier : later;
}

template <class T>
std::optional<T> growth(const std::optional<T>& later, const std::optional<T>& earlier) {
  if (!later || !earlier || *later < *earlier) return std::nullopt;
  return *later - *earlier;
}

TcpHealth growth(const TcpHealth& later, const TcpHealth& earlier) {
  return {.packets_sent = growth(later.packets_sent, earlier.packets_sent),
          .retransmits = growth(later.retransmits, earlier.retransmits),
          .timeouts = growth(later.timeouts, earlier.timeouts),
          .bytes_delivered = growth(later.bytes_delivered, earlier.bytes_delivered)};
}

template <class T>
std::optional<T> median(std::vector<T> values) {
  if (values.empty()) return std::nullopt;
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

/// One segment of one workload, look by look. What was measured before the first look is not ours.
SegmentSamples segment_samples(const std::vector<Look>& looks, const Row& row) {
  const LatencySegmentInfo& info = info_of(row.second);
  SegmentSamples samples{.name = info.name,
                         .kind = info.application        ? SegmentKind::application
                                 : info.towards_workload ? SegmentKind::in
                                                         : SegmentKind::out};
  const SegmentLatency none{};
  for (std::size_t i = 1; i < looks.size(); ++i) {
    const SegmentLatency* later = row_of(looks[i].latency, row);
    const SegmentLatency* earlier = row_of(looks[i - 1].latency, row);
    if (earlier == nullptr) earlier = &none;
    if (later == nullptr) later = earlier;
    samples.slices.push_back(
        difference(later->histogram, earlier->histogram).value_or(later->histogram));
    samples.coverage +=
        Coverage{.measured = growth(later->coverage.measured, earlier->coverage.measured),
                 .packets = growth(later->coverage.packets, earlier->coverage.packets)};
    samples.lost.push_back(growth(later->dropped, earlier->dropped));
  }
  return samples;
}

/// What TCP has measured by itself, look by look; covered as far as it was asked to tell.
SegmentSamples round_trips(const std::vector<Look>& looks, WorkloadId workload) {
  SegmentSamples samples{.name = std::string(kRoundTrip), .kind = SegmentKind::round_trip};
  for (std::size_t i = 1; i < looks.size(); ++i) {
    const WorkloadTotals* later = totals_of(looks[i], workload);
    const WorkloadTotals* earlier = totals_of(looks[i - 1], workload);
    Histogram slice;
    if (later != nullptr && earlier != nullptr)
      slice = difference(later->rtt, earlier->rtt).value_or(later->rtt);
    const std::uint64_t measured = total(slice);
    const std::uint64_t one_in = std::max(
        {std::uint32_t{1}, later ? later->rtt_one_in : 1, earlier ? earlier->rtt_one_in : 1});
    samples.coverage += Coverage{.measured = measured, .packets = measured * one_in};
    samples.slices.push_back(slice);
  }
  return samples;
}

/// A VM's, which no socket of this kernel has: as seen at its tap.
SegmentSamples round_trips_at_tap(const std::vector<Look>& looks, WorkloadId workload) {
  SegmentSamples samples = segment_samples(looks, {workload, LatencySegment::round_trip});
  samples.name = kRoundTrip;
  samples.kind = SegmentKind::round_trip;
  return samples;
}

/// None if one look could not tell.
std::optional<std::vector<std::uint64_t>> by_slice(
    const std::vector<Look>& looks, std::optional<std::uint64_t> HostTotals::* counter) {
  std::vector<std::uint64_t> slices;
  for (std::size_t i = 1; i < looks.size(); ++i) {
    const auto grown = growth(looks[i].host.*counter, looks[i - 1].host.*counter);
    if (!grown) return std::nullopt;
    slices.push_back(*grown);
  }
  return slices;
}

/// The network holds it back: it sends a twentieth again.
bool held_back(const TcpHealth& later, const TcpHealth& earlier) {
  const TcpHealth tcp = growth(later, earlier);
  return tcp.retransmits > 0 && tcp.retransmits * 20 >= tcp.packets_sent;
}

/// A service of the host has no device of its own, and no parts of its way in.
bool has_parts_of_in(const std::vector<SegmentLatency>& segments, WorkloadId workload) {
  return std::ranges::any_of(segments, [&](const SegmentLatency& s) {
    return s.workload == workload &&
           (s.segment == LatencySegment::host_in || s.segment == LatencySegment::stack_in);
  });
}

/// What was measured of each workload. A sensor whose window is over says nothing any more.
std::map<WorkloadId, std::vector<Row>> rows_of(const std::vector<Look>& looks) {
  std::map<WorkloadId, std::vector<Row>> rows;
  const auto seen = std::ranges::find_if(looks.rbegin(), looks.rend(), [](const Look& look) {
    return !look.latency.segments.empty();
  });
  if (seen == looks.rend()) return rows;
  const std::vector<SegmentLatency>& segments = seen->latency.segments;
  for (const SegmentLatency& s : segments) {
    // Includes TCP's own waiting for its windows, which nothing of ours shortens or lengthens.
    if (s.segment == LatencySegment::send) continue;
    const bool whole = s.segment == LatencySegment::in && !has_parts_of_in(segments, s.workload);
    if (whole || !info_of(s.segment).spans_others)
      rows[s.workload].emplace_back(s.workload, s.segment);
  }
  return rows;
}

}  // namespace

void SampleWindow::add(Look look) { looks_.push_back(std::move(look)); }

Samples SampleWindow::samples() const {
  Samples samples;
  if (looks_.size() < 2) return samples;
  const Look &first = looks_.front(), &last = looks_.back();
  samples.length = last.at - first.at;

  std::map<WorkloadId, std::vector<Row>> rows = rows_of(looks_);
  for (const WorkloadTotals& now : last.workloads) {
    const WorkloadTotals* then = totals_of(first, now.workload);
    if (then == nullptr) continue;  // came meanwhile: nothing to compare with
    const TcpHealth tcp = growth(now.tcp, then->tcp);
    if (now.weight == Weight::light || now.weight == Weight::unknown) {
      LightSamples light{.workload = now.workload,
                         .name = now.name,
                         .tcp = tcp,
                         .moved = {growth(now.moved.count, then->moved.count)}};
      for (const Row& row : rows[now.workload]) {
        light.segments.push_back(segment_samples(looks_, row));
        // Until the VMM or vhost takes it, whatever the guest does.
        if (now.guest && row.second == LatencySegment::stack_and_read)
          light.segments.back().kind = SegmentKind::in;
      }
      // TCP is seen in all network namespaces and on loopback: what passes nothing of this host's
      // path is no witness of it.
      const bool passes = light.moved.count > 0 || !light.segments.empty();
      if (passes) {
        SegmentSamples trips = round_trips(looks_, now.workload);
        if (trips.coverage.measured == 0) trips = round_trips_at_tap(looks_, now.workload);
        if (trips.coverage.measured > 0) light.segments.push_back(std::move(trips));
      }
      for (std::size_t i = 1; i < looks_.size(); ++i) {
        const WorkloadTotals* later = totals_of(looks_[i], now.workload);
        const WorkloadTotals* earlier = totals_of(looks_[i - 1], now.workload);
        light.repeated.push_back(later != nullptr && earlier != nullptr
                                     ? growth(later->tcp.retransmits, earlier->tcp.retransmits)
                                     : 0);
      }
      if (!light.segments.empty()) samples.watched.push_back(std::move(light));
      continue;
    }
    HeavySamples heavy{.workload = now.workload, .name = now.name, .tcp = tcp};
    for (const Row& row : rows[now.workload])
      if (!info_of(row.second).application) heavy.segments.push_back(segment_samples(looks_, row));
    for (std::size_t i = 1; i < looks_.size(); ++i) {
      const WorkloadTotals* later = totals_of(looks_[i], now.workload);
      const WorkloadTotals* earlier = totals_of(looks_[i - 1], now.workload);
      if (later == nullptr || earlier == nullptr) continue;
      // One that is over counts for seconds to come, and wants nothing. One that is throttled to
      // death soon counts as a mouse, and wants as before.
      const bool moves = growth(later->by_elephants.count, earlier->by_elephants.count) > 0;
      const bool wanting = (moves && later->elephants > 0 && earlier->elephants > 0) ||
                           (then->elephants > 0 && held_back(later->tcp, earlier->tcp));
      heavy.slices.push_back({.length = looks_[i].at - looks_[i - 1].at,
                              .moved = {growth(later->moved.count, earlier->moved.count)},
                              .timeouts = growth(later->tcp.timeouts, earlier->tcp.timeouts),
                              .wanting = wanting});
    }
    samples.heavy.push_back(std::move(heavy));
  }

  std::vector<nanoseconds> backlogs;
  std::vector<Share> busy, softirq, most_softirq;
  for (std::size_t i = 0; i < looks_.size(); ++i) {
    const HostTotals& host = looks_[i].host;
    if (host.qdisc_backlog) backlogs.push_back(*host.qdisc_backlog);
    if (i > 0 && host.cpu_busy) busy.push_back(*host.cpu_busy);
    if (i > 0 && host.cpu_softirq) softirq.push_back(*host.cpu_softirq);
    if (i > 0 && host.most_softirq) most_softirq.push_back(*host.most_softirq);
  }
  const auto stalled = growth(last.host.memory_stalled, first.host.memory_stalled);
  samples.host = {.softnet_drops = by_slice(looks_, &HostTotals::softnet_drops),
                  .softnet_squeezes = by_slice(looks_, &HostTotals::softnet_squeezes),
                  .qdisc_drops = growth(last.host.qdisc_drops, first.host.qdisc_drops),
                  .qdisc_backlog = median(std::move(backlogs)),
                  .queue_drops = growth(last.host.queue_drops, first.host.queue_drops),
                  .cpu_busy = median(std::move(busy)),
                  .cpu_softirq = median(std::move(softirq)),
                  .most_softirq = median(std::move(most_softirq))};
  if (stalled && samples.length > nanoseconds(0))
    samples.host.memory_stall =
        Share{static_cast<double>(stalled->count()) / static_cast<double>(samples.length.count())};
  return samples;
}

}  // namespace ankus
