#include "cluster/metadata/sqlite_metadata_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

namespace tributary {
namespace {

constexpr int kApplicationId = 0x54724d64;  // "TrMd", at byte 68 of the file
constexpr int kFormatVersion = 1;

constexpr const char* kSchema =
    "CREATE TABLE entry("
    " key TEXT PRIMARY KEY, parent TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL,"
    " session_bound INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX entry_parent ON entry(parent, key);";

Errc errc_of(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Errc::kLocked;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Errc::kCorrupt;
    case SQLITE_FULL: return Errc::kNoSpace;
    default: return Errc::kIo;
  }
}

class Database {
 public:
  explicit Database(std::string path) : path_(std::move(path)) {}
  ~Database() { sqlite3_close(handle_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Result<> open() {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path_.c_str(), &handle_, flags, nullptr) != SQLITE_OK) return failed("open");
    sqlite3_extended_result_codes(handle_, 1);
    return {};
  }
  Result<> execute(const char* sql) {
    if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failed("execute");
    return {};
  }
  Result<int> integer(const char* sql) {
    int value = 0;
    const auto row = [](void* out, int count, char** columns, char**) {
      if (count > 0 && columns[0]) *static_cast<int*>(out) = std::atoi(columns[0]);
      return 0;
    };
    if (sqlite3_exec(handle_, sql, row, &value, nullptr) != SQLITE_OK) return failed("read");
    return value;
  }
  tl::unexpected<Error> failed(std::string_view what) const {
    const int code = handle_ ? sqlite3_errcode(handle_) : SQLITE_NOMEM;
    const auto errc = errc_of(code);
    if (errc == Errc::kLocked)
      return fail(errc, fmt::format("metadata database {} is in use by another process", path_));
    return fail(errc, fmt::format("metadata database {}: {}: {}", path_, what,
                                  handle_ ? sqlite3_errmsg(handle_) : "out of memory"));
  }
  [[nodiscard]] sqlite3* handle() const { return handle_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  sqlite3* handle_ = nullptr;
};

/// A prepared statement: bind, then step until no row; reset by `Use`.
class Statement {
 public:
  Statement() = default;
  ~Statement() { sqlite3_finalize(handle_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Result<> prepare(Database& database, const char* sql) {
    database_ = &database;
    if (sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr) !=
        SQLITE_OK)
      return database.failed("prepare");
    return {};
  }
  Statement& start() {
    sqlite3_reset(handle_);
    bound_ = 0;
    return *this;
  }
  Statement& text(std::string_view value) {
    sqlite3_bind_text(handle_, ++bound_, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
    return *this;
  }
  Statement& blob(std::string_view value) {
    // A null pointer would bind NULL, which the column refuses.
    sqlite3_bind_blob(handle_, ++bound_, value.empty() ? "" : value.data(), static_cast<int>(value.size()),
                      SQLITE_STATIC);
    return *this;
  }
  Statement& integer(std::int64_t value) {
    sqlite3_bind_int64(handle_, ++bound_, value);
    return *this;
  }
  /// True while there is a row.
  Result<bool> step() {
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return database_->failed("step");
  }
  Result<> run() {
    auto row = step();
    sqlite3_reset(handle_);
    if (!row) return tl::unexpected<Error>(row.error());
    return {};
  }
  [[nodiscard]] std::string column_bytes(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
    return data ? std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)))
                : std::string();
  }
  [[nodiscard]] std::int64_t column_integer(int column) const { return sqlite3_column_int64(handle_, column); }

 private:
  Database* database_ = nullptr;
  sqlite3_stmt* handle_ = nullptr;
  int bound_ = 0;
};

std::string_view parent_of(std::string_view key) { return key.substr(0, key.rfind('/')); }

bool is_at_or_below(std::string_view key, std::string_view root) {
  return key.starts_with(root) && (key.size() == root.size() || key[root.size()] == '/');
}

tl::unexpected<Error> blocked(Errc code, const MetadataWrite& write, std::string_view why) {
  return fail(code, fmt::format("metadata key {}: {}", write.key, why));
}

/// The tables, on one thread, without queue or watches.
class Tables {
 public:
  explicit Tables(const std::string& path) : database_(path) {}

