// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace ankus {

/// What a failure means for the caller; the text is for people.
enum class ErrorKind {
  invalid,      ///< the input is wrong (a policy, an argument, a message)
  gone,         ///< ENOENT, ESRCH, ENODEV, ENXIO: the object vanished; normal, drop it
  unsupported,  ///< EOPNOTSUPP, ENOSYS: remember, do not retry
  busy,         ///< EAGAIN, EBUSY, EINTR, ENOBUFS: try at the next tick
  refused,      ///< everything else: stop this transaction and undo
};

ErrorKind error_kind(int err);
std::string_view to_text(ErrorKind kind);

/// A failure as a value. `err` is the errno behind it, 0 where there is none.
struct Error {
  ErrorKind kind = ErrorKind::refused;
  int err = 0;
  std::string text;

  bool operator==(const Error&) const = default;
};

/// std::expected of this compiler is not [[nodiscard]] by itself; this one is.
template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

/// An Error from errno: `context: strerror`.
inline std::unexpected<Error> fail_errno(std::string_view context, int err = errno) {
  return std::unexpected(
      Error{error_kind(err), err, std::string(context) + ": " + std::strerror(err)});
}

/// An Error without an errno.
inline std::unexpected<Error> fail(ErrorKind kind, std::string text) {
  return std::unexpected(Error{kind, 0, std::move(text)});
}

/// Passes `error` up with context in front of its text.
inline std::unexpected<Error> with_context(std::string_view context, Error error) {
  error.text = std::string(context) + ": " + error.text;
  return std::unexpected(std::move(error));
}

}  // namespace ankus
