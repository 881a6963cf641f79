#include "cluster/storage/segment.h"

#include <limits>

#include "cluster/storage/folder_names.h"
#include "common/base/check.h"

namespace tributary {

Segment::Paths Segment::paths_of(const std::string& folder, Offset base_offset, std::string_view more) {
  const auto path = [&](std::string_view suffix) {
    return fmt::format("{}/{}{}", folder, segment_file_name(base_offset, suffix), more);
  };
  return {path(kLogSuffix), path(kOffsetIndexSuffix), path(kTimeIndexSuffix)};
}

Segment::Segment(FileSystem& fs, std::string folder, Offset base_offset, const LogConfig& config)
    : Segment(fs, paths_of(folder, base_offset), base_offset, config) {}

Segment::Segment(FileSystem& fs, Paths paths, Offset base_offset, const LogConfig& config)
    : fs_(fs),
      config_(config),
      base_offset_(base_offset),
      path_(std::move(paths.log)),
      end_offset_(base_offset),
      offset_index_(fs, std::move(paths.offset_index)),
      time_index_(fs, std::move(paths.time_index)) {}

Result<std::unique_ptr<Segment>> Segment::create(FileSystem& fs, const std::string& folder,
                                                 Offset base_offset, const LogConfig& config) {
  return create(fs, paths_of(folder, base_offset), base_offset, config);
}

Result<std::unique_ptr<Segment>> Segment::create(FileSystem& fs, Paths paths, Offset base_offset,
                                                 const LogConfig& config) {
  auto segment = std::make_unique<Segment>(fs, std::move(paths), base_offset, config);
  ASSIGN_OR_RETURN(segment->file_, fs.open(segment->path_, OpenMode::kTruncate));
  segment->loaded_ = true;
  return segment;
}

void Segment::moved_to(Paths paths) {
  path_ = std::move(paths.log);
  offset_index_.moved_to(std::move(paths.offset_index));
  time_index_.moved_to(std::move(paths.time_index));
}

Result<std::shared_ptr<File>> Segment::file() {
  if (!file_) {
    ASSIGN_OR_RETURN(file_, fs_.open(path_, OpenMode::kReadWrite));
  }
  return file_;
}

tl::unexpected<Error> Segment::corrupt_at(std::uint64_t position, const Error& why) const {
  if (why.code == Errc::kIo) return tl::unexpected<Error>(why);
  return fail(Errc::kCorrupt, fmt::format("{} at position {}: {}", path_, position, why.message));
}

tl::unexpected<Error> Segment::ends_early(Offset end) const {
  return fail(Errc::kCorrupt, fmt::format("{} ends before offset {} instead of {}", path_, end,
                                          end_offset_));
}

// ---- Opening -------------------------------------------------------------------------------------

void Segment::reset_to_empty() {
  offset_index_.reset();
  time_index_.reset();
  bytes_since_entry_ = 0;
  largest_ = {kNoTimestamp, 0};
  size_bytes_ = 0;
  end_offset_ = base_offset_;
  damaged_ = false;
}

Result<> Segment::learn_size() {
  ASSIGN_OR_RETURN(const auto log, fs_.open(path_, OpenMode::kRead));
  ASSIGN_OR_RETURN(size_bytes_, log->size());
  return {};
}

Result<Segment::ScanResult> Segment::scan(ScanCheck check, const Visitor& visit) {
  return scan_up_to(std::numeric_limits<std::uint64_t>::max(), check, visit);
}

Result<Segment::ScanResult> Segment::scan_up_to(std::uint64_t bytes_max, ScanCheck check,
                                                const Visitor& visit) {
  reset_to_empty();
  ASSIGN_OR_RETURN(const auto log, file());
  ScanResult result;
  ASSIGN_OR_RETURN(const auto file_bytes, log->size());
  result.file_bytes = std::min(file_bytes, bytes_max);
  constexpr std::uint64_t kPositionMax = std::numeric_limits<std::int32_t>::max();
  BatchScanner scanner(*log, 0, std::min(result.file_bytes, kPositionMax), check,
                       BatchScanner::kRecoveryWindow);
  while (true) {
    const auto batch = scanner.next();
    if (!batch) {
      if (batch.error().code == Errc::kIo) return tl::unexpected<Error>(batch.error());
      result.bad = batch.error();
      break;
    }
    if (!*batch) break;
    const auto& header = (*batch)->header;
    if (!follows(header, end_offset_)) {
      result.bad = Error{Errc::kCorrupt, fmt::format("the batch has offset {} instead of {}",
                                                     header.base_offset, end_offset_)};
      break;
    }
    if (header.last_offset() - base_offset_ > std::numeric_limits<std::int32_t>::max()) {
      result.bad = Error{Errc::kCorrupt, "the offset is too far from the segment's first"};
      break;
    }
    index_batch(header, (*batch)->position);
    size_bytes_ = (*batch)->end();
    end_offset_ = header.next_offset();
    visit(header);
  }
  if (!result.bad && size_bytes_ < result.file_bytes)
    result.bad = Error{Errc::kCorrupt, "the segment is larger than 2^31 - 1 bytes"};
  loaded_ = true;
  return result;
}

Result<bool> Segment::load_end() {
  ASSIGN_OR_RETURN(const bool offsets_usable, offset_index_.load());
  ASSIGN_OR_RETURN(const bool times_usable, time_index_.load());
  if (!offsets_usable || !times_usable) return false;
  ASSIGN_OR_RETURN(const auto log, file());
  ASSIGN_OR_RETURN(const auto file_bytes, log->size());
  if (file_bytes > std::numeric_limits<std::int32_t>::max()) return false;

  const auto entry = offset_index_.last();
  if (entry && entry->position < 0) return false;
  const auto start = entry ? static_cast<std::uint64_t>(entry->position) : 0;
  if (start > file_bytes || (entry && start == file_bytes)) return false;
  largest_ = time_index_.last().value_or(TimeEntry{kNoTimestamp, 0});
  auto end = base_offset_;
  std::uint64_t since_entry = 0;
  BatchScanner scanner(*log, start, file_bytes, ScanCheck::kHeaders);
  for (bool first = true;; first = false) {
    const auto batch = scanner.next();
    if (!batch && batch.error().code == Errc::kIo) return tl::unexpected<Error>(batch.error());
    if (!batch) return false;
    if (!*batch) break;
    const auto& header = (*batch)->header;
    const bool expected = first && entry ? header.last_offset() == offset_of(entry->relative_offset)
                                         : follows(header, end);
    if (since_entry > config_.index_interval_bytes) return false;  // the index lacks entries
    since_entry += header.total_bytes();
    const auto relative = header.last_offset() - base_offset_;
    if (!expected || relative > std::numeric_limits<std::int32_t>::max()) return false;
    if (time_of(header) > largest_.timestamp_ms) largest_ = {time_of(header), static_cast<std::int32_t>(relative)};
    end = header.next_offset();
  }
  if (time_index_.last() && offset_of(time_index_.last()->relative_offset) >= end) return false;
  bytes_since_entry_ = since_entry;
  size_bytes_ = file_bytes;
  end_offset_ = end;
  loaded_ = true;
  return true;
}

/// Of an inactive segment, whose end the next one tells. Damage is not an error here: what is before it
/// can be read.
Result<> Segment::ensure_loaded() {
  if (loaded_) return {};
  const auto expected_end = end_offset_;
  ASSIGN_OR_RETURN(const bool trusted, load_end());
  if (trusted && end_offset_ == expected_end) return {};
  // Made aside: half of a time index, which is all that a power cut might leave, would be believed.
  const auto offset_index = offset_index_.path(), time_index = time_index_.path();
  offset_index_.moved_to(offset_index + std::string(kTemporarySuffix));
  time_index_.moved_to(time_index + std::string(kTemporarySuffix));
  const auto result = scan(ScanCheck::kHeaders, [](const BatchHeader&) {});
  if (!result) {
    offset_index_.moved_to(offset_index);
    time_index_.moved_to(time_index);
    return tl::unexpected<Error>(result.error());
  }
  damaged_ = result->bad || end_offset_ != expected_end;
  size_bytes_ = result->file_bytes;
  end_offset_ = expected_end;
  publish_indexes(offset_index, time_index);
  return {};
}

/// Complete and durable first, then under these names. Where that fails they are used as they are, in memory and aside,
/// and made anew by the next open.
void Segment::publish_indexes(const std::string& offset_index, const std::string& time_index) {
  const auto publish = [this](auto& index, const std::string& path) -> Result<> {
    ASSIGN_OR_RETURN(const auto file, index.save_and_open());
    RETURN_IF_ERROR(file->sync_data());
    RETURN_IF_ERROR(fs_.rename(index.path(), path));
    index.moved_to(path);
    return {};
  };
  append_time_entry();
  // One that is missing or wrong among the offsets is always noticed.
  if (publish(time_index_, time_index)) (void)publish(offset_index_, offset_index);
}

/// After an entry turned out to be wrong. Reaches as far as the batches are good.
Result<> Segment::rebuild_indexes() {
  const auto size_bytes = size_bytes_;
  const auto end_offset = end_offset_;
  const auto largest = largest_;
  ASSIGN_OR_RETURN(const auto result,
                   scan_up_to(size_bytes, ScanCheck::kHeaders, [](const BatchHeader&) {}));
  damaged_ = result.bad || end_offset_ != end_offset;
  if (damaged_ && largest.timestamp_ms > largest_.timestamp_ms) largest_ = largest;
  size_bytes_ = size_bytes;
  end_offset_ = end_offset;
  return {};
}

Result<> Segment::visit_from(Offset from, const Visitor& visit) {
  RETURN_IF_ERROR(ensure_loaded());
  from = std::max(from, base_offset_);
  if (from >= end_offset_) return {};
  ASSIGN_OR_RETURN(const auto start, find(from));
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, start.position, size_bytes_, ScanCheck::kHeaders,
                       BatchScanner::kRecoveryWindow);
  auto expected = start.header.base_offset;
  while (true) {
    const auto batch = scanner.next();
    if (!batch) return corrupt_at(scanner.position(), batch.error());
    if (!*batch) break;
    if (!follows((*batch)->header, expected))
      return corrupt_at((*batch)->position, Error{Errc::kCorrupt, "offsets are not dense"});
    expected = (*batch)->header.next_offset();
    if ((*batch)->header.base_offset >= from) visit((*batch)->header);
  }
  if (expected != end_offset_) return ends_early(expected);
  return {};
}

