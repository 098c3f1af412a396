// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace ankus {

/// A number of bytes.
struct Bytes {
  std::uint64_t count = 0;
  auto operator<=>(const Bytes&) const = default;
};

/// A rate in bits per second, as network people write it: "200 Mbit".
struct BitRate {
  std::uint64_t bits_per_second = 0;
  auto operator<=>(const BitRate&) const = default;
  std::uint64_t bytes_per_second() const { return bits_per_second / 8; }
};

/// A share of something; 1.0 is all of it.
struct Share {
  double of_one = 0;
  auto operator<=>(const Share&) const = default;
};

inline BitRate operator*(BitRate rate, Share share) {
  return {static_cast<std::uint64_t>(static_cast<double>(rate.bits_per_second) * share.of_one)};
}
/// The bytes that `rate` carries in `time`.
inline Bytes operator*(BitRate rate, nanoseconds time) {
  return {static_cast<std::uint64_t>(static_cast<double>(rate.bytes_per_second()) *
                                     std::chrono::duration<double>(time).count())};
}

// Each parser wants a number and a unit ("10 MB", "64KB", "200 Mbit", "60%", "100ms") and says in
// its error which units there are. Bytes and rates are decimal (1 KB = 1000) except KiB, MiB, GiB.
Result<Bytes> parse_bytes(std::string_view text);
Result<BitRate> parse_bit_rate(std::string_view text);
Result<Share> parse_share(std::string_view text);
Result<nanoseconds> parse_duration(std::string_view text);

// The shortest text with at most three digits after the point that a person reads: "10 MB",
// "196 Mbit", "2.5%", "100ms". to_text of a parsed round value gives an equal value again.
std::string to_text(Bytes bytes);
std::string to_text(BitRate rate);
std::string to_text(Share share);
std::string to_text(nanoseconds duration);

}  // namespace ankus
