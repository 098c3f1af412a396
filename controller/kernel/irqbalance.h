// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/handle.h"
#include "base/result.h"

namespace ankus {

/// What irqbalance(1) says of itself.
struct IrqbalanceSetup {
  seconds interval{};                 ///< between two of its rounds
  std::vector<std::uint32_t> banned;  ///< by `--banirq` or by its socket, ascending; what it bans
                                      ///< by module, policy script or after an error is not told
  bool operator==(const IrqbalanceSetup&) const = default;
};

/// Reads the answer to "setup" (sock_handle() in irqbalance.c):
/// "SLEEP 10 IRQ 42 LOAD 0 DIFF 0 CLASS 0 BANNED 00000000". Error{refused} for anything else, also
/// for an answer that was cut.
Result<IrqbalanceSetup> parse_irqbalance_setup(std::string_view answer);

/// "settings ban irqs 42 43", which replaces the whole list. irqbalance 1.9 reads at most 500
/// bytes of a command, and would take a cut number for another IRQ: Error{unsupported} for a list
/// that does not fit (some 120 IRQs). There is no command that adds to the list.
Result<std::string> irqbalance_ban_command(std::span<const std::uint32_t> irqs);

/// What irqbalance was asked: a connection with the command, and one behind it, whose end says that
/// irqbalance is done with both.
struct IrqbalanceQuestion {
  UniqueFd answer, end;
};

/// An irqbalance that does not answer in time is not waited for again and again.
struct IrqbalanceSilence {
  std::optional<IrqbalanceQuestion> question;  ///< not answered: until it is, nothing is asked
  unsigned times = 0;                          ///< in a row, that it took too long
  MonotonicTime until{};                       ///< from the second time on: not asked before
};

/// A running irqbalance, by its own socket: a file below /run/irqbalance, else an abstract socket
/// of this network namespace. Only root's irqbalance is believed, and it listens to root only
/// (SCM_CREDENTIALS). It answers between two rounds, so a call takes up to `patience`:
/// Error{busy}.
struct Irqbalance {
  std::string directory = "/run/irqbalance";
  milliseconds patience{1000};
  std::shared_ptr<IrqbalanceSilence> silence =
      std::make_shared<IrqbalanceSilence>();  ///< of copies

  /// None if no irqbalance runs, or it was built without its socket.
  Result<std::optional<IrqbalanceSetup>> setup() const;
  /// Replaces the list of banned IRQs. It is obeyed at irqbalance's next round, at which it also
  /// places all other IRQs anew. After Error{busy} it may still come into force.
  Result<void> ban(std::span<const std::uint32_t> irqs) const;
};

}  // namespace ankus
