// SPDX-License-Identifier: Apache-2.0
#include "base/cpu_set.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <optional>

#include "base/text.h"

namespace ankus {
namespace {

template <int Base>
std::optional<std::uint32_t> number_from(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, Base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> cpu_from(std::string_view text) {
  const auto cpu = number_from<10>(text);
  return cpu && *cpu <= kHighestCpu ? cpu : std::nullopt;
}

}  // namespace

bool CpuSet::contains(std::uint32_t cpu) const { return std::ranges::binary_search(cpus, cpu); }

CpuSet cpu_set_of(std::vector<std::uint32_t> cpus) {
  std::ranges::sort(cpus);
  const auto repeated = std::ranges::unique(cpus);
  cpus.erase(repeated.begin(), repeated.end());
  return {.cpus = std::move(cpus)};
}

CpuSet united(const CpuSet& a, const CpuSet& b) {
  CpuSet both;
  std::ranges::set_union(a.cpus, b.cpus, std::back_inserter(both.cpus));
  return both;
}

CpuSet common(const CpuSet& a, const CpuSet& b) {
  CpuSet both;
  std::ranges::set_intersection(a.cpus, b.cpus, std::back_inserter(both.cpus));
  return both;
}

CpuSet without(const CpuSet& from, const CpuSet& these) {
  CpuSet rest;
  std::ranges::set_difference(from.cpus, these.cpus, std::back_inserter(rest.cpus));
  return rest;
}

std::string cpu_list_text(const CpuSet& set) {
  std::string text;
  for (std::size_t i = 0; i < set.cpus.size();) {
    std::size_t last = i;
    while (last + 1 < set.cpus.size() && set.cpus[last + 1] == set.cpus[last] + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(set.cpus[i]);
    if (last > i) text += "-" + std::to_string(set.cpus[last]);
    i = last + 1;
  }
  return text;
}

std::string to_text(const CpuSet& set) { return set.empty() ? "none" : cpu_list_text(set); }

std::string cpu_mask_text(const CpuSet& set) {
  if (set.empty()) return "0";
  std::vector<std::uint32_t> words(set.cpus.back() / 32 + 1);
  for (const std::uint32_t cpu : set.cpus) words[cpu / 32] |= 1U << cpu % 32;
  std::string text;
  for (auto word = words.rbegin(); word != words.rend(); ++word) {
    char digits[16];
    std::snprintf(digits, sizeof digits, text.empty() ? "%x" : ",%08x", *word);
    text += digits;
  }
  return text;
}

Result<CpuSet> cpu_list_from_text(std::string_view text) {
  std::vector<std::uint32_t> cpus;
  if (trim(text).empty()) return CpuSet{};
  for (const std::string_view part : split(trim(text), ',')) {
    const std::vector<std::string_view> ends = split(trim(part), '-');
    const auto first = cpu_from(ends.front()), last = cpu_from(ends.back());
    if (ends.size() > 2 || !first || !last || *last < *first)
      return fail(ErrorKind::invalid, quoted(text) + " is not a list of CPUs such as \"0-3,8\"");
    for (std::uint32_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
  }
  return cpu_set_of(std::move(cpus));
}

Result<CpuSet> cpu_mask_from_text(std::string_view text) {
  const std::vector<std::string_view> words = split(trim(text), ',');
  CpuSet set;
  std::uint32_t base = 0;
  for (auto word = words.rbegin(); word != words.rend(); ++word, base += 32) {
    const auto bits = word->size() <= 8 ? number_from<16>(*word) : std::nullopt;
    if (!bits || base > kHighestCpu)
      return fail(ErrorKind::invalid, quoted(text) + " is not a mask of CPUs such as \"ff\"");
    for (std::uint32_t bit = 0; bit < 32; ++bit)
      if ((*bits >> bit & 1) != 0) set.cpus.push_back(base + bit);
  }
  return set;
}

}  // namespace ankus
