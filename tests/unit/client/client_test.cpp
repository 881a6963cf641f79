#include <gtest/gtest.h>

#include <map>

#include "cluster/client/admin.h"
#include "cluster/client/consumer.h"
#include "cluster/client/producer.h"
#include "tests/support/code_of.h"
#include "tests/unit/client/partitions.h"
#include "tests/unit/client/scripted_cluster.h"

namespace tributary {
namespace {

using test::code_of;

using namespace std::chrono_literals;

class Client : public testing::TestWithParam<Endpoint::Kind> {
 protected:
  std::unique_ptr<ClusterClient> connect(ScriptedCluster& cluster, Duration request_timeout = 2s) {
    auto client = ClusterClient::connect({.bootstrap = {cluster.url()}, .request_timeout = request_timeout}, deadline_in(5s));
    EXPECT_TRUE(client) << client.error().message;
    return *std::move(client);
  }
  /// Values of a partition from `from` on, until `count` were read or ten seconds have passed.
  std::vector<std::string> read(Consumer& consumer, std::size_t count) {
    std::vector<std::string> values;
    Decompressor decompressor;
    const auto deadline = deadline_in(10s);
    while (values.size() < count && system_clock().mono_now() < deadline) {
      const auto batches = consumer.poll(100ms);
      EXPECT_TRUE(batches) << batches.error().message;
      if (!batches) break;
      for (const auto& batch : *batches)
        EXPECT_TRUE(for_each_record(batch, decompressor, 1u << 20, [&](const RecordView& record) {
          values.emplace_back(as_string_view(*record.value));
          return true;
        }));
    }
    return values;
  }
};
INSTANTIATE_TEST_SUITE_P(Transports, Client, testing::Values(Endpoint::Kind::kNng, Endpoint::Kind::kKafkaTcp),
                         [](const auto& kind) { return kind.param == Endpoint::Kind::kNng ? "Nng" : "KafkaTcp"; });

Bytes batch_of(const std::vector<std::string>& values, std::int64_t timestamp_ms = 1000) {
  BatchBuilder builder;
  for (const auto& value : values) builder.append(timestamp_ms, std::nullopt, as_bytes(value));
  return builder.finish({}).value();
}
// ---- Endpoints and metadata --------------------------------------------------------------------------

TEST(Endpoint, UrlsAreReadAndWritten) {
  EXPECT_EQ(parse_endpoint("tcp://127.0.0.1:9093").value(), (Endpoint{Endpoint::Kind::kNng, "127.0.0.1", 9093}));
  EXPECT_EQ(parse_endpoint("kafka://[::1]:9092").value(), (Endpoint{Endpoint::Kind::kKafkaTcp, "[::1]", 9092}));
  EXPECT_EQ(parse_endpoint("kafka://broker.example:1")->url(), "kafka://broker.example:1");
  for (const auto* bad : {"", "tcp://", "tcp://:9", "tcp://host", "tcp://host:", "tcp://host:0", "tcp://host:65536",
                          "tcp://host:1x", "http://host:1", "host:9093", "tcp://a/b:1", "tcp://::1:1", "tcp://[::1:9"})
    EXPECT_EQ(code_of(parse_endpoint(bad)), Errc::kInvalidArgument) << bad;
}

TEST(Backoff, GrowsWithJitterUpToItsCeiling) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const auto wait = backoff(attempt, 10ms, 1s);
    EXPECT_GE(wait, 1ms);
    EXPECT_LE(wait, attempt < 6 ? Duration(10ms) * (1 << attempt) : Duration(1s));
  }
}

TEST_P(Client, AnUnreachableClusterIsNamed) {
  ScriptedCluster cluster(GetParam(), 1);
  const auto url = cluster.url();
  cluster.stop(0);
  const auto client = ClusterClient::connect({.bootstrap = {url}}, deadline_in(300ms));
  ASSERT_EQ(code_of(client), Errc::kUnavailable);
  EXPECT_NE(client.error().message.find(url), std::string::npos) << client.error().message;
}

