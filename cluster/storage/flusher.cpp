#include "cluster/storage/flusher.h"

#include <algorithm>
#include <map>

#include "common/base/check.h"

namespace tributary {

Result<> sync_ticket(FileSystem& fs, const FlushTicket& ticket) {
  for (const auto& file : ticket.files) RETURN_IF_ERROR(file->sync_data());
  return ticket.folder.empty() ? Result<>{} : fs.sync_directory(ticket.folder);
}

/// The tickets that one round completes: each file and each folder is synced once, when the first
/// ticket that names it needs it.
class Flusher::Round {
 public:
  explicit Round(Flusher& flusher) : flusher_(flusher) {}

  Result<> carry_out(const FlushTicket& ticket) {
    for (const auto& file : ticket.files) RETURN_IF_ERROR(sync(file));
    return ticket.folder.empty() ? Result<>{} : sync(ticket.folder);
  }
  [[nodiscard]] std::size_t files() const { return files_.size(); }

 private:
  Result<> sync(const std::shared_ptr<File>& file) {
    const auto [known, added] = files_.try_emplace(file.get());
    if (added) {
      if (const auto* failed = flusher_.failure_of(file)) return known->second = fail(failed->code, failed->message);
      known->second = flusher_.measured([&] { return file->sync_data(); });
      if (!known->second) flusher_.failed_files_.push_back({file, known->second.error()});
    }
    return known->second;
  }

  Result<> sync(const std::string& folder) {
    const auto [known, added] = folders_.try_emplace(folder);
    if (added) known->second = flusher_.measured([&] { return flusher_.fs_.sync_directory(folder); });
    return known->second;
  }

  Flusher& flusher_;
  std::map<const File*, Result<>> files_;
  std::map<std::string, Result<>> folders_;
};

Flusher::Flusher(FileSystem& fs, const Clock& clock) : Flusher(fs, clock, Observer{}) {}

Flusher::Flusher(FileSystem& fs, const Clock& clock, Observer observer)
    : fs_(fs), clock_(clock), observer_(std::move(observer)), thread_([this] { run(); }) {}

Flusher::~Flusher() { stop(); }

void Flusher::submit(FlushTicket ticket, Done done) {
  bool taken = false;
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      queue_.push_back({std::move(ticket), std::move(done)});
      taken = true;
    }
  }
  // Outside the lock, or the thread that it wakes would wait for that next.
  if (taken) return wake_.notify_one();
  done(ticket, fail(Errc::kUnavailable, "the flusher has stopped"));
}

void Flusher::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Flusher::run() {
  while (true) {
    std::vector<Request> requests;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      requests.swap(queue_);
    }
    run_round(std::move(requests));
  }
}

void Flusher::run_round(std::vector<Request> requests) {
  std::erase_if(failed_files_, [](const FailedFile& failed) { return failed.file.expired(); });
  Round round(*this);
  for (const auto& request : requests) request.done(request.ticket, round.carry_out(request.ticket));
  if (observer_.on_round) observer_.on_round(requests.size(), round.files());
}

Result<> Flusher::measured(const std::function<Result<>()>& sync) {
  const auto start = clock_.mono_now();
  auto result = sync();
  if (observer_.on_sync) observer_.on_sync(clock_.mono_now() - start);
  return result;
}

const Error* Flusher::failure_of(const std::shared_ptr<File>& file) const {
  for (const auto& failed : failed_files_)
    if (failed.file.lock() == file) return &failed.error;
  return nullptr;
}

}  // namespace tributary
