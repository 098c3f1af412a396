// SPDX-License-Identifier: Apache-2.0
// Preloaded under strace, which shows that there was a SIOCETHTOOL, but not which: says so in a
// write() to no file, right before.
#include <dlfcn.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

void say(const ifreq& request) {
  std::uint32_t command = 0;
  std::memcpy(&command, request.ifr_data, sizeof command);
  char line[64];
  const int length =
      std::snprintf(line, sizeof line, "ethtool 0x%02x %s", command, request.ifr_name);
  const int before = errno;
  (void)!write(-1, line, static_cast<std::size_t>(length));
  errno = before;
}

}  // namespace

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  using Ioctl = int (*)(int, unsigned long, ...);
  static const auto real = reinterpret_cast<Ioctl>(dlsym(RTLD_NEXT, "ioctl"));
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  if (request == SIOCETHTOOL) say(*static_cast<const ifreq*>(argument));
  return real(fd, request, argument);
}
