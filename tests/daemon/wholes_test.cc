// SPDX-License-Identifier: Apache-2.0
#include "daemon/wholes.h"

#include <gmock/gmock.h>

namespace ankus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Device kEth0{.name = "eth0", .ifindex = 2, .netns_cookie = 1};
const Device kEth1{.name = "eth1", .ifindex = 3, .netns_cookie = 1};
const Device kIfb{.name = "ankus-ifb2", .ifindex = 9, .netns_cookie = 1};

Action rps(std::uint32_t queue) {
  return {.knob = knob::RpsMask{kEth0, queue}, .before = CpuSet{}, .after = CpuSet{{1}}};
}
Action irq(const std::string& name) {
  return {.knob = knob::IrqAffinity{kEth0, name}, .before = CpuSet{{0}}, .after = CpuSet{{1}}};
}
const Action kBans{
    .knob = knob::IrqbalanceBans{}, .before = BannedIrqs{}, .after = BannedIrqs{{7}}};
const Action kTable{.knob = knob::Membership{}};
Action root(const Device& device) {
  return {.knob = knob::RootQdisc{device}, .before = Absent{}, .after = HtbRoot{}};
}
Action made_class(const Device& device) {
  return {.knob = knob::TcClass{device, make_handle(kOurMajor, 1)},
          .before = Absent{},
          .after = HtbClass{}};
}
const Action kMadeIfb{
    .knob = knob::Ifb{kIfb.name}, .before = Absent{}, .after = IfbDevice{.ifindex = kIfb.ifindex}};
const Action kRedirect{.knob = knob::IngressRedirect{kEth0},
                       .before = Absent{},
                       .after = RedirectTo{.ifindex = kIfb.ifindex}};

Plan plan_of(std::vector<Action> actions) { return {.actions = std::move(actions)}; }

auto refuses(const Knob& knob) {
  return [knob](const Plan& whole) -> std::optional<std::string> {
    for (const Action& action : whole.actions)
      if (action.knob == knob) return "it failed";
    return std::nullopt;
  };
}

TEST(Wholes, EachQueueIsOneByItself) {
  EXPECT_THAT(wholes_of(plan_of({rps(0), rps(1)})),
              ElementsAre(plan_of({rps(0)}), plan_of({rps(1)})));
}

TEST(Wholes, InterruptsGoWithTheListOfIrqbalance) {
  EXPECT_THAT(wholes_of(plan_of({irq("rx-0"), rps(0), kBans, irq("rx-1")})),
              ElementsAre(plan_of({irq("rx-0"), kBans, irq("rx-1")}), plan_of({rps(0)})));
  EXPECT_THAT(wholes_of(plan_of({irq("rx-0"), irq("rx-1")})),
              ElementsAre(plan_of({irq("rx-0")}), plan_of({irq("rx-1")})))
      << "without irqbalance there is no list";
}

TEST(Wholes, ATreeIsOneAndSoIsWhatItsDeviceReceives) {
  const Plan plan = plan_of({kMadeIfb, root(kIfb), made_class(kIfb), kTable, root(kEth1),
                             made_class(kEth1), root(kEth0), made_class(kEth0), kRedirect});
  EXPECT_THAT(wholes_of(plan), ElementsAre(plan_of({kMadeIfb, root(kIfb), made_class(kIfb),
                                                    root(kEth0), made_class(kEth0), kRedirect}),
                                           plan_of({root(kEth1), made_class(kEth1)})));
}

TEST(Wholes, WhatIsTakenAwayHangsTogetherToo) {
  const Plan plan = plan_of({inverse(kRedirect), inverse(root(kIfb)), inverse(kMadeIfb)});
  EXPECT_THAT(wholes_of(plan), ElementsAre(plan));
}

TEST(Sift, WhatIsRefusedKeepsNothingElseFromBeingDone) {
  const Sifted sifted = sift(plan_of({rps(0), rps(1)}), refuses(rps(0).knob));
  EXPECT_EQ(sifted.free, plan_of({rps(1)}));
  EXPECT_EQ(sifted.why, "it failed");
}

TEST(Sift, AnotherDevicesTreeTakesTheTableWithIt) {
  const Sifted sifted =
      sift(plan_of({root(kEth0), made_class(kEth0), root(kEth1), made_class(kEth1), kTable}),
           refuses(made_class(kEth0).knob));
  EXPECT_EQ(sifted.free, plan_of({root(kEth1), made_class(kEth1), kTable}));
}

TEST(Sift, AllMayBeFreeOrNone) {
  EXPECT_EQ(sift(plan_of({rps(0)}), refuses(rps(1).knob)).why, std::nullopt);
  EXPECT_THAT(sift(plan_of({rps(0)}), refuses(rps(0).knob)).free.actions, IsEmpty());
}

bool is_removal(const Action& action) { return std::holds_alternative<Absent>(action.after); }

TEST(UnwantedOf, OnlyWhatGoesAsAWholeIsUnwanted) {
  const Action rows{.knob = knob::Membership{}, .before = Members{}, .after = Members{}};
  const Unwanted parts = unwanted_of(
      plan_of({inverse(root(kEth0)), inverse(made_class(kEth1)), root(kEth1), rows}), is_removal);
  EXPECT_EQ(parts.removals, plan_of({inverse(root(kEth0))}));
  EXPECT_EQ(parts.rest, plan_of({inverse(made_class(kEth1)), root(kEth1), rows}));
}

TEST(UnwantedOf, TheTableGoesWithTheLastTree) {
  const Action table{.knob = knob::Membership{}, .before = Members{}, .after = Absent{}};
  EXPECT_EQ(unwanted_of(plan_of({inverse(root(kEth0)), table}), is_removal).removals,
            plan_of({inverse(root(kEth0)), table}));
}

}  // namespace
}  // namespace ankus
