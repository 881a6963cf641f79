// Segment's lookups: every index entry is checked against the log before it is believed.

#include <algorithm>
#include <limits>

#include "cluster/storage/segment.h"
#include "common/record/record_reader.h"

namespace tributary {

/// The batch that an index entry points to; nothing if the entry is wrong.
Result<std::optional<StoredBatch>> Segment::batch_at(const OffsetEntry& entry) {
  if (entry.position < 0 || static_cast<std::uint64_t>(entry.position) >= size_bytes_)
    return std::nullopt;
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, static_cast<std::uint64_t>(entry.position), size_bytes_,
                       ScanCheck::kHeaders);
  const auto batch = scanner.next();
  if (!batch && batch.error().code == Errc::kIo) return tl::unexpected<Error>(batch.error());
  if (!batch || !*batch || (*batch)->header.last_offset() != offset_of(entry.relative_offset))
    return std::nullopt;
  return *batch;
}

Result<StoredBatch> Segment::find(Offset offset) {
  RETURN_IF_ERROR(ensure_loaded());
  ASSIGN_OR_RETURN(auto found, try_find(offset));
  if (found) return *found;
  RETURN_IF_ERROR(rebuild_indexes());
  ASSIGN_OR_RETURN(found, try_find(offset));
  if (found) return *found;
  return fail(Errc::kCorrupt, fmt::format("{}: its index cannot be rebuilt", path_));
}

/// Nothing if the index is wrong.
Result<std::optional<StoredBatch>> Segment::try_find(Offset offset) {
  const auto relative = offset - base_offset_;
  ASSIGN_OR_RETURN(const auto entry, offset_index_.last_where([&](const OffsetEntry& e) {
    return e.relative_offset <= relative;
  }));
  std::uint64_t position = 0;
  auto expected = base_offset_;
  if (entry) {
    ASSIGN_OR_RETURN(const auto start, batch_at(*entry));
    if (!start) return std::nullopt;
    if (start->header.last_offset() == offset) return start;
    position = start->end();
    expected = start->header.next_offset();
  }
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, position, size_bytes_, ScanCheck::kHeaders);
  while (true) {
    const auto batch = scanner.next();
    if (!batch) return corrupt_at(scanner.position(), batch.error());
    if (!*batch) return ends_early(expected);
    const auto& header = (*batch)->header;
    if (!follows(header, expected))
      return corrupt_at((*batch)->position,
                        Error{Errc::kCorrupt, fmt::format("the batch has offset {} instead of {}",
                                                          header.base_offset, expected)});
    if (header.next_offset() > end_offset_)
      return corrupt_at((*batch)->position,
                        Error{Errc::kCorrupt, fmt::format("the batch reaches to offset {}, the segment to {}",
                                                          header.next_offset(), end_offset_)});
    if (header.last_offset() >= offset) return **batch;
    expected = header.next_offset();
  }
}

Result<Segment::End> Segment::end_of_run(const StoredBatch& first, std::uint64_t bytes_max,
                                         Offset below) {
  const auto limit = std::min(size_bytes_, first.position + bytes_max);
  if (!damaged_ && limit == size_bytes_ && below >= end_offset_) return End{size_bytes_, end_offset_};

  const auto relative_below = below - base_offset_;
  ASSIGN_OR_RETURN(const auto entry, offset_index_.last_where([&](const OffsetEntry& e) {
    return static_cast<std::int64_t>(e.position) <= static_cast<std::int64_t>(limit) &&
           e.relative_offset < relative_below;
  }));
  End end{first.position, first.header.base_offset};
  if (entry && !damaged_ && entry->position > static_cast<std::int64_t>(first.position)) {
    ASSIGN_OR_RETURN(const auto jump, batch_at(*entry));
    if (jump) end = {jump->position, jump->header.base_offset};
  }
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, end.position, size_bytes_, ScanCheck::kHeaders);
  while (true) {
    const auto batch = scanner.next();
    if (!batch && batch.error().code == Errc::kIo) return tl::unexpected<Error>(batch.error());
    // A damaged batch ends the run; whoever asks for its offset learns why.
    if (!batch || !*batch || !follows((*batch)->header, end.next_offset) ||
        (*batch)->end() > limit || (*batch)->header.next_offset() > std::min(below, end_offset_))
      return end;
    end = {(*batch)->end(), (*batch)->header.next_offset()};
  }
}

