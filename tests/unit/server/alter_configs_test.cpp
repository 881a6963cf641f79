// IncrementalAlterConfigs.

#include "cluster/server/config_changes.h"
#include "common/protocol/messages/incremental_alter_configs.h"
#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

using Operation = IncrementalAlterConfigsRequest::Operation;
using Source = DescribeConfigsResponse::Source;

class AlterConfigsTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    create_topic("t", 2);
  }
  IncrementalAlterConfigsResponse::Resource alter(std::vector<IncrementalAlterConfigsRequest::Config> configs, bool validate_only = false) {
    return alter_resource({ConfigResourceType::kTopic, "t", std::move(configs)}, validate_only);
  }
  IncrementalAlterConfigsResponse::Resource alter_resource(IncrementalAlterConfigsRequest::Resource resource, bool validate_only = false) {
    IncrementalAlterConfigsRequest request;
    request.resources.push_back(std::move(resource));
    request.validate_only = validate_only;
    return ask(request)->resources.at(0);
  }
  ErrorCode set(const std::string& name, const std::string& value) {
    return alter({{name, Operation::kSet, value}}).error_code;
  }
  void expect_refused(IncrementalAlterConfigsRequest::Resource resource, ErrorCode error, const std::string& said) {
    const auto answer = alter_resource(std::move(resource));
    EXPECT_EQ(answer.error_code, error) << answer.error_message.value_or("");
    EXPECT_NE(answer.error_message.value_or("").find(said), std::string::npos) << answer.error_message.value_or("");
  }
  void expect_refused(std::vector<IncrementalAlterConfigsRequest::Config> configs, ErrorCode error, const std::string& said) {
    expect_refused({ConfigResourceType::kTopic, "t", std::move(configs)}, error, said);
  }
  DescribeConfigsResponse::Config described(const std::string& name) {
    DescribeConfigsRequest request;
    request.resources.push_back({ConfigResourceType::kTopic, "t", std::vector{name}});
    return ask(request)->resources.at(0).configs.at(0);
  }
  /// Sends a batch that the disk does not confirm yet.
  std::future<Answer<ProduceResponse>> produce_stuck(const Bytes& batch) {
    fs_.hold_syncs("t-0/0000");
    auto stuck = send(*other_, produce_request("t", 0, batch), 9);
    EXPECT_TRUE(eventually(kDeadline, [&] { return fs_.held() == 1; }));
    return stuck;
  }
  void crash_and_start() {
    other_.reset();
    crash();
    start();
  }
  std::unique_ptr<RequestChannel> other_;
};

