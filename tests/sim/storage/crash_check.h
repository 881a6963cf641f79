#pragma once
// What must be true of a broker's data folder after a crash.

#include <string>
#include <vector>

#include "cluster/storage/log_directory.h"
#include "tests/sim/files/simulated_file_system.h"

namespace tributary::sim {

inline constexpr const char* kDataFolder = "/data";

/// A batch that a producer sent, in the order of the log.
struct SentBatch {
  ProducerId producer = kNoProducerId;
  ProducerEpoch epoch = kNoProducerEpoch;
  std::int32_t count = 1;
  Offset base_offset{0};
  Bytes stored;  // as the log must hold it
  [[nodiscard]] Offset next_offset() const { return base_offset + count; }
};

/// A batch whose append failed. It was written in part and cut off again, and so may come back as long as neither
/// is on disk: where only its last bytes had no room and those are zeros, even as a whole one.
struct RefusedBatch {
  SentBatch batch;
  std::uint64_t number = 0;  // rising
};

/// What is known of one partition at the moment of the crash.
struct PartitionTruth {
  TopicPartition partition;
  Uuid topic_id;
  bool may_be_missing = false;  // being created or deleted
  std::vector<SentBatch> sent;  // all that was appended, or was being appended
  Offset acked_end{0};          // exclusive: acknowledged below
  Offset acked_start{0};        // nothing below is served again
  Offset asked_start{0};        // nothing from here on may be taken away
  std::vector<RefusedBatch> refused;  // since the last sync
};

using Truth = std::vector<PartitionTruth>;

struct Recovered {
  std::size_t batches = 0;  // of those sent: removed, or in the log
  bool refused_came_back = false;
};
/// Holds a log that was just opened against `truth`. Batches above acked_end may be refused ones instead of those
/// that were sent; `truth.sent` is then what was removed and what the log holds, else it stays.
[[nodiscard]] Result<Recovered> check_content(Log& log, PartitionTruth& truth);

[[nodiscard]] LogDirectoryOptions directory_options();
[[nodiscard]] LogConfig log_config();

/// Opens the folder that a crash left and checks it against `truth`:
/// - every partition is found, opens without help, and starts where it was said to, or was being said to;
/// - its batches from there on are the first ones that were sent, with the same bytes, at least all acknowledged
///   ones (see check_content);
/// - the last five batches of each producer that are or were in the log are duplicates with their old offset,
///   older ones are known as duplicates or fenced; what was lost can be sent again and is there once.
/// Then, by chance: a crash during the opening, a power cut right after it, a clean stop; and all again.
/// Returns the first thing that is wrong.
class CrashCheck {
 public:
  CrashCheck(const Truth& truth, Random& random) : truth_(truth), random_(random) {}
  [[nodiscard]] Result<> run(SimulatedFileSystem& image);

  /// How many folders were opened so far, those of nested crashes included.
  [[nodiscard]] std::uint64_t opened() const { return opened_; }

 private:
  struct OpenPartition {
    PartitionTruth truth;
    std::unique_ptr<Log> log;
    Recovered recovered;
  };
  using Opened = std::vector<OpenPartition>;

  [[nodiscard]] Result<> check(SimulatedFileSystem& image, const Truth& truth, int depth);
  [[nodiscard]] Result<Opened> open_all(SimulatedFileSystem& image, const Truth& truth,
                                        std::unique_ptr<LogDirectory>& directory);
  [[nodiscard]] Result<> send_again(OpenPartition& open);
  [[nodiscard]] Result<> go_on_removing(Log& log, SimulatedFileSystem& image);
  [[nodiscard]] Result<> expect_known(OpenPartition& open, std::size_t index);
  [[nodiscard]] Result<> expect_new(OpenPartition& open, std::size_t index);

  const Truth& truth_;
  Random& random_;
  FakeClock clock_;
  std::uint64_t opened_ = 0;
};

}  // namespace tributary::sim
