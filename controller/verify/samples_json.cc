// SPDX-License-Identifier: Apache-2.0
#include "verify/samples_json.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "base/text.h"

namespace ankus {
namespace {

using nlohmann::json;

constexpr std::string_view kKinds[] = {"in", "out", "round trip", "application"};

json histogram_json(const Histogram& histogram) {
  json buckets = json::object();
  for (std::size_t b = 0; b < kHistogramBuckets; ++b)
    if (histogram.counts[b] != 0) buckets[std::to_string(b)] = histogram.counts[b];
  return buckets;
}

json segment_json(const SegmentSamples& segment) {
  json slices = json::array();
  for (const Histogram& slice : segment.slices) slices.push_back(histogram_json(slice));
  return {{"name", printable(segment.name)},
          {"kind", kKinds[static_cast<std::size_t>(segment.kind)]},
          {"slices", std::move(slices)},
          {"measured", segment.coverage.measured},
          {"packets", segment.coverage.packets},
          {"lost", segment.lost}};
}

json tcp_json(const TcpHealth& tcp) {
  return {{"packets_sent", tcp.packets_sent},
          {"retransmits", tcp.retransmits},
          {"timeouts", tcp.timeouts},
          {"bytes_delivered", tcp.bytes_delivered}};
}

json light_json(const LightSamples& light) {
  json segments = json::array();
  for (const SegmentSamples& segment : light.segments) segments.push_back(segment_json(segment));
  return {{"workload", light.workload},      {"name", printable(light.name)},
          {"segments", std::move(segments)}, {"tcp", tcp_json(light.tcp)},
          {"repeated", light.repeated},      {"moved", light.moved.count}};
}

json heavy_json(const HeavySamples& heavy) {
  json slices = json::array();
  for (const HeavySlice& slice : heavy.slices)
    slices.push_back({{"length_ns", slice.length.count()},
                      {"moved", slice.moved.count},
                      {"timeouts", slice.timeouts},
                      {"wanting", slice.wanting}});
  json segments = json::array();
  for (const SegmentSamples& segment : heavy.segments) segments.push_back(segment_json(segment));
  return {{"workload", heavy.workload},
          {"name", printable(heavy.name)},
          {"segments", std::move(segments)},
          {"slices", std::move(slices)},
          {"tcp", tcp_json(heavy.tcp)}};
}

json host_json(const HostCounters& host) {
  json object = json::object();
  const auto count = [&](const char* key, const std::optional<std::uint64_t>& value) {
    if (value) object[key] = *value;
  };
  const auto share = [&](const char* key, const std::optional<Share>& value) {
    if (value) object[key] = value->of_one;
  };
  if (host.softnet_drops) object["softnet_drops"] = *host.softnet_drops;
  if (host.softnet_squeezes) object["softnet_squeezes"] = *host.softnet_squeezes;
  count("qdisc_drops", host.qdisc_drops);
  if (host.qdisc_backlog) object["qdisc_backlog_ns"] = host.qdisc_backlog->count();
  count("queue_drops", host.queue_drops);
  share("cpu_busy", host.cpu_busy);
  share("cpu_softirq", host.cpu_softirq);
  share("most_softirq", host.most_softirq);
  share("memory_stall", host.memory_stall);
  return object;
}

std::uint64_t count_from(const json& number, const std::string& where, std::string& error) {
  if (number.is_number_unsigned()) return number.get<std::uint64_t>();
  if (error.empty()) error = "samples: " + where + " is not a whole number";
  return 0;
}

/// Reads one object's keys; remembers the first thing that was wrong.
class Reader {
 public:
  Reader(const json& object, std::string where, std::string& error)
      : object_(object), where_(std::move(where)), error_(error) {
    if (!object.is_object()) complain("is not an object");
  }

