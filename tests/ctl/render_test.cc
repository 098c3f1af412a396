// SPDX-License-Identifier: Apache-2.0
#include "ctl/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace ankus::ctl {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Style kPlain{};

TEST(RenderStatus, ShowsStateSensorsLinksAndWhatIsHeld) {
  const json reply = json::parse(R"json({
  "version": "0.1.0",
  "pid": 812,
  "kernel": "6.12.30",
  "mode": "enforce",
  "started": "2025-06-01T12:00:00Z",
  "uptime_s": 3725,
  "state": {"name": "pending_confirmation", "plan": "p-81d0c4aa", "deadline_s": 42},
  "policies": [{"file": "10-mice.toml", "rules": 3}, {"file": "20-rx.toml", "rules": 1}],
  "sensors": [
    {"name": "conntrack", "state": "on", "detail": "netfilter link", "flows": 1200, "capacity": 65536, "memory_bytes": 9437184},
    {"name": "latency", "state": "off"}],
  "downgrades": ["no trampolines"],
  "counters": {"map_full": 0, "lost_records": 2},
  "conntrack": {"active": true, "accounting": false},
  "links": [
    {"name": "eth0", "rate_bits_per_second": 10000000000, "managed": true},
    {"name": "wg0", "managed": false, "refusal": "protected"}],
  "queues": [
    {"name": "eth0", "packets_per_second": [98000, 3, 412000, 52000], "busiest": {"queue": 2, "irq": 34, "cpus": "2", "busy": 0.612}},
    {"name": "eth1", "packets_per_second": [0, 0]}],
  "held": [
    {"id": "a-3f9c2e1b", "plan": "p-81d0c4aa", "knob": "class 7a8c:10 on eth0", "before": "absent", "now": "rate 6 Gbit", "since": "2025-06-01T12:00:00Z", "reason": "rule \"mice first\""}],
  "ceded": [
    {"knob": "root qdisc on eth1", "found": "tbf 1:", "since": "2025-06-01T12:00:00Z", "until_s": 3540}],
  "verdict": {"plan": "p-81d0c4aa", "verdict": "better", "text": "p99 61 ms -> 0.3 ms", "time": "2025-06-01T12:00:10Z"},
  "history_ok": false,
  "history_text": "disk full"
})json");
  EXPECT_EQ(render_status(reply, kPlain),
            R"text(ankusd 0.1.0, mode enforce, kernel 6.12.30, pid 812, up 1h 2m

state     pending_confirmation: plan p-81d0c4aa is undone in 42s unless `ankusctl confirm`
policies  10-mice.toml (3 rules), 20-rx.toml (1 rule)
verdict   better (plan p-81d0c4aa, 2025-06-01T12:00:10Z): p99 61 ms -> 0.3 ms
conntrack active, accounting off
history   NOT WRITTEN: disk full
counters  lost records 2, map full 0

Sensors
  NAME       STATE       FLOWS   MEMORY  DETAIL
  conntrack  on     1200/65536  9.44 MB  netfilter link
  latency    off             -        -

Links
  NAME         RATE  MANAGED
  eth0  10.0 Gbit/s  yes
  wg0             -  no: protected

Receive queues
  NAME  RX QUEUES  PACKETS/S  EACH  BUSIEST
  eth0          4       562k  ▃▁█▂  rx 2 → IRQ 34 → CPU 2  ██████░░░░  61%
  eth1          2          0  ▁▁    nothing was received

In force (1)
  ID          PLAN        SINCE                 WHAT                   NOW          BEFORE  REASON
  a-3f9c2e1b  p-81d0c4aa  2025-06-01T12:00:00Z  class 7a8c:10 on eth0  rate 6 Gbit  absent  rule "mice first"

Ceded to others
  WHAT                FOUND   SINCE                 LEFT ALONE FOR
  root qdisc on eth1  tbf 1:  2025-06-01T12:00:00Z          59m 0s

Downgrades
  no trampolines
)text");
}

TEST(RenderStatus, ShowsTheTrialThatIsUnderWay) {
  const json reply{{"trial", "plan p-1: measuring after, 8s left; kept only if it helps\033"}};
  EXPECT_THAT(render_status(reply, kPlain),
              HasSubstr("\ntrial     plan p-1: measuring after, 8s left; kept only if it "
                        "helps\\x1b\n"));
  EXPECT_THAT(render_status(json::object(), kPlain), Not(HasSubstr("trial")));
}