  Result<> open() {
    RETURN_IF_ERROR(database_.open());
    // Exclusive locking keeps the WAL's index in memory instead of in a shared file. The cache is small,
    // because the whole database is.
    RETURN_IF_ERROR(database_.execute(
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-256; PRAGMA temp_store=MEMORY;"));
    RETURN_IF_ERROR(recognise());
    RETURN_IF_ERROR(database_.execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=1048576;"));
    RETURN_IF_ERROR(create_if_new());
    RETURN_IF_ERROR(get_.prepare(database_, "SELECT key, value, version, session_bound FROM entry WHERE key=?"));
    RETURN_IF_ERROR(list_.prepare(
        database_, "SELECT key, value, version, session_bound FROM entry WHERE parent=? ORDER BY key"));
    RETURN_IF_ERROR(insert_.prepare(
        database_, "INSERT INTO entry(key, parent, value, version, session_bound) VALUES(?,?,?,0,?)"));
    RETURN_IF_ERROR(update_.prepare(database_, "UPDATE entry SET value=?, version=? WHERE key=?"));
    RETURN_IF_ERROR(delete_.prepare(database_, "DELETE FROM entry WHERE key=?"));
    return end_session();
  }

  Result<> end_session() { return database_.execute("DELETE FROM entry WHERE session_bound=1"); }

  Result<std::optional<MetadataEntry>> get(std::string_view key) {
    ASSIGN_OR_RETURN(const bool found, get_.start().text(key).step());
    std::optional<MetadataEntry> entry;
    if (found) entry = entry_of(get_);
    get_.start();
    return entry;
  }

  Result<std::vector<MetadataEntry>> list(std::string_view parent) {
    std::vector<MetadataEntry> entries;
    list_.start().text(parent);
    for (;;) {
      ASSIGN_OR_RETURN(const bool found, list_.step());
      if (!found) break;
      entries.push_back(entry_of(list_));
    }
    list_.start();
    return entries;
  }

  Result<MetadataStore::NewVersions> commit(const std::vector<MetadataWrite>& writes) {
    RETURN_IF_ERROR(validate_metadata_writes(writes));
    RETURN_IF_ERROR(database_.execute("BEGIN IMMEDIATE"));
    MetadataStore::NewVersions versions;
    for (const auto& write : writes) {
      auto version = apply(write);
      if (!version) {
        (void)database_.execute("ROLLBACK");
        return tl::unexpected<Error>(std::move(version).error());
      }
      versions.push_back(*version);
    }
    if (auto done = database_.execute("COMMIT"); !done) {
      (void)database_.execute("ROLLBACK");
      return tl::unexpected<Error>(std::move(done).error());
    }
    return versions;
  }

 private:
  static MetadataEntry entry_of(const Statement& row) {
    return {row.column_bytes(0), row.column_bytes(1), static_cast<MetadataVersion>(row.column_integer(2)),
            row.column_integer(3) != 0};
  }

  Result<> recognise() {
    ASSIGN_OR_RETURN(const int tables, database_.integer("SELECT count(*) FROM sqlite_master"));
    ASSIGN_OR_RETURN(const int application, database_.integer("PRAGMA application_id"));
    ASSIGN_OR_RETURN(const int version, database_.integer("PRAGMA user_version"));
    is_new_ = tables == 0 && application == 0 && version == 0;
    if (is_new_) return {};
    if (application != kApplicationId)
      return fail(Errc::kUnsupported, fmt::format("{} is not a metadata database", database_.path()));
    if (version != kFormatVersion)
      return fail(Errc::kUnsupported, fmt::format("metadata database {} has format version {}; this program reads {}",
                                                  database_.path(), version, kFormatVersion));
    return {};
  }

  Result<> create_if_new() {
    if (!is_new_) return {};
    const auto sql = fmt::format("BEGIN IMMEDIATE; {} PRAGMA application_id={}; PRAGMA user_version={}; COMMIT",
                                 kSchema, kApplicationId, kFormatVersion);
    return database_.execute(sql.c_str());
  }

  Result<MetadataVersion> apply(const MetadataWrite& write) {
    ASSIGN_OR_RETURN(const auto present, get(write.key));
    if (write.kind == MetadataWrite::Kind::kCreate) {
      if (present) return blocked(Errc::kAlreadyExists, write, "already exists");
      RETURN_IF_ERROR(insert_.start()
                          .text(write.key)
                          .text(parent_of(write.key))
                          .blob(write.value)
                          .integer(write.session_bound ? 1 : 0)
                          .run());
      return 0;
    }
    if (!present) return blocked(Errc::kNotFound, write, "does not exist");
    if (write.expected != kAnyVersion && write.expected != present->version)
      return blocked(Errc::kVersionMismatch, write,
                     fmt::format("is at version {}, not {}", present->version, write.expected));
    switch (write.kind) {
      case MetadataWrite::Kind::kCheck: return present->version;
      case MetadataWrite::Kind::kRemove:
        RETURN_IF_ERROR(delete_.start().text(write.key).run());
        return -1;
      default: {
        const MetadataVersion next = present->version + 1;
        RETURN_IF_ERROR(update_.start().blob(write.value).integer(next).text(write.key).run());
        return next;
      }
    }
  }

  // Declared before the statements: it must outlive them.
  Database database_;
  bool is_new_ = false;
  Statement get_, list_, insert_, update_, delete_;
};

tl::unexpected<Error> closed() { return fail(Errc::kUnavailable, "the metadata store is closing"); }

}  // namespace

class SqliteMetadataStore::Impl {
 public:
  explicit Impl(const std::string& path) : tables_(path) {}

  Result<> open() {
    RETURN_IF_ERROR(tables_.open());
    thread_ = std::thread([this] { run(); });
    return {};
  }

  ~Impl() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  template <class T, class Work>
  void enqueue(Done<T> done, Work work) {
    {
      const std::scoped_lock lock(mutex_);
      if (!stopping_) {
        queue_.push_back([this, done = std::move(done), work = std::move(work)] { done(work(tables_)); });
        wake_.notify_one();
        return;
      }
    }
    done(closed());
  }

  void commit(std::vector<MetadataWrite> writes, Done<NewVersions> done) {
    enqueue<NewVersions>(
        [this, writes, done = std::move(done)](Result<NewVersions> versions) {
          const bool changed = versions.has_value();
          done(std::move(versions));
          if (changed) notify(writes);
        },
        [writes](Tables& tables) { return tables.commit(writes); });
  }

  WatchId watch(std::string key, std::function<void(const std::string&)> changed) {
    const std::scoped_lock lock(watches_mutex_);
    const WatchId id = next_watch_++;
    watches_.emplace(id, Watch{std::move(key), std::make_shared<decltype(changed)>(std::move(changed))});
    return id;
  }

  void unwatch(WatchId id) {
    const std::scoped_lock lock(watches_mutex_);
    watches_.erase(id);
  }

  void on_session_state(std::function<void(SessionState)> changed) {
    // This session cannot be suspended: it ends with the object.
    enqueue<bool>([changed = std::move(changed)](Result<bool>) { changed(SessionState::kConnected); },
                  [](Tables&) -> Result<bool> { return true; });
  }

 private:
  struct Watch {
    std::string key;
    std::shared_ptr<std::function<void(const std::string&)>> changed;
  };

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) break;
      auto task = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
    lock.unlock();
    (void)tables_.end_session();  // the next open does the same
  }

