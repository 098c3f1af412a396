// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <memory>
#include <utility>

namespace ankus {

/// The only owner of a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) (void)::close(fd_);  // nothing to do about a failed close
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

/// The only owner of a C library's object: `Handle<bpf_object, bpf_object__close>`.
template <class T, auto free_fn>
struct HandleDeleter {
  void operator()(T* object) const { (void)free_fn(object); }
};
template <class T, auto free_fn>
using Handle = std::unique_ptr<T, HandleDeleter<T, free_fn>>;

}  // namespace ankus