TEST(RenderStatus, SaysWhatWaitsForAPerson) {
  EXPECT_THAT(render_status({{"waiting", "plan p-1 has 85 actions"}}, kPlain),
              HasSubstr("\nwaiting   plan p-1 has 85 actions\n"));
  EXPECT_THAT(render_status(json::object(), kPlain), Not(HasSubstr("waiting")));
}

TEST(RenderStatus, SaysThatTheHostIsAsItWasOnlyIfNobodyHasTakenPartOfIt) {
  EXPECT_THAT(render_status({{"held", json::array()}}, kPlain),
              HasSubstr("\nNothing of Ankus is in force: the host is as Ankus found it\n"));
  EXPECT_THAT(render_status({{"ceded", {{{"knob", "root qdisc on eth1"}}}}}, kPlain),
              HasSubstr("\nNothing of Ankus is in force\n"));
}

TEST(RenderFlows, SaysHowToSeeMoreWhereThereIsMore) {
  const auto last_line = [](std::size_t shown) {
    const std::string text = render_flows(
        {{"total", 60'000}, {"flows", std::vector<json>(shown, json::object())}}, kPlain);
    return text.substr(text.rfind('\n', text.size() - 2) + 1);
  };
  EXPECT_EQ(last_line(20), "20 of 60000 flows; --limit shows more\n");
  EXPECT_EQ(last_line(10'000), "10000 of 60000 flows\n");
}

TEST(RenderOutcome, SaysThatTheEffectIsJudged) {
  const json reply = json::parse(R"({"plan": "p-1", "state": "applied",
      "note_lines": ["the effect on light workloads is judged in 9s; harmful, it is undone", 17]})");
  EXPECT_EQ(render_outcome(reply, kPlain),
            "applied plan p-1\n"
            "the effect on light workloads is judged in 9s; harmful, it is undone\n");
}

TEST(RenderExplain, ShowsWhatWasJudged) {
  const json reply = json::parse(R"({"kind": "plan", "id": "p-1", "title": "plan p-1",
      "judged": {"kept": true, "text": "helped: web", "window_s": 6, "verdict": {"effect": "helped"}}})");
  EXPECT_EQ(render_explain(reply, kPlain),
            "plan p-1\n\nverdict: helped, kept (windows of 6s)\n  helped: web\n");
}

TEST(RenderWorkloads, AlignsNumbersAndDefusesNames) {
  const json reply = json::parse(R"json({
  "workloads": [
    {"id": 7, "name": "web-1", "label": "compose:shop/web", "kind": "container", "weight": "heavy", "reason": "moved 182 Mbit/s, 98% by 4 elephants", "transmit_bits_per_second": 182000000, "receive_bits_per_second": 1200000, "elephants": 4, "elephant_share": 0.98, "learnt": true, "opted_out": false, "device": "veth12", "since_s": 12.5},
    {"id": 12, "name": "evil\u001b[31m", "kind": "vm", "weight": "light", "transmit_bits_per_second": 0, "receive_bits_per_second": 999600, "elephants": 0, "elephant_share": 0, "opted_out": true, "since_s": 100000}]
})json");
  EXPECT_EQ(
      render_workloads(reply, kPlain),
      R"text(ID  NAME          LABEL             KIND       FOOTPRINT    FOR    TRANSMIT      RECEIVE  ELEPHANTS  SHARE  DEVICE  REASON
 7  web-1         compose:shop/web  container  heavy        12s  182 Mbit/s  1.20 Mbit/s          4    98%  veth12  moved 182 Mbit/s, 98% by 4 elephants (learnt)
12  evil\x1b[31m  -                 vm         light      1d 3h     0 bit/s  1.00 Mbit/s          0     0%  -       (opted out)
)text");
}

TEST(RenderFlows, ShowsBothSidesOfNat) {
  const json reply = json::parse(R"json({
  "total": 1200,
  "flows": [
    {"local": "10.0.0.2:40000", "remote": "192.0.2.9:443", "wire_local": "198.51.100.7:40000", "protocol": "tcp", "owner": {"id": 7, "name": "web-1"}, "out_bytes": 120000000, "in_bytes": 80000, "rate_bits_per_second": 96000000, "fast": true, "elephant": true, "age_s": 10.5, "conntracked": true},
    {"local": "[2001:db8::1]:53", "remote": "[2001:db8::2]:40000", "protocol": "udp", "out_bytes": 120, "in_bytes": 80, "age_s": 0.4, "conntracked": false}]
})json");
  EXPECT_EQ(
      render_flows(reply, kPlain),
      R"text(OWNER  PROTO  LOCAL                                 REMOTE                  OUT       IN    MEAN RATE   AGE  WHAT
web-1  tcp    10.0.0.2:40000 as 198.51.100.7:40000  192.0.2.9:443        120 MB  80.0 kB  96.0 Mbit/s   10s  elephant, fast
-      udp    [2001:db8::1]:53                      [2001:db8::2]:40000   120 B     80 B            -  0.4s  untracked

2 of 1200 flows; --limit shows more
)text");
}

TEST(RenderPlan, ShowsFromToAndWhy) {
  const json reply = json::parse(R"json({
  "id": "p-81d0c4aa",
  "policy": "10-mice.toml",
  "mode": "advise",
  "actions": [
    {"id": "a-3f9c2e1b", "knob": "class 7a8c:10 on eth0", "before": "absent", "after": "rate 6 Gbit", "reason": "rule \"mice first\""}],
  "refusals": [{"what": "shape eth1", "why": "its root qdisc is tbf 1:, which is not ours"}],
  "note_lines": ["replacing the root qdisc of eth0 drops the packets in its queue"]
})json");
  EXPECT_EQ(render_plan(reply, kPlain), R"text(plan p-81d0c4aa of 10-mice.toml: 1 action

  a-3f9c2e1b  class 7a8c:10 on eth0
    from  absent
    to    rate 6 Gbit
    why   rule "mice first"

refused: shape eth1: its root qdisc is tbf 1:, which is not ours

note: replacing the root qdisc of eth0 drops the packets in its queue
)text");
}

TEST(RenderOutcome, SaysHowToConfirm) {
  const json reply = json::parse(R"json({
  "plan": "p-81d0c4aa",
  "state": "pending_confirmation",
  "deadline_s": 60,
  "deadman": "systemd timer ankus-rollback.timer",
  "actions": [
    {"id": "a-3f9c2e1b", "knob": "class 7a8c:10 on eth0", "outcome": "done"},
    {"id": "a-2", "knob": "leaf", "outcome": "ceded", "text": "now tbf 1:"}]
})json");
  EXPECT_EQ(render_outcome(reply, kPlain), R"text(ID          OUTCOME  WHAT                   TEXT
a-3f9c2e1b  done     class 7a8c:10 on eth0
a-2         ceded    leaf                   now tbf 1:

applied plan p-81d0c4aa, not confirmed: undone in 1m 0s unless `ankusctl confirm`
if the daemon dies, systemd timer ankus-rollback.timer undoes it
)text");
}

