#include <sys/stat.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/base/check.h"
#include "firmware-sim/ledger/ledger.h"
#include "firmware-sim/ledger/sqlite_session.h"

namespace tributary {
namespace {

using ledger_detail::Session;
using ledger_detail::Statement;

constexpr auto kCommitEvery = std::chrono::milliseconds(200);
constexpr std::size_t kCommitRows = 20'000;
constexpr std::size_t kQueuedRowsMax = 1'000'000;
static_assert(kCommitRows < kQueuedRowsMax);

constexpr const char* kSchema = R"sql(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA wal_autocheckpoint = 4000;
BEGIN;
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE devices(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, topic TEXT NOT NULL);
CREATE TABLE readings(
  device_id INTEGER NOT NULL REFERENCES devices(id),
  seq INTEGER NOT NULL,
  published_ms INTEGER NOT NULL,
  acked_ms INTEGER NOT NULL,
  payload_crc32c INTEGER NOT NULL,
  payload_bytes INTEGER NOT NULL,
  resent INTEGER NOT NULL,
  PRIMARY KEY(device_id, seq)) WITHOUT ROWID;
)sql";

Result<> step_once(Session& session, Statement& statement, std::string_view doing) {
  const int code = statement.step();
  auto error = session.last_error(doing);
  statement.reset();
  if (code != SQLITE_DONE) return tl::unexpected<Error>(std::move(error));
  return {};
}

Result<> write_head(Session& session, const LedgerMeta& meta, const std::vector<LedgerDevice>& devices) {
  ASSIGN_OR_RETURN(auto insert_meta, session.prepare("INSERT INTO meta VALUES(?, ?)"));
  const std::pair<std::string_view, std::string> rows[] = {
      {"format", std::to_string(kLedgerFormat)}, {"seed", std::to_string(meta.seed)},
      {"topic_pattern", meta.topic_pattern},     {"qos", std::to_string(meta.qos)},
      {"created_ms", std::to_string(meta.created_ms)}};
  for (const auto& [key, value] : rows) {
    insert_meta.bind(1, key);
    insert_meta.bind(2, std::string_view(value));
    RETURN_IF_ERROR(step_once(session, insert_meta, "insert meta"));
  }
  ASSIGN_OR_RETURN(auto insert_device, session.prepare("INSERT INTO devices VALUES(?, ?, ?)"));
  for (const auto& device : devices) {
    insert_device.bind(1, device.id);
    insert_device.bind(2, std::string_view(device.name));
    insert_device.bind(3, std::string_view(device.topic));
    RETURN_IF_ERROR(step_once(session, insert_device, "insert device"));
  }
  return session.execute("COMMIT");
}

}  // namespace

struct LedgerWriter::Impl {
  struct Row {
    std::int64_t device_id;
    LedgerEntry entry;
  };

  // Writer thread only, and close() after the thread has ended.
  Session session;
  Statement insert;  // after the session: finalised before it closes

  std::mutex mutex;
  std::condition_variable work, space;
  // Under mutex.
  std::vector<Row> queued;
  std::optional<Error> failed;
  bool closing = false;

  bool closed = false;  // owner's thread
  std::thread thread;

  Result<> commit(const std::vector<Row>& rows);
  void run();
};

Result<> LedgerWriter::Impl::commit(const std::vector<Row>& rows) {
  RETURN_IF_ERROR(session.execute("BEGIN"));
  for (const auto& [device_id, entry] : rows) {
    insert.bind(1, device_id);
    insert.bind(2, entry.seq);
    insert.bind(3, entry.published_ms);
    insert.bind(4, entry.acked_ms);
    insert.bind(5, static_cast<std::int64_t>(entry.payload_crc32c));
    insert.bind(6, static_cast<std::int64_t>(entry.payload_bytes));
    insert.bind(7, static_cast<std::int64_t>(entry.resent));
    if (auto inserted = step_once(session, insert, "insert reading"); !inserted) {
      (void)session.execute("ROLLBACK");  // the insert's error is the one to report
      return inserted;
    }
  }
  return session.execute("COMMIT");
}

void LedgerWriter::Impl::run() {
  std::vector<Row> rows;
  for (;;) {
    {
      std::unique_lock lock(mutex);
      work.wait_for(lock, kCommitEvery, [&] { return closing || queued.size() >= kCommitRows; });
      if (queued.empty() && closing) return;
      rows.swap(queued);
    }
    space.notify_all();
    if (rows.empty()) continue;
    auto committed = commit(rows);
    rows.clear();
    if (committed) continue;
    {
      std::lock_guard lock(mutex);
      failed = committed.error();
      queued.clear();
    }
    space.notify_all();
    return;
  }
}

LedgerWriter::LedgerWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->thread = std::thread([state = impl_.get()] { state->run(); });
}

LedgerWriter::~LedgerWriter() { (void)close(); }

Result<std::unique_ptr<LedgerWriter>> LedgerWriter::create(const std::string& path, const LedgerMeta& meta,
                                                           std::vector<LedgerDevice> devices) {
  struct stat ignored {};
  if (::stat(path.c_str(), &ignored) == 0)
    return fail(Errc::kAlreadyExists,
                fmt::format("ledger {}: there is a file already; a ledger describes one run: "
                            "remove it or name another", path));
  auto impl = std::make_unique<Impl>();
  ASSIGN_OR_RETURN(impl->session, Session::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  RETURN_IF_ERROR(impl->session.execute(kSchema));
  RETURN_IF_ERROR(write_head(impl->session, meta, devices));
  ASSIGN_OR_RETURN(impl->insert, impl->session.prepare("INSERT INTO readings VALUES(?, ?, ?, ?, ?, ?, ?)"));
  return std::unique_ptr<LedgerWriter>(new LedgerWriter(std::move(impl)));
}

void LedgerWriter::record(std::int64_t device_id, const LedgerEntry& entry) {
  bool wake = false;
  {
    std::unique_lock lock(impl_->mutex);
    CHECK(!impl_->closing, "record() after close()");
    impl_->space.wait(lock, [&] { return impl_->failed || impl_->queued.size() < kQueuedRowsMax; });
    if (impl_->failed) return;
    impl_->queued.push_back({device_id, entry});
    wake = impl_->queued.size() == kCommitRows;
  }
  if (wake) impl_->work.notify_one();
}

std::optional<Error> LedgerWriter::error() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->failed;
}

Result<> LedgerWriter::close() {
  if (!impl_->closed) {
    impl_->closed = true;
    {
      std::lock_guard lock(impl_->mutex);
      impl_->closing = true;
    }
    impl_->work.notify_one();
    impl_->thread.join();
    impl_->insert = Statement();
    // Folds the write-ahead log into the file; with a reader attached it stays beside it, which is whole too.
    if (!impl_->failed) (void)impl_->session.execute("PRAGMA journal_mode = DELETE");
    impl_->session = Session();
  }
  if (impl_->failed) return tl::unexpected<Error>(*impl_->failed);
  return {};
}

}  // namespace tributary
