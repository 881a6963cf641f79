#include "gateway/sealer/sealer.h"

#include <gtest/gtest.h>

#include "common/env/random.h"
#include "common/record/record_reader.h"

namespace tributary {
namespace {

using std::chrono::milliseconds;

class SealerTest : public testing::Test {
 protected:
  bool add(const std::string& payload, std::int32_t partition = 0, const std::string& topic = "readings") {
    ReadingView reading;
    reading.topic = topic;
    reading.key = key_;
    reading.mqtt_topic = "sensors/d/t";
    reading.properties = properties_;
    reading.payload = as_bytes(payload);
    reading.received_ms = clock_.wall_now_ms();
    reading.received = clock_.mono_now();
    return sealer_.add(++last_, reading, PartitionIndex(partition), clock_.mono_now());
  }
  std::vector<SealedBatch> seal(std::int64_t first_id = 1, std::int32_t sequence = 0) {
    return sealer_
        .seal({ProducerId(7), ProducerEpoch(3), BatchId(first_id),
               [sequence](const TopicPartition&) { return Sequence(sequence); }})
        .value();
  }

  FakeClock clock_;
  SealerOptions options_;
  Sealer sealer_{options_};
  ReadingId last_{0};
  std::string key_ = "device";
  std::vector<UserProperty> properties_;
};

TEST_F(SealerTest, IdleUplinkSealsAfterTheLingerBusyAndDownAfterTheSealAge) {
  EXPECT_EQ(sealer_.due(UplinkLoad::kIdle), MonoTime::max());
  const auto received = clock_.mono_now();
  ASSERT_TRUE(add("x"));
  clock_.advance(milliseconds(100));
  ASSERT_TRUE(add("y"));
  EXPECT_EQ(sealer_.due(UplinkLoad::kIdle), received + milliseconds(5));
  EXPECT_EQ(sealer_.due(UplinkLoad::kBusy), received + milliseconds(700));
  EXPECT_EQ(sealer_.due(UplinkLoad::kDown), received + milliseconds(700));
  seal();
  EXPECT_EQ(sealer_.due(UplinkLoad::kDown), MonoTime::max());
}

TEST_F(SealerTest, AnIdleUplinkIsGivenWhatWouldSoonBeDueForFlashHoweverLongTheLinger) {
  SealerOptions options;
  options.linger = std::chrono::seconds(2);
  options.durable_within = milliseconds(1000);
  Sealer sealer(options);
  ReadingView reading;
  reading.received = clock_.mono_now();
  ASSERT_TRUE(sealer.add(ReadingId(1), reading, PartitionIndex(0), clock_.mono_now()));
  EXPECT_EQ(sealer.due(UplinkLoad::kIdle), reading.received + milliseconds(350));
}

TEST_F(SealerTest, ABatchHoldsItsRecordsWithKeyHeadersAndReceiveTime) {
  properties_ = {{"unit", "C"}, {"unit", "K"}};
  ASSERT_TRUE(add("one"));
  properties_.clear();
  clock_.advance(milliseconds(5));
  ASSERT_TRUE(add(""));
  const auto batches = seal(41, 12);
  ASSERT_EQ(batches.size(), 1u);
  const auto& info = batches[0].info;
  EXPECT_EQ(info.id, BatchId(41));
  EXPECT_EQ(info.record_count, 2);
  EXPECT_EQ(info.payload_bytes, 3);
  EXPECT_EQ(info.oldest_received_ms, 1'700'000'000'000);
  EXPECT_EQ(info.size, static_cast<std::int32_t>(batches[0].bytes.size()));
  const auto header = validate_batch(batches[0].bytes.view(), {}).value();
  EXPECT_EQ(header.producer_id, ProducerId(7));
  EXPECT_EQ(header.producer_epoch, ProducerEpoch(3));
  EXPECT_EQ(header.base_sequence, Sequence(12));
  auto reader = RecordReader::open(batches[0].bytes.view(), 1 << 20).value();
  RecordView record;
  ASSERT_TRUE(reader.next(record).value());
  EXPECT_EQ(as_string_view(*record.key), "device");
  EXPECT_EQ(as_string_view(*record.value), "one");
  ASSERT_EQ(record.headers.size(), 3u);
  EXPECT_EQ(record.headers[0].key, "mqtt.topic");
  EXPECT_EQ(as_string_view(*record.headers[0].value), "sensors/d/t");
  EXPECT_EQ(as_string_view(*record.headers[2].value), "K");
  EXPECT_EQ(record.timestamp_ms, 1'700'000'000'000);
  ASSERT_TRUE(reader.next(record).value());
  EXPECT_TRUE(record.value.has_value());  // an empty payload is empty, not a tombstone
  EXPECT_TRUE(record.value->empty());
  EXPECT_EQ(record.timestamp_ms, 1'700'000'000'005);
}

TEST_F(SealerTest, OneBatchForEachPartitionWithAscendingIds) {
  ASSERT_TRUE(add("a", 1));
  ASSERT_TRUE(add("b", 0));
  ASSERT_TRUE(add("c", 1));
  ASSERT_TRUE(add("d", 0, "alarms"));
  EXPECT_EQ(sealer_.last(), ReadingId(4));
  const auto batches = seal(10);
  ASSERT_EQ(batches.size(), 3u);
  std::int32_t records = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(batches[i].info.id, BatchId(10 + static_cast<std::int64_t>(i)));
    records += batches[i].info.record_count;
  }
  EXPECT_EQ(records, 4);
  EXPECT_TRUE(sealer_.empty());
}

TEST_F(SealerTest, AFullSealerRefusesUntilItIsSealedAndIsDueAtOnce) {
  const std::string payload(1000, 'x');
  int added = 0;
  while (add(payload)) ++added;
  EXPECT_GT(added, 200);
  EXPECT_EQ(sealer_.due(UplinkLoad::kDown), MonoTime::min());
  const auto batches = seal();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].info.record_count, added);
  EXPECT_TRUE(add(payload));
  EXPECT_NE(sealer_.due(UplinkLoad::kDown), MonoTime::min());
}

