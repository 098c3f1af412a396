// SPDX-License-Identifier: Apache-2.0
#include "netns/vm_at_tap.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "netns/support.h"

namespace ankus {
namespace {

using Frame = std::vector<std::uint8_t>;

std::uint16_t sum16(const std::uint8_t* data, std::size_t size, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i + 1 < size; i += 2)
    sum += static_cast<std::uint32_t>(data[i] << 8 | data[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}
void put16(Frame& frame, std::size_t at, std::uint16_t value) {
  frame[at] = static_cast<std::uint8_t>(value >> 8);
  frame[at + 1] = static_cast<std::uint8_t>(value);
}
/// An Ethernet frame from 10.77.60.2 to 10.77.0.2 with `transport`, whose checksum is at `sum_at`.
Frame frame_of(const std::array<std::uint8_t, 6>& to, std::uint8_t protocol, Frame transport,
               std::size_t sum_at) {
  const Frame ends = {10, 77, 60, 2, 10, 77, 0, 2};
  Frame pseudo = ends;
  pseudo.insert(pseudo.end(), {0, protocol});
  pseudo.resize(12);
  put16(pseudo, 10, static_cast<std::uint16_t>(transport.size()));
  put16(transport, sum_at,
        sum16(transport.data(), transport.size(),
              static_cast<std::uint16_t>(~sum16(pseudo.data(), pseudo.size()))));
  Frame frame(to.begin(), to.end());
  frame.insert(frame.end(), {2, 0, 0, 0, 0, 2, 8, 0});
  Frame ip = {0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0};
  ip.insert(ip.end(), ends.begin(), ends.end());
  put16(ip, 2, static_cast<std::uint16_t>(ip.size() + transport.size()));
  put16(ip, 10, sum16(ip.data(), ip.size()));
  frame.insert(frame.end(), ip.begin(), ip.end());
  frame.insert(frame.end(), transport.begin(), transport.end());
  return frame;
}

void write_frame(int tap, const Frame& frame) {
  ASSERT_EQ(write(tap, frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
}

}  // namespace

std::optional<VmAtTap> VmAtTap::make() {
  const auto open_tun = [] { return UniqueFd(open("/dev/net/tun", O_RDWR | O_CLOEXEC)); };
  UniqueFd tap = open_tun();
  // Where udev is, opening it loads the module; in the lab's VM nobody makes the node before.
  if (!tap && run("modprobe tun").code == 0) tap = open_tun();
  if (!tap) {
    EXPECT_EQ(std::getenv("ANKUS_VM"), nullptr) << "the VM lab's kernels have tun";
    return std::nullopt;
  }
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  std::strcpy(request.ifr_name, "tap9");
  EXPECT_EQ(ioctl(tap.get(), TUNSETIFF, &request), 0);
  const CommandResult up =
      run("sysctl -qw net.ipv6.conf.tap9.disable_ipv6=1; ip addr add 10.77.60.1/24 dev tap9 && "
          "ip link set tap9 up && "
          "ip neigh add 10.77.60.2 lladdr 02:00:00:00:00:02 dev tap9 nud permanent");
  EXPECT_EQ(up.code, 0) << up.output;
  const UniqueFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(ioctl(any.get(), SIOCGIFHWADDR, &request), 0);
  std::array<std::uint8_t, 6> mac{};
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return VmAtTap(std::move(tap), mac);
}

void VmAtTap::send_datagram(std::uint16_t port) const {
  Frame udp = {0, 0, 0, 0, 0, 12, 0, 0, 'p', 'i', 'n', 'g'};
  put16(udp, 0, port);
  put16(udp, 2, port);
  write_frame(tap_.get(), frame_of(host_, IPPROTO_UDP, udp, 6));
}

void VmAtTap::send_to_closed_port(std::uint16_t from) const {
  Frame tcp = {0,    0, 0x1b, 0x5a, 0, 0, 0, 1, 0,   0,   0,   0,
               0x50, 2, 4,    0,    0, 0, 0, 0, 'd', 'a', 't', 'a'};
  put16(tcp, 0, from);
  write_frame(tap_.get(), frame_of(host_, IPPROTO_TCP, tcp, 16));
}

std::uint8_t VmAtTap::receive() const {
  std::array<std::uint8_t, 2048> buffer;
  const ssize_t size = read(tap_.get(), buffer.data(), buffer.size());
  return size > 34 && buffer[12] == 8 && buffer[13] == 0 ? buffer[23] : 0;
}

}  // namespace ankus
