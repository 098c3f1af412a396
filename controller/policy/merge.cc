// SPDX-License-Identifier: Apache-2.0
#include "policy/merge.h"

#include <algorithm>

#include "base/text.h"
#include "policy/cross_check.h"

namespace ankus {
namespace {

template <class Block>
void take_if_set(Block& into, const Block& from, const Block& unset) {
  if (from != unset) into = from;
}

void take_blocks(Policy& into, const Policy& from) {
  static const Policy kUnset;
  take_if_set(into.mode, from.mode, kUnset.mode);
  take_if_set(into.fast, from.fast, kUnset.fast);
  take_if_set(into.elephant, from.elephant, kUnset.elephant);
  take_if_set(into.admission, from.admission, kUnset.admission);
  take_if_set(into.probation, from.probation, kUnset.probation);
  take_if_set(into.footprint, from.footprint, kUnset.footprint);
  take_if_set(into.guard, from.guard, kUnset.guard);
  take_if_set(into.audit_required, from.audit_required, kUnset.audit_required);
  take_if_set(into.verify, from.verify, kUnset.verify);
}

}  // namespace

MergedPolicies merge_policies(std::span<const PolicyFile> files) {
  MergedPolicies merged;
  Policy& all = merged.policy;
  std::vector<std::string> file_of;  // each rule's
  for (const PolicyFile& file : files) {
    for (const Rule& rule : file.policy.rules) {
      const auto same = std::ranges::find(all.rules, rule.name, &Rule::name);
      if (same != all.rules.end())
        merged.errors.push_back(file.name + ": rule " + quoted(rule.name) + " is in " +
                                file_of[static_cast<std::size_t>(same - all.rules.begin())] +
                                " too; rename one of them");
      all.rules.push_back(rule);
      file_of.push_back(file.name);
    }
    for (const LinkPolicy& link : file.policy.links) {
      if (std::ranges::find(all.links, link.name, &LinkPolicy::name) != all.links.end())
        merged.errors.push_back(file.name + ": [link." + link.name +
                                "] is in an earlier file too; keep one of them");
      all.links.push_back(link);
    }
    take_blocks(all, file.policy);
  }
  if (all.rules.size() > kMaxRules)
    merged.errors.push_back(std::to_string(all.rules.size()) + " rules in all files; at most " +
                            std::to_string(kMaxRules) + " are possible");
  // Each file by itself is right, or was found wrong before.
  if (files.size() > 1 && merged.errors.empty())
    for (const Contradiction& found : cross_check(all))
      merged.errors.push_back(file_of[found.rule] + ": rule " + quoted(all.rules[found.rule].name) +
                              ": " + std::string(found.block) + ": " + found.text);
  return merged;
}

}  // namespace ankus
