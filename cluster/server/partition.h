#pragma once
// A partition as the shard sees it: its log, the producers that wait for the disk, the fetches that
// wait for data.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/server/topic_settings.h"
#include "cluster/storage/flusher.h"
#include "cluster/storage/log.h"
#include "cluster/storage/log_cleaner.h"
#include "common/base/ids.h"
#include "common/protocol/error_code.h"
#include "common/telemetry/log.h"

namespace tributary {

class LogTrims;
class ServerMetrics;
class Shard;
class ShardTimer;

/// Until there is more than one broker, every partition has been led by it from the start.
inline constexpr LeaderEpoch kOnlyLeaderEpoch{0};
/// And it is the only replica.
inline constexpr std::int32_t kReplicasInSync = 1;

struct AppendOutcome {
  ErrorCode error = ErrorCode::kNone;
  Offset base_offset{-1};
  Offset log_start_offset{-1};
  std::int64_t log_append_time_ms = kNoTimestamp;  // of message.timestamp.type=LogAppendTime
  std::string message;  // of the error
  std::vector<RefusedRecords::Record> refused;  // on whose account the batch is refused
};

/// Where an append's outcome goes: exactly once per slot, on the partition's shard.
class AppendObserver {
 public:
  virtual ~AppendObserver() = default;
  virtual void on_appended(std::uint32_t slot, AppendOutcome outcome) = 0;
};

/// A fetch that waits. Called on a partition's shard, at most once per registration; must not block.
class ReadWaiter {
 public:
  virtual ~ReadWaiter() = default;
  virtual void on_readable() = 0;
};

struct ReadOutcome {
  ErrorCode error = ErrorCode::kNone;
  LogSlice slice;
  Offset high_watermark{-1};
  Offset log_start_offset{-1};
};

struct OffsetOutcome {
  ErrorCode error = ErrorCode::kNone;
  TimestampOffset found{kNoTimestamp, Offset{-1}};
};

struct EpochEndOutcome {
  ErrorCode error = ErrorCode::kNone;
  LeaderEpoch epoch{kNoLeaderEpoch};  // the largest that is not over the one asked for
  Offset end_offset{-1};              // exclusive; -1: the epoch is not known
};

struct DeleteOutcome {
  ErrorCode error = ErrorCode::kNone;
  Offset low_watermark{-1};  // the first offset that is left
};

/// What all partitions of a broker share. Outlives them.
struct PartitionServices {
  FileSystem& fs;
  const Clock& clock;
  Flusher& flusher;
  ServerMetrics& metrics;
  /// A log has gone offline; called once per partition, on its shard or before it runs.
  std::function<void(const TopicPartition&, const Error&)> on_offline;
  /// A partition was deleted, whether offline or not. On the controller's thread.
  std::function<void(const TopicPartition&)> on_deleted;
  /// A closed partition's files are to go: returns when nobody else is at them. On the controller's thread.
  std::function<void(const TopicPartition&)> leave_files;
  /// The controller's, which sets it when it is made.
  LogTrims* trims = nullptr;
};

/// Constructed anywhere; from then on only the thread of `shard` may call it, except where said.
/// Kept alive by the cluster's image and by the requests that use it.
class Partition : public std::enable_shared_from_this<Partition> {
 public:
  /// `log`, or why it could not be opened: the partition is then there, but answers KAFKA_STORAGE_ERROR.
  Partition(TopicPartition name, Shard& shard, TopicSettings settings, PartitionServices& services,
            Result<std::unique_ptr<Log>> log);
  ~Partition();

  // Any thread.
  [[nodiscard]] const TopicPartition& name() const { return name_; }
  [[nodiscard]] Shard& shard() const { return shard_; }
  /// It was closed: its folder may belong to another partition by now.
  [[nodiscard]] bool is_gone() const { return gone_.load(std::memory_order_acquire); }

  /// cleanup.policy has "compact"; a cleaning under way ends when it has not any more.
  [[nodiscard]] bool wants_compaction() const { return wants_compaction_.load(std::memory_order_acquire); }

  /// Whether it has a log. Also before the shard knows of it.
  [[nodiscard]] bool is_open() const { return log_ != nullptr; }

  /// Appends whole batches and tells `observer`: with `wait_for_all` when they are durable as the
  /// topic's flush settings promise (or after `timeout`, with REQUEST_TIMED_OUT, though they stay in the
  /// log), otherwise at once. `records` need live only during the call. NOT_ENOUGH_REPLICAS for `wait_for_all` where
  /// min.insync.replicas asks for more than there are.
  void append(ByteView records, bool wait_for_all, Duration timeout, const std::shared_ptr<AppendObserver>& observer,
              std::uint32_t slot);

  /// Batches from `from` on, up to the high watermark; the first one even if it is larger than `bytes_max`.
  /// `epoch` is what the client believes the leader epoch to be, or kNoLeaderEpoch.
  [[nodiscard]] ReadOutcome read(Offset from, std::uint32_t bytes_max, LeaderEpoch epoch);

  /// compression.type is zstd, which fetches before version 10 cannot ask for (KIP-110).
  [[nodiscard]] bool compresses_with_zstd() const { return settings_.log.compression == Compression::kZstd; }

  /// Calls waiter.on_readable() when the high watermark is not `seen` (at once if it is not now), or
  /// when the partition is closed. The same waiter registered again replaces itself.
  void wait_readable(const std::shared_ptr<ReadWaiter>& waiter, Offset seen);
  void stop_waiting(const ReadWaiter* waiter);

