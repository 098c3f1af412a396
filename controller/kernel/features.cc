// SPDX-License-Identifier: Apache-2.0
#include "kernel/features.h"

#include <sys/utsname.h>

#include <fstream>

#include "base/text.h"

namespace ankus {

std::string kernel_release() {
  utsname name{};
  (void)uname(&name);  // cannot fail with a valid pointer (uname(2))
  return name.release;
}

std::vector<bool> kernel_has(const std::vector<KernelFeature>& features) {
  std::vector<bool> found(features.size(), false);
  std::ifstream symbols("/proc/kallsyms");
  for (std::string line; std::getline(symbols, line);) {
    const auto words = split_words(line);  // "0000000000000000 t htb_enqueue	[sch_htb]"
    if (words.size() < 3) continue;
    for (std::size_t i = 0; i < features.size(); ++i)
      if (words[2] == features[i].function) found[i] = true;
  }
  for (const char* list : {"modules.dep", "modules.builtin"}) {
    std::ifstream modules("/lib/modules/" + kernel_release() + "/" + list);
    for (std::string line; std::getline(modules, line);) {
      const std::string_view path = split(line, ':').front();
      for (std::size_t i = 0; i < features.size(); ++i)
        if (path.find("/" + features[i].module + ".ko") != std::string_view::npos) found[i] = true;
    }
  }
  return found;
}

}  // namespace ankus
