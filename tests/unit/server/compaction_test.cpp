// Compacted topics, as clients and the data folder see them.

#include <map>

#include "cluster/server/internal_topics.h"
#include "cluster/storage/folder_names.h"
#include "common/protocol/messages/find_coordinator.h"
#include "common/record/record_reader.h"
#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class CompactionTest : public BrokerTest {
 protected:
  using Configs = std::vector<CreateTopicsRequest::Config>;
  using Held = std::map<std::int64_t, std::pair<std::string, std::optional<std::string>>>;

  CompactionTest() { options_.compactor.interval = 10ms; }

  static Configs compacted(Configs more = {}) {
    Configs configs{{"cleanup.policy", "compact"}, {"segment.bytes", "1024"}, {"min.cleanable.dirty.ratio", "0.01"}};
    configs.insert(configs.end(), more.begin(), more.end());
    return configs;
  }
  static Bytes keyed(const std::string& key, const std::optional<std::string>& value, std::int64_t timestamp_ms = 1'000) {
    BatchBuilder builder;
    builder.append(timestamp_ms, as_bytes(key), value ? std::optional(as_bytes(*value)) : std::nullopt);
    return builder.finish({}).value();
  }
  void put(const std::string& key, const std::optional<std::string>& value) {
    ASSERT_EQ(produce("t", 0, keyed(key, value)).error_code, ErrorCode::kNone);
  }
  /// Closes segments with records that nobody looks for.
  void fill() {
    for (int i = 0; i < 3; ++i) put("filler", std::string(400, 'f'));
  }
  /// What the partition serves from `from` on: offset, key, value.
  Held held(std::int64_t from = 0) {
    Held all;
    while (from < end_offset("t", 0)) {
      const auto answer = fetch("t", 0, from);
      const auto& partition = answer->topics.at(0).partitions.at(0);
      EXPECT_EQ(partition.error_code, ErrorCode::kNone);
      BatchIterator batches(partition.records.view(), PartialTail::kIgnore);
      const auto before = from;
      while (const auto batch = batches.next().value()) {
        from = batch->header.next_offset().value();
        auto reader = RecordReader::open(batch->bytes, 1u << 20).value();
        RecordView record;
        while (reader.next(record).value())
          all[record.offset.value()] = {std::string(as_string_view(*record.key)),
                                        record.value ? std::optional(std::string(as_string_view(*record.value))) : std::nullopt};
      }
      if (from == before) break;
    }
    return all;
  }
  static int count_of(const Held& all, const std::string& key) {
    return static_cast<int>(std::ranges::count_if(all, [&](const auto& r) { return r.second.first == key; }));
  }
  bool becomes(const std::function<bool(const Held&)>& good) {
    return eventually(kDeadline, [&] { return good(held()); });
  }
};

TEST_F(CompactionTest, OfEachKeyTheNewestRecordStaysWithItsOffset) {
  start();
  ASSERT_EQ(create_topic("t", 1, compacted()), ErrorCode::kNone);
  for (int i = 0; i < 20; ++i) put(i % 2 == 0 ? "a" : "b", fmt::format("{}-{}", i, std::string(200, 'v')));
  fill();
  const auto check = [&](const Held& all) {
    return count_of(all, "a") == 1 && count_of(all, "b") == 1 && all.contains(18) && all.contains(19) &&
           all.at(18).second->starts_with("18-") && all.at(19).second->starts_with("19-");
  };
  EXPECT_TRUE(becomes(check));
  EXPECT_EQ(held(3).begin()->first, 18);  // from where nothing is left
  EXPECT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_cleaned_records_total") >= 18; }));
  EXPECT_GE(metric("tributary_broker_cleanings_total"), 1);
  const auto before = held();
  crash();
  start();
  EXPECT_TRUE(check(held()));
  stop();
  start();
  EXPECT_TRUE(check(held()));
  EXPECT_EQ(end_offset("t", 0), 23);
}