TEST_P(Client, TriesTheNextBootstrapAddress) {
  ScriptedCluster cluster(GetParam(), 2);
  cluster.stop(0);
  const auto client = ClusterClient::connect({.bootstrap = {cluster.url(0), cluster.url(1)}}, deadline_in(2s));
  EXPECT_TRUE(client) << client.error().message;
}

TEST_P(Client, AnUnknownTopicIsNotFoundAtOnceAndNotCreated) {
  ScriptedCluster cluster(GetParam(), 1);
  const auto client = connect(cluster);
  EXPECT_EQ(code_of(client->topic("t", deadline_in(5s))), Errc::kNotFound);
  EXPECT_TRUE(client->topics(deadline_in(5s))->empty());
}

TEST_P(Client, TopicsAreCreatedListedDescribedAndDeleted) {
  ScriptedCluster cluster(GetParam(), 1);
  const auto client = connect(cluster);
  ASSERT_TRUE(create_topic(*client, {.name = "b", .partitions = 3}, deadline_in(5s)));
  ASSERT_TRUE(create_topic(*client, {.name = "a"}, deadline_in(5s)));
  EXPECT_EQ(code_of(create_topic(*client, {.name = "a"}, deadline_in(5s))), Errc::kAlreadyExists);
  const auto topics = client->topics(deadline_in(5s)).value();
  ASSERT_EQ(topics.size(), 2u);
  EXPECT_EQ(topics[0].name, "a");
  EXPECT_EQ(topics[1].partitions.size(), 3u);
  cluster.append({"b", PartitionIndex(2)}, batch_of({"x", "y"}));
  const auto description = describe_topic(*client, "b", deadline_in(5s));
  ASSERT_TRUE(description) << description.error().message;
  EXPECT_EQ(description->offsets[2].latest, Offset(2));
  EXPECT_EQ(description->configs[0].name, "retention.ms");
  EXPECT_TRUE(description->configs[0].is_default);
  EXPECT_FALSE(description->configs[1].is_default);
  ASSERT_TRUE(delete_topic(*client, "b", deadline_in(5s)));
  EXPECT_EQ(code_of(delete_topic(*client, "b", deadline_in(5s))), Errc::kNotFound);
  EXPECT_EQ(code_of(describe_topic(*client, "b", deadline_in(5s))), Errc::kNotFound);
}

TEST_P(Client, ARefusalCarriesTheBrokersReason) {
  ScriptedCluster cluster(GetParam(), 1);
  const auto client = connect(cluster);
  cluster.inject({.api = ApiKey::kCreateTopics, .code = ErrorCode::kInvalidPartitions});
  const auto created = create_topic(*client, {.name = "a", .partitions = 1}, deadline_in(5s));
  ASSERT_EQ(code_of(created), Errc::kInvalidArgument);
  EXPECT_EQ(created.error().message, "creating topic a: INVALID_PARTITIONS (as scripted)");
}

// ---- Consumer --------------------------------------------------------------------------------------

TEST_P(Client, StartsResolveToOffsets) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  cluster.append(kFirst, batch_of({"a", "b"}, 1000));
  cluster.append(kFirst, batch_of({"c"}, 2000));
  cluster.trim(kFirst, Offset(1));
  const auto client = connect(cluster);
  const auto offsets = resolve_offsets(*client, {{kFirst, StartAt::earliest()}, {kFirst, StartAt::latest()},
                                                 {kFirst, StartAt::offset(Offset(7))}, {kFirst, StartAt::time(1500)},
                                                 {kFirst, StartAt::time(9000)}, {kFirst, StartAt::max_timestamp()}},
                                       deadline_in(5s));
  ASSERT_TRUE(offsets) << offsets.error().message;
  EXPECT_EQ(*offsets, (std::vector{Offset(1), Offset(3), Offset(7), Offset(2), Offset(3), Offset(2)}));
  EXPECT_EQ(code_of(resolve_offsets(*client, {{{"t", PartitionIndex(1)}, StartAt::latest()}}, deadline_in(1s))), Errc::kNotFound);
}