  template <class T>
  void whole(const char* key, T& into) {
    const json* found = find(key);
    if (found == nullptr) return;
    // What was made from a signed count and never written as text is a signed number.
    const bool whole_number = found->is_number_unsigned() ||
                              (found->is_number_integer() && found->get<std::int64_t>() >= 0);
    const bool fits = whole_number && found->get<std::uint64_t>() <=
                                          static_cast<std::uint64_t>(std::numeric_limits<T>::max());
    if (fits)
      into = static_cast<T>(found->get<std::uint64_t>());
    else
      complain("\"" + std::string(key) + "\" is not a whole number that fits");
  }
  void time(const char* key, nanoseconds& into) {
    nanoseconds::rep count = 0;
    whole(key, count);
    into = nanoseconds(count);
  }
  void text(const char* key, std::string& into) {
    const json* found = find(key);
    if (found == nullptr) return;
    if (found->is_string())
      into = found->get<std::string>();
    else
      complain("\"" + std::string(key) + "\" is not text");
  }
  void flag(const char* key, bool& into) {
    const json* found = find(key);
    if (found == nullptr) return;
    if (found->is_boolean())
      into = found->get<bool>();
    else
      complain("\"" + std::string(key) + "\" is not true or false");
  }
  template <class T, class Read>
  void list(const char* key, std::vector<T>& into, Read read) {
    const json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_array()) return complain("\"" + std::string(key) + "\" is not a list");
    for (const json& one : *found) into.push_back(read(one, where_ + key + ".", error_));
  }
  template <class T, class Read>
  void below(const char* key, T& into, Read read) {
    if (const json* found = find(key)) into = read(*found, where_ + key + ".", error_);
  }

  bool has(const char* key) const { return object_.is_object() && object_.contains(key); }
  void maybe(const char* key, std::optional<std::uint64_t>& into) {
    if (has(key)) whole(key, into.emplace());
  }
  void maybe(const char* key, std::optional<std::vector<std::uint64_t>>& into) {
    if (has(key)) list(key, into.emplace(), count_from);
  }
  void maybe(const char* key, std::optional<Share>& into) {
    const json* found = has(key) ? find(key) : nullptr;
    if (found == nullptr) return;
    if (found->is_number())
      into = Share{found->get<double>()};
    else
      complain("\"" + std::string(key) + "\" is not a number");
  }

  void complain(const std::string& problem) {
    if (error_.empty()) error_ = "samples: " + where_ + " " + problem;
  }

 private:
  const json* find(const char* key) {
    if (!error_.empty() || !object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    complain("\"" + std::string(key) + "\" is missing");
    return nullptr;
  }

  const json& object_;
  std::string where_;
  std::string& error_;
};

Histogram histogram_from(const json& object, const std::string& where, std::string& error) {
  Histogram histogram;
  Reader reader(object, where, error);
  if (!object.is_object()) return histogram;
  for (const auto& [key, value] : object.items()) {
    std::size_t bucket = 0;
    const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), bucket);
    if (code != std::errc() || end != key.data() + key.size() || bucket >= kHistogramBuckets)
      reader.complain("no bucket is called " + ankus::quoted(key));
    else
      reader.whole(key.c_str(), histogram.counts[bucket]);
  }
  return histogram;
}

SegmentSamples segment_from(const json& object, const std::string& where, std::string& error) {
  SegmentSamples segment;
  Reader reader(object, where, error);
  std::string kind;
  reader.text("name", segment.name);
  reader.text("kind", kind);
  const auto known = std::ranges::find(kKinds, kind);
  if (known == std::end(kKinds))
    reader.complain("\"kind\" is none of \"in\", \"out\", \"round trip\", \"application\"");
  else
    segment.kind = static_cast<SegmentKind>(known - std::begin(kKinds));
  reader.list("slices", segment.slices, histogram_from);
  reader.whole("measured", segment.coverage.measured);
  reader.whole("packets", segment.coverage.packets);
  reader.list("lost", segment.lost, count_from);
  return segment;
}

TcpHealth tcp_from(const json& object, const std::string& where, std::string& error) {
  TcpHealth tcp;
  Reader reader(object, where, error);
  reader.whole("packets_sent", tcp.packets_sent);
  reader.whole("retransmits", tcp.retransmits);
  reader.whole("timeouts", tcp.timeouts);
  reader.whole("bytes_delivered", tcp.bytes_delivered);
  return tcp;
}

LightSamples light_from(const json& object, const std::string& where, std::string& error) {
  LightSamples light;
  Reader reader(object, where, error);
  reader.whole("workload", light.workload);
  reader.text("name", light.name);
  reader.list("segments", light.segments, segment_from);
  reader.below("tcp", light.tcp, tcp_from);
  reader.list("repeated", light.repeated, count_from);
  reader.whole("moved", light.moved.count);
  return light;
}

