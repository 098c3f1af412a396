// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include "act/confirmation.h"
#include "act/drift.h"
#include "act/recover.h"
#include "act/transaction.h"
#include "act/undo.h"
#include "fake/fake_clock.h"
#include "fake/fake_journal.h"
#include "fake/fake_kernel.h"
#include "fake/fake_tree.h"
#include "plan/plan.h"

namespace ankus {

/// A host with one device, nothing done to it.
struct Scene {
  FakeKernel kernel;
  FakeJournal journal;
  FakeClock clock;
  Device eth0 = kernel.add_device("eth0", 2);
  Device ifb{.name = "ankus2", .ifindex = 77, .netns_cookie = 7};

  Plan plan(const Desired& desired, Journal& from) {
    const auto held = from.held();
    EXPECT_TRUE(held) << held.error().text;
    const auto ceded = ceded_now(from, clock);
    EXPECT_TRUE(ceded);
    return make_plan({.current = read_current(kernel, desired, *held),
                      .desired = desired,
                      .held = *held,
                      .ceded = *ceded});
  }
  Plan plan(const Desired& desired) { return plan(desired, journal); }
  Desired tree(std::uint64_t megabits = 100) {
    Desired desired;
    wish_tree(desired, {.device = eth0, .megabits = megabits});
    wish_members(desired, 3);
    return desired;
  }
  Desired tree_and_ingress(std::uint64_t megabits = 100) {
    Desired desired = tree(megabits);
    wish_ingress(desired, eth0, ifb);
    return desired;
  }
  Result<Applied> apply(const Plan& plan, ApplyOptions options = {}) {
    return ankus::apply(plan, kernel, journal, clock, options);
  }
  Result<Undone> undo(UndoOptions options = {}) {
    return ankus::undo(kernel, journal, clock, options);
  }
};

}  // namespace ankus
