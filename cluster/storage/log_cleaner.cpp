#include "cluster/storage/log_cleaner.h"

#include <algorithm>
#include <limits>

#include "cluster/storage/folder_names.h"
#include "cluster/storage/key_map.h"
#include "cluster/storage/segment.h"
#include "common/record/batch_rewriter.h"

namespace tributary {
namespace {

class LogCleaner {
 public:
  LogCleaner(FileSystem& fs, const Clock& clock, const CleaningPlan& plan, const CleanerOptions& options,
             CleanerHost& host)
      : fs_(fs), plan_(plan), options_(options), host_(host), now_ms_(clock.wall_now_ms()),
        keys_(options.memory_bytes, options.seed) {}

  Result<CleaningReport> run() {
    auto cleaned = clean();
    const bool whole = cleaned && !report_.shortage;
    // A segment that is adopted and has not got its name yet stands in the way of another cleaning.
    const bool again = !unsettled_;
    const auto ended = host_.with_log([&](Log& log) -> Result<> {
      log.end_cleaning(whole ? std::optional(report_.first_dirty) : std::nullopt, again);
      return {};
    });
    if (!cleaned && !again) return in_context("not compacted again before the next start", std::move(cleaned).error());
    if (!cleaned) return tl::unexpected<Error>(std::move(cleaned).error());
    RETURN_IF_ERROR(ended);
    return report_;
  }

 private:
  using Group = std::span<const CleanableSegment>;
  /// What stays of a batch.
  struct Survey {
    bool readable = true;
    bool changes = false;        // it is not the batch as it is
    bool wants_horizon = false;  // a tombstone stays that has no delete horizon yet
    std::uint64_t records = 0, records_kept = 0;
    std::uint64_t bytes = 0, bytes_kept = 0;  // of the records, without compression
  };
  using BatchVisitor = std::function<Result<bool>(const StoredBatch&, ByteView)>;  // false: enough

  Result<> clean();
  Result<> map_keys();
  Result<bool> map_batch(const StoredBatch& batch, ByteView bytes);
  [[nodiscard]] std::vector<Group> groups() const;
  [[nodiscard]] Result<std::optional<SpaceShortage>> shortage_for(Group group);
  [[nodiscard]] Result<std::uint64_t> bytes_that_stay(Group group);
  Result<> clean_group(Group group);
  Result<> write_group(Group group, const Segment::Paths& paths);
  Result<> write_cleaned(Segment& out, const StoredBatch& batch, ByteView bytes, bool last);
  [[nodiscard]] Survey survey(const StoredBatch& batch, ByteView bytes);
  /// Also without a record: it says what its producer sent last.
  [[nodiscard]] bool keeps_header(const BatchHeader& header) const {
    return header.idempotent() && std::ranges::binary_search(plan_.newest_batches, header.last_offset());
  }
  [[nodiscard]] bool stays(const BatchHeader& header, const RecordView& record) const;
  Result<bool> keep_records(const StoredBatch& batch, ByteView bytes);
  /// "For ever" is a hundred years: what clients add to it must not overflow.
  [[nodiscard]] std::int64_t delete_horizon() const {
    constexpr std::int64_t kRetentionMax = 36'500ll * 86'400'000;
    return now_ms_ + std::min(options_.delete_retention_ms, kRetentionMax);
  }
  Result<> append(Segment& out, ByteView batch);
  [[nodiscard]] std::optional<WallMs> newest_time(Group group) const;
  Result<> take_place(Group group);
  Result<> for_each_batch(const CleanableSegment& segment, const BatchVisitor& visit);
  Result<> spend(std::size_t bytes) {
    if (host_.go_on(bytes)) return {};
    return fail(Errc::kUnavailable, fmt::format("the cleaning of {} was stopped", plan_.folder));
  }

  FileSystem& fs_;
  const CleaningPlan& plan_;
  const CleanerOptions& options_;
  CleanerHost& host_;
  const WallMs now_ms_;

  KeyMap keys_;
  Offset mapped_end_{0};  // the keys of all dirty batches below are in keys_
  bool gaps_noted_ = false;
  bool unsettled_ = false;
  CleaningReport report_;

