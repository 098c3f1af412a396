// SPDX-License-Identifier: Apache-2.0
#include "daemon/policies.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "policy/merge.h"

namespace ankus {
namespace {

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
  std::vector<PolicyFile> read;
  LoadedPolicies all;
  for (const std::string& path : paths) {
    const auto text = read_policy_file(path);
    if (!text) return std::unexpected(text.error());
    auto policy = parsed(*text, path);
    if (!policy) return std::unexpected(policy.error());
    all.sources.push_back({.file = path, .rules = policy->rules.size()});
    read.push_back({.name = path, .policy = std::move(*policy)});
  }
  MergedPolicies merged = merge_policies(read);
  if (!merged.errors.empty()) return fail(ErrorKind::invalid, join(merged.errors, "\n"));
  all.policy = std::move(merged.policy);
  return all;
}

Result<LoadedPolicies> policy_from_text(const std::string& text, const std::string& name) {
  const auto policy = parsed(text, name);
  if (!policy) return std::unexpected(policy.error());
  return LoadedPolicies{.policy = *policy,
                        .sources = {{.file = name, .rules = policy->rules.size()}}};
}

}  // namespace ankus
