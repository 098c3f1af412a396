// SPDX-License-Identifier: Apache-2.0
#include "ctl/check.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/text.h"
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

}  // namespace

Answer check_policy(const std::string& text, const std::string& file, bool as_json) {
  const ParsedPolicy parsed = parse_policy(text, file);
  const bool ok = parsed.errors.empty();
  Answer answer{.code = ok ? ExitCode::ok : ExitCode::usage};
  if (as_json) {
    json errors = json::array();
    for (const PolicyError& error : parsed.errors)
      errors.push_back({{"file", error.file},
                        {"line", error.line},
                        {"column", error.column},
                        {"key", error.key},
                        {"text", error.text}});
    answer.out = as_text({{"file", file}, {"ok", ok}, {"errors", errors}});
    return answer;
  }
  if (ok) {
    answer.out = printable(file) + ": good: mode " + std::string(to_text(parsed.policy.mode)) +
                 ", " + counted(parsed.policy.links.size(), "link") + ", " +
                 counted(parsed.policy.rules.size(), "rule") + "\n";
    for (const Rule& rule : parsed.policy.rules) answer.out += "  " + to_text(rule) + "\n";
  }
  for (const PolicyError& error : parsed.errors)
    answer.err += printable(to_text(error), 1000) + "\n";
  return answer;
}

}  // namespace ankus::ctl