Result<> Segment::cut_tail() {
  ASSIGN_OR_RETURN(const auto log, file());
  RETURN_IF_ERROR(log->truncate(size_bytes_));
  tail_torn_ = false;
  return {};
}

Result<> Segment::rewrite_and_sync(Offset from) {
  ASSIGN_OR_RETURN(const auto log, file());
  auto position = size_bytes_;
  from = std::max(from, base_offset_);
  if (from < end_offset_) {
    ASSIGN_OR_RETURN(const auto first, find(from));
    position = first.position;
  }
  constexpr std::size_t kPartBytes = 1u << 20;
  Bytes part(std::min<std::uint64_t>(kPartBytes, size_bytes_ - position));
  while (position < size_bytes_) {
    part.resize(std::min<std::uint64_t>(part.size(), size_bytes_ - position));
    ASSIGN_OR_RETURN(const auto count, log->read_at(position, part));
    if (count < part.size())
      return corrupt_at(position, Error{Errc::kCorrupt, "the file has become shorter"});
    const std::array parts{ByteView(part)};
    RETURN_IF_ERROR(log->write_at(position, parts));
    position += count;
  }
  return log->sync_data();
}

// ---- Appending -----------------------------------------------------------------------------------

void Segment::index_batch(const BatchHeader& header, std::uint64_t position) {
  const auto relative = static_cast<std::int32_t>(header.last_offset() - base_offset_);
  if (time_of(header) > largest_.timestamp_ms) largest_ = {time_of(header), relative};
  if (bytes_since_entry_ > config_.index_interval_bytes) {
    offset_index_.append({relative, static_cast<std::int32_t>(position)});
    append_time_entry();
    bytes_since_entry_ = 0;
  }
  bytes_since_entry_ += header.total_bytes();
}

