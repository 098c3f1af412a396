// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ankus {

/// The highest CPU number that is understood (the kernel's CONFIG_NR_CPUS is 8192 at most).
inline constexpr std::uint32_t kHighestCpu = 8191;

/// A set of CPUs, by the kernel's numbers.
struct CpuSet {
  std::vector<std::uint32_t> cpus;  ///< ascending, each once

  bool empty() const { return cpus.empty(); }
  bool contains(std::uint32_t cpu) const;
  auto operator<=>(const CpuSet&) const = default;
};

/// In any order, with repetitions.
CpuSet cpu_set_of(std::vector<std::uint32_t> cpus);
CpuSet united(const CpuSet& a, const CpuSet& b);
CpuSet common(const CpuSet& a, const CpuSet& b);
CpuSet without(const CpuSet& from, const CpuSet& these);

/// The kernel's list form: "0-3,8"; "none" for the empty set.
std::string to_text(const CpuSet& set);
/// The same as files want it: empty for the empty set.
std::string cpu_list_text(const CpuSet& set);
/// The kernel's mask form, in groups of 32 bits: "1,0000000f"; "0" for the empty set.
std::string cpu_mask_text(const CpuSet& set);

/// Reads "0-3,8" (bitmap_parselist in lib/bitmap.c, without its groups and names); blanks around
/// and an empty text are fine. Error{invalid} names what is wrong.
Result<CpuSet> cpu_list_from_text(std::string_view text);
/// Reads "ff" or "00000000,0000000f", as sysfs prints masks.
Result<CpuSet> cpu_mask_from_text(std::string_view text);

}  // namespace ankus
