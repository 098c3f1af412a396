// SPDX-License-Identifier: Apache-2.0
#include "bench/figure.h"

#include <algorithm>
#include <cmath>
#include <iostream>

namespace ankus::bench {

void print(const Figure& figure) {
  nlohmann::ordered_json json{
      {"name", figure.name}, {"measured", figure.measured}, {"unit", figure.unit}};
  switch (figure.goal.kind) {
    case Goal::Kind::none:
      json["goal"] = "";
      json["verdict"] = "-";
      break;
    case Goal::Kind::at_least:
      json["goal"] = ">= " + nlohmann::json(figure.goal.value).dump();
      json["verdict"] = figure.measured >= figure.goal.value ? "ok" : "MISS";
      break;
    case Goal::Kind::at_most:
      json["goal"] = "<= " + nlohmann::json(figure.goal.value).dump();
      json["verdict"] = figure.measured <= figure.goal.value ? "ok" : "MISS";
      break;
  }
  json["detail"] = figure.detail;
  std::cout << json.dump() << std::endl;
}

double median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  std::ranges::sort(samples);
  const std::size_t middle = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

double percentile(std::vector<double> samples, double share) {
  if (samples.empty()) return 0;
  std::ranges::sort(samples);
  const auto rank =
      static_cast<std::size_t>(std::ceil(share * static_cast<double>(samples.size())));
  return samples[std::clamp<std::size_t>(rank, 1, samples.size()) - 1];
}

}  // namespace ankus::bench
