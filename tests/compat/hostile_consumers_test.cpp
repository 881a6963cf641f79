// What no sound consumer or administrator asks: each is told the right error, and nobody else notices.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "common/protocol/messages/create_partitions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_records.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/describe_groups.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/find_coordinator.h"
#include "common/protocol/messages/heartbeat.h"
#include "common/protocol/messages/join_group.h"
#include "common/protocol/messages/list_offsets.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/offset_commit.h"
#include "common/protocol/messages/offset_fetch.h"
#include "common/protocol/messages/produce.h"
#include "common/protocol/messages/sync_group.h"
#include "common/record/batch_builder.h"
#include "tests/compat/raw_connection.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

class HostileConsumers : public testing::Test {
 protected:
  void SetUp() override {
    broker_.extra_args = {"--group-initial-rebalance-delay", "0ms"};
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    client_.emplace(broker_.kafka_port());
    CreateTopicsRequest create;
    create.topics = {{"t", 2, 1, {}, {}}};
    ASSERT_EQ(client_->ask(7, create)->topics.at(0).error_code, ErrorCode::kNone);
    FindCoordinatorRequest find;
    find.key = "g";
    ASSERT_TRUE(eventually(10s, [&] { return client_->ask(2, find)->error_code == ErrorCode::kNone; }));
    resident_before_ = resident();
  }
  void TearDown() override {
    ASSERT_TRUE(broker_.running()) << broker_.log();
    RawConnection fresh(broker_.kafka_port());
    EXPECT_TRUE(fresh.ask(9, MetadataRequest{}));
    expect_memory_below(128u << 20);  // what one message may take decoded, and as much as the allocator may keep
  }

  [[nodiscard]] std::size_t resident() { return resident_bytes(broker_.process().pid()); }
  void expect_memory_below([[maybe_unused]] std::size_t more) {
#ifndef __SANITIZE_ADDRESS__  // which keeps freed memory
    EXPECT_LT(resident(), resident_before_ + more) << "resident before: " << resident_before_;
#endif
  }

  [[nodiscard]] static OffsetCommitRequest commit_of(const std::string& group, std::int64_t offset,
                                                     const std::string& topic = "t") {
    OffsetCommitRequest commit;
    commit.group_id = group;
    auto& partition = commit.topics.emplace_back(OffsetCommitRequest::Topic{topic, {}}).partitions.emplace_back();
    partition.committed_offset = Offset(offset);
    return commit;
  }
  ErrorCode commit(const OffsetCommitRequest& request) {
    const auto answer = client_->ask(8, request);
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? answer->topics.at(0).partitions.at(0).error_code : ErrorCode::kUnknownServerError;
  }
  std::int64_t committed(const std::string& group) {
    OffsetFetchRequest fetch;
    fetch.groups = {{group, {{{"t", {PartitionIndex(0)}}}}}};
    return client_->ask(8, fetch)->groups.at(0).topics.at(0).partitions.at(0).committed_offset.value();
  }

  static JoinGroupRequest join_of(const std::string& group, ByteView metadata, const std::string& member = "") {
    JoinGroupRequest join;
    join.group_id = group;
    join.member_id = member;
    join.session_timeout_ms = join.rebalance_timeout_ms = 30'000;
    join.protocol_type = "consumer";
    join.protocols = {{"range", metadata}};
    return join;
  }
  struct Joined {
    ErrorCode error = ErrorCode::kNone;
    std::string id;
    GenerationId generation{-1};
  };
  Joined join(RawConnection& connection, JoinGroupRequest request) {
    for (;;) {
      const auto answer = connection.ask(9, request);
      EXPECT_TRUE(answer) << answer.error().message;
      if (!answer) return {ErrorCode::kUnknownServerError, "", {}};
      if (answer->error_code != ErrorCode::kMemberIdRequired)
        return {answer->error_code, answer->member_id, answer->generation_id};
      request.member_id = answer->member_id;
    }
  }
  /// The only member and its generation, which is stable.
  Joined stable_member(const std::string& group, std::optional<std::string> instance = {}) {
    auto request = join_of(group, as_bytes("m"));
    request.group_instance_id = instance;
    auto joined = join(*client_, request);
    EXPECT_EQ(joined.error, ErrorCode::kNone);
    SyncGroupRequest sync;
    sync.group_id = group;
    sync.generation_id = joined.generation;
    sync.member_id = joined.id;
    sync.group_instance_id = instance;
    sync.protocol_type = "consumer";
    sync.protocol_name = "range";
    sync.assignments = {{joined.id, as_bytes("all")}};
    EXPECT_EQ(client_->ask(5, sync)->error_code, ErrorCode::kNone);
    return joined;
  }

