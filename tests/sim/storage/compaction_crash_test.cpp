// The promise of compaction: whatever moment the power goes, of each key the newest record is there, what it has
// taken never speaks again in its place, and after the next cleaning one record per key is left. The same where
// retention and DeleteRecords move the log's front, also between the steps of a cleaning: what they have taken is gone.
//
// TRIBUTARY_SIM_SEED=n   the first seed (default 1)
// TRIBUTARY_SIM_RUNS=n   how many seeds (default 2)

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "cluster/storage/log_cleaner.h"
#include "common/record/batch_builder.h"
#include "tests/sim/files/simulated_file_system.h"

namespace tributary::sim {
namespace {

constexpr const char* kLogFolder = "/data/compacted-0";
constexpr std::int64_t kDeleteRetentionMs = 60'000;

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct SentRecord {
  std::string key;
  std::optional<std::string> value;  // nothing: a tombstone
  std::int64_t timestamp_ms = 0;
};

struct ProducedBatch {
  Bytes bytes;
  Offset base_offset{0};
  Offset last_offset{0};
};

struct CompactionTruth {
  std::vector<SentRecord> records;  // by offset
  std::size_t acked = 0;            // so many of them
  Offset start{0};                  // as it was noted durably
  std::map<int, std::vector<ProducedBatch>> newest;  // by producer: the last ones of its epoch
};

Result<> wrong(std::string what) { return fail(Errc::kCorrupt, std::move(what)); }

std::optional<std::string> text_of(const std::optional<ByteView>& bytes) {
  return bytes ? std::optional(std::string(as_string_view(*bytes))) : std::nullopt;
}

LogOpenOptions log_options(const CompactionTruth& truth) {
  LogOpenOptions options;
  options.log_start_offset = truth.start;
  options.folder = kLogFolder;
  options.config.segment_bytes = 1'500;
  options.config.index_interval_bytes = 200;
  return options;
}

/// All that the log serves, from `from` on; a batch's records before it, which clients skip, are left out.
Result<std::map<Offset, SentRecord>> served_records(Log& log, Offset from) {
  std::map<Offset, SentRecord> all;
  const auto end = log.log_end_offset();
  const auto first = from;
  while (from < end) {
    ASSIGN_OR_RETURN(const auto slice, log.read(from, 700, end, true));
    if (slice.length == 0 || slice.next_offset <= from) return fail(Errc::kCorrupt, fmt::format("nothing at {}", from));
    Bytes bytes(slice.length);
    ASSIGN_OR_RETURN(const auto count, slice.file->read_at(slice.position, bytes));
    if (count < bytes.size()) return fail(Errc::kCorrupt, "a slice is longer than its file");
    BatchIterator batches(bytes);
    while (true) {
      ASSIGN_OR_RETURN(const auto batch, batches.next());
      if (!batch) break;
      RETURN_IF_ERROR(validate_stored_batch(batch->bytes));
      ASSIGN_OR_RETURN(auto reader, RecordReader::open(batch->bytes, 1u << 20));
      RecordView record;
      while (true) {
        ASSIGN_OR_RETURN(const bool more, reader.next(record));
        if (!more) break;
        if (record.offset < first) continue;
        if (!all.empty() && record.offset <= all.rbegin()->first)
          return fail(Errc::kCorrupt, fmt::format("offset {} twice", record.offset));
        all[record.offset] = {*text_of(record.key), text_of(record.value), record.timestamp_ms};
      }
    }
    from = slice.next_offset;
  }
  return all;
}

class DirectHost final : public CleanerHost {
 public:
  /// `between` is what happens to the log between two steps of the cleaning.
  DirectHost(Log& log, std::function<Result<>()> between) : log_(log), between_(std::move(between)) {}
  Result<> with_log(const std::function<Result<>(Log&)>& step) override {
    if (between_) RETURN_IF_ERROR(between_());
    return step(log_);
  }
  bool go_on(std::size_t) override { return true; }