  Decompressor decompressor_;
  Compressor compressor_;
  BatchRewriter rewriter_;
  Bytes buffer_;
};

Result<> LogCleaner::clean() {
  RETURN_IF_ERROR(map_keys());
  report_.keys = keys_.size();
  for (const auto group : groups()) {
    ASSIGN_OR_RETURN(report_.shortage, shortage_for(group));
    if (report_.shortage) return {};
    RETURN_IF_ERROR(clean_group(group));
  }
  report_.first_dirty = mapped_end_;
  // What was renamed last must be durable before it counts as done.
  RETURN_IF_ERROR(fs_.sync_directory(plan_.folder));
  return save_compaction_point(fs_, plan_.folder, {mapped_end_, plan_.point.gaps_below});
}

/// Every byte is checked: damage must not be copied, nor take a newer record's place.
Result<> LogCleaner::for_each_batch(const CleanableSegment& segment, const BatchVisitor& visit) {
  const auto named = [&](std::uint64_t position, const Error& error) {
    return in_context(fmt::format("{} at position {}", segment.path, position), error);
  };
  ASSIGN_OR_RETURN(const auto file, fs_.open(segment.path, OpenMode::kRead));
  BatchScanner scanner(*file, 0, segment.size_bytes, ScanCheck::kCrc, BatchScanner::kRecoveryWindow);
  auto expected = segment.base_offset;
  while (true) {
    const auto batch = scanner.next();
    if (!batch) return named(scanner.position(), batch.error());
    if (!*batch) break;
    const auto& header = (*batch)->header;
    const bool follows = header.base_offset == expected ||
                         (header.base_offset > expected && header.base_offset < plan_.gaps_before);
    if (!follows || header.next_offset() > segment.end_offset)
      return named((*batch)->position, {Errc::kCorrupt, fmt::format("the batch has offset {} instead of {}", header.base_offset, expected)});
    expected = header.next_offset();
    buffer_.resize(header.total_bytes());
    ASSIGN_OR_RETURN(const auto count, file->read_at((*batch)->position, buffer_));
    if (count < buffer_.size()) return named((*batch)->position, {Errc::kCorrupt, "the file has become shorter"});
    RETURN_IF_ERROR(spend(buffer_.size()));
    ASSIGN_OR_RETURN(const bool more, visit(**batch, buffer_));
    if (!more) return {};
  }
  if (expected != segment.end_offset)
    return named(segment.size_bytes, {Errc::kCorrupt, fmt::format("it ends before offset {}", segment.end_offset)});
  return {};
}

// ---- Which records are the newest ----------------------------------------------------------------

Result<> LogCleaner::map_keys() {
  mapped_end_ = plan_.segments.back().end_offset;
  bool full = false;
  for (const auto& segment : plan_.segments) {
    if (segment.end_offset <= plan_.point.first_dirty) continue;
    const BatchVisitor visit = [&](const StoredBatch& batch, ByteView bytes) -> Result<bool> {
      if (batch.header.last_offset() < plan_.point.first_dirty) return true;
      ASSIGN_OR_RETURN(const bool mapped, map_batch(batch, bytes));
      if (mapped) return true;
      full = true;
      mapped_end_ = batch.header.base_offset;
      return false;
    };
    RETURN_IF_ERROR(for_each_batch(segment, visit));
    if (full) break;
  }
  if (full && mapped_end_ <= std::max(plan_.point.first_dirty, plan_.segments.front().base_offset))
    return fail(Errc::kNoSpace, fmt::format("{}: the keys of one batch do not fit in {} bytes of memory", plan_.folder,
                                            options_.memory_bytes));
  return {};
}

/// False if there is no room for all its keys.
Result<bool> LogCleaner::map_batch(const StoredBatch& batch, ByteView bytes) {
  if (batch.header.control()) return true;
  auto reader = RecordReader::open(bytes, plan_.config.limits.decompressed_bytes_max, decompressor_);
  if (!reader) return true;  // not a batch to look into: nobody can read it
  std::vector<std::pair<ByteView, Offset>> keys;
  RecordView record;
  while (true) {
    const auto more = reader->next(record);
    if (!more) return true;  // nor this one, and none of its records counts
    if (!*more) break;
    if (record.key) keys.emplace_back(*record.key, record.offset);
  }
  return std::ranges::all_of(keys, [this](const auto& key) { return keys_.put(key.first, key.second); });
}

// ---- Writing -------------------------------------------------------------------------------------

/// Neighbours that fit in one segment, together if all their records stayed.
std::vector<LogCleaner::Group> LogCleaner::groups() const {
  std::vector<Group> groups;
  const std::span all(plan_.segments);
  for (std::size_t first = 0; first < all.size() && all[first].base_offset < mapped_end_;) {
    auto count = std::size_t{1};
    auto bytes = all[first].size_bytes;
    for (; first + count < all.size() && all[first + count].base_offset < mapped_end_; ++count) {
      const auto& next = all[first + count];
      bytes += next.size_bytes;
      if (bytes > plan_.config.segment_bytes ||
          next.end_offset - all[first].base_offset > std::numeric_limits<std::int32_t>::max())
        break;
    }
    groups.push_back(all.subspan(first, count));
    first += count;
  }
  return groups;
}

/// The cleaned form of a group stands beside the group until it has taken its place.
Result<std::optional<SpaceShortage>> LogCleaner::shortage_for(Group group) {
  const auto space = fs_.volume_space(plan_.folder);
  if (!space) return std::nullopt;  // writing will tell
  const auto with_reserve = [](std::uint64_t bytes) { return bytes + bytes / 8; };
  std::uint64_t bytes = 0;
  for (const auto& segment : group) bytes += segment.size_bytes;
  if (with_reserve(bytes) <= space->usable_bytes) return std::nullopt;
  // A full disk may be full of what is to go.
  ASSIGN_OR_RETURN(bytes, bytes_that_stay(group));
  if (with_reserve(bytes) <= space->usable_bytes) return std::nullopt;
  return SpaceShortage{.needed_bytes = with_reserve(bytes), .usable_bytes = space->usable_bytes};
}

/// About: a batch shrinks by the share of its records that go, as if each took its size in the compressed bytes.
Result<std::uint64_t> LogCleaner::bytes_that_stay(Group group) {
  std::uint64_t all = 0;
  const BatchVisitor visit = [&](const StoredBatch& batch, ByteView bytes) -> Result<bool> {
    const auto found = survey(batch, bytes);
    if (found.changes && found.records_kept == 0 && !keeps_header(batch.header)) return true;
    const auto share = found.changes && found.bytes > 0
                           ? static_cast<double>(found.bytes_kept) / static_cast<double>(found.bytes)
                           : 1.0;
    all += kBatchHeaderSize + static_cast<std::uint64_t>(static_cast<double>(bytes.size() - kBatchHeaderSize) * share);
    return true;
  };
  for (const auto& segment : group) RETURN_IF_ERROR(for_each_batch(segment, visit));
  return all + kBatchHeaderSize;  // the last batch's stays in any case
}

Result<> LogCleaner::clean_group(Group group) {
  const auto base = group.front().base_offset;
  const auto paths = Segment::paths_of(plan_.folder, base, kCleanedSuffix);
  auto done = write_group(group, paths);
  if (done) done = take_place(group);
  if (!done && !unsettled_)
    for (const auto& path : {paths.log, paths.offset_index, paths.time_index}) (void)fs_.remove(path);
  return done;
}

Result<> LogCleaner::write_group(Group group, const Segment::Paths& paths) {
  ASSIGN_OR_RETURN(auto out, Segment::create(fs_, paths, group.front().base_offset, plan_.config));
  for (const auto& segment : group) {
    const bool last_segment = &segment == &group.back();
    report_.bytes_before += segment.size_bytes;
    const BatchVisitor visit = [&](const StoredBatch& batch, ByteView bytes) -> Result<bool> {
      RETURN_IF_ERROR(write_cleaned(*out, batch, bytes, last_segment && batch.end() == segment.size_bytes));
      return true;
    };
    RETURN_IF_ERROR(for_each_batch(segment, visit));
  }
  report_.bytes_after += out->size_bytes();
  report_.segments_before += group.size();
  ++report_.segments_after;
  ASSIGN_OR_RETURN(const auto files, out->finish_and_open());
  // Retention goes by a file's time where the records' own cannot be believed.
  if (const auto time = newest_time(group)) (void)files.front()->set_modified_ms(*time);
  for (const auto& file : files) RETURN_IF_ERROR(file->sync_data());
  return {};
}

std::optional<WallMs> LogCleaner::newest_time(Group group) const {
  std::optional<WallMs> newest;
  for (const auto& segment : group) {
    const auto file = fs_.open(segment.path, OpenMode::kRead);
    const auto time = file ? (*file)->modified_ms() : Result<WallMs>(fail(Errc::kNotFound, ""));
    if (time) newest = std::max(newest.value_or(*time), *time);
  }
  return newest;
}

Result<> LogCleaner::write_cleaned(Segment& out, const StoredBatch& batch, ByteView bytes, bool last) {
  const auto& header = batch.header;
  ASSIGN_OR_RETURN(const bool changed, keep_records(batch, bytes));
  if (!changed) return append(out, bytes);
  if (rewriter_.kept() == 0 && !keeps_header(header) && !last) return {};
  ASSIGN_OR_RETURN(const auto rewritten, rewriter_.finish(compressor_));
  return append(out, rewritten);
}

bool LogCleaner::stays(const BatchHeader& header, const RecordView& record) const {
  if (!record.key) return true;
  const auto newest = keys_.find(*record.key);
  if (newest && record.offset < *newest) return false;
  const auto horizon = header.delete_horizon_ms();
  return record.value || !horizon || now_ms_ < *horizon;
}

LogCleaner::Survey LogCleaner::survey(const StoredBatch& batch, ByteView bytes) {
  Survey found;
  const auto& header = batch.header;
  if (header.control()) return found;
  auto reader = RecordReader::open(bytes, plan_.config.limits.decompressed_bytes_max, decompressor_);
  found.readable = reader.has_value();
  bool tombstone_stays = false;
  RecordView record;
  while (found.readable) {
    const auto more = reader->next(record);
    found.readable = more.has_value();
    if (!found.readable || !*more) break;
    const bool keep = stays(header, record);
    auto size = kRecordBytesMin;
    if (record.key) size += record.key->size();
    if (record.value) size += record.value->size();
    ++found.records;
    found.bytes += size;
    if (!keep) continue;
    ++found.records_kept;
    found.bytes_kept += size;
    tombstone_stays = tombstone_stays || (record.key && !record.value);
  }
  // Above mapped_end_ a tombstone has not been cleaned for yet: older records of its key may be left.
  found.wants_horizon = tombstone_stays && !header.delete_horizon_ms() && header.last_offset() < mapped_end_;
  const bool empty_already = header.record_count == 0;
  found.changes = found.readable && (found.records_kept < found.records || found.wants_horizon || empty_already);
  return found;
}

/// Gives the rewriter what stays of the batch. False if that is the batch as it is.
Result<bool> LogCleaner::keep_records(const StoredBatch& batch, ByteView bytes) {
  // Twice over the records: whether there is a tombstone decides what their times count from.
  const auto found = survey(batch, bytes);
  report_.records_read += found.records;
  report_.records_kept += found.records_kept;
  if (!found.readable) ++report_.unreadable_batches;
  if (!found.changes) return false;
  rewriter_.begin(batch.header, found.wants_horizon ? std::optional(delete_horizon()) : std::nullopt);
  ASSIGN_OR_RETURN(auto reader, RecordReader::open(bytes, plan_.config.limits.decompressed_bytes_max, decompressor_));
  RecordView record;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.next(record));
    if (!more) return true;
    if (stays(batch.header, record)) rewriter_.keep(record);
  }
}

