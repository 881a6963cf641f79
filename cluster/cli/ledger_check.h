#pragma once
// Holds a log against the fleet's ledger: is every acknowledged reading there, once, in order, unchanged?

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/bytes/bytes.h"
#include "common/base/result.h"

namespace tributary {

class LedgerReader;

enum class Fault { kMissing, kDoubled, kOutOfOrder, kContentDiffers };
[[nodiscard]] std::string_view name_of(Fault fault);

struct Offender {
  Fault fault{};
  std::string device;
  std::int64_t seq = 0;
  std::string detail;  // where in the log, or when it was acknowledged
};

struct LedgerReport {
  std::int64_t devices = 0;
  std::int64_t acknowledged = 0;  // readings in the ledger
  std::int64_t records = 0;       // in the log

  std::int64_t missing = 0;          // in the ledger, not in the log
  std::int64_t doubled = 0;          // in the log more than once: each further one counts
  std::int64_t out_of_order = 0;     // first seen after a later reading of its device
  std::int64_t content_differs = 0;  // other bytes than were published

  // No faults of the pipeline.
  std::int64_t doubled_by_mqtt = 0;  // the device itself sent it again (DUP), which MQTT QoS 1 allows to double
  std::int64_t unacknowledged = 0;   // published, but the device never got the acknowledgement
  std::int64_t foreign = 0;          // no reading of a device of the ledger

  std::vector<Offender> offenders;   // the first few of each fault
  [[nodiscard]] std::int64_t faults() const { return missing + doubled + out_of_order + content_differs; }
};

/// Feed it every record of the topic, one partition after the other, each in offset order; then finish().
/// One thread at a time.
///
/// A reading is known by "device" and "seq" of its JSON. Memory: one bit per reading, one window of
/// ledger rows per device (64 MiB in all at most), so millions of readings are no matter.
class LedgerCheck {
 public:
  /// `ledger` must outlive the check. Errors: those of the ledger.
  [[nodiscard]] static Result<std::unique_ptr<LedgerCheck>> create(const LedgerReader& ledger,
                                                                   std::size_t offenders_max_per_fault = 5);
  ~LedgerCheck();
  LedgerCheck(const LedgerCheck&) = delete;
  LedgerCheck& operator=(const LedgerCheck&) = delete;

  /// Errors: those of the ledger; a record that is no reading is counted, and no error.
  [[nodiscard]] Result<> observe(const TopicPartition& partition, Offset offset, ByteView value);
  /// Counts what is missing.
  [[nodiscard]] Result<LedgerReport> finish();

 private:
  struct Impl;
  explicit LedgerCheck(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
