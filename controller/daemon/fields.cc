// SPDX-License-Identifier: Apache-2.0
#include "daemon/fields.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace ankus {
namespace {

using api::Field;
using api::FieldKind;
using nlohmann::json;

bool is_of(const json& value, FieldKind kind) {
  switch (kind) {
    case FieldKind::text: return value.is_string();
    case FieldKind::number: return value.is_number_integer();
    case FieldKind::flag: return value.is_boolean();
    case FieldKind::any: return true;
  }
  return false;
}

std::string_view name_of(FieldKind kind) {
  switch (kind) {
    case FieldKind::text: return "text";
    case FieldKind::number: return "a whole number";
    case FieldKind::flag: return "true or false";
    case FieldKind::any: return "there";
  }
  return "";
}

std::string known_fields(const api::Route& route) {
  if (route.fields.empty()) return "knows no fields";
  std::vector<std::string> names;
  for (const Field& field : route.fields) names.emplace_back(field.name);
  return "knows " + join(names, ", ");
}

}  // namespace

std::optional<std::string> wrong_field(const json& body, const api::Route& route) {
  for (const auto& [name, value] : body.items()) {
    const auto field = std::ranges::find(route.fields, name, &Field::name);
    if (field == route.fields.end())
      return "unknown field " + ankus::quoted(name) + ": " + std::string(route.method) + " " +
             std::string(route.path) + " " + known_fields(route);
    if (!is_of(value, field->kind)) return name + " must be " + std::string(name_of(field->kind));
    if (!field->needs.empty() && !body.contains(field->needs))
      return name + " without " + std::string(field->needs) + " means nothing";
  }
  return std::nullopt;
}

}  // namespace ankus
