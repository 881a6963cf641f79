// CreateTopics, DeleteTopics and DescribeConfigs.

#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class TopicsTest : public BrokerTest {
 protected:
  void SetUp() override { start(); }
  CreateTopicsResponse::Topic create(CreateTopicsRequest::Topic topic, bool validate_only = false) {
    CreateTopicsRequest request;
    request.topics.push_back(std::move(topic));
    request.validate_only = validate_only;
    return ask(request)->topics.at(0);
  }
  bool exists(const std::string& name) {
    MetadataRequest request;
    request.allow_auto_topic_creation = false;
    request.topics->push_back({{}, name});
    return ask(request)->topics.at(0).error_code == ErrorCode::kNone;
  }
  void expect_refused(CreateTopicsRequest::Topic topic, ErrorCode error, const std::string& said) {
    const auto answer = create(topic);
    EXPECT_EQ(answer.error_code, error) << answer.error_message.value_or("");
    EXPECT_NE(answer.error_message.value_or("").find(said), std::string::npos) << answer.error_message.value_or("");
  }
  DescribeConfigsResponse::Resource describe(ConfigResourceType type, const std::string& name,
                                             std::optional<std::vector<std::string>> keys = std::nullopt,
                                             std::int16_t version = 4) {
    DescribeConfigsRequest request;
    request.include_synonyms = true;
    request.include_documentation = version >= 3;
    request.resources.push_back({type, name, std::move(keys)});
    return ask(request, version)->resources.at(0);
  }
  static const DescribeConfigsResponse::Config& config(const DescribeConfigsResponse::Resource& resource,
                                                       const std::string& name) {
    static const DescribeConfigsResponse::Config none;
    for (const auto& c : resource.configs)
      if (c.name == name) return c;
    ADD_FAILURE() << "no config " << name;
    return none;
  }
};

TEST_F(TopicsTest, ACreatedTopicSaysWhatItGot) {
  for (std::int16_t version = 2; version <= 7; ++version) {
    CreateTopicsRequest request;
    const auto name = fmt::format("v{}", version);
    request.topics.push_back({name, 3, 1, {}, {{"segment.bytes", "2097152"}}});
    const auto answer = ask(request, version);
    EXPECT_EQ(answer->topics.at(0).error_code, ErrorCode::kNone);
    EXPECT_TRUE(exists(name));
    if (version < 5) continue;
    EXPECT_EQ(answer->topics.at(0).num_partitions, 3);
    EXPECT_EQ(answer->topics.at(0).replication_factor, 1);
    EXPECT_FALSE(answer->topics.at(0).configs->empty());
    EXPECT_EQ(answer->topics.at(0).topic_id.is_zero(), version < 7);
  }
}

TEST_F(TopicsTest, DefaultsAreTheBrokers) {
  EXPECT_EQ(create({"t", -1, -1, {}, {}}).num_partitions, options_.num_partitions);
}