TEST(RenderOutcome, SaysThatARollbackHolds) {
  const json reply = json::parse(R"json({
  "plan": "p-81d0c4aa",
  "state": "rolled_back",
  "actions": [],
  "held": true
})json");
  EXPECT_EQ(render_outcome(reply, kPlain), R"text(rolled back plan p-81d0c4aa
on hold: nothing is applied again until `ankusctl resume` or a reboot
)text");
}

TEST(RenderOutcome, ClaimsNoRollbackOfWhatFailed) {
  EXPECT_EQ(render_outcome({{"state", "rolled_back"},
                            {"plan", "p-1"},
                            {"error", {{"text", "not undone: eth0"}}},
                            {"held", true}},
                           kPlain),
            "on hold: nothing is applied again until `ankusctl resume` or a reboot\n");
}

TEST(RenderDone, ListsReloadedPolicies) {
  const json reply = json::parse(R"json({
  "text": "reloaded",
  "policies": [{"file": "10-mice.toml", "rules": 1}]
})json");
  EXPECT_EQ(render_done(reply, kPlain), R"text(reloaded
policies  10-mice.toml (1 rule)
)text");
}

TEST(RenderExplain, ShowsReasonsWorkloadAndHistory) {
  const json reply = json::parse(R"json({
  "kind": "workload",
  "id": "7",
  "title": "workload web-1",
  "lines": ["heavy since 12 s"],
  "workload": {"id": 7, "name": "web-1", "label": "compose:shop/web", "kind": "container", "weight": "heavy", "reason": "moved 182 Mbit/s, 98% by 4 elephants", "transmit_bits_per_second": 182000000, "receive_bits_per_second": 1200000, "elephants": 4, "elephant_share": 0.98, "learnt": true, "opted_out": false, "device": "veth12", "since_s": 12.5},
  "history": [
    {"time": "2025-06-01T12:00:00Z", "boottime_ns": 1, "kind": "done", "plan": "p-1", "action": "a-1", "text": "x"},
    {"time": "2025-06-01T12:00:01Z", "kind": "start", "text": "ankusd 0.1.0"}]
})json");
  EXPECT_EQ(render_explain(reply, kPlain), R"text(workload web-1
  heavy since 12 s

ID  NAME   LABEL             KIND       FOOTPRINT  FOR    TRANSMIT      RECEIVE  ELEPHANTS  SHARE  DEVICE  REASON
 7  web-1  compose:shop/web  container  heavy      12s  182 Mbit/s  1.20 Mbit/s          4    98%  veth12  moved 182 Mbit/s, 98% by 4 elephants (learnt)

TIME                  KIND   PLAN  ACTION  TEXT
2025-06-01T12:00:00Z  done   p-1   a-1     x
2025-06-01T12:00:01Z  start  -     -       ankusd 0.1.0
)text");
}