Result<> LogCleaner::append(Segment& out, ByteView batch) {
  ASSIGN_OR_RETURN(const auto header, parse_batch_header(batch));
  if (out.size_bytes() + batch.size() > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max()))
    return fail(Errc::kTooLarge, fmt::format("{}: a cleaned segment would be larger than 2^31 - 1 bytes", out.path()));
  const PreparedBatch prepared{header, encode_batch_header(header), batch.subspan(kBatchHeaderSize), nullptr};
  RETURN_IF_ERROR(out.append({&prepared, 1}));
  return spend(batch.size());
}

// ---- Taking the place ----------------------------------------------------------------------------

Result<> LogCleaner::take_place(Group group) {
  const CleanedSegments cleaned{group.front().base_offset, group.back().end_offset};
  const auto swap = plan_.folder + "/" + swap_file_name(cleaned.base_offset, cleaned.end_offset);
  if (!gaps_noted_) {
    // This also syncs the folder: the last names of a former cleaning are durable before this one's first.
    RETURN_IF_ERROR(save_compaction_point(fs_, plan_.folder, plan_.point));
    gaps_noted_ = true;
  }
  RETURN_IF_ERROR(spend(0));  // the topic may have ceased to be compacted
  const auto written = Segment::paths_of(plan_.folder, cleaned.base_offset, kCleanedSuffix);
  if (auto renamed = fs_.rename(written.log, swap); !renamed) {
    unsettled_ = fs_.exists(swap);
    return renamed;
  }
  unsettled_ = true;
  RETURN_IF_ERROR(fs_.sync_directory(plan_.folder));
  RETURN_IF_ERROR(host_.with_log([&](Log& log) { return log.adopt_cleaned(cleaned); }));
  for (const auto& segment : group) {
    const auto paths = Segment::paths_of(plan_.folder, segment.base_offset);
    for (const auto& path : {paths.log, paths.offset_index, paths.time_index})
      if (fs_.exists(path)) RETURN_IF_ERROR(fs_.remove(path));
  }
  RETURN_IF_ERROR(fs_.sync_directory(plan_.folder));
  RETURN_IF_ERROR(host_.with_log([&](Log& log) { return log.settle_cleaned(cleaned); }));
  unsettled_ = false;
  return {};
}

}  // namespace

Result<CleaningReport> clean_log(FileSystem& fs, const Clock& clock, const CleaningPlan& plan,
                                 const CleanerOptions& options, CleanerHost& host) {
  return LogCleaner(fs, clock, plan, options, host).run();
}

}  // namespace tributary