TEST_F(SealerTest, ALargeReadingGoesAlone) {
  ASSERT_TRUE(add("small"));
  EXPECT_FALSE(add(std::string(900'000, 'L')));
  EXPECT_EQ(seal()[0].info.record_count, 1);
  ASSERT_TRUE(add(std::string(900'000, 'L')));
  EXPECT_FALSE(add("small"));
  EXPECT_EQ(seal()[0].info.record_count, 1);
}

TEST_F(SealerTest, AllPartitionsTogetherAreBounded) {
  const std::string payload(1000, 'x');
  std::int32_t added = 0;
  while (add(payload, added % 100)) ++added;
  EXPECT_LE(static_cast<std::size_t>(added) * 1000, 4 * options_.batch_bytes);
  EXPECT_EQ(seal().size(), 100u);
}

TEST_F(SealerTest, AReadingOfAFormerBootIsOfUnknownAgeAndDueAtOnce) {
  ReadingView reading;
  reading.topic = "readings";
  reading.received = clock_.mono_now() + std::chrono::hours(100);
  ASSERT_TRUE(sealer_.add(ReadingId(1), reading, PartitionIndex(0), clock_.mono_now()));
  EXPECT_LE(sealer_.due(UplinkLoad::kDown), clock_.mono_now());
}

TEST_F(SealerTest, AReadingTakenAMomentAfterNowWasReadIsNew) {
  ReadingView reading;
  reading.topic = "readings";
  reading.received = clock_.mono_now() + milliseconds(1);
  ASSERT_TRUE(sealer_.add(ReadingId(1), reading, PartitionIndex(0), clock_.mono_now()));
  EXPECT_EQ(sealer_.due(UplinkLoad::kDown), clock_.mono_now() + milliseconds(700));
}

TEST_F(SealerTest, AWallClockThatJumpsBackDoesNotDelayTheSealing) {
  const auto received = clock_.mono_now();
  ASSERT_TRUE(add("x"));
  clock_.jump_wall_to(1000);
  ASSERT_TRUE(add("y"));
  EXPECT_EQ(sealer_.due(UplinkLoad::kDown), received + milliseconds(700));
  const auto batches = seal();
  EXPECT_EQ(batches[0].info.oldest_received_ms, 1000);
  EXPECT_TRUE(validate_batch(batches[0].bytes.view(), {}));
}

TEST_F(SealerTest, JsonReadingsShrinkToAFractionOfTheirPayload) {
  SeededRandom random(1);
  int added = 0;
  while (add(fmt::format(R"({{"device":"d{:02}","seq":{},"ts":{},"values":{{"temp":{:.2f},"hum":{:.1f}}}}})",
                         random.below(50), added, 1'700'000'000'000 + added, 20 + random.unit() * 5,
                         40 + random.unit() * 20)) &&
         added < 1000) {
    ++added;
  }
  const auto batches = seal();
  EXPECT_LT(batches[0].info.size * 2, batches[0].info.payload_bytes);
}

}  // namespace
}  // namespace tributary