TEST_P(Client, APlaceIsFoundWithItsTimeOrNotAtAll) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  const auto find = [&](const StartAt& start) {
    const auto found = find_offset(*client, kFirst, start, deadline_in(5s));
    if (!found) return found.error().message;
    return *found ? fmt::format("{}@{}", (*found)->timestamp_ms, (*found)->offset) : "nothing";
  };
  EXPECT_EQ(find(StartAt::latest()), "-1@0");
  EXPECT_EQ(find(StartAt::max_timestamp()), "nothing");
  EXPECT_EQ(find(StartAt::time(0)), "nothing");
  cluster.append(kFirst, batch_of({"a", "b"}, 1000));
  cluster.append(kFirst, batch_of({"c"}, 2000));
  EXPECT_EQ(find(StartAt::time(1500)), "2000@2");
  EXPECT_EQ(find(StartAt::max_timestamp()), "2000@2");
  EXPECT_EQ(find(StartAt::time(2001)), "nothing");
  EXPECT_EQ(find(StartAt::offset(Offset(9))), "-1@9");
  EXPECT_EQ(code_of(find_offset(*client, {"t", PartitionIndex(1)}, StartAt::latest(), deadline_in(1s))), Errc::kNotFound);
}

TEST_P(Client, ConsumesFromTheMiddleOfABatchOn) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  cluster.append(kFirst, batch_of({"a", "b", "c"}));
  cluster.append(kFirst, batch_of({"d"}));
  const auto client = connect(cluster);
  Consumer consumer(*client, {.fetch_wait = 50ms});
  consumer.assign(kFirst, Offset(2));
  EXPECT_EQ(read(consumer, 2), (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(consumer.position(kFirst), Offset(4));
  EXPECT_EQ(consumer.high_watermark(kFirst), Offset(4));
  EXPECT_TRUE(consumer.poll(10ms)->empty());
  cluster.append(kFirst, batch_of({"e"}));
  EXPECT_EQ(read(consumer, 1), (std::vector<std::string>{"e"}));
}

TEST_P(Client, ABatchThatIsCutOffAtTheLimitIsFetchedAgain) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  for (int i = 0; i < 50; ++i) cluster.append(kFirst, batch_of({std::to_string(i) + std::string(100, 'x')}));
  const auto client = connect(cluster);
  Consumer consumer(*client, {.partition_bytes_max = 500, .fetch_wait = 50ms});
  consumer.assign(kFirst, Offset(0));
  const auto values = read(consumer, 50);
  ASSERT_EQ(values.size(), 50u);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], std::to_string(i) + std::string(100, 'x'));
}

TEST_P(Client, EveryPartitionIsServedThoughOneIsBusy) {
  ScriptedCluster cluster(GetParam(), 2);
  cluster.add_topic("t", 4);
  for (int p = 0; p < 4; ++p) {
    cluster.set_leader({"t", PartitionIndex(p)}, p % 2);
    for (int i = 0; i < 20; ++i) cluster.append({"t", PartitionIndex(p)}, batch_of({std::to_string(p)}));
  }
  const auto client = connect(cluster);
  Consumer consumer(*client, {.partition_bytes_max = 100, .fetch_wait = 50ms});
  for (int p = 0; p < 4; ++p) consumer.assign({"t", PartitionIndex(p)}, Offset(0));
  std::map<std::string, int> counts;
  for (const auto& value : read(consumer, 80)) ++counts[value];
  EXPECT_EQ(counts, (std::map<std::string, int>{{"0", 20}, {"1", 20}, {"2", 20}, {"3", 20}}));
}