 private:
  Log& log_;
  const std::function<Result<>()> between_;
};

/// Cleans all that there is to clean; nothing where there is nothing.
Result<std::optional<CleaningReport>> clean(FileSystem& fs, const Clock& clock, Log& log, std::size_t memory_bytes,
                                            double dirty_ratio = 0, std::function<Result<>()> between = {}) {
  auto plan = log.begin_cleaning({.dirty_ratio_min = dirty_ratio}, clock.wall_now_ms());
  for (int i = 0; !plan && log.wants_flush() && i < 5; ++i) {
    RETURN_IF_ERROR(log.flush());
    plan = log.begin_cleaning({.dirty_ratio_min = dirty_ratio}, clock.wall_now_ms());
  }
  if (!plan) return std::nullopt;
  DirectHost host(log, std::move(between));
  const CleanerOptions options{.memory_bytes = memory_bytes, .delete_retention_ms = kDeleteRetentionMs, .seed = 7};
  ASSIGN_OR_RETURN(const auto report, clean_log(fs, clock, *plan, options, host));
  return report;
}

/// What must hold at every moment.
Result<> check_served(Log& log, const CompactionTruth& truth, Random& random) {
  const auto end = log.log_end_offset();
  if (end < Offset(static_cast<std::int64_t>(truth.acked)))
    return wrong(fmt::format("the log ends with {}, {} were acknowledged", end, truth.acked));
  if (end > Offset(static_cast<std::int64_t>(truth.records.size()))) return wrong(fmt::format("it ends with {}", end));
  const auto start = log.log_start_offset();
  if (start > truth.start) return wrong(fmt::format("the log starts with {}, {} was noted", start, truth.start));
  ASSIGN_OR_RETURN(const auto served, served_records(log, start));
  std::map<std::string, Offset> newest_served;
  for (const auto& [offset, record] : served) {
    const auto& sent = truth.records[static_cast<std::size_t>(offset.value())];
    if (record.key != sent.key || record.value != sent.value || record.timestamp_ms != sent.timestamp_ms)
      return wrong(fmt::format("the record at {} is not what was sent", offset));
    newest_served[record.key] = offset;
  }
  std::map<std::string, Offset> newest_sent;
  for (auto offset = start; offset < end; offset = offset + 1)
    newest_sent[truth.records[static_cast<std::size_t>(offset.value())].key] = offset;
  for (const auto& [key, offset] : newest_sent) {
    const auto found = newest_served.find(key);
    const bool tombstone = !truth.records[static_cast<std::size_t>(offset.value())].value;
    if (found == newest_served.end() && !tombstone) return wrong(fmt::format("nothing is left of {}", key));
    if (found != newest_served.end() && found->second != offset)
      return wrong(fmt::format("the newest of {} is at {}, the log has the one at {}", key, offset, found->second));
  }
  // From anywhere.
  if (end > start) {
    const auto from = start + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(end - start)));
    ASSIGN_OR_RETURN(const auto rest, served_records(log, from));
    for (auto it = served.lower_bound(from); it != served.end(); ++it)
      if (!rest.contains(it->first)) return wrong(fmt::format("read from {}: {} is missing", from, it->first));
    const auto sought = 1'000 + static_cast<std::int64_t>(random.below(truth.records.size() + 1));
    ASSIGN_OR_RETURN(const auto found, log.offset_for_time(sought, end));
    const auto first = std::ranges::find_if(served, [&](const auto& r) { return r.second.timestamp_ms >= sought; });
    if (found.has_value() != (first != served.end()) || (found && found->offset != first->first))
      return wrong(fmt::format("from time {} on {} is found instead of {}; the log starts with {} and ends with {}", sought,
                               found ? found->offset.value() : -1, first != served.end() ? first->first.value() : -1, start,
                               end));
  }
  return {};
}

/// What was sent last by each producer is known as duplicates.
Result<> check_producers(Log& log, const CompactionTruth& truth) {
  for (const auto& [id, newest] : truth.newest)
    for (const auto& batch : newest) {
      if (batch.last_offset >= log.log_end_offset()) break;  // lost
      const auto info = log.append(batch.bytes, LeaderEpoch(0));
      if (!info) return in_context(fmt::format("producer {}, batch at {}", id, batch.base_offset), info.error());
      if (!info->duplicate || info->base_offset != batch.base_offset)
        return wrong(fmt::format("the batch of producer {} at {} is appended again", id, batch.base_offset));
    }
  return {};
}

/// After a cleaning no key has two records in what was cleaned.
Result<> check_cleaned(Log& log, Offset cleaned_to) {
  ASSIGN_OR_RETURN(const auto served, served_records(log, log.log_start_offset()));
  std::map<std::string, Offset> seen;
  for (const auto& [offset, record] : served) {
    if (offset >= cleaned_to) break;
    const auto [it, first] = seen.emplace(record.key, offset);
    if (!first) return wrong(fmt::format("{} is at {} and at {} below {}", record.key, it->second, offset, cleaned_to));
  }
  return {};
}