TEST_F(TopicsTest, RefusalsNameWhatIsWrong) {
  expect_refused({"a/b", 1, 1, {}, {}}, ErrorCode::kInvalidTopicException, "name");
  expect_refused({"t", 0, 1, {}, {}}, ErrorCode::kInvalidPartitions, "0 partitions");
  expect_refused({"t", 100'000, 1, {}, {}}, ErrorCode::kInvalidPartitions, "100000");
  expect_refused({"t", 1, 3, {}, {}}, ErrorCode::kInvalidReplicationFactor, "3");
  expect_refused({"t", 1, 0, {}, {}}, ErrorCode::kInvalidReplicationFactor, "0");
  expect_refused({"t", 1, 1, {}, {{"retention.ms", "-2"}}}, ErrorCode::kInvalidConfig, "retention.ms");
  expect_refused({"t", 1, 1, {}, {{"no.such.config", "1"}}}, ErrorCode::kInvalidConfig, "no.such.config");
  expect_refused({"t", 1, 1, {}, {{"segment.bytes", "many"}}}, ErrorCode::kInvalidConfig, "many");
  expect_refused({"t", 1, 1, {}, {{"segment.bytes", std::nullopt}}}, ErrorCode::kInvalidConfig, "segment.bytes");
  expect_refused({"t", 1, 1, {}, {{"segment.ms", "5"}, {"segment.ms", "6"}}}, ErrorCode::kInvalidConfig, "twice");
  expect_refused({"t", 1, 1, {{PartitionIndex(0), {BrokerId(1)}}}, {}}, ErrorCode::kInvalidRequest, "-1");
  expect_refused({"t", -1, -1, {{PartitionIndex(0), {BrokerId(9)}}}, {}}, ErrorCode::kInvalidReplicaAssignment, "broker 1");
  expect_refused({"t", -1, -1, {{PartitionIndex(1), {BrokerId(1)}}}, {}}, ErrorCode::kInvalidReplicaAssignment, "0");
  EXPECT_FALSE(exists("t"));
}

TEST_F(TopicsTest, AssignmentsToThisBrokerAreTaken) {
  const auto answer = create({"t", -1, -1, {{PartitionIndex(1), {BrokerId(1)}}, {PartitionIndex(0), {BrokerId(1)}}}, {}});
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  EXPECT_EQ(answer.num_partitions, 2);
}

TEST_F(TopicsTest, ConfigsThatOnlyStateWhatHoldsAreTaken) {
  EXPECT_EQ(create_topic("t", 1, {{"cleanup.policy", "delete"}, {"message.timestamp.type", "CreateTime"},
                                  {"retention.ms", "-1"}, {"min.insync.replicas", "1"}}), ErrorCode::kNone);
}

TEST_F(TopicsTest, ANameIsTakenOnce) {
  EXPECT_EQ(create_topic("t"), ErrorCode::kNone);
  EXPECT_EQ(create_topic("t"), ErrorCode::kTopicAlreadyExists);
  CreateTopicsRequest request;
  request.topics = {{"twice", 1, 1, {}, {}}, {"once", 1, 1, {}, {}}, {"twice", 1, 1, {}, {}}};
  const auto answer = ask(request);
  EXPECT_EQ(answer->topics.at(0).error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(answer->topics.at(1).error_code, ErrorCode::kNone);
  EXPECT_EQ(answer->topics.at(2).error_code, ErrorCode::kInvalidRequest);
}

TEST_F(TopicsTest, ValidateOnlyCreatesNothing) {
  EXPECT_EQ(create({"t", 2, 1, {}, {}}, true).error_code, ErrorCode::kNone);
  EXPECT_EQ(create({"t", 0, 1, {}, {}}, true).error_code, ErrorCode::kInvalidPartitions);
  EXPECT_FALSE(exists("t"));
}

TEST_F(TopicsTest, TopicsOutliveStopsAndCrashes) {
  create_topic("t", 3, {{"segment.bytes", "4096"}});
  produce("t", 2, make_batch(5));
  restart();
  EXPECT_EQ(end_offset("t", 2), 5);
  crash();
  start();
  EXPECT_EQ(end_offset("t", 2), 5);
  EXPECT_EQ(config(describe(ConfigResourceType::kTopic, "t"), "segment.bytes").value, "4096");
}

TEST_F(TopicsTest, ADeletedTopicIsGoneForGood) {
  create_topic("t", 2);
  produce("t", 0, make_batch(5));
  EXPECT_EQ(delete_topic("t"), ErrorCode::kNone);
  EXPECT_FALSE(exists("t"));
  EXPECT_EQ(produce("t", 0, make_batch()).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(delete_topic("t"), ErrorCode::kUnknownTopicOrPartition);
  restart();
  EXPECT_FALSE(exists("t"));
  EXPECT_FALSE(posix_file_system().exists(options_.data + "/t-0"));
}

TEST_F(TopicsTest, ANewTopicOfAnOldNameStartsEmpty) {
  create_topic("t");
  produce("t", 0, make_batch(5));
  delete_topic("t");
  EXPECT_EQ(create_topic("t"), ErrorCode::kNone);
  EXPECT_EQ(end_offset("t", 0), 0);
  crash();
  start();
  EXPECT_EQ(end_offset("t", 0), 0);
}

TEST_F(TopicsTest, DeletionByEveryVersionAndById) {
  for (std::int16_t version = 1; version <= 5; ++version) {
    create_topic("t");
    DeleteTopicsRequest request;
    request.topic_names = {"t", "missing", "t"};
    const auto answer = ask(request, version);
    EXPECT_EQ(answer->topics.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(answer->topics.at(1).error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(answer->topics.at(2).error_code, ErrorCode::kInvalidRequest);
  }
  const auto id = create({"t", 1, 1, {}, {}}).topic_id;
  DeleteTopicsRequest request;
  request.topics = {{std::nullopt, id}, {std::nullopt, uuid_from_random(1, 2)}, {"t", id}};
  const auto answer = ask(request);
  EXPECT_EQ(answer->topics.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(answer->topics.at(0).name, "t");
  EXPECT_EQ(answer->topics.at(1).error_code, ErrorCode::kUnknownTopicId);
  EXPECT_EQ(answer->topics.at(2).error_code, ErrorCode::kInvalidRequest);
  EXPECT_FALSE(exists("t"));
}

TEST_F(TopicsTest, DeletingWithProducesUnderWayAnswersThem) {
  create_topic("t");
  fs_.hold_syncs("t-0/0000");
  const auto batch = make_batch(1);
  const auto other = connect();
  auto stuck = send(*other, produce_request("t", 0, batch), 9);
  ASSERT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_appends_total") == 1; }));
  EXPECT_EQ(delete_topic("t"), ErrorCode::kNone);
  EXPECT_EQ(stuck.get()->topics.at(0).partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  fs_.release();
}

TEST_F(TopicsTest, ConfigsAreDescribedWithTheirSource) {
  create_topic("t", 1, {{"segment.bytes", "4096"}});
  for (std::int16_t version = 1; version <= 4; ++version) {
    const auto all = describe(ConfigResourceType::kTopic, "t", std::nullopt, version);
    const auto& own = config(all, "segment.bytes");
    EXPECT_EQ(own.value, "4096");
    EXPECT_EQ(own.source, DescribeConfigsResponse::Source::kTopic);
    ASSERT_EQ(own.synonyms.size(), 2u);
    EXPECT_EQ(own.synonyms[1].name, "log.segment.bytes");
    EXPECT_EQ(own.synonyms[1].value, "1073741824");
    EXPECT_EQ(config(all, "max.message.bytes").source, DescribeConfigsResponse::Source::kDefault);
  }
  const auto some = describe(ConfigResourceType::kTopic, "t", std::vector<std::string>{"flush.messages", "nothing"});
  ASSERT_EQ(some.configs.size(), 1u);
  EXPECT_EQ(some.configs[0].value, "1");
  EXPECT_TRUE(some.configs[0].documentation);
}

TEST_F(TopicsTest, TheBrokerDescribesItself) {
  const auto all = describe(ConfigResourceType::kBroker, "1");
  EXPECT_EQ(config(all, "num.partitions").value, "4");
  EXPECT_EQ(config(all, "log.segment.bytes").value, "1073741824");
  EXPECT_EQ(config(all, "auto.create.topics.enable").value, "true");
  EXPECT_TRUE(config(all, "log.dirs").read_only);
}

TEST_F(TopicsTest, WhatHasNoConfigsIsRefused) {
  EXPECT_EQ(describe(ConfigResourceType::kTopic, "missing").error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(describe(ConfigResourceType::kBroker, "99").error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(describe(ConfigResourceType::kBrokerLogger, "1").error_code, ErrorCode::kInvalidRequest);
}

TEST_F(TopicsTest, AFolderInTheWayIsNeverTouched) {
  // A partition of the same name that this broker knows nothing of, such as one put back by hand.
  create_topic("t");
  produce("t", 0, make_batch(5));
  stop();
  ASSERT_TRUE(posix_file_system().rename(options_.data + "/t-0", folder_ / "kept"));
  start();
  delete_topic("t");
  stop();
  ASSERT_TRUE(posix_file_system().rename(folder_ / "kept", options_.data + "/t-0"));
  start();
  EXPECT_NE(create_topic("t"), ErrorCode::kNone);
  EXPECT_FALSE(exists("t"));
  EXPECT_TRUE(posix_file_system().exists(options_.data + "/t-0"));
  EXPECT_EQ(create_topic("u"), ErrorCode::kNone);
}

}  // namespace
}  // namespace tributary::test