  void produce(int batches, std::size_t bytes) {
    BatchBuilder builder;
    const Bytes value(bytes, 'v');
    for (int i = 0; i < batches; ++i) {
      builder.append(1, std::nullopt, ByteView(value));
      const auto batch = builder.finish({});
      ProduceRequest request;
      request.acks = ProduceRequest::kAcksAll;
      request.timeout_ms = 10'000;
      request.topics = {{"t", {{PartitionIndex(0), Records(*batch)}}}};
      ASSERT_EQ(client_->ask(9, request)->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    }
  }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
  std::optional<RawConnection> client_;
  std::size_t resident_before_ = 0;
};

/// None of them may become a path, or a line of the log.
std::vector<std::string> impossible_names() {
  return {"", ".", "..", "a/b", "../../up", "/etc/passwd", "a\\b", std::string(250, 'x'), std::string(300, 'x'), "a b",
          "line\nbreak", "es\x1b[31mcape", std::string("nul\0l", 5), "\xff\xfe", "caf\xc3\xa9", "%s%n", "t-0/../t"};
}

std::vector<std::string> all_files(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) names.push_back(entry.path());
  }
  std::ranges::sort(names);
  return names;
}

TEST_F(HostileConsumers, NamesThatNoTopicHasAreRefusedByEveryRequestAndMakeNothing) {
  const auto before = all_files(folder_.path());
  for (const auto& name : impossible_names()) {
    SCOPED_TRACE(testing::PrintToString(name));
    CreateTopicsRequest create;
    create.topics = {{name, 1, 1, {}, {}}};
    EXPECT_EQ(client_->ask(7, create)->topics.at(0).error_code, ErrorCode::kInvalidTopicException);
    CreatePartitionsRequest grow;
    grow.topics = {{name, 3, std::nullopt}};
    EXPECT_EQ(client_->ask(3, grow)->topics.at(0).error_code, ErrorCode::kInvalidTopicException);
    MetadataRequest metadata;
    metadata.topics = {{{{}, name}}};
    metadata.allow_auto_topic_creation = true;
    EXPECT_EQ(client_->ask(9, metadata)->topics.at(0).error_code, ErrorCode::kInvalidTopicException);
    DeleteTopicsRequest remove;
    remove.topics = {{name, {}}};
    EXPECT_EQ(client_->ask(6, remove)->topics.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);

    EXPECT_EQ(commit(commit_of("g", 1, name)), ErrorCode::kUnknownTopicOrPartition);
    ListOffsetsRequest list;
    list.topics = {{name, {{PartitionIndex(0), kNoLeaderEpoch, ListOffsetsRequest::kLatest}}}};
    EXPECT_EQ(client_->ask(7, list)->topics.at(0).partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
    DeleteRecordsRequest records;
    records.topics = {{name, {{PartitionIndex(0), Offset(0)}}}};
    EXPECT_EQ(client_->ask(2, records)->topics.at(0).partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
    FetchRequest fetch;
    fetch.topics = {{name, {}, {{.index = PartitionIndex(0), .fetch_offset = Offset(0), .bytes_max = 1}}}};
    EXPECT_EQ(client_->ask(12, fetch)->topics.at(0).partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  }
  EXPECT_EQ(all_files(folder_.path()), before);
  EXPECT_THAT(broker_.log(), testing::Not(testing::HasSubstr("\nbreak")));
  EXPECT_THAT(broker_.log(), testing::Not(testing::HasSubstr("\x1b[31m")));
}

TEST_F(HostileConsumers, AMillionPartitionsAreRefusedHoweverTheyAreAskedFor) {
  const auto before = all_files(folder_.path());
  for (const std::int32_t count : {1'000'000, 0x7fffffff, 0, -2, -0x7fffffff}) {
    CreateTopicsRequest create;
    create.topics = {{"wide", count, 1, {}, {}}};
    EXPECT_EQ(client_->ask(7, create)->topics.at(0).error_code, ErrorCode::kInvalidPartitions) << count;
    CreatePartitionsRequest grow;
    grow.topics = {{"t", count, std::nullopt}};
    EXPECT_EQ(client_->ask(3, grow)->topics.at(0).error_code, ErrorCode::kInvalidPartitions) << count;
  }
  CreateTopicsRequest assigned;
  auto& topic = assigned.topics.emplace_back(CreateTopicsRequest::Topic{"wide", -1, -1, {}, {}});
  for (std::int32_t i = 0; i < 1'000'000; ++i) topic.assignments.push_back({PartitionIndex(i), {BrokerId(1)}});
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(client_->ask(4, assigned)->topics.at(0).error_code, ErrorCode::kInvalidPartitions);
  CreatePartitionsRequest grow;
  grow.topics = {{"t", 1'000'000, std::vector<CreatePartitionsRequest::Assignment>(999'998, {{BrokerId(1)}})}};
  EXPECT_EQ(client_->ask(1, grow)->topics.at(0).error_code, ErrorCode::kInvalidPartitions);
  // And many topics of as many partitions as one may have.
  CreateTopicsRequest many;
  for (int i = 0; i < 1'000; ++i) many.topics.push_back({fmt::format("wide-{}", i), 1'000'000, 1, {}, {}});
  const auto answers = client_->ask(7, many);
  for (const auto& answer : answers->topics) EXPECT_EQ(answer.error_code, ErrorCode::kInvalidPartitions);
  EXPECT_EQ(all_files(folder_.path()), before);
}

TEST_F(HostileConsumers, GroupsMayHaveAnyNameThatIsNotTooLong) {
  for (const auto& name : impossible_names()) {
    SCOPED_TRACE(testing::PrintToString(name));
    EXPECT_EQ(commit(commit_of(name, 5)), ErrorCode::kNone);
    EXPECT_EQ(committed(name), 5);
    EXPECT_EQ(join(*client_, join_of(name, as_bytes("m"))).error,
              name.empty() ? ErrorCode::kInvalidGroupId : ErrorCode::kNone);
  }
  for (const std::size_t size : {1'025u, 30'000u}) {
    const std::string name(size, 'g');
    EXPECT_EQ(commit(commit_of(name, 5)), ErrorCode::kInvalidGroupId) << size;
    EXPECT_EQ(join(*client_, join_of(name, as_bytes("m"))).error, ErrorCode::kInvalidGroupId) << size;
    DescribeGroupsRequest describe;
    describe.groups = {name};
    EXPECT_EQ(client_->ask(5, describe)->groups.at(0).error_code, ErrorCode::kInvalidGroupId) << size;
  }
  EXPECT_THAT(broker_.log(), testing::Not(testing::HasSubstr("\nbreak")));
  EXPECT_THAT(broker_.log(), testing::Not(testing::HasSubstr("\x1b[31m")));

  broker_.kill();
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  client_.emplace(broker_.kafka_port());
  for (const auto& name : impossible_names()) {
    EXPECT_TRUE(eventually(10s, [&] { return committed(name) == 5; })) << testing::PrintToString(name);
  }
}

TEST_F(HostileConsumers, WhatMembersSayAboutThemselvesIsBounded) {
  const Bytes huge(20u << 20, 'm');
  EXPECT_EQ(join(*client_, join_of("g", huge)).error, ErrorCode::kGroupMaxSizeReached);
  // Nor do many get in that are just small enough.
  const Bytes large(1u << 20, 'm');
  std::vector<RawConnection> members;
  int refused = 0;
  for (int i = 0; i < 50; ++i) {
    members.emplace_back(broker_.kafka_port());
    auto told = members.back().ask(9, join_of("g", large));
    ASSERT_TRUE(told);
    if (told->error_code == ErrorCode::kMemberIdRequired) {
      const auto frame = encode_request(9, 2, "raw", join_of("g", large, told->member_id));
      ASSERT_TRUE(members.back().send_frame(frame->flatten().value()));
    } else {
      EXPECT_EQ(told->error_code, ErrorCode::kGroupMaxSizeReached);
      ++refused;
    }
  }
  EXPECT_GE(refused, 40);
  expect_memory_below(128u << 20);
  EXPECT_EQ(commit(commit_of("other", 7)), ErrorCode::kNone);
  members.clear();

  const auto member = stable_member("assigning");
  SyncGroupRequest sync;
  sync.group_id = "assigning";
  sync.generation_id = member.generation;
  sync.member_id = member.id;
  const auto again = join(*client_, join_of("assigning", as_bytes("n"), member.id));
  ASSERT_EQ(again.error, ErrorCode::kNone);
  sync.generation_id = again.generation;
  const Bytes assignment(50u << 20, 'a');
  sync.assignments = {{member.id, assignment}};
  EXPECT_EQ(client_->ask(5, sync)->error_code, ErrorCode::kUnknownServerError);
}

TEST_F(HostileConsumers, CommitsThatAreTooLargeAreRefusedAndTheOffsetBeforeStays) {
  EXPECT_EQ(commit(commit_of("g", 5)), ErrorCode::kNone);
  for (const std::size_t size : {4'097u, 32'000u}) {
    auto large = commit_of("g", 6);
    large.topics[0].partitions[0].metadata = std::string(size, 'm');
    EXPECT_EQ(commit(large), ErrorCode::kOffsetMetadataTooLarge) << size;
  }
  auto many = commit_of("g", 6);
  many.topics[0].partitions[0].metadata = std::string(4'000, 'm');
  many.topics[0].partitions.resize(10'000, many.topics[0].partitions[0]);  // 40 MB
  EXPECT_EQ(commit(many), ErrorCode::kInvalidCommitOffsetSize);
  EXPECT_EQ(committed("g"), 5);
  for (const std::int64_t offset : {std::int64_t{-1}, std::int64_t{-5}, INT64_MIN, INT64_MAX}) {
    // Kafka's coordinator takes any number: what it means is the consumer's affair.
    EXPECT_EQ(commit(commit_of("g", offset)), ErrorCode::kNone) << offset;
    EXPECT_EQ(committed("g"), offset);
  }
}

TEST_F(HostileConsumers, ZombiesCommitNothing) {
  const auto member = stable_member("g");
  auto mine = commit_of("g", 5);
  mine.member_id = member.id;
  mine.generation_id = member.generation;
  ASSERT_EQ(commit(mine), ErrorCode::kNone);

  auto zombie = mine;
  zombie.topics[0].partitions[0].committed_offset = Offset(99);
  zombie.generation_id = GenerationId(member.generation.value() - 1);
  EXPECT_EQ(commit(zombie), ErrorCode::kIllegalGeneration);
  zombie.generation_id = GenerationId(member.generation.value() + 1);
  EXPECT_EQ(commit(zombie), ErrorCode::kIllegalGeneration);
  zombie.generation_id = member.generation;
  zombie.member_id = member.id + "x";
  EXPECT_EQ(commit(zombie), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(commit(commit_of("g", 99)), ErrorCode::kUnknownMemberId) << "of a consumer that assigns itself";
  EXPECT_EQ(committed("g"), 5);

  const auto former = stable_member("static", "i");
  auto of_former = commit_of("static", 5);
  of_former.member_id = former.id;
  of_former.generation_id = former.generation;
  of_former.group_instance_id = "i";
  ASSERT_EQ(commit(of_former), ErrorCode::kNone);
  RawConnection successor(broker_.kafka_port());
  auto request = join_of("static", as_bytes("m"));
  request.group_instance_id = "i";
  const auto back = join(successor, request);
  ASSERT_EQ(back.error, ErrorCode::kNone);
  of_former.topics[0].partitions[0].committed_offset = Offset(99);
  EXPECT_EQ(commit(of_former), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(committed("static"), 5);
}

TEST_F(HostileConsumers, AFetchOfAGigabyteGetsWhatTheBrokerGivesAtMost) {
  produce(80, 900'000);
  FetchRequest fetch;
  fetch.wait_ms_max = 0;
  fetch.bytes_min = 1 << 30;
  fetch.bytes_max = 1 << 30;
  fetch.topics = {{"t", {}, {}}};
  fetch.topics[0].partitions = {{.index = PartitionIndex(0), .fetch_offset = Offset(0), .bytes_max = 1 << 30},
                                {.index = PartitionIndex(1), .fetch_offset = Offset(0), .bytes_max = 1 << 30}};
  const auto answer = client_->ask(12, fetch);
  ASSERT_TRUE(answer) << answer.error().message;
  const auto records = answer->topics.at(0).partitions.at(0).records;
  EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
  EXPECT_GT(records.size_bytes(), 10u << 20);
  EXPECT_LE(records.size_bytes(), 57u << 20);  // fetch.max.bytes of the broker, as in Kafka
}

TEST_F(HostileConsumers, AConsumerThatStopsReadingInTheMiddleOfItsRecordsHoldsUpNobody) {
  produce(40, 900'000);
  FetchRequest fetch;
  fetch.wait_ms_max = 0;
  fetch.bytes_max = 30 << 20;
  fetch.topics = {{"t", {}, {{.index = PartitionIndex(0), .fetch_offset = Offset(0), .bytes_max = 30 << 20}}}};
  const auto frame = encode_request(12, 1, "deaf", fetch)->flatten().value();
  std::vector<RawConnection> deaf;
  for (int i = 0; i < 20; ++i) {
    deaf.emplace_back(broker_.kafka_port());
    for (int k = 0; k < 50; ++k) ASSERT_TRUE(deaf.back().send_frame(frame));
    ASSERT_TRUE(deaf.back().read(100'000)) << "some of the first answer";
  }
  // 30 GB were asked for.
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto answer = client_->ask(12, fetch);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_GT(answer->topics.at(0).partitions.at(0).records.size_bytes(), 20u << 20);
    EXPECT_EQ(commit(commit_of("g", i)), ErrorCode::kNone);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  }
  expect_memory_below(64u << 20);
  ASSERT_TRUE(deaf.front().read(20u << 20)) << "one that reads on gets the rest";
}

}  // namespace
}  // namespace tributary::test
