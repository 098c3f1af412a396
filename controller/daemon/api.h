// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace ankus::api {

/// What a caller must be allowed to do. Whoever may change may also read.
enum class Right { read, change };

/// What is asked for, one for each route. The daemon's handler is a switch over it.
enum class Verb {
  status,
  workloads,
  flows,
  queues,
  latency,
  measure,
  tcp,
  plan,
  history,
  explain,
  doctor,
  metrics,
  plan_policy,
  apply,
  confirm,
  rollback,
  pause,
  resume,
  reload,
  opt_out,
  opt_in,
};

/// What a field of a body holds. The handler looks at the rest: ranges, names.
enum class FieldKind { text, number, flag, any };

struct Field {
  std::string_view name;
  FieldKind kind;
  std::string_view needs = {};  ///< the field without which it means nothing
};

inline constexpr std::array kPolicyFields{
    Field{.name = "policy_text", .kind = FieldKind::text},
    Field{.name = "policy_file", .kind = FieldKind::text, .needs = "policy_text"},
};
inline constexpr std::array kApplyFields{
    Field{.name = "confirm_within_ms", .kind = FieldKind::number},
    kPolicyFields[0],
    kPolicyFields[1],
};
inline constexpr std::array kMeasureFields{
    Field{.name = "window_ms", .kind = FieldKind::number},
    Field{.name = "one_in", .kind = FieldKind::number},
};
inline constexpr std::array kRollbackFields{
    Field{.name = "id", .kind = FieldKind::text},
    Field{.name = "all", .kind = FieldKind::flag},
};
inline constexpr std::array kWorkloadFields{
    Field{.name = "workload", .kind = FieldKind::any},  // a name or an id
};

struct Route {
  Verb verb;
  std::string_view method;
  std::string_view path;  ///< one that ends in '/' takes an id behind it
  Right right;
  std::span<const Field> fields = {};  ///< all that its body may have
};

/// All that the control socket answers to (docs/api.md), with the right that each
/// needs and the fields that it takes.
inline constexpr std::array kRoutes{
    Route{.verb = Verb::status, .method = "GET", .path = "/v1/status", .right = Right::read},
    Route{.verb = Verb::workloads, .method = "GET", .path = "/v1/workloads", .right = Right::read},
    Route{.verb = Verb::flows, .method = "GET", .path = "/v1/flows", .right = Right::read},
    Route{.verb = Verb::queues, .method = "GET", .path = "/v1/queues", .right = Right::read},
    Route{.verb = Verb::latency, .method = "GET", .path = "/v1/latency", .right = Right::read},
    // Bounded in time and cost, so readers may ask for it.
    Route{.verb = Verb::measure,
          .method = "POST",
          .path = "/v1/latency",
          .right = Right::read,
          .fields = kMeasureFields},
    Route{.verb = Verb::tcp, .method = "GET", .path = "/v1/tcp", .right = Right::read},
    Route{.verb = Verb::plan, .method = "GET", .path = "/v1/plan", .right = Right::read},
    Route{.verb = Verb::history, .method = "GET", .path = "/v1/history", .right = Right::read},
    Route{.verb = Verb::explain, .method = "GET", .path = "/v1/explain/", .right = Right::read},
    Route{.verb = Verb::doctor, .method = "GET", .path = "/v1/doctor", .right = Right::read},
    Route{.verb = Verb::metrics, .method = "GET", .path = "/metrics", .right = Right::read},
    // Planning a policy of one's own hands text to the daemon's parser: not for readers.
    Route{.verb = Verb::plan_policy,
          .method = "POST",
          .path = "/v1/plan",
          .right = Right::change,
          .fields = kPolicyFields},
    Route{.verb = Verb::apply,
          .method = "POST",
          .path = "/v1/apply",
          .right = Right::change,
          .fields = kApplyFields},
    Route{.verb = Verb::confirm, .method = "POST", .path = "/v1/confirm", .right = Right::change},
    Route{.verb = Verb::rollback,
          .method = "POST",
          .path = "/v1/rollback",
          .right = Right::change,
          .fields = kRollbackFields},
    Route{.verb = Verb::pause, .method = "POST", .path = "/v1/pause", .right = Right::change},
    Route{.verb = Verb::resume, .method = "POST", .path = "/v1/resume", .right = Right::change},
    Route{.verb = Verb::reload, .method = "POST", .path = "/v1/reload", .right = Right::change},
    Route{.verb = Verb::opt_out,
          .method = "POST",
          .path = "/v1/opt-out",
          .right = Right::change,
          .fields = kWorkloadFields},
    Route{.verb = Verb::opt_in,
          .method = "POST",
          .path = "/v1/opt-in",
          .right = Right::change,
          .fields = kWorkloadFields},
};

constexpr const Route& route_of(Verb verb) {
  return *std::ranges::find(kRoutes, verb, &Route::verb);
}

constexpr bool path_matches(const Route& route, std::string_view path) {
  if (!route.path.ends_with('/')) return path == route.path;
  return path.starts_with(route.path) && path.size() > route.path.size();
}

}  // namespace ankus::api
