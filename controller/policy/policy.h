// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/cpu_set.h"
#include "base/units.h"
#include "model/verify_rule.h"
#include "model/workload.h"

namespace ankus {

/// How far the daemon goes: only watch, say what it would do, do it.
enum class Mode { observe, advise, enforce };
std::string_view to_text(Mode mode);
std::optional<Mode> mode_from_text(std::string_view text);

/// Where the narrow place of a link is: in the device itself, or somewhere behind it.
enum class Bottleneck { here, beyond };

/// The device name that stands for the devices of the default routes.
inline constexpr std::string_view kUplink = "uplink";

/// What the operator says of a device: [link.NAME].
struct LinkPolicy {
  std::string name;
  std::optional<BitRate> rate;  ///< none: what the driver reports
  Bottleneck bottleneck = Bottleneck::here;
  Share shape_to{0.98};             ///< of `rate`; beyond only
  std::optional<BitRate> download;  ///< present: what the device receives is shaped too
  Share download_share{0.95};
  bool accept_single_lock = false;  ///< HTB has one lock for all transmit queues
  std::uint64_t single_lock_pps = 200'000;

  bool operator==(const LinkPolicy&) const = default;
};

/// When a flow is fast: more than `share` of the link within `window`, at least `floor`; for
/// `hold`.
struct FastRule {
  Share share{0.025};
  Bytes floor{64'000};
  nanoseconds window = milliseconds(100);
  nanoseconds hold = seconds(1);

  bool operator==(const FastRule&) const = default;
};

/// When a flow is called an elephant: `bytes` moved, or `rate` of the link held for `held`.
struct ElephantRule {
  Bytes bytes{10'000'000};
  Share rate{0.1};
  nanoseconds held = seconds(1);  ///< the key is "for"
  nanoseconds calm = seconds(5);

  bool operator==(const ElephantRule&) const = default;
};

/// What one workload may put into light classes, all its slow flows together.
struct AdmissionRule {
  Share share{0.1};
  nanoseconds burst = milliseconds(2);  ///< at the link's rate; flow_rules.h: at least so much
  /// For so long a workload over its share stays out; then its bucket fills anew, at `share`.
  nanoseconds hold = seconds(3);

  bool operator==(const AdmissionRule&) const = default;
};

/// The class of new flows of heavy, mixed and unknown workloads, and how they leave it.
struct ProbationRule {
  Share guarantee{0.1};
  nanoseconds prove = milliseconds(200);

  bool operator==(const ProbationRule&) const = default;
};

/// When a workload counts as heavy.
struct FootprintRule {
  nanoseconds window = seconds(10);
  Share heavy_rate{0.1};
  nanoseconds calm = seconds(30);

  bool operator==(const FootprintRule&) const = default;
};

/// Which traffic a rule is for. Everything left out matches.
struct Match {
  std::optional<Weight> footprint;  ///< light: flows that are not fast; heavy: those that are
  std::optional<WorkloadKind> kind;
  std::string name;   ///< glob; empty matches all
  std::string label;  ///< glob; empty matches all

  bool operator==(const Match&) const = default;
};
bool matches(const Match& match, const Workload& workload, Weight flow);
/// If the workload as a whole is meant: its footprint is light; or heavy, or mixed for `heavy`.
bool matches(const Match& match, const Workload& workload, const Footprint& footprint);
/// The first for traffic whose owner is not known, or has opted out: only a match that asks nothing
/// of the owner is for it.
bool matches_nobody(const Match& match, Weight flow);

/// What no class's queue is below. One packet with segmentation offload must fit, or it never gets
/// through: of 64 KB, and its headers once more for each further segment, as qdiscs count it.
inline constexpr Bytes kShortestQueue{72'000};

struct Bandwidth {
  std::string device;  ///< a name, or kUplink
  Share guarantee;
  Share limit{1.0};
  std::uint32_t priority = 3;  ///< 0 is served first, 7 last
  std::optional<Bytes> queue;

  bool operator==(const Bandwidth&) const = default;
};

/// When the entries of a device's RSS table move to other queues.
struct Receive {
  enum class Balance {
    load,   ///< so that no queue has much more to do than the others
    apart,  ///< besides, entries with elephants to queues of their own
  };
  std::string device;  ///< a name, or kUplink
  Balance balance = Balance::load;
  Share min_gain{0.25};  ///< predicted; for less nothing moves
  Share busy{0.85};      ///< of the busiest queue's CPU; below it nothing moves
  std::vector<std::uint32_t> elephant_queues;  ///< apart: ascending
  bool take_user_table = false;                ///< one that somebody else has set

  bool operator==(const Receive&) const = default;
};

/// Which CPUs do a piece of a device's or a workload's work.
struct Steering {
  enum class Cpus { all, numa_local, list };
  std::string device;  ///< a name, kUplink or, but for irq, a glob; not used by vhost
  Cpus cpus = Cpus::all;
  CpuSet list;
  bool avoid_light = false;  ///< not those of light workloads' cpusets

  bool operator==(const Steering&) const = default;
};

/// What matches gets what its blocks say; there is at least one.
struct Rule {
  std::string name;
  Match match;
  std::optional<Bandwidth> bandwidth;
  std::optional<Receive> receive;
  std::optional<Steering> rps, xps;  ///< of the devices of workloads that match; of all devices
  std::optional<Steering> irq;
  std::optional<Steering> vhost, napi;  ///< threads

  bool operator==(const Rule&) const = default;
};
/// One line for people: `"mice first" on eth0: guarantee 60%, limit 100%, priority 0`.
std::string to_text(const Rule& rule);
/// "CPUs 2-5", "NUMA-local CPUs but those of light workloads".
std::string to_text(const Steering& steering);

struct Guard {
  nanoseconds cooldown = seconds(30);   ///< between two plans that are applied without a person
  std::uint32_t actions_per_plan = 60;  ///< of a plan with more, a person has to decide
  std::vector<std::string> protected_devices;  ///< globs
  CpuSet protected_cpus;                       ///< no work is put there

  bool operator==(const Guard&) const = default;
};

/// What an operator wrote, checked: each value is within its range.
struct Policy {
  Mode mode = Mode::advise;
  std::vector<LinkPolicy> links;
  FastRule fast;
  ElephantRule elephant;
  AdmissionRule admission;
  ProbationRule probation;
  FootprintRule footprint;
  std::vector<Rule> rules;
  Guard guard;
  bool audit_required = true;
  VerifyRule verify;

  bool operator==(const Policy&) const = default;
};

}  // namespace ankus