TEST_P(Client, AConsumerFollowsTheLeader) {
  ScriptedCluster cluster(GetParam(), 2);
  cluster.add_topic("t", 1);
  cluster.append(kFirst, batch_of({"a"}));
  const auto client = connect(cluster);
  Consumer consumer(*client, {.fetch_wait = 50ms});
  consumer.assign(kFirst, Offset(0));
  EXPECT_EQ(read(consumer, 1).size(), 1u);
  cluster.set_leader(kFirst, 1);
  cluster.append(kFirst, batch_of({"b"}));
  EXPECT_EQ(read(consumer, 1), (std::vector<std::string>{"b"}));
}

TEST_P(Client, RetriableFetchErrorsAreToldAndRetried) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  cluster.append(kFirst, batch_of({"a"}));
  const auto client = connect(cluster);
  cluster.inject({.api = ApiKey::kFetch, .times = 3, .code = ErrorCode::kNotLeaderOrFollower});
  std::vector<std::string> troubles;
  Consumer consumer(*client, {.fetch_wait = 50ms, .on_trouble = [&](const Error& error) { troubles.push_back(error.message); }});
  consumer.assign(kFirst, Offset(0));
  EXPECT_EQ(read(consumer, 1), (std::vector<std::string>{"a"}));
  EXPECT_EQ(troubles, std::vector<std::string>(3, "fetching t-0: NOT_LEADER_OR_FOLLOWER"));
}

TEST_P(Client, APartitionThatStaysAwayForTooLongIsAnError) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  cluster.inject({.api = ApiKey::kFetch, .times = 1'000'000, .code = ErrorCode::kKafkaStorageError});
  Consumer consumer(*client, {.fetch_wait = 50ms, .unavailable_max = 200ms});
  consumer.assign(kFirst, Offset(0));
  const auto batches = consumer.poll(10s);
  ASSERT_EQ(code_of(batches), Errc::kUnavailable);
  EXPECT_NE(batches.error().message.find("KAFKA_STORAGE_ERROR"), std::string::npos) << batches.error().message;
}

TEST_P(Client, ADeletedTopicIsNotFound) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  Consumer consumer(*client, {.fetch_wait = 50ms});
  consumer.assign(kFirst, Offset(0));
  EXPECT_TRUE(consumer.poll(10ms));
  ASSERT_TRUE(delete_topic(*client, "t", deadline_in(5s)));
  EXPECT_EQ(code_of(consumer.poll(10s)), Errc::kNotFound);
}

TEST_P(Client, AnOffsetOutOfRangeFailsOrGoesOnAsAsked) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  for (const auto* value : {"a", "b", "c"}) cluster.append(kFirst, batch_of({value}));
  cluster.trim(kFirst, Offset(2));
  const auto client = connect(cluster);
  Consumer strict(*client, {.fetch_wait = 50ms});
  strict.assign(kFirst, Offset(0));
  const auto batches = strict.poll(5s);
  ASSERT_EQ(code_of(batches), Errc::kOutOfRange);
  EXPECT_EQ(batches.error().message, "t-0: offset 0 is outside of [2, 3]");
  Consumer lenient(*client, {.fetch_wait = 50ms, .on_out_of_range = OnOutOfRange::kEarliest});
  lenient.assign(kFirst, Offset(0));
  EXPECT_EQ(read(lenient, 1), (std::vector<std::string>{"c"}));
}

TEST_P(Client, ADamagedBatchIsNamedAfterTheSoundOnesBeforeIt) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  cluster.append(kFirst, batch_of({"a"}));
  cluster.append(kFirst, batch_of({"b"}));
  cluster.flip_byte(kFirst, 1, kBatchHeaderSize + 3);
  const auto client = connect(cluster);
  Consumer consumer(*client, {.fetch_wait = 50ms});
  consumer.assign(kFirst, Offset(0));
  const auto sound = consumer.poll(5s);
  ASSERT_TRUE(sound) << sound.error().message;
  EXPECT_EQ(sound->size(), 1u);
  const auto damaged = consumer.poll(5s);
  ASSERT_EQ(code_of(damaged), Errc::kCorrupt);
  EXPECT_TRUE(damaged.error().message.starts_with("t-0 at offset 1: record batch: CRC-32C is ")) << damaged.error().message;
}