/// Opens what a crash left, and cleans on.
Result<> check_image(SimulatedFileSystem& image, const Clock& clock, const CompactionTruth& truth, Random& random,
                     bool crash_again = true) {
  std::vector<std::unique_ptr<SimulatedFileSystem>> crashed;
  if (crash_again && random.below(6) == 0)
    image.set_hook([&](SimulatedFileSystem::Operation, const std::string&) -> Result<> {
      if (random.below(5) == 0) crashed.push_back(image.after_power_cut(random));
      return {};
    });
  auto opened = Log::open(image, clock, log_options(truth));
  image.set_hook({});
  if (!opened) return tl::unexpected<Error>(std::move(opened).error());
  auto log = *std::move(opened);
  if (log->log_start_offset() < truth.start) return wrong(fmt::format("{} is back", log->log_start_offset()));
  for (const auto& again : crashed) RETURN_IF_ERROR(check_image(*again, clock, truth, random, false));
  RETURN_IF_ERROR(check_served(*log, truth, random));
  RETURN_IF_ERROR(check_producers(*log, truth));
  ASSIGN_OR_RETURN(const auto names, image.list(kLogFolder));
  for (const auto& name : names)
    if (name.ends_with(".cleaned") || name.ends_with(".swap")) return wrong(name + " is left over");
  RETURN_IF_ERROR(log->start_new_segment());
  RETURN_IF_ERROR(log->flush());
  ASSIGN_OR_RETURN(const auto report, clean(image, clock, *log, 1u << 20));
  RETURN_IF_ERROR(check_served(*log, truth, random));
  if (report) RETURN_IF_ERROR(check_cleaned(*log, report->first_dirty));
  log.reset();
  ASSIGN_OR_RETURN(log, Log::open(image, clock, log_options(truth)));
  return check_served(*log, truth, random);
}

class CompactionWorkload {
 public:
  explicit CompactionWorkload(std::uint64_t seed) : random_(seed), crash_random_(seed ^ 0xc0ffee) {
    (void)fs_->create_directories(kLogFolder);
    (void)fs_->sync_directory("/");
    (void)fs_->sync_directory("/data");
    watch();
  }

  Result<> run(int steps) {
    RETURN_IF_ERROR(open());
    for (int i = 0; i < steps; ++i) {
      RETURN_IF_ERROR(step());
      RETURN_IF_ERROR(first_wrong_);
    }
    return first_wrong_;
  }

  std::uint64_t images = 0, cleanings = 0, failed_cleanings = 0, postponed_cleanings = 0, records_gone = 0;
  std::uint64_t trims = 0, trims_while_cleaning = 0, files_removed = 0;

 private:
  Result<> step() {
    const auto dice = random_.below(100);
    if (dice < 56) return append();
    if (dice < 68) {
      for (auto times = random_.below(5); times > 0; --times) RETURN_IF_ERROR(move_front());
      return {};
    }
    if (dice < 76) return flush();
    if (dice < 90) return clean_now();
    if (dice < 94) return clock_.advance(std::chrono::milliseconds(kDeleteRetentionMs)), Result<>{};
    log_.reset();
    if (dice < 98) {
      fs_ = fs_->copy();
    } else {
      fs_ = fs_->after_power_cut(random_);
    }
    watch();
    return open();
  }

  Result<> open() {
    to_be_removed_.clear();
    ASSIGN_OR_RETURN(log_, Log::open(*fs_, clock_, log_options(truth_)));
    RETURN_IF_ERROR(check_served(*log_, truth_, crash_random_));
    truth_.records.resize(static_cast<std::size_t>(log_->log_end_offset().value()));
    truth_.acked = truth_.records.size();
    for (auto& [id, newest] : truth_.newest)
      std::erase_if(newest, [&](const auto& batch) { return batch.last_offset >= log_->log_end_offset(); });
    for (auto& [id, sequence] : sequences_) sequence.second = true;  // some may be lost: a new epoch
    return check_producers(*log_, truth_);
  }

