#pragma once
// The embedded MetadataStore of a cluster of one broker: a SQLite database, and one thread that owns it.

#include <memory>
#include <string>

#include "cluster/metadata/metadata_store.h"

namespace tributary {

/// Opened by one process at a time (SQLite's exclusive lock; the data folder has a lock of its own).
/// A session lasts as long as the object: session-bound keys are removed when it is destroyed or, after a
/// crash, when the file is opened again. The destructor completes all calls that are queued.
///
/// Commits run with synchronous=FULL in WAL mode: when `done` reports success the commit survives a power
/// cut. If the process dies before, the next open finds all of the commit or nothing of it.
class SqliteMetadataStore final : public MetadataStore {
 public:
  /// Opens or creates the database `path`. Blocks for the file.
  /// kLocked: another process has it. kUnsupported: written by another version, or not ours.
  /// kCorrupt: not a database. All name the path.
  [[nodiscard]] static Result<std::unique_ptr<SqliteMetadataStore>> open(const std::string& path);
  ~SqliteMetadataStore() override;

  void get(std::string key, Done<std::optional<MetadataEntry>> done) override;
  void list(std::string parent, Done<std::vector<MetadataEntry>> done) override;
  void commit(std::vector<MetadataWrite> writes, Done<NewVersions> done) override;
  WatchId watch(std::string key, std::function<void(const std::string&)> changed) override;
  void unwatch(WatchId id) override;
  void on_session_state(std::function<void(SessionState)> changed) override;

 private:
  class Impl;
  explicit SqliteMetadataStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
