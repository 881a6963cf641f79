// Groups commit while the disk fills up.

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/find_coordinator.h"
#include "common/protocol/messages/offset_commit.h"
#include "common/protocol/messages/offset_fetch.h"
#include "tests/compat/raw_connection.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

constexpr int kFullDiskGroups = 20;

class FullDiskGroups : public testing::Test {
 protected:
  void SetUp() override {
    if (!disk_.mounted()) GTEST_SKIP() << "mounting a small file system needs root: " << std::strerror(errno);
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    client_.emplace(broker_.kafka_port());
    create_topic();
    FindCoordinatorRequest find;
    find.key = "g";
    ASSERT_TRUE(eventually(10s, [&] { return client_->ask(2, find)->error_code == ErrorCode::kNone; }));
    for (int i = 0; i < kFullDiskGroups; ++i)
      ASSERT_TRUE(eventually(10s, [&] { return committed(i).has_value(); }));
  }

  void create_topic() {
    CreateTopicsRequest create;
    create.topics = {{"t", 1, 1, {}, {}}};
    const auto created = client_->ask(7, create);
    ASSERT_TRUE(created) << created.error().message;
    ASSERT_EQ(created->topics.at(0).error_code, ErrorCode::kNone) << created->topics.at(0).error_message.value_or("");
  }
  static std::string group(int i) { return fmt::format("g{}", i); }
  ErrorCode commit(int i, std::int64_t offset) {
    OffsetCommitRequest commit;
    commit.group_id = group(i);
    auto& partition = commit.topics.emplace_back(OffsetCommitRequest::Topic{"t", {}}).partitions.emplace_back();
    partition.committed_offset = Offset(offset);
    partition.metadata = std::string(2'000, 'm');
    const auto answer = client_->ask(8, commit);
    EXPECT_TRUE(answer) << answer.error().message << broker_.log();
    return answer ? answer->topics.at(0).partitions.at(0).error_code : ErrorCode::kUnknownServerError;
  }
  /// Nothing while the group is not served.
  std::optional<std::int64_t> committed(int i) {
    OffsetFetchRequest fetch;
    fetch.groups = {{group(i), {{{"t", {PartitionIndex(0)}}}}}};
    const auto answer = client_->ask(8, fetch);
    EXPECT_TRUE(answer) << answer.error().message;
    if (!answer || answer->groups.at(0).error_code != ErrorCode::kNone) return std::nullopt;
    return answer->groups.at(0).topics.at(0).partitions.at(0).committed_offset.value();
  }
  void restart() {
    broker_.kill();
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    client_.emplace(broker_.kafka_port());
  }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
  SmallDisk disk_{broker_.data(), "24m"};
  std::optional<RawConnection> client_;
};

TEST_F(FullDiskGroups, ACommitThatIsNotWrittenIsRefusedAsOneToTryAgainAndNoneIsLost) {
  std::vector<std::int64_t> acknowledged(kFullDiskGroups, -1);
  std::int64_t offset = 0;
  const auto commit_all = [&] {
    int failed = 0;
    ++offset;
    for (int i = 0; i < kFullDiskGroups; ++i) {
      const auto error = commit(i, offset);
      if (error == ErrorCode::kNone) {
        acknowledged[static_cast<std::size_t>(i)] = offset;
        continue;
      }
      EXPECT_EQ(error, ErrorCode::kNotCoordinator) << name_of(error);  // clients look for it again, and try again
      ++failed;
    }
    return failed;
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(commit_all(), 0);
  disk_.fill();
  ASSERT_TRUE(eventually(30s, [&] { return commit_all() == kFullDiskGroups; })) << broker_.log();
  for (int i = 0; i < 20; ++i) (void)commit_all();
  for (int i = 0; i < kFullDiskGroups; ++i) EXPECT_EQ(committed(i), acknowledged[static_cast<std::size_t>(i)]);

  restart();
  for (int i = 0; i < kFullDiskGroups; ++i) {
    ASSERT_TRUE(eventually(20s, [&] { return committed(i).has_value(); })) << broker_.log();
    EXPECT_EQ(committed(i), acknowledged[static_cast<std::size_t>(i)]);
  }
  disk_.empty();
  ASSERT_TRUE(eventually(30s, [&] { return commit_all() == 0; })) << broker_.log();
  restart();
  for (int i = 0; i < kFullDiskGroups; ++i) {
    ASSERT_TRUE(eventually(20s, [&] { return committed(i).has_value(); })) << broker_.log();
    EXPECT_EQ(committed(i), acknowledged[static_cast<std::size_t>(i)]);
  }
}

TEST_F(FullDiskGroups, ATopicThatIsDeletedToMakeRoomTakesItsOffsetsWithIt) {
  for (int i = 0; i < kFullDiskGroups; ++i) ASSERT_EQ(commit(i, 7), ErrorCode::kNone);
  disk_.fill();
  ASSERT_TRUE(eventually(30s, [&] { return commit(0, 8) != ErrorCode::kNone; })) << broker_.log();
  DeleteTopicsRequest remove;
  remove.topics = {{"t", {}}};
  const auto removed = client_->ask(6, remove);
  ASSERT_TRUE(removed) << removed.error().message;
  const bool at_once = removed->topics.at(0).error_code == ErrorCode::kNone;
  disk_.empty();
  if (!at_once) {
    for (int i = 1; i < kFullDiskGroups; ++i) EXPECT_EQ(committed(i), 7);
    ASSERT_EQ(client_->ask(6, remove)->topics.at(0).error_code, ErrorCode::kNone);
  }
  create_topic();
  for (int i = 0; i < kFullDiskGroups; ++i) EXPECT_EQ(committed(i), -1) << at_once;
  for (int i = 0; i < kFullDiskGroups; ++i) EXPECT_EQ(commit(i, 3), ErrorCode::kNone);
  restart();
  for (int i = 0; i < kFullDiskGroups; ++i) {
    ASSERT_TRUE(eventually(20s, [&] { return committed(i).has_value(); })) << broker_.log();
    EXPECT_EQ(committed(i), 3);
  }
}

}  // namespace
}  // namespace tributary::test
