// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

namespace ankus {

ErrorKind error_kind(int err) {
  switch (err) {
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO: return ErrorKind::gone;
    case EOPNOTSUPP:
    case ENOSYS: return ErrorKind::unsupported;
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case ENOBUFS: return ErrorKind::busy;
    case EINVAL:
    case ERANGE: return ErrorKind::invalid;
    default: return ErrorKind::refused;
  }
}

std::string_view to_text(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid: return "invalid";
    case ErrorKind::gone: return "gone";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::busy: return "busy";
    case ErrorKind::refused: return "refused";
  }
  return "?";
}

}  // namespace ankus
