// SPDX-License-Identifier: Apache-2.0
#include "model/json.h"

#include <gmock/gmock.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace ankus {
namespace {

using testing::HasSubstr;

constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
const Device kOdd{.name = "e\xff\x01\"th", .ifindex = 4294967295, .netns_cookie = kMost};

std::vector<Knob> all_knobs() {
  const TcHandle handle = make_handle(kOurMajor, 0x10);
  return {knob::Ifb{"ankus2"},
          knob::RootQdisc{kOdd},
          knob::TcClass{kOdd, handle},
          knob::LeafQdisc{kOdd, handle},
          knob::Clsact{kOdd},
          knob::Classifier{kOdd},
          knob::IngressRedirect{kOdd},
          knob::Membership{},
          knob::RssTable{kOdd},
          knob::RpsMask{kOdd, 7},
          knob::XpsMask{kOdd, 63},
          knob::IrqAffinity{kOdd, "e\xff-rx-1"},
          knob::ThreadAffinity{4711, kMost, "vhost-\xff 1"},
          knob::IrqbalanceBans{}};
}
std::vector<Setting> all_settings() {
  return {Absent{},
          Foreign{"tbf \xc3\xa9 \xc3"},
          IfbDevice{7},
          HtbRoot{make_handle(kOurMajor, 0), 65535, 1000},
          HtbClass{make_handle(kOurMajor, 1), {kMost}, {kMost}, {kMost}, {1}, 7, {1514}},
          ByteFifo{make_handle(kOurLeafBase, 0), {64'000}},
          ClsactQdisc{},
          ClassifierProgram{ClassifierProgram::Hook::clsact, kOurMajor},
          RedirectTo{77},
          Members{},
          Indirection{.queues = {0, 1, 4294967295}},
          Indirection{.queues = {0, 1}, .is_default = true},
          CpuSet{{0, 2, 3, 8191}},
          CpuSet{},
          DefaultCpus{{{0, 1}}},
          ThreadCpus{{{1}}, {{0, 1}}},
          BannedIrqs{{1, 4294967295}}};
}

TEST(Json, OfEachKnobAndSettingReadsBackEqual) {
  std::set<std::size_t> knobs, settings;
  for (const Knob& knob : all_knobs()) knobs.insert(knob.index());
  for (const Setting& setting : all_settings()) settings.insert(setting.index());
  ASSERT_EQ(knobs.size(), std::variant_size_v<Knob>);
  ASSERT_EQ(settings.size(), std::variant_size_v<Setting>);
  for (const Knob& knob : all_knobs())
    EXPECT_EQ(knob_from_json_text(json_text(knob)), knob) << json_text(knob);
  for (const Setting& setting : all_settings())
    EXPECT_EQ(setting_from_json_text(json_text(setting)), setting) << json_text(setting);
}

TEST(Json, OfAPlanReadsBackEqual) {
  Plan plan{.refusals = {{.what = "shape eth0", .why = "\"quoted\"\n"}}};
  for (const Knob& knob : all_knobs())
    for (const Setting& setting : all_settings())
      plan.actions.push_back(
          {.knob = knob, .before = Absent{}, .after = setting, .reason = "rule \"mäuse\""});
  const auto parsed = parse_json(line_of(to_json(plan)));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(plan_from_json(*parsed), plan);
}

TEST(Json, KeepsOfMembersOnlyTheDigestAndStillTellsThemApart) {
  const Members one{.rows = {{.workload = 1, .slow_class = 0x10}}};
  const Members other{.rows = {{.workload = 2, .slow_class = 0x10}}};
  const auto read = setting_from_json_text(json_text(Setting(one)));
  ASSERT_TRUE(read);
  EXPECT_TRUE(std::get<Members>(*read).rows.empty());
  EXPECT_TRUE(same_setting(*read, one));
  EXPECT_FALSE(same_setting(*read, other));
  EXPECT_FALSE(same_setting(*read, Members{}));
  EXPECT_EQ(setting_from_json_text(json_text(*read)), *read);
}

TEST(SameSetting, OfCpusIsWhatTheKernelCannotTellApart) {
  const CpuSet all{{0, 1, 2, 3}}, some{{2, 3}}, one{{2}}, cpuset{{0, 1, 2}};
  EXPECT_TRUE(same_setting(DefaultCpus{all}, all)) << "asked for or not";
  EXPECT_FALSE(same_setting(DefaultCpus{all}, some));
  EXPECT_FALSE(same_setting(DefaultCpus{all}, DefaultCpus{some})) << "the driver proposes others";
  EXPECT_TRUE(same_setting(ThreadCpus{all, all}, ThreadCpus{cpuset, cpuset})) << "all there is";
  EXPECT_TRUE(same_setting(ThreadCpus{all, all}, all));
  EXPECT_FALSE(same_setting(ThreadCpus{all, all}, ThreadCpus{some, all}));
  EXPECT_TRUE(same_setting(ThreadCpus{some, all}, some));
  EXPECT_TRUE(same_setting(ThreadCpus{one, cpuset}, some)) << "CPU 3 is not in the cpuset";
  EXPECT_TRUE(same_setting(some, ThreadCpus{one, cpuset}));
  EXPECT_FALSE(same_setting(ThreadCpus{one, all}, some)) << "somebody asked for less";
  EXPECT_TRUE(same_setting(ThreadCpus{one, cpuset}, ThreadCpus{some, all})) << "of a cpuset before";
  EXPECT_TRUE(same_setting(ThreadCpus{some, all}, ThreadCpus{one, cpuset}));
  EXPECT_FALSE(same_setting(ThreadCpus{one, all}, ThreadCpus{some, all}));
  EXPECT_FALSE(same_setting(ThreadCpus{one, all}, ThreadCpus{cpuset, cpuset})) << "that was all";
  EXPECT_FALSE(same_setting(ThreadCpus{some, all}, one));
  EXPECT_FALSE(same_setting(ThreadCpus{{{0}}, cpuset}, CpuSet{{3}}));
}

TEST(Json, ErrorsNameTheKey) {
  const auto error = [](const char* text) {
    const auto knob = knob_from_json_text(text);
    return knob ? std::string("no error") : knob.error().text;
  };
  EXPECT_THAT(error("{"), HasSubstr("not JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("not an object"));
  EXPECT_THAT(error("{}"), HasSubstr("\"knob\" is missing"));
  EXPECT_THAT(error(R"({"knob":"rootqdisc"})"), HasSubstr("rootqdisc"));
  EXPECT_THAT(error(R"({"knob":"ifb","name":7})"), HasSubstr("\"name\" is not text"));
  EXPECT_THAT(error(R"({"knob":"clsact","device":{"name":"x","ifindex":-1,"netns":0}})"),
              HasSubstr("\"ifindex\""));
  EXPECT_THAT(error(R"({"knob":"clsact","device":{"name":"x","ifindex":4294967296,"netns":0}})"),
              HasSubstr("4294967295"));
}

}  // namespace
}  // namespace ankus