TEST_F(CompactionTest, ATombstoneIsSeenUntilItsTimeHasComeAndItsKeyIsGoneThen) {
  start();
  ASSERT_EQ(create_topic("t", 1, compacted({{"delete.retention.ms", "86400000"}})), ErrorCode::kNone);
  put("a", std::string(500, 'v'));
  put("a", std::nullopt);
  fill();
  EXPECT_TRUE(becomes([](const Held& all) { return count_of(all, "a") == 1 && all.contains(1); }));
  fill();
  EXPECT_TRUE(becomes([](const Held& all) { return count_of(all, "filler") <= 3; }));
  EXPECT_EQ(held().at(1).second, std::nullopt);

  ASSERT_EQ(create_topic("u", 1, compacted({{"delete.retention.ms", "0"}})), ErrorCode::kNone);
  const auto produce_to_u = [&](const std::string& key, const std::optional<std::string>& value) {
    ASSERT_EQ(produce("u", 0, keyed(key, value)).error_code, ErrorCode::kNone);
  };
  produce_to_u("a", std::string(500, 'v'));
  produce_to_u("a", std::nullopt);
  EXPECT_TRUE(eventually(kDeadline, [&] {
    for (int i = 0; i < 3; ++i) produce_to_u("filler", std::string(400, 'f'));
    const auto answer = fetch("u", 0, 0);
    const auto& partition = answer->topics.at(0).partitions.at(0);
    BatchIterator batches(partition.records.view(), PartialTail::kIgnore);
    const auto first = batches.next().value();
    return first && first->header.base_offset > Offset(1);
  }));
}

TEST_F(CompactionTest, ARecordThatNothingFollowsIsCleanedWhenTheLongestLagIsOver) {
  start();
  auto configs = compacted({{"max.compaction.lag.ms", "1000"}});
  configs[2].value = "1";  // min.cleanable.dirty.ratio
  ASSERT_EQ(create_topic("t", 1, configs), ErrorCode::kNone);
  put("a", "1");
  put("a", "2");
  EXPECT_TRUE(becomes([](const Held& all) { return all.size() == 1 && all.contains(1); }));
}