void Segment::append_time_entry() {
  if (largest_.timestamp_ms == kNoTimestamp) return;
  if (!time_index_.last() || largest_.rises_above(*time_index_.last())) time_index_.append(largest_);
}

Result<bool> Segment::has_room(std::uint64_t bytes, Offset last_offset, std::size_t batch_count,
                               std::int64_t timestamp_ms, WallMs now_ms) {
  if (!used_since_ms_) used_since_ms_ = now_ms;
  if (size_bytes_ == 0) return true;
  const bool offset_fits =
      last_offset - base_offset_ <= std::numeric_limits<std::int32_t>::max();
  const bool indexes_fit =
      (offset_index_.size() + batch_count) * OffsetEntry::kBytes <= config_.index_bytes_max &&
      // One entry more is for finish().
      (time_index_.size() + batch_count + 1) * TimeEntry::kBytes <= config_.index_bytes_max;
  if (size_bytes_ + bytes > config_.segment_bytes || !offset_fits || !indexes_fit) return false;

  if (!first_timestamp_ms_) {
    ASSIGN_OR_RETURN(const auto first, find(base_offset_));
    first_timestamp_ms_ = first.header.max_timestamp_ms;
  }
  const bool by_records = *first_timestamp_ms_ >= 0 && timestamp_ms >= 0;
  const auto age_ms = by_records ? timestamp_ms - *first_timestamp_ms_ : now_ms - *used_since_ms_;
  return age_ms <= config_.segment_ms;
}

