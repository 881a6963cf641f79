#include "cluster/server/log_trims.h"

#include "cluster/server/partition.h"
#include "cluster/server/shard.h"
#include "common/telemetry/log.h"

namespace tributary {

void LogTrims::note(std::shared_ptr<const Partition> partition, Offset log_start,
                    std::function<void(const Result<>&)> done) {
  const std::scoped_lock lock(mutex_);
  notes_.push_back({std::move(partition), log_start, std::move(done)});
  if (notes_.size() == 1) loop_.post([this] { write_notes(); });
}

void LogTrims::write_notes() {
  std::vector<Note> notes;
  {
    const std::scoped_lock lock(mutex_);
    notes.swap(notes_);
  }
  OffsetCheckpoint raised;
  for (const auto& note : notes)
    if (!note.partition->is_gone()) raised.emplace(note.partition->name(), note.log_start);
  const auto written = directory_.raise_log_starts(raised);
  for (const auto& note : notes) note.done(written);
}

void LogTrims::remove_files(std::shared_ptr<const Partition> partition, std::vector<std::string> paths) {
  loop_.post([this, partition = std::move(partition), paths = std::move(paths)] {
    if (partition->is_gone()) return;  // its files went with it, and these may be another's
    for (const auto& path : paths) {
      const auto removed = fs_.remove(path);
      if (!removed && removed.error().code != Errc::kNotFound)
        log_warning("retention", "cannot remove a file; the next start tries again",
                    {{"file", path}, {"error", removed.error().message}});
    }
  });
}

}  // namespace tributary