  Result<> append() {
    const auto count = static_cast<std::int32_t>(1 + random_.below(4));
    BatchBuilder builder;
    const auto base = static_cast<std::int64_t>(truth_.records.size());
    for (std::int32_t i = 0; i < count; ++i) {
      SentRecord record;
      record.key = fmt::format("key-{}", random_.below(random_.below(3) == 0 ? 40 : 6));
      if (random_.below(6) != 0) record.value = fmt::format("value-{}-{}", base + i, std::string(random_.below(90), 'x'));
      record.timestamp_ms = 1'000 + base + i;
      const auto value = record.value ? std::optional(as_bytes(*record.value)) : std::nullopt;
      builder.append(record.timestamp_ms, as_bytes(record.key), value);
      truth_.records.push_back(std::move(record));
    }
    BatchOptions options;
    options.compression = static_cast<Compression>(random_.below(5));
    const auto id = static_cast<int>(random_.below(4));  // the last one: no producer
    auto& [sequence, anew] = sequences_[id];
    if (id < 3) {
      if (std::exchange(anew, false)) {
        sequence = {sequence.first + 1, 0};
        truth_.newest[id].clear();
      }
      options.producer_id = ProducerId(id);
      options.producer_epoch = ProducerEpoch(static_cast<std::int16_t>(sequence.first));
      options.base_sequence = Sequence(sequence.second);
      sequence.second += count;
    }
    ASSIGN_OR_RETURN(const auto bytes, builder.finish(options));
    if (id < 3) {
      auto& newest = truth_.newest[id];
      newest.push_back({bytes, Offset(base), Offset(base + count - 1)});
      if (newest.size() > 4) newest.erase(newest.begin());
    }
    ASSIGN_OR_RETURN(const auto info, log_->append(bytes, LeaderEpoch(0)));
    if (info.base_offset != Offset(base)) return wrong(fmt::format("appended at {}, not {}", info.base_offset, base));
    return {};
  }

  Result<> flush() {
    RETURN_IF_ERROR(log_->flush());
    truth_.acked = truth_.records.size();
    return {};
  }

