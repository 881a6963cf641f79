#pragma once
// The thread that waits for the disk, so that shards do not have to.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "cluster/storage/flush_ticket.h"
#include "common/env/clock.h"

namespace tributary {

/// One per data folder. While one round of syncs runs, further tickets queue; the next round syncs
/// every file they name once, however many tickets name it (group commit).
///
/// Lifecycle: submit from any thread until stop(); stop() finishes what is queued.
/// The queue is as long as the logs have tickets outstanding: a log asks for the next one when the
/// former is complete, so it is bounded by the number of partitions.
class Flusher {
 public:
  /// Called exactly once per ticket, on the flusher's thread; must not block (post to the shard).
  /// The result is the same for all tickets that share a file: an error means that nothing is known
  /// about what is durable, and the log must go offline.
  using Done = std::function<void(const FlushTicket&, const Result<>&)>;

  struct Observer {
    /// The duration of one fdatasync or fsync. On the flusher's thread.
    std::function<void(Duration)> on_sync;
    /// After each round: how many tickets it covered and how many files it synced.
    std::function<void(std::size_t tickets, std::size_t files)> on_round;
  };

  /// `fs` and `clock` must outlive the flusher.
  Flusher(FileSystem& fs, const Clock& clock, Observer observer);
  Flusher(FileSystem& fs, const Clock& clock);
  Flusher(const Flusher&) = delete;
  Flusher& operator=(const Flusher&) = delete;
  ~Flusher();  // as stop()

  /// Thread-safe. After stop() the ticket fails with kUnavailable, on the calling thread.
  /// A file whose sync has failed once is never synced again: its tickets fail with the first error.
  void submit(FlushTicket ticket, Done done);

  /// Syncs and completes all queued tickets, then ends the thread. Idempotent; not from a callback.
  void stop();

 private:
  struct Request {
    FlushTicket ticket;
    Done done;
  };
  struct FailedFile {
    std::weak_ptr<File> file;
    Error error;
  };
  class Round;

  void run();
  void run_round(std::vector<Request> requests);
  [[nodiscard]] Result<> measured(const std::function<Result<>()>& sync);
  [[nodiscard]] const Error* failure_of(const std::shared_ptr<File>& file) const;

  // constant
  FileSystem& fs_;
  const Clock& clock_;
  const Observer observer_;

  // flusher's thread only
  std::vector<FailedFile> failed_files_;

  // under mutex_
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Request> queue_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace tributary
