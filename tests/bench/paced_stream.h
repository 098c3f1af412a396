// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/handle.h"
#include "base/result.h"

namespace ankus::bench {

/// Datagrams at an even pace from our namespace to `address` in another one, counted there.
class PacedStream {
 public:
  struct Options {
    std::string address;  ///< IPv4
    std::uint16_t port = 5300;
    std::string server_netns;  ///< path
    std::uint32_t packets_per_second = 20'000;
  };
  struct Count {
    std::uint64_t sent = 0, received = 0;
  };

  /// Receives at once; sends from start() to stop().
  static Result<PacedStream> open(const Options& options);

  void start();
  /// Waits until nothing arrives any more; counts since start().
  Count stop();

 private:
  Options options_;
  UniqueFd sender_, receiver_;
  // Before the threads, which use them to their end.
  std::unique_ptr<std::atomic<std::uint64_t>> sent_ =
      std::make_unique<std::atomic<std::uint64_t>>();
  std::unique_ptr<std::atomic<std::uint64_t>> received_ =
      std::make_unique<std::atomic<std::uint64_t>>();
  std::unique_ptr<std::atomic<bool>> ending_ = std::make_unique<std::atomic<bool>>();
  std::jthread sending_, receiving_;
};

}  // namespace ankus::bench
