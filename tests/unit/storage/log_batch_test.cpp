// What the topic's configs make of a batch: whose time it has, which times are taken, its codec.

#include "common/record/record_reader.h"
#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

constexpr std::int64_t kLatestTime = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kHourMs = 3'600'000;

class LogBatchTest : public LogTest {
 protected:
  void SetConfig(const LogConfig& config) {
    options_.config = config;
    log_->set_config(config);
  }
  Errc Refusal(const BatchSpec& spec) {
    const auto end = log_->log_end_offset();
    const auto info = TryAppend(spec);
    EXPECT_FALSE(info);
    EXPECT_EQ(log_->log_end_offset(), end);
    if (!info) message_ = info.error().message;
    return info ? Errc::kNotFound : info.error().code;
  }
  /// The batch that holds `offset`, as it is served.
  Bytes Stored(std::int64_t offset) {
    const auto slice = log_->read(Offset(offset), 1, log_->log_end_offset(), true);
    EXPECT_TRUE(slice) << slice.error().message;
    Bytes bytes(slice->length);
    EXPECT_EQ(slice->file->read_at(slice->position, bytes).value(), bytes.size());
    EXPECT_TRUE(validate_stored_batch(bytes));
    return bytes;
  }
  BatchHeader StoredHeader(std::int64_t offset) { return parse_batch_header(Stored(offset)).value(); }
  /// "timestamp@offset", or "none".
  std::string At(std::int64_t timestamp_ms) {
    const auto found = log_->offset_for_time(timestamp_ms, log_->log_end_offset()).value();
    return found ? fmt::format("{}@{}", found->timestamp_ms, found->offset) : "none";
  }
  std::string Max() {
    const auto found = log_->offset_of_max_timestamp(log_->log_end_offset()).value();
    return found ? fmt::format("{}@{}", found->timestamp_ms, found->offset) : "none";
  }
  static std::vector<std::string> RecordsOf(const Bytes& batch) {
    auto reader = RecordReader::open(batch, 1u << 24).value();
    std::vector<std::string> records;
    RecordView record;
    while (reader.next(record).value())
      records.push_back(fmt::format("{}@{} {}={}", record.timestamp_ms, record.offset, as_string_view(*record.key),
                                    as_string_view(*record.value)));
    return records;
  }

  std::string message_;
  const WallMs now_ = clock_.wall_now_ms();
};

TEST_F(LogBatchTest, RecordsKeepTheirProducersTimeUnlessTheTopicSaysOtherwise) {
  Open();
  EXPECT_EQ(Append({.timestamp_ms = 5}).log_append_time_ms, kNoTimestamp);
  EXPECT_EQ(StoredHeader(0).timestamp_type(), TimestampType::kCreateTime);
  EXPECT_EQ(At(0), "5@0");
}

TEST_F(LogBatchTest, WithLogAppendTimeEveryRecordHasTheBrokersTime) {
  options_.config.timestamp_type = TimestampType::kLogAppendTime;
  Open();
  for (const auto codec : {Compression::kNone, Compression::kZstd}) {
    const auto end = log_->log_end_offset().value();
    const auto info = Append({.count = 3, .value_bytes = 500, .timestamp_ms = 5, .compression = codec});
    EXPECT_EQ(info.log_append_time_ms, now_);
    const auto header = StoredHeader(end);
    EXPECT_EQ(header.timestamp_type(), TimestampType::kLogAppendTime);
    EXPECT_EQ(header.compression(), codec);
    EXPECT_EQ(header.max_timestamp_ms, now_);
    for (const auto& record : RecordsOf(Stored(end))) EXPECT_TRUE(record.starts_with(std::to_string(now_))) << record;
  }
  EXPECT_EQ(ReadOffsets(), (std::vector<std::int64_t>{0, 3}));
}

