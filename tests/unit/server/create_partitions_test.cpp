// CreatePartitions.

#include "tests/unit/server/broker_fixture.h"

#include "common/protocol/messages/create_partitions.h"

namespace tributary::test {
namespace {

class CreatePartitionsTest : public BrokerTest {
 protected:
  void SetUp() override {
    options_.partitions_per_topic_max = 20;
    options_.partitions_max = 30;
    start();
    create_topic("t", 2);
  }
  CreatePartitionsResponse::Topic grow(CreatePartitionsRequest::Topic topic, bool validate_only = false) {
    CreatePartitionsRequest request;
    request.topics.push_back(std::move(topic));
    request.validate_only = validate_only;
    return ask(request)->topics.at(0);
  }
  ErrorCode grow(const std::string& name, std::int32_t count) { return grow({name, count, std::nullopt}).error_code; }
  void expect_refused(CreatePartitionsRequest::Topic topic, ErrorCode error, const std::string& said) {
    const auto answer = grow(std::move(topic));
    EXPECT_EQ(answer.error_code, error) << answer.error_message.value_or("");
    EXPECT_NE(answer.error_message.value_or("").find(said), std::string::npos) << answer.error_message.value_or("");
  }
  std::size_t partitions(const std::string& name) {
    MetadataRequest request;
    request.allow_auto_topic_creation = false;
    request.topics->push_back({{}, name});
    return ask(request)->topics.at(0).partitions.size();
  }
};

TEST_F(CreatePartitionsTest, ATopicGrowsAndKeepsWhatItHas) {
  produce("t", 1, make_batch(5));
  for (std::int16_t version = 0; version <= 3; ++version) {
    CreatePartitionsRequest request;
    request.topics.push_back({"t", 3 + version, std::nullopt});
    EXPECT_EQ(ask(request, version)->topics.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(partitions("t"), 3u + static_cast<std::size_t>(version));
  }
  EXPECT_EQ(end_offset("t", 1), 5);
  for (std::int32_t i = 2; i < 6; ++i) EXPECT_EQ(produce("t", i, make_batch(i)).error_code, ErrorCode::kNone);
  for (const bool clean : {true, false}) {
    if (clean) stop();
    else crash();
    start();
    EXPECT_EQ(partitions("t"), 6u);
    EXPECT_EQ(end_offset("t", 1), 5);
    for (std::int32_t i = 2; i < 6; ++i) EXPECT_EQ(end_offset("t", i), i);
    EXPECT_TRUE(broker_->readiness().ok);
  }
  EXPECT_EQ(delete_topic("t"), ErrorCode::kNone);
  EXPECT_FALSE(posix_file_system().exists(options_.data + "/t-5"));
}

TEST_F(CreatePartitionsTest, NewPartitionsHaveTheTopicsConfigs) {
  create_topic("u", 1, {{"max.message.bytes", "100"}});
  EXPECT_EQ(grow("u", 2), ErrorCode::kNone);
  EXPECT_EQ(produce("u", 1, make_batch(1, {}, 500)).error_code, ErrorCode::kMessageTooLarge);
}

TEST_F(CreatePartitionsTest, RefusalsNameWhatIsWrongAndChangeNothing) {
  expect_refused({"t", 2, std::nullopt}, ErrorCode::kInvalidPartitions, "2 partitions");
  expect_refused({"t", 1, std::nullopt}, ErrorCode::kInvalidPartitions, "not more");
  expect_refused({"t", 0, std::nullopt}, ErrorCode::kInvalidPartitions, "not more");
  expect_refused({"t", -1, std::nullopt}, ErrorCode::kInvalidPartitions, "not more");
  expect_refused({"t", 21, std::nullopt}, ErrorCode::kInvalidPartitions, "20");
  expect_refused({"t", 1'000'000, std::nullopt}, ErrorCode::kInvalidPartitions, "1000000");
  expect_refused({"t", 0x7fffffff, std::nullopt}, ErrorCode::kInvalidPartitions, "20");
  expect_refused({"missing", 4, std::nullopt}, ErrorCode::kUnknownTopicOrPartition, "missing");
  expect_refused({std::string(300, 'x'), 4, std::nullopt}, ErrorCode::kInvalidTopicException, "");
  expect_refused({"a\x01\n", 4, std::nullopt}, ErrorCode::kInvalidTopicException, "");
  expect_refused({"", 4, std::nullopt}, ErrorCode::kInvalidTopicException, "");
  expect_refused({"__consumer_offsets", 60, std::nullopt}, ErrorCode::kInvalidTopicException, "groups");
  create_topic("u", 15);
  expect_refused({"u", 20, std::nullopt}, ErrorCode::kNone, "");
  expect_refused({"t", 11, std::nullopt}, ErrorCode::kPolicyViolation, "31");
  EXPECT_EQ(partitions("t"), 2u);
}

TEST_F(CreatePartitionsTest, AssignmentsMustFit) {
  const CreatePartitionsRequest::Assignment here{{BrokerId(1)}}, elsewhere{{BrokerId(9)}}, both{{BrokerId(1), BrokerId(9)}};
  expect_refused({"t", 4, {{here}}}, ErrorCode::kInvalidReplicaAssignment, "2 new partitions, but 1");
  expect_refused({"t", 4, {{here, here, here}}}, ErrorCode::kInvalidReplicaAssignment, "3");
  expect_refused({"t", 4, {{here, elsewhere}}}, ErrorCode::kInvalidReplicaAssignment, "broker 1");
  expect_refused({"t", 4, {{both, here}}}, ErrorCode::kInvalidReplicaAssignment, "broker 1");
  expect_refused({"t", 4, {std::vector<CreatePartitionsRequest::Assignment>{}}}, ErrorCode::kInvalidReplicaAssignment, "0");
  EXPECT_EQ(partitions("t"), 2u);
  EXPECT_EQ(grow({"t", 4, {{here, here}}}).error_code, ErrorCode::kNone);
  EXPECT_EQ(partitions("t"), 4u);
}

TEST_F(CreatePartitionsTest, ValidateOnlyCreatesNothing) {
  EXPECT_EQ(grow({"t", 4, std::nullopt}, true).error_code, ErrorCode::kNone);
  EXPECT_EQ(grow({"t", 2, std::nullopt}, true).error_code, ErrorCode::kInvalidPartitions);
  EXPECT_EQ(partitions("t"), 2u);
}

TEST_F(CreatePartitionsTest, EachTopicIsAnsweredForItself) {
  create_topic("u");
  CreatePartitionsRequest request;
  request.topics = {{"u", 2, std::nullopt}, {"none", 2, std::nullopt}, {"u", 3, std::nullopt}, {"t", 3, std::nullopt}};
  const auto answer = ask(request);
  ASSERT_EQ(answer->topics.size(), 4u);
  EXPECT_EQ(answer->topics[0].error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(answer->topics[1].error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(answer->topics[2].error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(answer->topics[3].error_code, ErrorCode::kNone);
}

}  // namespace
}  // namespace tributary::test