// ---- By time -------------------------------------------------------------------------------------

Result<Bytes> Segment::read_batch(const StoredBatch& batch) {
  ASSIGN_OR_RETURN(const auto log, file());
  Bytes bytes(batch.header.total_bytes());  // within the file: the scanner has checked
  ASSIGN_OR_RETURN(const auto count, log->read_at(batch.position, bytes));
  if (count < bytes.size())
    return corrupt_at(batch.position, Error{Errc::kCorrupt, "the file ends within the batch"});
  return bytes;
}

namespace {

/// For a batch that cannot be looked into: brokers take compressed batches unopened, so a producer may have sent one
/// that does not decompress. It must not stand in the way of searches for ever.
TimestampOffset by_header(const StoredBatch& batch, Offset from) {
  return {batch.header.max_timestamp_ms, std::max(batch.header.base_offset, from)};
}

}  // namespace

/// The first batch that can hold a record at or after `timestamp_ms`; nothing if the index is wrong.
Result<std::optional<StoredBatch>> Segment::time_search_start(std::int64_t timestamp_ms) {
  ASSIGN_OR_RETURN(const auto entry, time_index_.last_where([&](const TimeEntry& e) {
    return e.timestamp_ms <= timestamp_ms;
  }));
  if (!entry) return find(base_offset_);
  const auto offset = offset_of(entry->relative_offset);
  if (offset < base_offset_ || offset >= end_offset_) return std::nullopt;
  ASSIGN_OR_RETURN(const auto batch, find(offset));
  if (batch.header.last_offset() != offset || batch.header.max_timestamp_ms != entry->timestamp_ms)
    return std::nullopt;
  return batch;
}

Result<std::optional<TimestampOffset>> Segment::find_time(std::int64_t timestamp_ms, Offset from,
                                                          Offset below) {
  RETURN_IF_ERROR(ensure_loaded());
  if (size_bytes_ == 0 || largest_.timestamp_ms < timestamp_ms) return std::nullopt;
  ASSIGN_OR_RETURN(auto start, time_search_start(timestamp_ms));
  if (!start) {
    RETURN_IF_ERROR(rebuild_indexes());
    ASSIGN_OR_RETURN(start, time_search_start(timestamp_ms));
    if (!start) return fail(Errc::kCorrupt, fmt::format("{}: its time index cannot be rebuilt", path_));
  }
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, start->position, size_bytes_, ScanCheck::kHeaders);
  while (true) {
    const auto batch = scanner.next();
    if (!batch) return corrupt_at(scanner.position(), batch.error());
    if (!*batch || (*batch)->header.base_offset >= below) return std::nullopt;
    if ((*batch)->header.max_timestamp_ms < timestamp_ms || (*batch)->header.last_offset() < from) continue;
    ASSIGN_OR_RETURN(const auto found, first_record_at(**batch, timestamp_ms, from));
    if (found && found->offset >= below) return std::nullopt;
    if (found) return found;  // else it lies below `from`, or a producer wrote a wrong maximum
  }
}

Result<std::optional<TimestampOffset>> Segment::first_record_at(const StoredBatch& batch,
                                                                std::int64_t timestamp_ms, Offset from) {
  ASSIGN_OR_RETURN(const auto bytes, read_batch(batch));
  auto reader = RecordReader::open(bytes, config_.limits.decompressed_bytes_max);
  if (!reader) return by_header(batch, from);
  RecordView record;
  while (true) {
    const auto more = reader->next(record);
    if (!more) return by_header(batch, from);
    if (!*more) return std::nullopt;
    if (record.timestamp_ms >= timestamp_ms && record.offset >= from)
      return TimestampOffset{record.timestamp_ms, record.offset};
  }
}

