// SPDX-License-Identifier: Apache-2.0
#include "verify/samples_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "verify/slices.h"

namespace ankus {
namespace {

using testing::HasSubstr;

Samples full() {
  Samples samples = window_of({light_of(1, milliseconds(2))}, {heavy_of(1'000'000)});
  samples.control = {light_of(9, milliseconds(1))};
  samples.watched.front().segments.front().lost = {0, 4, 0};
  samples.watched.front().tcp = {
      .packets_sent = 10, .retransmits = 2, .timeouts = 1, .bytes_delivered = 999};
  samples.watched.front().repeated = {0, 2, 0};
  samples.watched.front().segments.front().kind = SegmentKind::in;
  samples.watched.front().segments.push_back(
      segment_of("round trip", slices_of({}, milliseconds(9), 40), SegmentKind::round_trip));
  samples.heavy.front().segments = {segment_of("qdisc", slices_of({}, milliseconds(3), 40))};
  samples.heavy.front().slices[2].wanting = false;
  samples.heavy.front().slices[3].timeouts = 7;
  samples.host = {.softnet_drops = std::vector<std::uint64_t>{1, 0},
                  .softnet_squeezes = std::vector<std::uint64_t>{2, 0},
                  .qdisc_drops = 3,
                  .qdisc_backlog = milliseconds(4),
                  .queue_drops = 5,
                  .cpu_busy = Share{0.5},
                  .cpu_softirq = Share{0.25},
                  .most_softirq = Share{0.375},
                  .memory_stall = Share{0}};
  return samples;
}

TEST(SamplesJson, ReadsBackEqual) {
  for (const Samples& samples : {full(), Samples{}}) {
    const auto direct = samples_from_json(to_json(samples));
    ASSERT_TRUE(direct) << direct.error().text;
    EXPECT_EQ(*direct, samples);
    const auto by_text = samples_from_json(nlohmann::json::parse(to_json(samples).dump()));
    ASSERT_TRUE(by_text);
    EXPECT_EQ(*by_text, samples);
  }
}

TEST(SamplesJson, SaysWhatIsWrongWhere) {
  const auto error_of = [](const char* pointer, const nlohmann::json& value) {
    nlohmann::json json = to_json(full());
    json[nlohmann::json::json_pointer(pointer)] = value;
    const auto read = samples_from_json(json);
    return read ? std::string("none") : read.error().text;
  };
  EXPECT_THAT(error_of("/watched/0/moved", -1), HasSubstr("\"moved\" is not a whole number"));
  EXPECT_THAT(error_of("/watched/0/segments/0/kind", "x"), HasSubstr("\"kind\" is none of \"in\""));
  EXPECT_THAT(error_of("/watched/0/segments/0/slices/0", {{"256", 1}}), HasSubstr("no bucket"));
  EXPECT_THAT(error_of("/watched/0/repeated/1", -2), HasSubstr("repeated. is not a whole number"));
  EXPECT_THAT(error_of("/heavy", 3), HasSubstr("\"heavy\" is not a list"));
  EXPECT_THAT(error_of("/host/cpu_busy", "all"), HasSubstr("\"cpu_busy\" is not a number"));
  EXPECT_FALSE(samples_from_json(nlohmann::json::array()));
  EXPECT_FALSE(samples_from_json(nlohmann::json::object()));
}

TEST(SamplesJson, AVerdictLeavesOutWhatIsUnbounded) {
  const Verdict verdict{.effect = Effect::helped,
                        .comparisons = {{.name = "a", .after = {.high = nanoseconds::max()}}}};
  const nlohmann::json json = to_json(verdict);
  EXPECT_EQ(json["effect"], "helped");
  EXPECT_FALSE(json["comparisons"][0]["path_after"].contains("high_ns"));
  EXPECT_TRUE(json["comparisons"][0]["path_before"].contains("high_ns"));
}

}  // namespace
}  // namespace ankus
