// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "model/knob.h"

namespace ankus {

/// A knob with what it is, or is to be, set to.
struct Placed {
  const Knob& knob;
  const Setting& setting;
};

/// If `a` can only be in place while `b` is: a class needs its root qdisc and its parent class, a
/// queue its class, a classifier the tree whose classes it gives, all of an ifb's the ifb.
bool depends_on(const Placed& a, const Placed& b);

/// The name of the device whose queueing tree (root, classes, queues) the knob is a part of; empty
/// for other knobs. A tree is left or taken as a whole: half a tree is worse than none.
std::string_view tree_of(const Knob& knob);

}  // namespace ankus
