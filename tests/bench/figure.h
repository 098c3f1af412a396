// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace ankus::bench {

/// What the issue asks of a figure.
struct Goal {
  enum class Kind { none, at_least, at_most };
  Kind kind = Kind::none;
  double value = 0;
};

/// One measured thing, printed as one line of JSON for `bench` to show.
struct Figure {
  std::string name;  ///< "control/class_changes"
  double measured = 0;
  std::string unit;
  Goal goal;
  nlohmann::ordered_json detail = nlohmann::ordered_json::object();
};
void print(const Figure& figure);

/// 0 where there are no samples.
double median(std::vector<double> samples);
/// Nearest rank; `share` of 0.99 is the p99.
double percentile(std::vector<double> samples, double share);

inline double milliseconds_of(nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}
template <class Work>
double milliseconds_for(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return milliseconds_of(std::chrono::steady_clock::now() - start);
}

}  // namespace ankus::bench