TEST_P(Client, AnUnassignedPartitionIsForgottenThoughItsFetchIsOutstanding) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  Consumer consumer(*client, {.fetch_wait = 50ms});
  consumer.assign(kFirst, Offset(0));
  EXPECT_TRUE(consumer.poll(1ms)->empty());
  consumer.unassign(kFirst);
  cluster.append(kFirst, batch_of({"a", "b"}));
  consumer.assign(kFirst, Offset(1));
  EXPECT_EQ(read(consumer, 1), (std::vector<std::string>{"b"}));
}

// ---- Producer --------------------------------------------------------------------------------------

std::vector<std::string> stored(ScriptedCluster& cluster, const TopicPartition& partition) {
  std::vector<std::string> values;
  for (const auto& batch : cluster.batches(partition)) {
    auto reader = RecordReader::open(batch, 1u << 24);
    RecordView record;
    while (reader->next(record).value()) values.emplace_back(as_string_view(*record.value));
  }
  return values;
}

std::vector<std::string> numbers(int count) {
  std::vector<std::string> texts;
  for (int i = 0; i < count; ++i) texts.push_back(std::to_string(i));
  return texts;
}

void send_numbers(Producer& producer, int count) {
  for (int i = 0; i < count; ++i) {
    const auto text = std::to_string(i);
    const auto sent = producer.send("t", {.value = as_bytes(text)}, PartitionIndex(0));
    ASSERT_TRUE(sent) << sent.error().message;
  }
}

TEST_P(Client, RecordsArriveOnceAndInOrderThoughAnswersAreLost) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster, 200ms);
  cluster.inject({.api = ApiKey::kProduce, .times = 3, .swallow_answer = true});
  cluster.inject({.api = ApiKey::kProduce, .times = 3, .code = ErrorCode::kNotLeaderOrFollower});
  std::atomic<std::int64_t> delivered = 0;  // told on the producer's thread
  Producer producer(*client, {.compression = Compression::kZstd, .batch_bytes = 1000, .linger = 1ms,
                              .on_delivered = [&](const auto& batch) { delivered += batch.record_count; }});
  send_numbers(producer, 1000);
  const auto flushed = producer.flush(20s);
  ASSERT_TRUE(flushed) << flushed.error().message;
  EXPECT_EQ(delivered, 1000);
  EXPECT_EQ(stored(cluster, kFirst), numbers(1000));
  EXPECT_GT(cluster.batches(kFirst).size(), 5u);
}

TEST_P(Client, AProducerFollowsTheLeader) {
  ScriptedCluster cluster(GetParam(), 2);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  Producer producer(*client, {.linger = 1ms});
  send_numbers(producer, 10);
  ASSERT_TRUE(producer.flush(5s));
  cluster.set_leader(kFirst, 1);
  send_numbers(producer, 10);
  const auto flushed = producer.flush(5s);
  ASSERT_TRUE(flushed) << flushed.error().message;
  EXPECT_EQ(stored(cluster, kFirst).size(), 20u);
}

TEST_P(Client, KeysGoWhereKafkasClientsPutThemAndTheTopicIsCreated) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.partitions_of_new_topics = 3;
  const auto client = connect(cluster);
  Producer producer(*client, {.linger = 1ms});
  const HeaderView header{"name", as_bytes("value")};
  ASSERT_TRUE(producer.send("t", {.key = as_bytes("abc"), .value = as_bytes("v"), .headers = {&header, 1}, .timestamp_ms = 42}));
  ASSERT_TRUE(producer.flush(5s));
  const auto batches = cluster.batches({"t", PartitionIndex(479470107 % 3)});
  ASSERT_EQ(batches.size(), 1u);
  auto reader = RecordReader::open(batches[0], 1u << 20);
  RecordView record;
  ASSERT_TRUE(reader->next(record).value());
  EXPECT_EQ(record.timestamp_ms, 42);
  EXPECT_EQ(as_string_view(*record.key), "abc");
  EXPECT_EQ(record.headers[0].key, "name");
  EXPECT_EQ(reader->header().producer_id, ProducerId(1000));
}