Result<std::optional<TimestampOffset>> Segment::largest_timestamp(Offset from, Offset below) {
  RETURN_IF_ERROR(ensure_loaded());
  from = std::max(from, base_offset_);
  if (size_bytes_ == 0 || below <= from || from >= end_offset_ || largest_.timestamp_ms == kNoTimestamp)
    return std::nullopt;
  if (offset_of(largest_.relative_offset) >= from && offset_of(largest_.relative_offset) < below)
    return TimestampOffset{largest_.timestamp_ms, offset_of(largest_.relative_offset)};

  ASSIGN_OR_RETURN(const auto entry, time_index_.last_where([&](const TimeEntry& e) {
    return offset_of(e.relative_offset) < below;
  }));
  const bool usable = entry && offset_of(entry->relative_offset) >= from;
  ASSIGN_OR_RETURN(const auto start, find(usable ? offset_of(entry->relative_offset) : from));
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, start.position, size_bytes_, ScanCheck::kHeaders);
  std::optional<TimestampOffset> best;
  while (true) {
    const auto batch = scanner.next();
    if (!batch) return corrupt_at(scanner.position(), batch.error());
    if (!*batch || (*batch)->header.last_offset() >= below) return best;
    const auto& header = (*batch)->header;
    if (time_of(header) > (best ? best->timestamp_ms : kNoTimestamp))
      best = TimestampOffset{time_of(header), header.last_offset()};
  }
}

Result<std::optional<TimestampOffset>> Segment::largest_record(const StoredBatch& batch, Offset from) {
  ASSIGN_OR_RETURN(const auto bytes, read_batch(batch));
  auto reader = RecordReader::open(bytes, config_.limits.decompressed_bytes_max);
  if (!reader) return by_header(batch, from);
  std::optional<TimestampOffset> best;
  RecordView record;
  while (true) {
    const auto more = reader->next(record);
    if (!more) return by_header(batch, from);
    if (!*more) return best;
    if (record.offset < from) continue;
    if (!best || record.timestamp_ms > best->timestamp_ms)
      best = TimestampOffset{record.timestamp_ms, record.offset};
  }
}

Result<WallMs> Segment::retention_time(WallMs now_ms) {
  RETURN_IF_ERROR(ensure_loaded());
  if (largest_.timestamp_ms >= 0 && largest_.timestamp_ms <= now_ms) return largest_.timestamp_ms;
  ASSIGN_OR_RETURN(const auto log, file());
  ASSIGN_OR_RETURN(const auto modified_ms, log->modified_ms());
  if (modified_ms <= now_ms) {
    ahead_since_ms_.reset();
    return modified_ms;
  }
  // Not noted in the file: it may be this clock that is wrong, for a while.
  if (!ahead_since_ms_ || *ahead_since_ms_ > now_ms) ahead_since_ms_ = now_ms;
  return *ahead_since_ms_;
}

Result<WallMs> Segment::first_time(WallMs now_ms) {
  if (!first_timestamp_ms_) {
    ASSIGN_OR_RETURN(const auto log, file());
    std::array<std::uint8_t, kBatchHeaderSize> head{};
    ASSIGN_OR_RETURN(const auto count, log->read_at(0, head));
    ASSIGN_OR_RETURN(const auto header, parse_batch_header(ByteView(head).first(count)));
    first_timestamp_ms_ = header.max_timestamp_ms;
  }
  if (*first_timestamp_ms_ >= 0 && *first_timestamp_ms_ <= now_ms) return *first_timestamp_ms_;
  if (used_since_ms_) return *used_since_ms_;
  ASSIGN_OR_RETURN(const auto log, file());
  return log->modified_ms();
}

}  // namespace tributary
