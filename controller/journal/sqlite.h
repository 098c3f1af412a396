// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/handle.h"
#include "base/result.h"

namespace ankus {

/// A prepared statement. Its text columns are copied out.
class Statement {
 public:
  Statement() = default;
  Statement(Handle<sqlite3_stmt, sqlite3_finalize> handle, std::string what)
      : handle_(std::move(handle)), what_(std::move(what)) {}

  /// Makes it ready to run again with these values for its ?s.
  template <class... Values>
  void bind(const Values&... values) {
    (void)sqlite3_reset(handle_.get());  // repeats the error of the step before, which was seen
    int place = 0;
    (bind_one(++place, values), ...);
  }
  /// True if there is a (further) row.
  Result<bool> step();
  /// Runs it to its end.
  Result<void> run();

  std::int64_t number(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  double real(int column) const { return sqlite3_column_double(handle_.get(), column); }
  std::string text(int column) const;

 private:
  void bind_one(int place, std::int64_t value) {
    note(sqlite3_bind_int64(handle_.get(), place, value));
  }
  void bind_one(int place, double value) { note(sqlite3_bind_double(handle_.get(), place, value)); }
  void bind_one(int place, std::string_view text) {
    note(sqlite3_bind_text64(handle_.get(), place, text.data() == nullptr ? "" : text.data(),
                             text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  }
  void note(int code) {
    if (code != SQLITE_OK) bind_code_ = code;
  }

  Handle<sqlite3_stmt, sqlite3_finalize> handle_;
  std::string what_;
  int bind_code_ = SQLITE_OK;
};

/// One SQLite file, open for reading and writing. An Error has EBADMSG if the file is not what it
/// should be, and else need not be its fault.
class Database {
 public:
  Database() = default;
  /// The file must exist: SQLite would make one with its own idea of the mode. No symbolic link may
  /// be in the path (real_path()).
  static Result<Database> open(const std::string& path);

  Result<Statement> prepare(std::string_view sql);
  /// Runs statements without values or rows.
  Result<void> run(const std::string& sql);
  /// Runs one statement with values.
  template <class... Values>
  Result<void> run_with(std::string_view sql, const Values&... values) {
    auto statement = prepare(sql);
    if (!statement) return std::unexpected(statement.error());
    statement->bind(values...);
    return statement->run();
  }
  /// The number that a pragma or a query gives in its first column.
  Result<std::int64_t> number(std::string_view sql);
  /// All that `change` does, or nothing.
  template <class Change>
  Result<void> atomically(Change change) {
    if (auto begun = run("BEGIN IMMEDIATE"); !begun) return begun;
    Result<void> changed = change();
    if (changed) changed = run("COMMIT");
    // Some errors (disk full) have rolled back already; then this one fails and nothing is lost.
    if (!changed) (void)sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    return changed;
  }

  explicit operator bool() const { return handle_ != nullptr; }
  void close() { handle_.reset(); }

 private:
  Handle<sqlite3, sqlite3_close_v2> handle_;
  std::string path_;
};

}  // namespace ankus
