// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "ctl/command.h"
#include "ctl/session.h"

int main(int argc, char** argv) {
  using namespace ankus::ctl;
  const auto environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  const auto parsed =
      parse_command(std::vector<std::string>(argv + 1, argv + argc), environment("ANKUS_SOCKET"));
  if (const auto* answered = std::get_if<Answer>(&parsed)) {
    std::cout << answered->out;
    std::cerr << answered->err;
    return static_cast<int>(answered->code);
  }
  const bool on_terminal = ::isatty(STDOUT_FILENO) == 1;
  const std::string terminal = environment("TERM");
  // NO_COLOR (no-color.org): any value but the empty one.
  const Style style{.colour = on_terminal && environment("NO_COLOR").empty() && !terminal.empty() &&
                              terminal != "dumb"};
  return static_cast<int>(run(std::get<Command>(parsed), style, on_terminal, std::cout, std::cerr));
}
