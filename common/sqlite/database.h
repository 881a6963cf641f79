#pragma once
// SQLite with errors as values. Hides sqlite3.h.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/bytes/bytes.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tributary {

/// A prepared statement, used again and again: bind, step until false, reset. Bound and read views are
/// not copied: they must stay valid until reset() or the next step(). Ends before its Database.
class Statement {
 public:
  Statement() = default;

  /// Parameters count from 1.
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, ByteView blob);

  /// True if there is a row. On false and on an error the statement is reset already.
  [[nodiscard]] Result<bool> step();
  /// For statements without rows: step, and reset.
  [[nodiscard]] Result<> run();
  /// Ends the reading of rows; needed before the end was reached. Forgets the bound views.
  void reset();

  /// Columns count from 0; views are valid until the next step() or reset().
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] ByteView blob(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize { void operator()(sqlite3_stmt* statement) const; };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// One connection, for one thread at a time. Messages of errors carry the path.
class Database {
 public:
  /// Opens or creates. An unreadable file shows only at the first statement: kCorrupt.
  [[nodiscard]] static Result<Database> open(const std::string& path);

  /// One or several statements without parameters; rows are dropped.
  [[nodiscard]] Result<> execute(const char* sql);
  /// The first column of the first row, which must exist.
  [[nodiscard]] Result<std::int64_t> integer(const char* sql);
  [[nodiscard]] Result<Statement> prepare(const char* sql);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  friend class Transaction;
  struct Close { void operator()(sqlite3* connection) const; };
  std::unique_ptr<sqlite3, Close> connection_;
  std::string path_;
};

/// BEGIN IMMEDIATE; rolls back at the end of its scope unless commit() succeeded.
class Transaction {
 public:
  [[nodiscard]] static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  /// If it never returns, all or nothing holds. If it fails, nothing does.
  [[nodiscard]] Result<> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace tributary