  void notify(const std::vector<MetadataWrite>& writes) {
    // Recursive, so that a watcher may watch and unwatch; the ids are taken first, so that it may not
    // invalidate the iteration.
    const std::scoped_lock lock(watches_mutex_);
    for (const auto& write : writes) {
      if (write.kind == MetadataWrite::Kind::kCheck) continue;
      std::vector<WatchId> ids;
      for (const auto& [id, watch] : watches_)
        if (is_at_or_below(write.key, watch.key)) ids.push_back(id);
      for (const auto id : ids) {
        const auto found = watches_.find(id);
        if (found == watches_.end()) continue;
        const auto changed = found->second.changed;
        (*changed)(write.key);
      }
    }
  }

  // Store thread only, after open.
  Tables tables_;
  std::thread thread_;

  // Under mutex_.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;

  // Under watches_mutex_, which is held while watchers run.
  std::recursive_mutex watches_mutex_;
  std::map<WatchId, Watch> watches_;
  WatchId next_watch_ = 1;
};

Result<std::unique_ptr<SqliteMetadataStore>> SqliteMetadataStore::open(const std::string& path) {
  auto impl = std::make_unique<Impl>(path);
  RETURN_IF_ERROR(impl->open());
  return std::unique_ptr<SqliteMetadataStore>(new SqliteMetadataStore(std::move(impl)));
}

SqliteMetadataStore::SqliteMetadataStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteMetadataStore::~SqliteMetadataStore() = default;

void SqliteMetadataStore::get(std::string key, Done<std::optional<MetadataEntry>> done) {
  impl_->enqueue<std::optional<MetadataEntry>>(std::move(done), [key = std::move(key)](Tables& tables) {
    return tables.get(key);
  });
}

void SqliteMetadataStore::list(std::string parent, Done<std::vector<MetadataEntry>> done) {
  impl_->enqueue<std::vector<MetadataEntry>>(std::move(done), [parent = std::move(parent)](Tables& tables) {
    return tables.list(parent);
  });
}

void SqliteMetadataStore::commit(std::vector<MetadataWrite> writes, Done<NewVersions> done) {
  impl_->commit(std::move(writes), std::move(done));
}

MetadataStore::WatchId SqliteMetadataStore::watch(std::string key,
                                                  std::function<void(const std::string&)> changed) {
  return impl_->watch(std::move(key), std::move(changed));
}

void SqliteMetadataStore::unwatch(WatchId id) { impl_->unwatch(id); }

void SqliteMetadataStore::on_session_state(std::function<void(SessionState)> changed) {
  impl_->on_session_state(std::move(changed));
}

}  // namespace tributary
