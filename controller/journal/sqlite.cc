// SPDX-License-Identifier: Apache-2.0
#include "journal/sqlite.h"

#include <sys/stat.h>

#include <utility>

namespace ankus {
namespace {

/// In milliseconds: COMMIT needs the file for itself. Far less than the watchdog's patience.
constexpr int kWaitForReaders = 1000;

int errno_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: return EBADMSG;  // our statements are sound: it lacks a table
    case SQLITE_FULL: return ENOSPC;
    case SQLITE_READONLY: return EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return EBUSY;
    case SQLITE_NOMEM: return ENOMEM;
    case SQLITE_IOERR: return EIO;
    case SQLITE_PERM:
    case SQLITE_AUTH: return EACCES;
    default: return 0;
  }
}

std::unexpected<Error> fail_sqlite(sqlite3* database, int code, std::string_view what) {
  std::string text(what);
  text += ": ";
  text += database == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database);
  return std::unexpected(
      Error{.kind = (code & 0xff) == SQLITE_BUSY ? ErrorKind::busy : ErrorKind::refused,
            .err = errno_of(code),
            .text = std::move(text)});
}

}  // namespace

Result<bool> Statement::step() {
  sqlite3* database = sqlite3_db_handle(handle_.get());
  if (bind_code_ != SQLITE_OK)
    return fail_sqlite(nullptr, std::exchange(bind_code_, SQLITE_OK), what_ + ": bind");
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail_sqlite(database, code, what_);
}

Result<void> Statement::run() {
  for (;;) {
    auto row = step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
  }
}

std::string Statement::text(int column) const {
  const auto* text = sqlite3_column_text(handle_.get(), column);
  const int size = sqlite3_column_bytes(handle_.get(), column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(size)};
}

Result<Database> Database::open(const std::string& path) {
  Database database;
  database.path_ = path;
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, nullptr);
  database.handle_.reset(raw);  // there is one even after most failures
  if (code != SQLITE_OK) return fail_sqlite(raw, code, path);
  (void)sqlite3_extended_result_codes(raw, 1);
  (void)sqlite3_busy_timeout(raw, kWaitForReaders);
  (void)sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  (void)sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (auto set = database.run("PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY"); !set)
    return std::unexpected(set.error());
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code =
      sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr);
  Handle<sqlite3_stmt, sqlite3_finalize> statement(raw);
  if (code != SQLITE_OK) return fail_sqlite(handle_.get(), code, path_);
  return Statement(std::move(statement), path_);
}

Result<void> Database::run(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail_sqlite(handle_.get(), code, path_);
  return {};
}

Result<std::int64_t> Database::number(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  auto row = statement->step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return fail(ErrorKind::refused, path_ + ": no answer to " + std::string(sql));
  return statement->number(0);
}

}  // namespace ankus