TEST(RenderHistory, IsATable) {
  const json reply = json::parse(R"json({
  "entries": [
    {"time": "2025-06-01T12:00:00Z", "boottime_ns": 1, "kind": "done", "plan": "p-1", "action": "a-1", "text": "x"},
    {"time": "2025-06-01T12:00:01Z", "kind": "start", "text": "ankusd 0.1.0"}]
})json");
  EXPECT_EQ(render_history(reply, kPlain), R"text(TIME                  KIND   PLAN  ACTION  TEXT
2025-06-01T12:00:00Z  done   p-1   a-1     x
2025-06-01T12:00:01Z  start  -     -       ankusd 0.1.0
)text");
}

TEST(RenderDoctor, SaysWhatToDo) {
  const json reply = json::parse(R"json({
  "kernel": "6.12.30",
  "checks": [
    {"name": "tcx", "state": "ok", "text": "programs attach by tcx links"},
    {"name": "conntrack", "state": "fail", "text": "inactive", "remedy": "load nf_conntrack"}]
})json");
  EXPECT_EQ(render_doctor(reply, kPlain), R"text(kernel 6.12.30

CHECK      STATE  FOUND
tcx        ok     programs attach by tcx links
conntrack  fail   inactive; do: load nf_conntrack
)text");
}

TEST(RenderPlan, SaysThatNothingIsToBeDone) {
  EXPECT_EQ(render_plan({{"id", "p-0"}, {"policy", "a.toml"}, {"actions", json::array()}}, kPlain),
            "plan p-0 of a.toml: nothing to do, the host is as the policy wants it\n");
}

TEST(RenderPlan, WithoutActionsSaysWhetherSomethingIsRefused) {
  const json refusal{{"what", "shape eth0"}, {"why", "its rate is not known"}};
  EXPECT_EQ(render_plan({{"id", "p-0"}, {"policy", "a.toml"}, {"refusals", {refusal}}}, kPlain),
            "plan p-0 of a.toml: no action, 1 refused\n\n"
            "refused: shape eth0: its rate is not known\n");
  EXPECT_EQ(render_outcome({{"state", "unchanged"}, {"refusals", {refusal, refusal}}}, kPlain),
            "refused: shape eth0: its rate is not known\n"
            "refused: shape eth0: its rate is not known\n"
            "nothing done, 2 refused\n");
}

