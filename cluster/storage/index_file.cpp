#include "cluster/storage/index_file.h"

#include <array>

#include "common/base/check.h"
#include "common/bytes/reader.h"
#include "common/bytes/writer.h"

namespace tributary {

OffsetEntry OffsetEntry::decode(ByteView bytes) {
  ByteReader reader(bytes);
  const auto relative_offset = reader.i32();
  return {relative_offset, reader.i32()};
}

void OffsetEntry::encode(Bytes& out) const {
  ByteWriter writer(out);
  writer.i32(relative_offset);
  writer.i32(position);
}

TimeEntry TimeEntry::decode(ByteView bytes) {
  ByteReader reader(bytes);
  const auto timestamp_ms = reader.i64();
  return {timestamp_ms, reader.i32()};
}

void TimeEntry::encode(Bytes& out) const {
  ByteWriter writer(out);
  writer.i64(timestamp_ms);
  writer.i32(relative_offset);
}

template <class Entry>
Result<bool> IndexFile<Entry>::load() {
  reset();
  if (!fs_.exists(path_)) return false;
  ASSIGN_OR_RETURN(const auto file, fs_.open(path_, OpenMode::kRead));
  ASSIGN_OR_RETURN(const auto bytes, file->size());
  if (bytes % Entry::kBytes != 0) return false;
  const auto count = static_cast<std::size_t>(bytes / Entry::kBytes);
  std::optional<Entry> last;
  if (count > 0) {
    ASSIGN_OR_RETURN(last, read_entry(*file, count - 1));
    if (!last || last->relative_offset < 0) return false;
  }
  if (count > 1) {
    ASSIGN_OR_RETURN(const auto before, read_entry(*file, count - 2));
    if (!before || !last->rises_above(*before)) return false;
  }
  on_file_ = count;
  last_ = last;
  replace_ = false;
  return true;
}

template <class Entry>
void IndexFile<Entry>::reset() {
  on_file_ = 0;
  pending_.clear();
  last_.reset();
  replace_ = true;
}

template <class Entry>
void IndexFile<Entry>::append(const Entry& entry) {
  CHECK(!last_ || entry.rises_above(*last_), "{}: entries must rise", path_);
  pending_.push_back(entry);
  last_ = entry;
  if (pending_.size() % kPendingMax == 0) (void)save();  // kept in memory if it fails
}

template <class Entry>
Result<> IndexFile<Entry>::save() {
  if (pending_.empty() && !replace_) return {};
  ASSIGN_OR_RETURN(const auto file, save_and_open());
  return {};
}

template <class Entry>
Result<std::shared_ptr<File>> IndexFile<Entry>::save_and_open() {
  ASSIGN_OR_RETURN(auto file, fs_.open(path_, replace_ ? OpenMode::kTruncate : OpenMode::kCreate));
  replace_ = false;
  if (!pending_.empty()) {
    Bytes bytes;
    bytes.reserve(pending_.size() * Entry::kBytes);
    for (const auto& entry : pending_) entry.encode(bytes);
    const std::array parts{ByteView(bytes)};
    RETURN_IF_ERROR(file->write_at(on_file_ * Entry::kBytes, parts));
    on_file_ += pending_.size();
    std::vector<Entry>().swap(pending_);
  }
  return file;
}

template <class Entry>
Result<std::optional<Entry>> IndexFile<Entry>::read_entry(const File& file, std::size_t number) {
  std::array<std::uint8_t, Entry::kBytes> bytes;
  ASSIGN_OR_RETURN(const auto count, file.read_at(number * Entry::kBytes, bytes));
  if (count < bytes.size()) return std::nullopt;
  return Entry::decode(bytes);
}

template class IndexFile<OffsetEntry>;
template class IndexFile<TimeEntry>;

}  // namespace tributary
