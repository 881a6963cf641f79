#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class MetadataTest : public BrokerTest {
 protected:
  static MetadataRequest about(const std::vector<std::string>& names) {
    MetadataRequest request;
    for (const auto& name : names) request.topics->push_back({{}, name});
    return request;
  }
};

TEST_F(MetadataTest, AskingForATopicCreatesIt) {
  options_.num_partitions = 3;
  start();
  const auto answer = ask(about({"new"}));
  const auto& topic = answer->topics.at(0);
  EXPECT_EQ(topic.error_code, ErrorCode::kNone);
  ASSERT_EQ(topic.partitions.size(), 3u);
  EXPECT_EQ(topic.partitions[2].index, PartitionIndex(2));
  EXPECT_EQ(topic.partitions[2].leader_id, options_.node_id);
  EXPECT_EQ(topic.partitions[2].isr_nodes, std::vector{options_.node_id});
  EXPECT_EQ(produce("new", 2, make_batch()).error_code, ErrorCode::kNone);
}

TEST_F(MetadataTest, ClientsThatAskTogetherShareOneTopic) {
  start();
  std::vector<std::unique_ptr<RequestChannel>> channels;
  std::vector<std::future<Answer<MetadataResponse>>> answers;
  for (int i = 0; i < 8; ++i) channels.push_back(connect());
  for (auto& channel : channels) answers.push_back(send(*channel, about({"shared"}), 9));
  for (auto& answer : answers) EXPECT_EQ(answer.get()->topics.at(0).error_code, ErrorCode::kNone);
}

