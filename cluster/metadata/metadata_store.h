#pragma once
// Where all cluster state lives: a small tree of versioned keys, as ZooKeeper's. The brokers and the
// controller are reconcilers over it: they read, compare-and-set, and are told when to read again.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace tributary {

/// Of one key: 0 at its creation, one more at each put. A key that is removed and created again starts
/// at 0 again, so versions of different lives of a key do not compare; put an id into the value where
/// that matters.
using MetadataVersion = std::int32_t;
inline constexpr MetadataVersion kAnyVersion = -1;

struct MetadataEntry {
  std::string key;
  std::string value;
  MetadataVersion version = 0;
  bool session_bound = false;  // removed when the session of its creator ends
  friend bool operator==(const MetadataEntry&, const MetadataEntry&) = default;
};

/// One step of a commit. `expected` is the version that the key must have (kAnyVersion: any, but it must
/// exist).
struct MetadataWrite {
  enum class Kind { kCreate, kPut, kRemove, kCheck };
  Kind kind;
  std::string key;
  std::string value;
  MetadataVersion expected = kAnyVersion;
  bool session_bound = false;

  static MetadataWrite create(std::string key, std::string value) {
    return {Kind::kCreate, std::move(key), std::move(value), kAnyVersion, false};
  }
  static MetadataWrite create_session_bound(std::string key, std::string value) {
    return {Kind::kCreate, std::move(key), std::move(value), kAnyVersion, true};
  }
  static MetadataWrite put(std::string key, std::string value, MetadataVersion expected) {
    return {Kind::kPut, std::move(key), std::move(value), expected, false};
  }
  static MetadataWrite remove(std::string key, MetadataVersion expected) {
    return {Kind::kRemove, std::move(key), {}, expected, false};
  }
  static MetadataWrite check(std::string key, MetadataVersion expected) {
    return {Kind::kCheck, std::move(key), {}, expected, false};
  }
};

enum class SessionState {
  kConnected,  // session-bound keys stand
  kSuspended,  // connection lost: they may stand or fall, as the store decides
  kExpired,    // they are gone; a new session begins with the next kConnected
};

/// Keys are paths: "/topics/readings", parts of printable ASCII without '/', not "." or "..".
/// Parents need not be created, and a key may have both a value and children.
///
/// Calls may come from any thread and return at once. Calls of one thread take effect in order.
/// Each `done` runs exactly once, on the store's own thread, also when the store is closed meanwhile
/// (kUnavailable); it must not block, and must not wait for another call of the store.
class MetadataStore {
 public:
  template <class T>
  using Done = std::function<void(Result<T>)>;
  using NewVersions = std::vector<MetadataVersion>;
  using WatchId = std::uint64_t;

  static constexpr std::size_t kKeyBytesMax = 1024;
  static constexpr std::size_t kValueBytesMax = 512 * 1024;  // ZooKeeper's packets end at 1 MiB
  static constexpr std::size_t kWritesMax = 1024;

  virtual ~MetadataStore() = default;

  /// nullopt if there is no such key.
  virtual void get(std::string key, Done<std::optional<MetadataEntry>> done) = 0;

  /// The entries directly below `parent` ("/topics" gives "/topics/a", not "/topics/a/b"), sorted by key.
  /// Keys without a value of their own are not listed.
  virtual void list(std::string parent, Done<std::vector<MetadataEntry>> done) = 0;

  /// All writes or none, atomically and in order. Gives the new version of each key (-1 for a removed one).
  /// kAlreadyExists, kNotFound or kVersionMismatch name the key that stood in the way; then nothing changed.
  /// Durable when `done` reports success. If `done` reports kUnavailable or kIo, or never runs, either all
  /// of the writes or none of them are in the store: read again before deciding anything.
  virtual void commit(std::vector<MetadataWrite> writes, Done<NewVersions> done) = 0;

  /// Calls `changed` with the key of each change at `key` or anywhere below it, from after the call on,
  /// until unwatch. Watches stream (they need no renewal), and carry no value: they mean "read again". Changes
  /// may be merged and some reported twice, the last one is never missed; after a lost connection
  /// `changed` is called with `key` itself. Runs on the store's thread.
  virtual WatchId watch(std::string key, std::function<void(const std::string& changed_key)> changed) = 0;
  /// After it returns `changed` is not called again: it waits for a call under way, unless made within it.
  virtual void unwatch(WatchId id) = 0;

  /// Tells the state now, and each change. One listener; runs on the store's thread.
  virtual void on_session_state(std::function<void(SessionState)> changed) = 0;
};

/// kInvalidArgument, naming the key, if it is not a path as above.
[[nodiscard]] Result<> validate_metadata_key(std::string_view key);
/// Checks what every implementation refuses: keys, sizes, counts.
[[nodiscard]] Result<> validate_metadata_writes(const std::vector<MetadataWrite>& writes);

}  // namespace tributary
