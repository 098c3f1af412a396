// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "act/kernel_knobs.h"

namespace ankus {
namespace {

Result<void> check(const std::string& what, const Indirection& wanted, std::size_t size,
                   std::uint32_t queues) {
  if (wanted.queues.size() != size)
    return fail(ErrorKind::invalid, what + " has " + std::to_string(size) + " entries, not " +
                                        std::to_string(wanted.queues.size()));
  for (std::size_t i = 0; i < size; ++i)
    if (wanted.queues[i] >= queues)
      return fail(ErrorKind::invalid, what + ": entry " + std::to_string(i) + " is for queue " +
                                          std::to_string(wanted.queues[i]) + ", but there are " +
                                          std::to_string(queues));
  return {};
}

Result<void> write_table(const knob::RssTable& knob, const Indirection& wanted, Ethtool& ethtool) {
  const std::string device = name_now(knob.device);
  const auto rss = ethtool.rss(device);
  if (!rss) return with_context(to_text(knob), rss.error());
  const auto queues = ethtool.receive_queues(device);
  if (!queues) return with_context(to_text(knob), queues.error());
  const std::size_t size = rss->table.size();
  if (wanted.is_default) {
    // Only a reset makes the table the driver's own again, to be made anew when the number of
    // queues changes; a table that somebody wrote forbids to have fewer queues than it names.
    if (auto done = ethtool.reset_table(device); !done) return done;
    // What a driver starts with may be another one than what the reset makes: then to the byte.
    const bool made = wanted.queues == default_table(size, *queues);
    const bool fits = wanted.queues.size() == size && is_default_table(wanted.queues, *queues);
    if (made || !fits) return {};
  } else if (auto good = check(to_text(knob), wanted, size, *queues); !good) {
    return good;
  }
  return ethtool.set_table(device, wanted.queues);
}

}  // namespace

Result<Setting> read_knob(const knob::RssTable& knob, KernelView& view) {
  Ethtool& ethtool = *view.handles().ethtool;
  // The device is there: the kernel says ENODEV also while its driver resets it
  // (netif_device_present() in net/ethtool/ioctl.c).
  const auto failed = [&](Error error) {
    if (error.kind == ErrorKind::gone) error.kind = ErrorKind::busy;
    return with_context(to_text(knob), std::move(error));
  };
  const std::string device = name_now(knob.device);
  auto rss = ethtool.rss(device);
  if (!rss && rss.error().kind == ErrorKind::unsupported) return Absent{};
  if (!rss) return failed(rss.error());
  if (rss->table.empty()) return Absent{};
  const auto queues = ethtool.receive_queues(device);
  if (!queues) return failed(queues.error());
  const bool is_default = is_default_table(rss->table, *queues);
  return Indirection{.queues = std::move(rss->table), .is_default = is_default};
}

Result<Step> step_of(const knob::RssTable& knob, const Setting& before, const Setting& after,
                     const KernelHandles& handles) {
  const auto* wanted = std::get_if<Indirection>(&after);
  if (wanted == nullptr || !std::holds_alternative<Indirection>(before))
    return no_step(knob, before, after);
  return [knob, wanted = *wanted, ethtool = handles.ethtool] {
    return write_table(knob, wanted, *ethtool);
  };
}

}  // namespace ankus
