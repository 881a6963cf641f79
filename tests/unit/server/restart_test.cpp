// Data folders: of this broker, of others, whole and not.

#include <fstream>

#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class RestartTest : public BrokerTest {
 protected:
  std::string said_on_start() {
    const auto started = try_start();
    EXPECT_FALSE(started);
    if (!started) code_ = started.error().code;
    return started ? std::string() : started.error().message;
  }
  Errc code_{};
};

TEST_F(RestartTest, RecordsSurviveEveryKindOfStop) {
  start();
  create_topic("t", 2);
  for (int life = 0; life < 4; ++life) {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(produce("t", life % 2, make_batch(3)).error_code, ErrorCode::kNone);
    if (life % 2 == 0) stop();
    else crash();
    start();
  }
  EXPECT_EQ(end_offset("t", 0), 60);
  EXPECT_EQ(end_offset("t", 1), 60);
}

TEST_F(RestartTest, ATornTailIsCutAndTheRestServed) {
  start();
  create_topic("t");
  produce("t", 0, make_batch(3));
  crash();
  std::ofstream(options_.data + "/t-0/00000000000000000000.log", std::ios::app | std::ios::binary) << "torn";
  start();
  EXPECT_TRUE(broker_->readiness().ok);
  EXPECT_EQ(produce("t", 0, make_batch(1)).base_offset, Offset(3));
}

TEST_F(RestartTest, AFolderInUseIsRefused) {
  start();
  MetricsRegistry metrics;
  Broker second(options_, metrics, fs_);
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::kLocked);
  EXPECT_NE(started.error().message.find(options_.data), std::string::npos) << started.error().message;
}

TEST_F(RestartTest, APortInUseIsNamed) {
  start();
  BrokerOptions other = options_;
  other.data = folder_ / "other";
  other.kafka_port = broker_->kafka_port();
  MetricsRegistry metrics;
  Broker second(other, metrics, fs_);
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find(std::to_string(other.kafka_port)), std::string::npos) << started.error().message;
}

TEST_F(RestartTest, TheFolderOfAnotherBrokerIsRefused) {
  start();
  stop();
  options_.node_id = BrokerId(2);
  said_on_start();
  EXPECT_EQ(code_, Errc::kInvalidArgument);
}

TEST_F(RestartTest, MissingMetadataIsNotReplacedByNothing) {
  start();
  create_topic("t");
  stop();
  ASSERT_TRUE(posix_file_system().remove(options_.data + "/metadata.db"));
  EXPECT_NE(said_on_start().find("metadata.db"), std::string::npos);
}

TEST_F(RestartTest, ALostFolderTakesItsPartitionOfflineOnly) {
  start();
  create_topic("t", 2);
  produce("t", 1, make_batch(4));
  stop();
  ASSERT_TRUE(remove_recursively(posix_file_system(), options_.data + "/t-0"));
  start();
  EXPECT_NE(broker_->readiness().reason.find("t-0"), std::string::npos) << broker_->readiness().reason;
  EXPECT_EQ(produce("t", 0, make_batch()).error_code, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(fetch("t", 0, 0)->topics.at(0).partitions.at(0).error_code, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(end_offset("t", 1), 4);
  EXPECT_EQ(delete_topic("t"), ErrorCode::kNone);  // the way out
}

TEST_F(RestartTest, DamageBelowWhatWasDurableTakesItsPartitionOffline) {
  start();
  create_topic("t", 2);
  produce("t", 0, make_batch(4, {}, 1'000));
  produce("t", 0, make_batch(4, {}, 1'000));
  stop();
  ASSERT_TRUE(posix_file_system().remove(options_.data + "/.kafka_cleanshutdown"));
  {
    std::fstream file(options_.data + "/t-0/00000000000000000000.log", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(500);
    file << "damage";
  }
  start();
  EXPECT_FALSE(broker_->readiness().ok);
  EXPECT_EQ(produce("t", 0, make_batch()).error_code, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(produce("t", 1, make_batch()).error_code, ErrorCode::kNone);
}

TEST_F(RestartTest, ADataFolderThatIsAFileIsRefused) {
  std::ofstream(options_.data) << "not a folder";
  EXPECT_NE(said_on_start().find(options_.data), std::string::npos);
}

TEST_F(RestartTest, StoppingWhileClientsProduceLosesNothingAcknowledged) {
  start();
  create_topic("t");
  const auto other = connect();
  std::vector<std::future<Answer<ProduceResponse>>> answers;
  const auto batch = make_batch(1);
  for (int i = 0; i < 300; ++i) answers.push_back(send(*other, produce_request("t", 0, batch), 9));
  ASSERT_TRUE(answers.front().get());
  stop();
  std::int64_t acknowledged = 1;
  for (std::size_t i = 1; i < answers.size(); ++i) acknowledged += answers[i].get() ? 1 : 0;
  start();
  EXPECT_GE(end_offset("t", 0), acknowledged);
}

}  // namespace
}  // namespace tributary::test