  /// ListOffsets: kLatest, kEarliest, kMaxTimestamp or a time in milliseconds.
  [[nodiscard]] OffsetOutcome offset_for(std::int64_t timestamp_ms, LeaderEpoch epoch);

  /// OffsetForLeaderEpoch: where `asked` ended. `current` is what the client believes the leader epoch to be.
  [[nodiscard]] EpochEndOutcome epoch_end(LeaderEpoch asked, LeaderEpoch current) const;

  /// DeleteRecords: what lies below `offset` (-1: the high watermark) goes. `done` is told once, when that is
  /// durable and nothing below is served any more, or after `timeout` (REQUEST_TIMED_OUT: it may happen yet).
  /// OFFSET_OUT_OF_RANGE above the high watermark. An offset that is gone already is no error.
  void delete_records(Offset offset, Duration timeout, std::function<void(DeleteOutcome)> done);

  /// Begins to remove what retention.ms and retention.bytes do not keep; see Log::retention_point. Cheap when nothing
  /// is due, but for the first time, which reads the oldest segment's index.
  void enforce_retention();

  // Compaction; the compactor's doing.
  [[nodiscard]] bool is_compacted() const { return settings_.compact && log_ != nullptr; }
  [[nodiscard]] std::int64_t delete_retention_ms() const { return settings_.delete_retention_ms; }
  /// Log::begin_cleaning, if the topic is compacted; sees to the flush that a plan may have to wait for.
  [[nodiscard]] std::optional<CleaningPlan> begin_cleaning();
  /// Log::looks_further
  [[nodiscard]] bool looks_further() const { return is_compacted() && log_->looks_further(); }
  /// kUnavailable if there is no log any more.
  [[nodiscard]] Result<> with_log(const std::function<Result<>(Log&)>& step);
  /// What waited for the end of a cleaning goes on.
  void cleaning_ended();

  /// Exclusive: what consumers may read. Needs a log.
  [[nodiscard]] Offset high_watermark() const;

  /// Goes by these from now on. The high watermark does not go back: what was served before it was durable
  /// stays served. Who waits for the disk still does.
  void change_settings(const TopicSettings& settings);

  /// Begins an fdatasync unless one is under way, which is then followed by the next.
  void flush_now();

  /// Answers everyone who waits with `error`, and every later call too. Gives the log away (null if
  /// there is none), which the caller closes or deletes.
  [[nodiscard]] std::unique_ptr<Log> close(ErrorCode error);

  /// Why a sync that was under way at close() failed. The system tells a file's error once: the log that
  /// was given away would not see it again, and must not be closed cleanly. Also once the shard has stopped.
  [[nodiscard]] const std::optional<Error>& failed_after_close() const { return failed_after_close_; }

  /// Of the segments' records, indexes left out; nothing without a log.
  [[nodiscard]] std::optional<std::uint64_t> size_bytes() const;

  /// For the checkpoint; nothing without a log.
  [[nodiscard]] std::optional<Offset> durable_offset() const;

 private:
  struct PendingAck {
    Offset last_offset;
    MonoTime deadline;
    AppendOutcome outcome;
    std::shared_ptr<AppendObserver> observer;
    std::uint32_t slot;
  };

  struct PendingDelete {
    Offset offset;
    MonoTime deadline;
    std::function<void(DeleteOutcome)> done;
  };

  [[nodiscard]] bool is_stale(LeaderEpoch epoch, ErrorCode& error) const;
  [[nodiscard]] AppendOutcome failed_append(const Error& error, RefusedRecords refused);
  void after_append(ByteView records, const AppendInfo& info);
  [[nodiscard]] bool flush_is_due() const;
  void flush_later();
  void say_read_trouble(const char* what, const Error& error);
  void on_flushed(const FlushTicket& ticket, const Result<>& synced);
  void complete_acks();
  void fail_acks(ErrorCode error, const std::string& message);
  void wake_readers();
  void watch_deadlines();
  void expire_acks();
  void move_log_start(Offset offset);
  void continue_at_front();
  void on_log_start_noted(Offset offset, const Result<>& noted);
  void complete_deletes();
  void fail_deletes(ErrorCode error);
  void expire_deletes();
  void go_offline(const Error& error);

  // constant
  const TopicPartition name_;
  Shard& shard_;
  PartitionServices& services_;

  std::atomic<bool> gone_ = false;  // any thread
  std::atomic<bool> wants_compaction_;  // any thread

  // shard thread only
  TopicSettings settings_;
  Offset served_before_sync_{0};  // exclusive: as long as acks=all did not wait for the disk
  OncePer append_trouble_;
  OncePer read_trouble_;
  std::unique_ptr<Log> log_;
  ErrorCode closed_ = ErrorCode::kNone;  // why log_ is null
  std::string closed_reason_;
  std::optional<Error> failed_after_close_;
  bool offline_ = false;
  bool flush_under_way_ = false;
  bool flush_queued_ = false;  // in the shard's list
  std::deque<PendingAck> pending_acks_;
  std::vector<PendingDelete> pending_deletes_;
  Offset wanted_log_start_{0};
  bool log_start_under_way_ = false;  // being noted durably
  std::unordered_map<const ReadWaiter*, std::shared_ptr<ReadWaiter>> waiters_;
  std::unique_ptr<ShardTimer> flush_timer_;     // flush.ms
  std::unique_ptr<ShardTimer> deadline_timer_;  // runs while there are pending acks or deletes
};

}  // namespace tributary
