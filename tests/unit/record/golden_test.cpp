#include "tests/unit/record/golden_batches.h"

#include "tests/unit/record/records.h"

namespace tributary {
namespace {

Bytes from_hex(std::string_view hex) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

std::vector<OwnedRecord> golden_records() {
  constexpr std::int64_t t = 1'700'000'000'000;
  std::string repeated;
  for (int i = 0; i < 20; ++i) repeated += "abcdefgh";
  return {{0, t, "sensor-1", R"({"temperature":21.5,"humidity":40})", {}},
          {1, t + 5, std::nullopt, "no key", {}},
          {2, t + 1500, "tombstone", std::nullopt, {}},
          {3, t - 250, "", "",
           {{"topic", "sensors/1/temperature"}, {"null", std::nullopt}, {"empty", ""},
            {"\u00fcml", std::string("\0\xff", 2)}}},
          {4, t + 3, "sensor-1", repeated, {}}};
}

class Golden : public testing::TestWithParam<GoldenBatch> {};

TEST_P(Golden, KafkaPythonsBatchIsReadFieldByField) {
  const auto batch = from_hex(GetParam().hex);
  const auto header = validate_batch(batch, {.record_check = RecordCheck::kAll});
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->compression(), GetParam().codec);
  EXPECT_EQ(header->base_offset, Offset(0));
  EXPECT_EQ(header->last_offset(), Offset(4));
  EXPECT_EQ(header->next_offset(), Offset(5));
  EXPECT_EQ(header->total_bytes(), batch.size());
  EXPECT_EQ(header->partition_leader_epoch, LeaderEpoch(0));
  EXPECT_EQ(header->timestamp_type(), TimestampType::kCreateTime);
  EXPECT_FALSE(header->transactional());
  EXPECT_FALSE(header->control());
  EXPECT_EQ(header->base_timestamp_ms, 1'700'000'000'000);
  EXPECT_EQ(header->max_timestamp_ms, 1'700'000'001'500);
  EXPECT_EQ(header->producer_id, ProducerId(4242));
  EXPECT_EQ(header->producer_epoch, ProducerEpoch(7));
  EXPECT_EQ(header->base_sequence, Sequence(100));
  EXPECT_EQ(header->last_sequence(), Sequence(104));
  EXPECT_EQ(header->record_count, 5);
  const auto records = read_all(batch);
  ASSERT_TRUE(records) << records.error().message;
  EXPECT_EQ(*records, golden_records());
}

INSTANTIATE_TEST_SUITE_P(Codecs, Golden, testing::ValuesIn(kGoldenBatches), [](const auto& golden) {
  return std::string(name_of(golden.param.codec));
});

TEST(Golden, TheBuilderWritesTheVeryBytesOfKafkaPython) {
  auto expected = from_hex(kGoldenBatches[0].hex);
  patch_offset_and_epoch(expected, Offset(0), kNoLeaderEpoch);
  EXPECT_EQ(batch_of(golden_records(), {.producer_id = ProducerId(4242),
                                        .producer_epoch = ProducerEpoch(7),
                                        .base_sequence = Sequence(100)}),
            expected);
}

}  // namespace
}  // namespace tributary
