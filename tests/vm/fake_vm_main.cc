// SPDX-License-Identifier: Apache-2.0
// ankus-fake-vm TAP: a FakeVm for scripts, until it is killed. Prints its number once it runs.
#include <unistd.h>

#include <cstdio>

#include "vm/fake_vm.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: ankus-fake-vm TAP\n", stderr);
    return 2;
  }
  const ankus::FakeVm vm({.tap = argv[1]});
  if (!vm.error.empty()) {
    std::fprintf(stderr, "ankus-fake-vm: %s\n", vm.error.c_str());
    return 1;
  }
  std::printf("%d\n", vm.pid);
  std::fflush(stdout);
  for (;;) pause();
}
