#include "common/sqlite/database.h"

#include <sqlite3.h>

#include <cerrno>

#include "common/base/check.h"

namespace tributary {
namespace {

Errc errc_of(sqlite3* connection, int code) {
  switch (code & 0xff) {
    case SQLITE_FULL: return Errc::kNoSpace;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Errc::kCorrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Errc::kLocked;
    case SQLITE_TOOBIG: return Errc::kTooLarge;
    case SQLITE_IOERR: {
      const int number = connection == nullptr ? 0 : sqlite3_system_errno(connection);
      return number == ENOSPC || number == EDQUOT || number == EFBIG ? Errc::kNoSpace : Errc::kIo;
    }
    default: return Errc::kIo;
  }
}

tl::unexpected<Error> failure(sqlite3* connection, int code) {
  const char* path = sqlite3_db_filename(connection, "main");
  std::string message = fmt::format("{}: {}", path == nullptr ? "" : path, sqlite3_errmsg(connection));
  if ((code & 0xff) == SQLITE_IOERR) {
    message += fmt::format(" ({})", std::strerror(sqlite3_system_errno(connection)));
  }
  return fail(errc_of(connection, code), std::move(message));
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

Statement& Statement::bind(int parameter, std::int64_t value) {
  CHECK(sqlite3_bind_int64(statement_.get(), parameter, value) == SQLITE_OK, "parameter {}", parameter);
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view text) {
  const int code = sqlite3_bind_text64(statement_.get(), parameter, text.empty() ? "" : text.data(),
                                       text.size(), SQLITE_STATIC, SQLITE_UTF8);
  CHECK(code == SQLITE_OK, "parameter {} of {} bytes", parameter, text.size());
  return *this;
}

Statement& Statement::bind(int parameter, ByteView blob) {
  const int code = blob.empty() ? sqlite3_bind_zeroblob(statement_.get(), parameter, 0)
                                : sqlite3_bind_blob64(statement_.get(), parameter, blob.data(),
                                                      blob.size(), SQLITE_STATIC);
  CHECK(code == SQLITE_OK, "parameter {} of {} bytes", parameter, blob.size());
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  auto error = failure(sqlite3_db_handle(statement_.get()), code);
  reset();
  return error;
}

Result<> Statement::run() {
  ASSIGN_OR_RETURN(const bool row, step());
  if (row) reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? std::string_view{} : std::string_view(data, static_cast<std::size_t>(size));
}

ByteView Statement::blob(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? ByteView{} : ByteView(data, static_cast<std::size_t>(size));
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<Database> Database::open(const std::string& path) {
  Database database;
  database.path_ = path;
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &connection,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  database.connection_.reset(connection);
  if (code != SQLITE_OK) {
    if (connection == nullptr) return fail(Errc::kIo, fmt::format("{}: out of memory", path));
    return fail(errc_of(connection, code),
                fmt::format("{}: {} ({})", path, sqlite3_errmsg(connection),
                            std::strerror(sqlite3_system_errno(connection))));
  }
  return database;
}

Result<> Database::execute(const char* sql) {
  const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(connection_.get(), code);
  return {};
}

Result<std::int64_t> Database::integer(const char* sql) {
  ASSIGN_OR_RETURN(auto statement, prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.step());
  CHECK(row, "{} gives a row", sql);
  return statement.integer(0);
}

Result<Statement> Database::prepare(const char* sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return failure(connection_.get(), code);
  Statement statement;
  statement.statement_.reset(raw);
  return statement;
}

Result<Transaction> Transaction::begin(Database& database) {
  RETURN_IF_ERROR(database.execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  // Some errors have rolled back already; a second ROLLBACK would be an error of no interest.
  sqlite3* connection = database_->connection_.get();
  if (sqlite3_get_autocommit(connection) == 0) {
    sqlite3_exec(connection, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

Result<> Transaction::commit() {
  RETURN_IF_ERROR(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace tributary
