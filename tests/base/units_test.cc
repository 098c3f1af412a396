// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ankus {
namespace {

using testing::HasSubstr;

TEST(Units, ReadWhatPeopleWrite) {
  EXPECT_EQ(parse_bytes("64 KB")->count, 64'000u);
  EXPECT_EQ(parse_bytes("64KB")->count, 64'000u);
  EXPECT_EQ(parse_bytes(" 1.5 MB ")->count, 1'500'000u);
  EXPECT_EQ(parse_bytes("2 KiB")->count, 2'048u);
  EXPECT_EQ(parse_bytes("1 GiB")->count, 1'073'741'824u);
  EXPECT_EQ(parse_bit_rate("200 Mbit")->bits_per_second, 200'000'000u);
  EXPECT_EQ(parse_bit_rate("2.5 Gbit")->bits_per_second, 2'500'000'000u);
  EXPECT_DOUBLE_EQ(parse_share("2.5%")->of_one, 0.025);
  EXPECT_EQ(*parse_duration("100ms"), milliseconds(100));
  EXPECT_EQ(*parse_duration("1.5 s"), milliseconds(1500));
  EXPECT_EQ(*parse_duration("2m"), seconds(120));
}

TEST(Units, BitsAreNotBytes) {
  EXPECT_EQ(parse_bit_rate("8 Mbit")->bytes_per_second(), 1'000'000u);
  EXPECT_FALSE(parse_bit_rate("8 MB"));
  EXPECT_FALSE(parse_bytes("8 Mbit"));
}

TEST(Units, RefuseWhatIsNotAQuantity) {
  for (const char* text : {"", " ", "MB", "64", "-1 MB", "64 mb", "64 KB/s", "nan MB", "inf MB",
                           "1e3 MB", "0x10 B", "1 2 MB", "99999999999 GB", "64 KB\n#", "∞ MB"}) {
    const Result<Bytes> parsed = parse_bytes(text);
    ASSERT_FALSE(parsed) << text << " gave " << parsed->count;
    EXPECT_EQ(parsed.error().kind, ErrorKind::invalid) << text;
    EXPECT_FALSE(parsed.error().text.empty());
  }
  EXPECT_FALSE(parse_share("nan%"));
  EXPECT_FALSE(parse_share("inf%"));
  EXPECT_FALSE(parse_duration("nan s"));
  EXPECT_FALSE(parse_duration("9999999h"));
}

TEST(Units, ErrorsNameTheUnits) {
  const Result<BitRate> parsed = parse_bit_rate("200");
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().text, HasSubstr("\"200\""));
  EXPECT_THAT(parsed.error().text, HasSubstr("bit, Kbit, Mbit, Gbit"));
}

TEST(Units, TextIsWhatPeopleRead) {
  EXPECT_EQ(to_text(Bytes{0}), "0 B");
  EXPECT_EQ(to_text(Bytes{999}), "999 B");
  EXPECT_EQ(to_text(Bytes{1'514'000}), "1.514 MB");
  EXPECT_EQ(to_text(BitRate{196'000'000}), "196 Mbit");
  EXPECT_EQ(to_text(Share{0.025}), "2.5%");
  EXPECT_EQ(to_text(milliseconds(100)), "100ms");
  EXPECT_EQ(to_text(seconds(90)), "90s");
  EXPECT_EQ(to_text(seconds(120)), "2m");
  EXPECT_EQ(to_text(nanoseconds(-milliseconds(5))), "-5ms");
}

TEST(Units, RoundValuesSurviveTheRoundTrip) {
  for (const std::uint64_t n : {1u, 2u, 5u, 64u, 100u, 250u, 999u})
    for (const std::uint64_t unit : {1ull, 1'000ull, 1'000'000ull, 1'000'000'000ull}) {
      const Bytes bytes{n * unit};
      EXPECT_EQ(*parse_bytes(to_text(bytes)), bytes);
      const BitRate rate{n * unit};
      EXPECT_EQ(*parse_bit_rate(to_text(rate)), rate);
      const nanoseconds duration(static_cast<std::int64_t>(n * unit));
      EXPECT_EQ(*parse_duration(to_text(duration)), duration);
    }
  for (const double percent : {0.0, 0.1, 2.5, 10.0, 33.3, 60.0, 100.0})
    EXPECT_DOUBLE_EQ(parse_share(to_text(Share{percent / 100}))->of_one, percent / 100);
}

TEST(Units, RateTimesTimeIsBytes) {
  EXPECT_EQ((BitRate{200'000'000} * milliseconds(100)).count, 2'500'000u);
  EXPECT_EQ((BitRate{200'000'000} * Share{0.025}).bits_per_second, 5'000'000u);
}

}  // namespace
}  // namespace ankus
