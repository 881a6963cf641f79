// DescribeLogDirs.

#include "tests/unit/server/broker_fixture.h"

#include "common/protocol/messages/describe_log_dirs.h"

namespace tributary::test {
namespace {

class LogDirsTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    create_topic("b", 2);
    create_topic("a", 1);
  }
};

TEST_F(LogDirsTest, SizesAreThoseOfTheFiles) {
  const auto batch = make_batch(1, {}, 1'000);
  produce("b", 1, batch);
  produce("b", 1, batch);
  for (std::int16_t version = 1; version <= 4; ++version) {
    const auto answer = ask(DescribeLogDirsRequest{std::nullopt}, version);
    EXPECT_EQ(answer->error_code, ErrorCode::kNone);
    ASSERT_EQ(answer->log_dirs.size(), 1u);
    const auto& dir = answer->log_dirs[0];
    EXPECT_EQ(dir.path, options_.data);
    ASSERT_EQ(dir.topics.size(), 2u);
    EXPECT_EQ(dir.topics[0].name, "a");
    ASSERT_EQ(dir.topics[1].partitions.size(), 2u);
    EXPECT_EQ(dir.topics[1].partitions[0].size_bytes, 0);
    EXPECT_EQ(dir.topics[1].partitions[1].index, PartitionIndex(1));
    EXPECT_EQ(dir.topics[1].partitions[1].size_bytes, static_cast<std::int64_t>(2 * batch.size()));
    EXPECT_FALSE(dir.topics[1].partitions[1].is_future);
  }
}

TEST_F(LogDirsTest, ClosedSegmentsCountAlsoAfterARestart) {
  create_topic("c", 1, {{"segment.bytes", "2000"}});
  const auto batch = make_batch(1, {}, 1'000);
  for (int i = 0; i < 5; ++i) produce("c", 0, batch);
  for (const bool clean : {true, false}) {
    if (clean) stop();
    else crash();
    start();
    DescribeLogDirsRequest request;
    request.topics = {{"c", {PartitionIndex(0)}}};
    EXPECT_EQ(ask(request)->log_dirs.at(0).topics.at(0).partitions.at(0).size_bytes,
              static_cast<std::int64_t>(5 * batch.size()));
  }
}

TEST_F(LogDirsTest, OnlyWhatIsAskedForAndThereIsAnsweredOnce) {
  DescribeLogDirsRequest request;
  request.topics = {{"b", {PartitionIndex(1), PartitionIndex(7), PartitionIndex(1), PartitionIndex(-1)}},
                    {"none", {PartitionIndex(0)}}, {std::string(300, 'x'), {}}, {"\x01", {PartitionIndex(0)}},
                    {"b", {PartitionIndex(1)}}};
  const auto answer = ask(request);
  ASSERT_EQ(answer->log_dirs.at(0).topics.size(), 1u);
  EXPECT_EQ(answer->log_dirs[0].topics[0].partitions.size(), 1u);
  EXPECT_TRUE(ask(DescribeLogDirsRequest{})->log_dirs.at(0).topics.empty());
}

TEST_F(LogDirsTest, FromVersion4OnTheVolumeIsMeasuredAlsoWithoutAPartition) {
  for (const bool all : {true, false}) {
    const auto answer = ask(all ? DescribeLogDirsRequest{std::nullopt} : DescribeLogDirsRequest{});
    const auto space = fs_.volume_space(options_.data).value();
    const auto& dir = answer->log_dirs.at(0);
    EXPECT_EQ(dir.total_bytes, static_cast<std::int64_t>(space.total_bytes));
    EXPECT_GT(dir.usable_bytes, 0);
    EXPECT_LT(dir.usable_bytes, dir.total_bytes);
    EXPECT_EQ(ask(DescribeLogDirsRequest{}, 3)->log_dirs.at(0).total_bytes, -1);
  }
}

TEST_F(LogDirsTest, AVolumeThatCannotBeMeasuredIsUnknown) {
  fs_.set_volume_space(fail(Errc::kIo, "no"));
  const auto answer = ask(DescribeLogDirsRequest{std::nullopt});
  EXPECT_EQ(answer->log_dirs.at(0).total_bytes, -1);
  EXPECT_EQ(answer->log_dirs.at(0).usable_bytes, -1);
  EXPECT_EQ(answer->log_dirs.at(0).topics.size(), 2u);
}

TEST_F(LogDirsTest, AnOfflineLogIsLeftOut) {
  stop();
  ASSERT_TRUE(remove_recursively(posix_file_system(), options_.data + "/b-0"));
  start();
  const auto answer = ask(DescribeLogDirsRequest{std::nullopt});
  ASSERT_EQ(answer->log_dirs.at(0).topics.size(), 2u);
  ASSERT_EQ(answer->log_dirs[0].topics[1].partitions.size(), 1u);
  EXPECT_EQ(answer->log_dirs[0].topics[1].partitions[0].index, PartitionIndex(1));
}

}  // namespace
}  // namespace tributary::test