  Result<> clean_now() {
    cleaning_ = true;
    const auto trouble = random_.below(5);
    if (trouble == 0) fail_in_ = 1 + static_cast<int>(random_.below(30));
    if (trouble == 1) {
      fs_->set_capacity(fs_->used_bytes() + random_.below(1'000));
      fs_->hide_shortage(random_.below(2) == 0);
    }
    const auto memory = random_.below(2) == 0 ? 24 * 8 + random_.below(400) : 1u << 20;
    const auto report = clean(*fs_, clock_, *log_, memory, random_.below(2) == 0 ? 0.5 : 0,
                              trouble > 1 ? [this] { return meanwhile(); } : std::function<Result<>()>());
    cleaning_ = false;
    fail_in_ = 0;
    fs_->set_capacity(UINT64_MAX);
    fs_->hide_shortage(false);
    if (log_->offline()) {  // a failed sync
      log_.reset();
      fs_ = fs_->copy();
      watch();
      return open();
    }
    truth_.acked = std::max(truth_.acked, static_cast<std::size_t>(log_->stable_offset().value()));
    if (!report) {
      const auto code = report.error().code;
      if (code != Errc::kIo && code != Errc::kNoSpace) return tl::unexpected<Error>(report.error());
      ++failed_cleanings;
    } else if (*report && (*report)->shortage) {
      ++postponed_cleanings;
    } else if (*report) {
      ++cleanings;
      records_gone += (*report)->records_read - (*report)->records_kept;
      RETURN_IF_ERROR(check_cleaned(*log_, (*report)->first_dirty));
    }
    return check_served(*log_, truth_, crash_random_);
  }

  /// What the log's thread does during a cleaning.
  Result<> meanwhile() {
    for (auto steps = random_.below(3); steps > 0; --steps) {
      const auto dice = random_.below(14);
      if (dice >= 10) RETURN_IF_ERROR(move_front());
      else if (dice < 6) RETURN_IF_ERROR(append());
      else if (dice < 8) RETURN_IF_ERROR(flush());
      else if (dice < 9) RETURN_IF_ERROR(log_->start_new_segment());
      else RETURN_IF_ERROR(check_served(*log_, truth_, crash_random_));
    }
    return {};
  }

  /// Retention or DeleteRecords, in the steps that the shard and the controller take; crashes come between them.
  Result<> move_front() {
    const auto stable = static_cast<std::uint64_t>(log_->stable_offset() - log_->log_start_offset());
    switch (random_.below(8)) {
      case 0: return note_start(log_->log_start_offset() + static_cast<std::int64_t>(random_.below(stable + 1) / 2));
      case 1: {
        RetentionLimits limits{.bytes = static_cast<std::int64_t>(1'000 + random_.below(6'000))};
        ASSIGN_OR_RETURN(const auto point, log_->retention_point(limits, clock_.wall_now_ms()));
        return note_start(point);
      }
      case 2: log_->raise_log_start(truth_.start); return {};
      case 3:
      case 4: {
        log_->raise_log_start(truth_.start);
        log_->prepare_removal();
        for (int i = 0; log_->wants_flush() && i < 5; ++i) RETURN_IF_ERROR(flush());
        const auto paths = log_->take_removable_files().paths;
        if (cleaning_ && !paths.empty()) return wrong("files are given away during a cleaning");
        to_be_removed_.insert(to_be_removed_.end(), paths.begin(), paths.end());
        return {};
      }
      default:
        if (to_be_removed_.empty()) return {};
        const auto path = to_be_removed_.back();
        to_be_removed_.pop_back();
        if (fs_->exists(path) && fs_->remove(path)) ++files_removed;  // else the next open removes it
        return {};
    }
  }
  Result<> note_start(Offset offset) {
    if (offset <= truth_.start) return {};
    truth_.start = offset;
    ++trims;
    trims_while_cleaning += cleaning_ ? 1 : 0;
    if (random_.below(2) == 0) log_->raise_log_start(offset);
    return {};
  }

  void watch() {
    fs_->set_hook([this](SimulatedFileSystem::Operation, const std::string&) -> Result<> {
      if (first_wrong_ && (cleaning_ || crash_random_.below(10) == 0)) {
        ++images;
        const auto image = crash_random_.below(4) == 0 ? fs_->copy() : fs_->after_power_cut(crash_random_);
        const auto checked = check_image(*image, clock_, truth_, crash_random_);
        if (!checked) first_wrong_ = in_context(fmt::format("image {}", images), checked.error());
      }
      if (fail_in_ > 0 && --fail_in_ == 0) return fail(Errc::kIo, "simulated: the disk refuses");
      return {};
    });
  }

  SeededRandom random_;
  SeededRandom crash_random_;
  FakeClock clock_;
  std::unique_ptr<SimulatedFileSystem> fs_ = std::make_unique<SimulatedFileSystem>();
  std::unique_ptr<Log> log_;
  CompactionTruth truth_;
  std::vector<std::string> to_be_removed_;
  std::map<int, std::pair<std::pair<int, std::int32_t>, bool>> sequences_;  // epoch, next; whether the epoch must rise
  bool cleaning_ = false;
  int fail_in_ = 0;
  Result<> first_wrong_;
};

TEST(CompactionCrash, TheNewestRecordOfEveryKeyOutlivesACrashAtAnyMoment) {
  const auto first_seed = number_from_environment("TRIBUTARY_SIM_SEED", 1);
  const auto runs = number_from_environment("TRIBUTARY_SIM_RUNS", 2);
  std::uint64_t images = 0, cleanings = 0, failed = 0, postponed = 0, gone = 0, trims = 0, trims_while_cleaning = 0, removed = 0;
  for (std::uint64_t seed = first_seed; seed < first_seed + runs; ++seed) {
    CompactionWorkload workload(seed);
    const auto result = workload.run(300);
    images += workload.images;
    cleanings += workload.cleanings;
    failed += workload.failed_cleanings;
    postponed += workload.postponed_cleanings;
    gone += workload.records_gone;
    trims += workload.trims;
    trims_while_cleaning += workload.trims_while_cleaning;
    removed += workload.files_removed;
    ASSERT_TRUE(result) << "TRIBUTARY_SIM_SEED=" << seed << ": " << result.error().message;
  }
  std::printf("%lu crash images, %lu cleanings, %lu that failed, %lu postponed, %lu records gone; %lu trims, %lu while cleaning, "
              "%lu files\n", images, cleanings, failed, postponed, gone, trims, trims_while_cleaning, removed);
  EXPECT_GT(images, 500 * runs);
  EXPECT_GT(cleanings, 5 * runs);
  EXPECT_GT(gone, 100 * runs);
  EXPECT_GT(trims, 5 * runs);
  EXPECT_GT(trims_while_cleaning, runs);
  EXPECT_GT(removed, runs);
}

}  // namespace
}  // namespace tributary::sim
