// SPDX-License-Identifier: Apache-2.0
#include "vm/nic_wire.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

#include "netns/support.h"

namespace ankus {
namespace {

constexpr std::uint16_t kPort = 9999;

sockaddr_in address(const char* text, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

template <class Ready>
bool wait_until(std::chrono::seconds limit, Ready ready) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!ready()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace

void wait_for_carrier() {
  EXPECT_TRUE(wait_until(std::chrono::seconds(20), [] {
    return run("ip -n wire -br link show wire0").output.find("LOWER_UP") != std::string::npos &&
           run("cat /sys/class/net/nic0/carrier").output == "1\n";
  })) << "no carrier";
}

Wire::Wire() {
  wait_for_carrier();
  auto ethtool = Ethtool::open();
  auto netdev = NetdevQueues::open();
  EXPECT_TRUE(ethtool && netdev);
  ethtool_.emplace(std::move(*ethtool));
  netdev_.emplace(std::move(*netdev));
  driver_ = ethtool_->driver("nic0").value_or("");
  // igb hashes of UDP the addresses only, unless told.
  if (driver_ == "igb") {
    EXPECT_EQ(run("ethtool -N nic0 rx-flow-hash udp4 sdfn").code, 0);
  }
  // virtio reports hashes only when told.
  if (driver_ == "virtio_net") {
    EXPECT_EQ(run("ethtool -K nic0 rxhash on").code, 0);
  }
  // Somebody who listens, so that nothing is answered; what does not fit is dropped.
  drain_.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in here = address("10.99.0.1", kPort);
  EXPECT_EQ(bind(drain_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
  open_flows();
}

Device Wire::device() const {
  return {.name = "nic0",
          .ifindex = if_nametoindex("nic0"),
          .netns_cookie = own_netns_cookie().value_or(0)};
}

void Wire::open_flows() {
  in_namespace("wire", [&] {
    const sockaddr_in there = address("10.99.0.1", kPort);
    for (std::uint32_t i = 0; i < kFlows; ++i) {
      // Consecutive ports can all have one parity of the hash, for some keys.
      const auto port = static_cast<std::uint16_t>(20'000 + (i * 2'654'435'761U >> 16) % 30'000);
      const sockaddr_in here = address("10.99.0.2", port);
      UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
      EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
      flows_.push_back(std::move(fd));
    }
  });
}

std::vector<std::uint64_t> Wire::received() {
  std::vector<std::uint64_t> packets(8);
  const auto queues = netdev_->packets(device().ifindex);
  if (queues && !queues->empty()) {
    for (const QueuePackets& queue : *queues)
      if (queue.receives) packets.at(queue.queue) = queue.packets;
    return packets;
  }
  const auto counters = ethtool_->counters("nic0");
  EXPECT_TRUE(counters) << counters.error().text;
  if (counters)
    for (const DriverCounter& counter : *counters)
      if (const auto queue = receive_queue_of(counter.name)) packets.at(*queue) = counter.value;
  return packets;
}

std::vector<std::uint64_t> Wire::send(int packets) {
  const std::vector<std::uint64_t> before = received();
  const std::array<char, 64> data{};
  std::vector<std::uint64_t> brought(before.size());
  std::uint64_t sent = 0;
  for (int i = 0; i < packets; ++i) {
    for (const UniqueFd& flow : flows_) (void)::send(flow.get(), data.data(), data.size(), 0);
    sent += flows_.size();
    // One queue may get them all, and emulation is slow: not more at once than a ring holds.
    if (i % 2 == 0 && i + 1 != packets) continue;
    EXPECT_TRUE(wait_until(std::chrono::seconds(10), [&] {
      const std::vector<std::uint64_t> now = received();
      for (std::size_t j = 0; j < now.size(); ++j) brought[j] = now[j] - before[j];
      return std::accumulate(brought.begin(), brought.end(), std::uint64_t{0}) >= sent;
    })) << "not all packets came through";
  }
  return brought;
}

Wire::Background::Background(Wire& wire) {
  thread_ = std::thread([this, &wire] {
    const std::array<char, 64> data{};
    while (!stop_) {
      for (const UniqueFd& flow : wire.flows_)
        (void)::send(flow.get(), data.data(), data.size(), 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
}

Wire::Background::~Background() {
  stop_ = true;
  thread_.join();
}

}  // namespace ankus
