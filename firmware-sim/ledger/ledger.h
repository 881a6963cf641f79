#pragma once
// The ledger: what the fleet may hold the pipeline to. One SQLite file with every reading whose
// publication the MQTT broker acknowledged to the device (PUBACK at QoS 1, PUBCOMP at QoS 2), and when; but not
// what it said to have dropped because nobody was subscribed (Mosquitto: version 5, QoS 1).
//
//   meta(key, value)              format = 1, seed, topic_pattern, qos, created_ms
//   devices(id, name, topic)      name is the MQTT client id's device and the reading's "device"
//   readings(device_id, seq, published_ms, acked_ms, payload_crc32c, payload_bytes, resent)
//                                 primary key (device_id, seq), WITHOUT ROWID: under 40 bytes a row
//
// A reading that was published but not acknowledged when the fleet ended is not in the ledger; it may
// be in the log all the same. So a verifier asks: is every ledger entry in the log exactly once, are the
// log's readings of one device in rising seq order, is none there twice; entries of the log that the
// ledger does not have are no error.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/env/clock.h"

namespace tributary {

inline constexpr int kLedgerFormat = 1;

struct LedgerMeta {
  std::uint64_t seed = 0;
  std::string topic_pattern;  // of MQTT, with {device}: "sensors/{device}/env"
  int qos = 1;
  WallMs created_ms = 0;
};

struct LedgerDevice {
  std::int64_t id = 0;  // from 1, this file's own
  std::string name;     // "dev-0007"
  std::string topic;    // of MQTT
};

struct LedgerEntry {
  std::int64_t seq = 0;  // the reading's "seq": from 1 per device, without gaps as published
  WallMs published_ms = 0;
  WallMs acked_ms = 0;
  std::uint32_t payload_crc32c = 0;  // of the MQTT payload as published
  std::uint32_t payload_bytes = 0;
  /// The device's connection broke while the reading was in flight, and the client sent it again with
  /// DUP. An MQTT broker does not recognise that at QoS 1 and may hand it on twice, and with it the
  /// readings that were in flight beside it: a verifier must not blame the pipeline for these.
  bool resent = false;

  friend bool operator==(const LedgerEntry&, const LedgerEntry&) = default;
};

/// Writes a new ledger. A thread of its own commits what record() queued, every 200 ms or 20,000 rows.
/// If the process is killed, the newest rows that were not yet committed are lost and the file stays
/// whole: every row in it was acknowledged. A power cut may also lose the newest commits.
class LedgerWriter {
 public:
  /// kAlreadyExists if there is a file at `path`: a ledger describes one run.
  [[nodiscard]] static Result<std::unique_ptr<LedgerWriter>> create(const std::string& path,
                                                                   const LedgerMeta& meta,
                                                                   std::vector<LedgerDevice> devices);
  /// Closes, if close() was not called; its error is lost then.
  ~LedgerWriter();
  LedgerWriter(const LedgerWriter&) = delete;
  LedgerWriter& operator=(const LedgerWriter&) = delete;

  /// Thread-safe; cheap. Waits only while 1,000,000 rows are queued. After the first failed commit
  /// (disk full) rows are dropped: see error().
  void record(std::int64_t device_id, const LedgerEntry& entry);

  /// The first error that a commit met. Thread-safe.
  [[nodiscard]] std::optional<Error> error() const;

  /// Commits everything queued and leaves one file without journal. If it never returns, any prefix of
  /// the queued rows may be in the file. No record() may run at the same time or later.
  [[nodiscard]] Result<> close();

 private:
  struct Impl;
  explicit LedgerWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Reads a ledger, also while a fleet is writing it (each call sees what was committed before it).
/// Not thread-safe.
class LedgerReader {
 public:
  /// kNotFound; kCorrupt if the file is no ledger; kUnsupported for another format.
  [[nodiscard]] static Result<std::unique_ptr<LedgerReader>> open(const std::string& path);
  ~LedgerReader();
  LedgerReader(const LedgerReader&) = delete;
  LedgerReader& operator=(const LedgerReader&) = delete;

  [[nodiscard]] const LedgerMeta& meta() const;
  /// All devices of the run, by id; also those without an acknowledged reading.
  [[nodiscard]] const std::vector<LedgerDevice>& devices() const;
  [[nodiscard]] const LedgerDevice* find_device(std::string_view name) const;

  [[nodiscard]] Result<std::int64_t> count() const;
  [[nodiscard]] Result<std::int64_t> count(std::int64_t device_id) const;

  /// Streams one device's entries by rising seq, from `first_seq` (inclusive), until `visit` says false.
  /// Memory does not grow with the number of rows.
  [[nodiscard]] Result<> for_each(std::int64_t device_id,
                                  const std::function<bool(const LedgerEntry&)>& visit,
                                  std::int64_t first_seq = 0) const;

  [[nodiscard]] Result<std::optional<LedgerEntry>> find(std::int64_t device_id, std::int64_t seq) const;

 private:
  struct Impl;
  explicit LedgerReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