TEST(RenderStatus, NamesEachState) {
  const auto state_line = [](json state) {
    const std::string text = render_status({{"state", std::move(state)}}, kPlain);
    const auto start = text.find("state ");
    return text.substr(start, text.find('\n', start) - start);
  };
  EXPECT_EQ(state_line({{"name", "idle"}}), "state     idle");
  EXPECT_EQ(state_line({{"name", "held"}}),
            "state     on hold: nothing is applied until `ankusctl resume` or a reboot");
  EXPECT_EQ(state_line({{"name", "paused"}, {"text", "by uid 0"}}),
            "state     paused: nothing new is set until `ankusctl resume`; what is due to be "
            "undone is still undone (by uid 0)");
  EXPECT_EQ(state_line({{"name", "paused"}, {"plan", "p-1"}, {"deadline_s", 42}}),
            "state     paused: nothing new is set until `ankusctl resume`; what is due to be "
            "undone is still undone; plan p-1 is undone in 42s unless `ankusctl confirm`");
  EXPECT_EQ(state_line({{"name", "degraded"}, {"objects", {"class 1 on eth0", "leaf 2"}}}),
            "state     degraded: class 1 on eth0, leaf 2");
  EXPECT_EQ(state_line({{"name", "degraded"},
                        {"objects", {"leaf 2"}},
                        {"plan", "p-1"},
                        {"deadline_s", 42},
                        {"text", "paused by root"}}),
            "state     degraded: leaf 2; plan p-1 is undone in 42s unless `ankusctl confirm` "
            "(paused by root)");
}

TEST(RenderOutcome, NamesEachState) {
  const auto line = [](const char* state) {
    return render_outcome({{"state", state}, {"plan", "p-1"}}, kPlain);
  };
  EXPECT_EQ(line("applied"), "applied plan p-1\n");
  EXPECT_EQ(line("confirmed"), "confirmed plan p-1\n");
  EXPECT_EQ(line("unchanged"), "nothing to do\n");
  EXPECT_EQ(line("something new"), "something new plan p-1\n");
}

TEST(RenderWorkloads, ScalesRatesAndTimes) {
  const auto cells = [](double rate, double since) {
    const std::string text = render_workloads(
        {{"workloads", {{{"transmit_bits_per_second", rate}, {"since_s", since}}}}}, kPlain);
    return text.substr(text.find('\n') + 1);
  };
  EXPECT_THAT(cells(0, 0), HasSubstr(" 0 bit/s"));
  EXPECT_THAT(cells(999, 9.96), HasSubstr("999 bit/s"));
  EXPECT_THAT(cells(999.7, 1), HasSubstr("1.00 kbit/s"));
  EXPECT_THAT(cells(12'345, 1), HasSubstr("12.3 kbit/s"));
  EXPECT_THAT(cells(99'960'000, 1), HasSubstr("100 Mbit/s"));
  EXPECT_THAT(cells(4e17, 1), HasSubstr("400000 Tbit/s"));
  EXPECT_THAT(cells(1, 59.9), HasSubstr(" 59s "));
  EXPECT_THAT(cells(1, 60), HasSubstr(" 1m 0s "));
  EXPECT_THAT(cells(1, 7'260), HasSubstr(" 2h 1m "));
}

TEST(Render, SurvivesFieldsThatAreMissingOrOfAnotherType) {
  for (const json& odd : {json::object(), json(17), json(nullptr), json::array({1, "x"}),
                          json{{"state", 1},
                               {"sensors", {1, nullptr}},
                               {"links", "x"},
                               {"held", {json::object()}},
                               {"counters", {{"a", "b"}}},
                               {"workloads", {1, json::object()}},
                               {"flows", {"x"}},
                               {"actions", {2}},
                               {"refusals", {3}},
                               {"note_lines", {4}},
                               {"entries", {5}},
                               {"checks", {6}},
                               {"lines", {7}},
                               {"total", "x"}}}) {
    EXPECT_NE(render_status(odd, kPlain), "");
    EXPECT_NE(render_workloads(odd, kPlain), "");
    EXPECT_NE(render_flows(odd, kPlain), "");
    EXPECT_NE(render_plan(odd, kPlain), "");
    EXPECT_NE(render_outcome(odd, kPlain), "");
    EXPECT_NE(render_done(odd, kPlain), "");
    EXPECT_NE(render_history(odd, kPlain), "");
    EXPECT_NE(render_explain(odd, kPlain), "");
    EXPECT_NE(render_doctor(odd, kPlain), "");
  }
}

TEST(Render, ColoursOnlyWhenAsked) {
  const json reply = {{"state", {{"name", "degraded"}}}};
  EXPECT_THAT(render_status(reply, kPlain), Not(HasSubstr("\033")));
  EXPECT_THAT(render_status(reply, Style{.colour = true}), HasSubstr("\033[31mdegraded\033[0m"));
}

}  // namespace
}  // namespace ankus::ctl
