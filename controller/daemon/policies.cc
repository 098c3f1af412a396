// SPDX-License-Identifier: Apache-2.0
#include "daemon/policies.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"

namespace ankus {
namespace {

/// Takes `from` for `into` if the file said something about it.
template <class Table>
void take_if_set(Table& into, const Table& from) {
  if (from != Table{}) into = from;
}

Result<void> add(LoadedPolicies& all, const Policy& next, const std::string& file) {
  Policy& policy = all.policy;
  for (const Rule& rule : next.rules) {
    if (std::ranges::find(policy.rules, rule.name, &Rule::name) != policy.rules.end())
      return fail(ErrorKind::invalid, file + ": rule " + ankus::quoted(rule.name) +
                                          " is in an earlier file too; rename one of them");
    policy.rules.push_back(rule);
  }
  for (const LinkPolicy& link : next.links) {
    if (std::ranges::find(policy.links, link.name, &LinkPolicy::name) != policy.links.end())
      return fail(ErrorKind::invalid,
                  file + ": [link." + link.name + "] is in an earlier file too; keep one of them");
    policy.links.push_back(link);
  }
  const Policy unset;
  if (next.mode != unset.mode) policy.mode = next.mode;
  if (next.audit_required != unset.audit_required) policy.audit_required = next.audit_required;
  take_if_set(policy.fast, next.fast);
  take_if_set(policy.elephant, next.elephant);
  take_if_set(policy.admission, next.admission);
  take_if_set(policy.probation, next.probation);
  take_if_set(policy.footprint, next.footprint);
  take_if_set(policy.guard, next.guard);
  take_if_set(policy.verify, next.verify);
  all.sources.push_back({.file = file, .rules = next.rules.size()});
  return {};
}

Result<Policy> parsed(const std::string& text, const std::string& file) {
  ParsedPolicy result = parse_policy(text, file);
  if (result.errors.empty()) return std::move(result.policy);
  std::vector<std::string> lines;
  for (const PolicyError& error : result.errors) lines.push_back(to_text(error));
  return fail(ErrorKind::invalid, join(lines, "\n"));
}

}  // namespace

Result<LoadedPolicies> load_policies(const std::vector<std::string>& files,
                                     const std::string& directory) {
  std::vector<std::string> paths = files;
  if (paths.empty()) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error))
      if (entry.path().extension() == ".toml") paths.push_back(entry.path());
    // A directory that is not there holds no policy; any other trouble is one.
    if (error && error != std::errc::no_such_file_or_directory)
      return fail_errno(directory, error.value());
    std::ranges::sort(paths);
  }
  LoadedPolicies all;
  for (const std::string& path : paths) {
    const auto text = read_policy_file(path);
    if (!text) return std::unexpected(text.error());
    const auto policy = parsed(*text, path);
    if (!policy) return std::unexpected(policy.error());
    if (auto done = add(all, *policy, path); !done) return std::unexpected(done.error());
  }
  return all;
}

Result<LoadedPolicies> policy_from_text(const std::string& text, const std::string& name) {
  const auto policy = parsed(text, name);
  if (!policy) return std::unexpected(policy.error());
  return LoadedPolicies{.policy = *policy,
                        .sources = {{.file = name, .rules = policy->rules.size()}}};
}

}  // namespace ankus