TEST_F(CompactionTest, ARecordWithoutAKeyIsRefusedWhateverItsCodec) {
  start();
  ASSERT_EQ(create_topic("t", 1, compacted()), ErrorCode::kNone);
  for (const auto codec : {Compression::kNone, Compression::kZstd}) {
    BatchBuilder builder;
    builder.append(1'000, as_bytes("key"), as_bytes("value"));
    builder.append(1'000, std::nullopt, as_bytes(std::string(100, 'v')));
    const auto answer = produce("t", 0, builder.finish({.compression = codec}).value());
    EXPECT_EQ(answer.error_code, ErrorCode::kInvalidRecord);
    ASSERT_EQ(answer.record_errors.size(), 1u);
    EXPECT_EQ(answer.record_errors[0].batch_index, 1);
    EXPECT_NE(answer.record_errors[0].message.value().find("no key"), std::string::npos);
  }
  EXPECT_EQ(end_offset("t", 0), 0);
}

TEST_F(CompactionTest, RecordsOfACompactedTopicCannotBeDeletedByOffset) {
  start();
  ASSERT_EQ(create_topic("t", 1, compacted()), ErrorCode::kNone);
  put("a", "v");
  DeleteRecordsRequest request;
  request.topics.push_back({"t", {{PartitionIndex(0), Offset(1)}}});
  request.timeout_ms = 1'000;
  EXPECT_EQ(ask(request)->topics.at(0).partitions.at(0).error_code, ErrorCode::kPolicyViolation);
}

TEST_F(CompactionTest, WithBothPoliciesRetentionTakesWhatIsOld) {
  options_.retention_check_interval = 10ms;
  start();
  auto configs = compacted({{"retention.ms", "3600000"}});
  configs[0].value = "compact,delete";
  ASSERT_EQ(create_topic("t", 1, configs), ErrorCode::kNone);
  for (int i = 0; i < 6; ++i) put(fmt::format("k{}", i), std::string(400, 'v'));  // of the year 1970
  EXPECT_TRUE(eventually(kDeadline, [&] {
    const auto answer = fetch("t", 0, 0);
    return answer->topics.at(0).partitions.at(0).error_code == ErrorCode::kOffsetOutOfRange;
  }));
}

TEST_F(CompactionTest, DuplicatesAreKnownAfterTheirBatchesWereCleanedAway) {
  start();
  ASSERT_EQ(create_topic("t", 1, compacted()), ErrorCode::kNone);
  InitProducerIdRequest init;
  init.transaction_timeout_ms = 1'000;
  const auto id = ask(init)->producer_id;
  const auto from_producer = [&](int sequence) {
    BatchBuilder builder;
    builder.append(1'000, as_bytes("a"), as_bytes(std::string(400, static_cast<char>('0' + sequence))));
    return builder.finish({.producer_id = id, .producer_epoch = ProducerEpoch(0), .base_sequence = Sequence(sequence)}).value();
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(produce("t", 0, from_producer(i)).base_offset, Offset(i));
  put("a", "the newest");
  fill();
  EXPECT_TRUE(becomes([](const Held& all) { return count_of(all, "a") == 1; }));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(produce("t", 0, from_producer(3)).base_offset, Offset(3));
    EXPECT_EQ(produce("t", 0, from_producer(2)).base_offset, Offset(2));
    EXPECT_TRUE(becomes([](const Held& all) { return count_of(all, "a") == 1; }));
    crash();
    start();
  }
  EXPECT_EQ(produce("t", 0, from_producer(4)).error_code, ErrorCode::kNone);
}

TEST_F(CompactionTest, ATopicCanBeDeletedAndMadeAgainWhileItIsCleaned) {
  options_.compactor.bytes_per_second = 1;  // it is at it for ever
  start();
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(create_topic("t", 1, compacted()), ErrorCode::kNone);
    for (int i = 0; i < 6; ++i) put("a", fmt::format("{}-{}", round, std::string(400, 'v')));
    const auto folder = options_.data + "/t-0";
    ASSERT_TRUE(eventually(kDeadline, [&] {
      const auto names = posix_file_system().list(folder).value();
      return std::ranges::any_of(names, [](const auto& name) { return name.ends_with(".snapshot"); });
    }));
    ASSERT_EQ(delete_topic("t"), ErrorCode::kNone);
  }
  ASSERT_EQ(create_topic("t", 1, compacted()), ErrorCode::kNone);
  put("a", "last");
  EXPECT_EQ(held().size(), 1u);
  stop();  // does not wait for the cleaning
}

TEST_F(CompactionTest, AFullDiskEndsACleaningAndNothingIsLost) {
  start();
  ASSERT_EQ(create_topic("t", 1, compacted()), ErrorCode::kNone);
  fs_.refuse_changes(".cleaned");
  for (int i = 0; i < 6; ++i) put("a", fmt::format("{}-{}", i, std::string(400, 'v')));
  EXPECT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_failed_cleanings_total") >= 1; }));
  EXPECT_EQ(held().size(), 6u);
  EXPECT_TRUE(broker_->readiness().ok);
  fs_.refuse_changes("nothing-has-this-name");
  restart();  // or a minute later
  EXPECT_TRUE(becomes([](const Held& all) { return all.size() <= 3 && all.rbegin()->first == 5; }));
}

TEST_F(CompactionTest, ACleaningWaitsForSpaceOnTheVolume) {
  fs_.set_volume_space(VolumeSpace{.total_bytes = 1u << 20, .usable_bytes = 10});
  start();
  ASSERT_EQ(create_topic("t", 1, compacted()), ErrorCode::kNone);
  fs_.refuse_changes(".cleaned");  // none is made
  for (int i = 0; i < 6; ++i) put("a", fmt::format("{}-{}", i, std::string(400, 'v')));
  EXPECT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_postponed_cleanings_total") >= 1; }));
  EXPECT_EQ(metric("tributary_broker_failed_cleanings_total"), 0);
  EXPECT_EQ(held().size(), 6u);
  fs_.refuse_changes("nothing-has-this-name");
  fs_.set_volume_space(std::nullopt);
  restart();  // or a minute later
  EXPECT_TRUE(becomes([](const Held& all) { return all.size() <= 3 && all.rbegin()->first == 5; }));
}

TEST_F(CompactionTest, CommittedOffsetsAreCompacted) {
  options_.offsets_topic_partitions = 1;
  start();
  // The topic of the offsets has the policy from its creation.
  FindCoordinatorRequest find;
  find.coordinator_keys = {"g"};
  ASSERT_EQ(ask(find)->coordinators.at(0).error_code, ErrorCode::kNone);
  DescribeConfigsRequest describe;
  describe.resources.push_back({ConfigResourceType::kTopic, std::string(kOffsetsTopic), std::vector<std::string>{"cleanup.policy"}});
  EXPECT_EQ(ask(describe)->resources.at(0).configs.at(0).value, "compact");
}

}  // namespace
}  // namespace tributary::test
