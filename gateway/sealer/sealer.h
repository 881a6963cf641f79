#pragma once
// The sealer: gathers readings, says when they become record batches, and builds those.

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/record/batch_builder.h"
#include "gateway/buffer/sealed_batch.h"
#include "gateway/intake/reading.h"

namespace tributary {

struct SealerOptions {
  std::size_t batch_bytes = 256 << 10;  // of one partition's batch, before compression
  Duration linger = std::chrono::milliseconds(5);  // a batch waits so long for company, uplink idle
  Duration durable_within = std::chrono::seconds(1);
  Compression compression = Compression::kZstd;
  std::optional<int> compression_level;
};

/// Idle: what is sealed now is sent now. Busy: it would wait. Down: nobody knows for how long.
enum class UplinkLoad { kIdle, kBusy, kDown };

/// The name of the record header that holds the MQTT topic; user properties follow under their own names.
inline constexpr std::string_view kMqttTopicHeader = "mqtt.topic";

/// Pure: no clock, file, thread or lock; one thread. Holds copies of the readings added since the last
/// seal(), all of which become batches together: one for each partition, so that one cursor over the
/// readings' ids says what is sealed. Bounded by 4 * batch_bytes and one reading.
class Sealer {
 public:
  explicit Sealer(SealerOptions options) : options_(options) {}

  /// Adds the next reading, ascending by id. False, and nothing is added, if full: seal first.
  /// An empty sealer takes any reading.
  [[nodiscard]] bool add(ReadingId id, const ReadingView& reading, PartitionIndex partition, MonoTime now);

  /// When the readings must be sealed: at once if full; `linger` after the oldest was received if the
  /// uplink is idle (half of seal_age() at most: what is sealed later would be due for flash before the
  /// cluster could acknowledge it); otherwise when its age leaves the rest of durable_within to make it durable, which
  /// is seal_age(). Later than any time if there is none.
  [[nodiscard]] MonoTime due(UplinkLoad load) const;
  [[nodiscard]] Duration seal_age() const { return options_.durable_within * 7 / 10; }

  /// Since when a reading with this receive time has waited; for one of a former boot, whose age nobody
  /// knows, long enough to be due.
  [[nodiscard]] MonoTime age_known_since(MonoTime received, MonoTime now) const;

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// The id of the newest reading added; meaningless if empty.
  [[nodiscard]] ReadingId last() const { return last_; }
  [[nodiscard]] std::optional<MonoTime> oldest_received() const;
  /// Calls `visit` for every partition that has readings here.
  void visit_destinations(const std::function<void(const TopicPartition&)>& visit) const;

  struct Stamp {
    ProducerId producer_id;
    ProducerEpoch epoch;
    BatchId first_id;
    std::function<Sequence(const TopicPartition&)> next_sequence;
  };
  /// Builds the batches with ids from stamp.first_id and empties the sealer. kIo if the codec runs
  /// out of memory: then it is as before.
  [[nodiscard]] Result<std::vector<SealedBatch>> seal(const Stamp& stamp);

 private:
  struct Pending {
    TopicPartition destination;
    std::vector<std::uint32_t> entries;
    std::size_t bytes = 0;          // of the batch, at most
    std::size_t payload_bytes = 0;
    WallMs oldest_received_ms = 0;
    MonoTime oldest_received{};
  };
  // Where a reading's parts lie in arena_, one after the other.
  struct Entry {
    std::size_t at = 0;
    std::uint32_t key_size = 0;
    std::uint32_t topic_size = 0;
    std::uint32_t payload_size = 0;
    std::uint32_t property_count = 0;
    WallMs received_ms = 0;
  };

  Pending& pending_of(std::string_view topic, PartitionIndex partition);
  void append(const Entry& entry);
  Result<SealedBatch> build(const Pending& pending, BatchId id, const Stamp& stamp);
  void clear();

  const SealerOptions options_;
  std::map<std::string, std::map<PartitionIndex, Pending>, std::less<>> topics_;
  std::vector<Entry> entries_;
  Bytes arena_;
  ReadingId last_{0};
  MonoTime oldest_received_{};
  bool full_ = false;
  BatchBuilder builder_;
  std::vector<HeaderView> headers_;
};

}  // namespace tributary
