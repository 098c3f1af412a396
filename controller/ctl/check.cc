// SPDX-License-Identifier: Apache-2.0
#include "ctl/check.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "policy/merge.h"
#include "policy/parse.h"

namespace ankus::ctl {
namespace {

using nlohmann::json;

std::string as_text(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string counted(std::size_t number, std::string_view noun) {
  return std::to_string(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

json as_json_row(const PolicyError& error) {
  return {{"file", error.file},
          {"line", error.line},
          {"column", error.column},
          {"key", error.key},
          {"text", error.text}};
}

json as_json_row(const Policy& policy) {
  json links = json::array(), rules = json::array();
  for (const LinkPolicy& link : policy.links) links.push_back(link.name);
  for (const Rule& rule : policy.rules)
    rules.push_back({{"name", rule.name}, {"text", to_text(rule)}});
  return {{"mode", to_text(policy.mode)}, {"links", links}, {"rules", rules}};
}

/// "good: mode advise, 1 link, 2 rules".
std::string contents(const Policy& policy) {
  return "good: mode " + std::string(to_text(policy.mode)) + ", " +
         counted(policy.links.size(), "link") + ", " + counted(policy.rules.size(), "rule");
}

}  // namespace

Answer check_policies(std::span<const PolicyText> files, bool as_json) {
  Answer answer;
  std::vector<PolicyFile> good;
  json rows = json::array(), errors = json::array(), policies = json::array(), together;
  for (const auto& [file, text] : files) {
    rows.push_back(file);
    if (!text) {
      answer.err += printable(text.error().text, 1000) + "\n";
      errors.push_back({{"file", file}, {"text", text.error().text}});
      continue;
    }
    ParsedPolicy parsed = parse_policy(*text, file);
    for (const PolicyError& error : parsed.errors) {
      answer.err += printable(to_text(error), 1000) + "\n";
      errors.push_back(as_json_row(error));
    }
    if (!parsed.errors.empty()) continue;
    policies.push_back(as_json_row(parsed.policy));
    policies.back()["file"] = file;
    answer.out += printable(file) + ": " + contents(parsed.policy) + "\n";
    for (const Rule& rule : parsed.policy.rules) answer.out += "  " + to_text(rule) + "\n";
    good.push_back({.name = file, .policy = std::move(parsed.policy)});
  }
  if (files.size() > 1 && good.size() == files.size()) {
    const MergedPolicies merged = merge_policies(good);
    for (const std::string& error : merged.errors) {
      answer.err += printable(error, 1000) + "\n";
      errors.push_back({{"text", error}});
    }
    if (merged.errors.empty()) {
      answer.out += "together: " + contents(merged.policy) + "\n";
      together = as_json_row(merged.policy);
    }
  }
  answer.code = errors.empty() ? ExitCode::ok : ExitCode::usage;
  if (!as_json) return answer;
  json reply{{"ok", errors.empty()}, {"errors", errors}, {"policies", policies}};
  if (!together.is_null()) reply["together"] = together;
  if (files.size() == 1)
    reply["file"] = rows[0];
  else
    reply["files"] = rows;
  return {.code = answer.code, .out = as_text(reply)};
}

}  // namespace ankus::ctl
