// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic_latency.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace ankus::traffic {

namespace {

nanoseconds rank_of(const std::vector<nanoseconds>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

double microseconds(nanoseconds duration) {
  return std::round(std::chrono::duration<double, std::micro>(duration).count() * 10) / 10;
}

Result<> write_file(const std::string& path, const void* data, std::size_t size) {
  Handle<FILE, fclose> file(std::fopen(path.c_str(), "we"));
  if (!file) return fail_errno("open " + path);
  if (std::fwrite(data, 1, size, file.get()) != size || std::fflush(file.get()) != 0)
    return fail_errno("write " + path);
  return {};
}

}  // namespace

LatencySummary summarise(std::vector<nanoseconds> samples) {
  if (samples.empty()) return {};
  std::ranges::sort(samples);
  return {.count = samples.size(),
          .p50 = rank_of(samples, 0.5),
          .p90 = rank_of(samples, 0.9),
          .p95 = rank_of(samples, 0.95),
          .p99 = rank_of(samples, 0.99),
          .p999 = rank_of(samples, 0.999),
          .max = samples.back()};
}

nlohmann::ordered_json to_json(const LatencySummary& summary) {
  return {{"count", summary.count},
          {"p50_us", microseconds(summary.p50)},
          {"p90_us", microseconds(summary.p90)},
          {"p95_us", microseconds(summary.p95)},
          {"p99_us", microseconds(summary.p99)},
          {"p999_us", microseconds(summary.p999)},
          {"max_us", microseconds(summary.max)}};
}

Result<> write_samples(const std::string& path, const std::vector<nanoseconds>& samples) {
  std::vector<std::uint32_t> values;
  values.reserve(samples.size());
  for (nanoseconds sample : samples)
    values.push_back(static_cast<std::uint32_t>(std::clamp<std::int64_t>(
        sample / std::chrono::microseconds(1), 0, std::numeric_limits<std::uint32_t>::max())));
  return write_file(path, values.data(), values.size() * sizeof(std::uint32_t));
}

Result<> write_json(const std::string& path, const nlohmann::ordered_json& json) {
  const std::string text = json.dump(1) + "\n";
  if (path.empty() || path == "-") {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
      return fail_errno("write to standard output");
    return {};
  }
  return write_file(path, text.data(), text.size());
}

}  // namespace ankus::traffic