TEST_P(Client, RecordsWithoutKeySpreadOverThePartitions) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 3);
  const auto client = connect(cluster);
  Producer producer(*client, {.batch_bytes = 1000, .linger = 1ms});
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(producer.send("t", {.value = as_bytes(std::string(50, 'x'))}));
  ASSERT_TRUE(producer.flush(5s));
  for (int p = 0; p < 3; ++p) EXPECT_FALSE(cluster.batches({"t", PartitionIndex(p)}).empty()) << p;
}

TEST_P(Client, AnIncurableErrorEndsTheProducer) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  cluster.inject({.api = ApiKey::kProduce, .code = ErrorCode::kMessageTooLarge});
  Producer producer(*client, {.linger = 1ms});
  send_numbers(producer, 1);
  const auto start = system_clock().mono_now();
  EXPECT_EQ(code_of(producer.flush(20s)), Errc::kTooLarge);
  EXPECT_LT(system_clock().mono_now() - start, 10s) << "who waits is told at once";
  EXPECT_EQ(code_of(producer.send("t", {.value = as_bytes("x")})), Errc::kTooLarge);
  EXPECT_TRUE(cluster.batches(kFirst).empty());
}

TEST_P(Client, ARecordThatNoRequestCanHoldIsRefusedAtOnce) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  Producer producer(*client);
  EXPECT_EQ(code_of(producer.send("t", {.value = as_bytes(std::string(16u << 20, 'x'))})), Errc::kTooLarge);
  send_numbers(producer, 1);
  EXPECT_TRUE(producer.flush(5s));
}

TEST_P(Client, WhatIsNotDeliveredInTimeIsAnError) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  cluster.inject({.api = ApiKey::kProduce, .times = 1'000'000, .code = ErrorCode::kNotEnoughReplicas});
  Producer producer(*client, {.linger = 1ms, .delivery_timeout = 200ms});
  send_numbers(producer, 1);
  const auto start = system_clock().mono_now();
  const auto flushed = producer.flush(20s);
  EXPECT_LT(system_clock().mono_now() - start, 10s) << "who waits is told at once";
  ASSERT_EQ(code_of(flushed), Errc::kUnavailable);
  EXPECT_NE(flushed.error().message.find("NOT_ENOUGH_REPLICAS"), std::string::npos) << flushed.error().message;
}

TEST_P(Client, SendWaitsWhileTheBufferIsFull) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  Producer producer(*client, {.batch_bytes = 2000, .linger = 1ms, .buffered_bytes_max = 5000});
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(producer.send("t", {.value = as_bytes(std::string(500, 'x'))}));
  ASSERT_TRUE(producer.flush(10s));
  EXPECT_EQ(stored(cluster, kFirst).size(), 500u);
}

TEST_P(Client, AMissingTopicOrPartitionIsSaidAtTheCall) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.auto_create = false;
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  Producer producer(*client, {.auto_create_topics = false});
  EXPECT_EQ(code_of(producer.send("u", {.value = as_bytes("x")})), Errc::kNotFound);
  EXPECT_EQ(code_of(producer.send("t", {.value = as_bytes("x")}, PartitionIndex(1))), Errc::kNotFound);
  EXPECT_TRUE(producer.send("t", {.value = as_bytes("x")}));
  EXPECT_TRUE(producer.flush(5s));
}

TEST_P(Client, AnIdleProducerAndConsumerEndWithoutDelay) {
  ScriptedCluster cluster(GetParam(), 1);
  cluster.add_topic("t", 1);
  const auto client = connect(cluster);
  const auto start = system_clock().mono_now();
  {
    Producer producer(*client);
    Consumer consumer(*client);
    consumer.assign(kFirst, Offset(0));
    EXPECT_TRUE(consumer.poll(1ms));
  }
  EXPECT_LT(system_clock().mono_now() - start, 2s);
}

}  // namespace
}  // namespace tributary