Result<> Segment::append(std::span<const PreparedBatch> batches) {
  if (tail_torn_) RETURN_IF_ERROR(cut_tail());
  ASSIGN_OR_RETURN(const auto log, file());
  std::vector<ByteView> parts;
  parts.reserve(2 * batches.size());
  for (const auto& batch : batches) {
    parts.emplace_back(batch.head);
    parts.push_back(batch.records);
  }
  if (auto written = log->write_at(size_bytes_, parts); !written) {
    tail_torn_ = true;
    (void)cut_tail();  // tried again by the next append
    return written;
  }
  for (const auto& batch : batches) {
    if (size_bytes_ == 0) first_timestamp_ms_ = batch.header.max_timestamp_ms;
    index_batch(batch.header, size_bytes_);
    size_bytes_ += batch.header.total_bytes();
    end_offset_ = batch.header.next_offset();
  }
  return {};
}

Result<> Segment::finish() {
  if (tail_torn_) RETURN_IF_ERROR(cut_tail());
  append_time_entry();
  RETURN_IF_ERROR(offset_index_.save());
  return time_index_.save();
}

Result<std::vector<std::shared_ptr<File>>> Segment::finish_and_open() {
  RETURN_IF_ERROR(finish());
  ASSIGN_OR_RETURN(auto log, file());
  ASSIGN_OR_RETURN(auto offsets, offset_index_.save_and_open());
  ASSIGN_OR_RETURN(auto times, time_index_.save_and_open());
  return std::vector<std::shared_ptr<File>>{std::move(log), std::move(offsets), std::move(times)};
}

}  // namespace tributary