TEST_F(LogBatchTest, SearchesByTimeGoByTheAppendTime) {
  options_.config.timestamp_type = TimestampType::kLogAppendTime;
  options_.config.segment_bytes = 1'000;
  options_.config.index_interval_bytes = 0;
  Open();
  for (int i = 0; i < 20; ++i) {
    Append({.count = 3, .timestamp_ms = kLatestTime - 10 - i});
    clock_.advance(std::chrono::seconds(1));
  }
  EXPECT_GT(log_->segment_count(), 2u);
  const auto check = [&] {
    EXPECT_EQ(At(now_ + 4'500), fmt::format("{}@15", now_ + 5'000));
    EXPECT_EQ(At(0), fmt::format("{}@0", now_));
    EXPECT_EQ(At(now_ + 19'001), "none");
    EXPECT_EQ(Max(), fmt::format("{}@57", now_ + 19'000));
  };
  ExpectThroughRestarts(check);
}

TEST_F(LogBatchTest, ADuplicateIsAnsweredWithTheTimeOfItsFirstAppend) {
  options_.config.timestamp_type = TimestampType::kLogAppendTime;
  Open();
  Append(from_producer(7, 0, 0));
  clock_.advance(std::chrono::hours(1));
  EXPECT_EQ(Append(from_producer(7, 0, 1)).log_append_time_ms, now_ + kHourMs);
  const auto again = Append(from_producer(7, 0, 0));
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.log_append_time_ms, now_);
  Kill();
  Open();
  EXPECT_EQ(Append(from_producer(7, 0, 0)).log_append_time_ms, now_);
}

TEST_F(LogBatchTest, AnyTimeIsTakenUnlessThereIsALimit) {
  Open();
  for (const std::int64_t time : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, now_ + 1'000 * kHourMs, kLatestTime - 1})
    Append({.timestamp_ms = time});
  EXPECT_EQ(log_->log_end_offset(), Offset(5));
}

TEST_F(LogBatchTest, TimesOutsideOfTheLimitsAreRefused) {
  options_.config.timestamp_before_ms_max = 2 * kHourMs;
  options_.config.timestamp_after_ms_max = kHourMs;
  Open();
  for (const auto codec : {Compression::kNone, Compression::kZstd}) {
    const auto at = [&](std::int64_t time, std::int32_t count = 1) {
      return BatchSpec{.count = count, .value_bytes = 300, .timestamp_ms = time, .compression = codec};
    };
    Append(at(now_ - 2 * kHourMs));
    Append(at(now_ + kHourMs));
    Append(at(-1));  // without a time
    EXPECT_EQ(Refusal(at(now_ - 2 * kHourMs - 1)), Errc::kInvalidTimestamp);
    EXPECT_NE(message_.find(std::to_string(now_ - 2 * kHourMs - 1)), std::string::npos) << message_;
    EXPECT_NE(message_.find("message.timestamp.before.max.ms"), std::string::npos) << message_;
    EXPECT_EQ(Refusal(at(now_ + kHourMs + 1)), Errc::kInvalidTimestamp);
    EXPECT_EQ(Refusal(at(0)), Errc::kInvalidTimestamp);
    EXPECT_EQ(Refusal(at(kLatestTime - 1)), Errc::kInvalidTimestamp);
    // One of several is enough: the first is too old, the last too new.
    EXPECT_EQ(Refusal(at(now_ - 2 * kHourMs - 1, 3)), Errc::kInvalidTimestamp);
    EXPECT_EQ(Refusal(at(now_ + kHourMs - 1, 3)), Errc::kInvalidTimestamp);
  }
  clock_.advance(std::chrono::milliseconds(1));
  Append({.timestamp_ms = now_ + kHourMs + 1});
}

TEST_F(LogBatchTest, EachLimitStandsAlone) {
  Open();
  SetConfig({.timestamp_after_ms_max = 0});
  Append({.timestamp_ms = 1});
  Append({.timestamp_ms = now_});
  EXPECT_EQ(Refusal({.timestamp_ms = now_ + 1}), Errc::kInvalidTimestamp);
  SetConfig({.timestamp_before_ms_max = 0});
  Append({.timestamp_ms = now_ + 1'000 * kHourMs});
  EXPECT_EQ(Refusal({.timestamp_ms = now_ - 1}), Errc::kInvalidTimestamp);
  SetConfig({.timestamp_before_ms_max = kLatestTime - 1, .timestamp_after_ms_max = kLatestTime - 1});
  Append({.timestamp_ms = 1});
  Append({.timestamp_ms = kLatestTime - 2});
}

TEST_F(LogBatchTest, AMaximumInTheHeaderThatNoRecordHasIsRefusedToo) {
  options_.config.timestamp_after_ms_max = kHourMs;
  Open();
  auto lying = batch({.timestamp_ms = now_});
  auto header = parse_batch_header(lying).value();
  header.max_timestamp_ms = now_ + 2 * kHourMs;
  header.crc = batch_crc(header, ByteView(lying).subspan(kBatchHeaderSize));
  std::ranges::copy(encode_batch_header(header), lying.begin());
  EXPECT_EQ(log_->append(lying, LeaderEpoch(0)).error().code, Errc::kInvalidTimestamp);
}

TEST_F(LogBatchTest, LimitsDoNotHoldForRecordsThatGetTheBrokersTime) {
  options_.config.timestamp_type = TimestampType::kLogAppendTime;
  options_.config.timestamp_before_ms_max = 0;
  options_.config.timestamp_after_ms_max = 0;
  Open();
  Append({.timestamp_ms = 1});
  Append({.timestamp_ms = now_ + kHourMs});
}

TEST_F(LogBatchTest, WhatWasAppendedIsADuplicateHoweverOldItHasBecome) {
  options_.config.timestamp_before_ms_max = kHourMs;
  Open();
  auto spec = from_producer(7, 0, 0);
  spec.timestamp_ms = now_;
  Append(spec);
  clock_.advance(std::chrono::hours(2));
  EXPECT_TRUE(Append(spec).duplicate);
  spec.sequence = Sequence(1);
  EXPECT_EQ(Refusal(spec), Errc::kInvalidTimestamp);
}

TEST_F(LogBatchTest, EveryCodecBecomesTheTopics) {
  constexpr Compression kCodecs[] = {Compression::kNone, Compression::kGzip, Compression::kSnappy, Compression::kLz4,
                                     Compression::kZstd};
  Open();
  std::int64_t offset = 0;
  for (const auto to : kCodecs) {
    SetConfig({.compression = to});
    for (const auto from : kCodecs) {
      SCOPED_TRACE(fmt::format("{} to {}", name_of(from), name_of(to)));
      auto spec = from_producer(7, 0, static_cast<std::int32_t>(offset), 5);
      spec.value_bytes = 400;
      spec.timestamp_ms = 77;
      spec.compression = from;
      EXPECT_EQ(Append(spec).base_offset, Offset(offset));
      const auto header = StoredHeader(offset);
      EXPECT_EQ(header.compression(), to);
      EXPECT_EQ(header.timestamp_type(), TimestampType::kCreateTime);
      EXPECT_EQ(header.base_sequence, spec.sequence);
      const auto records = RecordsOf(Stored(offset));
      ASSERT_EQ(records.size(), 5u);
      EXPECT_EQ(records.back(), fmt::format("81@{} key={}", offset + 4, std::string(400, 'v')));
      EXPECT_TRUE(Append(spec).duplicate);
      offset += 5;
    }
  }
  Kill();
  Open();
  EXPECT_EQ(log_->log_end_offset(), Offset(offset));
  EXPECT_EQ(log_->recovery().bytes_cut, 0u);
}

TEST_F(LogBatchTest, WhatIsCompressedAnewHasTheTopicsLevel) {
  Open();
  const auto stored_bytes = [&](Compression codec, const CompressionLevels& levels) {
    SetConfig({.compression = codec, .levels = levels});
    const auto offset = Append({.count = 500, .value_bytes = 40}).base_offset.value();
    EXPECT_EQ(RecordsOf(Stored(offset)).size(), 500u);
    return StoredHeader(offset).total_bytes();
  };
  EXPECT_LT(stored_bytes(Compression::kGzip, {.gzip = 9}), stored_bytes(Compression::kGzip, {.gzip = 1}));
  EXPECT_LT(stored_bytes(Compression::kLz4, {.lz4 = 12}), stored_bytes(Compression::kLz4, {}));
  EXPECT_EQ(stored_bytes(Compression::kLz4, {.lz4 = 12}), stored_bytes(Compression::kLz4, {.lz4 = 17}));
  EXPECT_LT(stored_bytes(Compression::kZstd, {}), stored_bytes(Compression::kZstd, {.zstd = -131'072}));
}

TEST_F(LogBatchTest, ABatchOfTheTopicsCodecIsKeptByteForByte) {
  options_.config.compression = Compression::kZstd;
  Open();
  const auto sent = batch({.count = 50, .value_bytes = 100, .compression = Compression::kZstd});
  ASSERT_TRUE(log_->append(sent, LeaderEpoch(0)));
  const auto stored = Stored(0);
  EXPECT_TRUE(std::equal(stored.begin() + kBatchPrefixSize, stored.end(), sent.begin() + kBatchPrefixSize, sent.end()));
}

TEST_F(LogBatchTest, CompressedAnewAndWithTheBrokersTimeAtOnce) {
  options_.config.compression = Compression::kLz4;
  options_.config.timestamp_type = TimestampType::kLogAppendTime;
  Open();
  Append({.count = 5, .value_bytes = 400, .timestamp_ms = 77, .compression = Compression::kGzip});
  EXPECT_EQ(StoredHeader(0).compression(), Compression::kLz4);
  EXPECT_TRUE(RecordsOf(Stored(0)).front().starts_with(fmt::format("{}@0 key=v", now_)));
}

TEST_F(LogBatchTest, TheSizeLimitHoldsForWhatIsStored) {
  Open();
  LogConfig config{.compression = Compression::kNone};
  config.limits.batch_bytes_max = 10'000;
  SetConfig(config);
  EXPECT_EQ(Refusal({.value_bytes = 100'000, .compression = Compression::kZstd}), Errc::kTooLarge);
  EXPECT_EQ(Refusal({.value_bytes = 9'970, .compression = Compression::kZstd}), Errc::kTooLarge);
  Append({.value_bytes = 9'000, .compression = Compression::kZstd});
}

TEST_F(LogBatchTest, SegmentsAreClosedByTheSizeAndTheTimeThatAreStored) {
  options_.config.compression = Compression::kNone;
  options_.config.timestamp_type = TimestampType::kLogAppendTime;
  options_.config.segment_bytes = 2'000;
  options_.config.segment_ms = kHourMs;
  Open();
  const BatchSpec spec{.value_bytes = 1'200, .compression = Compression::kZstd};
  Append(spec);
  Append(spec);
  EXPECT_EQ(log_->segment_count(), 2u);
  EXPECT_EQ(Refusal({.value_bytes = 1'990, .compression = Compression::kZstd}), Errc::kTooLarge);  // segment.bytes
  Append({.timestamp_ms = now_ + 10 * kHourMs});
  Append({.timestamp_ms = 1});
  EXPECT_EQ(log_->segment_count(), 2u);
  clock_.advance(std::chrono::hours(2));
  Append({.timestamp_ms = 1});
  EXPECT_EQ(log_->segment_count(), 3u);
}

TEST_F(LogBatchTest, WhatDoesNotDecompressIsNotCompressedAnew) {
  auto garbage = batch({.count = 5, .value_bytes = 400, .compression = Compression::kGzip});
  for (auto byte = garbage.begin() + kBatchHeaderSize; byte != garbage.end(); ++byte) *byte ^= 0x5a;
  patch_producer(garbage, kNoProducerId, kNoProducerEpoch, kNoSequence);  // a CRC that matches
  options_.config.compression = Compression::kZstd;
  Open();
  EXPECT_EQ(log_->append(garbage, LeaderEpoch(0)).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(Append().base_offset, Offset(0));
}

}  // namespace
}  // namespace tributary
