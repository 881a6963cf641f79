#include "firmware-sim/ledger/sqlite_session.h"

#include <fmt/format.h>

namespace tributary::ledger_detail {
namespace {

constexpr int kBusyTimeoutMs = 5000;

Errc code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL: return Errc::kNoSpace;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: return Errc::kCorrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Errc::kLocked;
    case SQLITE_CONSTRAINT: return Errc::kAlreadyExists;
    default: return Errc::kIo;
  }
}

}  // namespace

Result<Session> Session::open(const std::string& path, int flags) {
  Session session;
  session.path_ = path;
  if (sqlite3_open_v2(path.c_str(), &session.raw_, flags | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK)
    return tl::unexpected<Error>(session.last_error("open"));
  sqlite3_extended_result_codes(session.raw_, 1);
  sqlite3_busy_timeout(session.raw_, kBusyTimeoutMs);
  return session;
}

Result<> Session::execute(const char* sql) {
  if (sqlite3_exec(raw_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return tl::unexpected<Error>(last_error(sql));
  return {};
}

Result<Statement> Session::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(raw_, sql, -1, &statement, nullptr) != SQLITE_OK)
    return tl::unexpected<Error>(last_error(sql));
  return Statement(statement);
}

Error Session::last_error(std::string_view doing) const {
  return {code_of(raw_ == nullptr ? SQLITE_NOMEM : sqlite3_errcode(raw_)),
          fmt::format("ledger {}: {} (in: {})", path_,
                      raw_ == nullptr ? "out of memory" : sqlite3_errmsg(raw_), doing)};
}

}  // namespace tributary::ledger_detail
