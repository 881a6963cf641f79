// ApiVersions and DescribeCluster.

#include "cluster/server/handlers.h"
#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class ClusterTest : public BrokerTest {
 protected:
  void SetUp() override { start(); }
  static ApiVersionsRequest hello(const std::string& name = "librdkafka", const std::string& version = "2.0.2") {
    return {name, version};
  }
};

TEST_F(ClusterTest, EveryVersionOfApiVersionsListsWhatIsServed) {
  for (std::int16_t version = 0; version <= 4; ++version) {
    const auto answer = ask(hello(), version);
    EXPECT_EQ(answer->error_code, ErrorCode::kNone);
    ASSERT_EQ(answer->apis.size(), served_apis().size()) << version;
    EXPECT_EQ(answer->apis[0], (ApiVersionsResponse::Api{ApiKey::kProduce, 0, 11}));
    EXPECT_EQ(answer->apis[1], (ApiVersionsResponse::Api{ApiKey::kFetch, 4, 13}));
    EXPECT_EQ(answer->apis[3], (ApiVersionsResponse::Api{ApiKey::kMetadata, 0, 12}));
  }
}

TEST_F(ClusterTest, ANewerVersionIsAnsweredInVersionZero) {
  RawConnection raw(broker_->kafka_port());
  auto frame = encode_request(3, 42, "future", hello())->flatten().value();
  frame[3] = 9;  // the version's low byte
  frame.push_back(0xee);  // and something that we do not know
  raw.write_frame(frame);
  const auto answered = raw.read_frame();
  ASSERT_TRUE(answered);
  const auto answer = decode_response<ApiVersionsResponse>(*answered, 0);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error_code, ErrorCode::kUnsupportedVersion);
  EXPECT_EQ(answer->apis.size(), served_apis().size());
  // And the connection goes on.
  raw.write_frame(encode_request(3, 43, "future", hello())->flatten().value());
  EXPECT_TRUE(raw.read_frame());
}

TEST_F(ClusterTest, SoftwareNamesFollowKip511) {
  EXPECT_EQ(ask(hello("a b"))->error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(ask(hello("-a"))->error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(ask(hello("a", ""))->error_code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(ask(hello("apache-kafka-java", "4.0.0-SNAPSHOT"))->error_code, ErrorCode::kNone);
}

TEST_F(ClusterTest, TheClusterDescribesItself) {
  for (std::int16_t version = 0; version <= 1; ++version) {
    const auto answer = ask(DescribeClusterRequest{}, version);
    EXPECT_EQ(answer->cluster_id, broker_->cluster_id());
    ASSERT_EQ(answer->brokers.size(), 1u);
    EXPECT_EQ(answer->brokers[0].broker_id, BrokerId(1));
    EXPECT_EQ(answer->brokers[0].port, broker_->kafka_port());
  }
  DescribeClusterRequest controllers;
  controllers.endpoint_type = 2;
  EXPECT_EQ(ask(controllers)->error_code, ErrorCode::kUnsupportedEndpointType);
}

TEST_F(ClusterTest, TheClusterIdIsKept) {
  const auto id = broker_->cluster_id();
  EXPECT_EQ(id.size(), 22u);
  restart();
  EXPECT_EQ(broker_->cluster_id(), id);
}

}  // namespace
}  // namespace tributary::test
