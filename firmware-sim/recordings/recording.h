#pragma once
// Recorded readings, replayed as if devices measured them now.

#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "firmware-sim/device/value_source.h"

namespace tributary {

enum class RecordingFormat { kCsv, kNdjson };

struct RecordingOptions {
  std::size_t record_bytes_max = 1024 * 1024;
  /// Called with "FILE:LINE: what is wrong" for each of the first malformed records.
  std::function<void(const std::string&)> on_malformed = [](const std::string&) {};
  std::int64_t malformed_said_max = 20;
};

/// A stream of JSON objects without end: after the last record of the file comes the first again.
///
/// CSV has a header; a row becomes an object of its cells (csv.h). An NDJSON line is an object already, and
/// its bytes stay what they are. The format follows the name (.csv; .ndjson, .jsonl, .json); for other
/// names the file is NDJSON if it starts with '{', else CSV.
/// A malformed record (bad JSON or no object, wrong number of cells, not UTF-8, over record_bytes_max) is
/// counted, said and skipped; blank lines are skipped. Reads in bounded memory. Not thread-safe.
class Recording {
 public:
  /// kNotFound and the like; kInvalidArgument for a file without one usable record.
  [[nodiscard]] static Result<std::unique_ptr<Recording>> open(const std::string& path, RecordingOptions options);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  /// Appends the next record to `out`.
  [[nodiscard]] Result<> append_next(std::string& out);

  [[nodiscard]] RecordingFormat format() const;
  /// Malformed records of the first pass through the file, so far.
  [[nodiscard]] std::int64_t malformed() const;
  /// How often the end of the file was reached.
  [[nodiscard]] std::int64_t passes() const;

 private:
  struct Impl;
  explicit Recording(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Deals a recording out: whichever device publishes next takes the next record, which is round robin
/// for devices of one rate. The file changing underneath ends in an error, never in a wrong record.
class ReplayedValues final : public ValueSource {
 public:
  explicit ReplayedValues(std::unique_ptr<Recording> recording) : recording_(std::move(recording)) {}
  [[nodiscard]] Result<> append_values(std::size_t, WallMs, std::string& out) override {
    return recording_->append_next(out);
  }
  [[nodiscard]] const Recording& recording() const { return *recording_; }

 private:
  std::unique_ptr<Recording> recording_;
};

}  // namespace tributary