TEST_F(AlterConfigsTest, AValueIsSetAndUnsetInEveryVersion) {
  for (std::int16_t version = 0; version <= 1; ++version) {
    IncrementalAlterConfigsRequest request;
    request.resources.push_back({ConfigResourceType::kTopic, "t", {{"segment.bytes", Operation::kSet, "4096"}}});
    const auto answer = ask(request, version);
    EXPECT_EQ(answer->resources.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(answer->resources.at(0).name, "t");
    EXPECT_EQ(described("segment.bytes").value, "4096");
    EXPECT_EQ(described("segment.bytes").source, Source::kTopic);
    EXPECT_EQ(alter({{"segment.bytes", Operation::kDelete, std::nullopt}}).error_code, ErrorCode::kNone);
    EXPECT_EQ(described("segment.bytes").value, "1073741824");
    EXPECT_EQ(described("segment.bytes").source, Source::kDefault);
  }
}

TEST_F(AlterConfigsTest, OtherConfigsKeepTheirValues) {
  EXPECT_EQ(set("segment.bytes", "4096"), ErrorCode::kNone);
  EXPECT_EQ(alter({{"segment.ms", Operation::kSet, "9"}, {"flush.ms", Operation::kSet, "7"}}).error_code, ErrorCode::kNone);
  EXPECT_EQ(described("segment.bytes").value, "4096");
  EXPECT_EQ(described("segment.ms").value, "9");
  EXPECT_EQ(described("flush.ms").value, "7");
}

TEST_F(AlterConfigsTest, ValuesOutliveStopsAndCrashes) {
  EXPECT_EQ(set("segment.bytes", "4096"), ErrorCode::kNone);
  restart();
  EXPECT_EQ(described("segment.bytes").value, "4096");
  EXPECT_EQ(set("segment.bytes", "8192"), ErrorCode::kNone);
  crash_and_start();
  EXPECT_EQ(described("segment.bytes").value, "8192");
  EXPECT_EQ(described("segment.bytes").source, Source::kTopic);
}

TEST_F(AlterConfigsTest, RunningPartitionsGoByThemFromTheNextAppendOn) {
  const auto second_segment = options_.data + "/t-0/00000000000000000002.log";
  produce("t", 0, make_batch(1, {}, 700));
  produce("t", 0, make_batch(1, {}, 700));
  EXPECT_EQ(set("segment.bytes", "1024"), ErrorCode::kNone);
  EXPECT_FALSE(posix_file_system().exists(second_segment));
  produce("t", 0, make_batch(1, {}, 700));
  EXPECT_TRUE(posix_file_system().exists(second_segment));
  EXPECT_EQ(records_in(fetch("t", 0, 2)->topics.at(0).partitions.at(0).records), 1);

  EXPECT_EQ(set("max.message.bytes", "100"), ErrorCode::kNone);
  EXPECT_EQ(produce("t", 1, make_batch(1, {}, 700)).error_code, ErrorCode::kMessageTooLarge);
  EXPECT_EQ(alter({{"max.message.bytes", Operation::kDelete, std::nullopt}}).error_code, ErrorCode::kNone);
  EXPECT_EQ(produce("t", 1, make_batch(1, {}, 700)).error_code, ErrorCode::kNone);
  restart();
  EXPECT_EQ(end_offset("t", 0), 3);
}

TEST_F(AlterConfigsTest, TimesCodecAndReplicasHoldFromTheNextAppendOn) {
  const auto batch = make_batch(50, {}, 100);
  EXPECT_EQ(set("message.timestamp.before.max.ms", "3600000"), ErrorCode::kNone);
  EXPECT_EQ(produce("t", 0, batch).error_code, ErrorCode::kInvalidTimestamp);
  EXPECT_EQ(set("message.timestamp.type", "LogAppendTime"), ErrorCode::kNone);
  EXPECT_GT(produce("t", 0, batch).log_append_time_ms, 1'700'000'000'000);
  EXPECT_EQ(set("compression.type", "lz4"), ErrorCode::kNone);
  EXPECT_EQ(produce("t", 0, batch).base_offset, Offset(50));
  const auto fetched = fetch("t", 0, 50);
  EXPECT_EQ(parse_batch_header(fetched->topics.at(0).partitions.at(0).records.view())->compression(), Compression::kLz4);
  EXPECT_EQ(set("min.insync.replicas", "2"), ErrorCode::kNone);
  EXPECT_EQ(produce("t", 0, batch).error_code, ErrorCode::kNotEnoughReplicas);
  for (const auto* name : {"message.timestamp.before.max.ms", "message.timestamp.type", "compression.type", "min.insync.replicas"})
    EXPECT_EQ(alter({{name, Operation::kDelete, std::nullopt}}).error_code, ErrorCode::kNone) << name;
  EXPECT_EQ(produce("t", 0, batch).base_offset, Offset(100));
  EXPECT_EQ(described("message.timestamp.before.max.ms").value, "9223372036854775807");
  EXPECT_EQ(described("message.timestamp.type").value, "CreateTime");
  EXPECT_EQ(described("compression.type").value, "producer");
  EXPECT_EQ(described("min.insync.replicas").value, "1");
}

TEST_F(AlterConfigsTest, WithoutFlushMessagesWhatWaitsForTheDiskIsServedAndStillWaits) {
  other_ = connect();
  const auto batch = make_batch(2);
  auto stuck = produce_stuck(batch);
  EXPECT_EQ(end_offset("t", 0), 0);
  EXPECT_EQ(set("flush.messages", "1000"), ErrorCode::kNone);
  EXPECT_EQ(end_offset("t", 0), 2);
  EXPECT_EQ(stuck.wait_for(0s), std::future_status::timeout);
  EXPECT_EQ(produce("t", 0, make_batch(1)).error_code, ErrorCode::kNone);  // not stuck
  fs_.release();
  EXPECT_EQ(stuck.get()->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
}

TEST_F(AlterConfigsTest, AFetchThatWaitsIsWokenByWhatIsServedNow) {
  other_ = connect();
  const auto batch = make_batch(2);
  auto stuck = produce_stuck(batch);
  const auto third = connect();
  auto waiting = send(*third, fetch_request("t", 0, 0, 20s), 12);
  ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_fetch_waits_total") == 1; }));
  EXPECT_EQ(set("flush.messages", "1000"), ErrorCode::kNone);
  EXPECT_EQ(records_in(waiting.get()->topics.at(0).partitions.at(0).records), 2);
  fs_.release();
  EXPECT_TRUE(stuck.get());
}

TEST_F(AlterConfigsTest, TheHighWatermarkStaysWhenTheDiskIsWaitedForAgain) {
  EXPECT_EQ(alter({{"flush.messages", Operation::kSet, "1000"}, {"flush.ms", Operation::kSet, "2147483647"}}).error_code,
            ErrorCode::kNone);
  fs_.hold_syncs("t-0/0000");
  EXPECT_EQ(produce("t", 0, make_batch(2)).error_code, ErrorCode::kNone);
  EXPECT_EQ(end_offset("t", 0), 2);
  EXPECT_EQ(set("flush.messages", "1"), ErrorCode::kNone);
  EXPECT_EQ(end_offset("t", 0), 2);
  EXPECT_TRUE(eventually(kDeadline, [&] { return fs_.held() == 1; }));
  other_ = connect();
  const auto batch = make_batch(1);
  auto stuck = send(*other_, produce_request("t", 0, batch), 9);
  ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_appends_total") == 2; }));
  EXPECT_EQ(end_offset("t", 0), 2);
  EXPECT_EQ(stuck.wait_for(0s), std::future_status::timeout);
  fs_.release();
  EXPECT_EQ(stuck.get()->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(end_offset("t", 0), 3);
}

TEST_F(AlterConfigsTest, AShorterFlushIntervalTakesEffectAtOnce) {
  EXPECT_EQ(alter({{"flush.messages", Operation::kSet, "1000"}, {"flush.ms", Operation::kSet, "2147483647"}}).error_code,
            ErrorCode::kNone);
  produce("t", 0, make_batch(2));
  fs_.hold_syncs("t-0/0000");
  EXPECT_EQ(fs_.held(), 0);
  EXPECT_EQ(set("flush.ms", "1"), ErrorCode::kNone);
  EXPECT_TRUE(eventually(kDeadline, [&] { return fs_.held() == 1; }));
  fs_.release();
}

TEST_F(AlterConfigsTest, ValidateOnlyChangesNothing) {
  EXPECT_EQ(alter({{"segment.bytes", Operation::kSet, "4096"}}, true).error_code, ErrorCode::kNone);
  EXPECT_EQ(alter({{"segment.bytes", Operation::kSet, "1"}}, true).error_code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(described("segment.bytes").source, Source::kDefault);
}

TEST_F(AlterConfigsTest, RefusalsNameWhatIsWrongAndChangeNothing) {
  const auto set = Operation::kSet;
  expect_refused({{"segment.bytes", set, "many"}}, ErrorCode::kInvalidConfig, "many");
  expect_refused({{"segment.bytes", set, "0"}}, ErrorCode::kInvalidConfig, "segment.bytes");
  expect_refused({{"segment.ms", set, "5"}, {"cleanup.policy", set, "nothing"}}, ErrorCode::kInvalidConfig, "cleanup.policy");
  expect_refused({{"no.such.config", set, "1"}}, ErrorCode::kInvalidConfig, "no.such.config");
  expect_refused({{"no.such.config", Operation::kDelete, std::nullopt}}, ErrorCode::kInvalidConfig, "no.such.config");
  expect_refused({{std::string("\x01\n"), set, "1"}}, ErrorCode::kInvalidConfig, "not supported");
  expect_refused({{std::string(30'000, 'x'), set, "1"}}, ErrorCode::kInvalidConfig, "not supported");
  expect_refused({{"segment.bytes", set, std::nullopt}}, ErrorCode::kInvalidRequest, "segment.bytes");
  expect_refused({{"segment.ms", set, "5"}, {"segment.ms", Operation::kDelete, {}}}, ErrorCode::kInvalidRequest, "twice");
  expect_refused({{"segment.ms", static_cast<Operation>(9), "5"}}, ErrorCode::kInvalidRequest, "9");
  expect_refused({{"segment.ms", Operation::kAppend, "5"}}, ErrorCode::kInvalidConfig, "segment.ms");
  expect_refused({{"segment.ms", Operation::kSubtract, "5"}}, ErrorCode::kInvalidConfig, "segment.ms");
  EXPECT_EQ(described("segment.ms").source, Source::kDefault);
}

TEST_F(AlterConfigsTest, OnlyTopicsThatAreThereCanBeAltered) {
  const std::vector<IncrementalAlterConfigsRequest::Config> some{{"segment.bytes", Operation::kSet, "4096"}};
  const auto topic = ConfigResourceType::kTopic;
  expect_refused({topic, "missing", some}, ErrorCode::kUnknownTopicOrPartition, "missing");
  expect_refused({topic, std::string(300, 'x'), some}, ErrorCode::kInvalidTopicException, "");
  expect_refused({topic, "a\x01\n", some}, ErrorCode::kInvalidTopicException, "");
  expect_refused({topic, "", some}, ErrorCode::kInvalidTopicException, "");
  expect_refused({topic, "__consumer_offsets", some}, ErrorCode::kInvalidTopicException, "itself");
  expect_refused({ConfigResourceType::kBroker, "1", some}, ErrorCode::kInvalidRequest, "broker");
  expect_refused({ConfigResourceType::kBroker, "", some}, ErrorCode::kInvalidRequest, "broker");
  expect_refused({ConfigResourceType::kBrokerLogger, "1", some}, ErrorCode::kInvalidRequest, "topics");
  expect_refused({static_cast<ConfigResourceType>(99), "1", some}, ErrorCode::kInvalidRequest, "topics");
}

TEST_F(AlterConfigsTest, EachResourceIsAnsweredForItself) {
  create_topic("u");
  IncrementalAlterConfigsRequest request;
  const std::vector<IncrementalAlterConfigsRequest::Config> some{{"segment.bytes", Operation::kSet, "4096"}};
  const auto topic = ConfigResourceType::kTopic;
  request.resources = {{topic, "u", some}, {topic, "none", some}, {topic, "u", some}, {topic, "t", some}};
  const auto answer = ask(request);
  ASSERT_EQ(answer->resources.size(), 4u);
  EXPECT_EQ(answer->resources[0].error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(answer->resources[1].error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(answer->resources[2].error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(answer->resources[3].error_code, ErrorCode::kNone);
  EXPECT_TRUE(ask(IncrementalAlterConfigsRequest{})->resources.empty());
}

TEST_F(AlterConfigsTest, ListsTakeAndGiveItems) {
  EXPECT_EQ(alter({{"cleanup.policy", Operation::kAppend, "delete"}}).error_code, ErrorCode::kNone);
  EXPECT_EQ(described("cleanup.policy").value, "delete");
  EXPECT_EQ(described("cleanup.policy").source, Source::kTopic);
  expect_refused({{"cleanup.policy", Operation::kSubtract, "delete"}}, ErrorCode::kInvalidConfig, "cleanup.policy");
  EXPECT_EQ(described("cleanup.policy").value, "delete");
}

TEST(ConfigChangesTest, ItemsAreKeptOnceAndInOrder) {
  using Kind = ConfigChange::Kind;
  const auto defaults = topic_defaults({});
  const auto after = [&](Kind kind, const std::string& items, const std::string& before) {
    return change_configs(defaults, {{"cleanup.policy", before}}, {{"cleanup.policy", kind, items}})->at("cleanup.policy");
  };
  EXPECT_EQ(after(Kind::kAppend, "compact", "delete"), "delete,compact");
  EXPECT_EQ(after(Kind::kAppend, "a,delete,,b,", "delete"), "delete,a,b");
  EXPECT_EQ(after(Kind::kSubtract, "delete,other", "compact,delete"), "compact");
  EXPECT_EQ(after(Kind::kSubtract, "delete", "delete"), "");
  EXPECT_EQ(after(Kind::kAppend, "", ""), "");
  const auto from_default = change_configs(defaults, {}, {{"cleanup.policy", Kind::kAppend, "compact"}});
  EXPECT_EQ(from_default->at("cleanup.policy"), "delete,compact");
}

}  // namespace
}  // namespace tributary::test
