#pragma once
// A SQLite connection and its statements, closed in the right order. Private to this folder.

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/result.h"

namespace tributary::ledger_detail {

/// Not thread-safe. Finalised on destruction, which must come before its session's.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* raw) : raw_(raw) {}
  Statement(Statement&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Statement() { sqlite3_finalize(raw_); }

  void bind(int index, std::int64_t value) { sqlite3_bind_int64(raw_, index, value); }
  void bind(int index, std::string_view text) {
    sqlite3_bind_text(raw_, index, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }
  /// SQLITE_ROW, SQLITE_DONE, or an error code.
  int step() { return sqlite3_step(raw_); }
  void reset() { sqlite3_reset(raw_); }
  [[nodiscard]] std::int64_t integer(int column) const { return sqlite3_column_int64(raw_, column); }
  [[nodiscard]] std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(raw_, column));
    return {bytes == nullptr ? "" : bytes, static_cast<std::size_t>(sqlite3_column_bytes(raw_, column))};
  }

 private:
  sqlite3_stmt* raw_ = nullptr;
};

/// One connection, without SQLite's own mutexes: one thread at a time.
class Session {
 public:
  [[nodiscard]] static Result<Session> open(const std::string& path, int flags);
  Session() = default;
  Session(Session&& other) noexcept : path_(std::move(other.path_)), raw_(std::exchange(other.raw_, nullptr)) {}
  Session& operator=(Session&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Session() { sqlite3_close(raw_); }

  [[nodiscard]] Result<> execute(const char* sql);
  [[nodiscard]] Result<Statement> prepare(const char* sql);
  /// The connection's last error, as ours: SQLITE_FULL is kNoSpace, SQLITE_NOTADB and SQLITE_CORRUPT
  /// are kCorrupt, SQLITE_CONSTRAINT is kAlreadyExists, others kIo.
  [[nodiscard]] Error last_error(std::string_view doing) const;

 private:
  std::string path_;
  sqlite3* raw_ = nullptr;
};

}  // namespace tributary::ledger_detail
