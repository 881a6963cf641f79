#pragma once
// A small language for tests of one log: Append(3), Flush(), PowerCut(), EXPECT_EQ(Read(), ...).

#include <gtest/gtest.h>

#include <functional>

#include "cluster/storage/folder_names.h"
#include "cluster/storage/log.h"
#include "common/record/batch_builder.h"
#include "tests/sim/files/simulated_file_system.h"

namespace tributary {

struct BatchSpec {
  std::int32_t count = 1;
  std::size_t value_bytes = 10;
  ProducerId producer = kNoProducerId;
  ProducerEpoch epoch = kNoProducerEpoch;
  Sequence sequence = kNoSequence;
  std::int64_t timestamp_ms = 1000;  // of the first record; the others follow by 1 ms
  char fill = 'v';
  Compression compression = Compression::kNone;
};

inline Bytes batch(const BatchSpec& spec) {
  BatchBuilder builder;
  const Bytes value(spec.value_bytes, static_cast<std::uint8_t>(spec.fill));
  for (std::int32_t i = 0; i < spec.count; ++i)
    builder.append(spec.timestamp_ms + i, as_bytes("key"), ByteView(value));
  BatchOptions options;
  options.compression = spec.compression;
  options.producer_id = spec.producer;
  options.producer_epoch = spec.epoch;
  options.base_sequence = spec.sequence;
  return builder.finish(options).value();
}

inline BatchSpec from_producer(std::int64_t id, int epoch, std::int32_t sequence, std::int32_t count = 1) {
  BatchSpec spec;
  spec.producer = ProducerId(id);
  spec.epoch = ProducerEpoch(static_cast<std::int16_t>(epoch));
  spec.sequence = Sequence(sequence);
  spec.count = count;
  return spec;
}

class LogTest : public testing::Test {
 protected:
  LogTest() {
    EXPECT_TRUE(fs_->create_directories(kFolder));
    options_.folder = kFolder;
  }

  // ---- life ----
  void Open() {
    auto opened = TryOpen();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  Result<> TryOpen() {
    log_.reset();
    auto opened = Log::open(*fs_, clock_, options_);
    if (!opened) return tl::unexpected<Error>(opened.error());
    log_ = *std::move(opened);
    return {};
  }
  /// Death of the process: the page cache survives.
  void Kill() {
    log_.reset();
    options_.clean = false;
  }
  /// Only what is durable survives, and by chance more.
  void PowerCut(std::uint64_t seed = 1) {
    log_.reset();
    SeededRandom random(seed);
    fs_ = fs_->after_power_cut(random);
    options_.clean = false;
  }
  void CloseCleanly() {
    ASSERT_TRUE(log_->close_cleanly());
    options_.recovery_point = log_->stable_offset();
    options_.clean = true;
    log_.reset();
  }

  /// Now, after a clean stop, and after the death of the process.
  void ExpectThroughRestarts(const std::function<void()>& check) {
    check();
    CloseCleanly();
    Open();
    check();
    Kill();
    Open();
    check();
  }

  // ---- writing ----
  AppendInfo Append(const BatchSpec& spec = {}) {
    const auto info = TryAppend(spec);
    EXPECT_TRUE(info) << info.error().message;
    return info.value_or(AppendInfo{});
  }
  Result<AppendInfo> TryAppend(const BatchSpec& spec) { return log_->append(batch(spec), LeaderEpoch(0)); }
  void AppendMany(int batches, const BatchSpec& spec = {}) {
    for (int i = 0; i < batches; ++i) Append(spec);
  }
  void Flush() { ASSERT_TRUE(log_->flush()); }

  // ---- reading ----
  /// The base offsets of all batches in [from, below) as served, slice by slice; fails on any gap.
  std::vector<std::int64_t> ReadOffsets(Offset from, Offset below, std::uint32_t bytes_max = 1 << 20) {
    std::vector<std::int64_t> offsets;
    while (from < below) {
      const auto slice = log_->read(from, bytes_max, below, true);
      EXPECT_TRUE(slice) << slice.error().message;
      if (!slice || slice->length == 0) break;
      Bytes bytes(slice->length);
      EXPECT_EQ(slice->file->read_at(slice->position, bytes).value(), bytes.size());
      EXPECT_EQ(slice->first_offset, from);
      BatchIterator batches(bytes);
      auto next = from;
      while (const auto found = batches.next().value()) {
        EXPECT_TRUE(validate_stored_batch(found->bytes));
        EXPECT_EQ(found->header.base_offset, next);
        offsets.push_back(found->header.base_offset.value());
        next = found->header.next_offset();
      }
      EXPECT_EQ(slice->next_offset, next);
      from = slice->next_offset;
    }
    return offsets;
  }
  std::vector<std::int64_t> ReadOffsets() {
    return ReadOffsets(log_->log_start_offset(), log_->log_end_offset());
  }

  // ---- the files ----
  [[nodiscard]] std::string Path(std::int64_t base_offset, std::string_view suffix) const {
    return fmt::format("{}/{}", kFolder, segment_file_name(Offset(base_offset), suffix));
  }
  std::vector<std::string> Names() { return fs_->list(kFolder).value(); }
  Bytes FileBytes(const std::string& path) { return read_file(*fs_, path, 1u << 30).value(); }
  std::uint64_t SizeOf(const std::string& path) {
    return fs_->open(path, OpenMode::kRead).value()->size().value();
  }
  void Cut(const std::string& path, std::uint64_t bytes_less) {
    auto file = fs_->open(path, OpenMode::kReadWrite).value();
    ASSERT_TRUE(file->truncate(file->size().value() - bytes_less));
  }
  void Overwrite(const std::string& path, std::uint64_t position, ByteView bytes) {
    auto file = fs_->open(path, OpenMode::kCreate).value();
    const std::array parts{bytes};
    ASSERT_TRUE(file->write_at(position, parts));
  }
  void FlipByte(const std::string& path, std::uint64_t position) {
    auto bytes = FileBytes(path);
    ASSERT_LT(position, bytes.size());
    const std::uint8_t flipped = bytes[position] ^ 0xff;
    Overwrite(path, position, ByteView(&flipped, 1));
  }

  /// Changes the last_offset_delta of the batch at `position` and makes its CRC good again.
  void SetLastOffsetDelta(const std::string& path, std::uint64_t position, std::uint8_t delta) {
    auto content = FileBytes(path);
    const auto tail = std::span(content).subspan(position);
    tail[26] = delta;
    const auto header = parse_batch_header(tail).value();
    patch_producer(tail.first(header.total_bytes()), header.producer_id, header.producer_epoch,
                   header.base_sequence);
    Overwrite(path, 0, content);
  }

  static constexpr const char* kFolder = "/data/readings-0";
  std::unique_ptr<sim::SimulatedFileSystem> fs_ = std::make_unique<sim::SimulatedFileSystem>();
  FakeClock clock_;
  LogOpenOptions options_;
  std::unique_ptr<Log> log_;
};

}  // namespace tributary