TEST_F(MetadataTest, IdsAreGivenAndTaken) {
  start();
  create_topic("t", 3);
  const auto id = ask(about({"t"}))->topics.at(0).topic_id;
  EXPECT_FALSE(id.is_zero());
  for (std::int16_t version = 0; version <= 12; ++version)
    EXPECT_EQ(ask(about({"t"}), version)->topics.at(0).topic_id, version >= 10 ? id : Uuid{});

  const auto other = uuid_from_random(1, 2);
  MetadataRequest request;
  request.topics = {{id, std::nullopt}, {other, std::nullopt}, {id, "ignored"}, {other, std::nullopt},
                    {Uuid{}, std::nullopt}, {Uuid{}, "t"}};
  const auto answer = ask(request);
  ASSERT_EQ(answer->topics.size(), 3u);  // each once
  EXPECT_EQ(answer->topics[0].error_code, ErrorCode::kNone);
  EXPECT_EQ(answer->topics[0].name, "t");
  EXPECT_EQ(answer->topics[0].partitions.size(), 3u);
  EXPECT_EQ(answer->topics[1].error_code, ErrorCode::kUnknownTopicId);
  EXPECT_EQ(answer->topics[1].name, std::nullopt);
  EXPECT_EQ(answer->topics[1].topic_id, other);
  EXPECT_EQ(answer->topics[2].error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(ask(about({}))->topics.size(), 0u);
  EXPECT_EQ(delete_topic("t"), ErrorCode::kNone);
  create_topic("t");
  EXPECT_EQ(ask(request)->topics.at(0).error_code, ErrorCode::kUnknownTopicId);
}

TEST_F(MetadataTest, BeforeVersion12IdsInRequestsAreRefused) {
  start();
  create_topic("t");
  const auto id = ask(about({"t"}))->topics.at(0).topic_id;
  for (std::int16_t version = 10; version <= 11; ++version) {
    MetadataRequest request;
    request.topics = {{id, "t"}, {Uuid{}, std::nullopt}};
    const auto answer = ask(request, version);
    ASSERT_EQ(answer->topics.size(), 2u);
    for (const auto& topic : answer->topics) EXPECT_EQ(topic.error_code, ErrorCode::kInvalidRequest);
  }
}

TEST_F(MetadataTest, ATopicNamedAgainAndAgainIsAnsweredOnce) {
  start();
  ASSERT_EQ(create_topic("t", 3), ErrorCode::kNone);
  MetadataRequest request;
  request.topics.emplace();
  for (int i = 0; i < 1000; ++i) request.topics->emplace_back().name = i % 2 ? "t" : "missing";
  request.allow_auto_topic_creation = false;
  const auto answer = ask(request);
  ASSERT_EQ(answer->topics.size(), 2u);
  EXPECT_EQ(answer->topics[1].partitions.size(), 3u);
}

TEST_F(MetadataTest, CreationCanBeSwitchedOffByBrokerAndByClient) {
  start();
  auto request = about({"new"});
  request.allow_auto_topic_creation = false;
  EXPECT_EQ(ask(request)->topics.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  stop();
  options_.auto_create_topics = false;
  start();
  EXPECT_EQ(ask(about({"new"}))->topics.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(create_topic("new"), ErrorCode::kNone);
  EXPECT_EQ(ask(about({"new"}))->topics.at(0).error_code, ErrorCode::kNone);
}

TEST_F(MetadataTest, InvalidNamesAreNeverCreated) {
  start();
  for (const auto& name : std::vector<std::string>{"a/b", "", "..", "\xff\xfe", std::string(300, 'x')}) {
    const auto answer = ask(about({name, "good"}));
    EXPECT_EQ(answer->topics.at(0).error_code, ErrorCode::kInvalidTopicException) << name;
    EXPECT_EQ(answer->topics.at(1).error_code, ErrorCode::kNone);
  }
}

TEST_F(MetadataTest, TheBrokersLimitOnPartitionsHoldsForCreationToo) {
  options_.partitions_max = 5;
  options_.num_partitions = 4;
  start();
  EXPECT_EQ(ask(about({"a"}))->topics.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(ask(about({"b"}))->topics.at(0).error_code, ErrorCode::kPolicyViolation);
}

TEST_F(MetadataTest, AllTopicsInEveryVersion) {
  start();
  create_topic("b");
  create_topic("a");
  for (auto version = MetadataRequest::valid.min; version <= MetadataRequest::valid.max; ++version) {
    MetadataRequest request;
    if (version == 0) request.topics->clear();
    else request.topics.reset();
    const auto answer = ask(request, version);
    ASSERT_EQ(answer->topics.size(), 2u) << version;
    EXPECT_EQ(answer->topics[0].name, "a");
    if (version >= 2) {
      EXPECT_EQ(answer->cluster_id, broker_->cluster_id());
    }
  }
  EXPECT_TRUE(ask(about({}), 9)->topics.empty());
}

TEST_F(MetadataTest, EachListenerTellsItsOwnAddress) {
  start();
  const auto nng = connect_by_nng();
  const auto by_tcp = ask(about({}));
  const auto by_nng = ask(*nng, about({}));
  EXPECT_EQ(by_tcp->brokers.at(0).host, "127.0.0.1");
  EXPECT_EQ(by_tcp->brokers.at(0).port, broker_->kafka_port());
  EXPECT_EQ(by_nng->brokers.at(0).port, broker_->nng_port());
  EXPECT_EQ(by_nng->controller_id, options_.node_id);
}

TEST_F(MetadataTest, AnAdvertisedAddressReplacesTheListeners) {
  options_.advertised_host = "log1.example.com";
  options_.advertised_kafka_port = 19'092;
  start();
  const auto answer = ask(about({}));
  EXPECT_EQ(answer->brokers.at(0).host, "log1.example.com");
  EXPECT_EQ(answer->brokers.at(0).port, 19'092);
}

TEST_F(MetadataTest, BoundToAllAddressesItTellsTheMachinesName) {
  options_.kafka_host = "0.0.0.0";
  start();
  const auto host = ask(about({}))->brokers.at(0).host;
  EXPECT_NE(host, "0.0.0.0");
  EXPECT_FALSE(host.empty());
}

}  // namespace
}  // namespace tributary::test
