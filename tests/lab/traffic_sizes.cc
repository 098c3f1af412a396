// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic_sizes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "base/text.h"

namespace ankus::traffic {

namespace {

// As in HPCC's traffic_gen and HKUST's TrafficGenerator, which agree.
constexpr std::array websearch_points = {
    SizePoint{0, 0},           SizePoint{10'000, .15},     SizePoint{20'000, .20},
    SizePoint{30'000, .30},    SizePoint{50'000, .40},     SizePoint{80'000, .53},
    SizePoint{200'000, .60},   SizePoint{1'000'000, .70},  SizePoint{2'000'000, .80},
    SizePoint{5'000'000, .90}, SizePoint{10'000'000, .97}, SizePoint{30'000'000, 1},
};

// As in HPCC's FbHdp_distribution.
constexpr std::array hadoop_points = {
    SizePoint{0, 0},           SizePoint{100, .01},      SizePoint{200, .02},
    SizePoint{300, .05},       SizePoint{350, .15},      SizePoint{400, .20},
    SizePoint{500, .30},       SizePoint{600, .40},      SizePoint{700, .50},
    SizePoint{1'000, .60},     SizePoint{2'000, .67},    SizePoint{7'000, .70},
    SizePoint{30'000, .72},    SizePoint{50'000, .82},   SizePoint{80'000, .87},
    SizePoint{120'000, .90},   SizePoint{300'000, .95},  SizePoint{1'000'000, .975},
    SizePoint{2'000'000, .99}, SizePoint{10'000'000, 1},
};

}  // namespace

Result<SizeTable> find_size_table(std::string_view name) {
  if (name == "websearch") return SizeTable{.name = "websearch", .points = websearch_points};
  if (name == "hadoop") return SizeTable{.name = "hadoop", .points = hadoop_points};
  return fail(ErrorKind::invalid,
              "--table " + quoted(name) + " is unknown: there are websearch and hadoop");
}

std::uint64_t size_at(const SizeTable& table, double share) {
  share = std::clamp(share, 0.0, 1.0);
  const auto above = std::ranges::lower_bound(table.points, share, {}, &SizePoint::share);
  if (above == table.points.begin()) return above->bytes;
  const SizePoint& low = *(above - 1);
  const double part = (share - low.share) / (above->share - low.share);
  return low.bytes + static_cast<std::uint64_t>(
                         std::llround(part * static_cast<double>(above->bytes - low.bytes)));
}

double mean_size(const SizeTable& table) {
  double mean = 0;
  for (std::size_t i = 1; i < table.points.size(); ++i) {
    const SizePoint &low = table.points[i - 1], &high = table.points[i];
    mean += (high.share - low.share) * static_cast<double>(low.bytes + high.bytes) / 2;
  }
  return mean;
}

double draw_share(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1.0p-53;
}

}  // namespace ankus::traffic