HeavySlice heavy_slice_from(const json& object, const std::string& where, std::string& error) {
  HeavySlice slice;
  Reader reader(object, where, error);
  reader.time("length_ns", slice.length);
  reader.whole("moved", slice.moved.count);
  reader.whole("timeouts", slice.timeouts);
  reader.flag("wanting", slice.wanting);
  return slice;
}

HeavySamples heavy_from(const json& object, const std::string& where, std::string& error) {
  HeavySamples heavy;
  Reader reader(object, where, error);
  reader.whole("workload", heavy.workload);
  reader.text("name", heavy.name);
  reader.list("slices", heavy.slices, heavy_slice_from);
  reader.list("segments", heavy.segments, segment_from);
  reader.below("tcp", heavy.tcp, tcp_from);
  return heavy;
}

HostCounters host_from(const json& object, const std::string& where, std::string& error) {
  HostCounters host;
  Reader reader(object, where, error);
  reader.maybe("softnet_drops", host.softnet_drops);
  reader.maybe("softnet_squeezes", host.softnet_squeezes);
  reader.maybe("qdisc_drops", host.qdisc_drops);
  if (reader.has("qdisc_backlog_ns")) reader.time("qdisc_backlog_ns", host.qdisc_backlog.emplace());
  reader.maybe("queue_drops", host.queue_drops);
  reader.maybe("cpu_busy", host.cpu_busy);
  reader.maybe("cpu_softirq", host.cpu_softirq);
  reader.maybe("most_softirq", host.most_softirq);
  reader.maybe("memory_stall", host.memory_stall);
  return host;
}

json bounded_json(const Bounded& figure) {
  json object{{"low_ns", figure.low.count()}, {"value_ns", figure.value.count()}};
  if (figure.high != nanoseconds::max()) object["high_ns"] = figure.high.count();
  return object;
}

json findings_json(const std::vector<Finding>& findings) {
  json list = json::array();
  for (const Finding& finding : findings)
    list.push_back({{"rule", finding.rule}, {"numbers", finding.numbers}});
  return list;
}

}  // namespace

json to_json(const Samples& samples) {
  json watched = json::array(), control = json::array(), heavy = json::array();
  for (const LightSamples& light : samples.watched) watched.push_back(light_json(light));
  for (const LightSamples& light : samples.control) control.push_back(light_json(light));
  for (const HeavySamples& one : samples.heavy) heavy.push_back(heavy_json(one));
  return {{"length_ns", samples.length.count()},
          {"watched", std::move(watched)},
          {"control", std::move(control)},
          {"heavy", std::move(heavy)},
          {"host", host_json(samples.host)}};
}

Result<Samples> samples_from_json(const json& object) {
  Samples samples;
  std::string error;
  Reader reader(object, "", error);
  reader.time("length_ns", samples.length);
  reader.list("watched", samples.watched, light_from);
  reader.list("control", samples.control, light_from);
  reader.list("heavy", samples.heavy, heavy_from);
  reader.below("host", samples.host, host_from);
  if (!error.empty()) return fail(ErrorKind::invalid, error);
  return samples;
}

json to_json(const Verdict& verdict) {
  json comparisons = json::array();
  for (const Comparison& one : verdict.comparisons) {
    json object{{"workload", one.workload},
                {"name", printable(one.name)},
                {"control", one.control},
                {"effect", to_text(one.effect)},
                {"path_before", bounded_json(one.before)},
                {"path_after", bounded_json(one.after)},
                {"packets_before", one.packets_before},
                {"packets_after", one.packets_after},
                {"worth_before", one.worth_before},
                {"worth_after", one.worth_after},
                {"coverage_before", one.coverage_before.of_one},
                {"coverage_after", one.coverage_after.of_one},
                {"quicker", one.moved_quicker},
                {"slower", one.moved_slower},
                {"reason", printable(one.reason, 400)}};
    if (one.application_before) object["application_before_ns"] = one.application_before->count();
    if (one.application_after) object["application_after_ns"] = one.application_after->count();
    comparisons.push_back(std::move(object));
  }
  return {{"effect", to_text(verdict.effect)},       {"reason", printable(verdict.reason, 400)},
          {"comparisons", std::move(comparisons)},   {"vetoes", findings_json(verdict.vetoes)},
          {"doubts", findings_json(verdict.doubts)}, {"rules", verdict.rules}};
}

}  // namespace ankus
